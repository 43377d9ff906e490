//! Tokens: random numbers by which what was written to the store is known again.

use std::fmt;

/// Names an invalidation or a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

impl Token {
    /// The token of a number that was made by chance. It is never 0.
    #[must_use]
    pub const fn new(random: u64) -> Self {
        Self(if random == 0 { 1 } else { random })
    }

    /// Its number, never 0.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Reads what `Display` writes, and nothing else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.iter().all(is_hex) {
            return None;
        }
        let number = u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
        (number != 0).then_some(Self(number))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
