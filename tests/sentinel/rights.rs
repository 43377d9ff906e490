//! What users need.

use testbed::{PATIENCE, Position, Running, wait_for};

use super::replicas::{wait_for_copies, wait_for_list};
use super::{FOLLOWED, follows, keep, site, steady};

/// The users of `docs/redis.md`, and nothing more.
const RECORDS: &str = "user cache on >c0rrect-h0rse ~* -@all +pttl +hmget +eval +hset +expire +hget +hstrlen +hdel +del +ping \
     +select";
const SENTINEL: &str = "user watcher on >c0rrect-h0rse -@all +sentinel|get-master-addr-by-name +sentinel|master +subscribe +ping \
     &+switch-master";
const LISTS: &str = " +sentinel|replicas &+slave &+sdown &-sdown";
const LOGINS: &str = "username cache; password c0rrect-h0rse; sentinel_username watcher; sentinel_password c0rrect-h0rse;";

#[track_caller]
fn assert_permitted(site: &Running) {
    let lines = site.nginx.log().serious(Position::default());
    let refused = lines.iter().any(|line| line.contains("NOPERM"));
    assert!(!refused, "{lines:#?}");
    let all_lines = site.nginx.log().lines();
    let told = all_lines.iter().any(|line| line.contains("c0rrect-h0rse"));
    assert!(!told, "a password");
}

#[test]
fn users_with_the_least_rights_do() {
    for proof in [" +role\n", " +info\n"] {
        let rights = format!("{RECORDS}{proof}");
        let watcher = format!("{SENTINEL}\n");
        let all = steady().acl(&rights).sentinel_acl(&watcher).start();
        let site = site(&all, 1, LOGINS);
        keep(&site, "/page");
        assert_eq!(site.get("/page").word(), "HIT");
        let (master, _) = all.failover();
        follows(&site, &all, master, FOLLOWED);
        assert_permitted(&site);
    }
}

#[test]
fn lookups_at_replicas_take_few_rights_more() {
    let rights = format!("{RECORDS} +role\n");
    let watcher = format!("{SENTINEL}{LISTS}\n");
    let all = steady().acl(&rights).sentinel_acl(&watcher).start();
    let site = site(&all, 1, &format!("{LOGINS} read_from replica;"));
    wait_for_list(&site, &all, &[1, 2]);
    keep(&site, "/page");
    wait_for_copies(&site, &all, &["/page".to_owned()]);
    let before = all.server(0).calls("hmget");
    for _ in 0..10 {
        assert_eq!(site.get("/page").word(), "HIT");
    }
    assert_eq!(all.server(0).calls("hmget"), before);
    // What is pushed about replicas comes, too: no other log but the Sentinels' own could tell.
    for sentinel in all.sentinels() {
        let denied = all
            .server(sentinel)
            .try_command::<Vec<String>>(&["ACL", "LOG"]);
        assert!(denied.is_ok_and(|lines| lines.is_empty()), "{sentinel}");
    }
    let (master, _) = all.failover();
    follows(&site, &all, master, FOLLOWED);
    assert_permitted(&site);
}

#[test]
fn sentinels_that_may_not_list_replicas_are_named_and_lookups_go_to_the_master() {
    let watcher = format!("{SENTINEL}\n");
    let all = steady().sentinel_acl(&watcher).start();
    let site = site(
        &all,
        1,
        "sentinel_username watcher; sentinel_password c0rrect-h0rse; read_from replica;",
    );
    keep(&site, "/page");
    let before = all.server(0).calls("hmget");
    for _ in 0..10 {
        assert_eq!(site.get("/page").word(), "HIT");
    }
    assert_eq!(all.server(0).calls("hmget"), before + 10);
    let log = site.nginx.log();
    wait_for("a line for each Sentinel", PATIENCE, || {
        let lines = log.matching(Position::default(), "doesn't list replicas: NOPERM");
        lines.len() == all.sentinels().len()
    });
    // A hint that a user may not hear costs nothing: the master's still come.
    let (master, _) = all.failover();
    follows(&site, &all, master, FOLLOWED);
    let lines = log.matching(Position::default(), "doesn't list replicas");
    assert_eq!(lines.len(), 3, "{lines:#?}");
}
