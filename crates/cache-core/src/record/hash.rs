//! The hash that a record is in Redis: the names of its fields, and the commands that read it.

use bytes::Bytes;

use crate::resp;

/// Field of the hash that holds the status, in decimal.
pub const STATUS_FIELD: &str = "status";
/// Field of the hash that holds the headers, a JSON object.
pub const HEADERS_FIELD: &str = "headers";
/// Field of the hash that holds the body, as it is.
pub const BODY_FIELD: &str = "body";
/// Field of the hash that says what only this module knows about its record: see [`super::Meta`].
pub const META_FIELD: &str = "meta";
/// Field of the hash that says by what purges select its record: see [`crate::purge::Labels`].
pub const LABELS_FIELD: &str = "labels";
/// Field of the hash that says where variants of the key are: see [`crate::vary::Family`].
pub const VARIANTS_FIELD: &str = "variants";

/// Appends the commands that read a record: PTTL, and HMGET of the fields in their order here. Every request needs
/// them, so the constant parts are one literal.
pub fn pack_lookup(out: &mut Vec<u8>, key: &[u8]) {
    const FIELDS: &[u8] =
        b"\r\n$6\r\nstatus\r\n$7\r\nheaders\r\n$4\r\nbody\r\n$4\r\nmeta\r\n$8\r\nvariants\r\n$6\r\nlabels\r\n";
    out.reserve(2 * key.len() + FIELDS.len() + 80);
    out.extend_from_slice(b"*2\r\n$4\r\nPTTL\r\n");
    let begin = out.len();
    resp::bulk_header(out, key.len());
    out.extend_from_slice(key);
    let end = out.len();
    out.extend_from_slice(b"\r\n*8\r\n$5\r\nHMGET\r\n");
    out.extend_from_within(begin..end);
    out.extend_from_slice(FIELDS);
}

/// The replies of Redis that make a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawRecord {
    /// Reply of PTTL: milliseconds, -1 without expiry, -2 without key.
    pub pttl: i64,
    /// Field [`STATUS_FIELD`].
    pub status: Option<Bytes>,
    /// Field [`HEADERS_FIELD`].
    pub headers: Option<Bytes>,
    /// Field [`BODY_FIELD`].
    pub body: Option<Bytes>,
    /// Field [`META_FIELD`].
    pub meta: Option<Bytes>,
}
