//! Each rule is watched: where it is broken, the worlds of some seed fail.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::{Ability, Broken, Mode, Story};
use crate::seeds::{Worlds, run};

/// A broken rule is noticed within so many seeds.
const NOTICED: u64 = 600;

#[test]
fn broken_rules_are_noticed() {
    for (broken, mode, ability, faulty) in [
        (Broken::NoGeneration, Mode::Sentinel, Ability::Push, false),
        (Broken::LateTicket, Mode::Sentinel, Ability::Push, false),
        (Broken::CheckBeforeLink, Mode::Sentinel, Ability::Push, true),
        (Broken::FirstServer, Mode::Cluster, Ability::Push, true),
        (Broken::LeaseFromPong, Mode::Sentinel, Ability::Push, true),
        (Broken::LongMessages, Mode::Sentinel, Ability::Publish, true),
        (Broken::EarlyEpoch, Mode::Sentinel, Ability::Push, true),
        (Broken::NoEpoch, Mode::Sentinel, Ability::Push, true),
        (Broken::NoCanary, Mode::Sentinel, Ability::Pretend, false),
        (Broken::NoFlush, Mode::Sentinel, Ability::Push, false),
        (Broken::NoView, Mode::Cluster, Ability::Push, true),
        (Broken::OldMap, Mode::Cluster, Ability::Push, true),
        (Broken::FromReplica, Mode::Sentinel, Ability::Push, false),
        (Broken::EagerSeize, Mode::Sentinel, Ability::Push, true),
        (Broken::OldLease, Mode::Sentinel, Ability::Push, true),
        (Broken::NoMark, Mode::Sentinel, Ability::Push, false),
        (Broken::Unheeded, Mode::Sentinel, Ability::Push, false),
        (Broken::OldMaster, Mode::Sentinel, Ability::Push, true),
    ] {
        check(broken, mode, ability, faulty, "is older than");
    }
}

#[test]
fn broken_rules_of_a_tier_alone_are_noticed() {
    for (broken, says) in [
        (Broken::HeldForEver, "is older than"),
        (Broken::LongAlone, "for longer than"),
        (Broken::AloneStays, "is older than"),
        (Broken::NoLocal, "what it has invalidated"),
    ] {
        check(broken, Mode::Sentinel, Ability::Push, true, says);
    }
}

/// Where this rule is broken, the world of some seed fails, and says this.
fn check(broken: Broken, mode: Mode, ability: Ability, faulty: bool, says: &str) {
    let worlds = Worlds {
        mode,
        ability,
        story: match broken {
            Broken::NoMark => Story::Swaps,
            Broken::Unheeded => Story::Loses,
            _ => Story::Usual,
        },
        faulty,
        broken: Some(broken),
        reloads: match broken {
            Broken::EagerSeize | Broken::OldLease => 4,
            _ => 0,
        },
    };
    let notices = |seed: &u64| {
        let failed = catch_unwind(AssertUnwindSafe(|| run(*seed, worlds, false)));
        let cause = failed
            .err()
            .and_then(|cause| cause.downcast::<String>().ok());
        cause.is_some_and(|cause| cause.contains(says))
    };
    let seed = (0..NOTICED).find(notices);
    assert!(seed.is_some(), "{broken:?}: no world fails");
    println!("{broken:?} is noticed in the world of seed {seed:?}");
}
