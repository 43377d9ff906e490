//! Which slices an object has, and what they are called in the store.

use crate::token::Token;

/// Smallest slice, in bytes: below it the commands cost more than the bytes.
pub const SMALLEST: u64 = 64 << 10;

/// Largest slice, in bytes: a fill keeps a whole one in memory, and a server sends it in one reply.
pub const LARGEST: u64 = 32 << 20;

/// Bytes of an object, one at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub first: u64,
    /// The last byte, which isn't before the first.
    pub last: u64,
}

impl Span {
    /// From `first` to `last`, both included. `None` if that is nothing.
    #[must_use]
    pub const fn new(first: u64, last: u64) -> Option<Self> {
        // The length of all must be a number, too.
        if first <= last && last < u64::MAX {
            Some(Self { first, last })
        } else {
            None
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn length(self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a head says of the slices of its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliced {
    size: u64,
    total: u64,
    token: Token,
}

impl Sliced {
    /// An object of `total` bytes in slices of `size` bytes. `token` names the generation: no other of the same key has it.
    /// `None` if it has no bytes, or more than nginx counts ([`i64::MAX`]), or the size is none.
    #[must_use]
    pub const fn new(size: u64, total: u64, token: Token) -> Option<Self> {
        if size == 0 || total == 0 || total > i64::MAX.cast_unsigned() {
            return None;
        }
        Some(Self { size, total, token })
    }

    /// Bytes of each slice but the last.
    #[must_use]
    pub const fn size(self) -> u64 {
        self.size
    }

    /// Bytes of the object.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.total
    }

    /// The generation.
    #[must_use]
    pub const fn token(self) -> Token {
        self.token
    }

    /// How many slices it has, one at least.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.total.div_ceil(self.size)
    }

    /// All of the object.
    #[must_use]
    pub const fn all(self) -> Span {
        Span {
            first: 0,
            last: self.total - 1,
        }
    }

    /// The slice that has a byte.
    #[must_use]
    pub const fn slice_of(self, byte: u64) -> u64 {
        byte / self.size
    }

    /// The bytes of a slice. `None`: there is no such slice.
    #[must_use]
    pub fn span(self, slice: u64) -> Option<Span> {
        let first = slice.checked_mul(self.size)?;
        let last = first.saturating_add(self.size - 1).min(self.total - 1);
        Span::new(first, last)
    }

    /// The name of a slice in the store. In a Redis Cluster it is in a slot of its own.
    ///
    /// It begins with `{` whatever the key is, so that no client can have a record written there (see
    /// [`crate::fence::name`]), and as the names of variants and fences of the key do, so that what is permitted for those
    /// (ACL), or kept in memory, is so for slices. A key with `}` ends the part that is hashed: there it stands behind that.
    #[must_use]
    pub fn name(self, key: &[u8], slice: u64) -> Vec<u8> {
        let mut decimal = itoa::Buffer::new();
        let number = decimal.format(slice).as_bytes();
        let token = self.token.to_string();
        let token = token.as_bytes();
        if key.contains(&b'}') {
            [b"{s:", token, b":", number, b"}:s:", key].concat()
        } else {
            [b"{", key, b":s:", token, b":", number, b"}"].concat()
        }
    }

    /// What `meta` of a head says: `<size>/<total>/<token>`.
    #[must_use]
    pub fn encode(self) -> String {
        format!("{}/{}/{}", self.size, self.total, self.token)
    }

    /// Reads what [`Sliced::encode`] writes. `None` for anything else, and for sizes that no directive allows.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|&b| b == b'/');
        let (size, total, token) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let size = number(size).filter(|size| (SMALLEST..=LARGEST).contains(size))?;
        Self::new(size, number(total)?, Token::parse(token)?)
    }
}

/// A decimal number without a sign, as it is written.
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
