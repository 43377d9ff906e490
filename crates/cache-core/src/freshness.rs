//! How long a response may be used without asking the backend (RFC 9111 4.2).

use std::time::UNIX_EPOCH;

use bytes::Bytes;

use crate::cache_control::CacheControl;
use crate::headers::{Headers, trim_ows};
use crate::ignore::Ignore;
use crate::settings::MAX_SECONDS;

/// What stated the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Cache-Control: s-maxage (RFC 9111 5.2.2.10).
    SMaxage,
    /// Cache-Control: max-age (RFC 9111 5.2.2.1).
    MaxAge,
    /// Expires (RFC 9111 5.3).
    Expires,
    /// `redis_cache_age`: the response states none.
    Default,
}

/// Fields of the backend's response that nginx takes out of the header list before a filter sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginDates {
    /// Value of Date.
    pub date: Option<Bytes>,
    /// Value of Expires where it isn't among the headers (`proxy_hide_header Expires`).
    pub expires: Option<Bytes>,
}

/// The lifetime of a response and how much of it is gone. All in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The whole life, from when the origin made the response (freshness_lifetime, 4.2.1).
    pub lifetime: u32,
    /// The age it had when received (corrected_initial_age, 4.2.3).
    pub initial_age: u32,
    /// What stated the lifetime.
    pub source: Source,
}

impl Freshness {
    /// What is left of the lifetime, 0 if nothing is.
    #[must_use]
    pub const fn remaining(&self) -> u32 {
        self.lifetime.saturating_sub(self.initial_age)
    }
}

/// Freshness of a response received at `now` (unix seconds): s-maxage, else max-age, else Expires minus
/// Date, else `default_age` seconds (RFC 9111 4.2.1). Fields in `ignore` state nothing.
#[must_use]
pub fn freshness(
    headers: &Headers,
    origin: &OriginDates,
    cc: &CacheControl,
    ignore: Ignore,
    default_age: u32,
    now: u64,
) -> Freshness {
    let stated = |time: Option<u32>| time.filter(|_| !ignore.cache_control);
    let expires = || expires_lifetime(headers, origin, now).filter(|_| !ignore.expires);
    let (lifetime, source) = if let Some(time) = stated(cc.s_maxage) {
        (time, Source::SMaxage)
    } else if let Some(time) = stated(cc.max_age) {
        (time, Source::MaxAge)
    } else if let Some(time) = expires() {
        (time, Source::Expires)
    } else {
        (default_age, Source::Default)
    };
    Freshness {
        lifetime: lifetime.min(MAX_SECONDS),
        initial_age: age_value(headers),
        source,
    }
}

/// Expires minus Date (4.2.1). An Expires that is no date, "0" above all, means expired already (5.3);
/// of several the earliest counts. Without a usable Date the time of receipt stands for it
/// (RFC 9110 6.6.1).
fn expires_lifetime(headers: &Headers, origin: &OriginDates, now: u64) -> Option<u32> {
    let expires = headers
        .get_all("Expires")
        .chain(origin.expires.as_deref())
        .map(|value| http_date(value).unwrap_or(0))
        .min()?;
    let date = origin
        .date
        .as_deref()
        .or_else(|| headers.get("Date"))
        .and_then(http_date)
        .unwrap_or(now);
    Some(seconds(expires.saturating_sub(date)))
}

/// The Age that the response came with: its first value (5.1); one that is no number is as if there were
/// none, too large a number is the largest (1.2.2).
fn age_value(headers: &Headers) -> u32 {
    let first = headers
        .get("Age")
        .and_then(|line| line.split(|&b| b == b',').next())
        .map(trim_ows)
        .unwrap_or_default();
    if first.is_empty() || !first.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let value = first.iter().fold(0_u64, |value, &digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    });
    seconds(value)
}

/// Unix seconds of an HTTP date in any of its three forms (RFC 9110 5.6.7).
#[must_use]
pub fn http_date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(trim_ows(value)).ok()?;
    let time = httpdate::parse_http_date(text).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn seconds(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}
