//! Cache-Control and Pragma of a request (RFC 9111 5.2.1, 5.4): what the client asks of the cache.

use crate::cache_control::{Directive, Elements};
use crate::units::MAX_SECONDS;

/// What the Cache-Control lines of a request ask. Times are in seconds. Nothing by default, which is what
/// holds for every request where `redis_cache_honor_request` is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestDirectives {
    /// 5.2.1.4, or Pragma in its place (5.4): no record without asking the backend.
    pub no_cache: bool,
    /// 5.2.1.5: the response is not to be stored.
    pub no_store: bool,
    /// 5.2.1.6: the body is to be sent as the backend has sent it.
    pub no_transform: bool,
    /// 5.2.1.7: a record or 504, never the backend.
    pub only_if_cached: bool,
    /// 5.2.1.1: no record older than this.
    pub max_age: Option<u32>,
    /// 5.2.1.3: no record that is fresh for less than this.
    pub min_fresh: Option<u32>,
    /// 5.2.1.2: a record stale for no longer than this will do; [`MAX_SECONDS`] for any staleness.
    pub max_stale: Option<u32>,
}

impl RequestDirectives {
    /// Reads the lines of both fields, in order. Never fails: what isn't understood is skipped (5.2.3). An
    /// argument that can't be read, and one of several that differ, is read in the way that makes less of
    /// a record usable. Pragma counts only without Cache-Control (5.4).
    pub fn parse<'a>(
        cache_control: impl Iterator<Item = &'a [u8]>,
        pragma: impl Iterator<Item = &'a [u8]>,
    ) -> Self {
        let mut found = Self::default();
        let mut said = false;
        for element in cache_control.flat_map(Elements::of) {
            said = true;
            found.add(&Directive::of(element));
        }
        if !said {
            found.no_cache = pragma
                .flat_map(Elements::of)
                .any(|element| element.eq_ignore_ascii_case(b"no-cache"));
        }
        found
    }

    fn add(&mut self, directive: &Directive<'_>) {
        let is = |name: &[u8]| directive.name.eq_ignore_ascii_case(name);
        if is(b"no-cache") {
            self.no_cache = true;
        } else if is(b"no-store") {
            self.no_store = true;
        } else if is(b"no-transform") {
            self.no_transform = true;
        } else if is(b"only-if-cached") {
            self.only_if_cached = true;
        } else if is(b"max-age") {
            least(&mut self.max_age, directive.delta_seconds().unwrap_or(0));
        } else if is(b"min-fresh") {
            let asked = directive.delta_seconds().unwrap_or(MAX_SECONDS);
            self.min_fresh = Some(self.min_fresh.map_or(asked, |known| known.max(asked)));
        } else if is(b"max-stale") {
            let allowed = match directive.argument {
                None => MAX_SECONDS,
                Some(_) => directive.delta_seconds().unwrap_or(0),
            };
            least(&mut self.max_stale, allowed);
        }
    }

    /// Whether a record will do that is `age` seconds old and fresh for another `fresh_ms` milliseconds; a
    /// stale one has been so for `-fresh_ms`. Says nothing of whether anybody else permits a stale one.
    #[must_use]
    pub fn accepts(&self, age: u32, fresh_ms: i64) -> bool {
        let millis = |seconds: u32| i64::from(seconds) * 1000;
        !self.no_cache
            && self.max_age.is_none_or(|most| age <= most)
            && self.min_fresh.is_none_or(|least| fresh_ms >= millis(least))
            && (fresh_ms > 0
                || match self.max_stale {
                    Some(most) => fresh_ms.saturating_neg() <= millis(most),
                    // 5.2.1.1, 5.2.1.3: who names an age or a freshness wants nothing stale.
                    None => self.max_age.is_none() && self.min_fresh.is_none(),
                })
    }

    /// Whether the client itself permits a record that has been stale for `stale_ms` milliseconds
    /// (5.2.1.2, 4.2.4), whatever the operator does; the response may still forbid it.
    #[must_use]
    pub fn permits_stale(&self, stale_ms: i64) -> bool {
        self.max_stale
            .is_some_and(|most| stale_ms <= i64::from(most) * 1000)
    }
}

fn least(time: &mut Option<u32>, seconds: u32) {
    *time = Some(time.map_or(seconds, |known| known.min(seconds)));
}
