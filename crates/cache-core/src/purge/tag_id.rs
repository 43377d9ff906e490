//! What tags and groups are called in labels and entries: a digest, so that each takes the same room.

use md5::{Digest, Md5};

use crate::hex;
use crate::uri::Origin;

/// Digits of an identifier.
pub(super) const DIGITS: usize = 16;

/// A digest of a tag, or of a group and its origin, in 64 bits. Two that meet by chance are purged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(u64);

impl TagId {
    /// Of a tag, whatever origin it has. Case matters.
    #[must_use]
    pub fn of_tag(tag: &[u8]) -> Self {
        Self::of(&[b"tag ", tag])
    }

    /// Of a group, which belongs to its origin (RFC 9875 2.1). Case matters.
    #[must_use]
    pub fn of_group(origin: &Origin, group: &[u8]) -> Self {
        // an origin has no blank
        Self::of(&[b"group ", &origin.in_full(), b" ", group])
    }

    fn of(texts: &[&[u8]]) -> Self {
        let mut hash = Md5::new();
        texts.iter().for_each(|text| hash.update(text));
        let digest: [u8; 16] = hash.finalize().into();
        let (words, _) = digest.as_chunks::<8>();
        Self(words.first().map_or(0, |word| u64::from_be_bytes(*word)))
    }

    /// In lower-case hexadecimal: 16 digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(&self.0.to_be_bytes())
    }

    /// Reads what [`TagId::to_hex`] gives, and nothing else.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        if text.len() != DIGITS {
            return None;
        }
        text.iter()
            .try_fold(0_u64, |number, byte| {
                let digit = match byte {
                    b'0'..=b'9' => byte - b'0',
                    b'a'..=b'f' => byte - b'a' + 10,
                    _ => return None,
                };
                Some(number << 4 | u64::from(digit))
            })
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_digest_never_changes() {
        let origin = Origin::new(true, b"example.com").unwrap();
        // Records and logs outlive a release. md5("tag a"), md5("group https://example.com:443 a")
        assert_eq!(TagId::of_tag(b"a").to_hex(), "c3e6a7f57034c35d");
        assert_eq!(TagId::of_group(&origin, b"a").to_hex(), "802f72c8ef21e29b");
    }

    #[test]
    fn only_what_was_written_is_read() {
        let id = TagId::of_tag(b"x");
        assert_eq!(TagId::from_hex(id.to_hex().as_bytes()), Some(id));
        for text in [
            "",
            "0123456789abcde",
            "0123456789abcdef0",
            "0123456789ABCDEF",
            "+123456789abcdef",
        ] {
            assert_eq!(TagId::from_hex(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn case_origin_and_kind_matter() {
        let origin = |https, host: &str| Origin::new(https, host.as_bytes()).unwrap();
        let ids = [
            TagId::of_tag(b"a"),
            TagId::of_tag(b"A"),
            TagId::of_group(&origin(true, "a"), b"a"),
            TagId::of_group(&origin(true, "a"), b"A"),
            TagId::of_group(&origin(false, "a"), b"a"),
            TagId::of_group(&origin(true, "a:8443"), b"a"),
            TagId::of_group(&origin(true, "b"), b"a"),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids.iter().skip(at + 1).any(|other| other == id), "{at}");
        }
        assert_eq!(
            TagId::of_group(&origin(true, "A:443"), b"a"),
            TagId::of_group(&origin(true, "a."), b"a")
        );
    }
}
