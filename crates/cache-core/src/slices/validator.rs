//! What proves that two responses are parts of one representation (RFC 9110 8.8, RFC 9111 3.4).

use bytes::Bytes;

use super::object::Span;
use crate::headers::Headers;
use crate::http_date;

/// A strong validator: as long as it is the same, so is every byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validator {
    /// A strong ETag (8.8.3).
    ETag(Bytes),
    /// A Last-Modified that is older than its response by a second at least (8.8.2.2).
    LastModified(Bytes),
}

impl Validator {
    /// The strong validator of a response. `date`: when the origin made it, in unix seconds.
    ///
    /// `None`: it has none. A weak ETag says that other bytes may have the same, whatever Last-Modified says; of two ETags
    /// nobody knows the right one.
    #[must_use]
    pub fn of(headers: &Headers, date: Option<u64>) -> Option<Self> {
        let single = |name: &str| {
            let mut lines = headers.iter().filter(|line| line.is(name.as_bytes()));
            let first = lines.next();
            lines.next().is_none().then_some(first)
        };
        if let Some(tag) = single("ETag")? {
            return is_strong(&tag.value).then(|| Self::ETag(tag.value.clone()));
        }
        let modified = single("Last-Modified")??.value.clone();
        let seconds = http_date::parse_anytime(&modified)?;
        (seconds < date?).then_some(Self::LastModified(modified))
    }

    /// The field by which the backend is told to answer only if it still has this representation, and its value: If-Match
    /// (13.1.1) or If-Unmodified-Since (13.1.4). A backend that has another says 412, without a body; with If-Range it would
    /// send the whole of the other one.
    #[must_use]
    pub fn condition(&self) -> (&'static str, Bytes) {
        match self {
            Self::ETag(tag) => ("If-Match", tag.clone()),
            Self::LastModified(date) => ("If-Unmodified-Since", date.clone()),
        }
    }

    /// Whether a response is of the same representation.
    pub(super) fn judge(&self, headers: &Headers) -> Proof {
        let (name, own) = match self {
            Self::ETag(tag) => ("ETag", tag),
            Self::LastModified(date) => ("Last-Modified", date),
        };
        let mut lines = headers.get_all(name).peekable();
        if lines.peek().is_none() {
            return Proof::None;
        }
        // An ETag that wasn't there before is another representation's.
        let news = matches!(self, Self::LastModified(_)) && headers.contains("ETag");
        if lines.all(|value| value == own) && !news {
            Proof::Same
        } else {
            Proof::Other
        }
    }
}

/// What the validators of a response prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is of the same representation.
    Same,
    /// It is of another.
    Other,
    /// It has none.
    None,
}

/// The field Range for these bytes.
#[must_use]
pub fn range(span: Span) -> String {
    format!("bytes={}-{}", span.first, span.last)
}

/// 8.8.3: in quotes, and not weak.
fn is_strong(tag: &[u8]) -> bool {
    matches!(tag, [b'"', inner @ .., b'"'] if !inner.contains(&b'"'))
}
