//! What goes when space is wanted (S3-FIFO, Yang et al., SOSP 2023), and how an entry is freed. For the holder of the mutex.

use crate::chains;
use crate::entry::{Entry, State, state};
use crate::extents;
use crate::keys::Keys;
use crate::layout::{RING, header};
use crate::memory::{Memory, low};
use crate::nodes;
use crate::queues::Queue;
use crate::rows;
use crate::units::{self, Search};
use crate::words::{Env, Words};

/// The small queue has at most the arena's units divided by this.
const SMALL_SHARE: u32 = 10;

/// Entries that are given another turn before one goes that was used.
const TURNS: u32 = 64;

/// Evictions for one record: so many, or so many times its units, whichever is more.
const EVICTIONS: u32 = 64;
const TIMES: u64 = 4;

/// What one reservation does beside its own.
const DRAINED: u32 = 64;
const SWEPT: u32 = 8;
const ZOMBIES: u32 = 4;

/// Every so many reservations, it is asked which workers live.
const BURIAL: u64 = 256;

/// Kills an entry's record and frees its units, unless they are pinned. How many units are free now.
pub(crate) fn remove<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) -> u32 {
    for _ in 0..4 {
        let version = entry.version();
        match state(version) {
            State::Free => return 0,
            State::Dead => break,
            State::Live | State::Reserved => entry.change(version, State::Dead),
        };
    }
    chains::unlink(memory, entry);
    if rows::is_pinned(memory, entry.index) {
        Queue::Zombies.take(memory, entry);
        return 0;
    }
    release(memory, entry)
}

/// Frees a dead entry that nobody has pinned.
fn release<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) -> u32 {
    let freed = extents::mark_all(memory, entry.extent(), false);
    Queue::remove(memory, entry);
    entry.set_extent(0, 0);
    entry.force(State::Free);
    Queue::Free.push(memory, entry);
    freed
}

/// Whether nobody may be given an entry's record any more.
fn is_done<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>, now: u64) -> bool {
    let label = entry.label();
    entry.state() != State::Live
        || label.expiry <= now
        || nodes::is_void(memory, entry.hash(), &label)
}

/// Lets one record go: the first of those whose turn it is that nobody has used. Its first unit, and how many units it
/// had and are free now.
fn evict<W: Words + ?Sized>(memory: Memory<'_, W>, now: u64) -> Option<(u32, u32, u32)> {
    for turn in 0..=TURNS {
        let small = Queue::Small.units(memory) > u64::from(memory.layout.units / SMALL_SHARE);
        let (queue, other) = match small {
            true => (Queue::Small, Queue::Main),
            false => (Queue::Main, Queue::Small),
        };
        let done = |queue: Queue| queue.first(memory).filter(|it| is_done(memory, *it, now));
        // What nobody may be given goes before what somebody may: after a new epoch, all of the main queue.
        let entry = done(queue)
            .or_else(|| done(other))
            .or_else(|| queue.first(memory))
            .or_else(|| other.first(memory))?;
        let is_small = Queue::with(&entry) == Some(Queue::Small);
        let frequency = entry.frequency();
        let done = is_done(memory, entry, now);
        let used = if is_small {
            frequency > 1
        } else {
            frequency > 0
        };
        if used && !done && turn < TURNS {
            let left = if is_small { 0 } else { frequency - 1 };
            entry.set_frequency(left);
            Queue::Main.take(memory, entry);
            continue;
        }
        if is_small && !done {
            Keys::Ghosts.add(memory, entry.hash(), ghost_window(memory));
        }
        let (first, had) = entry.extent();
        if had == 0 || entry.state() == State::Free {
            memory.is_broken();
            return None;
        }
        memory.count(header::EVICTED);
        return Some((first, had, remove(memory, entry)));
    }
    None
}

/// How many ghosts there are: as many as the main queue has records.
pub(crate) fn ghost_window<W: Words + ?Sized>(memory: Memory<'_, W>) -> u32 {
    u32::try_from(Queue::Main.len(memory))
        .unwrap_or(u32::MAX)
        .max(16)
}

