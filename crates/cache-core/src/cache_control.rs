//! Cache-Control of a response (RFC 9111 5.2.2, RFC 5861).

use crate::headers::{is_token, trim_ows, trim_ows_start};
use crate::units::MAX_SECONDS;

/// What the Cache-Control lines of a response say, each doubt decided the restrictive way
/// (RFC 9111 4.2.1). Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// 5.2.2.5: not to be stored.
    pub no_store: bool,
    /// 5.2.2.4, in either form: not to be used without asking the backend.
    pub no_cache: bool,
    /// Fields that `no-cache="..."` is limited to; empty if it means the whole response. They are left out
    /// of the record.
    pub no_cache_fields: Vec<Box<[u8]>>,
    /// 5.2.2.7, in either form: not for a shared cache.
    pub private: bool,
    /// Fields that `private="..."` is limited to; empty if it means the whole response. They are left out of
    /// the record.
    pub private_fields: Vec<Box<[u8]>>,
    /// 5.2.2.9: may be stored although something else would forbid it.
    pub public: bool,
    /// 5.2.2.2: not to be used stale.
    pub must_revalidate: bool,
    /// 5.2.2.8: not to be used stale by a shared cache.
    pub proxy_revalidate: bool,
    /// 5.2.2.3: to be stored only by caches that understand the status.
    pub must_understand: bool,
    /// 5.2.2.1: the lifetime.
    pub max_age: Option<u32>,
    /// 5.2.2.10: the lifetime in a shared cache.
    pub s_maxage: Option<u32>,
    /// RFC 5861 3: how long it may be used stale while it is being refilled.
    pub stale_while_revalidate: Option<u32>,
    /// RFC 5861 4: how long it may be used stale when the backend fails.
    pub stale_if_error: Option<u32>,
}

/// Reads the Cache-Control lines of a response, in order. Never fails: what isn't understood is
/// skipped (5.2.3), except that a lifetime which can't be read counts as 0 (4.2.1); of several values the
/// least counts.
pub fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> CacheControl {
    let mut found = CacheControl::default();
    for line in values {
        for element in Elements::of(line) {
            found.add(&Directive::of(element));
        }
    }
    found
}

impl CacheControl {
    fn add(&mut self, directive: &Directive<'_>) {
        // No directive known here is longer than the buffer.
        let mut buffer = [0; 22];
        let Some(name) = buffer.get_mut(..directive.name.len()) else {
            return;
        };
        name.copy_from_slice(directive.name);
        name.make_ascii_lowercase();
        match &*name {
            b"no-store" => self.no_store = true,
            b"no-cache" => restrict(&mut self.no_cache, &mut self.no_cache_fields, directive),
            b"private" => restrict(&mut self.private, &mut self.private_fields, directive),
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"max-age" => shorten(&mut self.max_age, directive.seconds()),
            b"s-maxage" => shorten(&mut self.s_maxage, directive.seconds()),
            b"stale-while-revalidate" => {
                shorten(&mut self.stale_while_revalidate, directive.seconds());
            }
            b"stale-if-error" => shorten(&mut self.stale_if_error, directive.seconds()),
            _ => {}
        }
    }
}

impl CacheControl {
    /// 5.2.2.4 without a list: the record may not be used before the backend has confirmed it.
    #[must_use]
    pub fn always_validate(&self) -> bool {
        self.no_cache && self.no_cache_fields.is_empty()
    }

    /// 5.2.2.7 without a list: nothing of the response is for a shared cache.
    #[must_use]
    pub fn all_private(&self) -> bool {
        self.private && self.private_fields.is_empty()
    }

    /// Fields that nobody but the client that asked may get: those that `private` or `no-cache` is limited
    /// to. They are left out of the record.
    pub fn withheld(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.no_cache_fields
            .iter()
            .chain(&self.private_fields)
            .map(AsRef::as_ref)
    }

    /// Whether a lifetime is stated.
    #[must_use]
    pub const fn states_lifetime(&self) -> bool {
        self.s_maxage.is_some() || self.max_age.is_some()
    }
}

pub(crate) fn shorten(time: &mut Option<u32>, seconds: u32) {
    *time = Some(time.map_or(seconds, |known| known.min(seconds)));
}

/// Joins one more occurrence of a directive that may be limited to fields. Once it has come without
/// fields it means the whole response, whatever else is said.
fn restrict(present: &mut bool, fields: &mut Vec<Box<[u8]>>, directive: &Directive<'_>) {
    restrict_to(present, fields, directive.field_names());
}

pub(crate) fn restrict_to(present: &mut bool, fields: &mut Vec<Box<[u8]>>, more: Vec<Box<[u8]>>) {
    if *present && fields.is_empty() {
        return;
    }
    *present = true;
    if more.is_empty() {
        fields.clear();
    } else {
        fields.extend(more);
    }
}

