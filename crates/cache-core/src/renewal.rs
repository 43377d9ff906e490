//! What a 304 makes of the record that it confirms (RFC 9111 4.3.3, 4.3.4).

use std::rc::Rc;

use bytes::Bytes;

use crate::coding::Coded;
use crate::conditions::weak_match;
use crate::freshness::OriginDates;
use crate::headers::{Header, Headers};
use crate::http_date;
use crate::outcome::Reason;
use crate::policy::{Plan, RequestView, ResponseView, storable};
use crate::record::{self, HashFields, Meta, New, Record, Unsent, strip_for_storage, without};
use crate::rules::Rules;
use crate::status_code::confirmable;
use crate::targeted::{By, governing_over};
use crate::terms::Terms;
use crate::vary::Variant;

/// What the backend is asked by: the conditions that the record's validators make (RFC 9111 4.3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// For If-None-Match: the record's ETag, strong or weak.
    pub etag: Option<Bytes>,
    /// For If-Modified-Since: the record's Last-Modified.
    pub last_modified: Option<Bytes>,
}

impl Validators {
    /// The validators of a record; `None` if it has none, or a status that a 304 can't speak of. Nor has one of the Lua
    /// script, whatever its headers say: a record whose write has no name can't be renewed safely.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        record.meta.as_ref()?;
        if !confirmable(record.status) {
            return None;
        }
        let said = record.said();
        let single = |name: &str| {
            let mut lines = said.iter().filter(|h| h.is(name.as_bytes()));
            let first = lines.next()?;
            // Which of two would be the right one?
            lines.next().is_none().then(|| first.value.clone())
        };
        let validators = Self {
            etag: single("ETag").filter(|tag| !tag.is_empty()),
            last_modified: single("Last-Modified").filter(|date| !date.is_empty()),
        };
        (validators != Self::default()).then_some(validators)
    }
}

/// A 304 as it came.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// Its header lines.
    pub headers: &'a Headers,
    /// What else it says, which clients aren't sent.
    pub unsent: &'a Unsent,
    /// Its dates.
    pub dates: &'a OriginDates,
    /// Fields that its Connection names.
    pub connection: &'a [Bytes],
    /// Seconds between asking for it and its header.
    pub delay: u32,
}

/// A record that the backend has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The record as it is now, to be sent.
    pub record: Record,
    /// How it is kept from now on, or why it must go.
    pub plan: Result<Plan, Reason>,
}

impl Renewed {
    /// Which variant of its key the record is now: that of the request which the 304 answered. A 304 that says
    /// something else of what the record varies on than the record did makes another variant of it, which
    /// can't stay where it is (RFC 9111 4.1).
    #[must_use]
    pub fn as_variant(mut self, variant: Option<&Variant>) -> Self {
        let meta = self.record.meta.as_ref();
        let tie = meta.and_then(|meta| meta.tie.as_ref());
        if self.plan.is_ok() && tie.map(|tie| tie.id) != variant.map(|variant| variant.id) {
            self.plan = Err(Reason::VariesOtherwise);
        }
        self
    }
}

/// Applies a 304 to the record whose validators it answers. `None` if it speaks of another
/// representation (4.3.4): its validators are not the record's.
#[must_use]
pub fn renew(
    record: &Record,
    confirmation: &Confirmation<'_>,
    request: &RequestView,
    rules: &Rules,
    now: u64,
) -> Option<Renewed> {
    let unsent = confirmation.unsent;
    if !speaks_of(&record.said(), &unsent.with(confirmation.headers)) {
        return None;
    }
    let rules = &*rules.ignoring(unsent.ignored);
    let (news, headers) = updated(record, confirmation);
    let mut record = record.clone();
    let unsent = record
        .meta
        .as_ref()
        .map_or_else(|| unsent.clone(), |meta| meta.unsent.renewed(unsent, &news));
    // Age counts for the lifetime, but isn't stored.
    let mut stated = unsent.with(&headers).into_owned();
    if let Some(age) = confirmation.headers.get("Age") {
        stated.push("Age", Bytes::copy_from_slice(age));
    }
    let view = ResponseView {
        status: record.status,
        headers: &stated,
        dates: confirmation.dates,
        // However long the object of a head is: its slices are stored one by one.
        content_length: record.slices().is_none().then(|| record.length()),
        ignored: unsent.ignored,
        accel_redirect: false,
        unbuffered: false,
        delay: confirmation.delay,
    };
    let plan = storable(request, &view, rules, now);
    let by_accel_expires = plan.as_ref().is_ok_and(|plan| plan.by == By::AccelExpires);
    let says = governing_over(&stated, by_accel_expires, rules.ignore).says;
    record.terms = Terms::of(&says);
    // What the 304 carries for this client alone is no more for others than it was.
    let withheld: Vec<Bytes> = says.withheld().map(Bytes::copy_from_slice).collect();
    record.headers = Rc::new(without(&headers, &withheld));
    if let Some(meta) = record.meta.as_mut().map(Rc::make_mut) {
        // The tag and Vary may be others now.
        if let Some(coded) = &mut meta.coded {
            *coded = Coded::of(coded.coding, &record.headers, coded.length);
        }
        meta.unsent = Unsent {
            hidden: without(&unsent.hidden, &withheld),
            ..unsent
        };
        let date = confirmation.dates.date.as_deref();
        meta.date = Some(
            date.and_then(|date| http_date::parse(date, now))
                .unwrap_or(now),
        );
    }
    if let Ok(plan) = &plan {
        record.age = plan.age;
        record.ttl_ms = i64::from(plan.expiry) * 1000;
    }
    Some(Renewed { record, plan })
}

