//! Fields of a response that carry tags (`redis_cache_tags`), and how their words are separated.

use crate::headers::{is_token, trim_ows};

/// What separates the words of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separators {
    /// It is a List of Strings, each a group of its origin (RFC 9875 2).
    Structured,
    /// Blanks and tabs.
    Blanks,
    /// Commas.
    Commas,
    /// Some senders of the field write blanks, some commas. A word with a comma in it counts as a whole, too.
    Either,
}

impl Separators {
    /// What separates the words of this field, as those write it who have made it up.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        const KNOWN: [(&[u8], Separators); 7] = [
            (b"cache-groups", Separators::Structured),
            // Fastly
            (b"surrogate-key", Separators::Blanks),
            // Drupal's HTTP purger
            (b"purge-cache-tags", Separators::Blanks),
            // Cloudflare
            (b"cache-tag", Separators::Commas),
            // Akamai
            (b"edge-cache-tag", Separators::Commas),
            // FOSHttpCache
            (b"x-cache-tags", Separators::Commas),
            (b"x-magento-tags", Separators::Commas),
        ];
        // "cache-tags" has blanks by Drupal and commas by API Platform, "xkey" what its sender is told
        KNOWN
            .into_iter()
            .find(|(known, _)| name.eq_ignore_ascii_case(known))
            .map_or(Self::Either, |(_, separators)| separators)
    }

    /// Calls `take` with each word of a line. The words of a structured field aren't to be had line by line: see
    /// [`super::strings`].
    pub fn words(self, line: &[u8], take: &mut dyn FnMut(&[u8])) {
        let blanks = || line.split(|b| matches!(b, b' ' | b'\t'));
        let not_empty = |word: &&[u8]| !word.is_empty();
        match self {
            Self::Structured => {}
            Self::Blanks => blanks().filter(not_empty).for_each(take),
            Self::Commas => commas(line).for_each(take),
            Self::Either => {
                for word in blanks().filter(not_empty) {
                    let is_list = word.contains(&b',');
                    let is_inner = !word.starts_with(b",") && !word.ends_with(b",");
                    if is_list && is_inner {
                        take(word);
                    }
                    commas(word).for_each(&mut *take);
                }
            }
        }
    }
}

fn commas(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b',')
        .map(trim_ows)
        .filter(|word| !word.is_empty())
}

/// The fields whose words are tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFields(Box<[(Box<[u8]>, Separators)]>);

impl Default for TagFields {
    fn default() -> Self {
        let names: [&[u8]; 4] = [b"Cache-Groups", b"Surrogate-Key", b"Cache-Tag", b"xkey"];
        Self(names.into_iter().map(field).collect())
    }
}

impl TagFields {
    /// These fields.
    ///
    /// # Errors
    ///
    /// The first text that is no name of a field.
    pub fn new<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<Self, &'a [u8]> {
        names
            .map(|name| {
                if is_token(name) {
                    Ok(field(name))
                } else {
                    Err(name)
                }
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The names, and what separates the words of each.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Separators)> {
        self.0
            .iter()
            .map(|(name, separators)| (&**name, *separators))
    }

    /// Whether clients don't get this field. Cache-Groups is for them, too (RFC 9875 2).
    #[must_use]
    pub fn takes_off(&self, name: &[u8]) -> bool {
        self.iter().any(|(field, separators)| {
            separators != Separators::Structured && field.eq_ignore_ascii_case(name)
        })
    }
}

fn field(name: &[u8]) -> (Box<[u8]>, Separators) {
    (name.into(), Separators::of(name))
}
