//! Keys whose records another request has made worthless (RFC 9111 4.4), as the lock table knows them.

use cache_core::flow::Verdict;

use super::config::Key;
use super::zone::Zone;
use crate::locks::{Acquired, Retention};

const PID: i32 = 1;
const ASKER: (u64, u32) = (u64::MAX, 9);

fn retention() -> Retention {
    super::config::Config::plain().retention()
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
    let count = || (zone.invalidations(1), zone.invalidations(2));
    let before = count();
    zone.invalidate(1, 0);
    let after = count();
    assert!(after.0 != before.0, "what is on its way");
    assert_eq!(after.1, before.1, "another key");
    zone.invalidate(1, 0);
    assert!(count().0 != after.0, "a second time");
}

#[test]
fn the_lock_is_free_at_once_and_its_former_holder_frees_nobody_elses() {
    let zone = Zone::new(8);
    let (before, count) = (zone.sequence(), zone.invalidations(1));
    let (old, _) = lock(&zone, 1, before);
    zone.invalidate(1, 0);
    let told = zone.await_release(1, old, PID, 0);
    assert_eq!(told, Some(Verdict::Failed), "who waits tries again");
    let (new, changed) = lock(&zone, 1, before);
    assert!(new != old && changed, "who looked before looks again");
    zone.release(1, old, Verdict::Stored, retention(), 0);
    let busy = zone.acquire(1, zone.sequence(), PID, 0, ASKER);
    let held = Acquired::Busy {
        instance: new,
        owner: PID,
    };
    assert_eq!(busy, held);
    zone.release(1, new, Verdict::Stored, retention(), 0);
    assert!(zone.invalidations(1) != count, "a release forgets nothing");
}

/// A table that is too small forgets keys; what was invalidated stays known, and nobody else's answer suffers.
#[test]
fn a_key_that_had_to_go_for_another_stays_invalidated() {
    let zone = Zone::new(2);
    let before = [1, 2, 3, 4].map(|key| zone.invalidations(key));
    let looked = zone.sequence();
    zone.invalidate(1, 0);
    // Two other keys take all the places there are.
    let since = zone.sequence();
    let _ = (lock(&zone, 2, since), lock(&zone, 3, since));
    zone.invalidate(4, 0);
    let after = [1, 2, 3, 4].map(|key| zone.invalidations(key));
    let changed: Vec<bool> = before.iter().zip(after).map(|(b, a)| *b != a).collect();
    assert_eq!(changed, [true, false, false, true]);
    // Whoever looked before looks again.
    zone.release(2, 1, Verdict::Stored, retention(), 0);
    assert!(lock(&zone, 4, looked).1);
}

/// A fill of an old worker holds its lock in the zone before; a request that comes to a new worker changes the page.
#[test]
fn what_a_new_zone_invalidates_is_worthless_in_the_zone_before() {
    let old = Zone::new(8);
    let begun = old.invalidations(1);
    let (instance, _) = lock(&old, 1, old.sequence());
    let new = old.resized(16);
    new.invalidate(1, 0);
    assert!(old.invalidations(1) != begun, "the old fill's answer");
    let begun = new.invalidations(1);
    let _ = lock(&new, 1, new.sequence());
    old.release(1, instance, Verdict::Unavailable, retention(), 0);
    assert_eq!(new.invalidations(1), begun, "the new fill's answer");
    // The other way round, too.
    old.invalidate(1, 0);
    assert!(new.invalidations(1) != begun);
}

/// Places of a full window are given to nobody while their holders live, whatever age the one who asks has named.
#[test]
fn a_lock_that_is_held_is_lost_to_no_other_key() {
    let zone = Zone::new(4);
    let take = |key, now, age| zone.acquire(key, zone.sequence(), PID, now, (age, 9));
    for key in 1..=4 {
        assert!(matches!(take(key, 1000, 60_000), Acquired::Mine { .. }));
    }
    for key in 5..30 {
        assert_eq!(take(key, 6000, 100), Acquired::Full, "{key}");
    }
    for key in 1..=4 {
        let told = take(key, 6000, 100);
        assert!(matches!(told, Acquired::Busy { .. }), "{key}: {told:?}");
    }
    // Their own time has passed.
    assert!(matches!(take(5, 61_001, 100), Acquired::Mine { .. }));
}
