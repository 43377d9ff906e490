//! `read_from replica`.

use testbed::{PATIENCE, RedisCluster, Side, Site, wait_for};

use super::{SHORT, assert_capped, fill, fill_all, paths_at, publish, start, version};

#[test]
fn lookups_go_to_replicas_and_to_the_master_where_they_have_nothing() {
    let cluster = RedisCluster::options().masters(1).replicas(1).start();
    cluster.wait_until_replicas_are_named();
    let store = format!("{SHORT}read_from replica;\n");
    for workers in [1, 2] {
        cluster.flush_all();
        let site = Site::new().workers(workers).spread().store(&store);
        let site = start(&cluster, site);
        let paths = paths_at(&cluster, 0, 4);
        fill_all(&site, &cluster, &paths);
        wait_for("the replica's copies", PATIENCE, || {
            cluster.node(1).keys().len() == 4
        });
        let lookups = |number: usize| cluster.node(number).calls("hmget");
        // As long as a worker has no map, or no connection to the replica yet, the master is asked.
        wait_for("workers that ask the replica", PATIENCE, || {
            let before = lookups(0);
            for path in paths.iter().cycle().take(20) {
                let _ = site.get(path);
            }
            lookups(0) == before
        });
        let before = (lookups(0), lookups(1));
        // Before a worker has a map it asks any node.
        let moved = cluster.node(1).info("errorstats", "errorstat_MOVED");
        for path in &paths {
            for _ in 0..5 {
                let hit = site.get(path);
                assert_eq!((hit.word().as_str(), version(path, &hit)), ("HIT", 1));
            }
        }
        assert_eq!((lookups(0), lookups(1)), (before.0, before.1 + 20));
        let refused = cluster.node(1).info("errorstats", "errorstat_MOVED");
        assert_eq!(refused, moved, "lookups at a replica are READONLY");

        // It is late: what it doesn't have is no proof.
        cluster.net().hold_replica(0, 1);
        let late = "/late".to_owned();
        publish(&site, std::slice::from_ref(&late));
        fill(&site, &cluster, &late);
        let hit = site.get(&late);
        assert_eq!((hit.word().as_str(), version(&late, &hit)), ("HIT", 1));
        assert!(!cluster.node(1).keys().contains(&late));
        cluster.net().heal();
        wait_for("the late copy", PATIENCE, || {
            cluster.node(1).keys().contains(&late)
        });
        assert_capped(&cluster, workers, 2);
        site.nginx.finish();
    }
}

#[test]
fn a_replica_that_cannot_serve_costs_no_hit() {
    let cluster = RedisCluster::options()
        .masters(1)
        .replicas(1)
        .line("replica-serve-stale-data no")
        .start();
    cluster.wait_until_replicas_are_named();
    let store = format!("{SHORT}read_from replica;\n");
    let site = start(&cluster, Site::new().spread().store(&store));
    let paths = paths_at(&cluster, 0, 4);
    fill_all(&site, &cluster, &paths);
    let all_hit = |what: &str| {
        for path in paths.iter().cycle().take(20) {
            let hit = site.get(path);
            assert_eq!(hit.word(), "HIT", "{what}: {:?}", hit.fields);
            version(path, &hit);
        }
    };
    let before = cluster.node(1).calls("hmget");
    all_hit("in good times");
    assert!(cluster.node(1).calls("hmget") >= before + 20);
    // MASTERDOWN: it has lost its master.
    cluster.net().refuse(1, Side::Servers);
    wait_for("a replica without master", PATIENCE, || {
        cluster.node(1).info("replication", "master_link_status") == "down"
    });
    all_hit("MASTERDOWN");
    cluster.net().heal();
    cluster.wait_until_agreed();
    // It hangs: the first lookups wait for it, then for the master.
    cluster.node(1).freeze();
    all_hit("frozen");
    cluster.node(1).thaw();
    cluster.wait_until_agreed();
    cluster.node(1).kill();
    all_hit("dead");
    cluster.restart(1);
    all_hit("again");
    assert_capped(&cluster, 2, 2);
}
