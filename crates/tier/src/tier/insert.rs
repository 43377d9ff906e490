//! What writers do.

use std::sync::atomic::{Ordering, fence};

use super::Tier;
use crate::chains;
use crate::entry::{Entry, Facts, Handle, State};
use crate::eviction;
use crate::extents::units_for;
use crate::keys::Keys;
use crate::layout::header;
use crate::memory::Memory;
use crate::mutex::{Wait, with_mutex};
use crate::nodes::Ticket;
use crate::queues::Queue;
use crate::words::{Env, Words};

/// Space for a record, whose bytes its owner copies now. It ends with [`Tier::publish`] or [`Tier::abandon`]; one that is
/// just dropped stays reserved until its owner's process is dead.
#[derive(Debug)]
#[must_use = "its space is reserved until Tier::publish or Tier::abandon"]
pub struct Reservation {
    entry: u32,
    version: u64,
}

impl From<&Reservation> for Handle {
    fn from(reservation: &Reservation) -> Handle {
        Handle {
            entry: reservation.entry,
            version: reservation.version,
        }
    }
}

impl<'a, W: Words + ?Sized> Tier<'a, W> {
    /// Counts a lookup of a key that isn't in the tier, up to 255: how many there were lately, with this one.
    pub fn seen(&self, hash: u128) -> u32 {
        Keys::Seen.add(self.memory, hash, self.seen_window())
    }

    /// Whether a key that isn't in the tier is to have a record: from its lookup `min_uses` on, which this counts, or if it had
    /// one a short while ago. With `min_uses` of 0 or 1 each key is.
    pub fn admit(&self, hash: u128, min_uses: u32) -> bool {
        min_uses <= 1 || self.seen(hash) >= min_uses || self.is_ghost(hash)
    }

    /// Lookups are forgotten after so many of other keys.
    fn seen_window(&self) -> u32 {
        self.memory.layout.keys
    }

    fn is_ghost(&self, hash: u128) -> bool {
        let window = eviction::ghost_window(self.memory);
        Keys::Ghosts.count(self.memory, hash, window) > 0
    }

    /// Space for a record of so many bytes: a few others go for it if need be. `None`: do without, now. Never more than a
    /// bounded wait.
    ///
    /// Copy the record's bytes, head and then body, into [`Tier::extents`] of the reservation; nobody else touches these.
    pub fn reserve(
        &self,
        env: &impl Env,
        hash: u128,
        head_len: usize,
        body_len: usize,
    ) -> Option<Reservation> {
        let memory = self.memory;
        let reserved = u32::try_from(head_len)
            .ok()
            .zip(u32::try_from(body_len).ok())
            .and_then(|lengths| {
                let work = || reserve(memory, env, hash, lengths);
                with_mutex(memory, env, Wait::Bounded, work).flatten()
            });
        // The bytes are written behind the version, for a reader that copies what was here before.
        fence(Ordering::SeqCst);
        if reserved.is_none() {
            memory.count(header::REFUSED);
        }
        reserved
    }

    /// The bytes are copied: the record can be found from now on, in place of an older one of its key. False if what the ticket
    /// says has changed since, or the mutex is busy: then the space is free again.
    pub fn publish(
        &self,
        env: &impl Env,
        reservation: Reservation,
        ticket: Ticket,
        facts: Facts,
    ) -> bool {
        self.publish_with(env, reservation, &facts, |_| Some(ticket))
    }

    /// As [`Tier::publish`], for a record that is no copy of what a server has, but the truth itself: every ticket that was
    /// taken for its key before is void. So of two writers who have both read what it replaces one fails.
    pub fn replace(
        &self,
        env: &impl Env,
        reservation: Reservation,
        ticket: Ticket,
        facts: Facts,
    ) -> bool {
        let memory = self.memory;
        self.publish_with(env, reservation, &facts, |hash| {
            ticket.renewed(memory, hash)
        })
    }

