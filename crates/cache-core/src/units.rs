//! Numbers with units, as users write them in directives and `$cache_*` variables: what nginx's `ngx_parse_time` reads,
//! and what the Lua script does.

use std::error::Error;
use std::fmt;

/// Longest time that is kept anywhere: 2^31 - 1 seconds (RFC 9111 1.2.2), 68 years.
pub const MAX_SECONDS: u32 = 0x7fff_ffff;

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTime {
    /// Nothing but blanks.
    Empty,
    /// Neither a decimal number of seconds nor an nginx time ("90", "1.5", "2m", "1h30m").
    Syntax,
    /// More than [`MAX_SECONDS`].
    TooLong,
}

impl BadTime {
    /// What would be right, as a phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty, expected a time such as \"120\" or \"2m\"",
            Self::Syntax => "invalid time, expected one such as \"120\" or \"2m\"",
            Self::TooLong => "time too long, at most 2147483647 seconds",
        }
    }
}

impl fmt::Display for BadTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for BadTime {}

/// Reads a time in whole seconds: a decimal number of seconds as the Lua script takes it, a fraction
/// rounded up (a fractional expiry is what left its keys without one), or an nginx time down to
/// seconds ("1d12h", "2m", "1h 30m").
///
/// # Errors
///
/// [`BadTime`] for anything else; milliseconds are refused, as nginx refuses them for such times.
pub fn parse_seconds(text: &[u8]) -> Result<u32, BadTime> {
    let ms = parse(text, Smallest::Second)?;
    u32::try_from(ms.div_ceil(1000)).map_err(|_| BadTime::TooLong)
}

/// Reads a time in milliseconds: as [`parse_seconds`], and "200ms" or "0.01" too.
///
/// # Errors
///
/// [`BadTime`] if it is no time.
pub fn parse_millis(text: &[u8]) -> Result<u64, BadTime> {
    parse(text, Smallest::Millisecond)
}

#[derive(Clone, Copy, PartialEq)]
enum Smallest {
    Second,
    Millisecond,
}

fn parse(text: &[u8], smallest: Smallest) -> Result<u64, BadTime> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(BadTime::Empty);
    }
    let ms = match text.iter().position(|&b| b == b'.') {
        Some(_) => parse_fraction(text)?,
        None => parse_units(text, smallest)?,
    };
    if ms > u64::from(MAX_SECONDS) * 1000 {
        return Err(BadTime::TooLong);
    }
    Ok(ms)
}

/// "1.5": seconds with a fraction, to the millisecond, rounded up. No unit may follow.
fn parse_fraction(text: &[u8]) -> Result<u64, BadTime> {
    let mut parts = text.splitn(2, |&b| b == b'.');
    let (whole, fraction) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    if fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(BadTime::Syntax);
    }
    let (kept, rest) = fraction.split_at(fraction.len().min(3));
    let kept_ms = kept
        .iter()
        .zip([100, 10, 1])
        .map(|(&digit, weight)| u64::from(digit - b'0') * weight)
        .sum::<u64>();
    let up = u64::from(rest.iter().any(|&digit| digit != b'0'));
    Ok(decimal(whole)?
        .saturating_mul(1000)
        .saturating_add(kept_ms + up))
}

/// "120", "2m", "1h 30m": each unit at most once, from the largest down, as nginx has it.
fn parse_units(text: &[u8], smallest: Smallest) -> Result<u64, BadTime> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last_rank = 0;
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, tail) = rest.split_at(digits);
        let (rank, weight_ms, tail) = unit(tail)?;
        if rank <= last_rank || (rank == MILLISECOND_RANK && smallest == Smallest::Second) {
            return Err(BadTime::Syntax);
        }
        last_rank = rank;
        total = total.saturating_add(decimal(number)?.saturating_mul(weight_ms));
        rest = tail.trim_ascii_start();
    }
    Ok(total)
}

const MILLISECOND_RANK: u8 = 8;

/// The unit in front of `text`: its place from large to small, its milliseconds, and what follows.
/// A number without unit is in seconds and nothing may follow it.
fn unit(text: &[u8]) -> Result<(u8, u64, &[u8]), BadTime> {
    const DAY: u64 = 24 * 3_600_000;
    Ok(match text {
        [] => (7, 1000, text),
        [b'm', b's', tail @ ..] => (MILLISECOND_RANK, 1, tail),
        [b'y', tail @ ..] => (1, 365 * DAY, tail),
        [b'M', tail @ ..] => (2, 30 * DAY, tail),
        [b'w', tail @ ..] => (3, 7 * DAY, tail),
        [b'd', tail @ ..] => (4, DAY, tail),
        [b'h', tail @ ..] => (5, 3_600_000, tail),
        [b'm', tail @ ..] => (6, 60_000, tail),
        [b's', tail @ ..] => (7, 1000, tail),
        _ => return Err(BadTime::Syntax),
    })
}

/// Digits only; saturates, so that the caller's bound decides.
fn decimal(digits: &[u8]) -> Result<u64, BadTime> {
    if digits.is_empty() {
        return Err(BadTime::Syntax);
    }
    digits.iter().try_fold(0_u64, |value, &b| match b {
        b'0'..=b'9' => Ok(value.saturating_mul(10).saturating_add(u64::from(b - b'0'))),
        _ => Err(BadTime::Syntax),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds() {
        let cases: [(&str, Result<u32, BadTime>); 31] = [
            ("120", Ok(120)),
            ("0", Ok(0)),
            ("007", Ok(7)),
            (" 100 ", Ok(100)),
            ("2m", Ok(120)),
            ("100s", Ok(100)),
            ("1h30m", Ok(5400)),
            ("1h 30m", Ok(5400)),
            ("1d12h", Ok(129_600)),
            ("1w", Ok(604_800)),
            ("1M", Ok(2_592_000)),
            ("1y", Ok(31_536_000)),
            ("1m 5", Ok(65)),
            ("0.3", Ok(1)),
            ("1.0", Ok(1)),
            ("1.0001", Ok(2)),
            ("2147483647", Ok(MAX_SECONDS)),
            ("2147483648", Err(BadTime::TooLong)),
            ("99999999999999999999999999", Err(BadTime::TooLong)),
            ("99999999999999999999y", Err(BadTime::TooLong)),
            ("99999999999999999999.9", Err(BadTime::TooLong)),
            ("", Err(BadTime::Empty)),
            (" \t", Err(BadTime::Empty)),
            ("abc", Err(BadTime::Syntax)),
            ("-1", Err(BadTime::Syntax)),
            ("1.", Err(BadTime::Syntax)),
            (".5", Err(BadTime::Syntax)),
            ("1.5m", Err(BadTime::Syntax)),
            ("200ms", Err(BadTime::Syntax)),
            ("30m1h", Err(BadTime::Syntax)),
            ("5 5", Err(BadTime::Syntax)),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_seconds(text.as_bytes()), wanted, "{text:?}");
        }
    }

    #[test]
    fn millis() {
        let cases: [(&str, Result<u64, BadTime>); 8] = [
            ("3", Ok(3000)),
            ("3s", Ok(3000)),
            ("0.01", Ok(10)),
            ("0.0001", Ok(1)),
            ("200ms", Ok(200)),
            ("1s 500ms", Ok(1500)),
            ("500ms 1s", Err(BadTime::Syntax)),
            ("ms", Err(BadTime::Syntax)),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_millis(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
