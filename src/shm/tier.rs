//! Records in the shared memory of a tier, as a worker reads and writes them: the index of crate `tier`, and the bytes of
//! its arena.

use std::cell::{Cell, OnceCell};
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use tier::{Env, Extents, Facts, Handle, Pin, Reservation, Row, Ticket, Tier, View};

use super::mapping::{TierHeader, TierMemory, TierView};
use super::process::{is_alive, pid, yield_now};
use crate::ngx::event::{Timer, exact_msec, now_msec};
use crate::ngx::memory;

/// How often the mutex is asked for without a pause.
const SPINS: u32 = 64;

/// How often it is asked for at all: whoever holds it has no more to do than this many turns of the scheduler take, unless
/// it was stopped.
const TRIES: u32 = SPINS + 64;

/// How often a worker looks whether something is left to do that no writer has done, in milliseconds.
const TEND: u64 = 1000;

/// The pause between two turns at what is left to do, in milliseconds.
const SOON: u64 = 1;

/// This worker, as the index sees it.
pub struct Worker;

/// How a record gets into the index.
pub type Publish = fn(&Tier<'static>, &Worker, Reservation, Ticket, Facts) -> bool;

impl Env for Worker {
    fn pid(&self) -> u32 {
        u32::try_from(pid()).unwrap_or_default()
    }

    fn is_alive(&self, process: u32) -> bool {
        i32::try_from(process).is_ok_and(is_alive)
    }

    fn now(&self) -> u64 {
        exact_msec()
    }

    fn pause(&self, tries: u32) -> bool {
        if tries < SPINS {
            (0..=tries).for_each(|_| std::hint::spin_loop());
        } else {
            yield_now();
        }
        tries < TRIES
    }
}

/// The records of a tier.
pub struct Records {
    view: TierView,
    tier: Tier<'static>,
    /// This worker's row of pins, once it has one.
    row: Cell<Option<Row>>,
    /// No row is looked for before this time, in milliseconds.
    rowless_until: Cell<u64>,
    /// Frees what dead workers had, and makes the index anew after one that died half-way.
    tending: OnceCell<Timer>,
}

impl Records {
    /// The records in a memory. `None` before it is initialised.
    pub fn of(memory: TierMemory) -> Option<Rc<Records>> {
        let view = memory.view()?;
        let records = Rc::new(Records {
            tier: view.tier()?,
            view,
            row: Cell::new(None),
            rowless_until: Cell::new(0),
            tending: OnceCell::new(),
        });
        let tending = Timer::of(Rc::downgrade(&records), |records| records.tend());
        // At once: nginx starts a worker in the place of one that has died.
        tending.arm(0);
        let _ = records.tending.set(tending);
        Some(records)
    }

    /// What lies before the index.
    pub fn header(&self) -> &'static TierHeader {
        self.view.header()
    }

    /// The index.
    pub fn index(&self) -> Tier<'static> {
        self.tier
    }

    /// Has the bytes of an entry stay as they are.
    fn pin(&self, handle: Handle) -> Option<Pinned<&Records>> {
        let row = self.row()?;
        let pin = self.tier.pin(&row, handle).ok()?;
        Some(Pinned {
            records: self,
            row,
            pin: Some(pin),
        })
    }

    /// This worker's row. `None` where more workers than there are rows live, as while old ones still shut down: then bytes are
    /// copied.
    fn row(&self) -> Option<Row> {
        if let Some(row) = self.row.get() {
            return Some(row);
        }
        // To look for one takes long.
        let now = now_msec();
        if now < self.rowless_until.get() {
            return None;
        }
        let row = self.tier.enrol(&Worker);
        self.row.set(row);
        self.rowless_until.set(now.saturating_add(TEND));
        row
    }

    fn tend(&self) {
        let pause = if self.tier.tend(&Worker) { SOON } else { TEND };
        if let Some(tending) = self.tending.get() {
            tending.arm(pause);
        }
    }

    /// Gives up, for this worker's exit, what it has.
    pub fn leave(&self) {
        if let Some(tending) = self.tending.get() {
            tending.disarm();
        }
        if let Some(row) = self.row.take() {
            self.tier.leave(row);
        }
    }

    /// So many bytes of an entry from this one on, in memory of this worker. `None` if it isn't there any more.
    pub fn copy(&self, handle: Handle, from: usize, length: usize) -> Option<Bytes> {
        let pinned = self.pin(handle);
        let extents = self.tier.extents(handle)?;
        let parts = self.parts(&extents, from, length)?;
        let mut out = memory::room(length)?;
        for (begin, length) in parts {
            if pinned.is_some() {
                // SAFETY: within the arena; nobody writes there while the entry is pinned.
                out.extend_from_slice(unsafe { std::slice::from_raw_parts(begin, length) });
            } else {
                // SAFETY: within the arena. Another process may write there meanwhile: each byte is read once, as an atomic, and
                // what came of it counts only if the record is still there.
                let bytes = unsafe { std::slice::from_raw_parts(begin.cast::<AtomicU8>(), length) };
                out.extend(bytes.iter().map(|byte| byte.load(Ordering::Relaxed)));
            }
        }
        (pinned.is_some() || self.tier.still(handle)).then(|| out.into())
    }

    /// Where so many bytes of an entry lie, from this one on, if in one piece. It holds as long as the entry is there.
    pub fn spot(&self, handle: Handle, from: usize, length: usize) -> Option<Spot> {
        let extents = self.tier.extents(handle)?;
        let parts = self.parts(&extents, from, length)?;
        match *parts.as_slice() {
            [(begin, length)] => Some(Spot { begin, length }),
            _ => None,
        }
    }

    /// Has the processor fetch what a hit reads of this entry, whose key has this hash, and of its body: a hint.
    pub fn prefetch(&self, handle: Handle, hash: u128, body: Option<Spot>) {
        let [entry, generation] = self.tier.words_of(handle, hash);
        self.view.prefetch(entry);
        self.view.prefetch(generation);
        if let Some(body) = body {
            memory::prefetch(body.begin, body.length);
        }
    }

    /// Has the bytes of a spot of this entry copied. `None` if it isn't there any more.
    pub fn copy_spot(
        &self,
        handle: Handle,
        spot: Spot,
        copy: impl FnOnce(&[u8]) -> Option<Bytes>,
    ) -> Option<Bytes> {
        let _pinned = self.pin(handle)?;
        // SAFETY: within the arena; nobody writes there while the entry is pinned.
        copy(unsafe { std::slice::from_raw_parts(spot.begin, spot.length) })
    }

    /// The same where they lie, which stays so as long as somebody has them.
    pub fn share_spot(self: &Rc<Self>, handle: Handle, spot: Spot) -> Option<Bytes> {
        let shared = Shared {
            _pinned: self.pin(handle)?.into_own(self),
            spot,
        };
        Some(Bytes::from_owner(shared))
    }

    /// So many bytes of an entry from this one on, in the pieces in which they lie, which stay so as long as somebody has one.
    /// `None` if it isn't there any more, or can't be pinned.
    pub fn share(
        self: &Rc<Self>,
        handle: Handle,
        from: usize,
        length: usize,
    ) -> Option<impl Iterator<Item = Bytes> + use<>> {
        let pinned = Rc::new(self.pin(handle)?.into_own(self));
        let extents = self.tier.extents(handle)?;
        let parts = self.parts(&extents, from, length)?;
        Some(parts.into_iter().map(move |(begin, length)| {
            Bytes::from_owner(Shared {
                _pinned: Rc::clone(&pinned),
                spot: Spot { begin, length },
            })
        }))
    }

    /// Where so many bytes of an entry lie, from this one on.
    fn parts(
        &self,
        extents: &Extents,
        from: usize,
        length: usize,
    ) -> Option<Vec<(*mut u8, usize)>> {
        let mut parts = Vec::with_capacity(1);
        let (mut skip, mut left) = (from, length);
        for range in extents.ranges() {
            let size = range.len();
            if skip >= size {
                skip -= size;
                continue;
            }
            let part = (size - skip).min(left);
            if part > 0 {
                parts.push((self.view.bytes(range.start + skip, part)?, part));
            }
            (skip, left) = (0, left - part);
        }
        (left == 0).then_some(parts)
    }

    /// Keeps a record: its head and the pieces of its body. `publish`: [`Tier::publish`] or [`Tier::replace`], whose result
    /// this is; `None` if no room is to be had for it.
    pub fn keep(
        &self,
        hash: u128,
        ticket: Ticket,
        facts: Facts,
        pieces: &[&[u8]],
        publish: Publish,
    ) -> Option<bool> {
        let head = pieces.first()?.len();
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let reserved = self.tier.reserve(&Worker, hash, head, length - head);
        let reservation = reserved?;
        if !self.fill(&reservation, pieces, length) {
            self.tier.abandon(&Worker, reservation);
            return None;
        }
        Some(publish(&self.tier, &Worker, reservation, ticket, facts))
    }

    fn fill(&self, reservation: &Reservation, pieces: &[&[u8]], length: usize) -> bool {
        let Some(extents) = self.tier.extents(reservation) else {
            return false;
        };
        let Some(parts) = self.parts(&extents, 0, length) else {
            return false;
        };
        let mut pieces = pieces.iter().copied();
        let mut piece: &[u8] = &[];
        for (mut begin, mut room) in parts {
            while room > 0 {
                if piece.is_empty() {
                    let Some(next) = pieces.next() else {
                        return false;
                    };
                    piece = next;
                    continue;
                }
                let (now, later) = piece.split_at(piece.len().min(room));
                // SAFETY: within the arena. What is reserved is this worker's alone until it is published.
                unsafe {
                    ptr::copy_nonoverlapping(now.as_ptr(), begin, now.len());
                    begin = begin.add(now.len());
                }
                room -= now.len();
                piece = later;
            }
        }
        true
    }

    /// The entry of a key, if there is one that may be used now.
    pub fn find(&self, hash: u128, now: u64) -> Option<(Handle, View)> {
        let handle = self.tier.find(hash)?;
        let view = self.tier.look(handle)?;
        self.tier.is_current(handle, now).then_some((handle, view))
    }
}

