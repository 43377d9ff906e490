//! Single situations, with what must come of them to the request and to the millisecond.

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Config, Kind};
use super::invariants::Decision;
use super::stage::{
    LATE, RELEASED, STORE, asked, comes, crowd, machines, record, rest, tally, world,
};
use super::world::START;

#[test]
fn two_hundred_clients_on_a_missing_key_are_one_fill() {
    let world = world(Config::plain(), [Behaviour::good(300, 10)]);
    crowd(&world, 100, 0, (0, 0));
    crowd(&world, 100, 0, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill)]);
    // 302: the header; 332: the body; 334: stored; 336: the others have looked again
    let expected = [
        (2, STORE, 1),
        (302, Decision::Join, 99),
        (336, Decision::Hit, 100),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn each_lock_domain_fills_once() {
    let world = world(machines(&[2, 1, 3]), []);
    for (machine, workers) in [2, 1, 3].into_iter().enumerate() {
        for index in 0..workers {
            crowd(&world, 50, 0, (machine, index));
        }
    }
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill); 3]);
    world.end();
}

#[test]
fn who_waits_for_what_is_not_for_others_goes_when_the_header_has_come() {
    for kind in [Kind::Private, Kind::Cookie, Kind::NoStore, Kind::Error] {
        let world = world(Config::plain(), [Behaviour::good(300, 1000).of(kind)]);
        crowd(&world, 25, 0, (0, 0));
        crowd(&world, 25, 0, (0, 1));
        rest(&world);
        assert_eq!(tally(&world), [(2, STORE, 1), (302, RELEASED, 49)]);
        assert_eq!(world.backend.count(), 50);
        assert!(world.store.peek(0, world.now()).is_none());
        world.end();
    }
}

#[test]
fn one_waiter_goes_at_each_lock_timeout() {
    for index in [0, 1] {
        let world = world(Config::plain(), [Behaviour::good(10_000, 10)]);
        crowd(&world, 1, 0, (0, 0));
        crowd(&world, 5, 0, (0, index));
        rest(&world);
        let last = if index == 0 {
            (10_002, Decision::Join, 2)
        } else {
            (10_036, Decision::Hit, 2)
        };
        let expected = [
            (2, STORE, 1),
            (3000, LATE, 1),
            (6000, LATE, 1),
            (9000, LATE, 1),
            last,
        ];
        assert_eq!(tally(&world), expected);
        world.end();
    }
}

#[test]
fn a_lock_that_changes_hands_lets_nobody_go_sooner() {
    let slow = || Behaviour::good(2500, 10).of(Kind::Silent);
    let world = world(Config::plain(), [slow(), slow(), slow(), slow(), slow()]);
    for at in 0..40 {
        comes(&world, at * 100, (0, (at % 2) as usize), Manner::default());
    }
    rest(&world);
    let tally = tally(&world);
    let late: Vec<u64> = tally.iter().filter(|t| t.1 == LATE).map(|t| t.0).collect();
    assert!(
        late.windows(2).all(|two| two[1] - two[0] >= 3000),
        "{tally:?}"
    );
    assert!(!late.is_empty());
    world.end();
}

#[test]
fn a_fill_that_fails_has_exactly_one_successor() {
    for kind in [Kind::Silent, Kind::Cut] {
        let world = world(Config::plain(), [Behaviour::good(100, 10).of(kind)]);
        crowd(&world, 1, 0, (0, 0));
        crowd(&world, 50, 0, (0, 1));
        rest(&world);
        let fails = if kind == Kind::Cut { 122 } else { 102 };
        assert_eq!(
            asked(&world),
            [(2, Purpose::Fill), (fails + 2, Purpose::Fill)]
        );
        let expected = [
            (2, STORE, 1),
            (fails + 2, STORE, 1),
            (fails + 302, Decision::Join, 49),
        ];
        assert_eq!(tally(&world), expected);
        world.end();
    }
}

#[test]
fn subscribers_of_a_fill_without_answer_start_one_fill() {
    let world = world(Config::plain(), [Behaviour::good(100, 10).of(Kind::Silent)]);
    crowd(&world, 50, 0, (0, 0));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (104, Purpose::Fill)]);
    world.end();
}

#[test]
fn a_stale_record_is_served_at_once_and_refilled_once() {
    let world = world(Config::plain(), []);
    record(&world, 0);
    crowd(&world, 25, 2000, (0, 0));
    crowd(&world, 25, 2000, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (2002, Purpose::Fill)]);
    let stale = |refill| Decision::Stale { refill };
    let expected = [
        (2, STORE, 1),
        (2002, stale(true), 1),
        (2002, stale(false), 49),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn a_look_from_before_the_refill_ended_does_not_start_another() {
    for missing in [false, true] {
        let world = world(
            Config {
                // What a request has seen may be old when it asks for the lock.
                store_delay: (20, 20),
                ..Config::plain()
            },
            [Behaviour::good(300, 10), Behaviour::good(1, 0)],
        );
        record(&world, if missing { -100_000 } else { 0 });
        // Its fill begins at 2040, has its answer at 2041, is stored at 2061 and ends at 2081.
        crowd(&world, 1, 2000, (0, 0));
        // It looks at 2060, before the record is there, and asks for the lock at 2080 and later.
        crowd(&world, 1, 2040, (0, 1));
        for at in 2042..2062 {
            comes(&world, at, (0, 1), Manner::default());
        }
        rest(&world);
        assert_eq!(world.backend.count(), 2, "{:?}", tally(&world));
        world.end();
    }
}

#[test]
fn a_client_that_leaves_does_not_stop_the_fill() {
    let world = world(Config::plain(), []);
    let leaves = Manner {
        leaves: Some(50),
        ..Manner::default()
    };
    comes(&world, 0, (0, 0), leaves);
    crowd(&world, 10, 10, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill)]);
    assert_eq!(tally(&world), [(2, STORE, 1), (336, Decision::Hit, 10)]);
    world.end();
}

