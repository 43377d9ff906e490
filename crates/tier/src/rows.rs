//! Pins: which worker reads the bytes of which entries (hazard pointers). Only its owner writes a worker's row.
//!
//! A reader writes its slot, then looks whether the record still lives. Whoever frees a record kills it first, then looks at
//! all rows. So one of them sees the other.

use crate::entry::{Handle, State, state};
use crate::layout::{ENTRY_WORDS, ROWS};
use crate::memory::{Memory, high, low, pair};
use crate::words::{Env, Words};

/// Slots that an entry may have in a row.
const WINDOW: u32 = 8;

/// In place of a pid: the row of a dead worker is being cleared.
const BURIED: u32 = u32::MAX;

/// A worker's row: [`crate::Tier::enrol`]. For this worker alone, which has one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    number: u32,
    /// A count of owners, and the pid.
    word: u64,
}

/// Bytes that stay as they are until [`crate::Tier::unpin`] takes this.
#[derive(Debug)]
#[must_use = "nothing unpins it but Tier::unpin"]
pub struct Pin {
    at: usize,
    entry: u32,
}

/// Why nothing was pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The record is gone: look it up in the store.
    Gone,
    /// This worker has no slot left for it: copy the bytes, and ask [`crate::Tier::still`] behind the copy.
    Crowded,
}

fn row_at<W: Words + ?Sized>(memory: Memory<'_, W>, number: u32) -> usize {
    memory.layout.rows_at + number as usize * (1 + memory.layout.slots as usize)
}

/// Places of the slots that an entry may have in a row.
fn window<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    number: u32,
    entry: u32,
) -> impl Iterator<Item = usize> {
    let mask = memory.layout.slots.wrapping_sub(1);
    let start = entry.wrapping_mul(0x9e37_79b9) >> 16;
    let row = row_at(memory, number) + 1;
    (0..WINDOW).map(move |step| row + (start.wrapping_add(step) & mask) as usize)
}

fn clear_slots<W: Words + ?Sized>(memory: Memory<'_, W>, number: u32) {
    let row = row_at(memory, number) + 1;
    for at in row..row + memory.layout.slots as usize {
        if memory.load(at) != 0 {
            memory.words.store(at, 0);
        }
    }
}

fn owns<W: Words + ?Sized>(memory: Memory<'_, W>, row: &Row) -> bool {
    row.number < ROWS && memory.load(row_at(memory, row.number)) == row.word
}

/// A row for a worker: its own of before, which a worker of the same pid left, or a free one.
pub(crate) fn enrol<W: Words + ?Sized>(memory: Memory<'_, W>, pid: u32) -> Option<Row> {
    for wanted in [pid, 0] {
        for number in 0..ROWS {
            let at = row_at(memory, number);
            let known = memory.load(at);
            let word = pair(high(known).wrapping_add(1), pid);
            if low(known) == wanted && memory.words.replace(at, known, word) {
                clear_slots(memory, number);
                return Some(Row { number, word });
            }
        }
    }
    None
}

/// The worker pins nothing any more and needs no row.
pub(crate) fn leave<W: Words + ?Sized>(memory: Memory<'_, W>, row: &Row) {
    if owns(memory, row) {
        clear_slots(memory, row.number);
        memory
            .words
            .store(row_at(memory, row.number), pair(high(row.word), 0));
    }
}

/// Clears the rows of dead workers. For the holder of the mutex.
pub(crate) fn bury<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) {
    for number in 0..ROWS {
        let at = row_at(memory, number);
        let known = memory.load(at);
        let pid = low(known);
        if pid == 0 || (pid != BURIED && env.is_alive(pid)) {
            continue;
        }
        // A new worker of this pid may take the row at this moment.
        let buried = pair(high(known).wrapping_add(1), BURIED);
        if memory.words.replace(at, known, buried) {
            clear_slots(memory, number);
            memory.words.store(at, pair(high(buried), 0));
        }
    }
}

/// Whether a dead worker has a row.
pub(crate) fn has_dead<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) -> bool {
    (0..ROWS)
        .map(|number| low(memory.load(row_at(memory, number))))
        .any(|pid| pid == BURIED || (pid != 0 && !env.is_alive(pid)))
}

/// Whether a worker has the bytes of an entry pinned.
pub(crate) fn is_pinned<W: Words + ?Sized>(memory: Memory<'_, W>, entry: u32) -> bool {
    let link = entry.wrapping_add(1);
    (0..ROWS)
        .filter(|number| low(memory.load(row_at(memory, *number))) != 0)
        .any(|number| window(memory, number, entry).any(|at| high(memory.load(at)) == link))
}

/// Pins the bytes of a record.
pub(crate) fn pin<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    row: &Row,
    handle: Handle,
) -> Result<Pin, Refusal> {
    if !owns(memory, row) {
        return Err(Refusal::Crowded);
    }
    let link = handle.entry.wrapping_add(1);
    let mut free = None;
    let mut known = None;
    for at in window(memory, row.number, handle.entry) {
        let slot = memory.load(at);
        if high(slot) == link {
            known = Some((at, low(slot)));
            break;
        }
        if slot == 0 && free.is_none() {
            free = Some((at, 0));
        }
    }
    let (at, count) = known.or(free).ok_or(Refusal::Crowded)?;
    let more = count.checked_add(1).ok_or(Refusal::Crowded)?;
    memory.words.store(at, pair(link, more));
    let pin = Pin {
        at,
        entry: handle.entry,
    };
    if state(handle.version) == State::Live && version(memory, handle) == handle.version {
        return Ok(pin);
    }
    unpin(memory, row, pin);
    Err(Refusal::Gone)
}

fn version<W: Words + ?Sized>(memory: Memory<'_, W>, handle: Handle) -> u64 {
    if handle.entry >= memory.layout.entries {
        return 0;
    }
    memory.load(memory.layout.entries_at + handle.entry as usize * ENTRY_WORDS)
}

/// Takes back one pin.
pub(crate) fn unpin<W: Words + ?Sized>(memory: Memory<'_, W>, row: &Row, pin: Pin) {
    let slot = memory.load(pin.at);
    if !owns(memory, row) || high(slot) != pin.entry.wrapping_add(1) {
        return;
    }
    let left = match low(slot) {
        0 | 1 => 0,
        count => pair(high(slot), count - 1),
    };
    memory.words.store(pin.at, left);
}
