//! What the workers of a server know together of a store's log of purges.
//!
//! Pure over memory: tests take it in from here.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is known of a store's log of purges.
#[derive(Default)]
#[repr(C)]
pub struct PurgeWords {
    last: AtomicU64,
    asked: AtomicU64,
    /// When a reading of the log began that has read all of it, in milliseconds. 0: none has.
    confirmed: AtomicU64,
}

impl PurgeWords {
    /// The highest number that a worker has heard of. 0: none.
    pub fn last(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The number is this one now, if it was that one before.
    pub fn advance(&self, from: u64, to: u64) -> bool {
        let (order, after) = (Ordering::AcqRel, Ordering::Acquire);
        self.last.compare_exchange(from, to, order, after).is_ok()
    }

    /// A worker has heard of this number.
    pub fn raise(&self, number: u64) {
        self.last.fetch_max(number, Ordering::AcqRel);
    }

    /// When a reading of the log began that has read all of it, in milliseconds. 0: none has.
    pub fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire)
    }

    /// All of it was read, as it was then (milliseconds) at the earliest.
    pub fn confirm(&self, began: u64) {
        // Of two workers that have just read it either may be last.
        self.confirmed.store(began.max(1), Ordering::Release);
    }

    /// Whether this worker is to ask the store now, because nobody has for so many milliseconds.
    pub fn is_due(&self, now: u64, pause: u64) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        // A time in the future is one of a machine that was suspended.
        let is_due = asked == 0 || asked > now || now - asked >= pause;
        is_due
            && self
                .asked
                .compare_exchange(asked, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}
