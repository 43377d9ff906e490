//! The lock key: what a cache key is called in a lock table, where its full text would be too long.

/// A digest of a cache key: equal cache keys have equal lock keys. Nothing here depends on how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey(pub [u8; 16]);

impl LockKey {
    /// The bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}
