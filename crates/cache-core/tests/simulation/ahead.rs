//! Records that are refilled before they are stale.

use cache_core::rules::{Ahead, Rules};

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Claims, Config, Kind};
use super::invariants::Decision;
use super::stage::{STORE, asked, comes, crowd, rest, tally, world};

/// Refilled in the last fifth.
fn ahead(config: Config) -> Config {
    Config {
        rules: Rules {
            ahead: Some(Ahead::Share(20)),
            ..config.rules.clone()
        },
        ..config
    }
}

/// An answer that is fresh for 10 s.
fn short() -> Behaviour {
    Behaviour {
        fresh: 10,
        ..Behaviour::good(100, 1)
    }
}

#[test]
fn outside_the_window_nothing_is_refilled() {
    let world = world(ahead(Config::plain()), [short()]);
    crowd(&world, 1, 0, (0, 0));
    // It is written at 105 ms and due after 8105 ms.
    crowd(&world, 50, 8000, (0, 0));
    crowd(&world, 50, 8000, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill)]);
    assert_eq!(tally(&world), [(2, STORE, 1), (8002, Decision::Hit, 100)]);
    world.end();
}

#[test]
fn in_the_window_one_request_has_it_refilled_and_all_get_the_fresh_record() {
    let world = world(ahead(Config::plain()), [short(), short()]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 50, 9000, (0, 0));
    crowd(&world, 50, 9000, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (9002, Purpose::Fill)]);
    let expected = [
        (2, STORE, 1),
        (9002, Decision::Ahead, 1),
        (9002, Decision::Hit, 99),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn a_hot_record_is_never_stale_and_a_cold_one_is_not_refilled() {
    let world = world(ahead(Config::plain()), vec![short(); 8]);
    for at in 0..300 {
        comes(&world, at * 100, (0, (at % 2) as usize), Manner::default());
    }
    rest(&world);
    let waits = |(at, decision, _): &(u64, Decision, usize)| {
        *at > 1000 && !matches!(decision, Decision::Hit | Decision::Ahead)
    };
    let tally = tally(&world);
    assert!(!tally.iter().any(waits), "{tally:?}");
    let refills = tally.iter().filter(|t| t.1 == Decision::Ahead).count();
    assert_eq!((refills, world.backend.count()), (3, 4));
    world.end();
}

#[test]
fn a_refill_ahead_that_fails_leaves_the_record_and_the_backend_alone() {
    for kind in [Kind::Error, Kind::Silent] {
        let failing = short().of(kind);
        let world = world(ahead(Config::plain()), [short(), failing, short()]);
        crowd(&world, 1, 0, (0, 0));
        // The failure is known at 9102 or so: the backend is left alone for a second.
        for at in 90..100 {
            comes(&world, at * 100, (0, (at % 2) as usize), Manner::default());
        }
        rest(&world);
        let tally = tally(&world);
        let hits = |t: &&(u64, Decision, usize)| matches!(t.1, Decision::Hit | Decision::Ahead);
        assert_eq!(tally.iter().filter(hits).count(), 10, "{kind:?} {tally:?}");
        if kind == Kind::Error {
            assert_eq!(world.backend.count(), 2, "{tally:?}");
        }
        world.end();
    }
}

#[test]
fn machines_that_share_their_fills_refill_once() {
    let config = Config {
        machines: vec![2, 2, 2],
        claims: Claims::Made,
        ..ahead(Config::plain())
    };
    let world = world(config, [short(), short()]);
    crowd(&world, 1, 0, (0, 0));
    for machine in 0..3 {
        for index in 0..2 {
            crowd(&world, 20, 9000, (machine, index));
        }
    }
    rest(&world);
    assert_eq!(world.backend.count(), 2, "{:?}", tally(&world));
    world.end();
}
