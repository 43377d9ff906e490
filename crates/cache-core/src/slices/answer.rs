//! What the backend's answers to requests for slices are worth (RFC 9110 14.4, 15.3.7, 15.5.17; RFC 9111 3.3, 3.4).

use super::content_range::ContentRange;
use super::object::{Sliced, Span};
use super::validator::{Proof, Validator};
use crate::headers::{Headers, trim_ows};
use crate::outcome::Reason;
use crate::token::Token;

/// A backend's answer, as far as its header.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its header lines.
    pub headers: &'a Headers,
    /// When the origin made it, in unix seconds, if it says so.
    pub date: Option<u64>,
}

/// What follows the answer to the request for the first slice of an object of which there is no head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// It is no part: a whole response of a backend without ranges, or no success. All goes on as without the directive.
    Plain,
    /// The part is all there is, of so many bytes: it is stored and sent as a 200 (RFC 9111 3.4).
    Complete(u64),
    /// There is more: the object is stored in slices. The part has so many bytes of the first slice, from the first on: all of
    /// them, or fewer (RFC 9110 15.3.7). What it has behind them is of no use.
    Slices {
        /// What the head says.
        object: Sliced,
        /// What all slices must have.
        validator: Validator,
        /// Bytes in this answer.
        bytes: u64,
    },
    /// It can't be told from other representations, or makes no sense: the whole is to be asked for, without Range, and goes
    /// on as without the directive. So it is from then on, for as long as a mark of what isn't storable is kept.
    AskWhole(Unfit),
}

/// Why an object isn't kept in slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Content-Range is missing, as in an answer in several parts (multipart/byteranges), or wrong, or of other bytes than were
    /// asked for.
    Range,
    /// Nobody knows how long it is (`bytes 0-9/*`): neither the last bytes nor a Content-Length could be given.
    UnknownLength,
    /// It has no strong validator (RFC 9111 3.4).
    NoValidator,
    /// It has no bytes (416).
    Empty,
}

impl Unfit {
    /// A phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Range => "its Content-Range isn't what was asked for",
            Self::UnknownLength => "its Content-Range doesn't say how long it is",
            Self::NoValidator => "it has neither a strong ETag nor an old Last-Modified",
            Self::Empty => "it is empty",
        }
    }
}

/// Judges the answer to the request for the first `size` bytes. `token` names the object if it is a new one.
#[must_use]
pub fn first(answer: &Answer<'_>, size: u64, token: Token) -> First {
    if answer.status == 416 {
        return First::AskWhole(Unfit::Empty);
    }
    if answer.status != 206 {
        return First::Plain;
    }
    let Some((span, total)) = part(answer.headers) else {
        return First::AskWhole(Unfit::Range);
    };
    if span.first != 0 || !fits_length(answer.headers, span) {
        return First::AskWhole(Unfit::Range);
    }
    let Some(total) = total else {
        return First::AskWhole(Unfit::UnknownLength);
    };
    if span.length() == total && total <= size {
        return First::Complete(total);
    }
    let Some(validator) = Validator::of(answer.headers, answer.date) else {
        return First::AskWhole(Unfit::NoValidator);
    };
    match Sliced::new(size, total, token) {
        Some(object) => First::Slices {
            object,
            validator,
            bytes: span.length().min(size),
        },
        None => First::AskWhole(Unfit::Range),
    }
}

/// What follows the answer to the conditional request for the first slice of an object whose head is stale. A 304 isn't judged
/// here: see [`crate::renewal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Again {
    /// It is the first slice of the same generation, whose slices all go on: the backend doesn't heed conditions. The answer
    /// has so many bytes.
    Same(u64),
    /// It is something else, and counts as if there had been no head.
    Other(First),
}

/// Judges an answer to the request for the first `size` bytes of an object whose head is stale.
#[must_use]
pub fn again(
    answer: &Answer<'_>,
    size: u64,
    (held, validator): (Sliced, &Validator),
    token: Token,
) -> Again {
    match first(answer, size, token) {
        First::Slices {
            object,
            validator: own,
            bytes,
        } if own.is_same(validator)
            && object.size() == held.size()
            && object.total() == held.total() =>
        {
            Again::Same(bytes)
        }
        other => Again::Other(other),
    }
}

/// Why an answer isn't a part of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The backend has another representation now, or none: the head is worthless.
    Changed,
    /// It says nothing of the object: the request may be made again.
    Failed,
}