    /// `ticket`: the one to publish with, for the hash of the record. `None` if what an earlier one says has changed.
    fn publish_with(
        &self,
        env: &impl Env,
        reservation: Reservation,
        facts: &Facts,
        ticket: impl FnOnce(u128) -> Option<Ticket>,
    ) -> bool {
        let memory = self.memory;
        let handle = Handle::from(&reservation);
        let Some(entry) = Entry::of(memory, handle.entry) else {
            return false;
        };
        let work = || publish(memory, entry, handle.version, ticket, facts);
        with_mutex(memory, env, Wait::Bounded, work).unwrap_or_else(|| {
            entry.kill(handle.version);
            false
        })
    }

    /// The record isn't to be: its space is free again, at once or with the next reservation.
    pub fn abandon(&self, env: &impl Env, reservation: Reservation) {
        let memory = self.memory;
        if let Some(entry) = Entry::of(memory, reservation.entry)
            && entry.kill(reservation.version)
        {
            with_mutex(memory, env, Wait::No, || eviction::drain(memory));
        }
    }

    /// Frees now what was invalidated, if the mutex is to be had at once. Reservations do so anyway.
    pub fn tidy(&self, env: &impl Env) -> bool {
        let memory = self.memory;
        with_mutex(memory, env, Wait::No, || eviction::drain(memory)).is_some()
    }
}

/// Takes an entry and units.
fn reserve<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    env: &impl Env,
    hash: u128,
    (head, body): (u32, u32),
) -> Option<Reservation> {
    eviction::keep_house(memory, env);
    let units = units_for(u64::from(head) + u64::from(body))?;
    if units > memory.layout.units {
        return None;
    }
    let (entry, first) = eviction::make_room(memory, env, units)?;
    Queue::remove(memory, entry);
    entry.set_extent(first, units);
    entry.set_lengths(head, body);
    entry.set_hash(hash);
    entry.set_owner(env.pid());
    entry.set_frequency(0);
    let version = entry.begin();
    Queue::Reserved.push(memory, entry);
    Some(Reservation {
        entry: entry.index,
        version,
    })
}

/// Puts a reserved record into the index.
fn publish<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    entry: Entry<'_, W>,
    version: u64,
    ticket: impl FnOnce(u128) -> Option<Ticket>,
    facts: &Facts,
) -> bool {
    if entry.version() != version {
        return false;
    }
    let hash = entry.hash();
    let Some(ticket) = ticket(hash).filter(|ticket| ticket.holds(memory, hash)) else {
        eviction::remove(memory, entry);
        return false;
    };
    let older = chains::others(memory, hash);
    if older.iter().flatten().any(|o| o.index == entry.index) {
        // It isn't linked yet: the chain is a contradiction.
        memory.is_broken();
        eviction::remove(memory, entry);
        return false;
    }
    let (queue, frequency) = place(memory, hash, &older);
    entry.set_label(&ticket.label(facts));
    entry.set_frequency(frequency);
    queue.take(memory, entry);
    chains::link(memory, entry);
    // Behind the link: whoever invalidates the key from here on finds the record and kills it, and what happened before is
    // in the ticket.
    if ticket.holds(memory, hash) && entry.change(version, State::Live) {
        memory.count(header::INSERTED);
        // Only now: it is behind the new one in the chain, and so no reader finds none.
        for older in older.into_iter().flatten() {
            eviction::remove(memory, older);
        }
        return true;
    }
    eviction::remove(memory, entry);
    false
}

/// Where a record of this hash belongs, and its frequency: where an older one is, which goes. A key whose record went
/// a short while ago has shown that it is used again.
fn place<W: Words + ?Sized>(
    memory: Memory<'_, W>,
    hash: u128,
    older: &[Option<Entry<'_, W>>],
) -> (Queue, u64) {
    let window = eviction::ghost_window(memory);
    let mut found = match Keys::Ghosts.take(memory, hash, window) {
        true => (Queue::Main, 0),
        false => (Queue::Small, 0),
    };
    for older in older.iter().flatten() {
        if Queue::with(older) == Some(Queue::Main) {
            found.0 = Queue::Main;
        }
        found.1 = older.frequency().max(found.1);
    }
    found
}
