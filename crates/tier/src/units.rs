//! Free units of the arena: a bitmap, searched from a cursor on. For the holder of the mutex.

use crate::layout::header;
use crate::memory::{Memory, high, low, pair};
use crate::words::Words;

/// The most pieces of a record.
pub(crate) const PIECES: usize = 64;

/// The least units of a piece (4 KiB), but for a record's last. What isn't larger lies in one piece.
const LEAST: u32 = 8;

/// Words of the bitmap that a search near a place looks at.
const NEAR: u32 = 16;

/// Words of the bitmap that a search from the cursor looks at for one run, once it knows of enough pieces: 32 MiB of the
/// arena.
const FAR: u32 = 1024;

/// A search from the cursor that was in vain isn't repeated before this part of the arena is free that wasn't then.
const GROWTH: u32 = 256;

/// A run of units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub start: u32,
    pub units: u32,
}

/// Where a search looks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Search {
    /// From the cursor on.
    Far,
    /// Around a unit that was freed just now.
    Near(u32),
}

/// Words of the bitmap.
pub(crate) fn bitmap_words<W: Words + ?Sized>(memory: Memory<'_, W>) -> u32 {
    memory.layout.units.div_ceil(64)
}

/// Bits of used units in a word of the bitmap. Those behind the last unit are used.
fn used<W: Words + ?Sized>(memory: Memory<'_, W>, word: u32) -> u64 {
    let behind = word.saturating_mul(64).saturating_add(64);
    let beyond = behind.saturating_sub(memory.layout.units).min(64);
    let tail = u64::MAX.checked_shl(64 - beyond).unwrap_or(0);
    memory.load(memory.layout.bitmap_at + word as usize) | tail
}

/// Free units.
pub(crate) fn free<W: Words + ?Sized>(memory: Memory<'_, W>) -> u32 {
    low(memory.load(header::FREE_UNITS))
}

/// Marks a run as used or free. How many units were not so before.
pub(crate) fn mark<W: Words + ?Sized>(memory: Memory<'_, W>, run: Run, as_used: bool) -> u32 {
    let end = run.start.saturating_add(run.units).min(memory.layout.units);
    let (mut at, mut changed) = (run.start, 0u32);
    while at < end {
        let within = at % 64;
        let count = (64 - within).min(end - at);
        let mask = (u64::MAX >> (64 - count)) << within;
        let place = memory.layout.bitmap_at + (at / 64) as usize;
        let before = memory.load(place);
        let after = if as_used {
            before | mask
        } else {
            before & !mask
        };
        changed += (before ^ after).count_ones();
        memory.set(place, after);
        at += count;
    }
    let known = free(memory);
    let known = if as_used {
        known.saturating_sub(changed)
    } else {
        known.saturating_add(changed).min(memory.layout.units)
    };
    memory.set(header::FREE_UNITS, u64::from(known));
    changed
}

/// The units of a word of the bitmap are free.
pub(crate) fn empty_word<W: Words + ?Sized>(memory: Memory<'_, W>, word: u32) {
    memory.set(memory.layout.bitmap_at + word as usize, 0);
}

/// All words of the bitmap are empty.
pub(crate) fn are_free<W: Words + ?Sized>(memory: Memory<'_, W>) {
    memory.set(header::FREE_UNITS, u64::from(memory.layout.units));
    memory.set(header::CURSOR, 0);
    memory.set(header::IN_VAIN, 0);
}

/// Looks for free runs.
struct Finder {
    wanted: u32,
    current: Run,
    pieces: [Run; PIECES],
    count: usize,
    /// Units of all pieces.
    sum: u32,
}

impl Finder {
    fn new(wanted: u32) -> Self {
        Finder {
            wanted,
            current: Run::default(),
            pieces: [Run::default(); PIECES],
            count: 0,
            sum: 0,
        }
    }

    /// Whether the pieces are enough.
    fn has_pieces(&self) -> bool {
        self.wanted > LEAST && self.sum >= self.wanted
    }

    /// The next units are free. Whether the run is long enough now.
    fn add_free(&mut self, start: u32, units: u32) -> bool {
        if self.current.units == 0 {
            self.current.start = start;
        }
        self.current.units = self.current.units.saturating_add(units);
        self.current.units >= self.wanted
    }

