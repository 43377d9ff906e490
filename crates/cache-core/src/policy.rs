//! Whether a response may be stored, and for how long (RFC 9111 3).

use bytes::Bytes;

use crate::accel_expires::{self, AccelExpires};
use crate::cache_control::CacheControl;
use crate::freshness::{self, Defaults, Freshness, OriginDates, Received};
use crate::headers::Headers;
use crate::ignore::Ignore;
use crate::outcome::Reason;
use crate::rules::{Rules, SetCookie};
use crate::status_code::{confirmable, heuristically_cacheable, understood};
use crate::targeted::{By, governing_over};
use crate::units::MAX_SECONDS;
use crate::vary;

/// What matters of a request to storing its response.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestView {
    /// It carries Authorization (RFC 9111 3.5).
    pub authorization: bool,
    /// `redis_cache_no_store` holds for it.
    pub no_store: bool,
    /// It asks that its response isn't stored (no-store, RFC 9111 5.2.1.5), and is honoured.
    pub asks_no_store: bool,
}

/// What matters of a response to storing it: all is known once its header has come.
#[derive(Clone, Copy, Debug)]
pub struct ResponseView<'a> {
    /// Its status.
    pub status: u16,
    /// Its headers as the backend sent them, those that clients don't get among them, hop-by-hop fields included or
    /// not.
    pub headers: &'a Headers,
    /// Its dates.
    pub dates: &'a OriginDates,
    /// Length of its body in bytes, where it is known beforehand.
    pub content_length: Option<u64>,
    /// Fields that its location was told not to heed (`proxy_ignore_headers`).
    pub ignored: Ignore,
    /// It came, or is to come, by X-Accel-Redirect.
    pub accel_redirect: bool,
    /// It says by X-Accel-Buffering that it is to reach its client as it comes.
    pub unbuffered: bool,
    /// Seconds between asking for it and its header (response_delay, RFC 9111 4.2.3).
    pub delay: u32,
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
    /// Seconds of the expiry past the freshness, where the record itself must say so: see [`crate::record::Meta::kept`].
    pub kept: Option<u32>,
    /// It is for nobody else before the backend has confirmed it (no-cache, RFC 9111 5.2.2.4).
    pub always_validate: bool,
    /// Which field said so.
    pub by: By,
}

impl Plan {
    /// The same for a record that is written so many milliseconds after the header of its response came. All of it counts from then
    /// (response_time, RFC 9111 4.2.3), in whole seconds.
    ///
    /// # Errors
    ///
    /// Nothing is left of its expiry.
    pub fn written_after(self, millis: u64) -> Result<Self, Reason> {
        let seconds = u32::try_from(millis / 1000).unwrap_or(MAX_SECONDS);
        let expiry = self.expiry.saturating_sub(seconds);
        if expiry == 0 {
            return Err(Reason::Expired);
        }
        Ok(Self {
            age: self.age.saturating_add(seconds).min(MAX_SECONDS),
            fresh_for: self.fresh_for.saturating_sub(seconds),
            expiry,
            ..self
        })
    }
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
    let rules = &*rules.ignoring(resp.ignored);
    if req.no_store {
        return Err(Reason::NoStoreDirective);
    }
    if req.asks_no_store {
        return Err(Reason::NoStoreAsked);
    }
    if resp.accel_redirect {
        return Err(Reason::AccelRedirect);
    }
    whole(resp.status)?;
    if is_event_stream(resp) {
        return Err(Reason::EventStream);
    }
    if !rules.statuses.contains(resp.status) {
        return Err(Reason::StatusNotListed);
    }
    let accel = accel(resp, rules.ignore, now);
    if accel == Some(AccelExpires::Never) {
        return Err(Reason::AccelExpires);
    }
    let governing = governing_over(resp.headers, accel.is_some(), rules.ignore);
    let says = &governing.says;
    shareable(resp.status, resp.headers, says, rules)?;
    if req.authorization && !authorization_allows(says, rules.ignore) {
        return Err(Reason::Authorization);
    }
    let received = Received {
        headers: resp.headers,
        origin: resp.dates,
        governing: &governing,
        accel_expires: match accel {
            Some(AccelExpires::For(time)) => Some(time),
            _ => None,
        },
        ignore_expires: rules.ignore.expires,
        ignore_date: rules.ignore.date,
        ignore_age: rules.ignore.age,
        delay: resp.delay,
        now,
    };
    cacheable(resp.status, &received, rules)?;
    resp.headers.check().map_err(|_| Reason::HeaderInvalid)?;
    if resp.content_length.is_some_and(|len| len > rules.max_size) {
        return Err(Reason::TooLarge);
    }
    plan(resp.status, &received, rules)
}

/// Whether a response tells of what happens while its client reads it: it is for that client from its beginning on, and
/// may never end.
fn is_event_stream(resp: &ResponseView<'_>) -> bool {
    let media_type = |value: &[u8]| {
        let value = value.split(|b| *b == b';').next().unwrap_or_default();
        let value = value.trim_ascii();
        EVENT_STREAMS
            .iter()
            .any(|known| value.eq_ignore_ascii_case(known))
    };
    (resp.unbuffered && resp.content_length.is_none())
        || resp.headers.get("Content-Type").is_some_and(media_type)
}

/// Media types of responses that go on as long as somebody reads them.
const EVENT_STREAMS: [&[u8]; 2] = [b"text/event-stream", b"multipart/x-mixed-replace"];

