//! Where the bytes of a record lie in the arena.

use std::ops::Range;

use crate::layout::UNIT;
use crate::memory::{Memory, high, low};
use crate::units::{PIECES, Run, mark};
use crate::words::Words;

/// A run of units of the arena that belong to one record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The first unit, from the arena's start.
    pub unit: u32,
    /// How many there are.
    pub units: u32,
}

/// The extents of a record, in the order of its bytes; neighbours are one. All of them are within the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extents {
    runs: [Extent; PIECES],
    count: usize,
    bytes: usize,
}

impl Extents {
    /// The extents.
    pub fn runs(&self) -> &[Extent] {
        self.runs.get(..self.count).unwrap_or_default()
    }

    /// Bytes of the record: head and body.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The record's bytes as ranges of bytes from the arena's start: all of them together are [`Extents::bytes`] long.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut left = self.bytes;
        self.runs().iter().map(move |run| {
            let start = run.unit as usize * UNIT;
            let length = (run.units as usize * UNIT).min(left);
            left -= length;
            start..start + length
        })
    }

    /// Adds a run behind the others.
    fn push(&mut self, run: Run) -> Option<()> {
        let before = self.count.checked_sub(1);
        if let Some(before) = before.and_then(|last| self.runs.get_mut(last))
            && before.unit.saturating_add(before.units) == run.start
        {
            before.units = before.units.saturating_add(run.units);
            return Some(());
        }
        *self.runs.get_mut(self.count)? = Extent {
            unit: run.start,
            units: run.units,
        };
        self.count += 1;
        Some(())
    }
}

/// How many units so many bytes take: at least 1. `None` if there can't be so many.
pub(crate) fn units_for(bytes: u64) -> Option<u32> {
    u32::try_from(bytes.div_ceil(UNIT as u64).max(1)).ok()
}

/// Calls `each` with the runs of a chain of so many units from this unit on. Whether all of it makes sense.
fn walk<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    (first, units): (u32, u32),
    mut each: impl FnMut(Run) -> Option<()>,
) -> Option<()> {
    let (mut start, mut left) = (first, units);
    for _ in 0..PIECES {
        if start >= memory.layout.units {
            return None;
        }
        let word = memory.load(memory.layout.runs_at + start as usize);
        let (units, next) = (high(word), low(word));
        if units == 0 || units > left || units > memory.layout.units - start {
            return None;
        }
        each(Run { start, units })?;
        left -= units;
        match next.checked_sub(1) {
            None => return (left == 0).then_some(()),
            Some(next) => start = next,
        }
    }
    None
}

/// The extents of a chain. `None` if it makes no sense.
pub(crate) fn read<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    extent: (u32, u32),
    bytes: u64,
) -> Option<Extents> {
    let mut found = Extents {
        runs: [Extent::default(); PIECES],
        count: 0,
        bytes: usize::try_from(bytes).ok()?,
    };
    if units_for(bytes)? != extent.1 {
        return None;
    }
    walk(memory, extent, |run| found.push(run))?;
    Some(found)
}

/// Marks all units of a chain as used or free. Units that were so already, or a chain that makes no sense: the index
/// contradicts itself. How many units changed.
pub(crate) fn mark_all<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    extent: (u32, u32),
    as_used: bool,
) -> u32 {
    let mut changed = 0u32;
    let whole = walk(memory, extent, |run| {
        changed = changed.saturating_add(mark(memory, run, as_used));
        Some(())
    });
    if whole.is_none() || changed != extent.1 {
        memory.is_broken();
    }
    changed
}
