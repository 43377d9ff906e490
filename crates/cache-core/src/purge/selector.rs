//! By what a purge selects records.

use super::kind::Kind;
use super::labels::Labels;
use super::normal::{self, MAX_TARGET};
use super::tag_id::TagId;
use crate::uri::{Origin, port_of};

/// The text of [`Scope::Any`]: no host is called so.
pub(super) const ANYWHERE: &[u8] = b"*";

/// Where the URIs are that are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everywhere.
    Any,
    /// At a host, whatever scheme and port. See [`Scope::host`].
    Host(Box<[u8]>),
    /// At an origin.
    Origin(Origin),
}

impl Scope {
    /// At this host, which is written without a port. `None` if it is no host.
    #[must_use]
    pub fn host(host: &[u8]) -> Option<Self> {
        let origin = Origin::new(false, host)?;
        let name = origin.host();
        let is_one = port_of(host).is_empty()
            && name != ANYWHERE
            && (name.starts_with(b"[") && name.ends_with(b"]") || !name.contains(&b':'));
        is_one.then(|| Self::Host(name.into()))
    }

    /// As entries have it.
    pub(super) fn text(&self) -> Vec<u8> {
        match self {
            Self::Any => ANYWHERE.to_vec(),
            Self::Host(host) => host.to_vec(),
            Self::Origin(origin) => origin.in_full(),
        }
    }

    /// Reads what [`Scope::text`] gives.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        if text == ANYWHERE {
            return Some(Self::Any);
        }
        match authority(text) {
            Some((https, authority)) => Origin::new(https, authority).map(Self::Origin),
            None => Self::host(text),
        }
    }

    fn has(&self, labels: &Labels<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Host(host) => **host == *labels.host(),
            Self::Origin(origin) => origin.in_full() == labels.origin(),
        }
    }
}

/// What a URI has behind its scheme, and whether that is https. `None` if it has no scheme of HTTP.
pub(super) fn authority(uri: &[u8]) -> Option<(bool, &[u8])> {
    let after = |scheme: &[u8]| {
        let (start, rest) = uri.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after(b"https://")
        .map(|rest| (true, rest))
        .or_else(|| after(b"http://").map(|rest| (false, rest)))
}

/// By what records are selected. URIs are in their normal form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// All that are there.
    Within(Scope),
    /// All whose URI begins so. See [`Selector::prefix`].
    Prefix(Scope, Box<[u8]>),
    /// Those that have this URI. See [`Selector::uri`].
    Uri(Scope, Box<[u8]>),
    /// Those that have this tag.
    Tag(TagId),
    /// Those that have this group of their origin.
    Group(TagId),
}

impl Selector {
    /// All whose URI begins with the text, which is a path or a path and arguments. `None` if no URI begins so.
    #[must_use]
    pub fn prefix(scope: Scope, text: &[u8]) -> Option<Self> {
        let text = normal::prefix(text)?;
        Some(if text == b"/" {
            Self::Within(scope)
        } else {
            Self::Prefix(scope, text.into())
        })
    }

    /// Those that have this URI: a path, or a path and arguments. `None` if it is neither. Of a URI that is too long to be
    /// told apart from others, all that begin so.
    #[must_use]
    pub fn uri(scope: Scope, text: &[u8]) -> Option<Self> {
        let text = normal::target(text)?;
        Some(if text.len() >= MAX_TARGET {
            Self::Prefix(scope, text.into())
        } else {
            Self::Uri(scope, text.into())
        })
    }

    /// Those that are the response to several URIs of the path in `target`, whatever their arguments. `None` if it has another
    /// form.
    #[must_use]
    pub fn of_path(scope: Scope, target: &[u8]) -> Option<Self> {
        Self::uri(scope, &[normal::path(target), b"?"].concat())
    }

    /// All records.
    #[must_use]
    pub const fn all() -> Self {
        Self::Within(Scope::Any)
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Within(Scope::Any) => Kind::All,
            Self::Within(Scope::Host(_)) => Kind::Host,
            Self::Within(Scope::Origin(_)) => Kind::Origin,
            Self::Prefix(..) => Kind::Prefix,
            Self::Uri(..) => Kind::Uri,
            Self::Tag(_) => Kind::Tag,
            Self::Group(_) => Kind::Group,
        }
    }

    /// The path that it names with arguments. Records of that path that are the response to several arguments are selected,
    /// too.
    pub(super) fn path_with_arguments(&self) -> Option<&[u8]> {
        match self {
            Self::Prefix(_, text) | Self::Uri(_, text) if text.contains(&b'?') => {
                Some(normal::path(text))
            }
            _ => None,
        }
    }

    fn names_arguments_for(&self, labels: &Labels<'_>) -> bool {
        labels.any_arguments() && self.path_with_arguments() == Some(labels.target())
    }

    /// Whether it selects the record with these labels. A record without any is selected by each.
    #[must_use]
    pub fn selects(&self, labels: Option<&Labels<'_>>) -> bool {
        let Some(labels) = labels else {
            return true;
        };
        match self {
            Self::Within(scope) => scope.has(labels),
            Self::Prefix(scope, text) => {
                scope.has(labels)
                    && (labels.target().starts_with(text) || self.names_arguments_for(labels))
            }
            Self::Uri(scope, text) => {
                scope.has(labels)
                    && (labels.target() == &**text || self.names_arguments_for(labels))
            }
            Self::Tag(id) | Self::Group(id) => {
                labels.has_more_tags() || labels.tags().any(|tag| tag == *id)
            }
        }
    }
}
