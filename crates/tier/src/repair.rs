//! Makes the index anew, after its writer died half-way or when it contradicts itself: a part in each turn of a writer.
//!
//! Before all else every record becomes void, by a new epoch of the store: no reader is given one while the index is in
//! pieces. Then the buckets are emptied, all units become free, and each entry gets its place: what a live worker has pinned
//! or reserved keeps its units, all others are free.
//!
//! [`header::REPAIR`] says how far that has come. Between two turns the mutex is free, and whoever takes it does the next
//! part and nothing else. So only what needs no mutex happens in between: records die, and pins come and go. Whoever dies in a
//! turn leaves the mutex to another, who begins again.
//!
//! A tier that is new takes its entries the same way, but needs them one by one only: writers work meanwhile.

use crate::chains;
use crate::entry::{Entry, State, state};
use crate::extents;
use crate::layout::header;
use crate::memory::{Memory, high, low, pair};
use crate::queues::Queue;
use crate::rows;
use crate::units;
use crate::words::{Env, Words};

/// Buckets, or words of the bitmap, that take no longer than an entry.
const EASY: u32 = 16;

/// A turn of a writer does so many times less for a tier that is new.
const NEW_SHARE: u32 = 16;

/// What is done now, in the high half of [`header::REPAIR`]. The low half is the number of the next one of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The buckets are emptied.
    Buckets = 1,
    /// Words of the bitmap are emptied.
    Units,
    /// Entries get their place.
    Entries,
    /// Entries that nobody has ever used get their place. The rest of the index is in order.
    New,
}

impl Step {
    fn of(number: u32) -> Option<Step> {
        let all = [Step::Buckets, Step::Units, Step::Entries, Step::New];
        all.into_iter().find(|step| *step as u32 == number)
    }

    fn at(self, next: u32) -> u64 {
        pair(self as u32, next)
    }

    /// How many there are of its kind.
    fn count<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> u32 {
        match self {
            Step::Buckets => memory.layout.buckets,
            Step::Units => units::bitmap_words(memory),
            Step::Entries | Step::New => memory.layout.entries,
        }
    }

    fn next(self) -> Option<Step> {
        match self {
            Step::Buckets => Some(Step::Units),
            Step::Units => Some(Step::Entries),
            Step::Entries | Step::New => None,
        }
    }
}

/// Whether the index isn't whole: it is being made anew.
pub(crate) fn is_under_way<W: Words + ?Sized>(memory: Memory<'_, W>) -> bool {
    let step = high(memory.load(header::REPAIR));
    step != 0 && step != Step::New as u32
}

/// Begins, or begins again. For the holder of the mutex, who goes on with [`go_on`].
pub(crate) fn begin<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) {
    memory.set(header::REPAIR, Step::Buckets.at(0));
    memory.words.add(header::EPOCH, 1);
    rows::bury(memory, env);
    Queue::empty_all(memory);
}

/// Says of words that are all zero that they are an index without entries yet.
pub(crate) fn begin_new<W: Words + ?Sized>(memory: Memory<'_, W>) {
    units::are_free(memory);
    memory.set(header::REPAIR, Step::New.at(0));
}

/// Does a part of what is to be done, if anything is. Whether the index may be used. For the holder of the mutex.
pub(crate) fn go_on<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env) -> bool {
    let mut left = env.turn().max(1);
    while left > 0 {
        let word = memory.load(header::REPAIR);
        match Step::of(high(word)) {
            Some(Step::New) => {
                take(memory, env, Step::New, low(word), left.div_ceil(NEW_SHARE));
                return true;
            }
            Some(step) => left = left.saturating_sub(take(memory, env, step, low(word), left)),
            None if high(word) == 0 => return true,
            // The word itself is damaged.
            None => begin(memory, env),
        }
    }
    !is_under_way(memory)
}

/// Takes a step for the next ones of its kind, as far as a turn allows. What it took of that.
fn take<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    env: &impl Env,
    step: Step,
    from: u32,
    turn: u32,
) -> u32 {
    let each = match step {
        Step::Buckets | Step::Units => EASY,
        Step::Entries | Step::New => 1,
    };
    let end = step.count(memory);
    let count = end.saturating_sub(from).min(turn.saturating_mul(each));
    let to = from.saturating_add(count);
    for number in from..to {
        match step {
            Step::Buckets => chains::empty(memory, number),
            Step::Units => units::empty_word(memory, number),
            Step::Entries | Step::New => {
                if let Some(entry) = Entry::of(memory, number) {
                    settle(memory, env, entry);
                }
            }
        }
    }
    if to < end {
        memory.set(header::REPAIR, step.at(to));
    } else {
        done(memory, step);
    }
    count.div_ceil(each)
}

/// A step is done: the next one follows, or all is.
fn done<W: Words + ?Sized>(memory: Memory<'_, W>, step: Step) {
    if step == Step::Units {
        units::are_free(memory);
    }
    if step == Step::Entries {
        memory.set(header::SWEEP, 0);
        // What contradicted itself until now. Of units that two pinned entries claim, or a damaged chain of them,
        // nothing more can be done.
        memory.set(header::BROKEN, 0);
        memory.count(header::REPAIRED);
    }
    memory.set(header::REPAIR, step.next().map_or(0, |next| next.at(0)));
}

/// Puts an entry where it belongs now.
fn settle<W: Words + ?Sized>(memory: Memory<'_, W>, env: &impl Env, entry: Entry<'_, W>) {
    kill(entry, env);
    let queue = match entry.state() {
        State::Reserved => Queue::Reserved,
        // It is dead by now: a worker that hasn't pinned it won't.
        State::Dead if rows::is_pinned(memory, entry.index) => Queue::Zombies,
        _ => {
            entry.set_extent(0, 0);
            entry.force(State::Free);
            Queue::Free.push(memory, entry);
            return;
        }
    };
    extents::mark_all(memory, entry.extent(), true);
    queue.push(memory, entry);
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
