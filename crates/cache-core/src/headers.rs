//! Header lines of a response, as a cache keeps them: ordered, repeated lines apart, values as bytes.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

/// Most header lines that a stored response may have. nginx itself takes no more than fits into
/// `proxy_buffer_size`; the cap is for records that somebody else wrote.
pub const MAX_HEADER_LINES: usize = 1000;

/// Most bytes that names and values of a stored response may have together. A backend's header is bounded by
/// `proxy_buffer_size`, some kilobytes; nobody's clients take this much.
pub const MAX_HEADER_BYTES: usize = 256 << 10;

/// One header line (RFC 9110 5.1, 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Field name, spelt as the backend spelt it.
    pub name: Bytes,
    /// Field value: any bytes, not necessarily UTF-8.
    pub value: Bytes,
}

/// Header lines in the order in which they came. Lines of the same name stay apart and in order
/// (RFC 9110 5.3); names are compared without regard to case (5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No lines.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// No lines yet, with room for `lines`.
    #[must_use]
    pub fn with_capacity(lines: usize) -> Self {
        Self(Vec::with_capacity(lines))
    }

    /// Appends a line; an earlier line of the same name stays.
    pub fn push(&mut self, name: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.0.push(Header {
            name: name.into(),
            value: value.into(),
        });
    }

    /// The lines, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// Value of the first line of this name.
    #[must_use]
    pub fn get(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        self.iter()
            .find(|header| header.is(name.as_ref()))
            .map(|header| header.value.as_ref())
    }

    /// Values of all lines of this name, in order.
    pub fn get_all<'a, N>(&'a self, name: &'a N) -> impl Iterator<Item = &'a [u8]>
    where
        N: AsRef<[u8]> + ?Sized,
    {
        self.iter()
            .filter(move |header| header.is(name.as_ref()))
            .map(|header| header.value.as_ref())
    }

    /// Whether there is a line of this name.
    #[must_use]
    pub fn contains(&self, name: impl AsRef<[u8]>) -> bool {
        self.get(name).is_some()
    }

    /// Whether there is what tells one representation from another (RFC 9110 8.8).
    #[must_use]
    pub fn has_validator(&self) -> bool {
        self.contains("ETag") || self.contains("Last-Modified")
    }

    /// Number of lines.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every line can be sent to a client as it stands.
    ///
    /// # Errors
    ///
    /// The first fault found: a response with it is neither stored nor read from the store.
    pub fn check(&self) -> Result<(), HeaderFault> {
        if self.len() > MAX_HEADER_LINES {
            return Err(HeaderFault::TooMany);
        }
        let bytes: usize = self
            .iter()
            .map(|header| header.name.len() + header.value.len())
            .sum();
        if bytes > MAX_HEADER_BYTES {
            return Err(HeaderFault::TooLarge);
        }
        self.iter().try_for_each(Header::check)
    }
}

impl Header {
    /// Whether the line has this name (RFC 9110 5.1).
    #[must_use]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn check(&self) -> Result<(), HeaderFault> {
        if !is_token(&self.name) {
            return Err(HeaderFault::Name);
        }
        // RFC 9110 5.5: these three are dangerous, other control characters merely invalid.
        if memchr::memchr3(b'\r', b'\n', 0, &self.value).is_some() {
            return Err(HeaderFault::Value);
        }
        Ok(())
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(lines: I) -> Self {
        Self(lines.into_iter().collect())
    }
}

impl IntoIterator for Headers {
    type Item = Header;
    type IntoIter = std::vec::IntoIter<Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Why header lines can't be sent as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// A name that is no token (RFC 9110 5.1).
    Name,
    /// A value with CR, LF or NUL (RFC 9110 5.5): it would split the response.
    Value,
    /// More than [`MAX_HEADER_LINES`] lines.
    TooMany,
    /// More than [`MAX_HEADER_BYTES`] bytes.
    TooLarge,
}

