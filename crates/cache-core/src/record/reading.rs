//! How a hash becomes a record: whether it is one, and for whom.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::Record;
use super::hash::RawRecord;
use super::header_fields::{is_end_to_end, is_for_nginx};
use super::json::{MAX_TEXT, decode_headers};
use super::meta::{Meta, Tie, parse_meta};
use crate::cache_control::CacheControl;
use crate::headers::{HeaderFault, Headers, trim_ows};
use crate::ignore::Ignore;
use crate::outcome::Reason;
use crate::policy::{shareable, whole};
use crate::rules::Rules;
use crate::status_code::parse_status;
use crate::targeted::governing_over;
use crate::terms::Terms;
use crate::units::MAX_SECONDS;
use crate::vary::{self, Family, Names, Select, VariantId};

/// The status that a head has in the store,
pub(super) const PART: u16 = 206;
/// and the one for which it stands.
const WHOLE: u16 = 200;

/// Why a hash is no usable record. To be treated as a miss; the next fill overwrites it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// One of the three fields is missing.
    Field,
    /// The status is no final status in three digits.
    Status,
    /// The headers aren't JSON of the expected shape.
    Json,
    /// A header can't be sent as it stands.
    Header(HeaderFault),
    /// The body isn't as long as its Content-Length says.
    Length,
    /// The record isn't compressed as it says.
    Coding,
    /// This module wouldn't have stored the response.
    Refused(Reason),
}

impl Broken {
    /// The fault as a phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "missing field",
            Self::Status => "invalid status",
            Self::Json => "invalid JSON in headers",
            Self::Header(fault) => fault.as_str(),
            Self::Length => "body differs from its content-length",
            Self::Coding => "body isn't compressed as recorded",
            Self::Refused(reason) => reason.as_str(),
        }
    }

    /// Whether the record is sound but not to be shared: usual where the Lua script writes to the same
    /// Redis, hence nothing to be loud about.
    #[must_use]
    pub const fn is_refused(self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for Broken {}

/// Where a record was read from.
#[derive(Clone, Copy, Debug)]
pub enum ReadFrom<'a> {
    /// Under the key itself.
    Base,
    /// In this slot of this family.
    Slot(&'a Family, usize),
}

/// A record as read, before it is known who asks for it: many may share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    record: Rc<Record>,
    /// What it varies on and which variant it is, if it varies and that counts.
    variant: Option<(Names, VariantId)>,
}

/// Where a record belongs, and which requests it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    tie: Option<Tie>,
    variant: Option<(Names, VariantId)>,
}

impl Place {
    /// Whether a record that was found at `from` is for a request of which `select` knows the variant (RFC 9111 4.1). It
    /// is the record's own Vary that decides, whatever else is said about it.
    #[must_use]
    pub fn is_for(&self, from: ReadFrom<'_>, select: Select<'_>) -> bool {
        is_for((self.tie.as_ref(), self.variant.as_ref()), from, select)
    }

    /// Whether it lies under its key and is for everybody.
    #[must_use]
    pub fn is_everywhere(&self) -> bool {
        *self == Self::default()
    }
}

impl Decoded {
    /// The same without the body, which is kept elsewhere: see [`Record::later`].
    #[must_use]
    pub fn without_body(mut self) -> Self {
        Rc::make_mut(&mut self.record).body = Bytes::new();
        self
    }

    /// The record, whoever asks for it.
    #[must_use]
    pub fn record(&self) -> &Rc<Record> {
        &self.record
    }

    /// Where it belongs, and whom it is for.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            // A copy: the record's texts aren't kept for the sake of this one.
            tie: self.tie().map(|tie| Tie {
                family: Bytes::copy_from_slice(&tie.family),
                ..tie.clone()
            }),
            variant: self.variant.clone(),
        }
    }

    /// The record, if one that was found at `from` is for a request of which `select` knows the variant, as
    /// [`Place::is_for`] says.
    #[must_use]
    pub fn for_request(&self, from: ReadFrom<'_>, select: Select<'_>) -> Option<Rc<Record>> {
        is_for((self.tie(), self.variant.as_ref()), from, select).then(|| Rc::clone(&self.record))
    }

    fn tie(&self) -> Option<&Tie> {
        self.record.meta.as_ref()?.tie.as_ref()
    }
}

