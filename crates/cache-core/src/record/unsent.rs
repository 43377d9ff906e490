//! What a backend said beside the lines that its clients are sent, and that counts for the record.

use std::borrow::Cow;

use bytes::Bytes;

use crate::headers::{Headers, trim_ows};
use crate::hex;
use crate::ignore::Ignore;
use crate::phrase::Phrase;

/// What a backend said beside the lines that its clients are sent. It lives in the field `meta`, never in a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// Lines that nginx kept back (`proxy_hide_header`): they decide like any other.
    pub hidden: Headers,
    /// Fields that nginx was told not to heed (`proxy_ignore_headers`).
    pub ignored: Ignore,
    /// X-Accel-Limit-Rate: bytes per second for each client, 0 for no limit.
    pub limit_rate: Option<u64>,
    /// X-Accel-Charset.
    pub charset: Option<Bytes>,
    /// The phrase of its status line, where nginx wouldn't write the same by itself.
    pub phrase: Option<Phrase>,
}

impl Unsent {
    /// All that was said: the lines that are sent, and the hidden ones.
    #[must_use]
    pub fn with<'a>(&self, sent: &'a Headers) -> Cow<'a, Headers> {
        if self.hidden.is_empty() {
            return Cow::Borrowed(sent);
        }
        let all = sent.iter().chain(self.hidden.iter());
        Cow::Owned(all.cloned().collect())
    }

    /// What holds after a 304 that came with `news`; `sent` are its lines that are sent. The phrase of a 304 is its own.
    pub(crate) fn renewed(&self, news: &Self, sent: &Headers) -> Self {
        let said_anew = |name: &Bytes| news.hidden.contains(name) || sent.contains(name);
        let old = self.hidden.iter().filter(|line| !said_anew(&line.name));
        Self {
            hidden: old.chain(news.hidden.iter()).cloned().collect(),
            ignored: news.ignored,
            limit_rate: news.limit_rate.or(self.limit_rate),
            charset: news.charset.clone().or_else(|| self.charset.clone()),
            phrase: self.phrase.clone(),
        }
    }

    /// Appends what there is: ` hidden=<lines>`, ` ignored=<names>`, ` rate=<bytes>`, ` charset=<name>` and
    /// ` phrase=<text>`. In texts what isn't graphic, and `%`, is percent-encoded.
    pub(super) fn encode(&self, text: &mut Vec<u8>) {
        if !self.hidden.is_empty() {
            text.extend_from_slice(b" hidden=");
            for (at, line) in self.hidden.iter().enumerate() {
                if at > 0 {
                    text.extend_from_slice(b"%0A");
                }
                escape(text, &line.name);
                text.push(b':');
                escape(text, &line.value);
            }
        }
        let names = self.ignored.names();
        if !names.is_empty() {
            text.extend_from_slice(b" ignored=");
            text.extend_from_slice(names.join(",").as_bytes());
        }
        if let Some(rate) = self.limit_rate {
            text.extend_from_slice(b" rate=");
            text.extend_from_slice(itoa::Buffer::new().format(rate).as_bytes());
        }
        if let Some(charset) = &self.charset {
            text.extend_from_slice(b" charset=");
            escape(text, charset);
        }
        if let Some(phrase) = &self.phrase {
            text.extend_from_slice(b" phrase=");
            escape(text, phrase.rest());
        }
    }
}

/// Reads X-Accel-Limit-Rate as nginx does: a decimal number, else nothing.
#[must_use]
pub fn parse_rate(text: &[u8]) -> Option<u64> {
    let fits = (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text)
        .ok()
        .filter(|_| fits)?
        .parse()
        .ok()
}

/// Reads the lines of ` hidden=`. `None` if they aren't such, or couldn't be those of a response.
pub(super) fn parse_hidden(text: &[u8]) -> Option<Headers> {
    let mut headers = Headers::new();
    for line in unescape(text)?.split(|byte| *byte == b'\n') {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        let value = value.get(1..).unwrap_or_default();
        headers.push(
            Bytes::copy_from_slice(name),
            Bytes::copy_from_slice(trim_ows(value)),
        );
    }
    headers.check().is_ok().then_some(headers)
}

/// Reads the names of ` ignored=`. Those of a later version are left to it.
pub(super) fn parse_ignored(text: &[u8]) -> Ignore {
    text.split(|byte| *byte == b',')
        .filter_map(Ignore::named)
        .fold(Ignore::NONE, |all, one| all | one)
}

/// Reads ` charset=`.
pub(super) fn parse_charset(text: &[u8]) -> Option<Bytes> {
    unescape(text).map(Bytes::from)
}

/// Reads ` phrase=`. One that would split a response is none.
pub(super) fn parse_phrase(text: &[u8]) -> Option<Phrase> {
    Phrase::new(Bytes::from(unescape(text)?))
}

fn escape(text: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'%' {
            text.push(byte);
        } else {
            text.push(b'%');
            text.extend_from_slice(&hex::upper(byte));
        }
    }
}

fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(*rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unsent_is_read_as_it_was_written() {
        let mut hidden = Headers::new();
        hidden.push("Cache-Control", "private, max-age=60");
        hidden.push("X-Odd", &b"100% \xff:\t=x"[..]);
        hidden.push("X-Empty", "");
        let ignored = Ignore {
            set_cookie: true,
            vary: true,
            ..Ignore::NONE
        };
        let mut text = Vec::new();
        Unsent {
            hidden: hidden.clone(),
            ignored,
            limit_rate: Some(0),
            charset: Some(Bytes::from("koi8-r")),
            phrase: Phrase::of(200, b"200 100% fine"),
        }
        .encode(&mut text);
        assert_eq!(
            String::from_utf8(text).as_deref(),
            Ok(
                " hidden=Cache-Control:private,%20max-age=60%0AX-Odd:100%25%20%FF:%09=x%0AX-Empty: \
                ignored=set-cookie,vary rate=0 charset=koi8-r phrase=%20100%25%20fine"
            )
        );
        let lines = b"Cache-Control:private,%20max-age=60%0AX-Odd:100%25%20%FF:%09=x%0AX-Empty:";
        assert_eq!(parse_hidden(lines), Some(hidden));
        assert_eq!(parse_ignored(b"set-cookie,vary,later"), ignored);
        let phrase = parse_phrase(b"%20100%25%20fine");
        assert_eq!(phrase, Phrase::of(200, b"200 100% fine"));
    }

    #[test]
    fn a_phrase_that_would_split_a_response_is_none() {
        for text in ["%20a%0D%0AX:%20y", "%20a%0A", "%00", "%2", "%xy"] {
            assert_eq!(parse_phrase(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_confirmed_record_keeps_its_phrase() {
        let told = |status, line: &[u8]| Unsent {
            phrase: Phrase::of(status, line),
            ..Unsent::default()
        };
        let (held, news) = (told(200, b"200 Fine"), told(304, b"304 Still"));
        let renewed = held.renewed(&news, &Headers::new());
        assert_eq!(renewed.phrase, Phrase::of(200, b"200 Fine"));
        assert!(renewed.phrase.is_some());
    }

    #[test]
    fn lines_that_could_not_be_sent_are_refused() {
        for text in [
            "", "no-colon", "A:b%0", "A:b%xy", "A:b%0D", "A:b%00", ":b", "A b:c",
        ] {
            assert_eq!(parse_hidden(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn a_rate_is_a_number() {
        let cases = [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("off", None),
            ("", None),
            ("-1", None),
            ("1k", None),
            ("9999999999999999999", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(parse_rate(text.as_bytes()), wanted, "{text:?}");
        }
    }
}
