//! The bed's Redis Cluster does what it says, without the module.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use redis::RedisResult;
use testbed::{
    Failover, PATIENCE, Record, RedisCluster, SLOTS, Side, holds_for, ms, slot_of, wait_for,
};

/// What a client gets that asks node `number` through its door.
fn ask(cluster: &RedisCluster, number: usize, words: &[&str]) -> RedisResult<String> {
    let url = format!("redis://{}/", cluster.node(number).clear_address());
    let client = redis::Client::open(url)?;
    let mut connection = client.get_connection_with_timeout(ms(500))?;
    connection.set_read_timeout(Some(ms(300)))?;
    redis::cmd(words[0]).arg(&words[1..]).query(&mut connection)
}

#[test]
fn slots_are_those_of_redis() {
    let cluster = RedisCluster::options().masters(1).replicas(0).start();
    let keys = [
        "",
        "a",
        "123456789",
        "{a}b",
        "x{a}",
        "{}x",
        "a{b",
        "{{a}}",
        "/page?x={1}",
    ];
    for key in keys {
        let slot: u16 = cluster.node(0).command(&["CLUSTER", "KEYSLOT", key]);
        assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
    }
}

#[test]
fn a_cluster_starts_soon_serves_all_slots_and_replicates() {
    let start = Instant::now();
    let cluster = RedisCluster::start();
    let took = start.elapsed();
    println!("started in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let owners: BTreeSet<_> = (0..SLOTS)
        .step_by(911)
        .map(|slot| cluster.master_of(slot))
        .collect();
    assert_eq!(owners, [0, 1, 2].into());
    for master in 0..3 {
        assert_eq!(cluster.replicas_of(master), [master + 3]);
        let key = cluster.key_at(master, "page");
        let record = Record::lua_text("text");
        cluster.put(&key, &record, 100);
        assert_eq!(cluster.get(&key), Some(record));
        assert_eq!(cluster.node(master).keys(), [key.as_str()]);
        wait_for("the replica's copy", PATIENCE, || {
            cluster.node(master + 3).keys() == [key.as_str()]
        });
    }
    assert_eq!(cluster.keys().len(), 3);
    cluster.flush_all();
    assert!(cluster.keys().is_empty());

    // What is announced are doors, which count.
    let key = cluster.key_at(1, "x");
    let moved = ask(&cluster, 0, &["GET", &key]).unwrap_err().to_string();
    assert!(
        moved.contains(&cluster.node(1).address().to_string()),
        "{moved}"
    );
    wait_for("clients that have left", PATIENCE, || {
        cluster.net().clients_of(0) == 0
    });
    assert!(cluster.net().most_clients_of(0) >= 1);
    cluster.net().forget_most_clients();
    let kept: Vec<_> = (0..5)
        .map(|_| TcpStream::connect(cluster.node(0).address()).unwrap())
        .collect();
    wait_for("five clients", PATIENCE, || {
        cluster.net().clients_of(0) == 5
    });
    drop(kept);
    assert_eq!(cluster.net().most_clients_of(0), 5);
    assert_eq!(cluster.net().most_clients_of(1), 0);
    let before = cluster.calls("cluster|slots");
    let _: redis::Value = cluster.node(2).command(&["CLUSTER", "SLOTS"]);
    assert_eq!(cluster.calls("cluster|slots"), before + 1);
}

#[test]
fn slots_move_step_by_step_and_under_load() {
    let cluster = RedisCluster::options().replicas(0).start();
    let keys: Vec<_> = (0..5).map(|nth| format!("{{a}}{nth}")).collect();
    keys.iter().for_each(|key| cluster.set(key, key));
    let slot = slot_of(b"a");
    let (from, to) = (cluster.master_of(slot), (cluster.master_of(slot) + 1) % 3);
    let moving = cluster.moving(slot, to);
    assert_eq!(moving.from(), from);
    moving.open();
    assert_eq!(moving.keys(2), 2);
    let answers = keys.iter().map(|key| ask(&cluster, from, &["GET", key]));
    let asked = answers.filter(|answer| {
        answer
            .as_ref()
            .is_err_and(|error| error.code() == Some("ASK"))
    });
    assert_eq!(asked.count(), 2);
    assert_eq!(cluster.node(to).keys().len(), 2);
    assert_eq!(cluster.master_of(slot), from);
    while moving.keys(2) > 0 {}
    moving.close();
    assert_eq!(cluster.master_of(slot), to);
    let moved = ask(&cluster, from, &["GET", &keys[0]]).unwrap_err();
    assert_eq!(moved.code(), Some("MOVED"));
    assert_eq!(ask(&cluster, to, &["GET", &keys[0]]).unwrap(), keys[0]);
    cluster.wait_until_agreed();

    // One that is given up stays where it was.
    let moving = cluster.moving(slot, from);
    moving.open();
    moving.give_up();
    assert_eq!(ask(&cluster, to, &["GET", &keys[0]]).unwrap(), keys[0]);

    let moved = cluster.while_moving(slot..=slot + 3, (to, from), || {
        // No key is ever at neither node.
        holds_for(ms(500), || {
            let there: BTreeSet<_> = [from, to, from]
                .map(|node| cluster.node(node).keys())
                .concat()
                .into_iter()
                .collect();
            keys.iter().all(|key| there.contains(key))
        })
    });
    assert!(moved.result && moved.slots > 4, "{moved:?}");
    assert_eq!(cluster.master_of(slot), to);
    assert_eq!(cluster.keys(), keys);
}

#[test]
fn masters_change_die_hang_and_come_back() {
    let cluster = RedisCluster::start();
    cluster.set("x", "1");
    cluster.failover(3, Failover::Coordinated);
    cluster.wait_until_agreed();
    assert_eq!(cluster.masters(), [1, 2, 3]);
    assert_eq!(cluster.replicas_of(3), [0]);

    let (heir, took) = cluster.kill_master(1);
    println!("followed a killed master in {took:?}");
    assert_eq!(heir, 4);
    assert!(TcpStream::connect(cluster.node(1).address()).is_err());
    cluster.restart(1);
    assert_eq!(cluster.replicas_of(4), [1]);

    let (heir, took) = cluster.freeze_master(2);
    println!("followed a frozen master in {took:?}");
    assert_eq!(heir, 5);
    cluster.node(2).thaw();
    wait_for("the old master as a replica", PATIENCE, || {
        cluster.replicas_of(5) == [2]
    });
    cluster.wait_until_agreed();
    cluster.failover(2, Failover::Takeover);
    cluster.wait_until_agreed();
    assert_eq!(cluster.masters(), [2, 3, 4]);
}

#[test]
fn a_node_is_parted_from_clients_or_from_the_others() {
    let cluster = RedisCluster::start();
    let net = cluster.net();
    let ping = |number| ask(&cluster, number, &["PING"]);
    let mut kept = TcpStream::connect(cluster.node(0).address()).unwrap();
    net.refuse(0, Side::Clients);
    assert!(matches!(kept.read(&mut [0]), Ok(0) | Err(_)));
    assert!(ping(0).is_err() && ping(1).is_ok());
    net.heal();
    assert!(ping(0).is_ok());

    // Longer than a failover takes: the others see nothing of it.
    net.silence(0, Side::Clients);
    assert!(ping(0).is_err());
    assert!(holds_for(ms(1500), || cluster.masters() == [0, 1, 2]));
    net.heal();
    assert!(ping(0).is_ok());

    net.vanish(0);
    let refused = TcpStream::connect_timeout(&cluster.node(0).address(), ms(150));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(ping(1).is_ok() && cluster.masters() == [0, 1, 2]);
    net.heal();
    assert!(ping(0).is_ok());

    net.delay(0, Side::Clients, ms(60));
    let start = Instant::now();
    assert!(ping(0).is_ok() && start.elapsed() >= ms(120));
    net.heal();

    // Parted from the other nodes only: its replica takes over, clients still reach it.
    net.silence(0, Side::Servers);
    let took = wait_for("the replica of a parted master", PATIENCE, || {
        cluster.masters().contains(&3)
    });
    println!("followed a parted master in {took:?}");
    assert!(ping(0).is_ok());
    net.heal();
    wait_for("the old master as a replica", PATIENCE, || {
        cluster.replicas_of(3) == [0]
    });
    cluster.wait_until_agreed();

    net.hold_replica(1, 4);
    let key = cluster.key_at(1, "late");
    cluster.set(&key, "1");
    assert!(holds_for(ms(100), || cluster.node(4).keys().is_empty()));
    net.heal();
    wait_for("the late replica", PATIENCE, || {
        cluster.node(4).keys() == [key.as_str()]
    });
}

#[test]
fn nodes_come_and_go() {
    let cluster = RedisCluster::options().masters(3).replicas(0).start();
    let added = cluster.add_node();
    assert_eq!((added, cluster.masters()), (3, vec![0, 1, 2]));
    cluster.move_slots(0..=9, added);
    cluster.wait_until_agreed();
    assert_eq!((cluster.master_of(5), cluster.master_of(10)), (3, 0));
    cluster.move_slots(0..=9, 0);
    cluster.remove_node(added);
    cluster.wait_until_agreed();
    assert!(cluster.view(0).unwrap().len() == 3 && !cluster.node(added).is_well());
    let replica = cluster.add_node();
    cluster.add_replica(replica, 2);
    assert_eq!(cluster.replicas_of(2), [replica]);
    cluster.reset(replica, true);
    assert_eq!(cluster.view(replica).unwrap().len(), 1);
}

#[test]
fn passwords_users_tls_and_names() {
    let cluster = RedisCluster::options()
        .masters(1)
        .replicas(1)
        .acl("user default off\nuser cache on >secret ~* +hmget +cluster|slots")
        .names("node-NUMBER.redis.test")
        .tls()
        .start();
    let open = ask(&cluster, 0, &["PING"]).unwrap_err().to_string();
    assert!(open.contains("NOAUTH"), "{open}");
    let slots: redis::Value = cluster.node(0).command(&["CLUSTER", "SLOTS"]);
    assert!(
        format!("{slots:?}").contains("node-1.redis.test"),
        "{slots:?}"
    );
    let tls = cluster.tls().unwrap();
    let said = std::process::Command::new("openssl")
        .args([
            "s_client",
            "-verify_ip",
            "127.0.1.1",
            "-verify_return_error",
            "-CAfile",
        ])
        .arg(&tls.authority)
        .args(["-connect", &cluster.node(0).address().to_string()])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(said.status.success(), "{said:?}");
    assert!(cluster.directives().contains("tls_trusted_certificate"));

    let cluster = RedisCluster::options()
        .masters(2)
        .replicas(0)
        .password("secret")
        .start();
    cluster.set("a", "1");
    let slot = slot_of(b"a");
    let to = 1 - cluster.master_of(slot);
    cluster.moving(slot, to).all();
    assert_eq!(cluster.node(to).keys(), ["a"]);
}