/// Unlinks what was killed without the mutex.
pub(crate) fn drain<W: Words + ?Sized>(memory: Memory<'_, W>) {
    let tail = low(memory.load(header::RING_TAIL));
    let head = low(memory.load(header::RING_HEAD));
    // Of more than the ring has room for, the sweep finds the rest.
    let waiting = tail.wrapping_sub(head).min(RING);
    let start = tail.wrapping_sub(waiting);
    let count = waiting.min(DRAINED);
    for step in 0..count {
        let at = memory.layout.ring_at + (start.wrapping_add(step) % RING) as usize;
        let link = low(memory.load(at));
        if let Some(entry) = Entry::linked(memory, link) {
            remove_dead(memory, entry);
        }
    }
    memory.set(header::RING_HEAD, u64::from(start.wrapping_add(count)));
}

/// Frees an entry that was killed and is still where it was.
fn remove_dead<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) {
    let placed = matches!(
        Queue::with(&entry),
        Some(Queue::Small | Queue::Main | Queue::Reserved)
    );
    if placed && entry.state() == State::Dead {
        remove(memory, entry);
    }
}

/// Frees zombies that nobody has pinned any more, of so many.
fn bury_zombies<W: Words + ?Sized>(memory: Memory<'_, W>, count: u32) {
    for _ in 0..u64::from(count).min(Queue::Zombies.len(memory)) {
        let Some(entry) = Queue::Zombies.first(memory) else {
            return;
        };
        if rows::is_pinned(memory, entry.index) {
            Queue::Zombies.take(memory, entry);
        } else {
            release(memory, entry);
        }
    }
}

/// Frees what dead workers had pinned or reserved.
pub(crate) fn bury_dead<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) {
    rows::bury(memory, env);
    let most = memory.layout.entries.min(1024);
    for _ in 0..u64::from(most).min(Queue::Reserved.len(memory)) {
        let Some(entry) = Queue::Reserved.first(memory) else {
            break;
        };
        if entry.state() == State::Reserved && env.is_alive(entry.owner()) {
            Queue::Reserved.take(memory, entry);
        } else {
            remove(memory, entry);
        }
    }
    bury_zombies(memory, most);
}

/// Frees the dead, the expired and the void among the next few entries.
fn sweep<W: Words + ?Sized>(memory: Memory<'_, W>, now: u64) {
    let start = low(memory.load(header::SWEEP));
    let entries = memory.layout.entries.max(1);
    for step in 0..SWEPT {
        let Some(entry) = Entry::of(memory, start.wrapping_add(step) % entries) else {
            continue;
        };
        match Queue::with(&entry) {
            Some(Queue::Small | Queue::Main) if is_done(memory, entry, now) => {
                remove(memory, entry);
            }
            _ => remove_dead(memory, entry),
        }
    }
    let next = start.wrapping_add(SWEPT) % entries;
    memory.set(header::SWEEP, u64::from(next));
}

/// What every reservation does first, so that nothing dead stays for ever.
pub(crate) fn keep_house<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) {
    drain(memory);
    sweep(memory, env.now());
    bury_zombies(memory, ZOMBIES);
    if memory
        .words
        .add(header::ASKED, 1)
        .wrapping_add(1)
        .is_multiple_of(BURIAL)
    {
        bury_dead(memory, env);
    }
}

/// A free entry and units for a record, taken from others if there are none. `None`: what may be done for one record was in
/// vain.
pub(crate) fn make_room<'a, W: Words + ?Sized>(
    memory: Memory<'a, W>,
    env: &impl Env,
    units: u32,
) -> Option<(Entry<'a, W>, u32)> {
    let now = env.now();
    let (mut evictions, mut evicted) = (0u32, 0u64);
    let most = u64::from(units).saturating_mul(TIMES);
    // Each eviction is of a unit at least, unless the index contradicts itself.
    while evictions < EVICTIONS || (evicted < most && u64::from(evictions) < most) {
        if let Some(entry) = Queue::Free.first(memory)
            && units::is_hopeful(memory, units)
            && let Some(first) = units::allocate(memory, units, Search::Far)
        {
            return Some((entry, first));
        }
        let Some((first, had, freed)) = evict(memory, now) else {
            break;
        };
        evictions += 1;
        // One that has none counts, too: in damaged words the same one may come again and again.
        evicted = evicted.saturating_add(u64::from(had.max(1)));
        // Where that was, as soon as there may be enough.
        if freed > 0
            && evicted >= u64::from(units)
            && let Some(entry) = Queue::Free.first(memory)
            && let Some(first) = units::allocate(memory, units, Search::Near(first))
        {
            return Some((entry, first));
        }
    }
    bury_dead(memory, env);
    let entry = Queue::Free.first(memory)?;
    let first = units::allocate(memory, units, Search::Far)?;
    Some((entry, first))
}
