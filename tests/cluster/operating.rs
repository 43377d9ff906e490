//! Reloads, workers that die, one process for all, least rights, hard caps.

use std::thread;

use testbed::{
    PATIENCE, Position, RedisCluster, Request, Side, Site, crowd, ms, slot_of, wait_for,
};

use super::{assert_capped, fill_all, paths_at, start, while_asking, words};

/// What `docs/redis.md` names for the nodes of a cluster.
const RIGHTS: &str = "-@all +pttl +hmget +eval +hset +expire +hget +hstrlen +hdel +del +ping +select +cluster|slots +asking";

#[test]
fn a_map_survives_a_reload_under_load() {
    let cluster = RedisCluster::options().replicas(0).start();
    let mut site = start(&cluster, Site::new().spread());
    let paths: Vec<_> = (0..3)
        .flat_map(|number| paths_at(&cluster, number, 2))
        .collect();
    fill_all(&site, &cluster, &paths);
    let before = cluster.calls("cluster|slots");
    for _ in 0..3 {
        let old = site.nginx.reload();
        let all = crowd(site.address(), 30, |nth| {
            Request::get(&paths[nth % paths.len()])
        });
        assert_eq!(all.words(), [("HIT".to_owned(), 30)].into());
        site.nginx.wait_for_exit(&old, PATIENCE);
    }
    let asked = cluster.calls("cluster|slots") - before;
    assert!(asked <= 4, "{asked} times");
    // Old workers and new ones.
    assert_capped(&cluster, 2 * 2, 2);
}

#[test]
fn another_worker_asks_when_one_dies() {
    let cluster = RedisCluster::options().replicas(0).start();
    let mut site = start(&cluster, Site::new().spread());
    let path = paths_at(&cluster, 0, 1).remove(0);
    let slot = slot_of(path.as_bytes());
    fill_all(&site, &cluster, std::slice::from_ref(&path));
    // The map is asked for, and no reply comes.
    for number in 0..3 {
        cluster.net().delay(number, Side::Clients, ms(700));
    }
    cluster.move_slots(slot..=slot, 1);
    let before = cluster.calls("cluster|slots");
    let address = site.address();
    thread::scope(|scope| {
        scope.spawn(|| crowd(address, 8, |_| Request::get(&path)));
        wait_for("a question for the map", PATIENCE, || {
            cluster.calls("cluster|slots") > before
        });
        let worker = site.nginx.workers()[0];
        site.nginx.kill_worker(worker);
    });
    cluster.net().heal();
    wait_for("the workers", PATIENCE, || site.nginx.workers().len() == 2);
    let moved = || cluster.node(0).info("errorstats", "errorstat_MOVED");
    wait_for("a map without MOVED", PATIENCE, || {
        let before = moved();
        (0..20).all(|_| site.get(&path).word() == "HIT") && moved() == before
    });
}

#[test]
fn one_process_is_enough() {
    let cluster = RedisCluster::options().replicas(0).start();
    // No worker beside the process itself.
    let site = Site::new().workers(0).main("master_process off;\n");
    let site = start(&cluster, site);
    let before = cluster.calls("cluster|slots");
    for number in 0..3 {
        let paths = paths_at(&cluster, number, 2);
        fill_all(&site, &cluster, &paths);
    }
    assert!(cluster.calls("cluster|slots") <= before + 1);
    let path = paths_at(&cluster, 0, 1).remove(0);
    let slot = slot_of(path.as_bytes());
    cluster.move_slots(slot..=slot, 1);
    for _ in 0..5 {
        assert_eq!(site.get(&path).word(), "HIT");
    }
    assert_capped(&cluster, 1, 2);
}

#[test]
fn the_rights_of_the_readme_are_enough_and_passwords_are_read_again() {
    for (user, more, store) in [
        ("master", "", ""),
        ("replica", " +readonly", "read_from replica;\n"),
    ] {
        let cluster = RedisCluster::options()
            .masters(2)
            .replicas(2)
            .acl(&format!(
                "user default off\nuser cache on >first ~* {RIGHTS}{more}"
            ))
            .start();
        let file = tempfile_with("first");
        let text = format!(
            "{store}username cache;\npassword file:{};\n",
            file.path().display()
        );
        let mut site = start(&cluster, Site::new().spread().store(&text));
        let paths: Vec<_> = (0..2)
            .flat_map(|number| paths_at(&cluster, number, 2))
            .collect();
        fill_all(&site, &cluster, &paths);
        // ASKING, MOVED and a map.
        let slot = slot_of(paths[0].as_bytes());
        let moving = cluster.moving(slot, 1);
        moving.open();
        while moving.keys(10) > 0 {}
        assert_eq!(site.get(&paths[0]).word(), "HIT", "{user}");
        moving.close();
        assert_eq!(site.get(&paths[0]).word(), "HIT", "{user}");
        assert_eq!(site.ask(&Request::new("DELETE", &paths[1])).status, 200);
        assert_eq!(site.get(&paths[1]).word(), "STORE", "{user}");
        site.wait_for_hit(&paths[1]);
        // Another password, for new connections.
        for number in 0..4 {
            let _: () = cluster
                .node(number)
                .command(&["ACL", "SETUSER", "cache", ">second-one"]);
        }
        std::fs::write(file.path(), "second-one\n").unwrap();
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, PATIENCE);
        for number in 0..4 {
            let node = cluster.node(number);
            let _: () = node.command(&["ACL", "SETUSER", "cache", "<first"]);
            let _: i64 = node.command(&["CLIENT", "KILL", "USER", "cache"]);
        }
        for path in &paths {
            let hit = site.wait_for_hit(path);
            assert_eq!(hit.status, 200, "{user}");
        }
        let log = site.nginx.log();
        let serious = log.serious(Position::default());
        assert!(serious.is_empty(), "{user}: {serious:#?}");
        for password in ["first", "second-one"] {
            assert!(log.matching(Position::default(), password).is_empty());
        }
        assert_capped(&cluster, 4, 2);
    }
}

#[test]
fn caps_and_queues_hold_for_each_node() {
    let cluster = RedisCluster::options().replicas(0).start();
    for connections in [1, 4] {
        cluster.flush_all();
        cluster.net().forget_most_clients();
        let text = format!(
            "connect_timeout 800ms;\nsend_timeout 800ms;\nread_timeout 3s;\nconnections {connections};\nqueue 8;\n"
        );
        let site = start(&cluster, Site::new().spread().store(&text));
        let (held, other) = (paths_at(&cluster, 0, 40), paths_at(&cluster, 1, 2));
        fill_all(&site, &cluster, &other);
        for path in &held {
            let _ = site.wait_for_hit(path);
        }
        cluster.net().delay(0, Side::Clients, ms(300));
        let ((all, worst), seen) = while_asking(&site, &[&other], true, || {
            let all = crowd(site.address(), 120, |nth| {
                Request::get(&held[nth % held.len()])
            });
            (all.words(), all.slowest())
        });
        println!("{connections}: {all:?}, slowest {worst:?}");
        assert!(
            all.contains_key("SKIP") && all.contains_key("HIT"),
            "{all:?}"
        );
        assert!(words(&seen[0]).keys().all(|word| *word == "HIT"));
        assert_capped(&cluster, 2, connections);
        cluster.net().heal();
        assert!(
            !site
                .nginx
                .log()
                .matching(Position::default(), "commands waiting")
                .is_empty()
        );
    }
}

fn tempfile_with(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{text}\n")).unwrap();
    file
}
