//! Trouble of a Redis Cluster.

use testbed::{Failover, PATIENCE, RedisCluster, Side, ms, wait_for};

use super::{Scene, Trouble};

pub const ALL: [Trouble<RedisCluster>; 17] = [
    keeps("coordinated failover", |cluster, scene| {
        failover(cluster, scene, Failover::Coordinated);
    }),
    loses("forced failover", |cluster, scene| {
        failover(cluster, scene, Failover::Force);
    }),
    loses("takeover", |cluster, scene| {
        failover(cluster, scene, Failover::Takeover);
    }),
    loses("kill a master", |cluster, scene| {
        let (master, _) = pair(cluster, scene);
        cluster.kill_master(master);
        scene.go_on();
        cluster.restart(master);
    }),
    keeps("kill a replica", |cluster, scene| {
        let (_, replica) = pair(cluster, scene);
        cluster.node(replica).kill();
        scene.go_on();
        cluster.restart(replica);
    }),
    loses(
        "freeze a master until a replica has taken over",
        |cluster, scene| {
            let (master, _) = pair(cluster, scene);
            cluster.freeze_master(master);
            scene.go_on();
            cluster.node(master).thaw();
            cluster.wait_until_agreed();
        },
    ),
    loses("freeze a master for a moment", |cluster, scene| {
        let (master, _) = pair(cluster, scene);
        scene.time = scene.time.min(ms(700));
        cluster.node(master).freeze();
        scene.go_on();
        cluster.node(master).thaw();
        cluster.wait_until_agreed();
    }),
    keeps("freeze a replica", |cluster, scene| {
        let (_, replica) = pair(cluster, scene);
        cluster.node(replica).freeze();
        scene.go_on();
        cluster.node(replica).thaw();
        cluster.wait_until_agreed();
    }),
    keeps("reshard to and fro", reshard),
    keeps("reshard to and fro", reshard),
    keeps("a node comes and goes", come_and_go),
    loses(
        "silence between the module and a master",
        |cluster, scene| {
            part(cluster, scene, |net, master| {
                net.silence(master, Side::Clients)
            });
        },
    ),
    loses("a master vanishes for the module", |cluster, scene| {
        part(cluster, scene, |net, master| net.vanish(master));
    }),
    loses(
        "the module's connections to a master are refused",
        |cluster, scene| {
            part(cluster, scene, |net, master| {
                net.refuse(master, Side::Clients)
            });
        },
    ),
    loses(
        "the module's connections to a master are cut",
        |cluster, scene| {
            part(cluster, scene, |net, master| net.cut(master, Side::Clients));
        },
    ),
    loses("a master parted from the other nodes", |cluster, scene| {
        let (master, replica) = pair(cluster, scene);
        cluster.net().silence(master, Side::Servers);
        cluster.wait_for_master(replica);
        scene.go_on();
        cluster.net().heal();
        wait_for("the old master as a replica", PATIENCE, || {
            cluster.replicas_of(replica).contains(&master)
        });
        cluster.wait_until_agreed();
    }),
    loses("a slow way to a master", |cluster, scene| {
        let time = ms(10 + scene.rng.below(60));
        part(cluster, scene, |net, master| {
            net.delay(master, Side::Clients, time)
        });
    }),
];

type Make = fn(&RedisCluster, &mut Scene<'_>);

const fn keeps(name: &'static str, make: Make) -> Trouble<RedisCluster> {
    Trouble {
        name,
        loses: false,
        make,
    }
}

const fn loses(name: &'static str, make: Make) -> Trouble<RedisCluster> {
    Trouble {
        name,
        loses: true,
        make,
    }
}

/// A master that has a replica, and that replica.
fn pair(cluster: &RedisCluster, scene: &mut Scene<'_>) -> (usize, usize) {
    let masters = cluster.masters();
    let pairs = masters.into_iter().filter_map(|master| {
        let replicas = cluster.replicas_of(master);
        replicas.first().map(|replica| (master, *replica))
    });
    let pairs: Vec<_> = pairs.collect();
    scene.any(&pairs)
}

fn failover(cluster: &RedisCluster, scene: &mut Scene<'_>, how: Failover) {
    let (_, replica) = pair(cluster, scene);
    cluster.failover(replica, how);
    cluster.wait_until_agreed();
}

fn part(cluster: &RedisCluster, scene: &mut Scene<'_>, part: impl Fn(&testbed::Net, usize)) {
    let (master, _) = pair(cluster, scene);
    part(cluster.net(), master);
    scene.go_on();
    cluster.net().heal();
}

/// A range around a slot that has a page goes to another master, back, and so on.
fn reshard(cluster: &RedisCluster, scene: &mut Scene<'_>) {
    let first = scene.owners.some_slot(scene.rng.next());
    let from = cluster.master_of(first);
    let mut others = cluster.masters();
    others.retain(|master| *master != from);
    let to = scene.any(&others);
    let same = |slot: &u16| cluster.owner_of(*slot) == Some(from);
    let last = (first..first.saturating_add(8)).take_while(same).last();
    cluster.while_moving(first..=last.unwrap_or(first), (from, to), || scene.go_on());
    cluster.wait_until_agreed();
}

/// A node gets slots with pages, has them for a while, gives them back, and is removed.
fn come_and_go(cluster: &RedisCluster, scene: &mut Scene<'_>) {
    let slots: Vec<_> = (0..6)
        .map(|_| scene.owners.some_slot(scene.rng.next()))
        .collect();
    let olds: Vec<_> = slots.iter().map(|slot| cluster.master_of(*slot)).collect();
    let node = cluster.add_node();
    for slot in &slots {
        cluster.move_slots(*slot..=*slot, node);
    }
    scene.go_on();
    for (slot, old) in slots.iter().zip(olds) {
        cluster.move_slots(*slot..=*slot, old);
    }
    cluster.wait_until_agreed();
    cluster.remove_node(node);
}
