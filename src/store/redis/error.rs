//! What can go wrong with a command or a connection, and what Redis's own words mean for the store.

use std::fmt;
use std::io;

use cache_core::attempts::Next;
use cache_core::cluster::Told;
use cache_core::counters::Failure;
use ngx::ffi::{NGX_LOG_INFO, NGX_LOG_WARN, ngx_uint_t};

/// How much of Redis's own words is kept.
const TEXT: usize = 200;

/// Why a command has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The store is known to be down, or it couldn't be reached.
    Unavailable,
    /// The store took longer than its timeouts allow.
    Timeout,
    /// The store closed the connection before it replied.
    Closed,
    /// What came is no reply to this command.
    Protocol,
    /// The key holds a value of another type; it is left as it is.
    WrongType,
    /// A field of the reply is longer than is read.
    TooLarge,
    /// The memory that is the store for now keeps no record so large.
    DoesNotFit,
    /// The worker has no memory for the reply.
    NoMemory,
    /// The store refuses this command; these are its words.
    Refused(String),
    /// The key was invalidated since the fill of the record began, here or on another machine.
    Invalidated,
    /// The lease of the fill has ended: another machine may fill the key.
    ClaimLost,
    /// The fill has taken longer than it is known what was invalidated meanwhile.
    Outdated,
    /// As many commands wait for the server as may.
    Crowded,
    /// The worker exits without waiting any longer.
    Leaving,
}

impl StoreError {
    /// Whether the store as a whole is in trouble, not this command or its key: another command
    /// would fare no better.
    pub fn is_down(&self) -> bool {
        match self {
            Self::Unavailable | Self::Timeout | Self::Closed | Self::Protocol | Self::Leaving => {
                true
            }
            Self::WrongType
            | Self::TooLarge
            | Self::DoesNotFit
            | Self::NoMemory
            | Self::Crowded
            | Self::Invalidated
            | Self::ClaimLost
            | Self::Outdated
            | Self::Refused(_) => false,
        }
    }

    /// As what it is counted. `None`: the command has done what it should, and that is no failure.
    pub fn failure(&self) -> Option<Failure> {
        Some(match self {
            Self::Unavailable | Self::Leaving => Failure::Unavailable,
            Self::Timeout => Failure::Timeout,
            Self::Closed => Failure::Closed,
            Self::Protocol => Failure::Protocol,
            Self::Refused(_) | Self::WrongType => Failure::Refused,
            Self::TooLarge | Self::DoesNotFit | Self::NoMemory | Self::Crowded => Failure::NoRoom,
            Self::Invalidated | Self::ClaimLost | Self::Outdated => return None,
        })
    }

    /// Whether a server is there, and says that its cluster is down.
    pub fn is_cluster_down(&self) -> bool {
        matches!(self, Self::Refused(words) if Told::is_of_whole_cluster(words.as_bytes()))
    }

    /// How loud a line about this command should be. What concerns the whole store has been logged
    /// already, once, when it began.
    pub fn level(&self) -> ngx_uint_t {
        let level = match self {
            Self::WrongType | Self::TooLarge | Self::NoMemory => NGX_LOG_WARN,
            _ => NGX_LOG_INFO,
        };
        level as ngx_uint_t
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the store is down",
            Self::Timeout => "the store timed out",
            Self::Closed => "the store closed the connection",
            Self::Protocol => "the store sent an invalid reply",
            Self::WrongType => "the key holds a value of another type",
            Self::TooLarge => "the record is too large",
            Self::DoesNotFit => "the record is larger than \"max_object\" of its memory",
            Self::Invalidated => "the key was invalidated meanwhile",
            Self::ClaimLost => "another machine may fill the key",
            Self::Outdated => "its fill has taken longer than invalidations are remembered",
            Self::Crowded => "too many commands wait for the store",
            Self::Leaving => "worker_shutdown_timeout has passed",
            Self::NoMemory => "no memory for the record",
            Self::Refused(text) => return write!(f, "the store refused: {text}"),
        })
    }
}

impl std::error::Error for StoreError {}

/// What an error reply says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server serves nobody for now, or not us. These are its words.
    Down(String),
    /// This command, or this key, and there is nothing to be done about it.
    Command(StoreError),
    /// Another server has the key, or it is too early: what may be tried.
    Elsewhere(Next, StoreError),
}

impl Refusal {
    /// Reads an error reply: the text after `-`.
    ///
    /// After these the store is down until a PING says otherwise, since every command meets the
    /// same: LOADING and BUSY (the server is there but serves nobody), MASTERDOWN (a replica that
    /// won't serve old data), NOAUTH (we have no password, or it has changed). Others let a part of
    /// the commands through: READONLY, OOM, MISCONF and NOREPLICAS refuse writes and serve lookups,
    /// NOPERM refuses single commands.
    pub fn parse(text: &[u8]) -> Refusal {
        let code = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        match code {
            b"LOADING" | b"BUSY" | b"MASTERDOWN" | b"NOAUTH" => Refusal::Down(words(text)),
            b"WRONGTYPE" => Refusal::Command(StoreError::WrongType),
            // Before Redis 7 an error inside a script begins with ERR and the place in the script.
            b"ERR" if contains(text, b" WRONGTYPE ") => Refusal::Command(StoreError::WrongType),
            _ => match Told::parse(text) {
                Some(told) => Refusal::Elsewhere(told.into(), StoreError::Refused(words(text))),
                None => Refusal::Command(StoreError::Refused(words(text))),
            },
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Redis's words, bounded and fit for a log. Redis 7 adds the digest of our script to what failed in
/// it, which tells nobody anything. Servers that don't know a command repeat its arguments, which for AUTH are a password.
pub fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text.get(..TEXT).unwrap_or(text));
    let text = text
        .split(" script: ")
        .next()
        .unwrap_or_default()
        .split(", with args beginning with")
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ' ']);
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// The operating system's words, as nginx would write them.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_lowercase().chain(rest).collect())
        .unwrap_or_default()
}

/// Whether a refusal says that the user may not do this.
pub fn is_unpermitted(words: &str) -> bool {
    words.starts_with("NOPERM ")
}
