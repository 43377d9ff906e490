//! A memory tier before a Redis Cluster, and before Sentinels: each key counts while its own master is heard.

use std::time::{Duration, Instant};

use testbed::{
    Client, PATIENCE, Position, Record, RedisCluster, Running, Sentinels, Side, holds_for, ms,
    wait_for,
};

use super::{LEASE, PUSHED, SLACK, site, source, warm};

/// Times of a store whose servers are about to be in trouble.
const SHORT: &str = "connect_timeout 800ms; send_timeout 800ms; read_timeout 800ms;\n";

/// A path for each master of a cluster, whose record is in memory.
fn warm_paths(cluster: &RedisCluster, client: &mut Client) -> Vec<String> {
    let masters = cluster.masters().into_iter();
    let paths: Vec<String> = masters
        .map(|number| cluster.key_at(number, "/warm/"))
        .collect();
    for path in &paths {
        put_and_warm(cluster, client, path, "as it was");
    }
    paths
}

#[track_caller]
fn put_and_warm(cluster: &RedisCluster, client: &mut Client, path: &str, text: &str) {
    wait_for("the record in memory", PATIENCE, || {
        // A fill that is under way may write over it.
        cluster.put(path, &Record::lua_text(text), 600);
        warm(client, path);
        client.get(path).text() == text
    });
}

/// How long a record is served that is deleted by `delete`.
fn until_gone(client: &mut Client, path: &str, delete: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    delete();
    let mut last = begun.elapsed();
    while client.get(path).text() == "as it was" {
        last = begun.elapsed();
        assert!(last < PATIENCE, "{path} is never gone");
    }
    last
}

fn before_a_cluster(cluster: &RedisCluster, more: &str) -> Running {
    site("")
        .store(&format!("{}{SHORT}{more}", cluster.directives()))
        .start()
}

#[test]
fn each_master_of_a_cluster_is_listened_to() {
    let cluster = RedisCluster::start();
    cluster.wait_until_replicas_are_named();
    for more in ["", "read_from replica;"] {
        let site = before_a_cluster(&cluster, more);
        let mut client = site.client();
        for path in warm_paths(&cluster, &mut client) {
            let before = cluster.calls("hmget");
            assert_eq!(source(&mut client, &path), "memory");
            assert_eq!(cluster.calls("hmget"), before);
            let delete = || {
                let _: i64 = cluster.command_for(&path, &["DEL", &path]);
            };
            let took = until_gone(&mut client, &path, delete);
            assert!(took < PUSHED, "{more}{path}: {took:?}");
        }
    }
}

/// Which replicas there are says nothing of the servers of keys.
#[test]
fn a_replica_that_goes_leaves_memory_alone() {
    let cluster = RedisCluster::options().node_timeout(ms(1000)).start();
    let site = before_a_cluster(&cluster, "");
    let mut client = site.client();
    let masters = cluster.masters();
    let paths: Vec<String> = [masters[0], masters[2]]
        .iter()
        .map(|number| cluster.key_at(*number, "/warm/"))
        .collect();
    let log = site.nginx.log();
    // The map is asked for where a master is in trouble.
    let other = cluster.key_at(masters[1], "/other/");
    let ask_for_map = || {
        cluster.net().refuse(masters[1], Side::Clients);
        cluster.net().cut(masters[1], Side::Clients);
        let _ = site.get(&other);
        cluster.net().heal();
    };
    // The nodes of a young cluster say different things.
    wait_for(
        "a map of all nodes, and records in memory",
        PATIENCE,
        || {
            ask_for_map();
            paths
                .iter()
                .for_each(|path| put_and_warm(&cluster, &mut client, path, "as it was"));
            !log.matching(Position::default(), "of 6 nodes").is_empty()
                && holds_for(ms(1200), || {
                    let mut paths = paths.iter();
                    paths.all(|path| source(&mut client, path) == "memory")
                })
        },
    );
    let (from, replica) = (log.end(), cluster.replicas_of(masters[0])[0]);
    cluster.node(replica).kill();
    wait_for("a map without the replica", PATIENCE, || {
        ask_for_map();
        for path in &paths {
            assert_eq!(source(&mut client, path), "memory", "{}", log.tail(20));
        }
        !log.matching(from, "3 masters of 5 nodes").is_empty()
    });
    assert!(holds_for(ms(500), || {
        let mut paths = paths.iter();
        paths.all(|path| source(&mut client, path) == "memory")
    }));
    site.nginx.finish();
}

