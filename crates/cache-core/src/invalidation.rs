//! Invalidation: which records a request makes worthless (RFC 9111 4.4), and which a HEAD does (4.3.5).

use crate::conditions::weak_match;
use crate::headers::{Headers, trim_ows};
use crate::http_date::parse_anytime;
use crate::uri::{Origin, Target, resolve};

/// Of the URIs that a response names so many are looked at.
const MOST_TARGETS: usize = 8;

/// Whether a method only reads (RFC 9110 9.2.1), or is registered as such
/// (<https://www.iana.org/assignments/http-methods>). Of any other it isn't known.
#[must_use]
pub fn is_safe(method: &[u8]) -> bool {
    const SAFE: [&[u8]; 8] = [
        b"GET",
        b"HEAD",
        b"OPTIONS",
        b"TRACE",
        b"PROPFIND",
        b"REPORT",
        b"SEARCH",
        b"QUERY",
    ];
    SAFE.contains(&method)
}

/// Whether a request of this method changes its target, should it succeed. CONNECT has none, and a request without a
/// method is one that nginx has refused before it was read.
#[must_use]
pub fn may_invalidate(method: &[u8]) -> bool {
    !is_safe(method) && !matches!(method, b"CONNECT" | b"")
}

/// Whether a request of this method changes what its Destination field names, too (RFC 4918 9.8, 9.9).
#[must_use]
pub fn has_destination(method: &[u8]) -> bool {
    matches!(method, b"MOVE" | b"COPY")
}

/// Whether the request succeeded as far as RFC 9111 4.4 is concerned: "a non-error response is one with a 2xx
/// (Successful) or 3xx (Redirection) status code".
#[must_use]
pub fn is_non_error(status: u16) -> bool {
    (200..400).contains(&status)
}

/// What Location and Content-Location of a response name besides the request's own target, as far as it has the
/// same origin: others "MUST NOT" be invalidated.
#[must_use]
pub fn other_targets<'a>(
    own: &Target,
    origin: Option<&Origin>,
    references: impl Iterator<Item = &'a [u8]>,
) -> Vec<Target> {
    let mut found: Vec<Target> = Vec::new();
    for reference in references.take(MOST_TARGETS) {
        if let Some(target) = resolve(trim_ows(reference), own, origin)
            && target != *own
            && !found.contains(&target)
        {
            found.push(target);
        }
    }
    found
}

/// Whether the 200 response to a HEAD shows that a record isn't what a GET would get now: a validator that it carries,
/// or its Content-Length, isn't the record's (RFC 9111 4.3.5).
///
/// ETags are compared weakly: a backend that compresses on the way out weakens them.
#[must_use]
pub fn head_disagrees(
    record: &Headers,
    record_length: u64,
    head: &Headers,
    head_length: Option<u64>,
) -> bool {
    let differs = |name: &str, same: fn(&[u8], &[u8]) -> bool| {
        head.get(name).map(trim_ows).is_some_and(|theirs| {
            !record
                .get(name)
                .is_some_and(|ours| same(trim_ows(ours), theirs))
        })
    };
    differs("ETag", weak_match)
        || differs("Last-Modified", |a, b| {
            a == b || parse_anytime(a).is_some_and(|date| Some(date) == parse_anytime(b))
        })
        || head_length.is_some_and(|length| length != record_length)
}
