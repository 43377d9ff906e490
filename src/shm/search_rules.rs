//! Which rule of No-Vary-Search the responses of a path have: `redis_cache_args no_vary_search`.
//!
//! A table of fixed size in a zone, without a mutex: a slot for each path, in a row of a few that the path's name gives. A new
//! path takes the place of the one of its row that is to be forgotten first. A slot has a sum: what two workers have written
//! at once, or one that has died meanwhile has left, counts as nothing.
//!
//! What is found is a hint alone: the rule is part of the key that is made by it.
//!
//! Pure over memory: tests take it in from here.

use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::args::MAX_RULE;
use cache_core::key::LockKey;
use md5::{Digest, Md5};

/// Words of a slot.
pub const SLOT: usize = 32;

/// Words of a row.
pub const ROW: usize = 4 * SLOT;

/// Words of a slot's text.
const TEXT: usize = MAX_RULE / 8;

/// Words that the sum is made of: the path's name, time and length, and the text.
const SUMMED: usize = 3 + TEXT;

const _: () = assert!(MAX_RULE == TEXT * 8 && SUMMED < SLOT && MAX_RULE < 256);

/// The rules that a zone knows. Zeroes are free slots.
#[derive(Clone, Copy)]
pub struct SearchRules<'a>(pub &'a [AtomicU64]);

/// What a slot says.
struct Known {
    name: [u64; 2],
    /// Until when, in seconds.
    until: u64,
    /// The text, zeroes behind it, and its length in bytes.
    text: [u64; TEXT],
    length: usize,
}

impl Known {
    /// Reads a slot. `None` if it is free.
    fn read(slot: &[AtomicU64]) -> Option<Known> {
        let mut words = slot.iter().map(|word| word.load(Ordering::Acquire));
        let name = [words.next()?, words.next()?];
        let packed = words.next()?;
        let mut text = [0; TEXT];
        for word in &mut text {
            *word = words.next()?;
        }
        let known = Known {
            name,
            until: packed >> 8,
            text,
            length: usize::try_from(packed & 0xff).ok()?,
        };
        (words.next()? == known.sum()).then_some(known)
    }

    fn write(&self, slot: &[AtomicU64]) {
        let words = self.words().chain([self.sum()]);
        for (place, word) in slot.iter().zip(words) {
            place.store(word, Ordering::Release);
        }
    }

    /// What is written before the sum.
    fn words(&self) -> impl Iterator<Item = u64> + '_ {
        let packed = (self.until << 8) | self.length as u64;
        let text = self.text.iter().copied();
        self.name.into_iter().chain([packed]).chain(text)
    }

    fn sum(&self) -> u64 {
        let mut hash = Md5::new();
        for word in self.words() {
            hash.update(word.to_ne_bytes());
        }
        split(&LockKey(hash.finalize().into()))[0]
    }

    fn text(&self) -> Vec<u8> {
        let bytes = self.text.iter().flat_map(|word| word.to_ne_bytes());
        bytes.take(self.length).collect()
    }
}

impl<'a> SearchRules<'a> {
    /// The text of the rule of a path, at a time in seconds of a clock that all workers share.
    pub fn find(self, name: &LockKey, now: u64) -> Option<Vec<u8>> {
        let found = self.known(name)?.1;
        (found.until > now).then(|| found.text())
    }

    /// The responses of a path have this rule, which is to be forgotten at that time in seconds, or when the one that was known before
    /// was to be: records of that time may be there still. A text that is too long is none.
    pub fn learn(self, name: &LockKey, text: &[u8], now: u64, until: u64) {
        if text.len() > MAX_RULE {
            return self.forget(name);
        }
        let own = self.known(name);
        let until = own
            .as_ref()
            .map_or(until, |(_, known)| until.max(known.until));
        let own = own.map(|(slot, _)| slot);
        let until_of = |slot: &&[AtomicU64]| {
            let known = Known::read(slot).map_or(0, |known| known.until);
            if known > now { known } else { 0 }
        };
        let Some(slot) = own.or_else(|| self.row(name).min_by_key(until_of)) else {
            return;
        };
        let mut words = [0; TEXT];
        for (word, bytes) in words.iter_mut().zip(text.chunks(8)) {
            let mut whole = [0; 8];
            for (place, byte) in whole.iter_mut().zip(bytes) {
                *place = *byte;
            }
            *word = u64::from_ne_bytes(whole);
        }
        let known = Known {
            name: split(name),
            until,
            text: words,
            length: text.len(),
        };
        known.write(slot);
    }

    /// The responses of a path have no rule.
    pub fn forget(self, name: &LockKey) {
        if let Some((slot, _)) = self.known(name) {
            slot.iter()
                .for_each(|word| word.store(0, Ordering::Release));
        }
    }

    /// The slot of a path, and what it says.
    fn known(self, name: &LockKey) -> Option<(&'a [AtomicU64], Known)> {
        let own = split(name);
        let slots = self.row(name);
        let known = |slot| Known::read(slot).map(|known| (slot, known));
        slots.filter_map(known).find(|(_, known)| known.name == own)
    }

    /// The slots of the row of a path.
    fn row(self, name: &LockKey) -> impl Iterator<Item = &'a [AtomicU64]> + use<'a> {
        let [_, place] = split(name);
        let rows = self.0.chunks_exact(ROW);
        let row = usize::try_from(place)
            .ok()
            .and_then(|place| place.checked_rem(rows.len()))
            .and_then(|row| rows.clone().nth(row));
        row.into_iter().flat_map(|row| row.chunks_exact(SLOT))
    }
}

/// The halves of a name.
fn split(name: &LockKey) -> [u64; 2] {
    let (first, last) = name.as_bytes().split_at(8);
    let number = |half: &[u8]| half.try_into().map_or(0, u64::from_ne_bytes);
    [number(first), number(last)]
}
