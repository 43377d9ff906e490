//! A record: what a response is in Redis, a hash that the Lua script reads and writes too.
//!
//! Fields `status`, `headers` and `body` are the script's; `meta` is this module's. Ages are computed from
//! the key's own expiry, so that no clock of any machine enters.

mod base;
mod hash;
mod header_fields;
mod json;
mod kept;
mod meta;
mod reading;
mod unsent;
mod writing;

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;

use crate::headers::Headers;
use crate::terms::Terms;
use crate::units::MAX_SECONDS;

pub use base::Base;
pub use hash::{
    BODY_FIELD, HEADERS_FIELD, META_FIELD, RawRecord, STATUS_FIELD, VARIANTS_FIELD, pack_lookup,
};
pub use header_fields::{is_for_nginx, strip_for_storage, without};
pub use json::encode_headers;
pub use kept::Kept;
pub use meta::{Meta, Tie, encode_meta, fingerprint, parse_meta};
pub use reading::{Broken, Decoded, ReadFrom, decode, decode_base};
pub use unsent::{Unsent, parse_rate};
pub use writing::{HashFields, New, encode};

/// A record as read, fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Status of the response.
    pub status: u16,
    /// Headers that the response has whoever asks: no hop-by-hop fields, no Date, no Age. Copies of the record share them.
    pub headers: Rc<Headers>,
    /// The whole body.
    pub body: Bytes,
    /// Milliseconds until the record expires (PTTL): never negative.
    pub ttl_ms: i64,
    /// Seconds for the Age header, were it sent now (RFC 9111 5.1).
    pub age: u32,
    /// What it says of its use once it isn't fresh.
    pub terms: Terms,
    /// What this module wrote beside it; `None` for a record of the Lua script.
    pub meta: Option<Rc<Meta>>,
    /// Field [`HEADERS_FIELD`] as it was read. By it a change sees that the Lua script, which leaves `meta` as it is,
    /// hasn't written over the record since.
    pub stored_headers: Bytes,
}

impl Record {
    /// Whether the record is still fresh: more than `stale` seconds are left of its expiry.
    #[must_use]
    pub fn is_fresh(&self, stale: u32) -> bool {
        self.ttl_ms > i64::from(stale) * 1000
    }

    /// Seconds since the record went stale, begun ones counted as whole; 0 while it is fresh.
    #[must_use]
    pub fn staleness(&self, stale: u32) -> u32 {
        let past = i64::from(stale) * 1000 - self.ttl_ms;
        u32::try_from((past.max(0) + 999) / 1000).unwrap_or(MAX_SECONDS)
    }

    /// All that the backend said, the lines that clients aren't sent among it.
    #[must_use]
    pub fn said(&self) -> Cow<'_, Headers> {
        self.meta
            .as_ref()
            .map_or(Cow::Borrowed(&*self.headers), |meta| {
                meta.unsent.with(&self.headers)
            })
    }

    /// The same record so many milliseconds later, with this body. Its age is in whole seconds of the time that is left of
    /// its expiry, as when it was read.
    #[must_use]
    pub fn later(&self, millis: u64, body: Bytes) -> Self {
        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
        let begun = self.ttl_ms.saturating_neg().rem_euclid(1000);
        let seconds = u32::try_from(begun.saturating_add(millis) / 1000).unwrap_or(MAX_SECONDS);
        Self {
            ttl_ms: self.ttl_ms.saturating_sub(millis),
            age: self.age.saturating_add(seconds).min(MAX_SECONDS),
            body,
            ..self.clone()
        }
    }

    /// Seconds for which the record is still fresh, rounded down; negative for how long it is no more.
    #[must_use]
    pub fn fresh_for(&self, stale: u32) -> i64 {
        (self.ttl_ms - i64::from(stale) * 1000).div_euclid(1000)
    }
}
