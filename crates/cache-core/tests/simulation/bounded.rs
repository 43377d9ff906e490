//! Keys that are marked as not storable, and more waiters than may wait: to the request and to the millisecond.

use std::rc::Rc;

use cache_core::flow::Verdict;
use cache_core::outcome::Reason;

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Config, Kind};
use super::faults::{Faults, plan};
use super::invariants::Decision;
use super::stage::{STORE, asked, comes, crowd, faulty, rest, tally, world};
use super::world::{START, World};
use super::zone::Zone;
use crate::table::Acquired;

const UNLOCKED: Decision = Decision::Fill {
    locked: false,
    reason: None,
};
const CROWDED: Decision = Decision::Pass(Reason::TooManyWaiters);

/// A world whose key 0 has had an answer of a kind that isn't stored, at 302.
fn after(kind: Kind, config: Config) -> Rc<World> {
    let world = world(config, [Behaviour::good(300, 10).of(kind)]);
    crowd(&world, 1, 0, (0, 0));
    world.run_until(START + 999);
    assert_eq!(tally(&world), [(2, STORE, 1)]);
    world
}

fn crowds(world: &Rc<World>, at: u64) {
    crowd(world, 25, at, (0, 0));
    crowd(world, 25, at, (0, 1));
}

#[test]
fn a_marked_key_is_filled_side_by_side_until_an_answer_is_storable() {
    for kind in [Kind::Private, Kind::Cookie, Kind::NoStore] {
        let world = after(kind, Config::plain());
        crowds(&world, 1000);
        world.run_until(START + 1999);
        assert_eq!(tally(&world)[1..], [(1002, UNLOCKED, 50)]);
        assert_eq!(world.backend.count(), 51);
        // Stored, whoever was first; the mark is gone with it, well before its end at 5302.
        assert!(world.store.peek(0, world.now()).is_some());
        world.store.put(0, None);
        crowds(&world, 2000);
        rest(&world);
        let expected = [
            (2002, STORE, 1),
            (2302, Decision::Join, 24),
            (2336, Decision::Hit, 25),
        ];
        assert_eq!(tally(&world)[2..], expected);
        world.end();
    }
}

#[test]
fn a_mark_ends_by_itself() {
    let config = Config {
        uncacheable_ttl: 1000,
        ..Config::plain()
    };
    let world = after(Kind::NoStore, config);
    // It is known since 302.
    crowd(&world, 1, 1299, (0, 0));
    crowd(&world, 1, 1300, (0, 1));
    rest(&world);
    assert_eq!(tally(&world)[1..], [(1301, UNLOCKED, 1), (1302, STORE, 1)]);
    world.end();
}

#[test]
fn what_is_stored_ends_the_mark_of_a_holder_that_came_too_late() {
    let config = Config {
        lock_age: 1000,
        ..faulty(Faults {
            freezes: vec![(START + 100, 2000, 0)],
            ..Faults::default()
        })
    };
    let script = [
        Behaviour::good(300, 10).of(Kind::NoStore),
        Behaviour::good(2000, 10),
    ];
    let world = world(config, script);
    plan(&world);
    crowd(&world, 1, 0, (0, 0));
    // It takes the lock over at 1056; the first holder says at 2100 that its answer isn't storable.
    crowd(&world, 1, 0, (0, 1));
    world.run_until(START + 3499);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (1056, Purpose::Fill)]);
    world.store.put(0, None);
    crowd(&world, 1, 3500, (0, 1));
    rest(&world);
    assert_eq!(tally(&world).last(), Some(&(3502, STORE, 1)));
    world.end();
}

#[test]
fn what_says_nothing_of_the_next_answer_marks_nothing() {
    for kind in [Kind::Error, Kind::Cut, Kind::Silent] {
        let world = after(kind, Config::plain());
        crowds(&world, 1000);
        rest(&world);
        let expected = [(2, Purpose::Fill), (1002, Purpose::Fill)];
        assert_eq!(asked(&world), expected, "{kind:?}");
        world.end();
    }
}

