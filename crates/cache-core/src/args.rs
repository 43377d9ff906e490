//! The arguments of a request in one form, for cache keys: `redis_cache_args` and `$redis_cache_args`. By option what
//! responses say by No-Vary-Search is heeded, too: [`SearchRule`].
//!
//! An argument is what stands between two `&` (`;` separates nothing); its name ends at the first `=`. Backends read names
//! in different ways: PHP takes `a.b` for `a_b` and `a[]` for `a`, ASP.NET takes `A` for `a`, some split at `;` as well. A
//! key must not lack an argument that the backend heeds, or lose the order of two that it takes for the same: a client
//! could then store a response of its choice under the key of another request. So in doubt an argument stays, and stays
//! where it is.

use std::borrow::Cow;

use crate::hex;

mod name;
mod search;
mod tracking;

pub use search::{MAX_RULE, SearchRule};

use name::{Name, is_doubtful, loose, name_of};

/// `redis_cache_args`: what is done to arguments. The default leaves them as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArgsForm {
    sort: bool,
    normalize: bool,
    drop: Vec<Name>,
    /// `None`: all are kept that aren't dropped.
    keep: Option<Vec<Name>>,
    /// What responses say by No-Vary-Search is heeded.
    no_vary_search: bool,
}

/// What is wrong with the options of `redis_cache_args`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadArgs {
    /// No option is written so.
    Option(String),
    /// No argument is named so.
    Name(String),
    /// No list has this name, which begins with `@`.
    List(String),
}

impl ArgsForm {
    /// Reads the options: `sort`, `normalize`, `drop=NAME,...`, `keep=NAME,...`, `no_vary_search` in any order, or `off`
    /// alone. Names of several `drop` or `keep` add up.
    ///
    /// # Errors
    ///
    /// [`BadArgs`] names the first word that isn't understood.
    pub fn parse(options: &[&[u8]]) -> Result<Self, BadArgs> {
        let mut form = Self::default();
        if options == [b"off"] {
            return Ok(form);
        }
        for option in options {
            if *option == b"sort" {
                form.sort = true;
            } else if *option == b"normalize" {
                form.normalize = true;
            } else if *option == b"no_vary_search" {
                form.no_vary_search = true;
            } else if let Some(list) = option.strip_prefix(b"drop=") {
                add_names(&mut form.drop, list)?;
            } else if let Some(list) = option.strip_prefix(b"keep=") {
                add_names(form.keep.get_or_insert_default(), list)?;
            } else {
                return Err(BadArgs::Option(readable(option)));
            }
        }
        Ok(form)
    }

