//! Worlds by seed in which the store is several servers, and something happens to them.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::seeds::{Worlds, many, run};
use super::topology::{Broken, Mode};

/// How many seeds of each kind run, unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 60;

/// A broken rule is noticed, and each trouble is met, within so many seeds.
const NOTICED: u64 = 200;

fn worlds(mode: Mode) -> Worlds {
    Worlds {
        mode,
        ..Worlds::default()
    }
}

#[test]
fn in_a_cluster_the_invariants_hold() {
    many(worlds(Mode::Cluster), SEEDS, "in_a_cluster");
}

#[test]
fn variants_in_a_cluster_are_nobody_elses() {
    let varies = Worlds {
        varies: true,
        ..worlds(Mode::Cluster)
    };
    many(varies, SEEDS / 2, "variants_in");
}

#[test]
fn behind_sentinels_the_invariants_hold() {
    many(worlds(Mode::Sentinel), SEEDS, "behind_sentinels");
}

/// Each rule is watched: where it is broken, the worlds of some seed fail, and say so.
#[test]
fn broken_rules_are_noticed() {
    for (broken, mode, says) in [
        (
            Broken::OtherKey,
            Mode::Cluster,
            "gets the answer of another key",
        ),
        (Broken::Replicas, Mode::Cluster, "older than"),
        (
            Broken::OldMaster,
            Mode::Sentinel,
            "a command goes to the demoted master",
        ),
        (
            Broken::OldReplicas,
            Mode::Sentinel,
            "a lookup goes to replica",
        ),
        (
            Broken::OldMap,
            Mode::Cluster,
            "a write goes to the demoted master",
        ),
        (Broken::Wait, Mode::Cluster, "though its server is well"),
        (
            Broken::Storm,
            Mode::Cluster,
            "asks for the map twice within a second",
        ),
        (
            Broken::Repeat,
            Mode::Cluster,
            "that may not be repeated is carried out again",
        ),
        (Broken::Patience, Mode::Cluster, "goes on past its deadline"),
    ] {
        let broken_worlds = Worlds {
            broken: Some(broken),
            ..worlds(mode)
        };
        let notices = |seed: &u64| {
            let failed = catch_unwind(AssertUnwindSafe(|| {
                run(*seed, broken_worlds, false);
            }));
            let cause = failed
                .err()
                .and_then(|cause| cause.downcast::<String>().ok());
            cause.is_some_and(|cause| cause.contains(says))
        };
        let seed = (0..NOTICED).find(notices);
        assert!(seed.is_some(), "{broken:?}: no world fails with {says:?}");
        println!("{broken:?} is noticed in the world of seed {seed:?}");
    }
}

/// The worlds meet what they are made for.
#[test]
fn worlds_meet_every_trouble() {
    for (mode, troubles) in [
        (
            Mode::Cluster,
            &[
                "MOVED",
                "ASK",
                "TRYAGAIN",
                "CLUSTERDOWN",
                "LOADING",
                "refused",
                "lost",
                "silence",
            ][..],
        ),
        (
            Mode::Sentinel,
            &["READONLY", "LOADING", "refused", "lost", "silence"],
        ),
    ] {
        let mut missing: BTreeSet<&str> = troubles.iter().copied().collect();
        for seed in 0..NOTICED {
            let worlds = Worlds {
                varies: seed % 2 == 0,
                ..worlds(mode)
            };
            for met in run(seed, worlds, false) {
                missing.remove(&*met);
            }
            if missing.is_empty() {
                break;
            }
        }
        assert!(missing.is_empty(), "no world of {mode:?} meets {missing:?}");
    }
}
