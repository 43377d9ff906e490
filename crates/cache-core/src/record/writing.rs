//! How a response becomes the fields of its hash.

use bytes::Bytes;

use super::json::encode_headers;
use super::meta::{Meta, Tie, encode_meta, fingerprint};
use super::unsent::Unsent;
use crate::coding::Coded;
use crate::headers::Headers;
use crate::policy::Plan;
use crate::slices::Sliced;
use crate::targeted::By;

/// The fields of the hash that a record is to be, but for the body, which is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashFields {
    /// For [`super::STATUS_FIELD`].
    pub status: [u8; 3],
    /// For [`super::HEADERS_FIELD`].
    pub headers: Vec<u8>,
    /// For [`super::META_FIELD`].
    pub meta: Vec<u8>,
}

/// A number of the log of purges that no purge reaches: for a slice, which is purged with its head. It has no more digits than
/// the field `meta` allows.
pub const NEVER_PURGED: u64 = u64::MAX >> 1;

/// What is to be said of a record that is written.
#[derive(Clone, Debug)]
pub struct New {
    /// A token that no other write of this key has.
    pub generation: Bytes,
    /// As in [`Meta`].
    pub date: Option<u64>,
    /// As in [`Meta`].
    pub own_location: bool,
    /// As in [`Meta`].
    pub log: u64,
    /// As in [`Meta`].
    pub tie: Option<Tie>,
    /// As in [`Meta`].
    pub coded: Option<Coded>,
    /// As in [`Meta`].
    pub slices: Option<Sliced>,
    /// As in [`Meta`].
    pub unsent: Unsent,
}

impl New {
    /// Nothing but the name of the write.
    #[must_use]
    pub fn named(generation: Bytes) -> Self {
        Self {
            generation,
            date: None,
            own_location: false,
            log: 0,
            tie: None,
            coded: None,
            slices: None,
            unsent: Unsent::default(),
        }
    }
}

/// Makes the fields of a record. `headers` are what [`super::strip_for_storage`] left, of the body before it was compressed; `body_len` is the
/// length of what is stored.
#[must_use]
pub fn encode(status: u16, headers: &Headers, body_len: u64, plan: &Plan, new: New) -> HashFields {
    let status = status_text(status);
    let headers = match &new.coded {
        Some(coded) => encode_headers(&coded.stored(headers, body_len)),
        None => encode_headers(headers),
    };
    let sum = fingerprint(&status, &headers, body_len);
    let meta = encode_meta(&Meta {
        age: plan.age,
        expiry: plan.expiry,
        kept: plan.kept,
        generation: new.generation,
        sum,
        date: new.date,
        own_location: new.own_location,
        accel_expires: plan.by == By::AccelExpires,
        log: new.log,
        tie: new.tie,
        coded: new.coded,
        slices: new.slices,
        unsent: new.unsent,
    });
    HashFields {
        status,
        headers,
        meta,
    }
}

fn status_text(status: u16) -> [u8; 3] {
    let digit = |place: u16| u8::try_from(status / place % 10).map_or(b'0', |digit| b'0' + digit);
    [digit(100), digit(10), digit(1)]
}
