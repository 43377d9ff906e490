//! Makes the index anew, after its writer died half-way or when it contradicts itself.

use crate::chains;
use crate::entry::{Entry, State, state};
use crate::extents;
use crate::layout::header;
use crate::memory::Memory;
use crate::queues::Queue;
use crate::rows;
use crate::units;
use crate::words::{Env, Words};

/// Drops all records. What live workers have pinned keeps its units until they let it go, and what they have reserved
/// stays reserved. For the holder of the mutex; whoever dies in here leaves it to the next.
pub(crate) fn repair<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) {
    rows::bury(memory, env);
    Queue::empty_all(memory);
    chains::empty_all(memory);
    units::free_all(memory);
    let entries = || (0..memory.layout.entries).filter_map(|index| Entry::of(memory, index));
    for entry in entries() {
        kill(entry, env);
        entry.set_queue(0);
    }
    // After all of them are dead: what isn't pinned now won't be.
    rows::each_pinned(memory, |index| {
        if let Some(entry) = Entry::of(memory, index)
            && entry.state() == State::Dead
        {
            entry.set_queue(Queue::Zombies as u64);
        }
    });
    memory.set(header::BROKEN, 0);
    for entry in entries() {
        let pinned = entry.queue() == Queue::Zombies as u64;
        entry.set_queue(0);
        settle(memory, entry, pinned);
    }
    memory.set(header::SWEEP, 0);
    // Units that two pinned entries claim, or a chain of them that was damaged: nothing more can be done for these.
    memory.set(header::BROKEN, 0);
    memory.count(header::REPAIRED);
}

/// No record lives on but what a live worker has reserved.
fn kill<W: Words + ?Sized>(entry: Entry<'_, W>, env: &impl Env) {
    for _ in 0..4 {
        let version = entry.version();
        let dies = match state(version) {
            State::Free | State::Dead => false,
            State::Live => true,
            State::Reserved => !env.is_alive(entry.owner()),
        };
        if !dies || entry.change(version, State::Dead) {
            return;
        }
    }
}

/// Puts an entry where it belongs now.
fn settle<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>, pinned: bool) {
    let reserved = entry.state() == State::Reserved;
    if reserved || pinned {
        extents::mark_all(memory, entry.extent(), true);
        let queue = if reserved {
            Queue::Reserved
        } else {
            Queue::Zombies
        };
        queue.push(memory, entry);
        return;
    }
    entry.set_extent(0, 0);
    entry.force(State::Free);
    Queue::Free.push(memory, entry);
}
