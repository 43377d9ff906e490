//! Records that are known to be large: how many lookups of them are under way at once, and which wait for a turn.
//!
//! Redis copies the records for all commands that it has read before it sends a byte. Lookups of large records for
//! clients that have gone would keep it from everybody else. A lookup whose clients have gone before its turn is never
//! sent.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;

use crate::ngx::event::now_msec;
use crate::store::redis::call::{LookupPromise, WaitingLookup, stopped};
use crate::store::redis::error::StoreError;

/// How many keys are remembered.
const KEYS: usize = 1024;

/// The large records of a store.
#[derive(Default)]
pub struct Large {
    keys: HashSet<Bytes>,
    under_way: usize,
    waiting: VecDeque<QueuedLookup>,
}

/// A lookup that waits for its turn.
struct QueuedLookup {
    key: Bytes,
    promise: LookupPromise,
    lookup: WaitingLookup,
    /// Since when, in milliseconds.
    since: u64,
}

impl Large {
    /// What a reply has told of a key.
    pub fn learn(&mut self, key: &Bytes, is_large: bool) {
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
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key's record was large.
    pub fn is_known(&self, key: &Bytes) -> bool {
        self.keys.contains(key)
    }

    /// A lookup of this key that waits, to share.
    pub fn join(&self, key: &Bytes) -> Option<WaitingLookup> {
        let queued = self.waiting.iter().find(|queued| queued.key == *key)?;
        Some(queued.lookup.another())
    }

    /// A turn is over.
    pub fn end(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A lookup waits for its turn.
    pub fn wait(&mut self, key: Bytes, promise: LookupPromise, lookup: WaitingLookup) {
        self.waiting.push_back(QueuedLookup {
            key,
            promise,
            lookup,
            since: now_msec(),
        });
    }

    /// The next that somebody still wants takes a turn, if fewer than `most` are under way.
    pub fn next(&mut self, most: usize) -> Option<(Bytes, LookupPromise, WaitingLookup)> {
        if self.under_way >= most {
            return None;
        }
        while let Some(queued) = self.waiting.pop_front() {
            if queued.promise.is_wanted() {
                self.under_way += 1;
                return Some((queued.key, queued.promise, queued.lookup));
            }
        }
        None
    }

    /// Whether lookups wait for a turn.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many lookups wait for a turn.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Those that wait since before this time, for the caller to fail.
    pub fn expired(&mut self, time: u64) -> Vec<LookupPromise> {
        let count = self
            .waiting
            .iter()
            .take_while(|queued| queued.since < time)
            .count();
        self.waiting
            .drain(..count)
            .map(|queued| queued.promise)
            .collect()
    }
}

/// Fails lookups that wait.
pub fn fail(waiting: Vec<LookupPromise>, error: &StoreError) {
    for promise in waiting {
        promise.finish(Err(stopped(error.clone())));
    }
}
