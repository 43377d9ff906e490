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
        let number = match kind {
            b'_' if text.is_empty() => return Ok(Self::Reply(Reply::Bulk(None))),
            b'#' if text == b"t" => return Ok(Self::Reply(Reply::Integer(1))),
            b'#' if text == b"f" => return Ok(Self::Reply(Reply::Integer(0))),
            b'_' | b'#' | b',' | b'(' => return Err(ProtocolError::Value),
            b':' => integer(text)?,
            _ => number(text)?,
        };
        Self::of_number(kind, number)?.ok_or(ProtocolError::Type(kind))
    }

    /// What a line says whose text is a number. `None` if a line that begins with this byte has no number.
    #[inline]
    pub fn of_number(kind: u8, number: i64) -> Result<Option<Self>, ProtocolError> {
        Ok(Some(match kind {
            b'$' if number == -1 => Self::Reply(Reply::Bulk(None)),
            b'$' => Self::Blob(Blob::Bulk, length(number)?),
            b':' => Self::Reply(Reply::Integer(number)),
            b'*' if number == -1 => Self::Reply(Reply::Array(None)),
            b'*' | b'~' => Self::Aggregate(Aggregate::Array, length(number)?),
            b'!' => Self::Blob(Blob::Error, length(number)?),
            b'=' => Self::Blob(Blob::Verbatim, length(number)?),
            b'%' => Self::Aggregate(Aggregate::Map, length(number)?),
            b'>' => Self::Aggregate(Aggregate::Push, length(number)?),
            b'|' => Self::Aggregate(Aggregate::Attribute, length(number)?),
            _ => return Ok(None),
        }))
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
