//! Claims that end by themselves.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::lease::Lease;

#[test]
fn one_has_it_until_its_time_is_over() {
    let lease = Lease::default();
    assert_eq!(lease.holder(0), None);
    let held = lease.take(7, 1000, 500).unwrap();
    assert_eq!(lease.holder(1000), Some((7, 1500)));
    assert_eq!(lease.take(7, 1499, 500), None);
    assert!(lease.is_held(held, 1499));
    assert!(!lease.is_held(held, 1500));
    assert_eq!(lease.holder(1500), None);
    let next = lease.take(8, 1500, 500).unwrap();
    assert!(!lease.is_held(held, 1499), "another has it");
    assert_eq!(lease.renew(held, 1499, 500), None);
    lease.release(held);
    assert!(lease.is_held(next, 1600), "nobody else gives it back");
}

#[test]
fn it_is_renewed_and_given_back() {
    let lease = Lease::default();
    let first = lease.take(7, 1000, 500).unwrap();
    let second = lease.renew(first, 1400, 500).unwrap();
    assert_eq!(second.until(), 1900);
    assert!(!lease.is_held(first, 1400));
    assert!(lease.is_held(second, 1899));
    assert_eq!(lease.renew(second, 1900, 500), None);
    let third = lease.take(7, 1900, 500).unwrap();
    lease.release(third);
    assert_eq!(lease.holder(1900), None);
    assert!(lease.take(9, 1900, 500).is_some());
}

#[test]
fn the_largest_process_and_time_fit() {
    let lease = Lease::default();
    let (who, now) = ((1 << 22) - 1, 1 << 41);
    let held = lease.take(who, now, 1000).unwrap();
    assert_eq!(lease.holder(now), Some((who, now + 1000)));
    assert_eq!(held.until(), now + 1000);
}

#[test]
fn of_many_who_want_it_at_once_one_gets_it() {
    for _ in 0..200 {
        let (lease, got) = (Lease::default(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for who in 1..=4 {
                let (lease, got) = (&lease, &got);
                scope.spawn(move || {
                    if lease.take(who, 1000, 500).is_some() {
                        got.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(got.into_inner(), 1);
    }
}

#[test]
fn it_is_seized_from_whoever_has_it() {
    let lease = Lease::default();
    let held = lease.take(7, 1000, 500).unwrap();
    let seized = lease.seize(8, 1100, 500).unwrap();
    assert_eq!(lease.holder(1100), Some((8, 1600)));
    assert!(!lease.is_held(held, 1100) && lease.is_held(seized, 1100));
    assert_eq!(lease.renew(held, 1100, 500), None);
    lease.release(held);
    assert_eq!(lease.holder(1100), Some((8, 1600)));
}
