//! A claim that ends by itself: a word in shared memory says which process does something, and until when.

use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

/// Bits of the word that name the process.
const WHO: u32 = 22;

/// The word. All zero is a lease that nobody has.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Lease(AtomicU64);

/// A lease that was taken. It is worth nothing once its time is over or somebody else has it: see [`Lease::is_held`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(u64);

/// The word of a process and a time. Processes of Linux have numbers below 2^22; times of 42 bits last for 139 years of
/// milliseconds.
const fn word(who: u32, until: u64) -> u64 {
    (until << WHO) | (who as u64 & ((1 << WHO) - 1))
}

impl Held {
    /// When it ends, in milliseconds.
    #[must_use]
    pub const fn until(self) -> u64 {
        self.0 >> WHO
    }
}

impl Lease {
    /// Takes it for `length` milliseconds, if nobody has it. `who` is the process.
    pub fn take(&self, who: u32, now: u64, length: u64) -> Option<Held> {
        let before = self.0.load(Acquire);
        if Held(before).until() > now {
            return None;
        }
        self.change(before, word(who, now.saturating_add(length)))
    }

    /// Takes it for `length` milliseconds, whoever has it. `None` only if somebody took it or gave it back at this moment.
    pub fn seize(&self, who: u32, now: u64, length: u64) -> Option<Held> {
        let before = self.0.load(Acquire);
        self.change(before, word(who, now.saturating_add(length)))
    }

    /// Has it last until `length` milliseconds from now. `None` if it isn't held any more.
    pub fn renew(&self, held: Held, now: u64, length: u64) -> Option<Held> {
        if !self.is_held(held, now) {
            return None;
        }
        let who = held.0 & ((1 << WHO) - 1);
        self.change(held.0, (now.saturating_add(length) << WHO) | who)
    }

    /// Gives it back. Nothing happens if somebody else has it.
    pub fn release(&self, held: Held) {
        // Fails where it was lost, which is as well.
        let _ = self.change(held.0, 0);
    }

    /// Whether it is still ours.
    #[must_use]
    pub fn is_held(&self, held: Held, now: u64) -> bool {
        held.until() > now && self.0.load(Acquire) == held.0
    }

    /// The process that has it, and until when.
    #[must_use]
    pub fn holder(&self, now: u64) -> Option<(u32, u64)> {
        let word = self.0.load(Acquire);
        let until = Held(word).until();
        let who = u32::try_from(word & ((1 << WHO) - 1)).ok()?;
        (until > now).then_some((who, until))
    }

    fn change(&self, from: u64, to: u64) -> Option<Held> {
        let changed = self.0.compare_exchange(from, to, AcqRel, Acquire);
        changed.ok().map(|_| Held(to))
    }
}