/// Decides it for a response that stands in for others, as an error page does for what `before` has: those must be
/// storable too, and it is kept no longer than any of them. For whom it is fit is said by itself alone, so none of them
/// may vary.
///
/// # Errors
///
/// As [`storable`]; first what those before it say.
pub fn storable_behind<'a>(
    req: &RequestView,
    before: impl Iterator<Item = ResponseView<'a>>,
    resp: &ResponseView<'_>,
    rules: &Rules,
    now: u64,
) -> Result<Plan, Reason> {
    let (mut fresh_for, mut expiry) = (u32::MAX, u32::MAX);
    for said in before {
        let plan = storable(req, &said, rules, now)?;
        if plan.always_validate {
            return Err(Reason::NoCache);
        }
        if said.headers.contains("Vary") && !rules.ignoring(said.ignored).ignore.vary {
            return Err(Reason::Vary);
        }
        (fresh_for, expiry) = (fresh_for.min(plan.fresh_for), expiry.min(plan.expiry));
    }
    let plan = storable(req, resp, rules, now)?;
    Ok(Plan {
        fresh_for: plan.fresh_for.min(fresh_for),
        expiry: plan.expiry.min(expiry),
        ..plan
    })
}

fn accel(resp: &ResponseView<'_>, ignore: Ignore, now: u64) -> Option<AccelExpires> {
    if ignore.accel_expires {
        return None;
    }
    let value = resp.dates.accel_expires.as_deref();
    // A location that isn't an upstream leaves it among the headers.
    accel_expires::parse(value.or_else(|| resp.headers.get("X-Accel-Expires"))?, now)
}

/// Names of fields that nobody but the client that asked may get, though the response is stored: those that
/// `private` or `no-cache` is limited to (RFC 9111 5.2.2.4, 5.2.2.7).
#[must_use]
pub fn withheld(headers: &Headers, plan: &Plan, rules: &Rules) -> Vec<Bytes> {
    governing_over(headers, plan.by == By::AccelExpires, rules.ignore)
        .says
        .withheld()
        .map(Bytes::copy_from_slice)
        .collect()
}

/// Whether a response of this status stands for itself: a part (206) isn't stored as a whole
/// (RFC 9111 3.3), a 304 only confirms a record (4.3.3), and an interim response is followed by the one
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

/// Whether status and headers let a response be given to other clients (RFC 9111 3, 4.1, 5.2.2, 7.3), if
/// need be after validation. Holds for a response to be stored and for a record that somebody else stored.
pub(crate) fn shareable(
    status: u16,
    headers: &Headers,
    says: &CacheControl,
    rules: &Rules,
) -> Result<(), Reason> {
    // 5.2.2.3: no-store beside it is for caches that don't understand the status.
    if says.must_understand && !understood(status) {
        return Err(Reason::NotUnderstood);
    }
    if says.no_store && !says.must_understand {
        return Err(Reason::NoStore);
    }
    if says.all_private() {
        return Err(Reason::Private);
    }
    if !set_cookie_allows(headers, says, rules) {
        return Err(Reason::SetCookie);
    }
    if !rules.ignore.vary && vary::parse(headers.get_all("Vary")).is_err() {
        return Err(Reason::Vary);
    }
    Ok(())
}

/// RFC 9111 7.3: a cookie is for one client unless the response says otherwise, or is left out of the
/// record.
fn set_cookie_allows(headers: &Headers, says: &CacheControl, rules: &Rules) -> bool {
    let for_everybody = says.public || says.s_maxage.is_some();
    rules.ignore.set_cookie
        || !headers.contains("Set-Cookie")
        || (rules.set_cookie == SetCookie::Public && for_everybody)
        || says
            .withheld()
            .any(|name| name.eq_ignore_ascii_case(b"Set-Cookie"))
}

/// RFC 9111 3.5: only these let the response to a request with Authorization be shared. Where Cache-Control
/// is ignored it can't allow it either.
pub(crate) const fn authorization_allows(says: &CacheControl, ignore: Ignore) -> bool {
    ignore.authorization || says.public || says.s_maxage.is_some() || says.must_revalidate
}

/// What a response must say for itself (RFC 9111 3, the last condition) where the operator hasn't named its
/// status, but opened the gate for any.
fn cacheable(status: u16, received: &Received<'_>, rules: &Rules) -> Result<(), Reason> {
    if rules.statuses.names(status)
        || heuristically_cacheable(status)
        || received.governing.says.public
        || freshness::states_lifetime(received)
    {
        Ok(())
    } else {
        Err(Reason::NoFreshness)
    }
}

fn plan(status: u16, received: &Received<'_>, rules: &Rules) -> Result<Plan, Reason> {
    let says = &received.governing.says;
    let of_status = rules.statuses.age(status);
    let defaults = Defaults {
        age: of_status.unwrap_or(rules.age),
        // A time for this very status is the operator's better knowledge.
        heuristic: rules
            .heuristic
            .filter(|_| of_status.is_none())
            .filter(|_| heuristically_cacheable(status) || says.public),
    };
    let freshness = freshness::freshness(received, defaults);
    let always_validate = says.always_validate();
    if always_validate && !can_be_validated(status, received.headers, rules.kept()) {
        return Err(Reason::NoCache);
    }
    let fresh_for = if always_validate {
        0
    } else {
        freshness.remaining()
    };
    let expiry = fresh_for.saturating_add(rules.kept()).min(MAX_SECONDS);
    if expiry == 0 {
        return Err(Reason::Expired);
    }
    Ok(Plan {
        age: freshness.initial_age,
        fresh_for,
        expiry,
        freshness,
        kept: rules.stale_on_error.map(|_| rules.kept()),
        always_validate,
        by: received.governing.by,
    })
}

/// Whether a record that is to be validated each time is worth its place: something to validate it by
/// (RFC 9110 8.8), and time to do so.
fn can_be_validated(status: u16, headers: &Headers, kept: u32) -> bool {
    kept > 0 && confirmable(status) && headers.has_validator()
}
