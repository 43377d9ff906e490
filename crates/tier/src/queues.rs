//! Queues of entries: each entry is in one of them, or in none while it moves. For the holder of the mutex.

use crate::entry::Entry;
use crate::layout::header;
use crate::memory::{Memory, low};
use crate::words::Words;

/// A queue, by what its entries are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Free.
    Free = 1,
    /// New records (S3-FIFO's small queue).
    Small,
    /// Records that were used again (its main queue).
    Main,
    /// Dead records whose bytes are pinned.
    Zombies,
    /// Entries whose owner copies bytes.
    Reserved,
}

const HEAD: usize = 0;
const TAIL: usize = 1;
const LENGTH: usize = 2;
const UNITS: usize = 3;

impl Queue {
    const ALL: [Queue; 5] = [
        Queue::Free,
        Queue::Small,
        Queue::Main,
        Queue::Zombies,
        Queue::Reserved,
    ];

    fn of(number: u64) -> Option<Queue> {
        Self::ALL.into_iter().find(|queue| *queue as u64 == number)
    }

    /// The queue that an entry says it is in.
    pub fn with<W: Words + ?Sized>(entry: &Entry<'_, W>) -> Option<Queue> {
        Self::of(entry.queue())
    }

    fn at(self, word: usize) -> usize {
        header::QUEUES + self as usize * 4 + word
    }

    fn read<W: Words + ?Sized>(self, memory: Memory<'_, W>, word: usize) -> u64 {
        memory.load(self.at(word))
    }

    /// How many entries it has.
    pub fn len<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> u64 {
        self.read(memory, LENGTH)
    }

    /// How many units these have.
    pub fn units<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> u64 {
        self.read(memory, UNITS)
    }

    /// The entry that has been in it for longest.
    pub fn first<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> Option<Entry<'_, W>> {
        Entry::linked(memory, low(self.read(memory, HEAD)))
    }

    /// Changes a count. Counts are read by others at any time, so that they never go below 0.
    fn add<W: Words + ?Sized>(self, memory: Memory<'_, W>, word: usize, by: i64) {
        let changed = self.read(memory, word).saturating_add_signed(by);
        memory.set(self.at(word), changed);
    }

    /// Puts an entry of no queue behind all others.
    pub fn push<W: Words + ?Sized>(self, memory: Memory<'_, W>, entry: Entry<'_, W>) {
        let last = low(self.read(memory, TAIL));
        entry.set_neighbours(last, 0);
        entry.set_queue(self as u64);
        match Entry::linked(memory, last) {
            Some(before) => before.set_neighbours(before.neighbours().0, entry.link()),
            None => memory.set(self.at(HEAD), u64::from(entry.link())),
        }
        memory.set(self.at(TAIL), u64::from(entry.link()));
        self.add(memory, LENGTH, 1);
        self.add(memory, UNITS, i64::from(entry.extent().1));
    }

    /// Takes an entry out of the queue that it is in, if any. Its units must not have changed meanwhile.
    pub fn remove<W: Words + ?Sized>(memory: Memory<'_, W>, entry: Entry<'_, W>) {
        let Some(queue) = Queue::with(&entry) else {
            return;
        };
        let (before, behind) = entry.neighbours();
        let (first, last) = (low(queue.read(memory, HEAD)), low(queue.read(memory, TAIL)));
        match Entry::linked(memory, before) {
            Some(before) => before.set_neighbours(before.neighbours().0, behind),
            None => {
                if first != entry.link() {
                    memory.is_broken();
                }
                memory.set(queue.at(HEAD), u64::from(behind));
            }
        }
        match Entry::linked(memory, behind) {
            Some(behind) => behind.set_neighbours(before, behind.neighbours().1),
            None => {
                if last != entry.link() {
                    memory.is_broken();
                }
                memory.set(queue.at(TAIL), u64::from(before));
            }
        }
        entry.set_queue(0);
        queue.add(memory, LENGTH, -1);
        queue.add(memory, UNITS, -i64::from(entry.extent().1));
    }

    /// From its queue, if any, to the end of this one.
    pub fn take<W: Words + ?Sized>(self, memory: Memory<'_, W>, entry: Entry<'_, W>) {
        Queue::remove(memory, entry);
        self.push(memory, entry);
    }

    /// Empties all, whatever the entries say.
    pub fn empty_all<W: Words + ?Sized>(memory: Memory<'_, W>) {
        for queue in Self::ALL {
            for word in [HEAD, TAIL, LENGTH, UNITS] {
                memory.set(queue.at(word), 0);
            }
        }
    }
}
