//! Lines that announce what follows them.

use super::error::ProtocolError;
use super::number::{integer, length};
use super::reply::Reply;

/// What has a length and that many bytes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blob {
    /// `$`
    Bulk,
    /// `!`
    Error,
    /// `=`
    Verbatim,
}

/// What has a count and that many elements behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    /// `*`, or the set `~`.
    Array,
    /// `%`
    Map,
    /// `>`
    Push,
    /// `|` says something about the reply behind it, and is skipped.
    Attribute,
}

/// What a line that isn't text says.
pub enum Header {
    /// All there is.
    Reply(Reply),
    /// So many bytes follow.
    Blob(Blob, usize),
    /// So many elements follow, or entries.
    Aggregate(Aggregate, usize),
}

impl Header {
    /// Reads a line: its first byte and what follows.
    #[inline]
    pub fn read(kind: u8, text: &[u8]) -> Result<Self, ProtocolError> {
        let reply = |reply| Ok(Header::Reply(reply));
        match (kind, text) {
            (b':', _) => return reply(Reply::Integer(integer(text)?)),
            (b'_', b"") => return reply(Reply::Bulk(None)),
            (b'#', b"t") => return reply(Reply::Boolean(true)),
            (b'#', b"f") => return reply(Reply::Boolean(false)),
            (b'_' | b'#' | b',' | b'(', _) => return Err(ProtocolError::Value),
            (_, b"?") => return Err(ProtocolError::Streamed),
            _ => {}
        }
        let number = integer(text)?;
        match (kind, number) {
            (b'$', -1) => return reply(Reply::Bulk(None)),
            (b'*', -1) => return reply(Reply::Array(None)),
            _ => {}
        }
        let number = length(number)?;
        Ok(match kind {
            b'$' => Header::Blob(Blob::Bulk, number),
            b'!' => Header::Blob(Blob::Error, number),
            b'=' => Header::Blob(Blob::Verbatim, number),
            b'*' | b'~' => Header::Aggregate(Aggregate::Array, number),
            b'%' => Header::Aggregate(Aggregate::Map, number),
            b'>' => Header::Aggregate(Aggregate::Push, number),
            b'|' => Header::Aggregate(Aggregate::Attribute, number),
            other => return Err(ProtocolError::Type(other)),
        })
    }
}

/// Bytes with which something begins.
pub const fn is_kind(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b':'
            | b'$'
            | b'*'
            | b'_'
            | b'#'
            | b','
            | b'('
            | b'!'
            | b'='
            | b'%'
            | b'~'
            | b'>'
            | b'|'
    )
}
