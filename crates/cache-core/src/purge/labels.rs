//! What a record can be selected by: the field `labels`, beside those of the Lua script.
//!
//! The script leaves the field in place when it overwrites a record. So labels count only where the field `meta` belongs to
//! the record: see [`crate::record::fingerprint`].

use super::fields::{Separators, TagFields};
use super::groups::strings;
use super::normal;
use super::selector::authority;
use super::tag_id::{DIGITS, TagId};
use crate::headers::Headers;
use crate::uri::{Origin, port_of};

/// Most tags and groups that are kept of a record. A record with more is selected by each tag and group.
pub const MAX_TAGS: usize = 1024;

const VERSION: &[u8] = b"1";
/// Stands behind the tags if there were more.
const MORE: &[u8] = b"+";
/// Stands behind a path whose arguments don't count. No URI in normal form has it.
const ANY_ARGUMENTS: &[u8] = b"#";

/// Tags and groups of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags {
    /// In order, each once.
    ids: Vec<TagId>,
    has_more: bool,
}

impl Tags {
    /// Those that the header of a response of this origin names.
    #[must_use]
    pub fn of(headers: &Headers, fields: &TagFields, origin: &Origin) -> Self {
        let mut ids = Vec::new();
        for (name, separators) in fields.iter() {
            if separators == Separators::Structured {
                let groups = strings(headers.get_all(name));
                ids.extend(
                    groups
                        .iter()
                        .map(|group| TagId::of_group(origin, group.as_bytes())),
                );
            }
            for line in headers.get_all(name) {
                separators.words(line, &mut |tag| ids.push(TagId::of_tag(tag)));
            }
        }
        Self::from(ids)
    }
}

impl From<Vec<TagId>> for Tags {
    fn from(mut ids: Vec<TagId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        let has_more = ids.len() > MAX_TAGS;
        ids.truncate(MAX_TAGS);
        Self { ids, has_more }
    }
}

/// The labels of a record, as they stand in its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    /// With its port: `https://example.com:443`.
    origin: &'a [u8],
    host: &'a [u8],
    /// In normal form.
    target: &'a [u8],
    any_arguments: bool,
    /// Digits of each, a blank behind each but the last.
    tags: &'a [u8],
    has_more_tags: bool,
}

impl<'a> Labels<'a> {
    /// Writes the field: `1 <origin> <target> <tag> <tag> ...`, and ` +` if there were more. `target` is what the client
    /// asked for: path and arguments. `None` if it has another form: such a record has no labels, and each purge
    /// selects it.
    #[must_use]
    pub fn encode(origin: &Origin, target: &[u8], tags: &Tags) -> Option<Vec<u8>> {
        Some(Self::write(origin, normal::target(target)?, tags))
    }

    /// The same for a record that is the response to several URIs of the path in `target`, whatever their arguments: `#`
    /// stands behind the path.
    #[must_use]
    pub fn encode_path(origin: &Origin, target: &[u8], tags: &Tags) -> Option<Vec<u8>> {
        let mut target = normal::target(normal::path(target))?;
        target.extend_from_slice(ANY_ARGUMENTS);
        Some(Self::write(origin, target, tags))
    }

    fn write(origin: &Origin, target: Vec<u8>, tags: &Tags) -> Vec<u8> {
        let origin = origin.in_full();
        let room = origin.len() + target.len() + tags.ids.len() * (DIGITS + 1) + 5;
        let mut text = Vec::with_capacity(room);
        text.extend_from_slice(VERSION);
        for word in [&origin, &target] {
            text.push(b' ');
            text.extend_from_slice(word);
        }
        for id in &tags.ids {
            text.push(b' ');
            text.extend_from_slice(id.to_hex().as_bytes());
        }
        if tags.has_more {
            text.push(b' ');
            text.extend_from_slice(MORE);
        }
        text
    }

    /// Reads the field. `None` for another version or a text that isn't one: each purge selects the record then.
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let mut words = text.splitn(4, |&b| b == b' ');
        if words.next() != Some(VERSION) {
            return None;
        }
        let origin = words.next()?;
        let (_, authority) = authority(origin)?;
        let port = port_of(authority);
        let host = authority
            .strip_suffix(port)
            .and_then(|rest| rest.strip_suffix(b":"))
            .filter(|host| !port.is_empty() && !host.is_empty())?;
        let is_plain = !origin.iter().any(u8::is_ascii_uppercase);
        let target = words
            .next()
            .filter(|target| is_plain && target.starts_with(b"/"))?;
        let (target, any_arguments) = match target.strip_suffix(ANY_ARGUMENTS) {
            Some(path) => (path, true),
            None => (target, false),
        };
        let rest = words.next().unwrap_or_default();
        let (tags, has_more_tags) = match rest.strip_suffix(MORE) {
            Some([]) => (&[][..], true),
            Some([tags @ .., b' ']) => (tags, true),
            Some(_) => return None,
            None => (rest, false),
        };
        let are_tags = tags.is_empty()
            || tags
                .split(|&b| b == b' ')
                .all(|tag| TagId::from_hex(tag).is_some());
        are_tags.then_some(Self {
            origin,
            host,
            target,
            any_arguments,
            tags,
            has_more_tags,
        })
    }

    /// The origin, with its port.
    #[must_use]
    pub const fn origin(&self) -> &'a [u8] {
        self.origin
    }

    /// The host.
    #[must_use]
    pub const fn host(&self) -> &'a [u8] {
        self.host
    }

    /// Path and arguments of the URI, in normal form; of a long one only the beginning.
    #[must_use]
    pub const fn target(&self) -> &'a [u8] {
        self.target
    }

    /// Whether the record is the response to several URIs of [`Labels::target`], which then is a path, whatever their
    /// arguments.
    #[must_use]
    pub const fn any_arguments(&self) -> bool {
        self.any_arguments
    }

    /// The tags and groups that are known.
    pub fn tags(&self) -> impl Iterator<Item = TagId> + use<'a> {
        self.tags.split(|&b| b == b' ').filter_map(TagId::from_hex)
    }

    /// Whether it has more tags than are known.
    #[must_use]
    pub const fn has_more_tags(&self) -> bool {
        self.has_more_tags
    }
}
