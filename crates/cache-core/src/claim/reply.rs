//! What the store replies to a claim.

use bytes::Bytes;

use super::Token;
use super::outcome::parse_verdict;
use super::times::LONGEST;
use crate::resp::Reply;
use crate::verdict::Verdict;

/// What the store says to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The lease is ours.
    Mine {
        /// The fence of the key: empty if there is none. It is what a read of the fence would have found.
        fence: Bytes,
        /// The record, or what its key says of variants, isn't what the claimer has seen of it.
        changed: bool,
    },
    /// Another fill has it.
    Held {
        /// The token of that.
        by: Token,
        /// How long it lasts if it isn't extended, in milliseconds.
        left: u64,
        /// The record, or what its key says of variants, isn't what the claimer has seen of it: yet another fill has
        /// ended meanwhile.
        changed: bool,
    },
    /// A machine has found a moment ago that the responses of this key aren't storable.
    Unneeded {
        /// For how long that is remembered, in milliseconds.
        left: u64,
    },
}

/// Reads the reply to a claim:
///
/// - `mine`, the fence or nil, and 1 if what the claimer has seen has changed, else 0;
/// - `held`, the token of the holder, the milliseconds that the lease lasts, and 1 or 0 as above;
/// - `known`, the verdict that is remembered, which can only be that the responses are uncacheable, and the milliseconds for which
///   it is.
///
/// `None` for anything else: the store can't be relied on for claims.
#[must_use]
pub fn parse(reply: &Reply) -> Option<Claimed> {
    let (word, rest) = reply.elements()?.split_first()?;
    match (word.text()?.as_ref(), rest) {
        (b"mine", [Reply::Bulk(fence), Reply::Integer(changed @ (0 | 1))]) => Some(Claimed::Mine {
            fence: fence.clone().unwrap_or_default(),
            changed: *changed == 1,
        }),
        (
            b"held",
            [
                Reply::Bulk(Some(by)),
                Reply::Integer(left),
                Reply::Integer(changed @ (0 | 1)),
            ],
        ) => Some(Claimed::Held {
            by: Token::parse(by)?,
            // A lease lasts for no longer than anybody takes it for.
            left: u64::try_from(*left).unwrap_or(0).min(LONGEST),
            changed: *changed == 1,
        }),
        // Any other verdict isn't one to be remembered: with it nobody would ever fill.
        (b"known", [Reply::Bulk(Some(verdict)), Reply::Integer(left)]) => {
            let left = u64::try_from(*left).unwrap_or(0);
            (parse_verdict(verdict)? == Verdict::Uncacheable).then_some(Claimed::Unneeded { left })
        }
        _ => None,
    }
}
