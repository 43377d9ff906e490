//! How often a worker asks for refills of records that are still fresh: not with each hit on a hot one, since asking
//! takes the mutex of the zone.

use std::cell::RefCell;

use cache_core::key::LockKey;

use crate::ngx::event::now_msec;

/// For how long a worker doesn't ask for the refill of a key again, in milliseconds. Its refill runs meanwhile, or can't run
/// now.
const PAUSE: u64 = 100;

/// How many keys a worker remembers, each in a place that its name gives. A key that has lost its place is asked for sooner.
const PLACES: usize = 256;

thread_local! {
    /// Keys that were asked for, and until when they aren't asked for again.
    static ASKED: RefCell<Vec<Option<(LockKey, u64)>>> = RefCell::new(vec![None; PLACES]);
}

fn place(key: &LockKey) -> usize {
    let [first, ..] = key.0;
    usize::from(first) % PLACES
}

/// Whether it is time to ask for the refill of a key.
pub fn is_time(key: &LockKey) -> bool {
    ASKED.with_borrow(|asked| match asked.get(place(key)) {
        Some(Some((known, until))) => known != key || *until <= now_msec(),
        _ => true,
    })
}

/// The same, and if it is time, the key isn't asked for again for a while.
pub fn ask(key: &LockKey) -> bool {
    let is_time = is_time(key);
    if is_time {
        ASKED.with_borrow_mut(|asked| {
            if let Some(place) = asked.get_mut(place(key)) {
                *place = Some((*key, now_msec().saturating_add(PAUSE)));
            }
        });
    }
    is_time
}
