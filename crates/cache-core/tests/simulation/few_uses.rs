//! Keys that aren't asked for often: `redis_cache_min_uses`.

use cache_core::outcome::Reason;

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Claims, Config, Kind};
use super::invariants::Decision;
use super::stage::{RELEASED, STORE, asked, comes, crowd, rest, tally, world};

const FEW: Decision = Decision::Pass(Reason::FewUses);

fn from_request(min_uses: u32, machines: &[usize]) -> Config {
    Config {
        min_uses,
        machines: machines.to_vec(),
        ..Config::plain()
    }
}

#[test]
fn from_the_third_request_on_answers_are_stored() {
    let world = world(from_request(3, &[2]), []);
    for (number, at) in [0, 2000, 4000, 6000].into_iter().enumerate() {
        crowd(&world, 1, at, (0, number % 2));
    }
    rest(&world);
    let expected = [
        (2, FEW, 1),
        (2002, FEW, 1),
        (4002, STORE, 1),
        (6002, Decision::Hit, 1),
    ];
    assert_eq!(tally(&world), expected);
    assert_eq!(world.backend.count(), 3);
    world.end();
}

#[test]
fn of_a_crowd_nobody_waits_for_what_is_not_stored() {
    let world = world(from_request(3, &[2]), []);
    crowd(&world, 50, 0, (0, 0));
    crowd(&world, 50, 0, (0, 1));
    rest(&world);
    let tally = tally(&world);
    assert_eq!(tally[..2], [(2, FEW, 2), (2, STORE, 1)], "{tally:?}");
    let fills = asked(&world).into_iter().filter(|a| a.1 == Purpose::Fill);
    assert_eq!((fills.count(), world.backend.count()), (1, 3));
    world.end();
}

#[test]
fn each_machine_counts_for_itself_and_gets_what_another_has_stored() {
    let config = Config {
        claims: Claims::Made,
        ..from_request(2, &[1, 1])
    };
    let world = world(config, []);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 1000, (1, 0));
    crowd(&world, 1, 2000, (0, 0));
    crowd(&world, 1, 4000, (1, 0));
    rest(&world);
    let decisions: Vec<Decision> = tally(&world).into_iter().map(|t| t.1).collect();
    assert_eq!(decisions, [FEW, FEW, STORE, Decision::Hit]);
    world.end();
}

#[test]
fn what_is_not_stored_for_that_is_not_taken_for_not_storable() {
    let world = world(
        from_request(2, &[2]),
        [
            Behaviour::good(100, 1),
            Behaviour::good(100, 1).of(Kind::Private),
        ],
    );
    crowd(&world, 1, 0, (0, 0));
    // One of these fills, and the others wait for it.
    crowd(&world, 5, 10, (0, 1));
    rest(&world);
    assert_eq!(
        tally(&world),
        [(2, FEW, 1), (12, STORE, 1), (112, RELEASED, 4)]
    );
    world.end();
}

#[test]
fn a_bypass_is_stored_whatever_the_count() {
    let world = world(from_request(5, &[1]), []);
    let bypass = Manner {
        bypass: true,
        ..Manner::default()
    };
    comes(&world, 0, (0, 0), bypass);
    crowd(&world, 1, 2000, (0, 0));
    rest(&world);
    assert_eq!(tally(&world).last(), Some(&(2002, Decision::Hit, 1)));
    world.end();
}
