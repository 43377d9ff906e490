//! What readers do. No function here takes the mutex.

use std::ops::Range;
use std::sync::atomic::{Ordering, fence};

use super::Tier;
use crate::chains;
use crate::entry::{Entry, Handle, Label, State, state};
use crate::extents::{self, Extents};
use crate::nodes::{self, Node};
use crate::rows::{self, Pin, Refusal, Row};
use crate::words::Words;

/// What the index says of a record, all of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Bytes of its head, which come first.
    pub head_len: usize,
    /// Bytes of its body, behind the head.
    pub body_len: usize,
    /// When it expires, in milliseconds.
    pub expiry: u64,
    /// The node that it came from.
    pub node: Node,
    /// Epoch of the node when it was looked up.
    pub epoch: u64,
    /// Epoch of the store when it was looked up.
    pub store_epoch: u64,
    /// Whether it may be served without its node's lease.
    pub free: bool,
    /// What the caller said beside that.
    pub meta: u64,
}

impl<'a, W: Words + ?Sized> Tier<'a, W> {
    /// The entry of a handle, while the record is there.
    fn entry(&self, handle: Handle) -> Option<Entry<'a, W>> {
        let entry = Entry::of(self.memory, handle.entry)?;
        (entry.version() == handle.version).then_some(entry)
    }

    /// What `read` reads of a handle's entry, if the record was there for all of it.
    fn read<R>(&self, handle: Handle, read: impl FnOnce(Entry<'a, W>) -> R) -> Option<R> {
        let entry = self.entry(handle)?;
        let result = read(entry);
        self.entry(handle).map(|_| result)
    }

    /// Where the words lie that [`Tier::is_current`] reads of the record of a hash, and of no other: for a hint to the processor
    /// to fetch them.
    #[inline]
    pub fn words_of(&self, handle: Handle, hash: u128) -> [Range<usize>; 2] {
        let generation = nodes::generation_at(self.memory, hash);
        [
            Entry::words(self.memory, handle.entry),
            generation..generation + 1,
        ]
    }

    /// The record of a key's hash, if there is one. It may be expired or void: ask [`Tier::is_current`]. A writer at work may
    /// hide a record for a moment.
    pub fn find(&self, hash: u128) -> Option<Handle> {
        chains::find(self.memory, hash)
    }

    /// What the index says of a record. `None` if it is gone.
    pub fn look(&self, handle: Handle) -> Option<View> {
        let (lengths, label) = self.read(handle, |entry| (entry.lengths(), entry.label()))?;
        Some(View {
            head_len: usize::try_from(lengths.0).ok()?,
            body_len: usize::try_from(lengths.1).ok()?,
            expiry: label.expiry,
            node: Node(label.node),
            epoch: label.epoch,
            store_epoch: label.store_epoch,
            free: label.free,
            meta: label.meta,
        })
    }

    /// Whether a record may be served at `now` (milliseconds): it is still there, hasn't expired, is not void, and its node
    /// has a lease or the record needs none. One that was filled while its node's server was down never is. Ask it last, behind
    /// [`Tier::pin`].
    pub fn is_current(&self, handle: Handle, now: u64) -> bool {
        self.label(handle).is_some_and(|label| {
            let leased = || Node(label.node).ok_until(self.memory, label.epoch) > now;
            label.expiry > now && !label.alone && (label.free || leased())
        })
    }

    /// As [`Tier::is_current`], for a caller that knows that the server of the key is down: see [`Tier::alone_until`].
    pub fn is_current_alone(&self, handle: Handle, now: u64, alone: u64) -> bool {
        self.alone_until(handle, alone) > now
    }

    /// Until when a record may be served whose key's server is down, in milliseconds: for `alone` milliseconds behind the end
    /// of the last lease that its node had. One that was filled meanwhile needs none until it expires. 0: not at all.
    pub fn alone_until(&self, handle: Handle, alone: u64) -> u64 {
        let Some(label) = self.label(handle) else {
            return 0;
        };
        if label.free || label.alone {
            return label.expiry;
        }
        match Node(label.node).heard_until(self.memory, label.epoch) {
            0 => 0,
            heard => heard.saturating_add(alone).min(label.expiry),
        }
    }

    /// What a record's entry says, if it is there and not void.
    fn label(&self, handle: Handle) -> Option<Label> {
        let read = self.read(handle, |entry| (entry.hash(), entry.label()));
        read.filter(|(hash, label)| {
            state(handle.version) == State::Live && !nodes::is_void(self.memory, *hash, label)
        })
        .map(|(_, label)| label)
    }

    /// Whether a record is still there: behind a copy of bytes that were not pinned. If not, the copy is worth nothing.
    pub fn still(&self, handle: Handle) -> bool {
        fence(Ordering::Acquire);
        self.entry(handle).is_some()
    }

    /// Counts a hit, so that the record stays longer. Costs a write for the first three only.
    pub fn touch(&self, handle: Handle) {
        if let Some(entry) = self.entry(handle) {
            entry.touch();
        }
    }

    /// Where the bytes of a record lie, or of a reservation. `None` if it is gone. The bytes are what they were while the
    /// record is pinned, or the reservation neither published nor abandoned; so pin first, and keep what this
    /// returns: it tells nothing any more of a record that was invalidated, though its bytes stay while pinned.
    pub fn extents(&self, of: impl Into<Handle>) -> Option<Extents> {
        let handle = of.into();
        let memory = self.memory;
        self.read(handle, |entry| {
            let (head, body) = entry.lengths();
            let bytes = u64::from(head) + u64::from(body);
            extents::read(memory, entry.extent(), bytes)
        })?
    }

    /// Keeps a record's bytes as they are until [`Tier::unpin`]. A worker may pin a record more than once.
    ///
    /// # Errors
    ///
    /// [`Refusal::Gone`] if the record isn't there any more; [`Refusal::Crowded`] if the row has no slot for it: then
    /// copy the bytes, and ask [`Tier::still`] behind the copy.
    pub fn pin(&self, row: &Row, handle: Handle) -> Result<Pin, Refusal> {
        rows::pin(self.memory, row, handle)
    }

    /// Takes back one pin, of the same row. Its bytes are freed by a writer later, if the record is gone.
    pub fn unpin(&self, row: &Row, pin: Pin) {
        rows::unpin(self.memory, row, pin);
    }

    /// Invalidates one record. Whether it was there. A writer frees its bytes later.
    pub fn kill(&self, handle: Handle) -> bool {
        let live = state(handle.version) == State::Live;
        live && self
            .entry(handle)
            .is_some_and(|entry| entry.kill(handle.version))
    }
}