#[test]
fn a_bypass_neither_waits_nor_is_waited_for_twice() {
    let world = world(Config::plain(), []);
    let bypass = Manner {
        bypass: true,
        ..Manner::default()
    };
    crowd(&world, 1, 0, (0, 0));
    comes(&world, 10, (0, 0), bypass);
    comes(&world, 10, (0, 1), bypass);
    rest(&world);
    let expected = [
        (2, Purpose::Fill),
        (10, Purpose::Beside),
        (10, Purpose::Beside),
    ];
    assert_eq!(asked(&world), expected);
    world.end();
}

#[test]
fn a_304_makes_the_record_the_answer_of_all_who_wait() {
    let strict = Behaviour {
        strict: true,
        ..Behaviour::good(300, 10)
    };
    let confirms = strict.clone().of(Kind::Confirms);
    let world = world(Config::plain(), [strict, confirms]);
    record(&world, 0);
    crowd(&world, 25, 2000, (0, 0));
    crowd(&world, 25, 2000, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (2002, Purpose::Fill)]);
    // 2302: the 304; 2304: the record is renewed; 2306: the other worker has looked again
    let expected = [
        (2, STORE, 1),
        (2002, STORE, 1),
        (2302, Decision::Join, 24),
        (2306, Decision::Hit, 25),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn a_failure_of_the_backend_leaves_the_record_in_use_and_the_backend_alone() {
    let error = || Behaviour::good(100, 10).of(Kind::Error);
    let world = world(Config::plain(), [Behaviour::good(1, 1), error(), error()]);
    record(&world, 0);
    let times = [1500, 1550, 2550, 2650, 3600, 4600, 4800];
    for at in times {
        crowd(&world, 1, at, (0, 0));
    }
    rest(&world);
    let refill = Decision::Stale { refill: true };
    // It fails at 1602 and is left alone until 2602, at 2752 and until 4752.
    let expected = [
        (2, STORE, 1),
        (1502, refill, 1),
        (1552, Decision::Stale { refill: false }, 1),
        (2552, Decision::Failing, 1),
        (2652, refill, 1),
        (3602, Decision::Failing, 1),
        (4602, Decision::Failing, 1),
        (4802, refill, 1),
    ];
    assert_eq!(tally(&world), expected);
    assert_eq!(world.backend.count(), 4);
    world.end();
}

#[test]
fn what_must_be_validated_is_never_served_stale_for_a_failure() {
    let strict = Behaviour {
        strict: true,
        ..Behaviour::good(1, 1)
    };
    let world = world(
        Config::plain(),
        [strict, Behaviour::good(300, 1).of(Kind::Error)],
    );
    record(&world, 0);
    crowd(&world, 10, 2000, (0, 0));
    crowd(&world, 10, 2000, (0, 1));
    rest(&world);
    let beside = Decision::Fill {
        locked: false,
        reason: None,
    };
    let expected = [(2, STORE, 1), (2002, STORE, 1), (2302, beside, 19)];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// The end of what nobody reads and nothing captures any more: the time of its last piece.
#[track_caller]
fn ends_for_nobody(behaviour: Behaviour, timeout: u64, leaves: u64, expected: u64) {
    let config = Config {
        capture_timeout: timeout,
        ..Config::plain()
    };
    let world = world(config, [behaviour]);
    let manner = Manner {
        leaves: Some(leaves),
        ..Manner::default()
    };
    comes(&world, 0, (0, 0), manner);
    world.run_until(START + expected - 1);
    assert_eq!(world.backend.under_way(), 1, "before {expected}");
    world.run_until(START + expected);
    assert_eq!(world.backend.under_way(), 0, "at {expected}");
    rest(&world);
    world.end();
}

#[test]
fn what_is_neither_read_nor_captured_is_given_up() {
    let slowly = |length| Behaviour {
        pieces: vec![(100, length); 1000],
        ..Behaviour::good(300, 0)
    };
    // It has begun at 2, its header came at 302. Too large with its fourth piece, long after its reader has left.
    ends_for_nobody(slowly(80_000), 300_000, 500, 702);
    // Captured for 2 s.
    ends_for_nobody(slowly(10), 2000, 500, 2302);
    // The reader stays longer than that.
    ends_for_nobody(slowly(10), 2000, 5000, 5000);
}
