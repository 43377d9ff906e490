//! Dates of HTTP in their three forms (RFC 9110 5.6.7), as a cache is to read them (RFC 9111 4.2): names
//! without regard to case, the zone GMT and no other.

use std::fmt::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use httpdate::HttpDate;

use crate::headers::trim_ows;

/// The last second that a date can name: 31 Dec 9999 23:59:59 GMT.
pub const LAST: u64 = 253_402_300_799;

/// The date of these unix seconds, in the form that is to be sent.
#[must_use]
pub fn print(seconds: u64) -> [u8; 29] {
    struct Text([u8; 29], usize);
    impl fmt::Write for Text {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let end = self.1 + text.len();
            let place = self.0.get_mut(self.1..end).ok_or(fmt::Error)?;
            place.copy_from_slice(text.as_bytes());
            self.1 = end;
            Ok(())
        }
    }
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST));
    let mut text = Text([b' '; 29], 0);
    // It has 29 bytes, always.
    let _ = write!(text, "{}", HttpDate::from(time));
    text.0
}

/// Unix seconds of an HTTP date. `now` (unix seconds) tells the century of RFC 850's two digits: a date
/// that seems to be more than 50 years ahead is of the past.
///
/// `None` for anything else, a date before 1970 among it.
#[must_use]
pub fn parse(value: &[u8], now: u64) -> Option<u64> {
    let text = trim_ows(value);
    imf_fixdate(text)
        .or_else(|| asctime(text))
        .or_else(|| rfc850(text, now))
}

/// The same where no clock is at hand: RFC 850's two digits are then a year from 1970 on.
#[must_use]
pub fn parse_anytime(value: &[u8]) -> Option<u64> {
    /// Wed, 01 Jan 2020 00:00:00 GMT
    const CLOCK: u64 = 1_577_836_800;
    parse(value, CLOCK)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<u64> {
    let mut rest = Rest(text);
    rest.one_of(&DAYS)?;
    rest.literal(b", ")?;
    let day = rest.digits(2)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b" ")?;
    let year = rest.digits(4)?;
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" gmt")?;
    rest.end()?;
    unix(year, month, day, time)
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &[u8], now: u64) -> Option<u64> {
    let mut rest = Rest(text);
    rest.one_of(&DAYS_IN_FULL)?;
    rest.literal(b", ")?;
    let day = rest.digits(2)?;
    rest.literal(b"-")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b"-")?;
    let short = rest.digits(2)?;
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" gmt")?;
    rest.end()?;
    let limit = anniversary(now.min(LAST), 50).min(LAST);
    // The latest year of these digits that isn't too far ahead.
    let latest = year_of(limit);
    let year = latest - (latest + 100 - short) % 100;
    let date = unix(year, month, day, time)?;
    if date > limit {
        return unix(year.checked_sub(100)?, month, day, time);
    }
    Some(date)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<u64> {
    let mut rest = Rest(text);
    rest.one_of(&DAYS)?;
    rest.literal(b" ")?;
    let month = rest.one_of(&MONTHS)?;
    rest.literal(b" ")?;
    let day = if rest.literal(b" ").is_some() {
        rest.digits(1)?
    } else {
        rest.digits(2)?
    };
    rest.literal(b" ")?;
    let time = rest.time()?;
    rest.literal(b" ")?;
    let year = rest.digits(4)?;
    rest.end()?;
    unix(year, month, day, time)
}

const DAYS: [&[u8]; 7] = [b"sun", b"mon", b"tue", b"wed", b"thu", b"fri", b"sat"];
const DAYS_IN_FULL: [&[u8]; 7] = [
    b"sunday",
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
];
const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn literal(&mut self, wanted: &[u8]) -> Option<()> {
        let (head, tail) = self.0.split_at_checked(wanted.len())?;
        head.eq_ignore_ascii_case(wanted).then(|| self.0 = tail)
    }

    /// The number of the name in front, from 1.
    fn one_of(&mut self, names: &[&[u8]]) -> Option<u64> {
        names
            .iter()
            .zip(1..)
            .find_map(|(name, number)| self.literal(name).map(|()| number))
    }

    fn digits(&mut self, count: usize) -> Option<u64> {
        let (head, tail) = self.0.split_at_checked(count)?;
        let value = head.iter().try_fold(0, |value: u64, digit| {
            digit
                .is_ascii_digit()
                .then(|| value * 10 + u64::from(digit - b'0'))
        })?;
        self.0 = tail;
        Some(value)
    }

    /// `08:49:37` as seconds of the day; a leap second is the one before it, which is not later than the
    /// date says (RFC 9111 4.2).
    fn time(&mut self) -> Option<u64> {
        let hour = self.digits(2).filter(|&hour| hour < 24)?;
        self.literal(b":")?;
        let minute = self.digits(2).filter(|&minute| minute < 60)?;
        self.literal(b":")?;
        let second = self.digits(2).filter(|&second| second <= 60)?;
        Some(hour * 3600 + minute * 60 + second.min(59))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

const DAY: u64 = 86_400;

fn unix(year: u64, month: u64, day: u64, time: u64) -> Option<u64> {
    if year < 1970 || day == 0 || day > month_length(year, month) {
        return None;
    }
    let days = days_before_year(year) - days_before_year(1970)
        + (1..month)
            .map(|month| month_length(year, month))
            .sum::<u64>()
        + day
        - 1;
    Some(days * DAY + time)
}

/// Days from the year 1 to the beginning of `year`.
fn days_before_year(year: u64) -> u64 {
    let before = year - 1;
    before * 365 + before / 4 - before / 100 + before / 400
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

fn month_length(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn year_of(time: u64) -> u64 {
    // Never less than the year, and at most a few steps too many.
    let mut year = 1970 + time / (365 * DAY);
    while (days_before_year(year) - days_before_year(1970)) * DAY > time {
        year -= 1;
    }
    year
}

/// The same day and time, so many years later; close enough where that is 29 February.
fn anniversary(time: u64, years: u64) -> u64 {
    let year = year_of(time);
    let days = days_before_year(year + years) - days_before_year(year);
    time.saturating_add(days * DAY)
}
