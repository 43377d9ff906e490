//! Records whose body is stored compressed, and what each client gets of them: `redis_cache_compress`.
//!
//! # Design
//!
//! **What is stored.** The field `body` is gzip (RFC 1952) or one frame of zstd (RFC 8878) with a checksum. The field `headers` describes just that:
//! `Content-Encoding`, the length of the compressed body, `Vary: Accept-Encoding`, and a weak ETag. The field `meta` says
//! ` coded=<coding>:<length>`: this cache has compressed it, so many bytes the body was before, and what is to be undone in the header.
//!
//! Whoever reads the record and knows nothing of `coded`, or not of its coding, is safe: the Lua script sends a response that is
//! labelled right, though to clients that haven't asked for it; an older version of this module finds a Vary for which the
//! record names no variant, takes that for no record, and fills the key anew. Neither ever sends compressed bytes as if they were plain.
//!
//! **What is read.** [`Coded::restored`] gives the header as the backend sent it, so that all that judges a record (freshness, Vary,
//! validation, conditions) sees the backend's own. The form that a client gets is made when the response is sent:
//! [`Coded::headers`]. A body that was compressed here, and one that the backend compressed, are told apart by `coded` alone: the
//! backend's own Content-Encoding is never touched, nor is a record compressed that has one. The record says its coding: what
//! the directive says now is of no account.
//!
//! **Two forms.** Coded, as it is stored: weak ETag, the length of the compressed body, no ranges. Identity, decoded on the way: the
//! backend's ETag, the length of the plain body, ranges of it. Both say `Vary: Accept-Encoding`. A strong validator names
//! the bytes of one form (RFC 9110 8.8.3.3), hence the weak one of the coded form. What is no entity tag, since it has no quotes, isn't sent with the coded
//! form, but stored with it: the identity form has it. nginx's gzip filter does the same.
//! There is no third form: zstd isn't made gzip for a client that accepts that alone. nginx's gzip filter may do so with the identity form.
//!
//! **Conditions** are evaluated by the backend's validators, before a form is chosen, as nginx does: its gzip filter is behind its
//! conditions. If-None-Match compares weakly, so that the tags of both forms match. If-Match and If-Range compare strongly, so
//! that only the tag of the identity form matches: If-Range with the weak tag gets the whole (RFC 9110 13.1.5). So does If-Range with
//! a date, whatever the client accepts: both forms have it, and it isn't known which one the client has a part of (8.8.1).
//!
//! **A range** that applies is cut from the identity form, unless the client refuses it. Parts of the coded form would be of no use: its
//! validator is weak, and clients must not combine parts by such (RFC 9110 15.3.7.3).
//!
//! **What isn't compressed**: see [`Compress::applies`]. Among it are responses with a digest (RFC 9530) or a signature: sums are over
//! the coded bytes, so that those of the plain body would be wrong for the other form, and the field `headers` couldn't be right
//! for both kinds of reader. nginx's gzip filter leaves such fields as they are, which is wrong.
//!
//! **nginx's own filters.** Those that change text (`sub_filter`, `ssi`, `addition`) say so when they see the header, and get the plain
//! body then. The gzip filter leaves alone what has a Content-Encoding. The gunzip filter isn't
//! leaned on: it isn't in every build, must be switched on, and what it inflates has no length, no ranges, and a weak ETag.

use bytes::Bytes;

use crate::conditions::is_opaque_tag;
use crate::headers::{Header, Headers, trim_ows};

mod accepted;
mod compress;
mod decoder;
mod encoder;
mod gzip;
mod zstd;

pub use accepted::Accepted;
pub use compress::{BadOption, Compress};
pub use decoder::{Decoder, NotDecoded};
pub use encoder::{Encoder, KNOWN_LENGTH, NotEncoded};

/// Bytes of a piece that is made, at most.
const PIECE: usize = 32 << 10;

const ACCEPT_ENCODING: &[u8] = b"Accept-Encoding";
const CONTENT_ENCODING: &[u8] = b"Content-Encoding";
const CONTENT_LENGTH: &[u8] = b"Content-Length";
const ETAG: &[u8] = b"ETag";
const VARY: &[u8] = b"Vary";
const WEAK: &[u8] = b"W/";

