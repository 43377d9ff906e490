//! The lock-table key: what a cache key is called where its full text would be too long.

/// Fixed-size name of a cache key, a digest of its text: equal keys have equal ids. The digest is
/// made where keys are made; nothing here depends on which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey(pub [u8; 16]);

impl LockKey {
    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id in hexadecimal, as the log shows it.
    #[must_use]
    pub fn to_hex(self) -> String {
        crate::hex::encode(&self.0)
    }
}

impl From<[u8; 16]> for LockKey {
    fn from(digest: [u8; 16]) -> Self {
        Self(digest)
    }
}
