//! How it stands with a record's time: all that decides what it may be used for.

use crate::rules::Ahead;
use crate::terms::Terms;
use crate::units::MAX_SECONDS;

/// How it stands with a record's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Milliseconds until the record expires (PTTL): never negative, unless time has passed since it was read.
    pub ttl_ms: i64,
    /// Seconds for the Age header, were it sent now (RFC 9111 5.1).
    pub age: u32,
    /// The same when it was stored, or confirmed.
    pub initial_age: u32,
    /// Seconds of its expiry past its freshness, if it says so itself: see [`crate::record::Meta::kept`].
    pub kept: Option<u32>,
    /// What it says of its use once it isn't fresh.
    pub terms: Terms,
}

impl Standing {
    /// Seconds of its expiry past its freshness: `stale`, unless it says otherwise itself.
    #[must_use]
    pub fn kept(&self, stale: u32) -> u32 {
        self.kept.unwrap_or(stale)
    }

    /// Milliseconds for which the record is still fresh; negative for how long it is no more. `stale`, here and below: the
    /// seconds of its expiry that are past its freshness, if it doesn't say so itself.
    #[must_use]
    pub fn fresh_ms(&self, stale: u32) -> i64 {
        self.ttl_ms
            .saturating_sub(i64::from(self.kept(stale)) * 1000)
    }

    /// Whether the record is still fresh.
    #[must_use]
    pub fn is_fresh(&self, stale: u32) -> bool {
        self.fresh_ms(stale) > 0
    }

    /// Whether a fresh record is in the time before its end in which it is refilled. What counts is how long it is fresh in
    /// this cache: a response that comes with a great age would else be due at once, again and again.
    #[must_use]
    pub fn is_due(&self, ahead: Ahead, stale: u32) -> bool {
        let left = self.fresh_ms(stale);
        let seconds = i64::from(self.age.saturating_sub(self.initial_age));
        let passed = seconds * 1000 + self.ttl_ms.saturating_neg().rem_euclid(1000);
        ahead.is_due(left, left.saturating_add(passed))
    }

    /// Seconds since the record went stale, begun ones counted as whole; 0 while it is fresh.
    #[must_use]
    pub fn staleness(&self, stale: u32) -> u32 {
        let past = self.fresh_ms(stale).saturating_neg();
        u32::try_from((past.max(0) + 999) / 1000).unwrap_or(MAX_SECONDS)
    }

    /// Seconds for which the record is still fresh, rounded down; negative for how long it is no more.
    #[must_use]
    pub fn fresh_for(&self, stale: u32) -> i64 {
        self.fresh_ms(stale).div_euclid(1000)
    }

    /// The same so many milliseconds later. The age is in whole seconds of the time that is left of the expiry, as when the
    /// record was read.
    #[must_use]
    pub fn later(self, millis: u64) -> Self {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let begun = self.ttl_ms.saturating_neg().rem_euclid(1000);
        let seconds = u32::try_from(begun.saturating_add(millis) / 1000).unwrap_or(MAX_SECONDS);
        Self {
            ttl_ms: self.ttl_ms.saturating_sub(millis),
            age: self.age.saturating_add(seconds).min(MAX_SECONDS),
            initial_age: self.initial_age,
            kept: self.kept,
            terms: self.terms,
        }
    }
}
