//! What is void: generations of keys, epochs of nodes and of the store, and how long a node's records may be served.

use crate::entry::{Facts, Label};
use crate::layout::{NODE_WORDS, NODES, header};
use crate::memory::{Memory, high, low};
use crate::words::Words;

const NAME: usize = 0;
const EPOCH: usize = 1;
const LEASE: usize = 2;
/// The lease that was revoked last.
const HEARD: usize = 3;

/// Bits of an epoch beside the time of a lease.
const EPOCH_BITS: u32 = 16;

/// A place may be another server's when its own hasn't been heard for so long, in milliseconds.
const IDLE: u64 = 60_000;

/// In place of a name while a place changes hands. The epoch of the former server is beside it: so nobody who was stopped
/// meanwhile takes a later change for its own. Names don't have this bit.
const CHANGING: u64 = 1 << 63;

/// A node: the server of the store that a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node(pub(crate) u32);

impl Node {
    /// No node: a store without servers, or no place left for one. It never has a lease.
    pub const NONE: Node = Node(u32::MAX);

    fn at<W: Words + ?Sized>(self, memory: Memory<'_, W>, word: usize) -> Option<usize> {
        (self.0 < NODES).then(|| memory.layout.nodes_at + self.0 as usize * NODE_WORDS + word)
    }

    /// The node of this name at this time, in milliseconds. [`Node::NONE`] if there is no place left, and none that nobody needs.
    pub(crate) fn named<W: Words + ?Sized>(memory: Memory<'_, W>, name: u64, now: u64) -> Node {
        let name = as_name(name);
        let start = (name % u64::from(NODES)) as u32;
        let mut places = (start..NODES).chain(0..start).map(Node);
        let found = places.find(|node| {
            let Some(at) = node.at(memory, NAME) else {
                return false;
            };
            match memory.load(at) {
                0 if memory.words.replace(at, 0, name) => {
                    node.stamp(memory, now);
                    true
                }
                0 => memory.load(at) == name,
                known => known == name,
            }
        });
        found.unwrap_or_else(|| Node::in_place_of_another(memory, name, now))
    }

    /// Whether a node is still this one's. Records whose ticket was taken before are of nobody else.
    pub(crate) fn is_of<W: Words + ?Sized>(self, memory: Memory<'_, W>, name: u64) -> bool {
        let name = as_name(name);
        self.at(memory, NAME)
            .is_some_and(|at| memory.load(at) == name)
    }

    /// Until when it had a lease, of whatever epoch, or when its place was taken.
    fn used<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> u64 {
        let time = |word| self.at(memory, word).map_or(0, |at| memory.load(at)) >> EPOCH_BITS;
        time(LEASE).max(time(HEARD))
    }

    /// Whether another server may have its place.
    fn is_idle<W: Words + ?Sized>(self, memory: Memory<'_, W>, now: u64) -> bool {
        self.used(memory).saturating_add(IDLE) < now
    }

    /// A new server's place counts as used. No record has the epoch that is noted with it.
    fn stamp<W: Words + ?Sized>(self, memory: Memory<'_, W>, now: u64) {
        if let Some(at) = self.at(memory, HEARD) {
            let epoch = self.epoch(memory).wrapping_sub(1);
            let word = now.min(u64::MAX >> EPOCH_BITS) << EPOCH_BITS | tag(epoch);
            memory.words.replace(at, memory.load(at), word);
        }
    }

    /// The place of the server that hasn't been heard for the longest time.
    fn in_place_of_another<W: Words + ?Sized>(memory: Memory<'_, W>, name: u64, now: u64) -> Node {
        // Another worker may take one at the same time.
        for _ in 0..4 {
            let idle = (0..NODES).map(Node).filter(|it| it.is_idle(memory, now));
            let Some(node) = idle.min_by_key(|it| it.used(memory)) else {
                break;
            };
            if node.is_taken(memory, name, now) {
                return node;
            }
        }
        Node::NONE
    }

    /// Takes an idle place. All records of its former server are void before it has the new name. Whoever resolved the former
    /// name, and takes a ticket later, sees that the name has changed: [`Node::is_of`].
    fn is_taken<W: Words + ?Sized>(self, memory: Memory<'_, W>, name: u64, now: u64) -> bool {
        let Some(at) = self.at(memory, NAME) else {
            return false;
        };
        let (former, epoch) = (memory.load(at), self.epoch(memory));
        let changing = CHANGING | epoch;
        if !memory.words.replace(at, former, changing) {
            return false;
        }
        if !self.is_idle(memory, now) {
            // It was heard just now.
            memory.words.replace(at, changing, former);
            return false;
        }
        self.raise_epoch(memory);
        self.stamp(memory, now);
        memory.words.replace(at, changing, name)
    }

    pub(crate) fn epoch<W: Words + ?Sized>(self, memory: Memory<'_, W>) -> u64 {
        self.at(memory, EPOCH).map_or(0, |at| memory.load(at))
    }

