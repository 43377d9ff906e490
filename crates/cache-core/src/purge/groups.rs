//! Groups of responses: the fields Cache-Groups and Cache-Group-Invalidation (RFC 9875).

use std::error::Error;
use std::fmt;

use sfv::visitor::{EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ListVisitor};
use sfv::{BareItemFromInput, Parser};

use super::selector::{Scope, Selector};
use super::tag_id::TagId;
use crate::invalidation::is_safe;
use crate::uri::Origin;

/// Most groups that one response may invalidate apart. The RFC asks for 32 at least.
const MAX_GROUPS: usize = 128;

/// The members of a field that is a List of Strings (RFC 9651 3.1, 3.3.3). Parameters count for nothing. Without any
/// lines, or if the field is anything else, it is ignored: there are none.
#[must_use]
pub fn strings<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return Vec::new();
    }
    // One field of several lines (RFC 9651 4.2).
    let text = lines.collect::<Vec<_>>().join(&b", "[..]);
    Parser::new(&text)
        .parse_list_with_visitor(Strings::default())
        .unwrap_or_default()
}

/// What a response to a request of this method invalidates by its lines of Cache-Group-Invalidation. "MUST be ignored on
/// responses to requests that have a safe method" (RFC 9875 3). Of a response that names too many groups, all of its
/// origin.
#[must_use]
pub fn group_invalidation<'a>(
    method: &[u8],
    origin: &Origin,
    lines: impl Iterator<Item = &'a [u8]>,
) -> Vec<Selector> {
    if is_safe(method) {
        return Vec::new();
    }
    let mut groups = strings(lines);
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MAX_GROUPS {
        return vec![Selector::Within(Scope::Origin(origin.clone()))];
    }
    groups
        .iter()
        .map(|group| Selector::Group(TagId::of_group(origin, group.as_bytes())))
        .collect()
}

#[derive(Default)]
struct Strings(Vec<String>);

#[derive(Debug)]
struct NoString;

impl fmt::Display for NoString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member that is no string")
    }
}

impl Error for NoString {}

impl<'de> ListVisitor<'de> for Strings {
    type Out = Vec<String>;
    type Error = NoString;

    fn entry(&mut self) -> Result<impl EntryVisitor<'de>, NoString> {
        Ok(Member(&mut self.0))
    }

    fn finish(self) -> Result<Vec<String>, NoString> {
        Ok(self.0)
    }
}

struct Member<'a>(&'a mut Vec<String>);

impl<'de> EntryVisitor<'de> for Member<'_> {
    type Error = NoString;

    fn item(self) -> Result<impl ItemVisitor<'de>, NoString> {
        Ok(move |item: BareItemFromInput<'de>| {
            let BareItemFromInput::String(text) = item else {
                return Err(NoString);
            };
            self.0.push(text.as_str().to_owned());
            Ok(Ignored)
        })
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, NoString> {
        Err::<Ignored, _>(NoString)
    }
}
