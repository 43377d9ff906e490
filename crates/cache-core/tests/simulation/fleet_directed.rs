//! Single situations of machines that fill each key once, with what must come of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use cache_core::flow::WaitLimits;

use super::backend::Purpose;
use super::client::Manner;
use super::config::{Behaviour, Claims, Config, Kind};
use super::data::Stored;
use super::faults::Faults;
use super::invalidating;
use super::invariants::Decision;
use super::stage::{self, LATE, RELEASED, STORE, asked, comes, crowd, record, rest, tally};
use super::variants::FieldValues;
use super::world::{START, World};

const UNLOCKED: Decision = Decision::Fill {
    locked: false,
    reason: None,
};

fn config(machines: &[usize]) -> Config {
    Config {
        claims: Claims::Made,
        fences: true,
        ..stage::machines(machines)
    }
}

fn patient(machines: &[usize], lock_timeout: u64) -> Config {
    Config {
        limits: WaitLimits { lock_timeout },
        ..config(machines)
    }
}

fn kills_machine(world: &Rc<World>, at: u64, machine: usize) {
    world.at(START + at, move |world| {
        let workers = world.machines[machine].workers.borrow().clone();
        for (count, worker) in workers.iter().enumerate() {
            worker.kill(world, 1000 + count as i32);
        }
    });
}

/// The number of the answer that is stored.
fn stored(world: &World) -> Option<usize> {
    world.store.peek(0, world.now()).map(|stored| stored.fill)
}

