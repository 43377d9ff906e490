//! Fences: how a fill learns that its key was invalidated meanwhile, on whichever machine that was.
//!
//! An invalidation writes a token of its own to the key's fence, and deletes the record. A fill reads the fence before it
//! asks the backend, and its record is written only if the fence says the same then, or nothing: see [`permits`]. Store and
//! invalidation are carried out one after the other by the same server, so no order of them leaves a record from before.

use std::fmt;
use std::sync::LazyLock;

use bytes::Bytes;

use crate::cluster::{SLOTS, slot_of};
use crate::resp::Reply;

/// How long a fence lasts, in seconds.
pub const LIFETIME: u32 = 3600;

/// How long after it has read the fence a fill may write its record, in milliseconds. It is less than a fence lasts: one
/// that isn't there any more was there before the fill began.
pub const LONGEST: u64 = 3_500_000;

/// The field of the fence, a hash, that holds the token.
pub const FIELD: &str = "token";

/// The channel on which invalidations are told.
pub const CHANNEL: &str = "redis_cache:invalidated";

/// Longest key that is heard of, in bytes.
const LONGEST_KEY: usize = 64 << 10;

/// Names an invalidation.
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

/// The name of a key's fence: another key in the same slot of a Redis Cluster. Redis hashes the part of a key between its
/// first `{` and the next `}`, unless that is empty.
///
/// It begins with `{` whatever the key is, so that no client can have a record written there: what a client chooses of a
/// key isn't its beginning.
#[must_use]
pub fn name(key: &[u8]) -> Vec<u8> {
    if let Some(tag) = tag(key) {
        return [b"{", tag, b"}:f:", key].concat();
    }
    if key.is_empty() || key.contains(&b'}') {
        return [b"{", &number_in_slot_of(key)[..], b"}:f:", key].concat();
    }
    [b"{", key, b"}:f"].concat()
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

/// Whether a record may be written where the fence holds `now` and held `seen` before the backend was asked. Both are empty
/// where there is no fence, and `seen` is where nobody knows.
#[must_use]
pub fn permits(now: &[u8], seen: &[u8]) -> bool {
    now.is_empty() || now == seen
}

/// Whether what is fetched may be shared with a request that comes now: nothing was heard since the fill has begun, or
/// nothing but what it knew then. `began` and `now` are the numbers of the tokens that were heard last, `seen` that of
/// the fence as the fill has read it; 0 is none.
#[must_use]
pub const fn is_current(began: u64, seen: u64, now: u64) -> bool {
    now == began || now == seen
}

/// An invalidation that was told on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its token.
    pub token: Token,
    /// The key.
    pub key: Bytes,
}

/// Reads what has come on a connection that is subscribed to [`CHANNEL`]: the token, a blank and the key. `None` for
/// anything else.
#[must_use]
pub fn told(elements: &[Reply]) -> Option<Told> {
    let [kind, channel, Reply::Bulk(Some(message))] = elements else {
        return None;
    };
    let is = |reply: &Reply, text: &[u8]| reply.text().is_some_and(|said| said == text);
    if !is(kind, b"message") || !is(channel, CHANNEL.as_bytes()) {
        return None;
    }
    let (token, key) = message.split_at_checked(16)?;
    let key = key.strip_prefix(b" ")?;
    if key.len() > LONGEST_KEY {
        return None;
    }
    Some(Told {
        token: Token::parse(token)?,
        key: message.slice_ref(key),
    })
}
