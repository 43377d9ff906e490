//! What makes a connection useless.

use std::error::Error;
use std::fmt;

/// A peer that doesn't speak RESP, or says more than is sensible. The connection is of no further use:
/// where the next reply begins is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// A reply begins with this byte.
    Type(u8),
    /// A line of text is longer than [`Limits::line`](super::Limits::line).
    LineTooLong,
    /// A line that doesn't end in CR LF, or a bulk that isn't followed by it.
    LineEnd,
    /// A number that is none, or too large for its purpose.
    Number,
    /// A bulk is longer than [`Limits::bulk`](super::Limits::bulk).
    BulkTooLong,
    /// A reply has more elements than [`Limits::elements`](super::Limits::elements).
    TooManyElements,
    /// Arrays in arrays deeper than [`Limits::depth`](super::Limits::depth).
    TooDeep,
    /// A null, a boolean, a double or a big number that is none.
    Value,
    /// A verbatim string that doesn't begin with its format, as `txt:`.
    Verbatim,
    /// A push inside a reply.
    Push,
    /// A string or an aggregate of unknown length (`$?`, `*?`). No server of today sends one.
    Streamed,
}

impl ProtocolError {
    /// The fault as a phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Type(_) => "reply of unknown type",
            Self::LineTooLong => "line too long",
            Self::LineEnd => "missing line end",
            Self::Number => "invalid number",
            Self::BulkTooLong => "bulk too long",
            Self::TooManyElements => "too many elements",
            Self::TooDeep => "arrays nested too deep",
            Self::Value => "invalid value",
            Self::Verbatim => "verbatim string without a format",
            Self::Push => "push inside a reply",
            Self::Streamed => "value of unknown length",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for ProtocolError {}