#[test]
fn two_hundred_clients_of_two_machines_are_one_fill() {
    let world = stage::world(config(&[1, 2]), []);
    crowd(&world, 100, 0, (0, 0));
    crowd(&world, 50, 0, (1, 0));
    crowd(&world, 50, 0, (1, 1));
    rest(&world);
    assert_eq!(asked(&world), [(4, Purpose::Fill)]);
    // 3: claimed; 304: the header; 335: stored; 337: told; 339: the other machine has looked again
    let expected = [
        (4, STORE, 1),
        (304, Decision::Join, 99),
        (339, Decision::Hit, 100),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// The judge sees what claims are there for.
#[test]
fn without_claims_the_second_fill_is_seen() {
    let config = Config {
        claims: Claims::LeftOut,
        ..config(&[1, 1])
    };
    let world = stage::world(config, []);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 0, (1, 0));
    let found = catch_unwind(AssertUnwindSafe(|| world.run()));
    let said = found.expect_err("two fills");
    let said = said.downcast_ref::<String>().map(String::as_str);
    assert!(
        said.is_some_and(|said| said.contains("key 0 is filled by machine")),
        "{said:?}"
    );
    std::mem::forget(world);
}

#[test]
fn what_is_not_storable_releases_all_machines_at_once() {
    for kind in [Kind::Private, Kind::Cookie, Kind::NoStore, Kind::Error] {
        let answer = Behaviour::good(300, 1000).of(kind);
        let world = stage::world(config(&[1, 2]), [answer]);
        crowd(&world, 25, 0, (0, 0));
        crowd(&world, 25, 0, (1, 0));
        crowd(&world, 25, 0, (1, 1));
        rest(&world);
        let expected = [(4, STORE, 1), (304, RELEASED, 24), (305, RELEASED, 50)];
        assert_eq!(tally(&world), expected, "{kind:?}");
        world.end();
    }
}

#[test]
fn what_is_not_storable_is_remembered_for_all_machines() {
    let answer = Behaviour::good(300, 0).of(Kind::NoStore);
    let world = stage::world(config(&[1, 1]), vec![answer; 7]);
    crowd(&world, 1, 0, (0, 0));
    // It has never asked; then it knows by itself; then it is forgotten.
    crowd(&world, 3, 1000, (1, 0));
    crowd(&world, 1, 2000, (1, 0));
    crowd(&world, 1, 7000, (1, 0));
    rest(&world);
    let expected = [
        (4, STORE, 1),
        (1004, UNLOCKED, 1),
        (1004, RELEASED, 2),
        (2002, UNLOCKED, 1),
        (7004, STORE, 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// For no longer than the store remembers it.
#[test]
fn what_is_remembered_ends_for_all_machines_at_once() {
    let no = Behaviour::good(300, 0).of(Kind::NoStore);
    let world = stage::world(config(&[1, 1]), [no.clone(), no]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 4000, (1, 0));
    crowd(&world, 2, 5500, (1, 0));
    rest(&world);
    let expected = [
        (4, STORE, 1),
        (4004, UNLOCKED, 1),
        (5504, STORE, 1),
        (5804, Decision::Join, 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// A response that turns out to be storable is for all to know.
#[test]
fn what_was_stored_since_is_remembered_by_no_machine() {
    let no = Behaviour::good(300, 0).of(Kind::NoStore);
    let world = stage::world(config(&[1, 1, 1]), [no, Behaviour::good(300, 0)]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 1000, (1, 0));
    world.at(START + 1500, |world| world.store.put(0, None));
    crowd(&world, 2, 2000, (2, 0));
    rest(&world);
    let expected = [
        (4, STORE, 1),
        (1004, UNLOCKED, 1),
        (2004, STORE, 1),
        (2304, Decision::Join, 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// A refill that finds it known gives up, as one does that finds another under way.
#[test]
fn a_refill_learns_nothing_of_what_is_remembered() {
    let no = Behaviour::good(1, 0).of(Kind::NoStore);
    let world = stage::world(config(&[1, 1]), [Behaviour::good(1, 1), no]);
    record(&world, 0);
    crowd(&world, 1, 2000, (0, 0));
    crowd(&world, 1, 6000, (1, 0));
    crowd(&world, 1, 7100, (1, 0));
    rest(&world);
    let all = asked(&world);
    let fill = |at| (at, Purpose::Fill);
    assert_eq!(all, [fill(4), fill(2004), fill(7104)]);
    world.end();
}

#[test]
fn when_a_machine_dies_exactly_one_other_takes_over() {
    let world = stage::world(patient(&[1, 1, 2], 10_000), []);
    for machine in [0, 1, 2] {
        crowd(&world, 10, 0, (machine, 0));
    }
    kills_machine(&world, 100, 0);
    rest(&world);
    let asked = asked(&world);
    assert_eq!(asked.len(), 2, "{asked:?}");
    // The lease was taken at 3 for 3,000 ms.
    assert!((3003..=3260).contains(&asked[1].0), "{asked:?}");
    let served = tally(&world).iter().map(|t| t.2).sum::<usize>();
    assert_eq!(served, 21);
    world.end();
}

#[test]
fn a_lease_lasts_as_long_as_its_fill() {
    let world = stage::world(patient(&[1, 1], 60_000), [Behaviour::good(20_000, 10)]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 5, 0, (1, 0));
    rest(&world);
    assert_eq!(asked(&world), [(4, Purpose::Fill)]);
    let expected = [(4, STORE, 1), (20_039, Decision::Hit, 5)];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn one_waiter_of_a_machine_goes_at_each_lock_timeout() {
    let world = stage::world(config(&[1, 1]), [Behaviour::good(10_000, 10)]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 6, 0, (1, 0));
    rest(&world);
    let tally = tally(&world);
    let late: Vec<_> = tally.iter().filter(|t| t.1 == LATE).collect();
    let times: Vec<_> = late.iter().map(|t| (t.0, t.2)).collect();
    assert_eq!(times, [(3000, 1), (6000, 1), (9000, 1)], "{tally:?}");
    assert_eq!(tally.last(), Some(&(10_039, Decision::Hit, 3)));
    world.end();
}

#[test]
fn a_lost_message_costs_a_quarter_of_a_second_at_most() {
    let faults = Faults {
        wake_lost: 100,
        ..Faults::default()
    };
    let config = Config {
        faults,
        ..config(&[1, 1])
    };
    let world = stage::world(config, []);
    world.faulty.set(true);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 0, (1, 0));
    rest(&world);
    assert_eq!(asked(&world), [(4, Purpose::Fill)]);
    let (at, decision, _) = tally(&world)[1];
    assert_eq!(decision, Decision::Hit);
    assert!((339..=600).contains(&at), "{at}");
    world.end();
}

#[test]
fn one_machine_refills_a_stale_record_and_the_others_give_up_silently() {
    let world = stage::world(config(&[1, 1, 1]), []);
    record(&world, 0);
    for machine in [0, 1, 2] {
        crowd(&world, 10, 2000, (machine, 0));
        crowd(&world, 1, 2100, (machine, 0));
    }
    rest(&world);
    // 2002: served; 2004: claimed
    assert_eq!(asked(&world), [(4, Purpose::Fill), (2004, Purpose::Fill)]);
    let stale = tally(&world);
    let stale = stale.iter().skip(1);
    assert!(
        stale.clone().all(|t| matches!(t.1, Decision::Stale { .. })),
        "{stale:?}"
    );
    assert_eq!(stale.map(|t| t.2).sum::<usize>(), 33);
    world.end();
}

#[test]
fn a_refill_that_ended_elsewhere_meanwhile_is_not_made_again() {
    for missing in [false, true] {
        let config = Config {
            // What a request has seen may be old when it claims.
            store_delay: (20, 20),
            ..config(&[1, 1])
        };
        let world = stage::world(config, [Behaviour::good(300, 10), Behaviour::good(1, 0)]);
        record(&world, if missing { -100_000 } else { 0 });
        crowd(&world, 1, 2000, (0, 0));
        for at in 2000..2140 {
            comes(&world, at, (1, 0), Manner::default());
        }
        rest(&world);
        assert_eq!(world.backend.count(), 2, "{:?}", tally(&world));
        world.end();
    }
}

/// The message that the record is stored is lost, and by the time the waiter claims again the record is stale and being
/// refilled. That the refill fails is nothing to a request that may be served the record.
#[test]
fn who_waits_finds_a_record_that_was_stored_before_the_present_fill() {
    let faults = Faults {
        wake_lost: 100,
        ..Faults::default()
    };
    let config = Config {
        faults,
        ..config(&[1, 1])
    };
    let error = Behaviour::good(500, 10).of(Kind::Error);
    let world = stage::world(config, [Behaviour::good(300, 10), error]);
    world.faulty.set(true);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 0, (1, 0));
    // It is given back at 337.
    world.at(START + 336, |world| {
        let kept = world.store.peek(0, world.now()).unwrap();
        let stale = u64::from(world.config.rules.kept()) * 1000;
        let expires = world.now() + stale - 1;
        world.store.put(0, Some(Stored { expires, ..kept }));
    });
    crowd(&world, 1, 336, (0, 0));
    rest(&world);
    let tally = tally(&world);
    let stale = |refill| Decision::Stale { refill };
    let (at, decision, _) = tally[2];
    assert_eq!(
        (tally[1].1, decision),
        (stale(true), stale(true)),
        "{tally:?}"
    );
    assert!(at < 600, "{tally:?}");
    assert_eq!(world.backend.count(), 2);
    world.end();
}

/// The store has lost the lease of the first refill, which has ended by then, so that the second claim is granted.
#[test]
fn a_refill_that_is_claimed_after_another_has_ended_looks_again() {
    let config = Config {
        store_delay: (20, 20),
        ..config(&[1, 1])
    };
    let world = stage::world(config, [Behaviour::good(300, 10), Behaviour::good(1, 0)]);
    record(&world, 0);
    // It claims at 2060, asks at 2080 and stores at 2101.
    crowd(&world, 1, 2000, (0, 0));
    world.at(START + 2110, |world| world.store.fail_over(world.now()));
    // It looks at 2080 and claims at 2120.
    crowd(&world, 1, 2060, (1, 0));
    rest(&world);
    assert_eq!(world.backend.count(), 2, "{:?}", tally(&world));
    world.end();
}

/// What the first gives back is another's by then.
#[test]
fn a_lease_that_was_lost_is_not_given_back() {
    let slow = [Behaviour::good(1000, 10), Behaviour::good(2000, 10)];
    let world = stage::world(config(&[1, 1, 1]), slow);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 0, (1, 0));
    world.at(START + 100, |world| world.store.fail_over(world.now()));
    crowd(&world, 1, 1200, (2, 0));
    rest(&world);
    assert_eq!(world.backend.count(), 2, "{:?}", tally(&world));
    world.end();
}

#[test]
fn a_failure_of_the_backend_leaves_the_record_in_use_on_all_machines() {
    let strict = Behaviour {
        strict: true,
        ..Behaviour::good(1, 1)
    };
    let error = Behaviour::good(100, 10).of(Kind::Error);
    let world = stage::world(config(&[1, 1]), [strict, error]);
    record(&world, 0);
    crowd(&world, 1, 2000, (0, 0));
    crowd(&world, 3, 2000, (1, 0));
    rest(&world);
    // A record that must be validated stands in for no failure: who waits goes, and asks about the record.
    let expected = [(4, STORE, 1), (2004, STORE, 1), (2105, UNLOCKED, 3)];
    assert_eq!(tally(&world), expected);
    world.end();
}

/// What a machine has asked with may be why its backend has failed: others aren't kept from asking.
#[test]
fn a_failure_of_the_backend_is_held_against_nobody_on_other_machines() {
    let error = Behaviour::good(500, 10).of(Kind::Error);
    let world = stage::world(config(&[1, 1]), [Behaviour::good(1, 1), error]);
    record(&world, 0);
    let by = |sender| Manner {
        fields: FieldValues {
            sender,
            ..FieldValues::default()
        },
        ..Manner::default()
    };
    comes(&world, 2000, (0, 0), by(7));
    world.run_until(START + 2100);
    let kept = world.store.peek(0, world.now()).unwrap();
    world.store.put(0, None);
    comes(&world, 2110, (1, 0), by(8));
    comes(&world, 2110, (1, 0), by(0));
    world.at(START + 2600, move |world| world.store.put(0, Some(kept)));
    comes(&world, 2610, (1, 0), by(8));
    comes(&world, 2610, (0, 0), by(7));
    rest(&world);
    let stale = |refill| Decision::Stale { refill };
    // 2504: it has failed; 2505: told
    let expected = [
        (4, STORE, 1),
        (2002, stale(true), 1),
        (2505, RELEASED, 2),
        (2612, stale(true), 1),
        (2612, Decision::Failing, 1),
    ];
    assert_eq!(tally(&world), expected);
    world.end();
}

#[test]
fn a_lease_that_the_store_loses_allows_two_fills_and_the_later_counts() {
    let world = stage::world(config(&[1, 1]), [Behaviour::good(1000, 10)]);
    crowd(&world, 1, 0, (0, 0));
    crowd(&world, 1, 0, (1, 0));
    world.at(START + 100, |world| world.store.fail_over(world.now()));
    rest(&world);
    let asked = asked(&world);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!((100..=360).contains(&asked[1].0), "{asked:?}");
    assert_eq!(stored(&world), Some(1), "the first was refused");
    world.end();
}

/// Where nobody has claimed or stored anything meanwhile.
#[test]
fn a_lease_that_the_store_loses_is_taken_again() {
    let world = stage::world(config(&[1, 1]), [Behaviour::good(3000, 10)]);
    crowd(&world, 1, 0, (0, 0));
    world.at(START + 100, |world| world.store.fail_over(world.now()));
    crowd(&world, 1, 1500, (1, 0));
    rest(&world);
    assert_eq!(asked(&world), [(4, Purpose::Fill)]);
    assert_eq!(stored(&world), Some(0));
    world.end();
}

#[test]
fn a_fill_that_began_before_an_invalidation_keeps_nobody_waiting() {
    for by in [0, 1] {
        let world = stage::world(config(&[1, 1]), [Behaviour::good(2000, 10)]);
        crowd(&world, 1, 0, (0, 0));
        world.at(START + 100, move |world| {
            invalidating::invalidates(world, by, 0);
        });
        crowd(&world, 1, 110, (1, 0));
        crowd(&world, 1, 110, (0, 0));
        rest(&world);
        let all = asked(&world);
        assert_eq!(all, [(4, Purpose::Fill), (114, Purpose::Fill)]);
        assert_eq!(stored(&world), Some(1));
        world.end();
    }
}

#[test]
fn while_the_store_is_down_each_machine_fills_for_itself() {
    use super::faults::StoreFault;
    let faults = Faults {
        store: vec![(START, START + 60_000, StoreFault::Refusing)],
        ..Faults::default()
    };
    let config = Config {
        faults,
        ..config(&[1, 1])
    };
    let world = stage::world(config, []);
    world.faulty.set(true);
    crowd(&world, 10, 100, (0, 0));
    crowd(&world, 10, 100, (1, 0));
    rest(&world);
    assert_eq!(asked(&world), [(100, Purpose::Fill); 2]);
    world.end();
}

/// A client that leads its machine and leaves hands over to another, and its claim is given back.
#[test]
fn a_leader_that_leaves_takes_no_claim_with_it() {
    for leaves in 0..10 {
        let world = stage::world(config(&[1, 1]), []);
        let manner = Manner {
            leaves: Some(leaves),
            ..Manner::default()
        };
        comes(&world, 0, (0, 0), manner);
        crowd(&world, 2, 1, (0, 0));
        crowd(&world, 2, 1, (1, 0));
        rest(&world);
        assert_eq!(world.backend.count(), 1, "left after {leaves} ms");
        world.end();
    }
}