    /// Its records are void, and it has no lease. Of no node: all records are.
    pub(crate) fn raise_epoch<W: Words + ?Sized>(self, memory: Memory<'_, W>) {
        let at = self.at(memory, EPOCH).unwrap_or(header::EPOCH);
        memory.words.add(at, 1);
    }

    /// Until when its records may be served, in milliseconds: only while its epoch is still the one of the lease.
    pub(crate) fn ok_until<W: Words + ?Sized>(self, memory: Memory<'_, W>, epoch: u64) -> u64 {
        self.until(memory, LEASE, epoch)
    }

    /// Until when its records might have been served under the last lease of this epoch, though it may be revoked by now. 0:
    /// there was none.
    pub(crate) fn heard_until<W: Words + ?Sized>(self, memory: Memory<'_, W>, epoch: u64) -> u64 {
        let revoked = self.until(memory, HEARD, epoch);
        self.until(memory, LEASE, epoch).max(revoked)
    }

    fn until<W: Words + ?Sized>(self, memory: Memory<'_, W>, word: usize, epoch: u64) -> u64 {
        let word = self.at(memory, word).map_or(0, |at| memory.load(at));
        let same = word & tag(u64::MAX) == tag(epoch);
        if same { word >> EPOCH_BITS } else { 0 }
    }

    /// Lengthens its lease, if its epoch is still this one. Never shortens it.
    pub(crate) fn lease<W: Words + ?Sized>(
        self,
        memory: Memory<'_, W>,
        epoch: u64,
        until: u64,
    ) -> bool {
        let Some(at) = self.at(memory, LEASE) else {
            return false;
        };
        let until = until.min(u64::MAX >> EPOCH_BITS);
        for _ in 0..64 {
            let known = memory.load(at);
            if self.epoch(memory) != epoch {
                return false;
            }
            if self.ok_until(memory, epoch) >= until {
                return true;
            }
            let word = until << EPOCH_BITS | tag(epoch);
            if memory.words.replace(at, known, word) {
                return true;
            }
        }
        false
    }

    /// Ends its lease. It is remembered until when that was.
    pub(crate) fn revoke<W: Words + ?Sized>(self, memory: Memory<'_, W>) {
        let words = self.at(memory, LEASE).zip(self.at(memory, HEARD));
        if let Some((lease, heard)) = words {
            let word = memory.load(lease);
            if word != 0 {
                memory.words.store(heard, word);
            }
            memory.words.store(lease, 0);
        }
    }
}

fn as_name(name: u64) -> u64 {
    (name & !CHANGING).max(1)
}

fn tag(epoch: u64) -> u64 {
    epoch & ((1 << EPOCH_BITS) - 1)
}

/// What was known of a key and of its node before it was looked up in the store: [`crate::Tier::ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
    node: Node,
    epoch: u64,
    store_epoch: u64,
}

/// Word of a hash's generation. Its high half says how often all records of the generation were made void.
pub(crate) fn generation_at<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) -> usize {
    let number = low(hash as u64) & memory.layout.generations.wrapping_sub(1);
    memory.layout.generations_at + number as usize
}

/// The key changes: nothing is published for it that was looked up before.
pub(crate) fn raise_generation<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) {
    memory.words.add(generation_at(memory, hash), 1);
}

/// All records of the key's generation are void.
pub(crate) fn sweep_generation<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128) {
    memory.words.add(generation_at(memory, hash), 1 << 32);
}

impl Ticket {
    pub(crate) fn take<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128, node: Node) -> Ticket {
        Ticket {
            generation: memory.load(generation_at(memory, hash)),
            node,
            epoch: node.epoch(memory),
            store_epoch: memory.load(header::EPOCH),
        }
    }

    /// Whether nothing has become void since.
    pub(crate) fn holds<W: Words + ?Sized>(&self, memory: Memory<'_, W>, hash: u128) -> bool {
        Ticket::take(memory, hash, self.node) == *self
    }

    /// The same after a change of the key that this makes: all earlier tickets of it are void. `None` if this one is, too.
    pub(crate) fn renewed<W: Words + ?Sized>(
        &self,
        memory: Memory<'_, W>,
        hash: u128,
    ) -> Option<Ticket> {
        let next = self.generation.wrapping_add(1);
        let at = generation_at(memory, hash);
        let still = memory.words.replace(at, self.generation, next);
        still.then_some(Ticket {
            generation: next,
            ..*self
        })
    }

    /// What an entry is to say of its record.
    pub(crate) fn label(&self, facts: &Facts) -> Label {
        Label {
            expiry: facts.expiry,
            node: self.node.0,
            free: facts.free,
            alone: facts.alone,
            epoch: self.epoch,
            store_epoch: self.store_epoch,
            swept: high(self.generation),
            meta: facts.meta,
        }
    }
}

/// Whether a record is void, whatever the time: its node's epoch, the store's, or its generation's sweep has changed.
pub(crate) fn is_void<W: Words + ?Sized>(memory: Memory<'_, W>, hash: u128, label: &Label) -> bool {
    let swept = high(memory.load(generation_at(memory, hash)));
    label.store_epoch != memory.load(header::EPOCH)
        || label.epoch != Node(label.node).epoch(memory)
        || label.swept != swept
}