#[test]
fn slots_that_move_take_their_records_along() {
    let cluster = RedisCluster::start();
    let site = before_a_cluster(&cluster, "");
    let mut client = site.client();
    let path = cluster.key_at(0, "/moved/");
    let slot = testbed::slot_of(path.as_bytes());
    for to in [1, 0, 2] {
        put_and_warm(&cluster, &mut client, &path, "as it was");
        cluster.moving(slot, to).all();
        // At its new place it is another master's.
        let delete = || {
            let _: i64 = cluster.command_for(&path, &["DEL", &path]);
        };
        let took = until_gone(&mut client, &path, delete);
        println!("moved to {to}: the last old answer after {took:?}");
        assert!(took < LEASE + SLACK, "{took:?}");
    }
    put_and_warm(&cluster, &mut client, &path, "as it was");
}

#[test]
fn a_slot_that_is_given_away_without_its_keys_is_noticed() {
    let cluster = RedisCluster::start();
    let site = before_a_cluster(&cluster, "");
    let mut client = site.client();
    let path = cluster.key_at(0, "/given/");
    let slot = testbed::slot_of(path.as_bytes());
    put_and_warm(&cluster, &mut client, &path, "as it was");
    let moving = cluster.moving(slot, 1);
    // Nobody deletes what node 0 has of it before.
    let took = until_gone(&mut client, &path, || {
        moving.close_at(1);
        for node in [0, 2] {
            let number = slot.to_string();
            let words = ["CLUSTER", "SETSLOT", &number, "NODE", &cluster.id(1)];
            let _ = cluster.node(node).try_command::<()>(&words);
        }
    });
    println!("the last old answer after {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
}

#[test]
fn a_master_that_dies_costs_its_own_records_alone() {
    let cluster = RedisCluster::start();
    let site = before_a_cluster(&cluster, "");
    let mut client = site.client();
    let paths = warm_paths(&cluster, &mut client);
    let (heir, _) = cluster.kill_master(0);
    wait_for("its records at the heir", PATIENCE, || {
        cluster.get(&paths[0]).is_some()
    });
    put_and_warm(&cluster, &mut client, &paths[0], "as it was");
    let delete = || {
        let _: i64 = cluster.node(heir).command(&["DEL", &paths[0]]);
    };
    let took = until_gone(&mut client, &paths[0], delete);
    assert!(took < PUSHED, "{took:?}");
    for path in &paths[1..] {
        put_and_warm(&cluster, &mut client, path, "as it was");
    }
}

#[test]
fn the_master_behind_sentinels_is_followed() {
    let all = Sentinels::options().down_after(ms(500)).start();
    let site = site("")
        .store(&format!("{}{SHORT}", all.directives()))
        .start();
    let mut client = site.client();
    let key = site.key("/followed");
    let keep = |client: &mut Client| {
        wait_for("the record in memory", PATIENCE, || {
            let master = all.server(all.wait_for_master());
            let mut connection = master.connect().unwrap();
            let _ = Record::lua_text("as it was").write(&mut connection, &key, 600);
            warm(client, "/followed");
            client.get("/followed").text() == "as it was"
        });
    };
    let delete = || {
        let _: i64 = all.command(&["DEL", &key]);
    };
    keep(&mut client);
    assert!(until_gone(&mut client, "/followed", delete) < PUSHED);
    keep(&mut client);
    let _ = all.failover();
    let took = until_gone(&mut client, "/followed", delete);
    println!("after a failover: {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
    keep(&mut client);
    let _ = all.kill_master();
    let took = until_gone(&mut client, "/followed", delete);
    println!("after a death: {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
    keep(&mut client);
}
