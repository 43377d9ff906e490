//! The gates of storing: which statuses, which methods.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::headers::is_token;
use crate::status_code::{FINAL_STATUSES, parse_status};
use crate::units::parse_seconds;

/// A list that makes no sense, with what is wrong in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadList {
    /// Nothing is listed.
    Empty,
    /// This item is no status.
    Status(String),
    /// This item is no method.
    Method(String),
}

impl fmt::Display for BadList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty list"),
            Self::Status(item) => write!(
                f,
                "invalid status \"{item}\", expected 200 to 599 or \"any\""
            ),
            Self::Method(item) => write!(f, "invalid method \"{item}\""),
        }
    }
}

impl Error for BadList {}

/// The statuses that may be stored: the gate of `redis_cache_valid` and `$cache_status`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusList(Arc<[StatusRule]>);

/// One status, or any, with its own default lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusRule {
    /// `None` is any status.
    status: Option<u16>,
    /// Seconds; `None` is `redis_cache_age`.
    age: Option<u32>,
}

impl StatusList {
    /// No status at all: what directives are added to.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Reads the value of `$cache_status`: statuses or "any", separated by blanks, commas or both.
    ///
    /// # Errors
    ///
    /// [`BadList`] names the first bad item.
    pub fn parse(text: &[u8]) -> Result<Self, BadList> {
        Self::empty().with(items(text), None)
    }

    /// The list with one more `redis_cache_valid CODE...|any [TIME]`. A last argument with a unit is the
    /// TIME: the default lifetime of these statuses. Where a status is listed twice, the first counts.
    ///
    /// # Errors
    ///
    /// [`BadList`] names the first bad argument.
    pub fn with_directive(&self, arguments: &[&[u8]]) -> Result<Self, BadList> {
        let (codes, age) = match arguments {
            [codes @ .., last] if !codes.is_empty() => match time(last) {
                Some(age) => (codes, Some(age)),
                None => (arguments, None),
            },
            _ => (arguments, None),
        };
        self.with(codes.iter().copied(), age)
    }

    fn with<'a>(
        &self,
        codes: impl Iterator<Item = &'a [u8]>,
        age: Option<u32>,
    ) -> Result<Self, BadList> {
        let mut rules = self.0.to_vec();
        for code in codes {
            let status = if code.eq_ignore_ascii_case(b"any") {
                None
            } else {
                Some(parse_status(code).ok_or_else(|| BadList::Status(shown(code)))?)
            };
            rules.push(StatusRule { status, age });
        }
        if rules.len() == self.0.len() {
            return Err(BadList::Empty);
        }
        Ok(Self(rules.into()))
    }

    /// Whether a response of this status may be stored. What is no final status is in no list: a record of it
    /// would never be read.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        FINAL_STATUSES.contains(&status) && self.rule(status).is_some()
    }

    /// Whether the operator has said that responses of this status are stored: by naming it, or by a time
    /// for any. A mere "any" only lets those pass that say so themselves, or whose status does.
    #[must_use]
    pub fn names(&self, status: u16) -> bool {
        self.rule(status)
            .is_some_and(|rule| rule.status.is_some() || rule.age.is_some())
    }

    /// Seconds that a response of this status is fresh where it states nothing, if the list has a time
    /// for it.
    #[must_use]
    pub fn age(&self, status: u16) -> Option<u32> {
        self.rule(status)?.age
    }

    /// A status's own rule comes before "any", as `proxy_cache_valid` has it.
    fn rule(&self, status: u16) -> Option<&StatusRule> {
        let find = |wanted| self.0.iter().find(|rule| rule.status == wanted);
        find(Some(status)).or_else(|| find(None))
    }
}

impl Default for StatusList {
    /// 200 only.
    fn default() -> Self {
        Self(Arc::from([StatusRule {
            status: Some(200),
            age: None,
        }]))
    }
}

/// A TIME among codes carries a unit: without one "302" would be either.
fn time(argument: &[u8]) -> Option<u32> {
    if argument.iter().all(u8::is_ascii_digit) {
        return None;
    }
    parse_seconds(argument).ok()
}

/// The methods that are looked up and stored: `redis_cache_methods` and `$cache_method`. Any method may
/// be listed; that is the operator's word (RFC 9110 9.2.3 notwithstanding). Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodList(Arc<[Box<[u8]>]>);

impl MethodList {
    /// Reads the value of `$cache_method`: methods separated by blanks, commas or both.
    ///
    /// # Errors
    ///
    /// [`BadList`] names the first item that is no token (RFC 9110 9.1).
    pub fn parse(text: &[u8]) -> Result<Self, BadList> {
        Self::from_items(items(text))
    }

    /// The list of these methods: the arguments of `redis_cache_methods`.
    ///
    /// # Errors
    ///
    /// As [`MethodList::parse`].
    pub fn from_items<'a>(methods: impl Iterator<Item = &'a [u8]>) -> Result<Self, BadList> {
        let list = methods
            .map(|method| {
                if is_token(method) {
                    Ok(method.into())
                } else {
                    Err(BadList::Method(shown(method)))
                }
            })
            .collect::<Result<Arc<[Box<[u8]>]>, _>>()?;
        if list.is_empty() {
            return Err(BadList::Empty);
        }
        Ok(Self(list))
    }

    /// Whether this method is listed. Methods are case-sensitive (RFC 9110 9.1).
    #[must_use]
    pub fn contains(&self, method: &[u8]) -> bool {
        self.0.iter().any(|listed| listed.as_ref() == method)
    }

    /// The methods.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Default for MethodList {
    /// GET and HEAD.
    fn default() -> Self {
        Self(Arc::from([b"GET"[..].into(), b"HEAD"[..].into()]))
    }
}

/// An item as an error shows it: bytes that aren't text are replaced, so that the log stays readable.
fn shown(item: &[u8]) -> String {
    String::from_utf8_lossy(item).escape_debug().to_string()
}

/// Items of a list in a variable: separated by blanks, commas or both, in any number. The Lua script
/// separates by blanks and needs one at the end; both forms are the same here.
pub fn items(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b',' || b.is_ascii_whitespace())
        .filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use super::items;

    #[test]
    fn lists() {
        let cases: [(&str, &[&str]); 6] = [
            ("200 405 ", &["200", "405"]),
            ("200 405", &["200", "405"]),
            ("200,405", &["200", "405"]),
            (" , 200 ,\t405,,", &["200", "405"]),
            ("", &[]),
            (" ", &[]),
        ];
        for (text, wanted) in cases {
            let found: Vec<_> = items(text.as_bytes()).collect();
            let wanted: Vec<_> = wanted.iter().map(|item| item.as_bytes()).collect();
            assert_eq!(found, wanted, "{text:?}");
        }
    }
}
