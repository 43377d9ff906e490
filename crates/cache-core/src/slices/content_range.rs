//! What Content-Range says (RFC 9110 14.4).

use super::object::{Span, number};
use crate::headers::{Headers, trim_ows};

/// A Content-Range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// These bytes are in the response; of so many, if that is known.
    Of(Span, Option<u64>),
    /// None are, of so many (416).
    Unsatisfied(u64),
}

impl ContentRange {
    /// What a response says. `None`: nothing, or nothing that makes sense, or more than one thing.
    #[must_use]
    pub fn of(headers: &Headers) -> Option<Self> {
        let mut lines = headers.get_all("Content-Range");
        let line = lines.next()?;
        lines.next().is_none().then(|| Self::parse(line))?
    }

    /// Reads a value.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, rest) = trim_ows(value).split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes ") {
            return None;
        }
        let slash = rest.iter().position(|&b| b == b'/')?;
        let (range, total) = rest.split_at_checked(slash)?;
        let total = match total.get(1..)? {
            b"*" => None,
            digits => Some(number(digits)?),
        };
        if range == b"*" {
            return total.map(Self::Unsatisfied);
        }
        let dash = range.iter().position(|&b| b == b'-')?;
        let (first, last) = range.split_at_checked(dash)?;
        let span = Span::new(number(first)?, number(last.get(1..)?)?)?;
        // A last byte that there isn't makes it invalid.
        if total.is_some_and(|total| total <= span.last) {
            return None;
        }
        Some(Self::Of(span, total))
    }
}
