//! Keys whose records another request has made worthless (RFC 9111 4.4), as the lock table knows them.

use cache_core::flow::Verdict;

use super::config::Key;
use super::zone::Zone;
use crate::table::{Acquired, Memory};

/// No process of that number is asked after: its own locks are never abandoned.
const PID: i32 = 1;
const ASKER: (u64, u32) = (u64::MAX, 9);

fn memory() -> Memory {
    super::config::Config::plain().memory()
}

#[track_caller]
fn lock(zone: &Zone, key: Key, since: u64) -> (u64, bool) {
    match zone.acquire(key, since, PID, 0, ASKER) {
        Acquired::Mine { instance, changed } => (instance, changed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_began_before_is_worthless_and_what_begins_after_is_not() {
    let zone = Zone::new(8);
    let before = zone.sequence();
    assert!(!zone.is_invalidated(1, before));
    zone.invalidate(1, PID, 0);
    let after = zone.sequence();
    assert!(zone.is_invalidated(1, before) && !zone.is_invalidated(1, after));
    assert!(!zone.is_invalidated(2, before), "another key");
    zone.invalidate(1, PID, 0);
    assert!(zone.is_invalidated(1, after), "a second time");
}

#[test]
fn the_lock_is_free_at_once_and_its_former_holder_frees_nobody_elses() {
    let zone = Zone::new(8);
    let before = zone.sequence();
    let (old, _) = lock(&zone, 1, before);
    zone.invalidate(1, PID, 0);
    let told = zone.await_release(1, old, PID, 0, u64::MAX);
    assert_eq!(told, Some(Verdict::Failed), "who waits tries again");
    let (new, changed) = lock(&zone, 1, before);
    assert!(new != old && changed, "who looked before looks again");
    zone.release(1, old, Verdict::Stored, memory(), 0);
    let busy = zone.acquire(1, zone.sequence(), PID, 0, ASKER);
    assert_eq!(busy, Acquired::Busy { instance: new });
    zone.release(1, new, Verdict::Stored, memory(), 0);
    assert!(zone.is_invalidated(1, before), "a release forgets nothing");
}

#[test]
fn what_had_to_be_forgotten_counts_for_all_that_began_before() {
    let zone = Zone::new(2);
    let before = zone.sequence();
    zone.invalidate(1, PID, 0);
    let between = zone.sequence();
    // Two other keys take all the places there are.
    let _ = (lock(&zone, 2, between), lock(&zone, 3, between));
    assert!(zone.is_invalidated(1, before));
    assert!(!zone.is_invalidated(1, between) && !zone.is_invalidated(2, between));
    // Without a place, nothing that is on its way can be trusted.
    zone.invalidate(4, PID, 0);
    assert!(zone.is_invalidated(4, between) && zone.is_invalidated(2, between));
    assert!(!zone.is_invalidated(2, zone.sequence()));
}