    /// Whether it changes any arguments by itself.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.sort || self.normalize || !self.drop.is_empty() || self.keep.is_some()
    }

    /// Whether it heeds No-Vary-Search.
    #[must_use]
    pub const fn heeds_rules(&self) -> bool {
        self.no_vary_search
    }

    /// The arguments in this form and in that of the rule, if one is known. Behind them stand `#` and the rule's text: the
    /// same arguments are another text under another rule, or under none.
    #[must_use]
    pub fn apply_with<'a>(&self, rule: Option<&SearchRule>, arguments: &'a [u8]) -> Cow<'a, [u8]> {
        let mut form = self.apply(arguments);
        // nginx has none in what a client sends. What `set` has made of a decoded path must not look like a rule.
        if form.contains(&b'#') {
            form = form
                .split(|&b| b == b'#')
                .collect::<Vec<_>>()
                .join(&b"%23"[..])
                .into();
        }
        match rule {
            None => form,
            Some(rule) => {
                let form = rule.apply(&form);
                [form.as_slice(), b"#", rule.text()].concat().into()
            }
        }
    }

    /// The arguments in this form. What has it already is borrowed. The form of the form is the form.
    #[must_use]
    pub fn apply<'a>(&self, arguments: &'a [u8]) -> Cow<'a, [u8]> {
        if arguments.is_empty() || !self.is_on() {
            return Cow::Borrowed(arguments);
        }
        let mut kept = Vec::new();
        let mut is_same = true;
        for argument in arguments.split(|&b| b == b'&') {
            if self.has(argument) {
                kept.push(argument);
            } else {
                is_same = false;
            }
        }
        is_same &= !(self.sort && sort(&mut kept));
        is_same &= !(self.normalize && arguments.contains(&b'%'));
        if is_same {
            return Cow::Borrowed(arguments);
        }
        let mut text = Vec::with_capacity(arguments.len());
        for (index, argument) in kept.into_iter().enumerate() {
            if index > 0 {
                text.push(b'&');
            }
            if self.normalize {
                normalize(&mut text, argument);
            } else {
                text.extend_from_slice(argument);
            }
        }
        Cow::Owned(text)
    }

    /// A URI in origin form with its arguments in this form. The `?` goes with the last argument.
    #[must_use]
    pub fn apply_to_target<'a>(&self, target: &'a [u8]) -> Cow<'a, [u8]> {
        let whole = target.split(|&b| b == b'#').next().unwrap_or_default();
        let mark = whole.iter().position(|&b| b == b'?');
        let parts = mark.and_then(|mark| whole.split_at_checked(mark));
        let Some((path, [_, arguments @ ..])) = parts.filter(|_| self.is_on()) else {
            return Cow::Borrowed(target);
        };
        match self.apply(arguments) {
            form if form.is_empty() => Cow::Borrowed(path),
            Cow::Borrowed(_) => Cow::Borrowed(whole),
            Cow::Owned(form) => Cow::Owned([path, b"?", &form].concat()),
        }
    }

    /// Whether the form has this argument.
    fn has(&self, argument: &[u8]) -> bool {
        if argument.is_empty() {
            // It means nothing (WHATWG URL, application/x-www-form-urlencoded parsing, step 3.1), and has no place.
            return !self.sort && self.keep.is_none();
        }
        // Some backends split there, so it may hold an argument of any name.
        if argument.contains(&b';') {
            return true;
        }
        let name = name_of(argument);
        let is_kept = self
            .keep
            .as_ref()
            .is_none_or(|names| is_doubtful(argument) || names.iter().any(|it| it.may_be(name)));
        is_kept && !self.drop.iter().any(|it| it.is(name))
    }
}

/// Adds the names of a list, which commas separate.
fn add_names(names: &mut Vec<Name>, list: &[u8]) -> Result<(), BadArgs> {
    for word in list.split(|&b| b == b',') {
        if let Some(list) = word.strip_prefix(b"@") {
            if list != b"tracking" {
                return Err(BadArgs::List(readable(word)));
            }
            names.extend(
                tracking::NAMES
                    .iter()
                    .filter_map(|it| Name::parse(it.as_bytes())),
            );
        } else {
            names.push(Name::parse(word).ok_or_else(|| BadArgs::Name(readable(word)))?);
        }
    }
    Ok(())
}

fn readable(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Sorts arguments by their names; those of one name keep their order. Gives whether any has moved. If it is in doubt
/// what one of them is called, all stay.
fn sort(arguments: &mut [&[u8]]) -> bool {
    let key = |argument| loose(name_of(argument));
    let is_sorted = arguments.is_sorted_by(|one, next| key(one).le(key(next)));
    if is_sorted || arguments.iter().any(|it| is_doubtful(it)) {
        return false;
    }
    arguments.sort_by(|one, other| key(one).cmp(key(other)));
    true
}

/// Appends an argument with its escapes as RFC 3986 6.2.2 has them: unreserved characters decoded, all others with
/// upper-case digits. One with a `%` that begins no escape is left as it is: what it means differs, and what stands behind
/// the `%` might become an escape.
fn normalize(text: &mut Vec<u8>, argument: &[u8]) {
    let start = text.len();
    let mut rest = argument;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            text.push(byte);
            continue;
        }
        let (Some(meant), [_, _, behind @ ..]) = (escaped(tail), tail) else {
            text.truncate(start);
            text.extend_from_slice(argument);
            return;
        };
        rest = behind;
        if is_unreserved(meant) {
            text.push(meant);
        } else {
            text.push(b'%');
            text.extend_from_slice(&hex::upper(meant));
        }
    }
}

/// RFC 3986 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The byte whose escape this is the rest of, behind the `%`.
fn escaped(rest: &[u8]) -> Option<u8> {
    match rest {
        [high, low, ..] => hex::decode([*high, *low]),
        _ => None,
    }
}