/// An entry whose bytes stay as they are.
struct Pinned<R: AsRef<Records>> {
    records: R,
    row: Row,
    /// Taken when it is let go.
    pin: Option<Pin>,
}

impl Pinned<&Records> {
    /// The same for longer.
    fn into_own(mut self, records: &Rc<Records>) -> Pinned<Rc<Records>> {
        Pinned {
            records: Rc::clone(records),
            row: self.row,
            pin: self.pin.take(),
        }
    }
}

impl<R: AsRef<Records>> Drop for Pinned<R> {
    fn drop(&mut self) {
        if let Some(pin) = self.pin.take() {
            self.records.as_ref().tier.unpin(&self.row, pin);
        }
    }
}

impl AsRef<Records> for Records {
    fn as_ref(&self) -> &Records {
        self
    }
}

/// Bytes of an entry that lie in one piece: see [`Records::spot`].
#[derive(Clone, Copy)]
pub struct Spot {
    begin: *const u8,
    length: usize,
}

/// Bytes of an entry that is pinned.
struct Shared<P> {
    _pinned: P,
    spot: Spot,
}

// SAFETY: `Bytes` asks for this; nginx's workers have one thread, in which all of it is made, used and dropped.
unsafe impl<P> Send for Shared<P> {}

impl<P> AsRef<[u8]> for Shared<P> {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: within the arena, which stays mapped; nobody writes there while the entry is pinned.
        unsafe { std::slice::from_raw_parts(self.spot.begin, self.spot.length) }
    }
}
