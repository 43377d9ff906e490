//! Canaries: keys that are written only to see whether their invalidation comes.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::cluster::{Slot, slot_of};
use crate::hex;

/// What follows the prefix in the name of each canary, before its number.
const NAME: &[u8] = b"redis_cache:canary:";

/// Milliseconds until it expires: longer than a feed is believed without a new one.
pub const LIFE: &[u8] = b"120000";

/// Whether a key is the canary of a feed, of whichever machine.
pub fn is_one(key: &[u8], prefix: &[u8]) -> bool {
    let rest = key.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.starts_with(NAME))
}

/// One that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Its key.
    pub key: Bytes,
    /// When it is too late, in milliseconds.
    pub until: u64,
}

impl Canary {
    /// One that must be back by `until`. Its number is random: nobody else uses the key. In a Cluster its slot is one of
    /// `slots`. `None` if no such key was found: the server has no slots, or the prefix has a hash tag of another's.
    pub fn new(
        prefix: &[u8],
        slots: Option<&[RangeInclusive<Slot>]>,
        mut random: impl FnMut() -> u64,
        until: u64,
    ) -> Option<Self> {
        // A server that has a single slot has one key in 16384. That this many have none has a chance of 1 in 3000.
        const TRIES: u32 = 1 << 17;
        let named = |number: u64| {
            let number = hex::encode(&number.to_be_bytes());
            [prefix, NAME, number.as_bytes()].concat()
        };
        let Some(slots) = slots else {
            let key = named(random()).into();
            return Some(Self { key, until });
        };
        let has = |slot: Slot| slots.iter().any(|range| range.contains(&slot));
        let tries = if slots.is_empty() || is_pinned(prefix) {
            1
        } else {
            TRIES
        };
        let key = (0..tries)
            .map(|_| named(random()))
            .find(|key| has(slot_of(key)))?;
        let key = key.into();
        Some(Self { key, until })
    }
}

/// Whether a hash tag in the prefix gives all keys the same slot.
fn is_pinned(prefix: &[u8]) -> bool {
    slot_of(&[prefix, b"a"].concat()) == slot_of(&[prefix, b"b"].concat())
}
