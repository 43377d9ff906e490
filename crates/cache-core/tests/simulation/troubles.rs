//! Single situations in which something goes wrong, to the request and to the millisecond.

use std::rc::Rc;

use cache_core::flow::Verdict;
use cache_core::outcome::Reason;

use super::backend::Purpose;
use super::client::{Manner, arrive};
use super::config::{Behaviour, Config, Kind};
use super::faults::{Faults, StoreFault, plan};
use super::invariants::Decision;
use super::stage::{RELEASED, STORE, asked, comes, crowd, faulty, rest, tally, world};
use super::world::{START, World};
use super::zone::Zone;
use crate::table::Acquired;

#[test]
fn a_fill_without_answer_does_not_spin_its_subscribers_while_the_store_is_down() {
    let world = world(
        Config {
            together: true,
            ..faulty(Faults {
                store: vec![(START + 50, START + 500, StoreFault::Refusing)],
                ..Faults::default()
            })
        },
        [Behaviour::good(100, 10).of(Kind::Silent)],
    );
    world.faulty.set(true);
    // Some join before the task of the fill runs first, and are woken before it.
    crowd(&world, 50, 0, (0, 0));
    rest(&world);
    let fills = asked(&world);
    assert_eq!(fills, [(2, Purpose::Fill), (102, Purpose::Fill)]);
    world.end();
}

#[test]
fn waiters_notice_that_the_holder_was_killed() {
    let world = world(
        faulty(Faults {
            kills: vec![(START + 100, 0)],
            ..Faults::default()
        }),
        [],
    );
    plan(&world);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 20, 0, (0, 1));
    rest(&world);
    // They look for themselves every 50 ms since 2, and then into the store.
    assert_eq!(asked(&world), [(2, Purpose::Fill), (104, Purpose::Fill)]);
    world.end();
}

#[test]
fn a_lost_wake_up_costs_a_look() {
    let world = world(
        faulty(Faults {
            wake_lost: 100,
            ..Faults::default()
        }),
        [Behaviour::good(300, 10)],
    );
    world.faulty.set(true);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 20, 0, (0, 1));
    rest(&world);
    assert_eq!(tally(&world), [(2, STORE, 1), (354, Decision::Hit, 20)]);
    world.end();
}

#[test]
fn a_holder_that_does_nothing_is_replaced_when_its_lock_is_old() {
    let world = world(
        Config {
            lock_age: 1000,
            ..faulty(Faults {
                freezes: vec![(START + 100, 60_000, 0)],
                ..Faults::default()
            })
        },
        [Behaviour::good(300, 10)],
    );
    plan(&world);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 20, 0, (0, 1));
    rest(&world);
    // Older than 1000 ms at the look that comes 1050 ms after its taking.
    assert_eq!(asked(&world), [(2, Purpose::Fill), (1056, Purpose::Fill)]);
    world.end();
}

#[test]
fn a_store_that_is_down_costs_no_more_fills() {
    let world = world(
        faulty(Faults {
            store: vec![(START, START + 60_000, StoreFault::Refusing)],
            ..Faults::default()
        }),
        [],
    );
    world.faulty.set(true);
    crowd(&world, 200, 0, (0, 0));
    rest(&world);
    let skip = Decision::Fill {
        locked: true,
        reason: Some(Reason::StoreUnavailable),
    };
    assert_eq!(asked(&world), [(0, Purpose::Fill)]);
    assert_eq!(tally(&world), [(0, skip, 1), (300, Decision::Join, 199)]);
    world.end();
}

/// What one worker fetches can't come to another without the store: each asks the backend itself, once and at once.
#[test]
fn while_the_store_is_down_nobody_waits_for_another_worker() {
    let world = world(
        faulty(Faults {
            store: vec![(START, START + 60_000, StoreFault::Refusing)],
            ..Faults::default()
        }),
        [Behaviour::good(300, 400), Behaviour::good(300, 400)],
    );
    world.faulty.set(true);
    for index in [0, 1] {
        crowd(&world, 100, 0, (0, index));
        crowd(&world, 50, 100, (0, index));
    }
    rest(&world);
    let skip = Decision::Fill {
        locked: true,
        reason: Some(Reason::StoreUnavailable),
    };
    assert_eq!(asked(&world), [(0, Purpose::Fill), (0, Purpose::Fill)]);
    assert_eq!(tally(&world), [(0, skip, 2), (300, Decision::Join, 298)]);
    world.end();
}

