//! Entries of the index: words of a record, but for its bytes.

use std::ops::Range;

use crate::layout::{ENTRY_WORDS, RING, header};
use crate::memory::{Memory, high, low, pair};
use crate::words::Words;

const VERSION: usize = 0;
const HASH_HIGH: usize = 1;
const HASH_LOW: usize = 2;
const CHAIN: usize = 3;
const LINKS: usize = 4;
const QUEUE: usize = 5;
const FREQUENCY: usize = 6;
const EXTENT: usize = 7;
const LENGTHS: usize = 8;
const EXPIRY: usize = 9;
const NODE: usize = 10;
const EPOCH: usize = 11;
const STORE_EPOCH: usize = 12;
const META: usize = 13;
const SWEPT: usize = 14;
const OWNER: usize = 15;

/// Bits of an entry's word of its node, above the node's number.
const FREE: u32 = 1;
const ALONE: u32 = 2;

/// The most that [`Entry::touch`] counts to.
const MOST_FREQUENT: u64 = 3;

/// What an entry is, in the two low bits of its version. The rest counts how often it was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nothing. It is in the queue of free entries, or on its way there.
    Free,
    /// Has units, and its owner copies bytes into them.
    Reserved,
    /// A record that can be found.
    Live,
    /// A record that nobody finds. It has its units until nobody has them pinned.
    Dead,
}

/// The state of a version.
pub(crate) fn state(version: u64) -> State {
    match version & 3 {
        0 => State::Free,
        1 => State::Reserved,
        2 => State::Live,
        _ => State::Dead,
    }
}

/// The same version in another state.
pub(crate) fn in_state(version: u64, state: State) -> u64 {
    version & !3 | state as u64
}

/// A record of the tier, as [`crate::Tier::find`] found it: for this record only, never for one that has its place later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle {
    pub(crate) entry: u32,
    pub(crate) version: u64,
}

impl Handle {
    /// Number of its entry, below [`crate::Layout::entries`]: an index for what a worker keeps of a record on its own.
    pub fn entry(&self) -> u32 {
        self.entry
    }

    /// Differs between all records that ever have this entry.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// What a writer says of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When it expires, in milliseconds: from then on it isn't current.
    pub expiry: u64,
    /// Whether it may be served without its node's lease: a store without servers, or one that nobody else writes to.
    pub free: bool,
    /// Whether it comes from no server, because its node's is down: it is never current, except for those who know of that
    /// ([`crate::Tier::is_current_alone`]).
    pub alone: bool,
    /// What a reader is to know beside that: anything.
    pub meta: u64,
}

/// What an entry says of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub expiry: u64,
    pub node: u32,
    pub free: bool,
    pub alone: bool,
    pub epoch: u64,
    pub store_epoch: u64,
    pub swept: u32,
    pub meta: u64,
}

/// An entry's words.
pub(crate) struct Entry<'a, W: Words + ?Sized> {
    memory: Memory<'a, W>,
    pub index: u32,
}

impl<W: Words + ?Sized> Clone for Entry<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Words + ?Sized> Copy for Entry<'_, W> {}

impl<'a, W: Words + ?Sized> Entry<'a, W> {
    /// The entry of this number. `None` if there is none.
    pub fn of(memory: Memory<'a, W>, index: u32) -> Option<Self> {
        (index < memory.layout.entries).then_some(Entry { memory, index })
    }

    /// The entry that a link names: 0 is none.
    pub fn linked(memory: Memory<'a, W>, link: u32) -> Option<Self> {
        Self::of(memory, link.checked_sub(1)?)
    }

    /// What names it in a link.
    pub fn link(&self) -> u32 {
        self.index.wrapping_add(1)
    }

    /// Where the words of the entry of a number lie.
    pub fn words(memory: Memory<'a, W>, index: u32) -> Range<usize> {
        let begin = memory.layout.entries_at + index as usize * ENTRY_WORDS;
        begin..begin + ENTRY_WORDS
    }

    fn at(&self, word: usize) -> usize {
        self.memory.layout.entries_at + self.index as usize * ENTRY_WORDS + word
    }

    fn load(&self, word: usize) -> u64 {
        self.memory.load(self.at(word))
    }

    fn set(&self, word: usize, value: u64) {
        self.memory.set(self.at(word), value);
    }

    pub fn version(&self) -> u64 {
        self.load(VERSION)
    }

    pub fn state(&self) -> State {
        state(self.version())
    }

    /// Changes the state, if the version is still this one. Whether it was.
    pub fn change(&self, version: u64, to: State) -> bool {
        let changed = in_state(version, to);
        self.memory
            .words
            .replace(self.at(VERSION), version, changed)
    }

