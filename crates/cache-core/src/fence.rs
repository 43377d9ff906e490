//! Fences: how a fill learns that its key was invalidated meanwhile, on whichever machine that was.
//!
//! An invalidation writes a token of its own to the key's fence, and deletes the record. A fill reads the fence before it
//! asks the backend, and its record is written only if the fence says the same then, or nothing: see [`permits`]. Store and
//! invalidation are carried out one after the other by the same server, so no order of them leaves a record from before.

use bytes::Bytes;

use crate::companion_key;
use crate::resp::Reply;

pub use crate::token::Token;

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

/// The name of a key's fence: another key in the same slot of a Redis Cluster.
#[must_use]
pub fn name(key: &[u8]) -> Vec<u8> {
    companion_key::name(key, b"f")
}

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