impl HeaderFault {
    /// The fault as a phrase for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "header name is no token",
            Self::Value => "header value with CR, LF or NUL",
            Self::TooMany => "too many header lines",
            Self::TooLarge => "headers too large",
        }
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Error for HeaderFault {}

/// Whether `bytes` is a token (RFC 9110 5.6.2): a field name, a method, a connection option.
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    let may_stand = |byte: &u8| TOKEN.get(usize::from(*byte)) == Some(&true);
    !bytes.is_empty() && bytes.iter().all(may_stand)
}

/// Which bytes a token may have. Every hit asks it of each name.
#[expect(clippy::indexing_slicing, reason = "there is a place for each byte")]
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut marks: &[u8] = b"!#$%&'*+-.^_`|~0123456789\
        ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    while let [mark, rest @ ..] = marks {
        table[*mark as usize] = true;
        marks = rest;
    }
    table
};

/// `bytes` without the blanks and tabs at either end (OWS, RFC 9110 5.6.3).
#[must_use]
pub fn trim_ows(bytes: &[u8]) -> &[u8] {
    let mut rest = trim_ows_start(bytes);
    while let [head @ .., b' ' | b'\t'] = rest {
        rest = head;
    }
    rest
}

/// `bytes` without the blanks and tabs in front.
#[must_use]
pub fn trim_ows_start(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while let [b' ' | b'\t', tail @ ..] = rest {
        rest = tail;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_order_and_names_ignore_case() {
        let mut headers = Headers::new();
        headers.push("Link", "a");
        headers.push("ETag", "\"x\"");
        headers.push("link", "b");
        assert_eq!(headers.get("LINK"), Some(&b"a"[..]));
        assert_eq!(
            headers.get_all("Link").collect::<Vec<_>>(),
            [&b"a"[..], b"b"]
        );
        assert!(headers.contains(b"etag"));
        assert!(!headers.contains("eta"));
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn check_finds_what_would_split_a_response() {
        let cases: [(&'static str, &'static str, Result<(), HeaderFault>); 8] = [
            ("X-A", "plain", Ok(())),
            ("X-A", "", Ok(())),
            ("X-A", "tab\there", Ok(())),
            ("", "v", Err(HeaderFault::Name)),
            ("X A", "v", Err(HeaderFault::Name)),
            ("X:A", "v", Err(HeaderFault::Name)),
            ("X-A", "a\r\nSet-Cookie: b", Err(HeaderFault::Value)),
            ("X-A", "a\0b", Err(HeaderFault::Value)),
        ];
        for (name, value, wanted) in cases {
            let mut headers = Headers::new();
            headers.push(name, value);
            assert_eq!(headers.check(), wanted, "{name:?}: {value:?}");
        }
    }

    #[test]
    fn check_caps_the_number_of_lines() {
        let mut headers = Headers::new();
        for _ in 0..MAX_HEADER_LINES {
            headers.push("X", "y");
        }
        assert_eq!(headers.check(), Ok(()));
        headers.push("X", "y");
        assert_eq!(headers.check(), Err(HeaderFault::TooMany));
    }

    #[test]
    fn check_caps_the_bytes_of_all_lines() {
        let mut headers = Headers::new();
        headers.push("X", vec![b'y'; MAX_HEADER_BYTES / 2 - 1]);
        headers.push("X", vec![b'y'; MAX_HEADER_BYTES / 2 - 1]);
        assert_eq!(headers.check(), Ok(()));
        headers.push("X", "");
        assert_eq!(headers.check(), Err(HeaderFault::TooLarge));
    }

    #[test]
    fn blanks_are_trimmed_at_both_ends_only() {
        for (text, wanted) in [("", ""), (" \t", ""), (" a b\t", "a b"), ("a", "a")] {
            assert_eq!(trim_ows(text.as_bytes()), wanted.as_bytes());
        }
    }
}
