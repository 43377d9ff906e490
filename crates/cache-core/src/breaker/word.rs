//! The state of one side of a breaker, in one word: so that a compare-and-swap changes all of it.
//!
//! Lowest bits first:
//!
//! | phase | 2 | 3 | |
//! | --- | --- | --- | --- |
//! | closed | 0 | level | failures of the last four slices of the window, 6 bits each; the number of the last slice, 28 bits |
//! | open | 1 | level | time of the next probe, 40 bits |
//! | half open | 2 | level | end of the lease of the probe, 40 bits |
//!
//! The level is how often in a row a probe has failed, or the node went down soon after it had come back.

/// Longest time between the end of a probe and the next, in milliseconds: with the timeouts of the probe itself a node is used
/// again within a second of its return.
const PROBE_WITHIN: u64 = 500;
/// Longest time to the first probe of a node that comes and goes, in milliseconds.
const RETURN_WITHIN: u64 = 1000;
/// A node that was well for less than this, in milliseconds, goes on with the delays where it was.
const STEADY: u64 = 5000;
/// What clocks of workers may differ by, in milliseconds: a busy worker looks at its clock late.
const SKEW: u64 = 60_000;
/// Largest level.
const LEVELS: u64 = 7;
/// Slices of the window.
const SLICES: u64 = 4;
/// Most failures of a slice that are counted.
const COUNT: u64 = (1 << 6) - 1;
const COUNTS: u64 = (1 << 24) - 1;
const SLICE: u64 = (1 << 28) - 1;
const TIME: u64 = (1 << 40) - 1;

/// When a breaker opens, and when it tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// So many failures open it. Above 63 it is 63; 0: it never opens.
    pub max_fails: u32,
    /// They must come within this time, in milliseconds. The time slides by quarters: failures that are more than three
    /// quarters of it apart may count as too far apart.
    pub window: u64,
    /// Time to the first probe, in milliseconds. Later ones follow within a second.
    pub fail_timeout: u64,
    /// A probe that has no result after this time, in milliseconds, is given up, and another may start: its worker has
    /// died. It is longer than all timeouts of a probe together.
    pub lease: u64,
}

impl Settings {
    /// How long to wait for the next probe, in milliseconds, at a level: `most` but for the first.
    fn delay(&self, level: u64, most: u64) -> u64 {
        if level == 0 {
            return self.fail_timeout;
        }
        let shift = u32::try_from(level).unwrap_or(u32::MAX);
        let factor = 1_u64.checked_shl(shift).unwrap_or(u64::MAX);
        self.fail_timeout.max(1).saturating_mul(factor).min(most)
    }

    /// Whether a time is still to come. Times are low bits of milliseconds, so one that is further ahead than any that is
    /// written is past, or was written by another clock.
    fn is_ahead(&self, now: u64, until: u64) -> bool {
        let longest = self.fail_timeout.max(self.lease).max(RETURN_WITHIN);
        let wait = until.wrapping_sub(now) & TIME;
        wait > 0 && wait <= longest.saturating_add(SKEW)
    }

    fn slice_at(&self, now: u64) -> u64 {
        (now / (self.window / SLICES).max(1)) & SLICE
    }
}

/// The right to send a command. It is handed back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pass {
    /// The breaker was closed.
    Go,
    /// The command is the probe; the end of its lease tells it from others.
    Probe(u64),
}

/// Whether a command may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Yes.
    Go,
    /// Yes, and the breaker closes if it succeeds. Nobody else may send one meanwhile.
    Probe(Pass),
    /// No.
    No,
}

impl Verdict {
    /// The pass, unless the command may not be sent.
    #[must_use]
    pub const fn pass(self) -> Option<Pass> {
        match self {
            Self::Go => Some(Pass::Go),
            Self::Probe(pass) => Some(pass),
            Self::No => None,
        }
    }
}

/// What there is to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The breaker was closed and has opened.
    Opened,
    /// The breaker was open and has closed.
    Closed,
}

/// The state of one side of a breaker. It may hold any bits; 0 is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word(pub u64);

enum Phase {
    Closed,
    /// Until the next probe.
    Open(u64),
    /// Until the end of the lease.
    HalfOpen(u64),
}

