//! The fields whose words are tags, and those of RFC 9875.

use std::error::Error;
use std::fmt;

use sfv::visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor};
use sfv::{BareItemFromInput, Parser};

use super::digest::Digest;
use super::labels::Site;

/// The field of RFC 9875: groups of an origin, which clients get, too.
const GROUPS: &str = "Cache-Groups";

/// The fields that are read where the operator names none.
pub const DEFAULT_FIELDS: [&str; 4] = [GROUPS, "Surrogate-Key", "Cache-Tag", "xkey"];

/// Tags and groups that a record may have. One that has more counts as selected by any purge.
pub const MAX_TAGS: usize = 4096;

/// Whether clients get a field that carries tags or groups.
#[must_use]
pub fn is_for_clients(name: &str) -> bool {
    name.eq_ignore_ascii_case(GROUPS)
}

/// Adds the tags or groups that the lines of a field name. False if there are too many.
#[must_use]
pub fn tags_of<'a>(
    name: &str,
    lines: impl Iterator<Item = &'a [u8]>,
    origin: &Site,
    into: &mut Vec<Digest>,
) -> bool {
    if is_for_clients(name) {
        let groups = groups(lines);
        into.extend(
            groups
                .iter()
                .map(|group| Digest::of_group(origin, group.as_bytes())),
        );
    } else {
        into.extend(lines.flat_map(words).map(Digest::of_tag).take(MAX_TAGS + 1));
    }
    into.sort_unstable();
    into.dedup();
    into.len() <= MAX_TAGS
}

/// The groups of an origin that an answer to an unsafe request makes worthless: Cache-Group-Invalidation (RFC 9875 3).
#[must_use]
pub fn group_invalidations<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    origin: &Site,
) -> Vec<Digest> {
    let groups = groups(lines);
    let digests = groups
        .iter()
        .map(|group| Digest::of_group(origin, group.as_bytes()));
    digests.take(MAX_TAGS).collect()
}

/// The words of a list of tags. Senders put blanks or commas between them.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t' | b','))
        .filter(|word| !word.is_empty())
}

/// A list of strings (RFC 9875 2). A field that isn't one is ignored (RFC 9651 4.2), parameters are, too.
fn groups<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let text = lines.collect::<Vec<_>>().join(&b", "[..]);
    let mut found = Groups::default();
    match Parser::new(&text).parse_list_with_visitor(&mut found) {
        Ok(()) => found.0,
        Err(_) => Vec::new(),
    }
}

#[derive(Default)]
struct Groups(Vec<String>);

#[derive(Debug)]
struct NoString;

impl fmt::Display for NoString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group that is no string")
    }
}

impl Error for NoString {}

impl<'de> ListVisitor<'de> for &mut Groups {
    type Out = ();
    type Error = NoString;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, NoString> {
        Ok(Group(&mut self.0))
    }

    fn finish(self) -> Result<(), NoString> {
        Ok(())
    }
}

struct Group<'a>(&'a mut Vec<String>);

impl<'de> EntryVisitor<'de> for Group<'_> {
    type Error = NoString;

    fn item(self) -> Result<impl ItemVisitor<'de>, NoString> {
        Ok(move |item: BareItemFromInput<'de>| match item {
            BareItemFromInput::String(text) => {
                self.0.push(text.as_str().to_owned());
                Ok(Ignored)
            }
            _ => Err(NoString),
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, NoString> {
        Err::<Ignored, _>(NoString)
    }
}
