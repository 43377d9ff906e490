//! How long a response may be used without asking the backend (RFC 9111 4.2).

use bytes::Bytes;

use crate::headers::{Headers, trim_ows};
use crate::http_date;
use crate::targeted::{By, Governing};
use crate::units::{MAX_SECONDS, parse_seconds};

/// What stated the lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// X-Accel-Expires.
    AccelExpires,
    /// s-maxage (RFC 9111 5.2.2.10).
    SMaxage,
    /// max-age (RFC 9111 5.2.2.1).
    MaxAge,
    /// Expires (RFC 9111 5.3).
    Expires,
    /// `redis_cache_heuristic`: a share of the time since Last-Modified (RFC 9111 4.2.2).
    Heuristic,
    /// `redis_cache_valid` or `redis_cache_age`: the response states none.
    Default,
}

/// Fields of the backend's response that nginx takes out of the header list before a filter sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginDates {
    /// Value of Date.
    pub date: Option<Bytes>,
    /// Value of Expires where it isn't among the headers (`proxy_hide_header Expires`).
    pub expires: Option<Bytes>,
    /// Value of X-Accel-Expires.
    pub accel_expires: Option<Bytes>,
}

/// `redis_cache_heuristic PERCENT [max=TIME]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heuristic {
    /// How much of the time since Last-Modified a response is fresh for: from 1 to 100.
    pub percent: u32,
    /// The longest lifetime, in seconds.
    pub max: u32,
}

impl Heuristic {
    /// The longest lifetime where none is said: a day.
    pub const MAX: u32 = 86_400;

    /// Reads the arguments of the directive, "off" aside: a percentage with or without its sign, and
    /// `max=TIME`. The error is the first argument that makes no sense.
    ///
    /// # Errors
    ///
    /// The argument.
    pub fn parse<'a>(arguments: &[&'a [u8]]) -> Result<Self, &'a [u8]> {
        let (percent, max) = match *arguments {
            [percent] => (percent, None),
            [percent, max] => (percent, Some(max)),
            [_, _, more, ..] => return Err(more),
            [] => return Err(b""),
        };
        let digits = percent.strip_suffix(b"%").unwrap_or(percent);
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|text| text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .filter(|number| (1..=100).contains(number));
        let time = |argument: &'a [u8]| {
            argument
                .strip_prefix(b"max=")
                .and_then(|time| parse_seconds(time).ok())
                .ok_or(argument)
        };
        Ok(Self {
            percent: number.ok_or(percent)?,
            max: max.map_or(Ok(Self::MAX), time)?,
        })
    }
}

/// What the operator says of responses that state no lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// Seconds, counted from the receipt.
    pub age: u32,
    /// A better guess, where the response has a Last-Modified.
    pub heuristic: Option<Heuristic>,
}

/// A response and the circumstances of its receipt.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its headers.
    pub headers: &'a Headers,
    /// Its dates.
    pub origin: &'a OriginDates,
    /// What the governing field says.
    pub governing: &'a Governing,
    /// What X-Accel-Expires says, in seconds from the receipt.
    pub accel_expires: Option<u32>,
    /// Expires states nothing.
    pub ignore_expires: bool,
    /// Date makes no age.
    pub ignore_date: bool,
    /// Nor does Age.
    pub ignore_age: bool,
    /// Seconds between asking for it and its receipt (response_delay, 4.2.3).
    pub delay: u32,
    /// When its header came, in unix seconds (response_time).
    pub now: u64,
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

/// Freshness of a response: what X-Accel-Expires says, else s-maxage, else max-age, else Expires minus
/// Date (RFC 9111 4.2.1), else what the operator says.
#[must_use]
pub fn freshness(response: &Received<'_>, defaults: Defaults) -> Freshness {
    let age_value = response.age_value();
    let initial_age = response.initial_age(age_value);
    let (lifetime, source) = stated(response, initial_age)
        .or_else(|| Some((defaults.heuristic?.lifetime(response)?, Source::Heuristic)))
        .unwrap_or_else(|| {
            // The operator's time begins with the receipt: neither a slow clock nor a slow backend takes
            // from it, but the time in caches on the way does.
            let before = initial_age - age_value.min(initial_age);
            (defaults.age.saturating_add(before), Source::Default)
        });
    Freshness {
        lifetime: lifetime.min(MAX_SECONDS),
        initial_age,
        source,
    }
}

