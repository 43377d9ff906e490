//! Which responses are stored compressed: `redis_cache_compress`.

use super::{CONTENT_ENCODING, ContentCoding, forbids_transforming, is_of_bytes};
use crate::headers::{Headers, is_token, trim_ows};

/// Statuses whose bodies are compressed: those of nginx's gzip filter.
const STATUSES: [u16; 3] = [200, 403, 404];

/// Bytes below which a body stays as it is, unless `min=` says otherwise: it fits into one packet anyway.
const MIN: u64 = 1024;

/// What is text, unless `types=` says otherwise.
const TYPES: &[&[u8]] = &[
    b"text/*",
    b"application/json",
    b"application/javascript",
    b"application/x-javascript",
    b"application/xml",
    b"application/wasm",
    b"application/vnd.ms-fontobject",
    b"*+json",
    b"*+xml",
    b"font/otf",
    b"font/ttf",
    b"image/bmp",
    b"image/vnd.microsoft.icon",
    b"image/x-icon",
];

/// `redis_cache_compress gzip|zstd`: what is compressed, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compress {
    coding: ContentCoding,
    /// From so many bytes on.
    min: u64,
    /// The level of the coding's library, from 1 on.
    level: u8,
    /// Types in lower case; `*` before or behind stands for any text.
    types: Vec<Box<[u8]>>,
}

/// What is wrong with an option of `redis_cache_compress`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadOption {
    /// No coding is called so.
    Coding(String),
    /// No option is written so.
    Option(String),
    /// It is no size.
    Min(String),
    /// It is no level of the coding, which has those from 1 to this one.
    Level(String, u8),
    /// It is no media type.
    Type(String),
    /// It stands twice.
    Twice(String),
}

impl Compress {
    /// Reads `gzip|zstd|off [min=SIZE] [level=N] [types=TYPE,...]`; `off` stands alone. `size` reads a SIZE. `None`: nothing is compressed.
    ///
    /// # Errors
    ///
    /// [`BadOption`] names the first word that isn't understood.
    pub fn parse(
        words: &[&[u8]],
        size: impl Fn(&[u8]) -> Option<u64>,
    ) -> Result<Option<Self>, BadOption> {
        let (coding, options) = match words {
            [coding, options @ ..] => (*coding, options),
            [] => (&b""[..], &[][..]),
        };
        if coding == b"off" {
            return match options.first() {
                Some(option) => Err(BadOption::Option(readable(option))),
                None => Ok(None),
            };
        }
        let coding =
            ContentCoding::of(coding).ok_or_else(|| BadOption::Coding(readable(coding)))?;
        let (mut min, mut level, mut types) = (None, None, None);
        for option in options {
            let is_first = if let Some(text) = option.strip_prefix(b"min=") {
                let bytes = size(text).ok_or_else(|| BadOption::Min(readable(option)))?;
                min.replace(bytes).is_none()
            } else if let Some(text) = option.strip_prefix(b"level=") {
                let most = coding.most_level();
                let number = parse_level(text, most)
                    .ok_or_else(|| BadOption::Level(readable(option), most))?;
                level.replace(number).is_none()
            } else if let Some(list) = option.strip_prefix(b"types=") {
                types.replace(parse_types(list)?).is_none()
            } else {
                return Err(BadOption::Option(readable(option)));
            };
            if !is_first {
                return Err(BadOption::Twice(readable(option)));
            }
        }
        let standard = || TYPES.iter().map(|&name| name.into()).collect();
        Ok(Some(Self {
            coding,
            min: min.unwrap_or(MIN),
            level: level.unwrap_or(coding.level()),
            types: types.unwrap_or_else(standard),
        }))
    }

    /// The coding.
    #[must_use]
    pub fn coding(&self) -> ContentCoding {
        self.coding
    }

    /// The level of its library, from 1 on.
    #[must_use]
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Whether a response is to be compressed that has this header and a body of so many bytes; `None`: it isn't known yet how many.
    #[must_use]
    pub fn applies(&self, status: u16, headers: &Headers, length: Option<u64>) -> bool {
        STATUSES.contains(&status)
            && length.is_none_or(|length| self.is_long_enough(length))
            && self.has_type(headers)
            // The backend has coded it, or says that it has not: its word is kept.
            && !headers.contains(CONTENT_ENCODING)
            && !headers.contains("Content-Range")
            && !forbids_transforming(headers)
            && !headers.iter().any(is_of_bytes)
    }

    /// Whether a body of so many bytes is to be compressed.
    #[must_use]
    pub fn is_long_enough(&self, length: u64) -> bool {
        length >= self.min
    }

    /// Whether a body of so many bytes is worth to be stored as so many. A tenth less at least: decoding it costs something.
    #[must_use]
    pub fn is_worth_it(length: u64, coded: u64) -> bool {
        coded <= length - length / 10
    }

    fn has_type(&self, headers: &Headers) -> bool {
        let mut values = headers.get_all("Content-Type");
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let name = value.split(|&b| b == b';').next().unwrap_or_default();
        let name = trim_ows(name).to_ascii_lowercase();
        self.types.iter().any(|pattern| matches(pattern, &name))
    }
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [b'*', end @ ..] => name.ends_with(end),
        [start @ .., b'*'] => name.starts_with(start),
        _ => name == pattern,
    }
}

fn parse_level(text: &[u8], most: u8) -> Option<u8> {
    let is_number = text.first() != Some(&b'0') && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| is_number)?;
    text.parse().ok().filter(|level| (1..=most).contains(level))
}

fn parse_types(list: &[u8]) -> Result<Vec<Box<[u8]>>, BadOption> {
    list.split(|&b| b == b',')
        .map(|name| {
            if is_pattern(name) {
                Ok(name.to_ascii_lowercase().into())
            } else {
                Err(BadOption::Type(readable(name)))
            }
        })
        .collect()
}

/// Whether it is a media type (RFC 9110 8.3.1), or `*`, `text/*` or `*+json`, and the like.
fn is_pattern(name: &[u8]) -> bool {
    if name == b"*" {
        return true;
    }
    let parts: Vec<&[u8]> = name.split(|&b| b == b'/').collect();
    let stars = name.iter().filter(|&&b| b == b'*').count();
    match parts.as_slice() {
        [kind, b"*"] => is_token(kind) && stars == 1,
        [kind, subtype] => is_token(kind) && is_token(subtype) && stars == 0,
        [suffix] => suffix.starts_with(b"*+") && is_token(suffix) && stars == 1,
        _ => false,
    }
}

fn readable(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}
