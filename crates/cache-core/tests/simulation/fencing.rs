//! A key that one machine invalidates while another fills it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::client::{Manner, arrive};
use super::config::{Behaviour, Config};
use super::faults::Faults;
use super::invalidating;
use super::invariants::Decision;
use super::stage::{self, STORE, comes, rest, tally};
use super::world::{START, World};

/// Two machines of one worker each. The first answer takes 300 ms, later ones 10 ms.
fn world(fences: bool, faults: Faults) -> Rc<World> {
    let config = Config {
        fences,
        faults,
        ..stage::machines(&[1, 1])
    };
    stage::world(config, [Behaviour::good(300, 10), Behaviour::good(10, 0)])
}

fn invalidate(world: &Rc<World>, at: u64, machine: usize) {
    world.at(START + at, move |world| {
        invalidating::invalidates(world, machine, 0);
    });
}

/// The number of the answer that is stored.
fn stored(world: &World) -> Option<usize> {
    world.store.peek(0, world.now()).map(|stored| stored.fill)
}

fn comes_once(world: &Rc<World>, at: u64, machine: usize) {
    comes(world, at, (machine, 0), Manner::default());
}

#[test]
fn what_a_fill_elsewhere_brings_is_not_stored_and_nobody_joins_it() {
    for by in [0, 1] {
        let world = world(true, Faults::default());
        // It reads the fence at 3, and asks at 4.
        comes_once(&world, 0, 1);
        invalidate(&world, 100, by);
        // It was acknowledged at 102.
        comes_once(&world, 103, 1);
        comes_once(&world, 1000, 0);
        comes_once(&world, 1000, 1);
        rest(&world);
        let expected = [(2, STORE, 1), (105, STORE, 1), (1002, Decision::Hit, 2)];
        assert_eq!(tally(&world), expected);
        assert_eq!(stored(&world), Some(1));
        world.end();
    }
}

#[test]
fn what_it_has_stored_before_is_gone() {
    let world = world(true, Faults::default());
    comes_once(&world, 0, 1);
    // It writes at 335, 1 ms before its worker knows.
    invalidate(&world, 334, 0);
    comes_once(&world, 337, 1);
    rest(&world);
    assert_eq!(tally(&world).len(), 2);
    assert_eq!(stored(&world), Some(1));
    world.end();
}

#[test]
fn whenever_it_comes_nothing_from_before_is_found() {
    for at in 0..400 {
        let world = world(true, Faults::default());
        comes_once(&world, 0, 1);
        invalidate(&world, at, 0);
        for later in [3, 5, 50, 400, 800] {
            for machine in [0, 1] {
                world.at(START + at + later, move |world| {
                    arrive(world, machine, 0, 0, Manner::default());
                });
            }
        }
        rest(&world);
        assert!(stored(&world).is_some(), "{at}");
        world.end();
    }
}

/// The message is lost: who comes joins the fill, but what that brings isn't stored.
#[test]
fn a_lost_message_costs_those_who_join_and_nobody_else() {
    let lost = Faults {
        wake_lost: 100,
        ..Faults::default()
    };
    let world = world(true, lost);
    world.faulty.set(true);
    comes_once(&world, 0, 1);
    invalidate(&world, 100, 0);
    comes_once(&world, 103, 1);
    comes_once(&world, 1000, 1);
    rest(&world);
    let expected = [(2, STORE, 1), (304, Decision::Join, 1), (1002, STORE, 1)];
    assert_eq!(tally(&world), expected);
    assert_eq!(stored(&world), Some(1));
    world.end();
}

/// A message that comes late doesn't concern a fill that has begun since.
#[test]
fn a_late_message_frees_no_newer_fill() {
    let config = Config {
        fences: true,
        wake_delay: (50, 50),
        ..stage::machines(&[1, 1])
    };
    let world = stage::world(config, [Behaviour::good(300, 10)]);
    invalidate(&world, 0, 0);
    comes_once(&world, 10, 1);
    comes_once(&world, 100, 1);
    rest(&world);
    let expected = [(12, STORE, 1), (314, Decision::Join, 1)];
    assert_eq!(tally(&world), expected);
    assert_eq!(stored(&world), Some(0));
    world.end();
}

/// The judge sees what fences are there for.
#[test]
fn without_fences_it_is_found() {
    let world = world(false, Faults::default());
    comes_once(&world, 0, 1);
    invalidate(&world, 100, 0);
    comes_once(&world, 1000, 0);
    let found = catch_unwind(AssertUnwindSafe(|| world.run()));
    let said = found.expect_err("a record from before");
    let said = said.downcast_ref::<String>().map(String::as_str);
    assert!(
        said.is_some_and(|said| said.contains("is found after an invalidation")),
        "{said:?}"
    );
    std::mem::forget(world);
}
