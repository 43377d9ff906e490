//! How little of Redis the module needs.

use testbed::{Redis, Site};

/// What README says that a user of Redis has to be allowed, and nothing else.
#[test]
fn a_user_of_redis_with_few_rights_is_enough() {
    let readme = include_str!("../../README.md");
    let line = readme
        .lines()
        .find_map(|line| line.trim().strip_prefix("ACL SETUSER cache "))
        .expect("a line of README");
    let mut command = vec!["ACL", "SETUSER", "cache"];
    command.extend(line.split(' '));
    let redis = Redis::start();
    let _: () = redis.command(&command);
    let site = Site::new()
        .store("username cache; password secret;")
        .start_with(redis);
    site.fill_and_age("/x");
    assert_eq!(site.get("/x").word(), "STALE");
    site.wait_for_hit("/x");
    let denied: Vec<redis::Value> = site.redis.command(&["ACL", "LOG"]);
    assert!(denied.is_empty(), "{denied:?}");
}
