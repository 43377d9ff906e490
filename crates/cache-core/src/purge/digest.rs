//! The name of a tag or a group where its text would take too much room.

use std::fmt;

use md5::{Digest as _, Md5};

use super::labels::Site;

/// 64 bits of the MD5 of a tag or a group: records carry them, and so do purges. Two tags that share one are purged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(u64);

impl Digest {
    /// That of a tag. Tags belong to the cache, not to a site.
    #[must_use]
    pub fn of_tag(tag: &[u8]) -> Self {
        Self::of(&[b"tag", tag])
    }

    /// That of a group, which belongs to an origin (RFC 9875 2.1).
    #[must_use]
    pub fn of_group(origin: &Site, group: &[u8]) -> Self {
        Self::of(&[b"group", origin.text().as_bytes(), group])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Md5::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let bytes: [u8; 16] = hash.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = bytes;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Reads what `Display` writes, and nothing else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.iter().all(is_hex) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        u64::from_str_radix(text, 16).ok().map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
