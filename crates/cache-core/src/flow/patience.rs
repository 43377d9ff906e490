//! How long a request waits for somebody else's fill, and what it waits for.

use super::WaitLimits;
use super::cache::Cache;
use crate::outcome::Reason;
use crate::use_stale::UseStale;
use crate::verdict::Verdict;

/// The deadline of one request; it moves on when somebody else was chosen to go.
pub(super) struct Patience {
    timeout: u64,
    /// When it is to go, if it may (in [`Cache::now`]'s terms).
    deadline: u64,
}

/// What the wait for somebody else's fill ends with.
pub(super) enum Waited<F> {
    Join(F),
    Pass(Reason),
    /// The backend has failed, and the record that is held may be served for that.
    Stale,
    /// Look again.
    Again,
    /// Ask for the lock again: its fill is here now.
    Joinable,
    /// The fill was that of another variant.
    OtherLock,
}

impl<F> Waited<F> {
    /// What somebody else's fill means that has ended so, to a request whose record may be served for these failures.
    pub(super) fn of(verdict: Verdict, on_failure: UseStale) -> Self {
        match verdict {
            Verdict::Failing(failure) if on_failure.allows(failure) => Self::Stale,
            Verdict::NotStorable | Verdict::Uncacheable | Verdict::Failing(_) => {
                Self::Pass(Reason::WaitersReleased)
            }
            Verdict::Stored | Verdict::Failed | Verdict::Unavailable | Verdict::DoesNotFit => {
                Self::Again
            }
        }
    }
}

impl Patience {
    /// The patience of a request that has come now.
    pub(super) fn new<C: Cache>(cache: &C, limits: WaitLimits) -> Self {
        let timeout = limits.lock_timeout;
        Self {
            timeout,
            deadline: cache.now().saturating_add(timeout),
        }
    }

    /// Until when it waits.
    pub(super) fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Whether the request may go to the backend, its deadline having passed. If not, the deadline has moved on.
    pub(super) fn chosen<C: Cache>(&mut self, cache: &C) -> bool {
        match cache.elect(self.timeout) {
            Ok(()) => true,
            Err(at) => {
                // Never a deadline in the past: that would be a busy loop.
                self.deadline = at.max(cache.now().saturating_add(1));
                false
            }
        }
    }
}
