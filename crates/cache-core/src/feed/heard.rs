//! What a push says, or what stands for one in RESP2.

use bytes::Bytes;

use crate::resp::Reply;

/// Longest key that is looked at, in bytes. A longer one is no cache key of ours; all is void instead.
const LONGEST: usize = 64 << 10;

/// What has been pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// These keys have changed.
    Changed(&'a [Reply]),
    /// The module itself changes this key, or will at once.
    Told(&'a Bytes),
    /// Anything may have changed.
    All,
    /// The subscription of our channel has begun.
    Subscribed,
    /// The subscription of our channel has ended.
    Unsubscribed,
    /// Something else.
    Other,
}

/// Reads the elements of a push. An `invalidate`, or a message of our channel, that isn't understood voids all: too much is
/// better than too little. Others that aren't understood are skipped.
pub fn heard<'a>(elements: &'a [Reply], channel: &[u8]) -> Heard<'a> {
    let is_ours = |name: &Reply| name.text().is_some_and(|name| name == channel);
    let (kind, content) = match elements {
        [kind, content @ ..] => (kind.text().map(AsRef::as_ref), content),
        [] => return Heard::Other,
    };
    match (kind, content) {
        (Some(b"invalidate"), [Reply::Array(Some(keys))]) if keys.iter().all(is_key) => {
            Heard::Changed(keys)
        }
        (Some(b"invalidate"), _) => Heard::All,
        (Some(b"message"), [name, message]) if is_ours(name) => {
            key(message).map_or(Heard::All, Heard::Told)
        }
        (Some(b"subscribe"), [name, ..]) if is_ours(name) => Heard::Subscribed,
        (Some(b"unsubscribe"), [name, ..]) if is_ours(name) => Heard::Unsubscribed,
        _ => Heard::Other,
    }
}

/// Whether a reply of RESP2 is what RESP3 would push.
pub fn is_push(reply: &Reply) -> bool {
    let kind = reply
        .elements()
        .and_then(|elements| elements.first()?.text());
    let pushed: [&[u8]; 3] = [b"message", b"subscribe", b"unsubscribe"];
    kind.is_some_and(|kind| pushed.contains(&kind.as_ref()))
}

/// Whether a reply is that to PING, also on a connection of RESP2 that is subscribed.
pub fn is_pong(reply: &Reply) -> bool {
    let text = match reply {
        Reply::Array(Some(elements)) => elements.first().and_then(Reply::text),
        other => other.text(),
    };
    text.is_some_and(|text| text.eq_ignore_ascii_case(b"PONG"))
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
