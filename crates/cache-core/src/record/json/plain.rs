//! Headers as they are mostly stored, read in one pass: each hit from Redis reads them.

use bytes::Bytes;

use super::terminated;
use crate::headers::{Headers, MAX_HEADER_LINES};

/// Reads an object as [`super::encode_headers`] writes it, and the script's cjson: no blanks between its parts, of
/// escapes the usual ones, integers of a few digits. `None` says nothing of the text: it may be headers in another form.
///
/// Lines are slices of `text` where nothing is escaped. Bytes that aren't UTF-8 are as good as others.
pub(super) fn read(text: &Bytes) -> Option<Headers> {
    let mut rest = Rest { text, bytes: text };
    let mut headers = Headers::with_capacity(16);
    rest.skip(b'{')?;
    loop {
        rest.skip(b'"')?;
        let name = rest.string()?;
        rest.skip(b':')?;
        if rest.skip(b'[').is_none() {
            push(&mut headers, name, rest.value()?)?;
        } else {
            loop {
                push(&mut headers, name.clone(), rest.value()?)?;
                match rest.next()? {
                    b',' => {}
                    b']' => break,
                    _ => return None,
                }
            }
        }
        match rest.next()? {
            b',' => {}
            b'}' => return rest.bytes.is_empty().then_some(headers),
            _ => return None,
        }
    }
}

fn push(headers: &mut Headers, name: Bytes, value: Bytes) -> Option<()> {
    let has_room = headers.len() < MAX_HEADER_LINES;
    has_room.then(|| headers.push(name, value))
}

/// What hasn't been read.
struct Rest<'a> {
    text: &'a Bytes,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        self.bytes = self.bytes.strip_prefix(&[byte])?;
        Some(())
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A string, behind its first quotation mark.
    fn string(&mut self) -> Option<Bytes> {
        let string = self.take(plain_length(self.bytes))?;
        if self.skip(b'"').is_some() {
            return Some(self.text.slice_ref(string));
        }
        self.escaped(string)
    }

    /// The same behind its first part, where something is escaped: an ETag has quotation marks, and cjson escapes slashes.
    fn escaped(&mut self, first: &[u8]) -> Option<Bytes> {
        let mut string = Vec::with_capacity(first.len() + 64);
        string.extend_from_slice(first);
        loop {
            match self.next()? {
                b'"' => return Some(terminated(string)),
                b'\\' => match self.next()? {
                    escaped @ (b'"' | b'\\' | b'/') => string.push(escaped),
                    _ => return None,
                },
                _ => return None,
            }
            string.extend_from_slice(self.take(plain_length(self.bytes))?);
        }
    }

    /// A string or an integer.
    fn value(&mut self) -> Option<Bytes> {
        if self.skip(b'"').is_some() {
            return self.string();
        }
        let length = self.bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        match self.take(length)? {
            // Longer ones may not be what they say; JSON has no zeros before others.
            number @ [b'1'..=b'9', ..] if length < 16 => Some(self.text.slice_ref(number)),
            _ => None,
        }
    }
}

/// How many bytes come before a quotation mark, a backslash or a control character.
fn plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let found = ends(u64::from_le_bytes(*word));
        if found != 0 {
            return at * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().take_while(is_plain).count()
}

/// A bit for each byte of a word that ends a plain string, the highest of the byte. What is above the lowest such bit may
/// be wrong.
const fn ends(word: u64) -> u64 {
    let quote = less(word ^ (ONES * b'"' as u64), 1);
    let backslash = less(word ^ (ONES * b'\\' as u64), 1);
    (quote | backslash | less(word, 0x20)) & (ONES << 7)
}

/// A byte in each place.
const ONES: u64 = u64::from_le_bytes([1; 8]);

/// The highest bit of each ASCII byte that is less than this; other bits mean nothing.
const fn less(word: u64, than: u64) -> u64 {
    word.wrapping_sub(ONES * than) & !word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Backing, decode_headers, encode_headers, escape_raw_bytes, parse};
    use super::*;

    /// As the general parser reads it.
    fn parsed(text: &Bytes) -> Option<Headers> {
        match std::str::from_utf8(text) {
            Ok(json) => parse(json, Backing::Shared(text)).ok(),
            Err(_) => parse(&escape_raw_bytes(text), Backing::Escaped).ok(),
        }
    }

    #[test]
    fn what_is_written_is_read_at_once() {
        let mut headers = Headers::new();
        headers.push("Content-Type", "text/html; charset=utf-8");
        headers.push("Content-Length", "1024");
        headers.push("Set-Cookie", "a=1");
        headers.push("X-Empty", "");
        headers.push("ETag", r#"W/"a\b""#);
        headers.push("Set-Cookie", "b=2");
        headers.push("X-Raw", &b"\x80\xff \xc3\xa4"[..]);
        let text = Bytes::from(encode_headers(&headers));
        let read = read(&text);
        assert_eq!(read, parsed(&text));
        assert_eq!(read.map(|lines| lines.len()), Some(7));
    }

    #[test]
    fn other_texts_are_left_to_the_parser() {
        for text in [
            "",
            "{",
            "{}",
            r#"{"A":"b"} "#,
            r#"{"A":"b"}}"#,
            r#"{"A": "b"}"#,
            r#"{"A":"b\nc"}"#,
            r#"{"A":"b\"}"#,
            r#"{"A\u0041":"b"}"#,
            "{\"A\":\"b\tc\"}",
            r#"{"A":01}"#,
            r#"{"A":-1}"#,
            r#"{"A":1.5}"#,
            r#"{"A":1e3}"#,
            r#"{"A":12345678901234567890}"#,
            r#"{"A":[]}"#,
            r#"{"A":["b",]}"#,
            r#"{"A":[["b"]]}"#,
            r#"{"A":null}"#,
            r#"{"A":"b""#,
            r#"{"A":"b"#,
            r#"{"A":"b",}"#,
            r#"{A:"b"}"#,
        ] {
            assert_eq!(read(&Bytes::from(text)), None, "{text}");
        }
        let many = vec!["\"x\""; MAX_HEADER_LINES + 1].join(",");
        let text = Bytes::from(format!("{{\"A\":[{many}]}}"));
        assert_eq!(read(&text), None);
        assert!(decode_headers(&text).is_err());
    }

    #[test]
    fn a_string_ends_at_any_place() {
        for end in [b'"', b'\\', 0x1f, 0, b'\n'] {
            for length in 0..20 {
                let text = [&b"#".repeat(length)[..], &[end], b"####"].concat();
                assert_eq!(plain_length(&text), length, "{end} {length}");
            }
        }
        let plain: Vec<u8> = (0x20..=0xff).filter(|b| !b"\"\\".contains(b)).collect();
        assert_eq!(plain_length(&plain), plain.len());
    }

    proptest! {
        #[test]
        fn it_reads_as_the_parser_does(text in r#"\{("[A-Za\\]{0,3}":("[b "/\\\x00-\x30\x80-\xff]{0,12}"|[0-9]{0,17}|\[("x"|,|[0-9]|"y z","z"){0,4}\]),?){1,4}\}?"#) {
            let text = Bytes::from(text.into_bytes());
            if let Some(headers) = read(&text) {
                prop_assert_eq!(Some(headers), parsed(&text));
            }
        }

        #[test]
        fn bytes_are_read_as_the_parser_does(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = Bytes::from([b"{\"A\":\"", &value[..], b"\"}"].concat());
            if let Some(headers) = read(&text) {
                prop_assert_eq!(Some(headers), parsed(&text));
            }
        }
    }
}