/// A coding in which bodies are stored (RFC 9110 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl ContentCoding {
    const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// The one of this name. `None`: it isn't one of those in which bodies are stored.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|coding| coding.name().as_bytes() == name)
    }

    /// Its name in HTTP, in the field `meta` and in the directive.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The level at which bodies are compressed, unless the directive says otherwise.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::Gzip => gzip::LEVEL,
            Self::Zstd => zstd::LEVEL,
        }
    }

    /// The highest level; the lowest is 1.
    #[must_use]
    pub const fn most_level(self) -> u8 {
        match self {
            Self::Gzip => gzip::MOST_LEVEL,
            Self::Zstd => zstd::MOST_LEVEL,
        }
    }

    /// Whether a body in one piece may be in this coding, and of so many bytes when it is decoded, by its ends: a look at each record, where
    /// it is read.
    #[must_use]
    pub fn is_plausible(self, body: &[u8], length: u64) -> bool {
        match self {
            Self::Gzip => gzip::is_plausible(body, length),
            Self::Zstd => zstd::is_plausible(body, length),
        }
    }
}

/// What a step of a library has come to.
struct Step {
    /// How many bytes of the input it took.
    taken: usize,
    /// Whether the body is complete.
    ended: bool,
}

/// In which form a client gets a compressed record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is stored.
    Coded,
    /// Decoded.
    Identity,
}

impl Form {
    /// The one for a client, of a record in this coding. `ranged`: it asks for a range, which applies. `headers`: as the backend
    /// sent them.
    #[must_use]
    pub fn of(headers: &Headers, coding: ContentCoding, accepted: Accepted, ranged: bool) -> Self {
        // A 304 may have said so after the record was compressed (RFC 9111 5.2.2.6).
        if forbids_transforming(headers) {
            Self::Identity
        } else {
            Self::preferred(coding, accepted, ranged)
        }
    }

    /// The same of a response that may be sent in both forms.
    #[must_use]
    pub fn preferred(coding: ContentCoding, accepted: Accepted, ranged: bool) -> Self {
        if accepted.prefers(coding) && !(ranged && accepted.takes_identity()) {
            Self::Coded
        } else {
            Self::Identity
        }
    }
}

/// That this cache has compressed a record, and what that has changed in its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coded {
    /// In which coding.
    pub coding: ContentCoding,
    /// Bytes of the body before.
    pub length: u64,
    /// Whether the ETag was strong, and is weak now.
    pub strong: bool,
    /// Whether a line `Vary: Accept-Encoding` was added.
    pub varies: bool,
}

impl Coded {
    /// What compressing changes in this header, of a body of so many bytes.
    #[must_use]
    pub fn of(coding: ContentCoding, headers: &Headers, length: u64) -> Self {
        let tag = headers.get(ETAG);
        Self {
            coding,
            length,
            strong: tag.is_some_and(is_opaque_tag),
            varies: !varies_on_coding(headers),
        }
    }

    /// The header of a form as a client gets it, of which the body has so many bytes. `headers`: as the backend sent them.
    #[must_use]
    pub fn headers(&self, headers: &Headers, form: Form, length: u64) -> Headers {
        // Without quotes it is no entity tag (RFC 9110 8.8.3), and can't be made a weak one: nginx's gzip filter drops it, too.
        let can_be_weak =
            |line: &Header| line.value.starts_with(WEAK) || is_opaque_tag(&line.value);
        let is_sent = |line: &Header| form == Form::Identity || !line.is(ETAG) || can_be_weak(line);
        self.lines(headers.iter().filter(|line| is_sent(line)), form, length)
    }

    /// The header of the coded form as it is stored, of which the body has so many bytes. `headers`: as the backend sent them, which
    /// [`Coded::restored`] gives back.
    #[must_use]
    pub fn stored(&self, headers: &Headers, length: u64) -> Headers {
        self.lines(headers.iter(), Form::Coded, length)
    }