impl Refused {
    /// A phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "its backend has another one now",
            Self::Failed => "its backend gives no more of it",
        }
    }
}

/// Bytes that are read in front of those that were asked for, at most. A server that has slices of its own may send all of
/// them that have one of the bytes.
pub const SKIPPED: u64 = 8 << 20;

/// Which bytes of an answer are those that were asked for, from the first of them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Useful {
    /// So many come before them,
    pub skip: u64,
    /// and so many there are of them.
    pub bytes: u64,
}

impl Useful {
    /// All of an answer, of so many bytes.
    #[must_use]
    pub const fn all(bytes: u64) -> Self {
        Self { skip: 0, bytes }
    }

    /// Those of an answer with the bytes `span`, where `wanted` were asked for. `None`: it hasn't the first of them, or too much
    /// comes before it.
    #[must_use]
    pub fn of(span: Span, wanted: Span) -> Option<Self> {
        let skip = wanted.first.checked_sub(span.first)?;
        let last = span.last.min(wanted.last);
        (skip <= SKIPPED && last >= wanted.first).then(|| Self {
            skip,
            bytes: last - wanted.first + 1,
        })
    }
}

/// Judges the answer to the request for `wanted` bytes of an object. Gives which of its bytes these are: a server may send
/// fewer (RFC 9110 15.3.7), or more.
///
/// # Errors
///
/// [`Refused`], and no byte of it may be sent or stored.
pub fn further(
    answer: &Answer<'_>,
    object: Sliced,
    validator: &Validator,
    wanted: Span,
) -> Result<Useful, Refused> {
    let proof = validator.judge(answer.headers);
    match answer.status {
        206 => {}
        // It has changed, it is gone.
        412 | 404 | 410 => return Err(Refused::Changed),
        // It is shorter now; or the server doesn't know what it says.
        416 => {
            return Err(match ContentRange::of(answer.headers) {
                Some(ContentRange::Unsatisfied(total)) if total == object.total() => {
                    Refused::Failed
                }
                _ => Refused::Changed,
            });
        }
        // It takes no ranges any more: what is kept in slices can't be completed. The whole isn't read for a slice.
        200 => return Err(Refused::Changed),
        _ => return Err(Refused::Failed),
    }
    let Some((span, total)) = part(answer.headers) else {
        return Err(Refused::Failed);
    };
    match proof {
        Proof::Same => {}
        Proof::Other => return Err(Refused::Changed),
        // 15.3.7: a part has the ETag that the whole would have. Without it nothing is proven.
        Proof::None => return Err(Refused::Failed),
    }
    if total.is_some_and(|total| total != object.total()) {
        return Err(Refused::Changed);
    }
    if !fits_length(answer.headers, span) {
        return Err(Refused::Failed);
    }
    Useful::of(span, wanted).ok_or(Refused::Failed)
}

/// What a backend's answer to any request is, as far as its header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Brought {
    /// A whole response.
    #[default]
    Whole,
    /// The first slice of an object.
    First(Sliced, Validator),
    /// The slice that was asked for.
    Slice,
    /// Not that.
    Refused(Refused),
    /// A part of an object that can't be kept in slices.
    Unfit(Unfit),
}

impl Brought {
    /// What becomes of the fill, if its response is of no use.
    #[must_use]
    pub const fn fault(&self) -> Option<Reason> {
        match self {
            Self::Whole | Self::First(..) | Self::Slice => None,
            Self::Refused(Refused::Changed) => Some(Reason::RecordChanged),
            Self::Refused(Refused::Failed) => Some(Reason::BackendFailed),
            Self::Unfit(_) => Some(Reason::PartialContent),
        }
    }
}

/// Which bytes a 206 has, and of how many, if it says so. `None`: that makes no sense, or it has several parts, each with a
/// Content-Range of its own (RFC 9110 15.3.7.2).
fn part(headers: &Headers) -> Option<(Span, Option<u64>)> {
    let has_several = headers.get_all("Content-Type").any(|value| {
        let kind = value.split(|&b| b == b';').next().unwrap_or_default();
        trim_ows(kind).eq_ignore_ascii_case(b"multipart/byteranges")
    });
    match ContentRange::of(headers) {
        Some(ContentRange::Of(span, total)) if !has_several => Some((span, total)),
        _ => None,
    }
}

/// Whether a Content-Length, if there is one, is that of the part.
fn fits_length(headers: &Headers, span: Span) -> bool {
    headers
        .get_all("Content-Length")
        .all(|value| super::object::number(value) == Some(span.length()))
}
