//! The headers of a record: a JSON object, name to value or to an array of values, as the Lua script's
//! cjson writes and reads it. Its strings are bytes: what isn't UTF-8 stands in them raw.

mod plain;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::headers::{Header, Headers, MAX_HEADER_BYTES, MAX_HEADER_LINES};

/// The longest text that is looked at, so that reading one never takes long: the largest headers, each byte
/// of them escaped, and what JSON has between them.
pub(super) const MAX_TEXT: usize = 6 * MAX_HEADER_BYTES + 6 * MAX_HEADER_LINES + 2;

/// Reads the object. Lines are slices of `text` where nothing was escaped.
///
/// # Errors
///
/// The parser's message: bad JSON, a value that is no string, number or flat array of those, more than
/// [`MAX_HEADER_LINES`] lines.
pub(super) fn decode_headers(text: &Bytes) -> Result<Headers, serde_json::Error> {
    if let Some(headers) = plain::read(text) {
        return Ok(headers);
    }
    match std::str::from_utf8(text) {
        Ok(json) => parse(json, Backing::Shared(text)),
        Err(_) => parse(&escape_raw_bytes(text), Backing::Escaped),
    }
}

fn parse(json: &str, backing: Backing<'_>) -> Result<Headers, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(json);
    let headers = parser.deserialize_map(Object(backing))?;
    parser.end()?;
    Ok(headers)
}

/// serde_json reads a string of raw bytes only where it is told that a string comes, but a value may be
/// a number too. So bytes that aren't UTF-8 travel as the last characters of the last private-use
/// plane, U+10FF80 to U+10FFFF, which have no other use; those characters themselves travel byte by
/// byte, so that they come back.
fn escape_raw_bytes(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            if raw_byte(c).is_none() {
                escaped.push(c);
            } else {
                let mut utf8 = [0; 4];
                escaped.extend(c.encode_utf8(&mut utf8).bytes().filter_map(carrier));
            }
        }
        escaped.extend(chunk.invalid().iter().copied().filter_map(carrier));
    }
    escaped
}

const CARRIERS: u32 = 0x10_ff00;

fn carrier(byte: u8) -> Option<char> {
    char::from_u32(CARRIERS + u32::from(byte))
}

fn raw_byte(c: char) -> Option<u8> {
    u8::try_from(u32::from(c).checked_sub(CARRIERS)?)
        .ok()
        .filter(|byte| !byte.is_ascii())
}

/// Where a parsed string's bytes come from.
#[derive(Clone, Copy)]
enum Backing<'a> {
    /// The record's own bytes: a string without escapes is a slice of them.
    Shared(&'a Bytes),
    /// A copy made by [`escape_raw_bytes`].
    Escaped,
}

impl Backing<'_> {
    fn borrowed(self, text: &str) -> Bytes {
        match self {
            Self::Shared(all) => all.slice_ref(text.as_bytes()),
            Self::Escaped => self.owned(Cow::Borrowed(text)),
        }
    }

    fn owned(self, text: Cow<'_, str>) -> Bytes {
        match self {
            Self::Shared(_) => terminated(text.into_owned().into_bytes()),
            Self::Escaped => {
                let mut bytes = Vec::with_capacity(text.len() + 1);
                for c in text.chars() {
                    match raw_byte(c) {
                        Some(byte) => bytes.push(byte),
                        None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    }
                }
                terminated(bytes)
            }
        }
    }
}

/// A text with a NUL behind it: parsers of header values in nginx look a few bytes ahead. A slice of JSON has a
/// quotation mark there.
fn terminated(mut text: Vec<u8>) -> Bytes {
    let length = text.len();
    text.push(0);
    let mut text = Bytes::from(text);
    text.truncate(length);
    text
}

/// The object.
struct Object<'a>(Backing<'a>);

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of headers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
        let mut headers = Headers::with_capacity(16);
        while let Some(name) = map.next_key_seed(Scalar(self.0))? {
            map.next_value_seed(Lines {
                backing: self.0,
                name,
                headers: &mut headers,
            })?;
        }
        Ok(headers)
    }
}