    fn lines<'a>(
        &self,
        headers: impl Iterator<Item = &'a Header>,
        form: Form,
        length: u64,
    ) -> Headers {
        let mut lines = Headers::with_capacity(headers.size_hint().1.unwrap_or(0) + 2);
        for line in headers {
            if line.is(CONTENT_LENGTH) {
                lines.push(line.name.clone(), length.to_string());
            } else if form == Form::Coded && self.strong && line.is(ETAG) {
                lines.push(line.name.clone(), [WEAK, &line.value].concat());
            } else if form == Form::Identity || !is_of_bytes(line) {
                lines.push(line.name.clone(), line.value.clone());
            }
        }
        if self.varies {
            lines.push(
                Bytes::from_static(VARY),
                Bytes::from_static(ACCEPT_ENCODING),
            );
        }
        if form == Form::Coded {
            lines.push(
                Bytes::from_static(CONTENT_ENCODING),
                Bytes::from_static(self.coding.name().as_bytes()),
            );
        }
        lines
    }

    /// The header as the backend sent it, of the one that is stored. `None` if that isn't what [`Coded::stored`] has made.
    #[must_use]
    pub fn restored(&self, stored: Headers) -> Option<Headers> {
        // In the store lines of one name stand together.
        let mut lines: Vec<Header> = stored.into_iter().collect();
        take(&mut lines, CONTENT_ENCODING, self.coding.name().as_bytes())?;
        if self.varies {
            take(&mut lines, VARY, ACCEPT_ENCODING)?;
        }
        for line in &mut lines {
            if line.is(CONTENT_LENGTH) {
                line.value = self.length.to_string().into();
            } else if self.strong && line.is(ETAG) {
                line.value = line.value.slice_ref(line.value.strip_prefix(WEAK)?);
            } else if line.is(CONTENT_ENCODING) {
                return None;
            }
        }
        Some(lines.into_iter().collect())
    }

    /// The identity form of a header without the Vary that [`Coded::headers`] has added to it.
    #[must_use]
    pub fn without_vary(&self, headers: Headers) -> Headers {
        let mut lines: Vec<Header> = headers.into_iter().collect();
        if self.varies {
            let _ = take(&mut lines, VARY, ACCEPT_ENCODING);
        }
        lines.into_iter().collect()
    }

    /// Appends ` coded=<coding>:<length>`, and `:etag` and `:vary` where that was changed.
    pub(crate) fn encode(&self, text: &mut Vec<u8>) {
        text.extend_from_slice(b" coded=");
        text.extend_from_slice(self.coding.name().as_bytes());
        text.push(b':');
        text.extend_from_slice(itoa::Buffer::new().format(self.length).as_bytes());
        for (changed, what) in [(self.strong, b":etag"), (self.varies, b":vary")] {
            if changed {
                text.extend_from_slice(what);
            }
        }
    }

    /// Reads what stands behind ` coded=`. `None` for what this version doesn't know: the record can't be used then.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|&b| b == b':');
        let coding = ContentCoding::of(parts.next()?)?;
        let digits = parts.next()?;
        // With so few digits nothing overflows.
        let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
        let mut coded = Self {
            coding,
            length: digits.parse().ok()?,
            strong: false,
            varies: false,
        };
        for part in parts {
            match part {
                b"etag" => coded.strong = true,
                b"vary" => coded.varies = true,
                _ => return None,
            }
        }
        Some(coded)
    }
}

/// The header of the plain form of a response that has no compressed form yet.
#[must_use]
pub fn with_vary(headers: &Headers) -> Headers {
    let mut lines = headers.clone();
    if !varies_on_coding(headers) {
        lines.push(
            Bytes::from_static(VARY),
            Bytes::from_static(ACCEPT_ENCODING),
        );
    }
    lines
}

/// Takes the last line of this name and value away, which was added. `None` if there is none.
fn take(lines: &mut Vec<Header>, name: &[u8], value: &[u8]) -> Option<()> {
    let is_it = |line: &Header| line.name == name && line.value == value;
    let at = lines.iter().rposition(is_it)?;
    lines.remove(at);
    Some(())
}

/// Whether a field speaks of the very bytes that are sent, sums and signatures among it: Content-MD5 (RFC 2616 14.15), Digest (RFC
/// 3230), Content-Digest and Repr-Digest (RFC 9530), Signature and Signature-Input (RFC 9421).
fn is_of_bytes(line: &Header) -> bool {
    const FIELDS: [&[u8]; 6] = [
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
        b"signature",
        b"signature-input",
    ];
    FIELDS.iter().any(|field| line.is(field))
}

/// Whether `Vary` names Accept-Encoding, or everything.
fn varies_on_coding(headers: &Headers) -> bool {
    headers
        .get_all(VARY)
        .flat_map(members)
        .any(|name| name == b"*" || name.eq_ignore_ascii_case(ACCEPT_ENCODING))
}

/// Whether Cache-Control says `no-transform` (RFC 9111 5.2.2.6), with an argument or without.
#[must_use]
pub fn forbids_transforming(headers: &Headers) -> bool {
    headers
        .get_all("Cache-Control")
        .flat_map(members)
        .filter_map(|directive| directive.split(|&b| b == b'=').next())
        .any(|name| trim_ows(name).eq_ignore_ascii_case(b"no-transform"))
}

/// The members of a list. One within a quoted string counts as well: in doubt nothing is done.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b',').map(trim_ows)
}
