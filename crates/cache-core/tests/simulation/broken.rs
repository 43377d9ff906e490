//! Rules that are broken on purpose: the judge sees each of them, in some world.
//!
//! What can't be broken from here was broken by hand once, and was noticed too: a claim's reply `held` that is read as `mine`,
//! `claim::extension` of twice the lease, an outcome that is told or read as another, `claim::remembered` for three times as
//! long, a refill that goes on although another machine has its lease, a claimer that doesn't look again, a write that
//! compares no lease; a table that heeds no sender, or forgets it; of a log of purges: floors, soft purges, tags or URIs that
//! count for nothing, a number that is given twice, workers that don't share what they have read.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::config::Claims;
use super::seeds::{Worlds, run};
use super::topology::Broken;

/// A rule is noticed in one of so many worlds.
const NOTICED: u64 = 300;

#[test]
fn the_judge_sees_what_is_broken() {
    let (held, told) = ("is taken from a machine that lives", "it is heard: Stored");
    let (found, joined) = ("is found, but it was purged", "joins fill");
    for (broken, says) in [
        (Broken::GrantsHeld, held),
        (Broken::ExtendsLate, held),
        (Broken::FillsHeld, "is filled by machine"),
        (Broken::TellsStored, told),
        (Broken::RemembersLong, "nobody has found a moment ago"),
        (Broken::BlamesAll, "that hasn't failed for such as it"),
        (Broken::JoinsOld, joined),
        (Broken::Spins, "asks for its lock again and again"),
        (Broken::LateNumber, found),
        (Broken::LateConfirmation, found),
        (Broken::NeverAsks, found),
        (Broken::ReadsNotOn, found),
        (Broken::AcknowledgesEarly, found),
    ] {
        let notices = |seed: &u64| {
            let worlds = Worlds {
                broken: Some(broken),
                claims: Claims::Made,
                varies: seed % 3 == 2,
                purges: true,
                ..Worlds::default()
            };
            let failed = catch_unwind(AssertUnwindSafe(|| run(*seed, worlds, false)));
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
