//! The words together with where everything lies in them.

use crate::layout::{Layout, header};
use crate::words::Words;

/// Words laid out. Small, and copied freely.
pub(crate) struct Memory<'a, W: Words + ?Sized> {
    pub words: &'a W,
    pub layout: Layout,
}

impl<W: Words + ?Sized> Clone for Memory<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Words + ?Sized> Copy for Memory<'_, W> {}

impl<W: Words + ?Sized> Memory<'_, W> {
    pub fn load(&self, at: usize) -> u64 {
        self.words.load(at)
    }

    pub fn set(&self, at: usize, value: u64) {
        self.words.set(at, value);
    }

    /// Counts in the header.
    pub fn count(&self, at: usize) {
        self.words.add(at, 1);
    }

    /// The index contradicts itself: it is made anew before the mutex is let go, or when it is next taken.
    pub fn is_broken(&self) {
        self.set(header::BROKEN, 1);
    }
}

/// The high half of a word.
pub(crate) fn high(word: u64) -> u32 {
    (word >> 32) as u32
}

/// The low half of a word.
pub(crate) fn low(word: u64) -> u32 {
    word as u32
}

/// Two halves as a word.
pub(crate) fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
