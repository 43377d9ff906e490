//! What a simulated world is made of.

use std::collections::VecDeque;

use cache_core::flow::WaitLimits;
use cache_core::rules::Rules;

use super::faults::Faults;
use super::purging::Purge;
use super::topology::Topology;
use super::variants::On;
use crate::locks::BackOff;
use crate::locks::Retention;

/// Bytes of a body that are captured. More than a stream holds for its slowest reader, so that a
/// body beyond it has to wait for readers.
pub const MAX_SIZE: u64 = 300_000;

/// A key, by its number.
pub type Key = usize;

/// What the backend does with one request.
#[derive(Clone, Debug)]
pub struct Behaviour {
    pub kind: Kind,
    /// Milliseconds until the header.
    pub header: u64,
    /// Milliseconds before each piece of the body, and its length.
    pub pieces: Vec<(u64, usize)>,
    /// Seconds of freshness that the answer states.
    pub fresh: u32,
    /// Whether the header says how long the body is.
    pub length: bool,
    /// Whether it may never be served stale.
    pub strict: bool,
    /// What it varies on.
    pub on: On,
}

/// What kind of answer the backend gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One for everybody.
    Storable,
    /// One for this client only.
    Private,
    /// One with a cookie of this client.
    Cookie,
    /// One that may not be stored.
    NoStore,
    /// An error page.
    Error,
    /// One for everybody, of which the end is missing.
    Cut,
    /// No answer at all.
    Silent,
    /// 304 where it is asked about a record, else one for everybody.
    Confirms,
}

impl Kind {
    /// Whether all of it may be stored, unless it is too large.
    pub fn stores(self) -> bool {
        matches!(self, Kind::Storable | Kind::Confirms)
    }

    /// Whether its header allows giving it to others.
    pub fn shareable(self) -> bool {
        matches!(self, Kind::Storable | Kind::Cut | Kind::Confirms)
    }
}

impl Behaviour {
    /// An answer for everybody: the header after `header` ms, three pieces, each after `piece` ms.
    pub fn good(header: u64, piece: u64) -> Behaviour {
        Behaviour {
            kind: Kind::Storable,
            header,
            pieces: vec![(piece, 100); 3],
            fresh: 600,
            length: false,
            strict: false,
            on: On::Nothing,
        }
    }

    pub fn varies(self, on: On) -> Behaviour {
        Behaviour { on, ..self }
    }

    pub fn of(self, kind: Kind) -> Behaviour {
        Behaviour { kind, ..self }
    }
}

/// Whether fills are claimed among all machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claims {
    /// Each machine fills for itself.
    #[default]
    None,
    Made,
    /// They should be, but nobody does.
    LeftOut,
}

/// What a simulated world is made of.
pub struct Config {
    pub seed: u64,
    /// Each machine's number of workers.
    pub machines: Vec<usize>,
    pub keys: usize,
    /// Places in each lock table.
    pub entries: usize,
    pub limits: WaitLimits,
    pub rules: Rules,
    /// How long a backend that fails is left alone.
    pub back_off: BackOff,
    /// Milliseconds after which an untouched lock is free.
    pub lock_age: u64,
    /// How many requests may wait for a key.
    pub queue: u32,
    /// From which request for a key on answers are stored.
    pub min_uses: u32,
    /// Milliseconds for which a key is remembered whose answers aren't storable.
    pub uncacheable_ttl: u64,
    /// Whether chance decides the order of what happens at the same time.
    pub shuffled: bool,
    /// How long an answer may be captured, in milliseconds.
    pub capture_timeout: u64,
    /// Whether a worker learns of all that happens in one millisecond at once.
    pub together: bool,
    /// Milliseconds to the store and back, each way at least and at most.
    pub store_delay: (u64, u64),
    /// Milliseconds of a wake-up to another worker, at least and at most.
    pub wake_delay: (u64, u64),
    pub faults: Faults,
    /// Whether fills heed what other machines have invalidated meanwhile.
    pub fences: bool,
    pub claims: Claims,
    /// When the store loses its leases.
    pub failovers: Vec<u64>,
    /// When, at which machine, and which key is invalidated.
    pub invalidations: Vec<(u64, usize, Key)>,
    /// Whether the store has a log of purges.
    pub has_log: bool,
    /// Whether workers look after the log behind the requests' backs.
    pub looks_after_log: bool,
    /// When, to which machine, and what purge is sent.
    pub purges: Vec<(u64, usize, Purge)>,
    /// What servers the store is made of.
    pub topology: Topology,
    /// Whether requests and answers vary.
    pub varies: bool,
    /// What the backend does first; then chance decides, or it gives good answers.
    pub script: VecDeque<Behaviour>,
    pub trace: bool,
}

impl Config {
    /// What the lock tables remember of the fills of a sender.
    pub fn retention_of(&self, sender: u64) -> Retention {
        Retention {
            sender,
            ..self.retention()
        }
    }

    /// What the lock tables remember of fills.
    pub fn retention(&self) -> Retention {
        Retention {
            uncacheable: self.uncacheable_ttl,
            back_off: self.back_off,
            sender: 0,
        }
    }

    /// Whether there may be more locks at once than places for them.
    pub fn is_crowded(&self) -> bool {
        let shared = self.keys * if self.varies { 16 } else { 1 };
        // While the store is in trouble each worker has locks of its own.
        let workers = self.machines.iter().max().unwrap_or(&0) + self.faults.kills.len();
        self.entries < shared + self.keys * workers
    }

    /// A world without faults or chance: one machine, two workers, 1 ms to the store and 1 ms back.
    pub fn plain() -> Config {
        let rules = Rules {
            stale: 100,
            max_size: MAX_SIZE,
            ..Rules::default()
        };
        Config {
            seed: 0,
            machines: vec![2],
            keys: 1,
            entries: 64,
            limits: WaitLimits { lock_timeout: 3000 },
            rules,
            back_off: BackOff {
                first: 1000,
                most: 10_000,
            },
            lock_age: 30_000,
            queue: 1024,
            min_uses: 1,
            uncacheable_ttl: 5000,
            capture_timeout: 300_000,
            shuffled: false,
            together: false,
            store_delay: (1, 1),
            wake_delay: (0, 0),
            faults: Faults::default(),
            fences: false,
            claims: Claims::None,
            failovers: Vec::new(),
            invalidations: Vec::new(),
            has_log: false,
            looks_after_log: false,
            purges: Vec::new(),
            topology: Topology::default(),
            varies: false,
            script: VecDeque::new(),
            trace: std::env::var_os("SIM_TRACE").is_some(),
        }
    }
}
