//! Lookup coalescing: callers that look for a key at the same time share a reply that is as new as one of their own
//! would be.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::ngx::event::now_msec;
use crate::store::redis::call::{Failure, LookupPromise, WaitingLookup, call, stopped};
use crate::store::redis::error::StoreError;

/// Lookups of one connection that are owed a reply.
///
/// A lookup that is still to be sent is shared by all who look for its key. The reply to one that was sent may be older
/// than a later caller; later callers gather behind it and share the next. That costs them up to one round trip, and is
/// done only where a round trip takes less than a millisecond.
#[derive(Default)]
pub struct CoalescedLookups {
    keys: HashMap<Bytes, Coalesced>,
    /// Keys of the commands on their way, in the order of their replies.
    order: VecDeque<Bytes>,
    /// Counts what ends the sharing of lookups: their sending, and changes.
    epoch: u64,
    /// When the oldest lookup that measures was sent, in milliseconds.
    since: Option<u64>,
    /// Milliseconds of a round trip, in 64ths, averaged over the last ones.
    round_trip: u64,
}

/// The latest lookup of a key.
struct Coalesced {
    lookup: WaitingLookup,
    /// It may be shared while this is the connection's.
    epoch: u64,
    next: Option<Next>,
}

/// The lookup that follows, for callers that have gathered. It is sent when the reply to the one before is here.
struct Next {
    promise: LookupPromise,
    lookup: WaitingLookup,
    /// Since when, in milliseconds.
    since: u64,
}

impl CoalescedLookups {
    /// A lookup of this key to share. `None` if it takes one of its own.
    pub fn join(&mut self, key: &Bytes) -> Option<WaitingLookup> {
        let is_quick = self.round_trip < 64;
        let known = self.keys.get_mut(key)?;
        if known.epoch == self.epoch {
            return Some(known.lookup.another());
        }
        if known.next.is_none() && is_quick {
            let (promise, waiting) = call();
            known.next = Some(Next {
                promise,
                lookup: waiting,
                since: now_msec(),
            });
        }
        known.next.as_ref().map(|next| next.lookup.another())
    }

    /// A lookup that others may share from now on.
    pub fn add(&mut self, key: Bytes, lookup: WaitingLookup) {
        self.order.push_back(key.clone());
        // Callers that have gathered behind a lookup on its way go on when that has its reply.
        let next = self.keys.remove(&key).and_then(|known| known.next);
        let new = Coalesced {
            lookup,
            epoch: self.epoch,
            next,
        };
        self.keys.insert(key, new);
    }

    /// Nobody shares earlier lookups from now on: they are being sent, or a change follows them.
    pub fn close(&mut self) {
        self.epoch += 1;
    }

    /// Something was sent, at this time.
    pub fn sent(&mut self, now: u64) {
        self.close();
        if !self.order.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// The key of the oldest lookup.
    pub fn oldest(&self) -> Option<&Bytes> {
        self.order.front()
    }

    /// The oldest lookup has its reply. Gives the one that follows, if callers have gathered.
    pub fn replied(&mut self, now: u64) -> Option<(Bytes, LookupPromise, WaitingLookup)> {
        if let Some(since) = self.since.take() {
            let taken = now.saturating_sub(since).saturating_mul(8);
            self.round_trip = (self.round_trip - self.round_trip / 8).saturating_add(taken);
        }
        let key = self.order.pop_front()?;
        let next = self.keys.remove(&key)?.next?;
        Some((key, next.promise, next.lookup))
    }

    /// Callers that have gathered before this time wait no more.
    pub fn expire(&mut self, time: u64) {
        for known in self.keys.values_mut() {
            if let Some(next) = known.next.take_if(|next| next.since < time) {
                next.promise.finish(Err(stopped(StoreError::Timeout)));
            }
        }
    }

    /// The connection has ended: those that were to follow fail like this.
    pub fn fail(&mut self, failure: &Failure) {
        self.order.clear();
        for next in self.keys.drain().filter_map(|(_, key)| key.next) {
            next.promise.finish(Err(failure.clone()));
        }
    }
}
