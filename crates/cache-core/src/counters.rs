//! What is counted, and where: each zone, server block, store and server of a store has a series of words that only grow.
//!
//! A series lies in shared memory several times, so that workers rarely write to the same word; what is read is the sum. Memory
//! of another [`LAYOUT`] is made anew.

mod histogram;

pub use histogram::{Histogram, Times};

use crate::outcome::{CacheStatus, Reason};
use crate::purge::{Kind, Mode};

/// Tells layouts apart: a number to be changed with the order of the words, and how many there are.
pub const LAYOUT: u64 = (3 << 56)
    | ((NODE_WORDS << 48) | (ZONE_WORDS << 32) | (STORE_WORDS << 16) | SERVER_WORDS) as u64;

/// What a series is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A zone: the responses to requests of its locations, and its fills.
    Zone,
    /// A server block of nginx: the responses to its requests.
    Server,
    /// A store: its commands, and purges in it.
    Store,
    /// A server of a store: the commands that it was sent.
    Node,
}

impl Subject {
    /// How many words its series has.
    #[must_use]
    pub const fn words(self) -> usize {
        match self {
            Self::Zone => ZONE_WORDS,
            Self::Server => SERVER_WORDS,
            Self::Store => STORE_WORDS,
            Self::Node => NODE_WORDS,
        }
    }
}

/// A word of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Word(usize);

impl Word {
    /// Its place in the series.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0
    }
}

/// How a request got a response that another one has fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coalesced {
    /// As the fill received it.
    Stream,
    /// From the record, after a wait for the fill.
    Record,
}

impl Coalesced {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Stream, Self::Record];

    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Record => "record",
        }
    }
}

/// Why a fill asks the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillKind {
    /// There is no record, or it isn't looked up.
    Miss,
    /// A stale record is the response, and is filled anew behind the client's back.
    Refill,
    /// A client waits for what the backend says of a record.
    Validate,
}

impl FillKind {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Miss, Self::Refill, Self::Validate];

    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miss => "miss",
            Self::Refill => "refill",
            Self::Validate => "validate",
        }
    }
}

/// What has become of a fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FillResult {
    /// Its response was stored.
    Stored,
    /// The backend has confirmed the record.
    Revalidated,
    /// Its response wasn't stored; a reason is counted, too.
    NotStored,
    /// The backend has failed.
    Failed,
}

impl FillResult {
    /// All that there are.
    pub const ALL: [Self; 4] = [
        Self::Stored,
        Self::Revalidated,
        Self::NotStored,
        Self::Failed,
    ];

    /// What a reason means for the fill that has ended with it.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Stored => Self::Stored,
            Reason::Revalidated => Self::Revalidated,
            Reason::BackendFailed => Self::Failed,
            _ => Self::NotStored,
        }
    }

    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Revalidated => "revalidated",
            Self::NotStored => "not_stored",
            Self::Failed => "failed",
        }
    }
}

/// What a command to the store is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// To read a record.
    Lookup,
    /// To write a record, or to refresh it.
    Write,
    /// To delete records, and to purge.
    Delete,
    /// Anything else: fences, claims, the log of purges.
    Other,
}

impl Operation {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Lookup, Self::Write, Self::Delete, Self::Other];

    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup => "lookup",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

/// Why a command to the store has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The server was known to be down, or couldn't be reached.
    Unavailable,
    /// No reply in time.
    Timeout,
    /// The connection was closed before the reply.
    Closed,
    /// What came is no reply to the command.
    Protocol,
    /// The server has refused the command.
    Refused,
    /// The worker has no room for the command, or for its reply.
    NoRoom,
}

impl Failure {
    /// All that there are.
    pub const ALL: [Self; 6] = [
        Self::Unavailable,
        Self::Timeout,
        Self::Closed,
        Self::Protocol,
        Self::Refused,
        Self::NoRoom,
    ];

    /// The value of the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Refused => "refused",
            Self::NoRoom => "no_room",
        }
    }
}

const STATUSES: usize = CacheStatus::ALL.len();
const REASONS: usize = Reason::ALL.len();

// The words of a server, which a zone has too: of each status the responses and their bytes, side by side, since they are
// counted together.
const RESPONSES: usize = 0;
const SERVER_WORDS: usize = RESPONSES + STATUSES * 2;

// Those of a zone besides.
const WRITTEN: usize = SERVER_WORDS;
const WRITTEN_BYTES: usize = WRITTEN + STATUSES;
const COALESCED: usize = WRITTEN_BYTES + STATUSES;
const FROM_MEMORY: usize = COALESCED + Coalesced::ALL.len();
const FILLS: usize = FROM_MEMORY + 1;
const FILL_TIMES: usize = FILLS + FillKind::ALL.len() * FillResult::ALL.len();
const NOT_STORED: usize = FILL_TIMES + Times::WORDS;
const ZONE_WORDS: usize = NOT_STORED + REASONS;

