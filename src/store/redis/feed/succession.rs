//! How a worker that starts takes over from the one that listens, without a gap: a reload voids nothing that way.
//!
//! It listens beside the other one until what the tier has is covered (see [`cache_core::feed::Shadow`]), and takes the right then.
//! The other one sees that it has lost it, and ends without a word. One that shuts down waits for that, for a short while.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use cache_core::lease::{Held, Lease};

use super::{LEASE, Right};
use crate::ngx::event::exact_msec;
use crate::shm::process::pid;

/// How long a worker tries, in milliseconds.
const TRY: u64 = 5000;

/// Workers of one start begin within so many milliseconds.
const APART: u64 = 1000;

/// A worker's part.
pub struct Succession {
    right: Rc<Right>,
    claim: Cell<Option<Claim>>,
    /// When this worker started, in milliseconds.
    started: u64,
    /// It has tried, or had no reason to when it started.
    is_settled: Cell<bool>,
}

/// No other worker tries at the same time.
#[derive(Clone, Copy)]
struct Claim {
    held: Held,
    /// When it is given up, in milliseconds.
    until: u64,
}

impl Succession {
    /// One that is still to be looked at.
    pub fn new(right: &Rc<Right>) -> Succession {
        Succession {
            right: Rc::clone(right),
            claim: Cell::new(None),
            started: exact_msec(),
            is_settled: Cell::new(false),
        }
    }

    fn lease(&self) -> &Lease {
        &self.right.memory.records().header().successor
    }

    /// This worker listens, or another one does whom it doesn't succeed.
    pub fn settle(&self) {
        self.is_settled.set(true);
        if let Some(claim) = self.claim.take() {
            self.lease().release(claim.held);
        }
    }

    /// Whether this worker is to take over from the one that listens: begins to, or goes on.
    pub fn is_due(&self) -> bool {
        let now = exact_msec();
        let claim = match self.claim.get() {
            Some(claim) if now >= claim.until => None,
            Some(claim) => {
                let held = self.lease().renew(claim.held, now, LEASE);
                held.map(|held| Claim { held, ..claim })
            }
            None if self.is_settled.get() || !self.is_newer() => None,
            None => {
                let who = u32::try_from(pid()).unwrap_or_default();
                let held = self.lease().take(who, now, LEASE);
                held.map(|held| Claim {
                    held,
                    until: now.saturating_add(TRY),
                })
            }
        };
        if claim.is_none() {
            self.settle();
        }
        self.claim.set(claim);
        claim.is_some()
    }

    /// Whether this worker is of a later start of workers than the one that listens.
    fn is_newer(&self) -> bool {
        let since = self
            .right
            .memory
            .records()
            .header()
            .since
            .load(Ordering::Relaxed);
        since.saturating_add(APART) < self.started
    }

    /// Whether another worker is about to take over.
    pub fn is_by_another(&self) -> bool {
        self.claim.get().is_none() && self.lease().holder(exact_msec()).is_some()
    }
}
