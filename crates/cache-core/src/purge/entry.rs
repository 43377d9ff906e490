//! An entry of the log: what a purge selects, and what becomes of it.

use super::digest::Digest;
use super::labels::{Labels, Site};

/// What becomes of a record that is purged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It is stale from now on.
    Soft,
    /// It is gone.
    Hard,
}

impl Mode {
    /// As users write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Soft => "soft",
            Self::Hard => "hard",
        }
    }
}

/// Which records a purge concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// All.
    All,
    /// Those of a host, whatever the scheme and the port.
    Host(Vec<u8>),
    /// Those of an origin.
    Origin(Site),
    /// Those of a host, or of [any](Selector::ANY_HOST), whose URI begins so, in the form that [`Labels::uri`] has.
    Prefix {
        /// In lower case.
        host: Vec<u8>,
        /// What the URI begins with.
        uri: Vec<u8>,
    },
    /// Those with a tag or a group.
    Label(Digest),
}

impl Selector {
    /// In the place of the host of a prefix: any.
    pub const ANY_HOST: &'static [u8] = b"*";

    /// Whether it selects a record with these labels.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        match self {
            Self::All => true,
            Self::Host(host) => *host == labels.site.host,
            Self::Origin(origin) => *origin == labels.site,
            Self::Prefix { host, uri } => {
                (*host == labels.site.host || host == Self::ANY_HOST) && labels.uri.starts_with(uri)
            }
            Self::Label(digest) => labels.digests.contains(digest),
        }
    }

    /// What it is called in the answer to a purge.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Host(_) => "host",
            Self::Origin(_) => "origin",
            Self::Prefix { .. } => "uri-prefix",
            Self::Label(_) => "tag",
        }
    }
}

/// One purge.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Which records.
    pub selector: Selector,
    /// What becomes of them.
    pub mode: Mode,
}

/// The longest member that is read, in bytes.
const LONGEST: usize = 16 << 10;

impl Entry {
    /// Writes the member of the log: the same purge is the same text, so that it takes the place of an earlier one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = self.mode.as_str().as_bytes().to_vec();
        text.push(b' ');
        let (kind, what) = match &self.selector {
            Selector::All => ("all", Vec::new()),
            Selector::Host(host) => ("host", host.clone()),
            Selector::Origin(site) => ("origin", site.text().into_bytes()),
            Selector::Prefix { host, uri } => ("prefix", [host, &b" "[..], uri].concat()),
            Selector::Label(digest) => ("label", digest.to_string().into_bytes()),
        };
        text.extend_from_slice(kind.as_bytes());
        if !what.is_empty() {
            text.push(b' ');
            text.extend_from_slice(&what);
        }
        text
    }

    /// Reads a member. `None` for what isn't one.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut words = text.split(|byte| *byte == b' ');
        let mode = match words.next()? {
            b"soft" => Mode::Soft,
            b"hard" => Mode::Hard,
            _ => return None,
        };
        let selector = match words.next()? {
            b"all" => Selector::All,
            b"host" => Selector::Host(name(words.next()?)?),
            b"origin" => Selector::Origin(Site::parse(words.by_ref().take(3))?),
            b"prefix" => Selector::Prefix {
                host: name(words.next()?)?,
                uri: words
                    .next()
                    .filter(|uri| uri.first() == Some(&b'/'))?
                    .to_vec(),
            },
            b"label" => Selector::Label(Digest::parse(words.next()?)?),
            _ => return None,
        };
        words.next().is_none().then_some(Self { selector, mode })
    }
}

/// A host as it stands in a member.
fn name(host: &[u8]) -> Option<Vec<u8>> {
    let is_name = !host.is_empty() && host.iter().all(u8::is_ascii_graphic);
    (is_name && !host.iter().any(u8::is_ascii_uppercase)).then(|| host.to_vec())
}
