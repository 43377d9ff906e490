//! When the slot map is asked for, and by whom: at most once a second for a whole nginx, whatever its workers meet.
//!
//! Thousands of clients that ask at once burn a cluster (valkey-io/valkey-go#140, envoyproxy/envoy#9327). So one worker
//! asks for all, by a lease; further wishes wait for a second and a little more; and a poll comes about every minute.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::address::Address;
use super::map::SlotMap;
use crate::lease::{Held, Lease};

/// Least time between the beginnings of two rounds, in milliseconds.
const INTERVAL: u64 = 1000;
/// Most of it where nobody gave a map, again and again.
const MOST: u64 = 8000;
/// Up to so much more, by chance.
const JITTER: u64 = 100;
/// A wish is fulfilled up to so much later, by chance: machines of a fleet have it at the same time.
const SPREAD: u64 = 50;
/// Time between rounds that nobody has wished for, and up to so much more.
const POLL: (u64, u64) = (55_000, 10_000);
/// So long after its last sign a worker is taken to be dead, in milliseconds.
const LEASE: u64 = 2000;

/// The state, shared by the workers of an nginx. All zero is that of a map that nobody has asked for.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Refresh {
    lease: Lease,
    /// The last wish, in milliseconds; 0 without one.
    wished: AtomicU64,
    /// No round begins before this.
    next: AtomicU64,
    /// When the poll is due.
    poll: AtomicU64,
    /// Rounds in a row that gave no map.
    failed: AtomicU64,
    /// The tag of the address of the node that knows better; 0 if it isn't known.
    hint: AtomicU64,
}

/// The right to ask for the map now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    held: Held,
    started: u64,
    /// The [tag](Address::tag) of the address of the node to ask first: that which sent MOVED. 0 if there is none.
    pub hint: u64,
}

impl Round {
    /// When it must be over or [renewed](Refresh::renew), in milliseconds.
    #[must_use]
    pub const fn until(&self) -> u64 {
        self.held.until()
    }
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The map is up to date.
    Known,
    /// A map that must be confirmed: another round is to ask another node.
    Unconfirmed,
    /// Nobody gave a map that can be used.
    Failed,
}

impl Refresh {
    /// The map is out of date. `hint` is the [tag](Address::tag) of the address of the node that said so by MOVED, or 0.
    /// Gives the time at which to [`Refresh::begin`] a round; `chance` is any number.
    pub fn wish(&self, now: u64, hint: u64, chance: u64) -> u64 {
        self.wished.fetch_max(now.max(1), Relaxed);
        if hint != 0 {
            self.hint.store(hint, Relaxed);
            // Somebody is there to be asked.
            if self.failed.swap(0, Relaxed) > 0 {
                self.next.fetch_min(now.saturating_add(INTERVAL), Relaxed);
            }
        }
        self.due().max(now).saturating_add(chance % SPREAD)
    }

    /// When the next round is due.
    #[must_use]
    pub fn due(&self) -> u64 {
        let poll = self.poll.load(Relaxed);
        let due = match self.wished.load(Relaxed) {
            0 => poll,
            wished => wished.min(poll),
        };
        due.max(self.next.load(Relaxed))
    }

    /// Begins a round, if one is due and no other worker runs one. `who` is the process.
    ///
    /// # Errors
    ///
    /// The time at which to try again.
    pub fn begin(&self, who: u32, now: u64, chance: u64) -> Result<Round, u64> {
        let due = self.due();
        if due > now {
            return Err(due);
        }
        let Some(held) = self.lease.take(who, now, LEASE) else {
            let until = self.lease.holder(now).map_or(now, |(_, until)| until);
            return Err(until.max(now.saturating_add(1)));
        };
        // Another worker may have run a round since the first look.
        let due = self.due();
        if due > now {
            self.lease.release(held);
            return Err(due);
        }
        self.next.fetch_max(after(now, INTERVAL, chance), Relaxed);
        // A poll is a wish, too: if this worker dies, another takes over.
        self.wished.fetch_max(now.max(1), Relaxed);
        let (least, more) = POLL;
        let poll = now.saturating_add(least).saturating_add(chance % more);
        self.poll.store(poll, Relaxed);
        Ok(Round {
            held,
            started: now,
            hint: self.hint.swap(0, Relaxed),
        })
    }

    /// Whether a round is still this worker's.
    #[must_use]
    pub fn is_ours(&self, round: &Round, now: u64) -> bool {
        self.lease.is_held(round.held, now)
    }

    /// Keeps a round for another 2 s: before each server that is asked. `None` if it is lost.
    pub fn renew(&self, round: Round, now: u64) -> Option<Round> {
        let held = self.lease.renew(round.held, now, LEASE)?;
        Some(Round { held, ..round })
    }

    /// Has `write` give a map to all workers, if the round is still this worker's. The round is kept for another 2 s, so
    /// that nobody else writes meanwhile. `None` if it is lost: another worker asks by now and may know a newer map.
    pub fn share(&self, round: Round, now: u64, write: impl FnOnce()) -> Option<Round> {
        let round = self.renew(round, now)?;
        write();
        Some(round)
    }

    /// Ends a round.
    pub fn end(&self, round: Round, now: u64, ended: Ended, chance: u64) {
        if !self.is_ours(&round, now) {
            return;
        }
        match ended {
            Ended::Known => {
                self.failed.store(0, Relaxed);
                // A wish that came meanwhile may be about what changed meanwhile.
                let wished = self.wished.load(Relaxed);
                if wished <= round.started {
                    // Fails if there is a new one.
                    let _ = self.wished.compare_exchange(wished, 0, Relaxed, Relaxed);
                }
            }
            Ended::Unconfirmed => {
                self.wished.fetch_max(now.max(1), Relaxed);
            }
            Ended::Failed => {
                let failed = self.failed.fetch_add(1, Relaxed).min(8);
                let interval = (INTERVAL << failed).min(MOST);
                let next = after(round.started, interval, chance);
                self.next.fetch_max(next, Relaxed);
                self.wished.fetch_max(now.max(1), Relaxed);
            }
        }
        self.lease.release(round.held);
    }
}

const fn after(start: u64, interval: u64, chance: u64) -> u64 {
    start
        .saturating_add(interval)
        .saturating_add(chance % JITTER)
}

/// Whom to ask for the map, one after the other: the node that knows better, the others by chance, the configured
/// servers. `random` gives a number below its argument.
pub fn order(
    map: Option<&SlotMap>,
    configured: &[Address],
    hint: u64,
    mut random: impl FnMut(usize) -> usize,
) -> Vec<Address> {
    let nodes = map.map(SlotMap::nodes).unwrap_or_default();
    let mut order: Vec<Address> = nodes.iter().map(|node| node.address.clone()).collect();
    for last in (1..order.len()).rev() {
        order.swap(last, random(last + 1).min(last));
    }
    if let Some(place) = order.iter().position(|address| address.tag() == hint) {
        order.swap(0, place);
    }
    for address in configured {
        if !order.contains(address) {
            order.push(address.clone());
        }
    }
    order
}
