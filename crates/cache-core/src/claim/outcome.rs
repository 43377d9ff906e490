//! What machines tell each other of a fill that has ended, and what the store remembers of it.

use std::fmt;

use md5::{Digest, Md5};

use super::Token;
use crate::hex;
use crate::resp::Reply;
use crate::use_stale::Failure;
use crate::verdict::Verdict;

/// How the names of all channels begin.
const PREFIX: &[u8] = b"redis_cache:lock:";

/// How the text of a failing backend begins; the number of the failure follows.
const FAILING: &[u8] = b"failing ";

/// The channel on which the outcomes of a lease are told, named by a digest of the lease's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel([u8; 16]);

impl Channel {
    /// The channel of the lease with this name.
    #[must_use]
    pub fn of(lease: &[u8]) -> Self {
        Self(Md5::digest(lease).into())
    }

    /// Reads what `Display` writes, and nothing else.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        hex::decode16(text.strip_prefix(PREFIX)?).map(Self)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = hex::encode(&self.0);
        write!(f, "{}{digest}", String::from_utf8_lossy(PREFIX))
    }
}

/// An outcome that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of which lease.
    pub channel: Channel,
    /// The token that the lease held.
    pub token: Token,
    /// What came of the fill.
    pub verdict: Verdict,
}

/// A verdict as it is told and remembered.
#[must_use]
pub fn verdict_text(verdict: Verdict) -> String {
    let word = match verdict {
        Verdict::Stored => "stored",
        Verdict::NotStorable => "not-storable",
        Verdict::Uncacheable => "uncacheable",
        Verdict::Failed => "failed",
        Verdict::Failing(failure) => return format!("failing {}", failure.code()),
        Verdict::Unavailable => "unavailable",
        Verdict::DoesNotFit => "does-not-fit",
    };
    word.to_owned()
}

/// Reads what [`verdict_text`] gives, and nothing else.
#[must_use]
pub fn parse_verdict(text: &[u8]) -> Option<Verdict> {
    Some(match text {
        b"stored" => Verdict::Stored,
        b"not-storable" => Verdict::NotStorable,
        b"uncacheable" => Verdict::Uncacheable,
        b"failed" => Verdict::Failed,
        b"unavailable" => Verdict::Unavailable,
        b"does-not-fit" => Verdict::DoesNotFit,
        _ => Verdict::Failing(parse_failure(text.strip_prefix(FAILING)?)?),
    })
}

/// A failure by its number: one that a backend can have.
fn parse_failure(digits: &[u8]) -> Option<Failure> {
    if !digits.iter().all(u8::is_ascii_digit) || digits.first() == Some(&b'0') {
        return None;
    }
    let code = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let failure = Failure::from_code(code)?;
    match failure {
        Failure::Status(status) if Failure::of(status, false) != Some(failure) => None,
        failure => Some(failure),
    }
}

/// For how long the store remembers a verdict in place of the lease, in milliseconds, so that no machine claims the key
/// meanwhile. `uncacheable_ttl`: for how long keys are remembered whose responses aren't storable, in milliseconds.
#[must_use]
pub const fn remembered(verdict: Verdict, uncacheable_ttl: u64) -> Option<u64> {
    match verdict {
        Verdict::Uncacheable if uncacheable_ttl > 0 => Some(uncacheable_ttl),
        _ => None,
    }
}

/// The message that tells the outcome of a lease.
#[must_use]
pub fn message(token: Token, verdict: Verdict) -> String {
    format!("{token} {}", verdict_text(verdict))
}

/// Reads what has come on a connection that is subscribed to channels of leases. `None` for anything else.
#[must_use]
pub fn told(elements: &[Reply]) -> Option<Told> {
    let [kind, channel, Reply::Bulk(Some(message))] = elements else {
        return None;
    };
    if kind.text()? != "message" {
        return None;
    }
    let (token, rest) = message.split_at_checked(16)?;
    Some(Told {
        channel: Channel::parse(channel.text()?)?,
        token: Token::parse(token)?,
        verdict: parse_verdict(rest.strip_prefix(b" ")?)?,
    })
}
