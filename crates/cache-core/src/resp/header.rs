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
    pub fn read(kind: u8, text: &[u8]) -> Result<Self, ProtocolError> {
        Ok(match kind {
            b'$' => match number(text)? {
                -1 => Self::Reply(Reply::Bulk(None)),
                number => Self::Blob(Blob::Bulk, length(number)?),
            },
            b':' => Self::Reply(Reply::Integer(integer(text)?)),
            b'*' => match number(text)? {
                -1 => Self::Reply(Reply::Array(None)),
                number => Self::Aggregate(Aggregate::Array, length(number)?),
            },
            b'_' if text.is_empty() => Self::Reply(Reply::Bulk(None)),
            b'#' if text == b"t" => Self::Reply(Reply::Integer(1)),
            b'#' if text == b"f" => Self::Reply(Reply::Integer(0)),
            b'_' | b'#' | b',' | b'(' => return Err(ProtocolError::Value),
            b'!' => Self::Blob(Blob::Error, length(number(text)?)?),
            b'=' => Self::Blob(Blob::Verbatim, length(number(text)?)?),
            b'~' => Self::Aggregate(Aggregate::Array, length(number(text)?)?),
            b'%' => Self::Aggregate(Aggregate::Map, length(number(text)?)?),
            b'>' => Self::Aggregate(Aggregate::Push, length(number(text)?)?),
            b'|' => Self::Aggregate(Aggregate::Attribute, length(number(text)?)?),
            other => return Err(ProtocolError::Type(other)),
        })
    }
}

/// A length or a count, -1 among them.
fn number(text: &[u8]) -> Result<i64, ProtocolError> {
    integer(text).map_err(|error| match text {
        b"?" => ProtocolError::Streamed,
        _ => error,
    })
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