#[test]
fn a_stale_record_of_a_marked_key_is_served_as_it_is() {
    let mut refill = Behaviour::good(10, 10).of(Kind::NoStore);
    refill.fresh = 0;
    let world = world(Config::plain(), [Behaviour::good(300, 10), refill]);
    super::stage::record(&world, 0);
    crowd(&world, 1, 2000, (0, 0));
    crowd(&world, 5, 3000, (0, 1));
    crowd(&world, 1, 8000, (0, 1));
    rest(&world);
    let stale = |refill| Decision::Stale { refill };
    let expected = [
        (2, STORE, 1),
        (2002, stale(true), 1),
        (3002, stale(false), 5),
        (8002, stale(true), 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn beyond_the_bound_nobody_waits() {
    let config = Config {
        queue: 5,
        ..Config::plain()
    };
    let world = world(config, [Behaviour::good(300, 10)]);
    let leaves = Manner {
        leaves: Some(50),
        ..Manner::default()
    };
    crowd(&world, 1, 0, (0, 0));
    // Three wait in one worker, two in the other; one of each leaves.
    for (index, manner) in [(0, leaves), (0, Manner::default()), (0, Manner::default())] {
        comes(&world, 10, (0, index), manner);
    }
    for manner in [leaves, Manner::default()] {
        comes(&world, 10, (0, 1), manner);
    }
    crowd(&world, 3, 20, (0, 0));
    crowd(&world, 4, 20, (0, 1));
    // Two places are free again.
    crowd(&world, 3, 100, (0, 1));
    rest(&world);
    let expected = [
        (2, STORE, 1),
        (22, CROWDED, 7),
        (102, CROWDED, 1),
        (302, Decision::Join, 2),
        (336, Decision::Hit, 3),
    ];
    assert_eq!(tally(&world), expected);
    // Passed in the clients' own requests.
    let passes = asked(&world);
    let passes = passes.iter().filter(|(_, why)| *why == Purpose::Pass);
    assert_eq!(passes.count(), 8);
    world.end();
}

#[test]
fn the_next_holding_has_a_queue_of_its_own() {
    let config = Config {
        queue: 5,
        ..Config::plain()
    };
    let world = world(config, [Behaviour::good(300, 10).of(Kind::Silent)]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 7, 10, (0, 1));
    // Five have waited in vain: one fills, four wait for that one, and another has room beside them.
    crowd(&world, 2, 400, (0, 1));
    rest(&world);
    let expected = [
        (2, STORE, 1),
        (12, CROWDED, 2),
        (304, STORE, 1),
        (402, CROWDED, 1),
        (604, Decision::Join, 5),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn the_key_that_was_idle_for_longest_makes_room() {
    let zone = Zone::new(3);
    let take = |key, now| match zone.acquire(key, zone.sequence(), 1, now, (1000, 1)) {
        Acquired::Mine { instance, .. } => Some(instance),
        _ => None,
    };
    let used = |key, now| {
        let instance = take(key, now).unwrap();
        let memory = Config {
            uncacheable_ttl: 100_000,
            ..Config::plain()
        }
        .memory();
        zone.release(key, instance, Verdict::Uncacheable, memory, now);
    };
    for (key, now) in [(0, 1), (1, 2), (2, 3)] {
        used(key, START + now);
    }
    let known = |key| {
        let told = zone.acquire(key, zone.sequence(), 1, START + 10, (1000, 1));
        told == Acquired::Unneeded
    };
    assert!(known(0) && known(1) && known(2));
    used(3, START + 10);
    assert!(known(1) && known(2) && known(3));
    // All are held: there is no room for another, and that is said once a minute.
    for key in [4, 5, 6] {
        assert!(take(key, START + 20).is_some());
    }
    assert!(take(7, START + 30).is_none());
    let told = [0, 1, 59_999, 60_000, 60_001].map(|later| zone.must_tell(START + later));
    assert_eq!(told, [true, false, false, true, false]);
}
