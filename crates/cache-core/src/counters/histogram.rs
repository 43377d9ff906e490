//! How often something has taken how long, in fixed ranges.

use super::Word;

/// How many bounds there are. Above the last one there is one range more.
const BOUNDS: usize = 13;

/// The bounds for fills, in microseconds: from a local backend to the slowest that is waited for.
pub(super) const FILL_BOUNDS: [u64; BOUNDS] = [
    1_000, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Those for commands to a store.
pub(super) const STORE_BOUNDS: [u64; BOUNDS] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// The words of a histogram in a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    first: usize,
    bounds: &'static [u64; BOUNDS],
}

impl Times {
    /// How many words it takes: one for each range, and the sum of all times.
    pub(super) const WORDS: usize = BOUNDS + 2;

    pub(super) const fn new(first: usize, bounds: &'static [u64; BOUNDS]) -> Self {
        Self { first, bounds }
    }

    /// The word that counts a time, in microseconds.
    #[must_use]
    pub fn range(self, time: u64) -> Word {
        // Most are short.
        let range = self.bounds.iter().position(|bound| time <= *bound);
        Word(self.first + range.unwrap_or(BOUNDS))
    }

    /// The word that has the sum of all times, in microseconds.
    #[must_use]
    pub const fn sum(self) -> Word {
        Word(self.first + BOUNDS + 1)
    }

    pub(super) fn read(self, count: impl Fn(Word) -> u64) -> Histogram {
        let mut below = 0_u64;
        let mut up_to = |range: usize| {
            below = below.wrapping_add(count(Word(self.first + range)));
            below
        };
        let ranges = self.bounds.iter().enumerate();
        Histogram {
            buckets: ranges.map(|(at, bound)| (*bound, up_to(at))).collect(),
            count: up_to(BOUNDS),
            sum: count(self.sum()),
        }
    }
}

/// What a histogram holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Upper bounds in microseconds, and how many times are no longer.
    pub buckets: Vec<(u64, u64)>,
    /// How many there are in all.
    pub count: u64,
    /// Their sum, in microseconds.
    pub sum: u64,
}
