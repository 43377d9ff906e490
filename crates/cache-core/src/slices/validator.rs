//! What proves that two responses are parts of one representation (RFC 9110 8.8, RFC 9111 3.4).

use bytes::Bytes;

use super::object::Span;
use crate::headers::{Headers, trim_ows};
use crate::http_date;
use crate::outcome::Reason;
use crate::vary::{self, Names};

/// What tells a representation from all others: its parts have it in common. As long as it is the same, so is every byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    strong: Strong,
    /// Its codings, as [`codings`] gives them.
    codings: Vec<u8>,
    /// What it varies on.
    vary: Names,
    /// Its head is validated each time (no-cache).
    always_validate: bool,
}

/// A strong validator.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Strong {
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
        Some(Self {
            strong: Strong::of(headers, date)?,
            codings: codings(headers),
            // A response that no other request matches isn't stored.
            vary: vary::parse(headers.get_all("Vary")).unwrap_or_default(),
            always_validate: false,
        })
    }

    /// The same of a head that is validated each time, or isn't.
    #[must_use]
    pub fn validated(self, always: bool) -> Self {
        Self {
            always_validate: always,
            ..self
        }
    }

    /// What the representation varies on, by its head.
    #[must_use]
    pub const fn vary(&self) -> &Names {
        &self.vary
    }

    /// Whether two are of the same representation. How its head is used doesn't count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.strong == other.strong && self.codings == other.codings && self.vary == other.vary
    }

    /// The field by which the backend is told to answer only if it still has this representation, and its value: If-Match
    /// (13.1.1) or If-Unmodified-Since (13.1.4). A backend that has another says 412, without a body; with If-Range it would
    /// send the whole of the other one.
    #[must_use]
    pub fn condition(&self) -> (&'static str, Bytes) {
        match &self.strong {
            Strong::ETag(tag) => ("If-Match", tag.clone()),
            Strong::LastModified(date) => ("If-Unmodified-Since", date.clone()),
        }
    }

    /// Whether a part that may be stored by its own header may be given to all who have the head. `vary`: its lines of Vary;
    /// none where they are ignored. `always_validate`: it is to be validated each time.
    ///
    /// # Errors
    ///
    /// It varies on more than the head does (RFC 9111 4.1), or must be validated where the head needn't (5.2.2.4).
    pub fn admits<'a>(
        &self,
        vary: impl Iterator<Item = &'a [u8]>,
        always_validate: bool,
    ) -> Result<(), Reason> {
        let own = vary::parse(vary).map_err(|_| Reason::Vary)?;
        if own
            .iter()
            .any(|name| self.vary.iter().all(|of_head| of_head != name))
        {
            return Err(Reason::Vary);
        }
        if always_validate && !self.always_validate {
            return Err(Reason::NoCache);
        }
        Ok(())
    }

    /// Whether a response is of the same representation.
    pub(super) fn judge(&self, headers: &Headers) -> Proof {
        match self.strong.judge(headers) {
            // 8.4: the bytes are those of the coded representation.
            Proof::Same if codings(headers) != self.codings => Proof::Other,
            proof => proof,
        }
    }
}

impl Strong {
    fn of(headers: &Headers, date: Option<u64>) -> Option<Self> {
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

    fn judge(&self, headers: &Headers) -> Proof {
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

/// The codings of a response in their order, in lower case, separated by commas (8.4).
fn codings(headers: &Headers) -> Vec<u8> {
    let mut codings = Vec::new();
    let lines = headers.get_all("Content-Encoding");
    for member in lines.flat_map(|line| line.split(|&b| b == b',').map(trim_ows)) {
        let name = member.to_ascii_lowercase();
        // 8.4.1.1, 8.4.1.3: the old names mean the same.
        let name: &[u8] = match &*name {
            b"" | b"identity" => continue,
            b"x-gzip" => b"gzip",
            b"x-compress" => b"compress",
            name => name,
        };
        if !codings.is_empty() {
            codings.push(b',');
        }
        codings.extend_from_slice(name);
    }
    codings
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
