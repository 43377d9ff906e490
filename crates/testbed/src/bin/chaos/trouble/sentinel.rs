//! Trouble of a master, its replicas and its Sentinels.

use testbed::{Sentinels, Side, ms};

use super::{Scene, Trouble};

pub const ALL: [Trouble<Sentinels>; 13] = [
    loses("ordered failover", |all, _| {
        all.failover();
        all.wait_until_well();
    }),
    loses("kill the master", |all, scene| {
        let old = all.wait_for_master();
        all.kill_master();
        scene.go_on();
        all.restart(old);
    }),
    loses(
        "freeze the master until another one is there",
        |all, scene| {
            let old = all.wait_for_master();
            all.freeze_master();
            scene.go_on();
            all.server(old).thaw();
            all.wait_until_well();
        },
    ),
    loses("freeze the master for a moment", |all, scene| {
        let master = all.wait_for_master();
        scene.time = scene.time.min(ms(300));
        all.server(master).freeze();
        scene.go_on();
        all.server(master).thaw();
        all.wait_until_well();
    }),
    loses("a master parted from the other servers", |all, scene| {
        let old = all.wait_for_master();
        all.net().silence(old, Side::Servers);
        all.wait_for_another(old);
        scene.go_on();
        all.net().heal();
        all.wait_until_well();
    }),
    loses("a failover that one Sentinel doesn't see", |all, scene| {
        let number = scene.rng.below(all.sentinels().len() as u64) as usize;
        let stuck = all.sentinels().start + number;
        all.net().silence(stuck, Side::Servers);
        let old = all.wait_for_master();
        all.kill_master();
        scene.go_on();
        all.net().heal();
        all.restart(old);
    }),
    keeps("kill a replica", |all, scene| {
        let replica = scene.any(&all.replicas());
        all.server(replica).kill();
        scene.go_on();
        all.restart(replica);
    }),
    keeps("kill a Sentinel", |all, scene| {
        let sentinels: Vec<_> = all.sentinels().collect();
        let sentinel = scene.any(&sentinels);
        all.server(sentinel).kill();
        scene.go_on();
        all.restart(sentinel);
    }),
    keeps("freeze a Sentinel", |all, scene| {
        let sentinels: Vec<_> = all.sentinels().collect();
        let sentinel = scene.any(&sentinels);
        all.server(sentinel).freeze();
        scene.go_on();
        all.server(sentinel).thaw();
        all.wait_until_well();
    }),
    loses("silence between the module and the master", |all, scene| {
        let master = all.wait_for_master();
        all.net().silence(master, Side::Clients);
        scene.go_on();
        all.net().heal();
    }),
    loses("the master vanishes for the module", |all, scene| {
        all.net().vanish(all.wait_for_master());
        scene.go_on();
        all.net().heal();
    }),
    loses(
        "the module's connections to the master are refused",
        |all, scene| {
            let master = all.wait_for_master();
            all.net().refuse(master, Side::Clients);
            scene.go_on();
            all.net().heal();
        },
    ),
    loses(
        "the module's connections to the master are cut",
        |all, _| {
            all.net().cut(all.wait_for_master(), Side::Clients);
        },
    ),
];

type Make = fn(&Sentinels, &mut Scene<'_>);

const fn keeps(name: &'static str, make: Make) -> Trouble<Sentinels> {
    Trouble {
        name,
        loses: false,
        make,
    }
}

const fn loses(name: &'static str, make: Make) -> Trouble<Sentinels> {
    Trouble {
        name,
        loses: true,
        make,
    }
}
