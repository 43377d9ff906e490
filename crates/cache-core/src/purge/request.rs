//! Which purge a request asks for: the plain form, and the forms that known software sends.
//!
//! Software that was written for Varnish sends regular expressions. Those of known shapes are read as the tags, hosts and
//! beginnings that they stand for; any other is refused with a sentence that says what would do.

mod pattern;
mod styles;

use std::fmt;

use super::entry::{Mode, Selector};
use super::labels::Site;
use super::uri::normalised;

pub use styles::Style;

/// A request that may be a purge.
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// Whose cache it means.
    pub site: &'a Site,
    /// Its target as it was sent.
    pub target: &'a [u8],
    /// Gives the lines of a header field, joined by commas.
    pub field: &'a dyn Fn(&str) -> Option<Vec<u8>>,
}

/// What is to be purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The records of these URIs: each is the target of a request to a site.
    Uris(Vec<(Site, Vec<u8>)>),
    /// Whatever these select.
    Selected(Vec<Selector>),
}

impl Target {
    /// What it is called in the answer.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Uris(_) => "uri",
            Self::Selected(selectors) => selectors.first().map_or("all", Selector::kind),
        }
    }
}

/// A purge that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// What.
    pub target: Target,
    /// What becomes of it.
    pub mode: Mode,
}

/// Which form a purge has that isn't one of a [`Style`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its own URI; one that ends in `*`: all that begin so.
    Plain,
}

/// Why a request isn't understood: a sentence for whoever sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Form {
    /// Reads a request of which the configuration says that it is a purge.
    ///
    /// # Errors
    ///
    /// Its target is no path.
    pub fn read(self, asked: &Asked<'_>) -> Result<Purge, Refused> {
        let Self::Plain = self;
        match asked.target.strip_suffix(b"*") {
            Some(prefix) => Ok(hard(begins_with(&asked.site.host, prefix)?)),
            None => uri(asked, asked.target),
        }
    }
}

/// The record of a URI of the request's own site.
fn uri(asked: &Asked<'_>, target: &[u8]) -> Result<Purge, Refused> {
    if normalised(target).is_none() {
        return Err(no_path(target));
    }
    Ok(Purge {
        target: Target::Uris(vec![(asked.site.clone(), target.to_vec())]),
        mode: Mode::Hard,
    })
}

fn hard(selector: Selector) -> Purge {
    Purge {
        target: Target::Selected(vec![selector]),
        mode: Mode::Hard,
    }
}

/// All of a host that begin so.
pub(super) fn begins_with(host: &[u8], prefix: &[u8]) -> Result<Selector, Refused> {
    let uri = normalised(prefix).ok_or_else(|| no_path(prefix))?;
    Ok(match uri.as_slice() {
        b"/" if host == Selector::ANY_HOST => Selector::All,
        b"/" => Selector::Host(host.to_vec()),
        _ => Selector::Prefix {
            host: host.to_vec(),
            uri,
        },
    })
}

fn no_path(target: &[u8]) -> Refused {
    let shown = crate::shown::shown(target.get(..200).unwrap_or(target));
    Refused(format!(
        "\"{shown}\" is no path: a URI to purge begins with \"/\""
    ))
}
