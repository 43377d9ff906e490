//! Keys that are being looked up on a connection, so that those who ask for one at the same time share an answer that
//! is as new as one of their own would be.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::client::Found;
use super::error::StoreError;
use super::pending::{Failure, Promise, Retry, Waiting, call};
use crate::ngx::event::now_msec;

/// Somebody who waits for what is found under a key.
pub(super) type Lookup = Waiting<Rc<Found>>;

/// A lookup that is held back: it is sent when the answer to the one before is here.
pub(super) type Held = Promise<Rc<Found>>;

/// What was asked on one connection and isn't answered yet.
///
/// Who asks for a key whose lookup is still to be sent shares that one. Where it is on its way its answer may be older
/// than the question; then those who ask gather behind it and share the next. That costs them up to one round trip, and is
/// done only where that is less than a millisecond.
#[derive(Default)]
pub(super) struct Asked {
    keys: HashMap<Bytes, Key>,
    /// Keys of the commands on their way, in the order of their answers.
    order: VecDeque<Bytes>,
    /// Counts what ends the sharing of lookups: their sending, and changes.
    turn: u64,
    /// When the oldest lookup that measures was sent, in milliseconds.
    since: Option<u64>,
    /// Milliseconds of a round trip, in 64ths, averaged over the last ones.
    round_trip: u64,
}

struct Key {
    lookup: Lookup,
    turn: u64,
    held: Option<Waits>,
}

/// Those who have gathered behind a lookup.
struct Waits {
    promise: Held,
    lookup: Lookup,
    /// Since when, in milliseconds.
    since: u64,
}

impl Asked {
    /// A lookup of this key to share. `None` if it takes one of its own.
    pub(super) fn join(&mut self, key: &Bytes) -> Option<Lookup> {
        let is_quick = self.round_trip < 64;
        let known = self.keys.get_mut(key)?;
        if known.turn == self.turn {
            return Some(known.lookup.another());
        }
        if known.held.is_none() && is_quick {
            let (promise, waiting) = call();
            known.held = Some(Waits {
                promise,
                lookup: waiting,
                since: now_msec(),
            });
        }
        known.held.as_ref().map(|held| held.lookup.another())
    }

    /// A lookup that others may share from now on.
    pub(super) fn add(&mut self, key: Bytes, lookup: Lookup) {
        self.order.push_back(key.clone());
        // Those who have gathered behind one that is on its way go on when that is answered.
        let held = self.keys.remove(&key).and_then(|known| known.held);
        let new = Key {
            lookup,
            turn: self.turn,
            held,
        };
        self.keys.insert(key, new);
    }

    /// From now on nobody shares what was asked before: it is being sent, or a change follows it.
    pub(super) fn close(&mut self) {
        self.turn += 1;
    }

    /// Something was sent, at this time.
    pub(super) fn sent(&mut self, now: u64) {
        self.close();
        if !self.order.is_empty() {
            self.since.get_or_insert(now);
        }
    }

    /// The key of the oldest lookup.
    pub(super) fn oldest(&self) -> Option<&Bytes> {
        self.order.front()
    }

    /// The oldest lookup was answered. Gives the one that was held back meanwhile.
    pub(super) fn answered(&mut self, now: u64) -> Option<(Bytes, Held, Lookup)> {
        if let Some(since) = self.since.take() {
            let taken = now.saturating_sub(since).saturating_mul(8);
            self.round_trip = (self.round_trip - self.round_trip / 8).saturating_add(taken);
        }
        let key = self.order.pop_front()?;
        let held = self.keys.remove(&key)?.held?;
        Some((key, held.promise, held.lookup))
    }

    /// Those who have gathered before this time wait no more.
    pub(super) fn expire(&mut self, time: u64) {
        for known in self.keys.values_mut() {
            if let Some(held) = known.held.take_if(|held| held.since < time) {
                held.promise.finish(Err(Failure {
                    error: StoreError::Timeout,
                    retry: Retry::No,
                }));
            }
        }
    }

    /// The connection has ended: those that were held back fail like this.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.order.clear();
        for held in self.keys.drain().filter_map(|(_, key)| key.held) {
            held.promise.finish(Err(failure.clone()));
        }
    }
}