impl Word {
    /// Whether commands are let through.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self.phase(), Phase::Closed)
    }

    /// Whether a command may be sent at `now`, in milliseconds. A word that changes makes the command the probe.
    #[must_use]
    pub fn may(self, now: u64, settings: &Settings) -> (Self, Verdict) {
        match self.phase() {
            Phase::Closed => (self, Verdict::Go),
            Phase::Open(until) | Phase::HalfOpen(until) if settings.is_ahead(now, until) => {
                (self, Verdict::No)
            }
            Phase::Open(_) | Phase::HalfOpen(_) => {
                let end = now.saturating_add(settings.lease.max(1)) & TIME;
                let pass = Pass::Probe(end);
                (Self::timed(2, self.level(), end), Verdict::Probe(pass))
            }
        }
    }

    /// A command has failed, and the node is to blame.
    #[must_use]
    pub fn failed(self, pass: Pass, now: u64, settings: &Settings) -> (Self, Option<Change>) {
        match (self.phase(), pass) {
            (Phase::Closed, _) => self.count(now, settings),
            (Phase::HalfOpen(end), Pass::Probe(own)) if end == own => {
                let level = (self.level() + 1).min(LEVELS);
                (Self::open(level, PROBE_WITHIN, now, settings), None)
            }
            // It was sent before the breaker opened, or its lease is over: that says nothing new.
            _ => (self, None),
        }
    }

    /// A command has succeeded.
    #[must_use]
    pub fn succeeded(self, pass: Pass, now: u64, settings: &Settings) -> (Self, Option<Change>) {
        match (self.phase(), pass) {
            (Phase::HalfOpen(end), Pass::Probe(own)) if end == own => {
                // Should it fail soon again, then the delays go on from here.
                let level = (self.level() + 1).min(LEVELS);
                let closed = Self::closed(level, 0, settings.slice_at(now));
                (closed, Some(Change::Closed))
            }
            _ => (self, None),
        }
    }

    /// A command wasn't sent. If it was the probe, the next one is it.
    #[must_use]
    pub fn unused(self, pass: Pass, now: u64) -> Self {
        match (self.phase(), pass) {
            (Phase::HalfOpen(end), Pass::Probe(own)) if end == own => {
                Self::timed(1, self.level(), now & TIME)
            }
            _ => self,
        }
    }

    /// Counts a failure while the breaker is closed.
    fn count(self, now: u64, settings: &Settings) -> (Self, Option<Change>) {
        if settings.max_fails == 0 {
            return (self, None);
        }
        let slice = settings.slice_at(now);
        let past = slice.wrapping_sub(self.slice()) & SLICE;
        // Clocks of two workers may differ a little: a failure of yesterday's slice counts for today's.
        let behind = self.slice().wrapping_sub(slice) & SLICE;
        let (slice, counts) = match past {
            _ if behind > 0 && behind <= SLICES => (self.slice(), self.counts()),
            past if past < SLICES => (slice, (self.counts() << (6 * past)) & COUNTS),
            _ => (slice, 0),
        };
        let counts = if counts & COUNT < COUNT {
            counts + 1
        } else {
            counts
        };
        let slices_of_peace = if behind <= SLICES { 0 } else { past };
        let peace = slices_of_peace.saturating_mul((settings.window / SLICES).max(1));
        let level = if peace > STEADY { 0 } else { self.level() };
        let sum: u64 = (0..SLICES)
            .map(|slice| (counts >> (6 * slice)) & COUNT)
            .sum();
        if sum >= u64::from(settings.max_fails).min(COUNT) {
            let open = Self::open(level, RETURN_WITHIN, now, settings);
            return (open, Some(Change::Opened));
        }
        (Self::closed(level, counts, slice), None)
    }

    const fn closed(level: u64, counts: u64, slice: u64) -> Self {
        Self((level << 2) | (counts << 5) | (slice << 29))
    }

    fn open(level: u64, most: u64, now: u64, settings: &Settings) -> Self {
        let until = now.saturating_add(settings.delay(level, most)) & TIME;
        Self::timed(1, level, until)
    }

    const fn timed(phase: u64, level: u64, until: u64) -> Self {
        Self(phase | (level << 2) | (until << 5))
    }

    const fn phase(self) -> Phase {
        let until = (self.0 >> 5) & TIME;
        match self.0 & 3 {
            1 => Phase::Open(until),
            2 => Phase::HalfOpen(until),
            _ => Phase::Closed,
        }
    }

    const fn level(self) -> u64 {
        (self.0 >> 2) & LEVELS
    }

    const fn counts(self) -> u64 {
        (self.0 >> 5) & COUNTS
    }

    const fn slice(self) -> u64 {
        (self.0 >> 29) & SLICE
    }
}
