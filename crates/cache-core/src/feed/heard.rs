//! What a push says.

use bytes::Bytes;

use crate::resp::{Push, Reply};

/// Longest key that is looked at, in bytes. A longer one is no cache key of ours; all is void instead.
const LONGEST: usize = 64 << 10;

/// What has been pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// These keys have changed.
    Changed(&'a [Reply]),
    /// Anything may have changed.
    All,
    /// The subscription of our channel has begun.
    Subscribed,
    /// The subscription of our channel has ended.
    Unsubscribed,
    /// Something else.
    Other,
}

/// Reads a push. An `invalidate` that isn't understood voids all: too much is better than too little. Other pushes that
/// aren't understood are skipped.
pub fn heard<'a>(push: &'a Push, channel: &[u8]) -> Heard<'a> {
    let is_ours = |name: &Reply| name.text().is_some_and(|name| name == channel);
    match (push.kind(), push.content()) {
        (Some(b"invalidate"), [Reply::Array(Some(keys))]) if keys.iter().all(is_key) => {
            Heard::Changed(keys)
        }
        (Some(b"invalidate"), _) => Heard::All,
        (Some(b"subscribe"), [name, ..]) if is_ours(name) => Heard::Subscribed,
        (Some(b"unsubscribe"), [name, ..]) if is_ours(name) => Heard::Unsubscribed,
        _ => Heard::Other,
    }
}

fn is_key(reply: &Reply) -> bool {
    key(reply).is_some()
}

/// A key as it is pushed.
pub fn key(reply: &Reply) -> Option<&Bytes> {
    match reply {
        Reply::Bulk(Some(key)) if key.len() <= LONGEST => Some(key),
        _ => None,
    }
}
