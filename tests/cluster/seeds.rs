//! The configured servers, and which maps are believed.

use testbed::{
    PATIENCE, Position, Redis, RedisCluster, Running, Side, Site, eventually, holds_for, ms,
    slot_of,
};

use super::{SHORT, fill_all, paths_at, start};

/// The log has such a line soon.
#[track_caller]
fn assert_said(site: &Running, words: &str) {
    let said = site
        .nginx
        .log()
        .wait_for(Position::default(), words, PATIENCE);
    assert!(
        said.is_some(),
        "no {words:?}: {}",
        site.nginx.log().tail(20)
    );
}

#[test]
fn seeds_that_are_dead_at_start_come_later() {
    let cluster = RedisCluster::options().replicas(0).start();
    for number in 0..3 {
        cluster.net().refuse(number, Side::Clients);
    }
    let site = start(&cluster, Site::new().spread().store(SHORT));
    for nth in 0..5 {
        let response = site.get(&format!("/{nth}"));
        assert_eq!((response.status, response.word().as_str()), (200, "SKIP"));
    }
    cluster.net().heal();
    for nth in 0..5 {
        site.wait_for_hit(&format!("/{nth}"));
    }
}

#[test]
fn one_seed_of_several_is_enough() {
    let cluster = RedisCluster::options().replicas(0).start();
    // A server that is no cluster's, one that doesn't run, and one that does.
    let alone = Redis::start();
    let text = format!(
        "mode cluster;\nserver {};\nserver 127.0.0.1:1;\nserver {};\n{SHORT}",
        alone.address(),
        cluster.node(1).address()
    );
    let site = Site::new().spread().store(&text).start();
    let paths: Vec<_> = (0..3)
        .map(|nth| paths_at(&cluster, nth, 1).remove(0))
        .collect();
    for path in &paths {
        site.wait_for_hit(path);
    }
    assert_eq!(cluster.keys().len(), 3);
    assert!(holds_for(ms(300), || paths
        .iter()
        .all(|path| site.get(path).word() == "HIT")));
    assert!(alone.keys().is_empty());
}

#[test]
fn a_server_that_is_no_cluster_gets_no_record() {
    let alone = Redis::start();
    let text = format!("mode cluster;\nserver {};\n{SHORT}", alone.address());
    let site = Site::new().workers(1).store(&text).start();
    assert_said(
        &site,
        "is down: ERR This instance has cluster support disabled",
    );
    for nth in 0..5 {
        let response = site.get(&format!("/{nth}"));
        assert_eq!((response.status, response.word().as_str()), (200, "SKIP"));
    }
    assert!(alone.keys().is_empty());
}

#[test]
fn a_node_that_does_not_know_its_name_is_complained_about() {
    let cluster = RedisCluster::options()
        .masters(1)
        .replicas(0)
        .line("cluster-preferred-endpoint-type hostname")
        .start();
    let site = start(&cluster, Site::new().store(SHORT));
    assert_eq!(site.get("/page").status, 200);
    assert_said(&site, "no slot map from");
    println!(
        "{:?}",
        site.nginx
            .log()
            .matching(Position::default(), "no slot map")
    );
    assert!(holds_for(ms(1500), || site.get("/page").status == 200));
    let said = site
        .nginx
        .log()
        .matching(Position::default(), "no slot map");
    assert!(said.len() <= 2, "once a worker: {said:?}");
}

#[test]
fn an_empty_endpoint_is_the_host_that_was_asked() {
    let cluster = RedisCluster::options()
        .replicas(0)
        .line("cluster-preferred-endpoint-type unknown-endpoint")
        .masters(1)
        .start();
    let site = start(&cluster, Site::new().spread().store(SHORT));
    for path in paths_at(&cluster, 0, 4) {
        site.wait_for_hit(&path);
    }
    assert!(site.nginx.log().serious(Position::default()).is_empty());
}

#[test]
fn a_map_that_has_lost_slots_is_not_believed_alone() {
    let cluster = RedisCluster::options()
        .replicas(0)
        .line("cluster-require-full-coverage no")
        .start();
    let site = start(&cluster, Site::new().spread().store(SHORT));
    let (paths, other) = (paths_at(&cluster, 1, 3), paths_at(&cluster, 0, 1));
    fill_all(&site, &cluster, &paths);
    fill_all(&site, &cluster, &other);
    // One node knows nothing of another, nor of its slots. From Redis 7.2 on it would have the others forget it, too.
    cluster.net().silence(2, Side::Servers);
    let _: () = cluster
        .node(2)
        .command(&["CLUSTER", "FORGET", &cluster.id(1)]);
    let before = cluster.node(2).calls("cluster|slots");
    let found = || paths.iter().all(|path| site.get(path).word() == "HIT");
    // Whom the map is asked of is a matter of chance: often enough it is the one that has forgotten.
    for _ in 0..20 {
        let asked = cluster.calls("cluster|slots");
        cluster.net().cut(0, Side::Clients);
        cluster.net().refuse(0, Side::Clients);
        let _ = site.get(&other[0]);
        let clients = cluster.net().peers(Side::Clients);
        for door in cluster.node(0).doors() {
            door.heal_for(&clients);
        }
        let again = eventually(PATIENCE, || {
            assert!(found());
            (cluster.calls("cluster|slots") > asked).then_some(())
        });
        assert!(again.is_some());
        if cluster.node(2).calls("cluster|slots") > before {
            break;
        }
    }
    assert!(holds_for(ms(300), found));
    assert!(cluster.node(2).calls("cluster|slots") > before);
}

#[test]
fn another_cluster_is_not_believed() {
    // The others soon know that a node is gone.
    let cluster = RedisCluster::options()
        .replicas(0)
        .line("cluster-require-full-coverage no")
        .start();
    let site = start(&cluster, Site::new().spread().store(SHORT));
    let paths = paths_at(&cluster, 1, 3);
    fill_all(&site, &cluster, &paths);
    // Node 0 is alone from now on and has all slots: its map has no other node of the known one.
    let slot = slot_of(paths[0].as_bytes());
    let _: () = cluster.node(0).command(&["FLUSHALL"]);
    cluster.reset(0, true);
    let _: () = cluster
        .node(0)
        .command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    // MOVED, so that the map is asked for, of whichever node.
    cluster.node(2).command::<redis::Value>(&["PING"]);
    assert!(holds_for(ms(2500), || {
        let _ = site.get(&cluster_key_of_0());
        paths.iter().all(|path| site.get(path).word() == "HIT")
    }));
    assert!(slot > 5460);
}

#[test]
fn a_cluster_that_was_made_anew_is_believed_after_a_reload() {
    let cluster = RedisCluster::options().masters(1).replicas(0).start();
    let mut site = start(&cluster, Site::new().spread().store(SHORT));
    site.wait_for_hit("/before");
    assert_said(&site, "new slot map");
    // The same server, of which nothing is left of what made it known: its id is another.
    cluster.reset(0, true);
    let _: () = cluster
        .node(0)
        .command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let before = site.nginx.log().end();
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    let log = site.nginx.log();
    for words in [
        "it belongs to another cluster",
        "new slot map: 1 masters of 1 nodes",
    ] {
        let said = log.wait_for(before, words, PATIENCE);
        assert!(said.is_some(), "no {words:?}: {}", log.tail(20));
    }
    site.wait_for_hit("/after");
}

/// A key of a slot below 5461.
fn cluster_key_of_0() -> String {
    let mut names = (0..).map(|nth| format!("/{nth}"));
    names.find(|key| slot_of(key.as_bytes()) <= 5460).unwrap()
}
