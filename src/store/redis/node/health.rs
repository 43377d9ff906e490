//! Whether a store is up, and the lines in the log when that changes: one per change and worker,
//! never one per request.

use std::cell::{Cell, RefCell};

use ngx::ffi::{NGX_LOG_ERR, NGX_LOG_INFO, NGX_LOG_NOTICE, NGX_LOG_WARN};
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::ngx::event::now_msec;
use crate::store::redis::error::is_unpermitted;
use crate::store::redis::protocol::kind::Kind;

/// The first attempt to reach a store that went down comes after this long,
const FIRST: u64 = 50;

/// and later ones at most this long after the one before: with the default timeouts a worker uses a
/// store again within a second of its return.
const CAP: u64 = 500;

/// A store that was up for less than this goes on where it was with its attempts, so that one that
/// comes and goes isn't hammered.
const STEADY: u64 = 5000;

/// The state of one store in this worker.
pub struct Health {
    /// Name and server, as the log has them.
    store: String,
    down: Cell<bool>,
    /// Why, in the words logged last.
    reason: RefCell<String>,
    delay: Cell<u64>,
    up_since: Cell<u64>,
    /// As many commands wait as may, and the log says so.
    crowded: Cell<bool>,
    /// What is done while it is down.
    instead: &'static str,
    /// What was said last when lookups, writes, deletions, fences and claims were refused, until one succeeds.
    refused: [RefCell<Option<String>>; 5],
}

impl Health {
    /// A store that is thought to be up.
    pub fn new(name: &str, server: &str) -> Health {
        Self::with(name, server, "requests go to the backend")
    }

    /// A store that is thought to be up, whose memory carries on without it for a while.
    pub fn of_memory(name: &str, server: &str) -> Health {
        Self::with(
            name,
            server,
            "its memory carries on alone, and what that may not keep goes to the backend",
        )
    }

    /// A replica that is thought to be up.
    pub fn of_replica(name: &str, server: &str) -> Health {
        Self::with(name, server, "its lookups go to others")
    }

    fn with(name: &str, server: &str, instead: &'static str) -> Health {
        Health {
            store: format!("\"{name}\" ({server})"),
            down: Cell::new(false),
            reason: RefCell::default(),
            delay: Cell::new(FIRST),
            up_since: Cell::new(0),
            crowded: Cell::new(false),
            instead,
            refused: [const { RefCell::new(None) }; 5],
        }
    }

    /// Whether the store is known to be down.
    pub fn is_down(&self) -> bool {
        self.down.get()
    }

    /// The store is down from now on.
    pub fn down(&self, reason: &str) {
        let (store, instead) = (&self.store, self.instead);
        let before = self.reason.replace(reason.to_owned());
        if self.down.replace(true) {
            if before != reason {
                ngx_log_error!(
                    NGX_LOG_INFO,
                    ngx_cycle_log().as_ptr(),
                    "redis store {store} is still down: {reason}"
                );
            }
            return;
        }
        if now_msec().saturating_sub(self.up_since.get()) > STEADY {
            self.delay.set(FIRST);
        }
        ngx_log_error!(
            NGX_LOG_ERR,
            ngx_cycle_log().as_ptr(),
            "redis store {store} is down: {reason}; {instead} until it is back"
        );
    }

    /// An attempt to reach a store that is down has failed.
    pub fn still_down(&self, reason: &str) {
        if self.down.get() {
            self.down(reason);
        }
    }

    /// The store may be up: others see to it, and have said so.
    pub fn forget(&self) {
        self.down.set(false);
    }

    /// How long to wait before the next attempt to reach the store.
    pub fn delay(&self) -> u64 {
        let delay = self.delay.get();
        self.delay.set(delay.saturating_mul(2).min(CAP));
        delay
    }

    /// A store that was down serves.
    pub fn up(&self) {
        self.down.set(false);
        self.up_since.set(now_msec());
        let store = &self.store;
        ngx_log_error!(
            NGX_LOG_NOTICE,
            ngx_cycle_log().as_ptr(),
            "redis store {store} is up again"
        );
    }

    /// Whether another command may wait, where `waiting` of `most` do.
    pub fn admits(&self, waiting: usize, most: usize) -> bool {
        if waiting < most {
            // Said once more only after the queue has been half empty.
            if self.crowded.get() && waiting <= most / 2 {
                self.crowded.set(false);
            }
            return true;
        }
        if !self.crowded.replace(true) {
            let store = &self.store;
            ngx_log_error!(
                NGX_LOG_WARN,
                ngx_cycle_log().as_ptr(),
                "redis store {store} has {most} commands waiting in this worker; requests go on without it; \
                 if it is fast enough, raise \"queue\" in its block"
            );
        }
        false
    }

    /// The store has refused a command for a reason that isn't its key.
    pub fn refused(&self, kind: Kind, words: String) {
        let [lookups, writes, deletions, fences, claims] = &self.refused;
        let (known, what, so) = match kind {
            // It is done in parts then, and each of those tells for itself.
            Kind::Invalidate if is_unpermitted(&words) => return,
            Kind::Lookup => (
                lookups,
                "lookups",
                "requests go to the backend until it accepts them",
            ),
            Kind::Write => (
                writes,
                "writes",
                if words.starts_with("OOM ") {
                    "answers aren't stored until it accepts them; raise its \"maxmemory\", or set \"maxmemory-policy\" to \"allkeys-lru\" or the like"
                } else {
                    "answers aren't stored until it accepts them"
                },
            ),
            Kind::Delete | Kind::Invalidate => (
                deletions,
                "deletions",
                "what is invalidated stays until it expires",
            ),
            Kind::SetFence => (
                fences,
                "fences",
                "what is invalidated is deleted, but fills that have begun before may store it again",
            ),
            Kind::Claim => (
                claims,
                "claims of fills",
                "each machine fills for itself until it accepts them",
            ),
            // The write that follows is refused, too, or the claim before; and whoever reads or writes the log of purges tells of that.
            Kind::Fence | Kind::Lease | Kind::Purges => return,
        };
        // The code decides whether this is the same trouble: the rest may name a script or a user.
        let code = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
        let same = known
            .borrow()
            .as_ref()
            .is_some_and(|last| code(last) == code(&words));
        if !same {
            let store = &self.store;
            ngx_log_error!(
                NGX_LOG_ERR,
                ngx_cycle_log().as_ptr(),
                "redis store {store} refuses {what}: {words}; {so}"
            );
            known.replace(Some(words));
        }
    }

    /// The store has carried out a command.
    pub fn accepted(&self, kind: Kind) {
        let [lookups, writes, deletions, fences, claims] = &self.refused;
        let (known, what) = match kind {
            Kind::Lookup => (lookups, "lookups"),
            Kind::Write => (writes, "writes"),
            Kind::Delete => (deletions, "deletions"),
            Kind::SetFence => (fences, "fences"),
            Kind::Invalidate => {
                self.accepted(Kind::Delete);
                return self.accepted(Kind::SetFence);
            }
            Kind::Claim => (claims, "claims of fills"),
            Kind::Fence | Kind::Lease | Kind::Purges => return,
        };
        if known.borrow().is_some() {
            known.replace(None);
            let store = &self.store;
            ngx_log_error!(
                NGX_LOG_NOTICE,
                ngx_cycle_log().as_ptr(),
                "redis store {store} accepts {what} again"
            );
        }
    }
}