/// Whether the response states its lifetime itself.
#[must_use]
pub fn states_lifetime(response: &Received<'_>) -> bool {
    stated(response, 0).is_some()
}

fn stated(response: &Received<'_>, initial_age: u32) -> Option<(u32, Source)> {
    if let Some(time) = response.accel_expires {
        // As nginx has it: from now on, however old the response is.
        return Some((time.saturating_add(initial_age), Source::AccelExpires));
    }
    let says = &response.governing.says;
    if let Some(time) = says.s_maxage {
        return Some((time, Source::SMaxage));
    }
    if let Some(time) = says.max_age {
        return Some((time, Source::MaxAge));
    }
    // RFC 9213 2.2: Expires belongs to Cache-Control.
    if response.ignore_expires || response.governing.by != By::CacheControl {
        return None;
    }
    Some((response.expires_lifetime()?, Source::Expires))
}

impl Received<'_> {
    /// corrected_initial_age (4.2.3).
    fn initial_age(&self, age_value: u32) -> u32 {
        // A Date ahead of our clock, or none, makes no age.
        let date = self.date().filter(|_| !self.ignore_date);
        let apparent_age = seconds(date.map_or(0, |date| self.now.saturating_sub(date)));
        let corrected_age_value = age_value.saturating_add(self.delay).min(MAX_SECONDS);
        apparent_age.max(corrected_age_value)
    }

    fn age_value(&self) -> u32 {
        if self.ignore_age {
            return 0;
        }
        age_value(self.headers)
    }

    fn date(&self) -> Option<u64> {
        date(self.headers, self.origin, self.now)
    }

    /// Expires minus Date (4.2.1). An Expires that is no date, "0" above all, means expired already (5.3);
    /// of several the earliest counts. Without a usable Date the time of receipt stands for it
    /// (RFC 9110 6.6.1).
    fn expires_lifetime(&self) -> Option<u32> {
        let expires = self
            .headers
            .get_all("Expires")
            .chain(self.origin.expires.as_deref())
            .map(|value| http_date::parse(value, self.now).unwrap_or(0))
            .min()?;
        let date = self.date().unwrap_or(self.now);
        Some(seconds(expires.saturating_sub(date)))
    }
}

impl Heuristic {
    /// A share of the time from Last-Modified to Date (4.2.2). None without a Last-Modified that makes
    /// sense.
    fn lifetime(self, response: &Received<'_>) -> Option<u32> {
        let modified = http_date::parse(response.headers.get("Last-Modified")?, response.now)?;
        let made = response.date().unwrap_or(response.now);
        let unchanged = made.checked_sub(modified)?;
        let share = unchanged.saturating_mul(u64::from(self.percent)) / 100;
        Some(seconds(share).min(self.max))
    }
}

fn date(headers: &Headers, origin: &OriginDates, now: u64) -> Option<u64> {
    let value = origin.date.as_deref().or_else(|| headers.get("Date"));
    http_date::parse(value?, now)
}

/// By how many seconds a backend's clock is behind ours, as its response's Date tells; negative if it is ahead. What
/// Age and the time that the response took explain doesn't count. `None` within [`CLOCK_TOLERANCE`], or without a Date.
#[must_use]
pub fn clock_behind(headers: &Headers, origin: &OriginDates, delay: u32, now: u64) -> Option<i64> {
    let date = i64::try_from(date(headers, origin, now)?).ok()?;
    let behind = i64::try_from(now).ok()?.checked_sub(date)?;
    let explained = i64::from(age_value(headers)) + i64::from(delay);
    let behind = if behind > 0 {
        (behind - explained).max(0)
    } else {
        behind
    };
    (behind.unsigned_abs() > CLOCK_TOLERANCE).then_some(behind)
}

/// Seconds by which clocks may differ without making much of a difference.
pub const CLOCK_TOLERANCE: u64 = 60;

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

fn seconds(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}
