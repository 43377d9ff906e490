//! Whether a response may be stored, and for how long (RFC 9111 3).

mod lists;

use crate::cache_control::{self, CacheControl};
use crate::freshness::{Freshness, freshness};
use crate::headers::{Headers, trim_ows};
use crate::settings::MAX_SECONDS;
use crate::status::Reason;
use crate::use_stale::UseStale;

pub use crate::freshness::OriginDates;
pub use crate::ignore::Ignore;
pub use lists::{BadList, FINAL_STATUSES, MethodList, StatusList, parse_status};

/// What the operator allows at one location. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Statuses that may be stored.
    pub statuses: StatusList,
    /// Seconds that a response is fresh where it states nothing.
    pub age: u32,
    /// Seconds that a record is kept past its freshness.
    pub stale: u32,
    /// Fields that decide nothing.
    pub ignore: Ignore,
    /// Largest body that is stored, in bytes.
    pub max_size: u64,
    /// When a stale record stands in for the backend.
    pub use_stale: UseStale,
    /// Whether the backend is asked to confirm a record (RFC 9111 4.3) instead of sending it again.
    pub revalidate: bool,
}

impl Default for Rules {
    /// The defaults of the directives.
    fn default() -> Self {
        Self {
            statuses: StatusList::default(),
            age: 120,
            stale: 100,
            ignore: Ignore::NONE,
            max_size: 8 << 20,
            use_stale: UseStale::default(),
            revalidate: true,
        }
    }
}

/// What matters of a request to storing its answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestView {
    /// It carries Authorization (RFC 9111 3.5).
    pub authorization: bool,
    /// `redis_cache_no_store` holds for it.
    pub no_store: bool,
}

/// What matters of a response to storing it: all is known once its header has come.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers as the backend sent them, hop-by-hop fields included or not.
    pub headers: &'a Headers,
    /// Its dates.
    pub dates: &'a OriginDates,
    /// Length of its body in bytes, where it is known beforehand.
    pub content_length: Option<u64>,
    /// It came, or is to come, by X-Accel-Redirect.
    pub accel_redirect: bool,
}

/// How a response is stored. All in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Age that the response has already.
    pub age: u32,
    /// How long it is still fresh.
    pub fresh_for: u32,
    /// The expiry to give the record: freshness and staleness together, from 1 to 2^31 - 1.
    pub expiry: u32,
    /// Where the lifetime came from.
    pub freshness: Freshness,
}

/// Decides whether a response received at `now` (unix seconds) is stored, and how long.
///
/// # Errors
///
/// The first reason not to, in the order: what the operator said, what HTTP says, what doesn't fit.
pub fn storable(
    req: &RequestView,
    resp: &ResponseView<'_>,
    rules: &Rules,
    now: u64,
) -> Result<Plan, Reason> {
    if req.no_store {
        return Err(Reason::NoStoreDirective);
    }
    if resp.accel_redirect {
        return Err(Reason::AccelRedirect);
    }
    whole(resp.status)?;
    if !rules.statuses.contains(resp.status) {
        return Err(Reason::StatusNotListed);
    }
    let cc = cache_control::parse(resp.headers.get_all("Cache-Control"));
    shareable(resp.headers, &cc, rules.ignore)?;
    if req.authorization && !authorization_allows(&cc, rules.ignore) {
        return Err(Reason::Authorization);
    }
    resp.headers.check().map_err(|_| Reason::HeaderInvalid)?;
    if resp.content_length.is_some_and(|len| len > rules.max_size) {
        return Err(Reason::TooLarge);
    }
    plan(resp, &cc, rules, now)
}

/// Whether a response of this status stands for itself: a part (206) isn't stored as a whole
/// (RFC 9111 3.3), a 304 only confirms a record (4.3.3), and an interim answer is followed by the one
/// that it announces (RFC 9110 15.2), whatever is listed.
pub(crate) const fn whole(status: u16) -> Result<(), Reason> {
    match status {
        0..200 => Err(Reason::Interim),
        600.. => Err(Reason::StatusNotListed),
        206 => Err(Reason::PartialContent),
        304 => Err(Reason::NotModified),
        _ => Ok(()),
    }
}

/// Whether the headers let a response be given to other clients (RFC 9111 3, 4.1, 7.3). Holds for a
/// response to be stored and for a record that somebody else stored.
///
/// Stricter than the RFC for now: no-cache forbids using a record unasked, and qualified private or
/// no-cache only their fields; both are handled as the unqualified forms, which 5.2.2.4 and 5.2.2.7
/// allow.
pub(crate) fn shareable(
    headers: &Headers,
    cc: &CacheControl,
    ignore: Ignore,
) -> Result<(), Reason> {
    if !ignore.cache_control {
        if cc.no_store {
            return Err(Reason::NoStore);
        }
        if cc.private {
            return Err(Reason::Private);
        }
        if cc.no_cache {
            return Err(Reason::NoCache);
        }
    }
    if !ignore.set_cookie && headers.contains("Set-Cookie") {
        return Err(Reason::SetCookie);
    }
    if !ignore.vary && headers.get_all("Vary").any(names_something) {
        return Err(Reason::Vary);
    }
    Ok(())
}

/// Whether a list has a member (RFC 9110 5.6.1: empty members count for nothing).
fn names_something(list: &[u8]) -> bool {
    list.split(|&b| b == b',')
        .any(|member| !trim_ows(member).is_empty())
}

/// RFC 9111 3.5: only these let the answer to a request with Authorization be shared. Where Cache-Control
/// is ignored it can't allow it either.
const fn authorization_allows(cc: &CacheControl, ignore: Ignore) -> bool {
    ignore.authorization
        || (!ignore.cache_control && (cc.public || cc.s_maxage.is_some() || cc.must_revalidate))
}

fn plan(
    resp: &ResponseView<'_>,
    cc: &CacheControl,
    rules: &Rules,
    now: u64,
) -> Result<Plan, Reason> {
    let default_age = rules.statuses.age(resp.status).unwrap_or(rules.age);
    let freshness = freshness(resp.headers, resp.dates, cc, rules.ignore, default_age, now);
    let fresh_for = freshness.remaining();
    let expiry = fresh_for.saturating_add(rules.stale).min(MAX_SECONDS);
    if expiry == 0 {
        return Err(Reason::Expired);
    }
    Ok(Plan {
        age: freshness.initial_age,
        fresh_for,
        expiry,
        freshness,
    })
}
