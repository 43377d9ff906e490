//! How often keys were asked for that have no record: `redis_cache_min_uses`.
//!
//! A table of fixed size in a zone, without a mutex: a word for each key, in a row of a few that the key's name gives.
//! A new key takes the place of the one of its row that was asked for longest ago. Two keys of one name count together:
//! a response may then be stored sooner, never later.
//!
//! Pure over memory: tests take it in from here.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::key::LockKey;

/// Words in a row: those that lie in one line of the processor's cache.
pub const ROW: usize = 8;

/// The most that is counted.
pub const MOST: u32 = 1000;

/// Bits of the count, the lowest of a word; then those of the time in seconds. The rest is the key's name.
const COUNT_BITS: u32 = 10;
const TIME_BITS: u32 = 22;

/// How often a row is tried that others change at the same time.
const ATTEMPTS: usize = 8;

/// The counts of a zone. A word of 0 is free.
#[derive(Clone, Copy)]
pub struct Uses<'a>(pub &'a [AtomicU64]);

/// What a word says.
#[derive(Clone, Copy)]
struct Use {
    name: u64,
    /// When the key was last asked for, in seconds, as far as [`TIME_BITS`] go.
    time: u64,
    count: u64,
}

/// The lowest bits of a number.
const fn low(number: u64, bits: u32) -> u64 {
    number & ((1 << bits) - 1)
}

impl Use {
    fn of(word: u64) -> Use {
        Use {
            name: word >> (COUNT_BITS + TIME_BITS),
            time: low(word >> COUNT_BITS, TIME_BITS),
            count: low(word, COUNT_BITS),
        }
    }

    fn word(self) -> u64 {
        (self.name << (COUNT_BITS + TIME_BITS)) | (self.time << COUNT_BITS) | self.count
    }

    /// Seconds since the key was asked for. A free word counts as older than all.
    fn age(self, now: u64) -> u64 {
        if self.count == 0 {
            u64::MAX
        } else {
            low(now.wrapping_sub(self.time), TIME_BITS)
        }
    }
}

impl Uses<'_> {
    /// Counts a request for a key, at a time in seconds of a clock that all workers share. Gives how many there were, this one
    /// among them: from 1 to [`MOST`]. Where there is no table, or others change it all the time, that is [`MOST`].
    pub fn count(self, key: &LockKey, now: u64) -> u32 {
        let (name, place) = split(key);
        let rows = self.0.len() / ROW;
        let row = usize::try_from(place)
            .ok()
            .and_then(|place| place.checked_rem(rows))
            .and_then(|row| self.0.get(row * ROW..(row + 1) * ROW));
        let Some(row) = row else {
            return MOST;
        };
        for _ in 0..ATTEMPTS {
            let Some((word, known)) = place_of(row, name, now) else {
                break;
            };
            let before = Use::of(known);
            let count = if before.name == name { before.count } else { 0 };
            let count = (count + 1).min(u64::from(MOST));
            let after = Use {
                name,
                time: low(now, TIME_BITS),
                count,
            };
            let (set, order) = (after.word(), Ordering::Relaxed);
            if word.compare_exchange(known, set, order, order).is_ok() {
                return u32::try_from(count).unwrap_or(MOST);
            }
        }
        MOST
    }
}

/// The name of a key in a word, and a number for its row.
fn split(key: &LockKey) -> (u64, u64) {
    let (first, last) = key.as_bytes().split_at(8);
    let number = |half: &[u8]| half.try_into().map_or(0, u64::from_ne_bytes);
    (number(first) >> (COUNT_BITS + TIME_BITS), number(last))
}

/// The word of a key in its row, or the one that it is to have, and what is in it.
fn place_of(row: &[AtomicU64], name: u64, now: u64) -> Option<(&AtomicU64, u64)> {
    let words = || row.iter().map(|word| (word, word.load(Ordering::Relaxed)));
    let is_its_own = |(_, known): &(&AtomicU64, u64)| {
        let found = Use::of(*known);
        found.count > 0 && found.name == name
    };
    words()
        .find(is_its_own)
        .or_else(|| words().max_by_key(|(_, known)| Use::of(*known).age(now)))
}
