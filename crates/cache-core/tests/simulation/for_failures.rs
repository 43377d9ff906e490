//! Records that are kept for longer than they are served, for when the backend fails: `redis_cache_stale TIME error=TIME`.

use cache_core::rules::Rules;

use super::backend::Purpose;
use super::config::{Behaviour, Config, Kind};
use super::invariants::Decision;
use super::stage::{STORE, asked, crowd, record, rest, tally, world};

/// Served for 10 s past its freshness, and for 60 s where the backend fails.
fn config() -> Config {
    let plain = Config::plain();
    Config {
        rules: Rules {
            stale: 10,
            stale_on_error: Some(60),
            ..plain.rules.clone()
        },
        ..plain
    }
}

fn error() -> Behaviour {
    Behaviour::good(100, 1).of(Kind::Error)
}

#[test]
fn within_the_shorter_time_a_record_is_served_at_once() {
    let world = world(config(), []);
    // It is stale at 1000.
    record(&world, 0);
    crowd(&world, 20, 10_500, (0, 0));
    rest(&world);
    let stale = |refill| Decision::Stale { refill };
    let expected = [
        (2, STORE, 1),
        (10_502, stale(true), 1),
        (10_502, stale(false), 19),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn past_it_the_backend_is_asked_once_for_all() {
    let world = world(config(), [Behaviour::good(1, 1), Behaviour::good(100, 1)]);
    record(&world, 0);
    crowd(&world, 20, 11_500, (0, 0));
    crowd(&world, 20, 11_500, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (11_502, Purpose::Fill)]);
    let tally = tally(&world);
    let stale =
        |t: &(u64, Decision, usize)| matches!(t.1, Decision::Stale { .. } | Decision::Failing);
    assert!(!tally.iter().any(stale), "{tally:?}");
    world.end();
}

#[test]
fn past_it_a_failure_leaves_the_record_in_use() {
    let world = world(config(), [Behaviour::good(1, 1), error()]);
    record(&world, 0);
    crowd(&world, 20, 11_500, (0, 0));
    crowd(&world, 20, 11_500, (0, 1));
    // The backend is left alone for a second.
    crowd(&world, 20, 12_000, (0, 1));
    rest(&world);
    assert_eq!(asked(&world), [(2, Purpose::Fill), (11_502, Purpose::Fill)]);
    let tally = tally(&world);
    let failing: usize = tally
        .iter()
        .filter(|t| t.1 == Decision::Failing)
        .map(|t| t.2)
        .sum();
    assert_eq!(failing, 59, "{tally:?}");
    world.end();
}

#[test]
fn past_the_longer_time_nothing_is_left() {
    let world = world(config(), [Behaviour::good(1, 1), error()]);
    record(&world, 0);
    crowd(&world, 1, 61_500, (0, 0));
    rest(&world);
    assert_eq!(tally(&world), [(2, STORE, 1), (61_502, STORE, 1)]);
    world.end();
}
