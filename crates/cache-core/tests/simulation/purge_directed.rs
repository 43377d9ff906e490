//! Single situations of purges, to the millisecond.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use cache_core::purge::Mode;

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Config};
use super::faults::Faults;
use super::invariants::Decision;
use super::purging::{self, Purge, What};
use super::stage::{self, STORE, asked, comes, crowd, faulty, rest, tally};
use super::world::{START, World};

fn config(machines: &[usize]) -> Config {
    Config {
        has_log: true,
        ..stage::machines(machines)
    }
}

/// The first answer takes 300 ms, later ones 10 ms.
fn world(config: Config) -> Rc<World> {
    stage::world(config, [Behaviour::good(300, 10), Behaviour::good(10, 0)])
}

fn purge(world: &Rc<World>, at: u64, machine: usize, what: What, mode: Mode) {
    world.at(START + at, move |world| {
        purging::sends(world, machine, Purge { what, mode });
    });
}

/// Of key 0 the tags are 0 and, of each second answer, 2.
const SELECTING: [What; 4] = [What::Uri(0), What::Tag(0), What::Tag(2), What::All];

#[test]
fn what_is_stored_is_gone_after_a_hard_purge_and_stale_after_a_soft_one() {
    for what in SELECTING {
        for mode in [Mode::Soft, Mode::Hard] {
            let world = world(config(&[1, 1]));
            comes(&world, 0, (0, 0), Manner::default());
            // It was acknowledged 4 ms later, and told to the others at once.
            purge(&world, 1000, 1, what, mode);
            crowd(&world, 1, 1005, (1, 0));
            crowd(&world, 1, 1010, (0, 0));
            rest(&world);
            let decisions: Vec<_> = tally(&world).into_iter().map(|t| t.1).collect();
            let refill = Decision::Stale { refill: true };
            let expected = match mode {
                Mode::Soft => [STORE, refill, refill],
                Mode::Hard => [STORE, STORE, STORE],
            };
            assert_eq!(decisions, expected, "{what:?} {mode:?}");
            world.end();
        }
    }
}

#[test]
fn what_a_purge_does_not_select_stays() {
    for what in [What::Tag(1), What::Tag(3), What::Uri(1)] {
        let world = world(config(&[1]));
        comes(&world, 0, (0, 0), Manner::default());
        purge(&world, 1000, 0, what, Mode::Hard);
        crowd(&world, 3, 1005, (0, 0));
        rest(&world);
        // The log was read behind the purge, and the labels come with the record.
        assert_eq!(
            tally(&world).last(),
            Some(&(1007, Decision::Hit, 3)),
            "{what:?}"
        );
        world.end();
    }
}

/// Whoever comes after it waits for the end of the fill from before, whatever the purge selects: that is known once it is stored.
#[test]
fn nobody_joins_a_fill_from_before() {
    for (what, last) in [(What::Tag(0), STORE), (What::Tag(1), Decision::Hit)] {
        let world = world(config(&[1]));
        crowd(&world, 5, 0, (0, 0));
        purge(&world, 100, 0, what, Mode::Hard);
        crowd(&world, 1, 110, (0, 0));
        rest(&world);
        let tally = tally(&world);
        let decisions: Vec<_> = tally.iter().map(|t| (t.1, t.2)).collect();
        assert_eq!(
            decisions,
            [(STORE, 1), (Decision::Join, 4), (last, 1)],
            "{tally:?}"
        );
        world.end();
    }
}

#[test]
fn whenever_it_comes_nothing_from_before_is_found_and_nobody_waits_for_ever() {
    for at in 0..400 {
        for mode in [Mode::Soft, Mode::Hard] {
            let world = world(config(&[1, 2]));
            comes(&world, 0, (1, 0), Manner::default());
            purge(&world, at, 0, What::Tag(0), mode);
            for later in [3, 5, 50, 400, 800] {
                for place in [(0, 0), (1, 0), (1, 1)] {
                    comes(&world, at + later, place, Manner::default());
                }
            }
            rest(&world);
            world.end();
        }
    }
}

/// While nobody says whether the record was purged it is none.
#[test]
fn a_record_is_not_served_while_its_purges_cannot_be_read() {
    let world = world(Config {
        machines: vec![1],
        has_log: true,
        ..faulty(Faults {
            log_fails: 100,
            ..Faults::default()
        })
    });
    comes(&world, 0, (0, 0), Manner::default());
    world.at(START + 999, |world| world.faulty.set(true));
    // It is in the log, but its sender isn't told so, and the number was told to the workers.
    purge(&world, 1000, 0, What::Tag(1), Mode::Hard);
    world.at(START + 1500, |world| {
        world.machines[0].words.raise(world.store.last_purge());
    });
    crowd(&world, 1, 2000, (0, 0));
    world.at(START + 3000, |world| world.faulty.set(false));
    crowd(&world, 1, 4000, (0, 0));
    rest(&world);
    let all = asked(&world);
    let purposes: Vec<_> = all.iter().map(|asked| asked.1).collect();
    assert_eq!(purposes, [Purpose::Fill; 2], "{all:?}");
    assert_eq!(tally(&world).last().map(|t| t.1), Some(Decision::Hit));
    world.end();
}

/// The judge sees what the number in a record is there for.
#[test]
fn a_record_that_says_that_it_knows_of_a_purge_is_found_out() {
    let world = world(config(&[1]));
    comes(&world, 0, (0, 0), Manner::default());
    purge(&world, 1000, 0, What::Tag(0), Mode::Hard);
    world.at(START + 1100, |world| {
        let kept = world.store.peek(0, world.now()).unwrap();
        let log = world.store.last_purge();
        let lies = super::data::Stored { log, ..kept };
        world.store.put(0, Some(lies));
    });
    crowd(&world, 1, 1200, (0, 0));
    let found = catch_unwind(AssertUnwindSafe(|| world.run()));
    let said = found.expect_err("a record from before");
    let said = said.downcast_ref::<String>().map(String::as_str);
    assert!(
        said.is_some_and(|said| said.contains("is found, but it was purged: Hard")),
        "{said:?}"
    );
    std::mem::forget(world);
}
