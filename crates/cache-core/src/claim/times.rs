//! For how long a machine takes a lease, when it extends it, and when others look after it.

/// The longest time for which a lease is taken, in milliseconds: so long nobody fills after a machine has died.
pub const LONGEST: u64 = 3000;

/// A waiter looks after a lease again after so many milliseconds at first, and after so many at most.
const SOONEST: u64 = 25;
const LATEST: u64 = 250;

/// For how long a lease is taken, in milliseconds. `lock_age`: how long an untouched lock of a zone is held, in
/// milliseconds.
#[must_use]
pub const fn lease(lock_age: u64) -> u64 {
    match lock_age {
        0 => 1,
        1..LONGEST => lock_age,
        _ => LONGEST,
    }
}

/// After how many milliseconds a lease is extended that was taken for `lease` milliseconds: two extensions may be lost.
#[must_use]
pub const fn extension(lease: u64) -> u64 {
    if lease < 3 { 1 } else { lease / 3 }
}

/// When a waiter looks after the lease of another machine by itself, in case that what it waits for is told, but not heard:
/// after 25 to 250 ms, more rarely as it goes on.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    most: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { most: 2 * SOONEST }
    }
}

impl Pace {
    /// How long the next pause is, in milliseconds: half of it is left to chance (`random` is any number), so that machines
    /// that have begun to wait together don't ask together. `left`: how long the lease lasts if it isn't extended, in
    /// milliseconds.
    pub fn pause(&mut self, left: u64, random: u64) -> u64 {
        let least = (self.most / 2).max(SOONEST);
        let pause = least + random % (self.most - least + 1);
        self.most = (self.most * 2).min(LATEST);
        // One millisecond later it has ended.
        pause.min(left.saturating_add(1).max(SOONEST))
    }
}
