//! Which fields of a response's header belong into its record (RFC 9111 3.1).

use bytes::Bytes;

use crate::headers::{Header, Headers, is_token, trim_ows};

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