/// The fields that a 304 brings for the record's header, and that header with them (RFC 9111 3.2).
fn updated(record: &Record, confirmation: &Confirmation<'_>) -> (Headers, Headers) {
    let news: Headers = strip_for_storage(confirmation.headers, confirmation.connection)
        .into_iter()
        .filter(|header| {
            !describes_content(header)
                && !strengthens(record, header)
                && !weakens_head(record, header)
        })
        .collect();
    let hidden = &confirmation.unsent.hidden;
    let headers = record
        .headers
        .iter()
        .filter(|header| !news.contains(&header.name) && !hidden.contains(&header.name))
        .chain(news.iter())
        .cloned()
        .collect();
    (news, headers)
}

/// Makes the record's fields anew, from its `meta` as it was. `generation` is a token that no other write of this key
/// has.
#[must_use]
pub fn encode(renewed: &Renewed, meta: &Meta, plan: &Plan, generation: Bytes) -> HashFields {
    let record = &renewed.record;
    let new = New {
        generation,
        date: meta.date,
        own_location: meta.own_location,
        log: meta.log,
        tie: meta.tie.clone(),
        coded: meta.coded.clone(),
        slices: meta.slices,
        unsent: meta.unsent.clone(),
    };
    let length = record.body.len() as u64;
    record::encode(record.stored_status(), &record.headers, length, plan, new)
}

/// Whether a 304's validators are the record's (RFC 9111 4.3.4). One without any speaks of what was asked
/// about.
fn speaks_of(record: &Headers, headers: &Headers) -> bool {
    match (headers.get("ETag"), record.get("ETag")) {
        (Some(new), Some(old)) => return weak_match(new, old),
        (Some(_), None) => return true,
        (None, _) => {}
    }
    match (headers.get("Last-Modified"), record.get("Last-Modified")) {
        (Some(new), Some(old)) => new == old,
        _ => true,
    }
}

/// Whether it is a tag that names bytes where the record's own doesn't (RFC 9110 8.8.1): which bytes, nobody
/// knows. A server that compresses weakens the tag of what it compresses, but not that of a 304.
fn strengthens(record: &Record, header: &Header) -> bool {
    header.is(b"ETag")
        && !header.value.starts_with(b"W/")
        && record
            .headers
            .get("ETag")
            .is_some_and(|tag| tag.starts_with(b"W/"))
}

/// Whether it is the weak form of the tag that tells the slices of an object from those of others (RFC 9111 3.4). The 304 says
/// that what is stored may be used, and it is still the one that the strong tag names.
fn weakens_head(record: &Record, header: &Header) -> bool {
    record.slices().is_some()
        && header.is(b"ETag")
        && header.value.starts_with(b"W/")
        && record
            .said()
            .get("ETag")
            .is_some_and(|tag| !tag.starts_with(b"W/"))
}

/// Fields that say how the stored body is coded, and what its sums are (RFC 9530): it stays as it is (RFC 9111
/// 3.2).
fn describes_content(header: &Header) -> bool {
    const FIELDS: [&[u8]; 6] = [
        b"content-length",
        b"content-encoding",
        b"content-range",
        b"content-md5",
        b"content-digest",
        b"digest",
    ];
    FIELDS.iter().any(|field| header.is(field))
}
