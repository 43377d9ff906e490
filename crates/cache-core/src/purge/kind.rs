//! The words for kinds and modes of purges, as entries, answers and metrics have them.

/// By what records are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One record with its variants, by its key. Such a purge isn't in the log.
    Key,
    /// One URI, whatever keys its records have.
    Uri,
    /// All URIs that begin so.
    Prefix,
    /// A host, with any scheme and port.
    Host,
    /// An origin: scheme, host and port.
    Origin,
    /// A tag.
    Tag,
    /// A group of an origin (RFC 9875).
    Group,
    /// All records.
    All,
}

impl Kind {
    /// Each of them.
    pub const EACH: [Self; 8] = [
        Self::Key,
        Self::Uri,
        Self::Prefix,
        Self::Host,
        Self::Origin,
        Self::Tag,
        Self::Group,
        Self::All,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Uri => "uri",
            Self::Prefix => "prefix",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::Tag => "tag",
            Self::Group => "group",
            Self::All => "all",
        }
    }
}

/// What becomes of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// They are stale from now on: served at once, and refilled.
    Soft,
    /// They are gone.
    Hard,
}

impl Mode {
    /// Each of them.
    pub const EACH: [Self; 2] = [Self::Soft, Self::Hard];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }

    /// The mode of this word.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        [Self::Soft, Self::Hard]
            .into_iter()
            .find(|mode| mode.as_str().as_bytes() == word)
    }
}
