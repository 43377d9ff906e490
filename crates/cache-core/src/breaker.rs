//! Circuit breaker of a node: while it is open nobody asks the node, but for one probe at a time of the whole nginx.
//!
//! ```text
//!            max_fails failures within the window
//!   closed ────────────────────────────────────────► open ◄─────────────┐
//!     ▲                                               │ its time is over │ the probe fails
//!     └────────────────────────── half open ◄─────────┘                  │
//!            the probe succeeds      └───────────────────────────────────┘
//! ```
//!
//! Reads and writes have a word each, in memory that all workers share. [`Word`] says how a word changes; [`Breaker`] is the
//! two of them as atomics. Zeros are a closed breaker.

mod blame;
mod word;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::blame::Blame;
pub use self::word::{Change, Pass, Settings, Verdict, Word};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// What a result has changed. Most change nothing; each change is worth one line in a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Reads are let through no more, or again.
    pub reads: Option<Change>,
    /// Writes are let through no more, or again.
    pub writes: Option<Change>,
}

/// The breaker of one node, shared by all workers.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Breaker {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Breaker {
    /// Whether a command may be sent at `now`, in milliseconds of a clock that all workers share. While the breaker is
    /// closed this is one load.
    ///
    /// Who gets a [`Pass`] hands it back with [`Breaker::finished`], or with [`Breaker::unused`].
    pub fn may(&self, access: Access, now: u64, settings: &Settings) -> Verdict {
        if !self.is_open(access) {
            return Verdict::Go;
        }
        update(self.word(access), |word| word.may(now, settings))
    }

    /// A command has ended. `blame` is the fault of the node, if it is one.
    pub fn finished(
        &self,
        access: Access,
        pass: Pass,
        blame: Blame,
        now: u64,
        settings: &Settings,
    ) -> Changes {
        let result = |of: Access| {
            let own = of == access;
            let failed = match blame {
                Blame::Nobody => false,
                Blame::Writes => of == Access::Write,
                Blame::Node => true,
            };
            match (failed, own) {
                (true, true) => update(self.word(of), |word| word.failed(pass, now, settings)),
                (true, false) => update(self.word(of), |word| word.failed(Pass::Go, now, settings)),
                (false, true) => update(self.word(of), |word| word.succeeded(pass, now, settings)),
                (false, false) => None,
            }
        };
        Changes {
            reads: result(Access::Read),
            writes: result(Access::Write),
        }
    }

    /// A command that had a pass wasn't sent. If it was the probe, the next command is it.
    pub fn unused(&self, access: Access, pass: Pass, now: u64) {
        update(self.word(access), |word| (word.unused(pass, now), ()));
    }

    /// Whether commands of this kind are held back, for status pages and logs.
    #[must_use]
    pub fn is_open(&self, access: Access) -> bool {
        !Word(self.word(access).load(Ordering::Relaxed)).is_closed()
    }

    const fn word(&self, access: Access) -> &AtomicU64 {
        match access {
            Access::Read => &self.reads,
            Access::Write => &self.writes,
        }
    }
}

/// Changes a word as `step` says, whoever else changes it at the same time. A word that stays as it is isn't written.
fn update<T>(shared: &AtomicU64, mut step: impl FnMut(Word) -> (Word, T)) -> T {
    let mut seen = shared.load(Ordering::Relaxed);
    loop {
        let (next, result) = step(Word(seen));
        if next.0 == seen {
            return result;
        }
        // Nothing else is published by way of the word, so that its own order is enough.
        match shared.compare_exchange_weak(seen, next.0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return result,
            Err(other) => seen = other,
        }
    }
}
