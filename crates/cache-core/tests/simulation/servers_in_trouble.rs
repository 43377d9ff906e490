//! Worlds by seed in which the store is several servers, and something happens to them.

use super::seeds::{Worlds, many};
use super::topology::Mode;

/// How many seeds of each kind run, unless `SIM_SEEDS` says otherwise.
const SEEDS: u64 = 400;

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
