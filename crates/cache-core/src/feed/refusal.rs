//! What an error says about the time to come.

use crate::shown::shown;

/// Why a command of the feed was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The server isn't the one that has the keys: it is a replica by now, or the slot has moved.
    Elsewhere(String),
    /// The server can't do it for now.
    Later(String),
    /// The server takes no writes for now.
    NoWrites(String),
    /// The server doesn't do it, for this user at least.
    Never(String),
}

/// Longest part of an error that is shown, in bytes.
const SHOWN: usize = 200;

impl Refusal {
    /// Reads an error.
    pub fn of(error: &[u8]) -> Self {
        let code = error.split(|byte| *byte == b' ').next().unwrap_or_default();
        let text = shown(error.get(..SHOWN).unwrap_or(error)).into_owned();
        match code {
            b"MOVED" | b"READONLY" => Self::Elsewhere(text),
            // ASK: the slot is on its way; another key may do.
            b"BUSY" | b"LOADING" | b"MASTERDOWN" | b"CLUSTERDOWN" | b"TRYAGAIN" | b"ASK"
            | b"NOAUTH" => Self::Later(text),
            b"OOM" | b"MISCONF" | b"NOREPLICAS" => Self::NoWrites(text),
            _ => Self::Never(text),
        }
    }

    /// The server's own words.
    pub fn words(&self) -> &str {
        match self {
            Self::Elsewhere(text)
            | Self::Later(text)
            | Self::NoWrites(text)
            | Self::Never(text) => text,
        }
    }
}
