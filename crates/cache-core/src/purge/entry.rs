//! The text of an entry in the store's log.
//!
//! The log is a sorted set. A member says what is purged, and its score is the number of the purge: so the same purge again
//! only gets another number. Members are
//!
//! - `KIND MODE SELECTOR`, an entry: `tag soft 1234567890abcdef`, `group ...` with a [`TagId`]; `host hard example.com`;
//!   `origin hard https://example.com:443`; `prefix hard PLACE/path` and `uri hard PLACE/path?arguments`, where PLACE is an
//!   origin, a host, or `*` for any; `all hard`
//! - `floor MODE`: entries up to this number were dropped to make room, of this mode
//! - `server RUN_ID`: which server has given this number, and those before it up to that of another server

use super::kind::{Kind, Mode};
use super::selector::{Scope, Selector, authority};
use super::tag_id::TagId;

/// A purge that is in the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// What becomes of the records.
    pub mode: Mode,
    /// Which records.
    pub selector: Selector,
}

/// What is known of purges that were put into the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Their number.
    pub number: u64,
    /// The last number that the log had before them. `None`: it isn't known.
    pub before: Option<u64>,
}

/// What a member of the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member<'a> {
    /// A purge.
    Entry(Entry),
    /// Purges of this mode were dropped, up to the number that it has. Which records they concerned isn't known, so it
    /// concerns all.
    Floor(Mode),
    /// The `run_id` of the server that gave the numbers.
    Server(&'a [u8]),
    /// Something that a later version has written. It may concern all records.
    Unknown,
}

const FLOOR: &[u8] = b"floor";
const SERVER: &[u8] = b"server";

impl Entry {
    /// The member.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = match &self.selector {
            Selector::Within(scope) => scope.text(),
            Selector::Prefix(scope, text) | Selector::Uri(scope, text) => {
                [&scope.text(), &**text].concat()
            }
            Selector::Tag(id) | Selector::Group(id) => id.to_hex().into_bytes(),
        };
        member(self.selector.kind(), self.mode, &text)
    }
}

/// The member of a kind. Of all records the text counts for nothing.
pub(super) fn member(kind: Kind, mode: Mode, text: &[u8]) -> Vec<u8> {
    let (kind_word, mode_word) = (kind.as_str().as_bytes(), mode.as_str().as_bytes());
    if kind == Kind::All {
        [kind_word, mode_word].join(&b' ')
    } else {
        [kind_word, mode_word, text].join(&b' ')
    }
}

impl<'a> Member<'a> {
    /// The text.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Entry(entry) => entry.encode(),
            Self::Floor(mode) => [FLOOR, mode.as_str().as_bytes()].join(&b' '),
            Self::Server(run_id) => [SERVER, run_id].join(&b' '),
            Self::Unknown => Vec::new(),
        }
    }

    /// Reads a member. Each text is one.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Self {
        let mut words = text.splitn(3, |&b| b == b' ');
        let (kind, mode, rest) = (words.next(), words.next(), words.next());
        if let (Some(SERVER), Some(run_id), None) = (kind, mode, rest) {
            return Self::Server(run_id);
        }
        let Some(mode) = mode.and_then(Mode::parse) else {
            return Self::Unknown;
        };
        if kind == Some(FLOOR) && rest.is_none() {
            return Self::Floor(mode);
        }
        kind.and_then(|kind| selector(kind, rest))
            .map_or(Self::Unknown, |selector| {
                Self::Entry(Entry { mode, selector })
            })
    }
}

fn selector(kind: &[u8], text: Option<&[u8]>) -> Option<Selector> {
    let kind = Kind::EACH
        .into_iter()
        .find(|known| known.as_str().as_bytes() == kind)?;
    if kind == Kind::All {
        return text.is_none().then(Selector::all);
    }
    let text = text?;
    let selector = match kind {
        Kind::Tag => Selector::Tag(TagId::from_hex(text)?),
        Kind::Group => Selector::Group(TagId::from_hex(text)?),
        Kind::Host | Kind::Origin => Selector::Within(Scope::parse(text)?),
        Kind::Prefix | Kind::Uri => {
            let (scope, path) = split(text)?;
            let scope = Scope::parse(scope)?;
            if kind == Kind::Prefix {
                Selector::prefix(scope, path)?
            } else {
                Selector::uri(scope, path)?
            }
        }
        Kind::Key | Kind::All => return None,
    };
    // "host hard *" is nothing that was written
    (matches!(kind, Kind::Prefix | Kind::Uri) || selector.kind() == kind).then_some(selector)
}

/// What is before the path, and the path.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let behind_scheme = authority(text).map_or(text, |(_, rest)| rest);
    let before = text.len() - behind_scheme.len();
    let path = behind_scheme.iter().position(|&b| b == b'/')?;
    text.split_at_checked(before + path)
}
