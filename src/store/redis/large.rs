//! Records that are known to be large: how many lookups of them are under way at once, and who waits for a turn.
//!
//! Redis copies a record as soon as it is asked for, for all commands that it has read, before it sends a byte. Clients
//! that ask for large records and are gone would keep it from everybody else. One whose clients have gone before its
//! turn is never asked for.

use std::collections::{HashSet, VecDeque};
use std::rc::Weak;

use bytes::Bytes;

use super::asked::{Held, Lookup};
use super::error::StoreError;
use super::pending::{Failure, Retry};
use super::pool::Pool;
use crate::ngx::event::now_msec;

/// A reply with more bytes than this is large.
pub(super) const LARGE: usize = 1 << 20;

/// How many keys are remembered.
const KEYS: usize = 1024;

/// The large records of a store.
#[derive(Default)]
pub(super) struct Large {
    keys: HashSet<Bytes>,
    under_way: usize,
    waiting: VecDeque<Waits>,
}

/// A lookup that waits for its turn.
struct Waits {
    key: Bytes,
    promise: Held,
    lookup: Lookup,
    /// Since when, in milliseconds.
    since: u64,
}

/// The right to read a large record. It ends when dropped.
pub(super) struct Turn(pub(super) Weak<Pool>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.end_turn();
        }
    }
}

impl Large {
    /// What a reply has told of a key.
    pub(super) fn learn(&mut self, key: &Bytes, is_large: bool) {
        if !is_large {
            self.keys.remove(key);
        } else if !self.keys.contains(key) {
            if self.keys.len() >= KEYS {
                self.keys.clear();
            }
            self.keys.insert(key.clone());
        }
    }

    /// Whether no record is known to be large.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key's record was large.
    pub(super) fn is_known(&self, key: &Bytes) -> bool {
        self.keys.contains(key)
    }

    /// A lookup of this key that waits, to share.
    pub(super) fn join(&self, key: &Bytes) -> Option<Lookup> {
        let waits = self.waiting.iter().find(|waits| waits.key == *key)?;
        Some(waits.lookup.another())
    }

    /// A turn is over.
    pub(super) fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A lookup waits for its turn.
    pub(super) fn wait(&mut self, key: Bytes, promise: Held, lookup: Lookup) {
        self.waiting.push_back(Waits {
            key,
            promise,
            lookup,
            since: now_msec(),
        });
    }

    /// The next that somebody still wants takes a turn, if fewer than `most` are under way.
    pub(super) fn next(&mut self, most: usize) -> Option<(Bytes, Held, Lookup)> {
        if self.under_way >= most {
            return None;
        }
        while let Some(waits) = self.waiting.pop_front() {
            if waits.promise.is_wanted() {
                self.under_way += 1;
                return Some((waits.key, waits.promise, waits.lookup));
            }
        }
        None
    }

    /// Those that wait since before this time, for the caller to fail.
    pub(super) fn expired(&mut self, time: u64) -> Vec<Held> {
        let count = self
            .waiting
            .iter()
            .take_while(|waits| waits.since < time)
            .count();
        self.waiting
            .drain(..count)
            .map(|waits| waits.promise)
            .collect()
    }
}

/// Ends the wait of some.
pub(super) fn fail(waiting: Vec<Held>, error: &StoreError) {
    for promise in waiting {
        promise.finish(Err(Failure {
            error: error.clone(),
            retry: Retry::No,
        }));
    }
}
