//! How long a backend that fails is left alone for a key: the table alone, by its clock.

use cache_core::flow::Verdict;
use cache_core::use_stale::Failure;

use super::zone::Zone;
use crate::locks::BackOff;
use crate::locks::{Acquired, Retention};

const RETENTION: Retention = Retention {
    uncacheable: 5000,
    back_off: BackOff {
        first: 1000,
        most: 10_000,
    },
    sender: 0,
};

/// A fill of the key from `now` on that ends at once.
fn fill(zone: &Zone, now: u64, verdict: Verdict) {
    let Acquired::Mine { instance, .. } = zone.acquire(1, 0, 1, now, (30_000, 100)) else {
        panic!("the lock is held at {now}");
    };
    zone.release(1, instance, verdict, RETENTION, now);
}

/// When the backend may be asked again, if it is to be left alone at `now`.
fn until(zone: &Zone, now: u64) -> u64 {
    let mut end = now;
    while zone.failing(1, 0, end).is_some() {
        end += 1;
    }
    end
}

#[test]
fn the_time_doubles_from_one_second_to_ten() {
    let zone = Zone::new(64);
    let mut now = 100_000;
    for wanted in [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000] {
        fill(&zone, now, Verdict::Failing(Failure::Timeout));
        assert_eq!(zone.failing(1, 0, now), Some(Failure::Timeout));
        assert_eq!(until(&zone, now) - now, wanted);
        now += wanted;
    }
    for _ in 0..100 {
        fill(&zone, now, Verdict::Failed);
    }
    assert_eq!(until(&zone, now) - now, 10_000, "however often it fails");
}

#[test]
fn an_answer_of_any_kind_ends_it() {
    let answers = [
        Verdict::Stored,
        Verdict::NotStorable,
        Verdict::Uncacheable,
        Verdict::Unavailable,
    ];
    for answer in answers {
        let zone = Zone::new(64);
        fill(&zone, 1000, Verdict::Failing(Failure::Status(503)));
        fill(&zone, 2000, Verdict::Failing(Failure::Status(500)));
        assert_eq!(
            zone.failing(1, 0, 3999),
            Some(Failure::Status(500)),
            "the last one"
        );
        fill(&zone, 4000, answer);
        assert_eq!(zone.failing(1, 0, 4000), None, "{answer:?}");
        // Past the time for which the key is known not to be storable.
        fill(&zone, 10_000, Verdict::Failed);
        assert_eq!(
            until(&zone, 10_000),
            11_000,
            "{answer:?}: from the start again"
        );
    }
}

#[test]
fn it_is_of_one_key() {
    let zone = Zone::new(64);
    fill(&zone, 1000, Verdict::Failed);
    assert_eq!(zone.failing(1, 0, 1500), Some(Failure::Error));
    assert_eq!(zone.failing(2, 0, 1500), None);
}