/// `name`, `name=argument` or `name="argument"` (5.2).
pub(crate) struct Directive<'a> {
    pub(crate) name: &'a [u8],
    /// What follows "=", as it stands; `None` without "=".
    pub(crate) argument: Option<&'a [u8]>,
}

impl<'a> Directive<'a> {
    pub(crate) fn of(element: &'a [u8]) -> Self {
        let mut sides = element.splitn(2, |&b| b == b'=');
        let name = sides.next().unwrap_or_default();
        let argument = sides.next();
        let trimmed = trim_ows(name);
        Self {
            name: trimmed,
            // A blank before "=" spoils the argument as one behind it does, but not the name.
            argument: argument.map(|text| {
                if trimmed.len() == name.len() {
                    text
                } else {
                    b" "
                }
            }),
        }
    }

    /// A lifetime: one that can't be read is 0 (4.2.1).
    fn seconds(&self) -> u32 {
        self.delta_seconds().unwrap_or(0)
    }

    /// delta-seconds (1.2.2) in token or quoted form (5.2: recipients ought to take both): too large
    /// a number is the largest.
    pub(crate) fn delta_seconds(&self) -> Option<u32> {
        delta_seconds(unquote(self.argument.unwrap_or_default()))
    }

    /// delta-seconds, and more of them behind a separator.
    pub(crate) fn split_argument(&self, separator: u8) -> Option<(u32, Option<u32>)> {
        let text = unquote(self.argument.unwrap_or_default());
        let mut parts = text.splitn(2, |&b| b == separator);
        let first = delta_seconds(parts.next().unwrap_or_default())?;
        match parts.next() {
            Some(second) => Some((first, Some(delta_seconds(second)?))),
            None => Some((first, None)),
        }
    }

    /// The field names in the argument, none if there is no argument.
    fn field_names(&self) -> Vec<Box<[u8]>> {
        field_names(unquote(self.argument.unwrap_or_default()))
    }
}

fn delta_seconds(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value: u32, &digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
            .min(MAX_SECONDS)
    }))
}

/// Field names in a list. None if any of it is no name, or the name of a field that the others can't be
/// understood without: then the directive that the list limits isn't limited, which 5.2.2.4 and 5.2.2.7
/// allow.
pub(crate) fn field_names(list: &[u8]) -> Vec<Box<[u8]>> {
    let names = list
        .split(|&b| b == b',')
        .map(trim_ows)
        .filter(|name| !name.is_empty());
    if names.clone().all(|name| is_token(name) && !is_needed(name)) {
        names.map(Into::into).collect()
    } else {
        Vec::new()
    }
}

/// A record without one of these would be another response, or have other rules.
fn is_needed(name: &[u8]) -> bool {
    const FIELDS: [&[u8]; 9] = [
        b"cache-control",
        b"cdn-cache-control",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"expires",
        b"surrogate-control",
        b"vary",
    ];
    FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field))
}

/// The content of a quoted-string (RFC 9110 5.6.4); anything else as it stands. Escapes are left:
/// neither a number nor a field name needs one, so an argument with an escape is none.
fn unquote(argument: &[u8]) -> &[u8] {
    match argument {
        [b'"', content @ .., b'"'] => content,
        other => other,
    }
}

/// The members of a list (RFC 9110 5.6.1), empty ones skipped.
///
/// A comma separates nothing in a quoted-string, but only in one that is well-formed: right behind "=",
/// closed, and with nothing behind it. Any other quote is an ordinary byte, so that it can't hide a
/// restriction behind it.
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn of(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Length of the element in front.
    fn length(&self) -> usize {
        let name = self
            .rest
            .iter()
            .position(|b| matches!(b, b'=' | b','))
            .unwrap_or(self.rest.len());
        let (_, behind) = self.rest.split_at(name);
        if let [b'=', b'"', text @ ..] = behind
            && let Some(quoted) = quoted_length(text)
        {
            return name + 2 + quoted;
        }
        let to_comma = behind.iter().position(|&b| b == b',');
        to_comma.map_or(self.rest.len(), |more| name + more)
    }
}

/// Length of the rest of a quoted-string and the white space behind it; `None` if it never closes or if
/// something else than a comma follows.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let close = text.iter().position(|&b| {
        let closes = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })?;
    let (quoted, behind) = text.split_at(close + 1);
    let blanks = behind.len() - trim_ows_start(behind).len();
    match behind.get(blanks) {
        None | Some(b',') => Some(quoted.len() + blanks),
        Some(_) => None,
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (element, rest) = self.rest.split_at(self.length());
            self.rest = rest.get(1..).unwrap_or_default();
            let element = trim_ows(element);
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    }
}