// Those of a store.
const STORE_TIMES: usize = 0;
const FAILURES: usize = STORE_TIMES + Operation::ALL.len() * Times::WORDS;
const PURGES: usize = FAILURES + Failure::ALL.len();
const STORE_WORDS: usize = PURGES + Kind::EACH.len() * Mode::EACH.len() * 2;

// Those of a server of a store.
const NODE_TIMES: usize = 0;
const NODE_FAILURES: usize = NODE_TIMES + Times::WORDS;
const DOWN: usize = NODE_FAILURES + Failure::ALL.len();
const NODE_WORDS: usize = DOWN + 1;

/// Words of the processor's cache in a line.
const LINE: usize = 8;

/// How much room the series of a zone takes, so that each copy of it fills whole lines of the processor's cache.
pub const ZONE_ROOM: usize = ZONE_WORDS.next_multiple_of(LINE);

/// The same for a server.
pub const SERVER_ROOM: usize = SERVER_WORDS.next_multiple_of(LINE);

/// The same for a store.
pub const STORE_ROOM: usize = STORE_WORDS.next_multiple_of(LINE);

/// The same for a server of a store.
pub const NODE_ROOM: usize = NODE_WORDS.next_multiple_of(LINE);

/// The place of a status among words that stand in pairs.
const fn place(status: CacheStatus) -> usize {
    // The compiler then sees that no place is outside.
    (status as usize % STATUSES) * 2
}

/// Responses of this status, of a zone or a server.
#[must_use]
pub const fn responses(status: CacheStatus) -> Word {
    Word(RESPONSES + place(status))
}

/// Bytes of their bodies, as they were sent.
#[must_use]
pub const fn response_bytes(status: CacheStatus) -> Word {
    Word(RESPONSES + place(status) + 1)
}

/// Responses of a zone that were stored because of requests of this status.
#[must_use]
pub const fn written(status: CacheStatus) -> Word {
    Word(WRITTEN + status as usize)
}

/// Bytes of their bodies.
#[must_use]
pub const fn written_bytes(status: CacheStatus) -> Word {
    Word(WRITTEN_BYTES + status as usize)
}

/// Requests of a zone that got what another one has fetched.
#[must_use]
pub const fn coalesced(how: Coalesced) -> Word {
    Word(COALESCED + how as usize)
}

/// Requests of a zone that a memory tier has answered.
pub const MEMORY_HITS: Word = Word(FROM_MEMORY);

/// Fills of a zone.
#[must_use]
pub const fn fills(kind: FillKind, result: FillResult) -> Word {
    Word(FILLS + kind as usize * FillResult::ALL.len() + result as usize)
}

/// How long the fills of a zone have taken.
pub const FILL_DURATION: Times = Times::new(FILL_TIMES, &histogram::FILL_BOUNDS);

/// Fills of a zone whose response wasn't stored for this reason.
#[must_use]
pub const fn not_stored(reason: Reason) -> Word {
    Word(NOT_STORED + reason.place())
}

/// How long commands to a store have taken.
#[must_use]
pub const fn store_duration(operation: Operation) -> Times {
    let first = STORE_TIMES + operation as usize * Times::WORDS;
    Times::new(first, &histogram::STORE_BOUNDS)
}

/// Commands to a store that have failed.
#[must_use]
pub const fn failures(failure: Failure) -> Word {
    Word(FAILURES + failure as usize)
}

/// How long lookups and changes have taken at a server of a store.
pub const NODE_DURATION: Times = Times::new(NODE_TIMES, &histogram::STORE_BOUNDS);

/// Lookups and changes that have failed at a server of a store.
#[must_use]
pub const fn node_failures(failure: Failure) -> Word {
    Word(NODE_FAILURES + failure as usize)
}

/// How often a server of a store has gone down.
pub const NODE_DOWN: Word = Word(DOWN);

/// Purges in a store: `held`, its senders were told that they hold.
#[must_use]
pub const fn purges(kind: Kind, mode: Mode, held: bool) -> Word {
    let of_kind = kind as usize * Mode::EACH.len() + mode as usize;
    Word(PURGES + of_kind * 2 + held as usize)
}

/// A series as it was read: the sum of all its copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<u64>);

impl Counts {
    /// Adds a copy to the sum.
    pub fn add(&mut self, copy: impl Iterator<Item = u64>) {
        for (place, count) in copy.enumerate() {
            match self.0.get_mut(place) {
                Some(sum) => *sum = sum.wrapping_add(count),
                None => self.0.push(count),
            }
        }
    }

    /// The count of a word.
    #[must_use]
    pub fn of(&self, word: Word) -> u64 {
        self.0.get(word.0).copied().unwrap_or(0)
    }

    /// What a histogram holds.
    #[must_use]
    pub fn histogram(&self, times: Times) -> Histogram {
        times.read(|word| self.of(word))
    }
}
