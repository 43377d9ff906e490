//! Single situations with several servers, to the millisecond: 1 ms to a server, 1 ms back.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::config::{Behaviour, Config, Key};
use super::happening;
use super::resharding::moves;
use super::routes::NODE_TIMEOUT;
use super::servers::{Id, Server, band};
use super::stage::{crowd, world};
use super::store;
use super::topology::{Mode, Topology, Trouble};
use super::variants::FieldValues;
use super::world::{START, World};

/// When lookups were over, and whether they found the record. `None`: no reply.
type Looks = Rc<RefCell<Vec<(u64, Option<bool>)>>>;

/// A store of servers in which key 0 and key 3 have records. They are in bands of different masters.
fn servers(mode: Mode, seed: u64, troubles: &[(u64, Trouble)]) -> Rc<World> {
    let read_from_replica = false;
    servers_read_from(read_from_replica, mode, seed, troubles)
}

fn servers_read_from(
    read_from_replica: bool,
    mode: Mode,
    seed: u64,
    troubles: &[(u64, Trouble)],
) -> Rc<World> {
    let topology = Topology {
        read_from_replica,
        mode,
        masters: if mode == Mode::Cluster { 2 } else { 1 },
        replicas: 1,
        troubles: troubles.iter().map(|(at, t)| (START + at, *t)).collect(),
        ..Topology::default()
    };
    let config = Config {
        seed,
        keys: 4,
        topology,
        ..Config::plain()
    };
    let world = world(config, (0..20).map(|_| Behaviour::good(1, 1)));
    super::watching::watch(&world, START + 5000);
    happening::plan(&world);
    crowd(&world, 1, 100, (0, 0));
    world.at(START + 100, |world| {
        super::client::arrive(world, 0, 0, 3, Default::default());
    });
    world.run_until(START + 200);
    let owner = |key: Key| world.store.servers().owner(key);
    assert!(
        world.store.peek(0, world.now()).is_some() && world.store.peek(3, world.now()).is_some()
    );
    assert_eq!(owner(0) == owner(3), mode == Mode::Sentinel);
    world
}

/// A worker looks for a key at these times.
fn look(world: &Rc<World>, worker: usize, key: Key, times: &[u64]) -> Looks {
    let looks = Looks::default();
    for at in times {
        let looks = Rc::clone(&looks);
        world.at(START + at, move |world| {
            let (all, own) = (Rc::clone(world), world.worker(0, worker));
            let by = Rc::clone(&own);
            own.spawn(async move {
                let found = store::lookup(&all, &by, key, FieldValues::default()).await;
                let found = found.ok().map(|found| found.record.is_some());
                looks.borrow_mut().push((all.now() - START, found));
                None
            });
        });
    }
    looks
}

const HIT: Option<bool> = Some(true);

#[test]
fn a_slot_that_has_moved_costs_each_worker_one_redirect() {
    let world = servers(Mode::Cluster, 0, &[]);
    world.at(START + 300, |world| {
        let to: Id = world.store.servers().owner(3);
        moves(world, band(0), to);
    });
    // No worker meets it before it is over; then both do before the map comes.
    let looks = [0, 1].map(|worker| look(&world, worker, 0, &[400, 410, 2000]));
    world.run();
    for looks in looks {
        assert_eq!(*looks.borrow(), [(404, HIT), (412, HIT), (2002, HIT)]);
    }
    world.end();
}

#[test]
fn a_key_on_its_way_is_asked_for_where_it_is_and_the_map_stays() {
    let world = servers(Mode::Cluster, 0, &[]);
    let (from, to) = (
        world.store.servers().owner(0),
        world.store.servers().owner(3),
    );
    // Moved, but for the end of it.
    {
        let mut all = world.store.servers().all.borrow_mut();
        all[from].migrating[band(0)] = Some(to);
        all[to].importing[band(0)] = Some(from);
        let (stored, _) = all[from].data.take((0, 0));
        all[to].data.put((0, 0), stored.unwrap());
    }
    let looks = look(&world, 0, 0, &[300, 400, 2000]);
    world.run();
    assert_eq!(*looks.borrow(), [(304, HIT), (404, HIT), (2004, HIT)]);
    world.end();
}

/// A lookup meets three refused connections and two pauses of 10 ms at the dead master. At the other it is as ever.
#[test]
fn a_dead_master_delays_its_own_slots_only_and_its_successor_is_found() {
    // Nobody takes its place before 500: the others wait for 300 ms.
    let world = servers(Mode::Cluster, 0, &[(200, Trouble::KillMaster(0, 5000))]);
    let times = [250, 300, 600, 1700];
    let (own, others) = (look(&world, 0, 0, &times), look(&world, 1, 3, &times));
    world.run();
    assert_eq!(
        *others.borrow(),
        [(252, HIT), (302, HIT), (602, HIT), (1702, HIT)]
    );
    let own = own.borrow();
    assert_eq!(own[..2], [(276, None), (326, None)]);
    // At 600 the next round is not yet due; the one after a second has the new map.
    assert_eq!(own[2], (626, None));
    assert_eq!(own[3], (1702, HIT));
    drop(own);
    world.end();
}

/// The hint of the Sentinels may be lost: READONLY asks them, too.
#[test]
fn behind_sentinels_a_write_that_meets_a_replica_is_at_the_new_master_at_once() {
    let mut met = BTreeSet::new();
    for seed in 0..10 {
        let world = servers(Mode::Sentinel, seed, &[(1000, Trouble::Failover(0))]);
        world.at(START + 900, |world| world.store.put(0, None));
        crowd(&world, 1, 1000, (0, 0));
        world.run_until(START + 1030);
        assert_eq!(world.store.servers().owner(0), 1);
        let stored = world.store.peek(0, world.now());
        assert!(stored.is_some_and(|stored| stored.fill == 2), "{seed}");
        world.run();
        met.append(&mut world.judge().routing.met);
        world.end();
    }
    assert!(met.contains("READONLY"), "{met:?}");
}

/// A lookup costs a replica's failure and one more way: to the master.
#[test]
fn behind_sentinels_a_replica_that_cannot_serve_costs_no_hit() {
    type Ill = fn(&World);
    let ills: [(&str, Ill, u64); 5] = [
        ("well", |_| (), 2),
        ("late", |world| server(world, 1, |it| it.data.purge(0)), 4),
        ("dead", |world| server(world, 1, |it| it.up = false), 4),
        (
            "loading",
            |world| server(world, 1, |it| it.syncing = true),
            4,
        ),
        (
            "frozen",
            |world| server(world, 1, |it| it.frozen = START + 500),
            NODE_TIMEOUT + 2,
        ),
    ];
    for (what, befalls, takes) in ills {
        let world = servers_read_from(true, Mode::Sentinel, 0, &[]);
        // The next look at the Sentinels comes at 600.
        world.at(START + 310, move |world| befalls(world));
        let looks = look(&world, 0, 0, &[320]);
        world.run();
        assert_eq!(*looks.borrow(), [(320 + takes, HIT)], "{what}");
        world.end();
    }
}

#[test]
fn behind_sentinels_replicas_serve_while_there_is_no_master() {
    let world = servers_read_from(true, Mode::Sentinel, 0, &[]);
    world.at(START + 310, |world| server(world, 0, |it| it.up = false));
    let looks = look(&world, 0, 0, &[320]);
    world.run();
    assert_eq!(*looks.borrow(), [(322, HIT)]);
    world.end();
}

fn server(world: &World, id: Id, change: impl FnOnce(&mut Server)) {
    change(&mut world.store.servers().all.borrow_mut()[id]);
}