/// One string or number.
struct Scalar<'a>(Backing<'a>);

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = Bytes;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Bytes, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Bytes, E> {
        Ok(self.0.borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Bytes, E> {
        Ok(self.0.owned(Cow::Borrowed(text)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(
            itoa::Buffer::new().format(number).as_bytes(),
        ))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Bytes, E> {
        Ok(Bytes::copy_from_slice(
            itoa::Buffer::new().format(number).as_bytes(),
        ))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Bytes, E> {
        Ok(Bytes::from(number.to_string()))
    }
}

/// The value of one name: a scalar, or an array of them, one line each. No array in an array, so depth is
/// bounded by construction.
struct Lines<'a> {
    backing: Backing<'a>,
    name: Bytes,
    headers: &'a mut Headers,
}

impl Lines<'_> {
    fn push<E: Error>(&mut self, value: Bytes) -> Result<(), E> {
        if self.headers.len() >= MAX_HEADER_LINES {
            return Err(E::custom("too many header lines"));
        }
        self.headers.push(self.name.clone(), value);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Lines<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Lines<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or an array of those")
    }

    fn visit_borrowed_str<E: Error>(mut self, text: &'de str) -> Result<(), E> {
        let value = Scalar(self.backing).visit_borrowed_str(text)?;
        self.push(value)
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        let value = Scalar(self.backing).visit_str(text)?;
        self.push(value)
    }

    fn visit_u64<E: Error>(mut self, number: u64) -> Result<(), E> {
        let value = Scalar(self.backing).visit_u64(number)?;
        self.push(value)
    }

    fn visit_i64<E: Error>(mut self, number: i64) -> Result<(), E> {
        let value = Scalar(self.backing).visit_i64(number)?;
        self.push(value)
    }

    fn visit_f64<E: Error>(mut self, number: f64) -> Result<(), E> {
        let value = Scalar(self.backing).visit_f64(number)?;
        self.push(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        while let Some(value) = array.next_element_seed(Scalar(self.backing))? {
            self.push(value)?;
        }
        Ok(())
    }
}

/// Writes the object as the Lua script reads it: lines of one name become one array, in order, where the
/// first of them stood; Content-Length is a number; bytes from 0x80 up pass as they are.
#[must_use]
pub fn encode_headers(headers: &Headers) -> Vec<u8> {
    let size: usize = headers
        .iter()
        .map(|header| header.name.len() + header.value.len() + 6)
        .sum();
    let mut json = Vec::with_capacity(size + 2);
    json.push(b'{');
    for (at, header) in headers.iter().enumerate() {
        if headers.iter().take(at).any(|seen| seen.is(&header.name)) {
            continue;
        }
        if json.len() > 1 {
            json.push(b',');
        }
        push_string(&mut json, &header.name);
        json.push(b':');
        let rest = headers.iter().skip(at + 1);
        let mut more = rest.filter(|other| other.is(&header.name)).peekable();
        if more.peek().is_none() {
            push_value(&mut json, header);
            continue;
        }
        json.push(b'[');
        push_value(&mut json, header);
        for other in more {
            json.push(b',');
            push_value(&mut json, other);
        }
        json.push(b']');
    }
    json.push(b'}');
    json
}

fn push_value(json: &mut Vec<u8>, header: &Header) {
    if header.is(b"Content-Length") && is_json_integer(&header.value) {
        json.extend_from_slice(&header.value);
    } else {
        push_string(json, &header.value);
    }
}

/// Digits that JSON and Lua's numbers (exact to 2^53) hold unchanged.
fn is_json_integer(text: &[u8]) -> bool {
    match text {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 15 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn push_string(json: &mut Vec<u8>, text: &[u8]) {
    json.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            0..=0x1f | 0x7f => {
                json.extend_from_slice(b"\\u00");
                json.extend_from_slice(crate::hex::encode(&[byte]).as_bytes());
            }
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}