/// One whose look has failed doesn't hold up those of another worker who can use the store.
#[test]
fn who_cannot_use_the_store_holds_no_lock_of_those_who_can() {
    let world = world(
        faulty(Faults {
            store: vec![(START, START + 10, StoreFault::Refusing)],
            ..Faults::default()
        }),
        [Behaviour::good(3000, 10), Behaviour::good(100, 10)],
    );
    world.faulty.set(true);
    crowd(&world, 10, 0, (0, 0));
    crowd(&world, 10, 20, (0, 1));
    rest(&world);
    let filled = (0, Purpose::Fill);
    assert_eq!(asked(&world), [filled, (22, Purpose::Fill)]);
    world.end();
}

/// A fill begins at 100 and its client leaves. Somebody's look ends at 110, at the very moment when
/// the answer comes; their worker learns of both at once.
fn meet(answer: Behaviour) -> Rc<World> {
    let config = Config {
        together: true,
        store_delay: (50, 50),
        ..Config::plain()
    };
    let world = world(config, [answer]);
    let leaves = Manner {
        leaves: Some(105),
        ..Manner::default()
    };
    comes(&world, 0, (0, 0), leaves);
    crowd(&world, 1, 10, (0, 0));
    rest(&world);
    world
}

#[test]
fn nobody_joins_a_body_whose_beginning_is_gone() {
    let mut large = Behaviour::good(10, 0);
    large.pieces = vec![(0, 70_000); 8];
    let world = meet(large);
    assert_eq!(tally(&world), [(100, STORE, 1), (110, RELEASED, 1)]);
    world.end();
}

#[test]
fn nobody_joins_a_body_that_is_known_to_be_cut() {
    let world = meet(Behaviour::good(10, 0).of(Kind::Cut));
    assert_eq!(tally(&world), [(100, STORE, 1), (210, STORE, 1)]);
    world.end();
}

#[test]
fn subscribers_of_a_body_that_grows_too_large_get_all_of_it() {
    let mut large = Behaviour::good(100, 5);
    large.pieces = vec![(5, 70_000); 8];
    let world = world(Config::plain(), [large]);
    for slowness in [0, 1, 40, 200] {
        let manner = Manner {
            slowness,
            ..Manner::default()
        };
        comes(&world, 10, (0, 0), manner);
    }
    // In another worker, who waits passes when the fifth piece is one too many.
    crowd(&world, 5, 10, (0, 1));
    rest(&world);
    let expected = [(12, STORE, 1), (112, Decision::Join, 3), (137, RELEASED, 5)];
    assert_eq!(tally(&world), expected);
    assert!(world.store.peek(0, world.now()).is_none());
    world.end();
}

#[test]
fn a_full_zone_lets_requests_pass() {
    let world = world(
        Config {
            entries: 1,
            keys: 2,
            ..Config::plain()
        },
        [],
    );
    crowd(&world, 1, 0, (0, 0));
    world.at(START + 10, |world| {
        arrive(world, 0, 0, 1, Manner::default());
    });
    rest(&world);
    let full = Decision::Pass(Reason::ZoneFull);
    assert_eq!(tally(&world), [(2, STORE, 1), (12, full, 1)]);
    world.end();
}

#[test]
fn a_key_that_had_to_go_counts_as_changed() {
    let zone = Zone::new(1);
    let since = zone.sequence();
    for key in [0, 1] {
        let Acquired::Mine { instance, .. } =
            zone.acquire(key, zone.sequence(), 1, START, (1000, 1))
        else {
            panic!("key {key} finds no place");
        };
        let memory = Config::plain().memory();
        zone.release(key, instance, Verdict::Stored, memory, START);
    }
    let again = zone.acquire(0, since, 1, START, (1000, 1));
    assert!(matches!(again, Acquired::Mine { changed: true, .. }));
}
