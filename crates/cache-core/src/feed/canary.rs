//! Canaries: keys that are written only to see whether their invalidation comes.

use bytes::Bytes;

use crate::hex;

/// What follows the prefix in the name of each canary, before its number.
const NAME: &[u8] = b"redis_cache:canary:";

/// One that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Its key.
    pub key: Bytes,
    /// When it is too late, in milliseconds.
    pub until: u64,
}

impl Canary {
    /// One that must be back by `until`. Its number is random: nobody else uses the key.
    pub fn new(prefix: &[u8], number: u64, until: u64) -> Self {
        let number = hex::encode(&number.to_be_bytes());
        let key = [prefix, NAME, number.as_bytes()].concat().into();
        Self { key, until }
    }
}
