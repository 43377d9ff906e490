//! When a response was fetched, by the clock and in its key's count of invalidations, and of whom.

use std::cell::Cell;

use crate::ngx::event::now_msec;
use crate::ngx::upstream::variables::WatchedUpstreams;

/// Times are milliseconds of nginx's clock.
#[derive(Default)]
pub struct Times {
    begun: Cell<Option<u64>>,
    ended: Cell<Option<u64>>,
    invalidations: Cell<Option<u64>>,
    fence: Cell<Option<(u64, u64)>>,
    purged: Cell<u64>,
    /// The upstreams that were asked for it.
    pub upstreams: WatchedUpstreams,
}

impl Times {
    /// The backend is asked.
    pub fn begin(&self) {
        self.begun.set(Some(now_msec()));
    }

    /// Nothing more comes. Later calls change nothing.
    pub fn end(&self) {
        self.upstreams.settle();
        if self.ended.get().is_none() {
            self.ended.set(Some(now_msec()));
        }
    }

    /// How often the key had been invalidated before the backend is asked.
    pub fn set_invalidations(&self, count: u64) {
        self.invalidations.set(Some(count));
    }

    /// That count, if the backend has been asked.
    pub fn invalidations(&self) -> Option<u64> {
        self.invalidations.get()
    }

    /// Before the backend is asked: the number of the invalidation by another machine that was heard last, and of the one that
    /// the key's fence names; 0 is none.
    pub fn set_fence(&self, heard: u64, fence: u64) {
        self.fence.set(Some((heard, fence)));
    }

    /// Before the backend is asked: the last number of the store's log of purges that is known.
    pub fn set_purged(&self, number: u64) {
        self.purged.set(number);
    }

    /// The response itself has purged something since: `number` is that of its purges, and `before` the last one that there was before
    /// them. Where that is the one that was known no other purge came between: its own don't concern it.
    pub fn set_own_purges(&self, number: u64, before: Option<u64>) {
        if before == Some(self.purged()) {
            self.set_purged(number);
        }
    }

    /// That number. 0: none.
    pub fn purged(&self) -> u64 {
        self.purged.get()
    }

    /// These numbers, once they are known.
    pub fn fence(&self) -> Option<(u64, u64)> {
        self.fence.get()
    }

    /// How long it has taken so far, or in all. `None`: the backend wasn't asked.
    pub fn taken_so_far(&self) -> Option<u64> {
        let end = self.ended.get().unwrap_or_else(now_msec);
        Some(end.saturating_sub(self.begun.get()?))
    }

    /// How long it took, if it has ended.
    pub fn taken(&self) -> Option<u64> {
        self.ended.get()?;
        self.taken_so_far()
    }
}