fn is_for(
    (tie, variant): (Option<&Tie>, Option<&(Names, VariantId)>),
    from: ReadFrom<'_>,
    select: Select<'_>,
) -> bool {
    belongs_to(tie, from)
        && variant.is_none_or(|(on, id)| !on.is_empty() && select(on) == Some(*id))
}

/// Reads a record for a request of which nothing is known: none that varies is for it.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_base(raw: &RawRecord, rules: &Rules) -> Result<Option<Rc<Record>>, Broken> {
    let decoded = decode(raw, rules)?;
    Ok(decoded.and_then(|decoded| decoded.for_request(ReadFrom::Base, &|_| None)))
}

/// Reads a record. `rules` give the age of one of the Lua script and what is ignored.
///
/// `Ok(None)` means that there is none: no key, no expiry (the script takes that for none too), or none of
/// the three fields.
///
/// # Errors
///
/// [`Broken`] if there is a hash that is not to be served. A record of the Lua script that varies is one: nobody
/// knows for which request it was made.
pub fn decode(raw: &RawRecord, rules: &Rules) -> Result<Option<Decoded>, Broken> {
    let mut decoded = decode_head(raw, raw.body.as_ref().map(Bytes::len), rules)?;
    if let Some(decoded) = &mut decoded
        && let (Some(body), Some(record)) = (&raw.body, Rc::get_mut(&mut decoded.record))
    {
        if record
            .coded()
            .is_some_and(|coded| !coded.coding.is_plausible(body, coded.length))
        {
            return Err(Broken::Coding);
        }
        record.body = body.clone();
    }
    Ok(decoded)
}

/// The same of a record whose body is elsewhere and has this length, if there is one: see [`Record::later`].
///
/// # Errors
///
/// As [`decode`].
pub fn decode_head(
    raw: &RawRecord,
    length: Option<usize>,
    rules: &Rules,
) -> Result<Option<Decoded>, Broken> {
    if raw.pttl < 0 {
        return Ok(None);
    }
    let (status_text, headers_text, length) = match (&raw.status, &raw.headers, length) {
        (Some(status), Some(headers), Some(length)) => (status, headers, length),
        (None, None, None) => return Ok(None),
        _ => return Err(Broken::Field),
    };
    let status = parse_status(status_text).ok_or(Broken::Status)?;
    if headers_text.len() > MAX_TEXT {
        return Err(Broken::Header(HeaderFault::TooLarge));
    }
    let headers = decode_headers(headers_text).map_err(|_| Broken::Json)?;
    headers.check().map_err(Broken::Header)?;
    let meta = raw
        .meta
        .as_ref()
        .and_then(parse_meta)
        .filter(|meta| meta.belongs_to(raw.pttl, status_text, headers_text, length as u64));
    // A head stands for the whole object.
    let is_head = status == PART && meta.as_ref().is_some_and(|meta| meta.slices.is_some());
    let status = if is_head { WHOLE } else { status };
    whole(status).map_err(Broken::Refused)?;
    check_length(&headers, length)?;
    let headers = match meta.as_ref().and_then(|meta| meta.coded.as_ref()) {
        Some(coded) => coded.restored(headers).ok_or(Broken::Coding)?,
        None => headers,
    };
    let by_accel_expires = meta.as_ref().is_some_and(|meta| meta.accel_expires);
    let said = meta
        .as_ref()
        .map_or(Cow::Borrowed(&headers), |meta| meta.unsent.with(&headers));
    let rules = &*rules.ignoring(
        meta.as_ref()
            .map_or(Ignore::NONE, |meta| meta.unsent.ignored),
    );
    let says = governing_over(&said, by_accel_expires, rules.ignore).says;
    shareable(status, &said, &says, rules).map_err(Broken::Refused)?;
    let variant = variant_of(&said, meta.as_ref(), rules)?;
    let age = match &meta {
        Some(meta) => age_now(meta.age, i64::from(meta.expiry), raw.pttl),
        None => age_now(0, i64::from(rules.age) + i64::from(rules.stale), raw.pttl),
    };
    drop(said);
    let record = Rc::new(Record {
        status,
        headers: Rc::new(sent(headers, &says, meta.is_some())),
        body: Bytes::new(),
        ttl_ms: raw.pttl,
        age,
        terms: Terms::of(&says),
        meta: meta.map(Rc::new),
        stored_headers: headers_text.clone(),
    });
    Ok(Some(Decoded { record, variant }))
}

