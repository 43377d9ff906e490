//! What is known of status codes (RFC 9110 15).

use std::ops::RangeInclusive;

/// Statuses of final responses (RFC 9110 15).
pub const FINAL_STATUSES: RangeInclusive<u16> = 200..=599;

/// A final status as three decimal digits (RFC 9110 15).
#[must_use]
pub fn parse_status(text: &[u8]) -> Option<u16> {
    let &[a, b, c] = text else { return None };
    let status = [a, b, c].iter().try_fold(0_u16, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + u16::from(digit - b'0'))
    })?;
    FINAL_STATUSES.contains(&status).then_some(status)
}

/// Whether a response of this status may be stored without saying so itself (RFC 9110 15.1, "heuristically
/// cacheable"). Not 206, which is never stored as a whole here.
#[must_use]
pub const fn heuristically_cacheable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

/// Whether a 304 can confirm a response with this status: it says that the response would have been a 200
/// (RFC 9110 15.4.5), which somebody on the way may have made a 203 of (15.3.4).
#[must_use]
pub const fn confirmable(status: u16) -> bool {
    matches!(status, 200 | 203)
}

/// Whether this cache knows what a status means and asks of caches (RFC 9111 5.2.2.3): all final ones of
/// RFC 9110 15, 304 and 206 aside, which are never stored, and those of which nothing is said but that they
/// are errors (RFC 6585, RFC 7725).
#[must_use]
pub const fn understood(status: u16) -> bool {
    matches!(
        status,
        200..=205
            | 300..=303
            | 305
            | 307
            | 308
            | 400..=417
            | 421
            | 422
            | 426
            | 428
            | 429
            | 431
            | 451
            | 500..=505
            | 511
    )
}
