//! An entry of the lock table: the holder of a key's lock, and what fills of the key have found.

use cache_core::flow::Verdict;
use cache_core::use_stale::Failure;

use super::header::{WORKERS, Workers};

/// One key.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Entry {
    pub(super) key: [u8; 16],
    pub(super) state: u32,
    pub(super) verdict: u32,
    pub(super) owner: i32,
    /// How many requests wait for this holding.
    pub(super) waiting: u32,
    pub(super) instance: u64,
    pub(super) touched: u64,
    pub(super) released: u64,
    pub(super) elected: u64,
    /// Until when, in milliseconds, responses are taken not to be storable.
    pub(super) uncacheable: u64,
    /// Until when, in milliseconds, the backend is left alone where a record is there.
    pub(super) retry: u64,
    /// How it failed last, as a code.
    pub(super) failure: u32,
    /// How often in a row it has failed.
    pub(super) failures: u32,
    /// The lock is free once its holder hasn't touched it for this long, in milliseconds.
    pub(super) age: u64,
    /// What tells who asked then ([`Retention::sender`]).
    pub(super) sender: u64,
    /// The invalidation that the holder's fill knows of, by its number. 0: none.
    pub(super) fence: u64,
    pub(super) waiters: Workers,
}

pub(super) const FREE: u32 = 0;
pub(super) const HELD: u32 = 1;
pub(super) const IDLE: u32 = 2;

/// How long a backend that fails is left alone, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// After the first failure.
    pub first: u64,
    /// At most.
    pub most: u64,
}

/// How long a zone remembers what a fill has found, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// That a key's responses aren't storable.
    pub uncacheable: u64,
    /// That the backend has failed.
    pub back_off: BackOff,
    /// Hash of the fields that went to the backend beside those that any client's request has; 0 for none. A failure is
    /// held against requests with the same fields, or against all requests if there were none.
    pub sender: u64,
}

/// The caller that asks for a lock.
#[derive(Clone, Copy)]
pub struct Asker {
    /// The caller's process.
    pub pid: i32,
    /// Milliseconds of the monotonic clock.
    pub now: u64,
    /// A lock that the caller takes is free once it hasn't touched it for this long, in milliseconds.
    pub age: u64,
    /// How many requests may wait for one key.
    pub queue: u32,
}

impl Entry {
    /// A place for a key.
    pub const EMPTY: Entry = Entry {
        key: [0; 16],
        state: FREE,
        verdict: 0,
        owner: 0,
        waiting: 0,
        instance: 0,
        touched: 0,
        released: 0,
        elected: 0,
        uncacheable: 0,
        retry: 0,
        failure: 0,
        failures: 0,
        age: 0,
        sender: 0,
        fence: 0,
        waiters: [0; WORKERS / 64],
    };

    /// Whether the holder has done nothing for longer than it has said that it may. (One that has died is buried.)
    pub(super) fn abandoned(&self, now: u64) -> bool {
        now.saturating_sub(self.touched) > self.age
    }

    pub(super) fn hold(&mut self, instance: u64, asker: Asker) {
        self.state = HELD;
        self.owner = asker.pid;
        self.instance = instance;
        self.touched = asker.now;
        self.age = asker.age;
        self.waiting = 0;
        self.fence = 0;
    }

    /// Remembers what a fill has found. The time for which a backend that fails is left alone doubles with each
    /// failure in a row.
    pub(super) fn learn(&mut self, verdict: Verdict, retention: Retention, now: u64) {
        match verdict {
            Verdict::Uncacheable => self.uncacheable = now.saturating_add(retention.uncacheable),
            Verdict::Stored => self.uncacheable = 0,
            _ => {}
        }
        let failure = match verdict {
            Verdict::Failing(failure) => failure,
            Verdict::Failed => Failure::Error,
            _ => {
                (self.retry, self.failure, self.failures) = (0, 0, 0);
                return;
            }
        };
        if self.sender != retention.sender {
            if self.sender == 0 && self.failures > 0 {
                // What holds for all isn't forgotten for what one sender has met.
                return;
            }
            (self.sender, self.failures) = (retention.sender, 0);
        }
        let BackOff { first, most } = retention.back_off;
        let delay = first.saturating_mul(1 << self.failures.min(31));
        self.retry = now.saturating_add(delay.min(most));
        self.failure = failure.code();
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether the store was found, a moment ago, to keep no record so large.
    pub(super) fn does_not_fit(&self, now: u64) -> bool {
        self.state == IDLE
            && self.verdict == DOES_NOT_FIT
            && now < self.touched.saturating_add(TOO_LARGE_FOR)
    }

    pub(super) fn free(&mut self, verdict: Verdict, sequence: u64, now: u64) -> Workers {
        self.state = IDLE;
        self.verdict = code(verdict);
        self.released = sequence;
        self.touched = now;
        std::mem::take(&mut self.waiters)
    }
}

/// A verdict as a number. Failures of the backend keep their kind.
fn code(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Failed => 0,
        Verdict::Stored => 1,
        Verdict::NotStorable => 2,
        Verdict::Uncacheable => 3,
        Verdict::Unavailable => 4,
        Verdict::DoesNotFit => DOES_NOT_FIT,
        Verdict::Failing(failure) => FAILING + failure.code(),
    }
}

const DOES_NOT_FIT: u32 = 5;
const FAILING: u32 = 16;

/// For how long it is known that the store keeps no record so large, in milliseconds: it may be the memory that carries on
/// alone, while a server is down.
const TOO_LARGE_FOR: u64 = 1000;

pub(super) fn verdict_of(code: u32) -> Verdict {
    match code {
        1 => Verdict::Stored,
        2 => Verdict::NotStorable,
        3 => Verdict::Uncacheable,
        4 => Verdict::Unavailable,
        DOES_NOT_FIT => Verdict::DoesNotFit,
        _ => code
            .checked_sub(FAILING)
            .and_then(Failure::from_code)
            .map_or(Verdict::Failed, Verdict::Failing),
    }
}
