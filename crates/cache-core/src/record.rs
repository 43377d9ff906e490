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
mod standing;
mod unsent;
mod writing;

use std::borrow::Cow;
use std::rc::Rc;

use bytes::Bytes;

use crate::coding::Coded;
use crate::headers::Headers;
use crate::slices::Sliced;
use crate::terms::Terms;

pub use base::Base;
pub use hash::{
    BODY_FIELD, HEADERS_FIELD, LABELS_FIELD, META_FIELD, RawRecord, STATUS_FIELD, VARIANTS_FIELD,
    pack_lookup,
};
pub use header_fields::{is_for_nginx, strip_for_storage, without};
pub use json::encode_headers;
pub use kept::Kept;
pub use meta::{Meta, Tie, encode_meta, fingerprint, log_of, parse_meta};
pub use reading::{Broken, Decoded, Place, ReadFrom, decode, decode_base, decode_head, is_own};
pub use standing::Standing;
pub use unsent::{Unsent, parse_rate};
pub use writing::{HashFields, NEVER_PURGED, New, encode};

/// A record as read, fit to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Status of the response.
    pub status: u16,
    /// Headers that the response has whoever asks: no hop-by-hop fields, no Date, no Age. Copies of the record share them. Of a record
    /// that was compressed those of the plain body, as the backend sent them.
    pub headers: Rc<Headers>,
    /// The whole body, as it is stored: compressed if [`Record::coded`] says so.
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
    /// How it stands with the record's time.
    #[must_use]
    pub fn standing(&self) -> Standing {
        Standing {
            ttl_ms: self.ttl_ms,
            age: self.age,
            initial_age: self.meta.as_ref().map_or(0, |meta| meta.age),
            kept: self.meta.as_ref().and_then(|meta| meta.kept),
            terms: self.terms,
        }
    }

    /// That the body was compressed to be stored, if it was.
    #[must_use]
    pub fn coded(&self) -> Option<&Coded> {
        self.meta.as_ref()?.coded.as_ref()
    }

    /// Bytes of the body as the backend sent it, wherever they are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match (self.slices(), self.coded()) {
            (Some(slices), _) => slices.total(),
            (None, Some(coded)) => coded.length,
            (None, None) => self.body.len() as u64,
        }
    }

    /// Whether the record is still fresh: see [`Standing::is_fresh`].
    #[must_use]
    pub fn is_fresh(&self, stale: u32) -> bool {
        self.standing().is_fresh(stale)
    }

    /// The slices of the object whose head it is, if it is one.
    #[must_use]
    pub fn slices(&self) -> Option<Sliced> {
        self.meta.as_ref()?.slices
    }

    /// Whether it is a slice of an object, and no response by itself.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.meta
            .as_ref()
            .is_some_and(|meta| meta.log == NEVER_PURGED)
    }

    /// Its status in the store: that of a head tells those who don't know of slices to leave it alone.
    #[must_use]
    pub fn stored_status(&self) -> u16 {
        if self.slices().is_some() {
            reading::PART
        } else {
            self.status
        }
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

    /// The same record so many milliseconds later, with this body.
    #[must_use]
    pub fn later(&self, millis: u64, body: Bytes) -> Self {
        let Standing { ttl_ms, age, .. } = self.standing().later(millis);
        Self {
            ttl_ms,
            age,
            body,
            ..self.clone()
        }
    }

    /// Seconds for which the record is still fresh, rounded down; negative for how long it is no more.
    #[must_use]
    pub fn fresh_for(&self, stale: u32) -> i64 {
        self.standing().fresh_for(stale)
    }
}
