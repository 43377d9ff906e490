//! Single situations with answers that vary.

use std::rc::Rc;

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Config, Kind};
use super::invariants::Decision;
use super::stage::{RELEASED, STORE, asked, comes, rest, tally, world};
use super::variants::{FieldValues, On};
use super::world::World;

fn good(on: On) -> Behaviour {
    Behaviour::good(300, 10).varies(on)
}

/// Clients who say so in field A come to a worker.
fn group(world: &Rc<World>, count: usize, at: u64, index: usize, a: u8) {
    for _ in 0..count {
        let manner = Manner {
            fields: FieldValues {
                a,
                ..FieldValues::default()
            },
            ..Manner::default()
        };
        comes(world, at, (0, index), manner);
    }
}

/// For which values of A the backend was asked, in order.
fn values(world: &World) -> Vec<u8> {
    let all = world.backend.asked();
    let judge = world.judge();
    let fields = all.iter().map(|asked| judge.requests[asked.request].fields);
    fields.map(|fields| fields.a).collect()
}

#[test]
fn each_variant_of_a_missing_key_is_filled_once() {
    let script = [good(On::A), good(On::A), good(On::A), good(On::A)];
    let world = world(Config::plain(), script);
    for index in [0, 1] {
        for a in 0..4 {
            group(&world, 25, 0, index, a);
        }
    }
    rest(&world);
    let mut found = values(&world);
    assert_eq!(found[0], 0, "the first one's");
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 3]);
    // 302: the first header has come; those of its worker who ask for another variant know it.
    let all = asked(&world);
    assert_eq!(all[..2], [(2, Purpose::Fill), (302, Purpose::Fill)]);
    world.end();
}

#[test]
fn who_asks_for_the_same_variant_reads_the_fill_as_it_comes() {
    let world = world(Config::plain(), [good(On::A), good(On::A)]);
    group(&world, 10, 0, 0, 1);
    group(&world, 10, 0, 0, 2);
    rest(&world);
    let expected = [
        (2, STORE, 1),
        (302, Decision::Join, 9),
        (302, STORE, 1),
        (602, Decision::Join, 9),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn one_variant_is_filled_beside_another() {
    let world = world(Config::plain(), [good(On::A), good(On::A), good(On::A)]);
    group(&world, 1, 0, 0, 1);
    // Both know what it varies on: neither waits for the other.
    group(&world, 20, 1000, 0, 2);
    group(&world, 20, 1000, 1, 3);
    rest(&world);
    let all = asked(&world);
    assert_eq!(
        all,
        [
            (2, Purpose::Fill),
            (1002, Purpose::Fill),
            (1002, Purpose::Fill)
        ]
    );
    world.end();
}

#[test]
fn a_fill_holds_the_lock_of_the_variant_that_it_turns_out_to_be() {
    let slow = Behaviour::good(300, 1000).varies(On::A);
    let world = world(Config::plain(), [slow, good(On::A)]);
    group(&world, 1, 0, 0, 1);
    // The other variant is stored first: from then on everybody knows what the answers vary on.
    group(&world, 1, 10, 0, 2);
    group(&world, 20, 1500, 0, 1);
    group(&world, 20, 1500, 1, 1);
    rest(&world);
    assert_eq!(values(&world), [1, 2]);
    world.end();
}

#[test]
fn a_record_of_another_variant_is_none() {
    let world = world(Config::plain(), [good(On::A), good(On::A)]);
    group(&world, 1, 0, 0, 1);
    group(&world, 1, 1000, 0, 1);
    group(&world, 1, 2000, 0, 0);
    group(&world, 1, 3000, 0, 0);
    group(&world, 1, 4000, 1, 1);
    rest(&world);
    // A variant beside the base takes a second look.
    let expected = [
        (2, STORE, 1),
        (1002, Decision::Hit, 1),
        (2002, STORE, 1),
        (3004, Decision::Hit, 1),
        (4002, Decision::Hit, 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn an_answer_that_varies_on_anything_is_for_nobody_else() {
    let world = world(Config::plain(), [good(On::Any)]);
    group(&world, 10, 0, 0, 1);
    group(&world, 10, 0, 1, 1);
    rest(&world);
    assert_eq!(tally(&world), [(2, STORE, 1), (302, RELEASED, 19)]);
    assert!(world.store.peek(0, world.now()).is_none());
    world.end();
}

#[test]
fn a_304_that_changes_what_a_record_varies_on_makes_it_nobodys() {
    let confirms = Behaviour::good(10, 10).of(Kind::Confirms).varies(On::B);
    let first = Behaviour {
        fresh: 0,
        ..good(On::A)
    };
    let world = world(Config::plain(), [first, confirms, good(On::B)]);
    group(&world, 1, 0, 0, 1);
    group(&world, 1, 1000, 0, 1);
    group(&world, 1, 2000, 0, 1);
    rest(&world);
    let stale = Decision::Stale { refill: true };
    assert_eq!(
        tally(&world),
        [(2, STORE, 1), (1002, stale, 1), (2002, STORE, 1)]
    );
    world.end();
}

#[test]
fn a_backend_that_varies_on_something_else_each_time_sends_nobody_round_for_ever() {
    let script = (0..200).map(|n| good([On::A, On::B, On::Both][n % 3]));
    let world = world(Config::plain(), script);
    for n in 0..60 {
        let manner = Manner {
            fields: FieldValues {
                a: n % 4,
                b: n / 4 % 2,
                sender: 0,
            },
            ..Manner::default()
        };
        comes(&world, u64::from(n) * 7, (0, usize::from(n) % 2), manner);
    }
    rest(&world);
    world.end();
}