    /// Puts it into a state, whatever it is in. For the holder of the mutex.
    pub fn force(&self, to: State) {
        let version = in_state(self.version(), to);
        self.memory.words.store(self.at(VERSION), version);
    }

    /// From free to reserved, with a new version, which is returned. What is to be read under it was written before.
    pub fn begin(&self) -> u64 {
        let version = in_state(self.version().wrapping_add(4), State::Reserved);
        self.memory.words.store(self.at(VERSION), version);
        version
    }

    /// Nobody finds a live or reserved record of this version from now on. Whether it was one; then it is in the ring, for
    /// the next writer to unlink. Takes no lock.
    pub fn kill(&self, version: u64) -> bool {
        let found = matches!(state(version), State::Live | State::Reserved);
        if !found || !self.change(version, State::Dead) {
            return false;
        }
        let at = low(self.memory.words.add(header::RING_TAIL, 1)) % RING;
        let at = self.memory.layout.ring_at + at as usize;
        self.memory.words.store(at, u64::from(self.link()));
        self.memory.count(header::KILLED);
        true
    }

    pub fn hash(&self) -> u128 {
        u128::from(self.load(HASH_HIGH)) << 64 | u128::from(self.load(HASH_LOW))
    }

    pub fn set_hash(&self, hash: u128) {
        self.set(HASH_HIGH, (hash >> 64) as u64);
        self.set(HASH_LOW, hash as u64);
    }

    /// Link to the next entry of its bucket.
    pub fn next_in_chain(&self) -> u32 {
        low(self.load(CHAIN))
    }

    pub fn set_next_in_chain(&self, link: u32) {
        self.set(CHAIN, u64::from(link));
    }

    /// Links to the entries before and behind it in its queue.
    pub fn neighbours(&self) -> (u32, u32) {
        let links = self.load(LINKS);
        (high(links), low(links))
    }

    pub fn set_neighbours(&self, before: u32, behind: u32) {
        self.set(LINKS, pair(before, behind));
    }

    /// Number of its queue. 0: none.
    pub fn queue(&self) -> u64 {
        self.load(QUEUE)
    }

    pub fn set_queue(&self, queue: u64) {
        self.set(QUEUE, queue);
    }

    /// How often it was used lately, up to 3.
    pub fn frequency(&self) -> u64 {
        self.load(FREQUENCY).min(MOST_FREQUENT)
    }

    pub fn set_frequency(&self, frequency: u64) {
        self.set(FREQUENCY, frequency);
    }

    /// Counts a use. One of two at the same time may be lost.
    pub fn touch(&self) {
        let frequency = self.frequency();
        if frequency < MOST_FREQUENT {
            self.set(FREQUENCY, frequency + 1);
        }
    }

    /// Its first unit, and how many it has.
    pub fn extent(&self) -> (u32, u32) {
        let extent = self.load(EXTENT);
        (high(extent), low(extent))
    }

    pub fn set_extent(&self, first: u32, units: u32) {
        self.set(EXTENT, pair(first, units));
    }

    /// Bytes of its head and of its body.
    pub fn lengths(&self) -> (u32, u32) {
        let lengths = self.load(LENGTHS);
        (high(lengths), low(lengths))
    }

    pub fn set_lengths(&self, head: u32, body: u32) {
        self.set(LENGTHS, pair(head, body));
    }

    /// The process that reserved it.
    pub fn owner(&self) -> u32 {
        low(self.load(OWNER))
    }

    pub fn set_owner(&self, pid: u32) {
        self.set(OWNER, u64::from(pid));
    }

    pub fn label(&self) -> Label {
        let node = self.load(NODE);
        Label {
            expiry: self.load(EXPIRY),
            node: low(node),
            free: high(node) & FREE != 0,
            alone: high(node) & ALONE != 0,
            epoch: self.load(EPOCH),
            store_epoch: self.load(STORE_EPOCH),
            swept: low(self.load(SWEPT)),
            meta: self.load(META),
        }
    }

    pub fn set_label(&self, label: &Label) {
        self.set(EXPIRY, label.expiry);
        let free = if label.free { FREE } else { 0 };
        let alone = if label.alone { ALONE } else { 0 };
        self.set(NODE, pair(free | alone, label.node));
        self.set(EPOCH, label.epoch);
        self.set(STORE_EPOCH, label.store_epoch);
        self.set(SWEPT, u64::from(label.swept));
        self.set(META, label.meta);
    }
}