    /// The run has ended: it may be a piece. Of too many, the largest are kept.
    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.current);
        if run.units < LEAST {
            return;
        }
        if let Some(place) = self.pieces.get_mut(self.count) {
            *place = run;
            self.count += 1;
            self.sum = self.sum.saturating_add(run.units);
        } else if let Some(least) = self.pieces.iter_mut().min_by_key(|piece| piece.units)
            && least.units < run.units
        {
            self.sum = self.sum.saturating_add(run.units - least.units);
            *least = run;
        }
    }

    /// Looks at a word of the bitmap. Whether a run is long enough now.
    fn look(&mut self, word: u32, used: u64) -> bool {
        let start = word.saturating_mul(64);
        if used == 0 {
            return self.add_free(start, 64);
        }
        if used == u64::MAX {
            self.end_run();
            return false;
        }
        let mut bit = 0;
        while bit < 64 {
            let rest = used >> bit;
            let free = rest.trailing_zeros().min(64 - bit);
            if free > 0 && self.add_free(start + bit, free) {
                return true;
            }
            bit += free;
            if bit < 64 {
                self.end_run();
                bit += (used >> bit).trailing_ones();
            }
        }
        false
    }

    /// The one run, or else the largest pieces that are enough together.
    fn result(mut self, whole: bool) -> Option<([Run; PIECES], usize)> {
        if whole {
            self.current.units = self.wanted;
            let mut pieces = [Run::default(); PIECES];
            *pieces.first_mut()? = self.current;
            return Some((pieces, 1));
        }
        self.end_run();
        if !self.has_pieces() {
            return None;
        }
        let found = self.pieces.get_mut(..self.count)?;
        found.sort_unstable_by_key(|piece| std::cmp::Reverse(piece.units));
        let mut missing = self.wanted;
        for (index, piece) in found.iter_mut().enumerate() {
            piece.units = piece.units.min(missing);
            missing -= piece.units;
            if missing == 0 {
                return Some((self.pieces, index + 1));
            }
        }
        None
    }
}

/// Takes units for a record: one run if there is one, else pieces. Its first unit; `None` if none are found.
pub(crate) fn allocate<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    units: u32,
    search: Search,
) -> Option<u32> {
    if units == 0 || free(memory) < units {
        return None;
    }
    let words = bitmap_words(memory);
    let (start, count) = match search {
        Search::Far => (low(memory.load(header::CURSOR)) / 64, words),
        // What was free before it may be part of the run.
        Search::Near(unit) => ((unit / 64).saturating_sub(1), NEAR + units / 64),
    };
    let mut finder = Finder::new(units);
    let mut whole = false;
    let mut word = start % words.max(1);
    for step in 0..count.min(words) {
        whole = finder.look(word, used(memory, word));
        if whole || (step >= FAR && finder.has_pieces()) {
            break;
        }
        word += 1;
        if word >= words {
            finder.end_run();
            word = 0;
        }
    }
    let Some((pieces, count)) = finder.result(whole) else {
        if matches!(search, Search::Far) {
            give_up(memory, units);
        }
        return None;
    };
    let pieces = pieces.get(..count)?;
    take(memory, pieces);
    let last = pieces.last()?;
    memory.set(
        header::CURSOR,
        u64::from(last.start.saturating_add(last.units)),
    );
    pieces.first().map(|piece| piece.start)
}

/// A search from the cursor was in vain: the next one is not before there is more that is free.
fn give_up<W: Words + ?Sized>(memory: Memory<'_, W>, units: u32) {
    let more = (units / 2).max(64).max(memory.layout.units / GROWTH);
    let enough = free(memory).saturating_add(more);
    memory.set(header::IN_VAIN, pair(units, enough));
}

/// Whether a search from the cursor for so many units makes sense: none for as many was in vain with as few free ones.
pub(crate) fn is_hopeful<W: Words + ?Sized>(memory: Memory<'_, W>, units: u32) -> bool {
    let in_vain = memory.load(header::IN_VAIN);
    let (failed, enough) = (high(in_vain), low(in_vain));
    failed == 0 || units < failed || free(memory) >= enough
}

/// Marks pieces as used, and chains them.
fn take<W: Words + ?Sized>(memory: Memory<'_, W>, pieces: &[Run]) {
    let next = pieces
        .iter()
        .skip(1)
        .map(|piece| piece.start.wrapping_add(1))
        .chain([0]);
    for (piece, next) in pieces.iter().zip(next) {
        mark(memory, *piece, true);
        let at = memory.layout.runs_at + piece.start as usize;
        memory.set(at, pair(piece.units, next));
    }
}
