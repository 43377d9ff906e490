//! The header of a head.

use crate::headers::Headers;

/// The header lines that a 200 would have in the place of a part (RFC 9110 15.3.7): without those that speak of the part's
/// bytes, its length and sums. By these, and the status 200 without a length, it is decided whether a head may be stored.
#[must_use]
pub fn of_part(headers: &Headers) -> Headers {
    const OF_PART: [&[u8]; 6] = [
        b"content-range",
        b"content-length",
        b"accept-ranges",
        b"content-md5",
        b"content-digest",
        b"digest",
    ];
    let speaks_of_part = |name: &[u8]| OF_PART.iter().any(|f| name.eq_ignore_ascii_case(f));
    headers
        .iter()
        .filter(|line| !speaks_of_part(&line.name))
        .cloned()
        .collect()
}