/// What a record varies on and which variant it is; `None` if it doesn't vary, or that doesn't count.
fn variant_of(
    said: &Headers,
    meta: Option<&Meta>,
    rules: &Rules,
) -> Result<Option<(Names, VariantId)>, Broken> {
    if rules.ignore.vary {
        return Ok(None);
    }
    let on = vary::parse(said.get_all("Vary")).map_err(|_| Broken::Refused(Reason::Vary))?;
    match meta.and_then(|meta| meta.tie.as_ref()) {
        None if on.is_empty() => Ok(None),
        None => Err(Broken::Refused(Reason::Vary)),
        Some(tie) => Ok(Some((on, tie.id))),
    }
}

/// The headers of a record that clients are sent. The Lua script stores some that this module leaves out. `ours`: this
/// module has stored them.
fn sent(headers: Headers, says: &CacheControl, ours: bool) -> Headers {
    let left_out: Vec<Bytes> = values(&headers, b"Connection")
        .chain(says.withheld().map(Bytes::copy_from_slice))
        .collect();
    headers
        .into_iter()
        .filter(|header| is_end_to_end(header, &left_out))
        // This module stores them only where the configuration has let them through to clients.
        .filter(|header| ours || !is_for_nginx(&header.name))
        .collect()
}

/// Whether the field `meta` of a record whose body has this length was written with it. So were the record's other fields then:
/// the Lua script, which writes over some of them, leaves those that it doesn't know.
#[must_use]
pub fn is_own(raw: &RawRecord, length: usize) -> bool {
    let (Some(status), Some(headers)) = (&raw.status, &raw.headers) else {
        return false;
    };
    let meta = raw.meta.as_ref().and_then(parse_meta);
    meta.is_some_and(|meta| meta.belongs_to(raw.pttl, status, headers, length as u64))
}

/// Whether a record belongs where it was found. One of a slot isn't a base: a client may ask for a key that
/// is named so.
fn belongs_to(tie: Option<&Tie>, from: ReadFrom<'_>) -> bool {
    match (from, tie) {
        (ReadFrom::Base, tie) => tie.is_none_or(|tie| tie.slot == 0),
        (ReadFrom::Slot(family, slot), Some(tie)) => {
            tie.slot == slot && tie.family == family.token && family.slot_of(tie.id) == Some(slot)
        }
        (ReadFrom::Slot(..), None) => false,
    }
}

/// Age of a record of which `pttl` milliseconds of `expiry` seconds are left and that had `age` seconds
/// when it was stored; rounded down, as RFC 9111 4.2.3 computes in whole seconds.
fn age_now(age: u32, expiry: i64, pttl: i64) -> u32 {
    let elapsed = (expiry * 1000).saturating_sub(pttl).max(0) / 1000;
    let elapsed = u32::try_from(elapsed).unwrap_or(MAX_SECONDS);
    age.saturating_add(elapsed).min(MAX_SECONDS)
}

/// A body is as long as every Content-Length says (RFC 9112 6.3), or has none.
fn check_length(headers: &Headers, body: usize) -> Result<(), Broken> {
    let says_so = |value: &[u8]| {
        let digits = trim_ows(value);
        digits.iter().all(u8::is_ascii_digit)
            && std::str::from_utf8(digits).is_ok_and(|text| text.parse() == Ok(body))
    };
    if headers.get_all("Content-Length").all(says_so) {
        Ok(())
    } else {
        Err(Broken::Length)
    }
}

fn values(headers: &Headers, name: &'static [u8]) -> impl Iterator<Item = Bytes> {
    headers
        .iter()
        .filter(move |header| header.is(name))
        .map(|header| header.value.clone())
}
