//! What is written of a response.

use bytes::Bytes;

use super::{Meta, Tie, Unsent, encode_headers, encode_meta, fingerprint};
use crate::headers::{Header, Headers, is_token, trim_ows};
use crate::policy::Plan;
use crate::targeted::By;

/// The fields of a record to be written, but for the body, which goes as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// For [`super::STATUS_FIELD`].
    pub status: [u8; 3],
    /// For [`super::HEADERS_FIELD`].
    pub headers: Vec<u8>,
    /// For [`super::META_FIELD`].
    pub meta: Vec<u8>,
}

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
    pub tie: Option<Tie>,
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
            tie: None,
            unsent: Unsent::default(),
        }
    }
}

/// Makes the fields of a record. `headers` are what [`strip_for_storage`] left.
#[must_use]
pub fn encode(status: u16, headers: &Headers, body_len: u64, plan: &Plan, new: New) -> Fields {
    let status = status_text(status);
    let headers = encode_headers(headers);
    let sum = fingerprint(&status, &headers, body_len);
    let meta = encode_meta(&Meta {
        age: plan.age,
        expiry: plan.expiry,
        generation: new.generation,
        sum,
        date: new.date,
        own_location: new.own_location,
        accel_expires: plan.by == By::AccelExpires,
        tie: new.tie,
        unsent: new.unsent,
    });
    Fields {
        status,
        headers,
        meta,
    }
}

fn status_text(status: u16) -> [u8; 3] {
    let digit = |place: u16| u8::try_from(status / place % 10).map_or(b'0', |digit| b'0' + digit);
    [digit(100), digit(10), digit(1)]
}

/// The headers that belong into a record, unchanged and in order: without hop-by-hop fields, those in
/// `left_out` (lists of the names that Connection, private="..." and no-cache="..." have; RFC 9111 3.1,
/// 5.2.2.4, 5.2.2.7), and Date and Age, which are made anew. Server and X-Accel-* are among `headers` only where
/// `proxy_pass_header` has let them through: else nginx keeps them for itself.
#[must_use]
pub fn strip_for_storage(headers: &Headers, left_out: &[Bytes]) -> Headers {
    headers
        .iter()
        .filter(|header| is_end_to_end(header, left_out))
        .cloned()
        .collect()
}

/// The headers without lines of these names: what clients get for whom they were withheld.
#[must_use]
pub fn without(headers: &Headers, names: &[Bytes]) -> Headers {
    headers
        .iter()
        .filter(|header| !named_in(names, &header.name))
        .cloned()
        .collect()
}

pub(super) fn is_end_to_end(header: &Header, left_out: &[Bytes]) -> bool {
    // Without its Vary a record would be for everybody.
    let stays = || header.is(b"vary") || !named_in(left_out, &header.name);
    !belongs_to_transfer(&header.name) && stays()
}

/// Whether nginx keeps a field of a backend for itself, unless `proxy_pass_header` names it: Server and X-Accel-*.
#[must_use]
pub fn is_for_nginx(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-accel-";
    name.eq_ignore_ascii_case(b"server")
        || name
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn belongs_to_transfer(name: &[u8]) -> bool {
    // RFC 9110 7.6.1 and RFC 9111 3.1. Not every "Proxy-*": Proxy-Status (RFC 9209) is end-to-end.
    const FIELDS: [&[u8]; 12] = [
        b"age",
        b"connection",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    ];
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

fn named_in(lists: &[Bytes], name: &[u8]) -> bool {
    lists
        .iter()
        .flat_map(|list| list.split(|&b| b == b','))
        .map(trim_ows)
        .any(|option| is_token(option) && option.eq_ignore_ascii_case(name))
}
