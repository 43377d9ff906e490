//! Keys that accompany a cache key in the store, such as its fence and its leases: in the same slot of a Redis Cluster, so
//! that one script has them all.

use std::sync::LazyLock;

use crate::cluster::{SLOTS, slot_of};

/// The name of a companion of a key; `mark` says which. Redis hashes the part of a key between its first `{` and the next
/// `}`, unless that is empty.
///
/// It begins with `{` whatever the key is, so that no client can have a record written there: what a client chooses of a
/// key isn't its beginning.
pub(crate) fn name(key: &[u8], mark: &[u8]) -> Vec<u8> {
    if let Some(tag) = tag(key) {
        return [b"{", tag, b"}:", mark, b":", key].concat();
    }
    if key.is_empty() || key.contains(&b'}') {
        return [b"{", &number_in_slot_of(key)[..], b"}:", mark, b":", key].concat();
    }
    [b"{", key, b"}:", mark].concat()
}

/// What a key has between braces to be hashed in its place.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&b| b == b'{')?;
    let behind = key.get(open + 1..)?;
    let length = behind.iter().position(|&b| b == b'}')?;
    behind.get(..length).filter(|tag| !tag.is_empty())
}

/// A number whose digits are in the slot of a key.
fn number_in_slot_of(key: &[u8]) -> Vec<u8> {
    let number = NUMBERS.get(slot_of(key).index());
    itoa::Buffer::new()
        .format(number.copied().unwrap_or_default())
        .as_bytes()
        .to_vec()
}

/// For each slot a number in it. Clients choose what is in a key, so that none of them may cost a search. The table takes some
/// milliseconds, once.
static NUMBERS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let mut numbers = vec![None; SLOTS];
    let mut left = numbers.len();
    let mut decimal = itoa::Buffer::new();
    for number in 0.. {
        let slot = slot_of(decimal.format(number).as_bytes());
        if let Some(place @ None) = numbers.get_mut(slot.index()) {
            *place = Some(number);
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    numbers.into_iter().map(Option::unwrap_or_default).collect()
});
