//! The tier, as a worker uses it.

mod insert;
mod read;
mod void;

use std::sync::atomic::AtomicU64;

use crate::layout::{Layout, UNIT, header};
use crate::memory::Memory;
use crate::mutex::{self, Wait, with_mutex};
use crate::queues::Queue;
use crate::repair;
use crate::rows::{self, Row};
use crate::words::{Env, Words};
use crate::{eviction, nodes::Node};

pub use insert::Reservation;
pub use read::View;

/// Tells this layout from others. Changes whenever the layout does.
const MAGIC: u64 = 0x7263_7469_6572_0002;

/// A memory tier: shared words, and where what lies in them. Small, and copied freely.
///
/// All numbers are checked against the layout, which each worker computes on its own; so nothing in the words
/// leads out of bounds.
pub struct Tier<'a, W: Words + ?Sized = [AtomicU64]> {
    memory: Memory<'a, W>,
}

impl<W: Words + ?Sized> Clone for Tier<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W: Words + ?Sized> Copy for Tier<'_, W> {}

impl<W: Words + ?Sized> std::fmt::Debug for Tier<'_, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier")
            .field("layout", &self.memory.layout)
            .field("statistics", &self.statistics())
            .finish()
    }
}

/// Counts of a tier. Those of what is in it are as of a moment, and may contradict each other while a writer is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Records in the index, with dead ones that no writer has unlinked yet.
    pub records: u64,
    /// Bytes of the arena that these have.
    pub bytes: u64,
    /// Of the records and bytes, those in the main queue.
    pub main_records: u64,
    /// See `main_records`.
    pub main_bytes: u64,
    /// Records that are being copied.
    pub reserved: u64,
    /// Dead records whose bytes are pinned.
    pub zombies: u64,
    /// Free bytes of the arena.
    pub free_bytes: u64,
    /// Records ever published.
    pub inserted: u64,
    /// Records ever evicted for others.
    pub evicted: u64,
    /// Records ever invalidated.
    pub killed: u64,
    /// Reservations ever refused, because no space was to be had or the mutex was busy.
    pub refused: u64,
    /// How often the index has been made anew.
    pub repaired: u64,
}

impl<'a, W: Words + ?Sized> Tier<'a, W> {
    /// Lays a tier out, over whatever is in the words. Nobody else may use them yet. `None` if they are fewer than
    /// [`Layout::control_words`]; more (the arena) don't matter.
    pub fn lay_out(words: &'a W, layout: Layout) -> Option<Self> {
        if words.count() < layout.control_words() {
            return None;
        }
        for at in 0..layout.control_words() {
            words.set(at, 0);
        }
        Self::lay_out_zeroed(words, layout)
    }

    /// As [`Tier::lay_out`], where all words are zero. Takes no time, whatever their number: entries are put in order as they are
    /// needed.
    pub fn lay_out_zeroed(words: &'a W, layout: Layout) -> Option<Self> {
        if words.count() < layout.control_words() {
            return None;
        }
        let memory = Memory { words, layout };
        repair::begin_new(memory);
        memory.set(header::BYTES, layout.bytes() as u64);
        words.store(header::MAGIC, MAGIC);
        Some(Tier { memory })
    }

    /// The tier that another process laid out in these words, with the same layout. `None` if there is none.
    pub fn attach(words: &'a W, layout: Layout) -> Option<Self> {
        let fits = words.count() >= layout.control_words()
            && words.load(header::MAGIC) == MAGIC
            && words.load(header::BYTES) == layout.bytes() as u64;
        let memory = Memory { words, layout };
        fits.then_some(Tier { memory })
    }

    /// Where what lies.
    pub fn layout(&self) -> &Layout {
        &self.memory.layout
    }

    /// A row for this worker's pins. Once in the life of a process and tier, before it pins; [`Tier::leave`] at its end.
    /// `None` if 64 live workers have one: then this worker copies bytes.
    ///
    /// It frees what an earlier process with the same pid had pinned.
    pub fn enrol(&self, env: &impl Env) -> Option<Row> {
        let pid = Some(env.pid()).filter(|pid| ![0, u32::MAX].contains(pid))?;
        rows::enrol(self.memory, pid).or_else(|| {
            self.bury_dead(env);
            rows::enrol(self.memory, pid)
        })
    }

    /// This worker pins nothing any more: its pins are taken back, and [`Tier::pin`] refuses with this row.
    pub fn leave(&self, row: Row) {
        rows::leave(self.memory, &row);
    }

    /// Frees what dead workers had pinned or reserved. Writers do so when they want space, and every 256 reservations; see
    /// [`Tier::tend`], too. Whether the mutex was to be had, and the index was whole.
    pub fn bury_dead(&self, env: &impl Env) -> bool {
        let memory = self.memory;
        with_mutex(memory, env, Wait::Bounded, || {
            eviction::drain(memory);
            eviction::bury_dead(memory, env);
        })
        .is_some()
    }

    /// What no reservation may come for: frees what dead workers had pinned or reserved, and does a part of it if the index is to
    /// be made anew. For each worker when it starts and once a second; cheap where there is nothing to do. Whether there
    /// is more to be done, in the next turn of the worker.
    pub fn tend(&self, env: &impl Env) -> bool {
        let memory = self.memory;
        let has_left = Queue::Reserved.len(memory) > 0 || Queue::Zombies.len(memory) > 0;
        if has_left || mutex::is_ailing(memory, env) || rows::has_dead(memory, env) {
            with_mutex(memory, env, Wait::No, || {
                eviction::drain(memory);
                eviction::bury_dead(memory, env);
            });
        }
        repair::is_under_way(memory)
    }

    /// The node of a server at this time (milliseconds), by a digest of its name. Where 512 have one already, that of a server
    /// goes to this one that has had no lease for a minute. So a server may have another node later: ask anew before each use,
    /// and raise its epoch where it is new to you. [`Node::NONE`] if none is to be had: then its records can't be served under a
    /// lease.
    pub fn node_at(&self, name: u64, now: u64) -> Node {
        Node::named(self.memory, name, now)
    }

    /// Whether the server of this name still has this node. Ask it behind [`Tier::ticket`]: a ticket of a node that is
    /// another's by then is worth nothing.
    pub fn is_node_of(&self, node: Node, name: u64) -> bool {
        node.is_of(self.memory, name)
    }

    /// Counts.
    pub fn statistics(&self) -> Statistics {
        let memory = self.memory;
        let bytes = |units: u64| units.saturating_mul(UNIT as u64);
        let main = Queue::Main.units(memory);
        Statistics {
            records: Queue::Small
                .len(memory)
                .saturating_add(Queue::Main.len(memory)),
            bytes: bytes(Queue::Small.units(memory).saturating_add(main)),
            main_records: Queue::Main.len(memory),
            main_bytes: bytes(main),
            reserved: Queue::Reserved.len(memory),
            zombies: Queue::Zombies.len(memory),
            free_bytes: bytes(memory.load(header::FREE_UNITS)),
            inserted: memory.load(header::INSERTED),
            evicted: memory.load(header::EVICTED),
            killed: memory.load(header::KILLED),
            refused: memory.load(header::REFUSED),
            repaired: memory.load(header::REPAIRED),
        }
    }
}
