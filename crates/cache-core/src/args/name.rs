//! Names of arguments: as the directive lists them, and as backends may read them.

use super::escaped;

/// A name that the directive lists, or what such names begin with (`utm_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Without escapes.
    text: Box<[u8]>,
    /// As [`loose`] has it.
    loose: Box<[u8]>,
    /// Whether names only begin so.
    is_start: bool,
}

impl Name {
    /// Reads a name; a `*` at its end stands for any text. `None` if no argument can be named so.
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        let text = word.strip_suffix(b"*").unwrap_or(word);
        let may_stand = |b: &u8| !b.is_ascii_control() && !b"&=;%*#".contains(b);
        let is_name = !word.is_empty() && text.iter().all(may_stand);
        is_name.then(|| Self {
            text: text.into(),
            loose: loosened(text.iter().copied()).collect(),
            is_start: text.len() < word.len(),
        })
    }

    /// The name that has these bytes once it is decoded.
    pub(super) fn exact(name: &[u8]) -> Self {
        Self {
            text: name.into(),
            loose: loosened(name.iter().copied()).collect(),
            is_start: false,
        }
    }

    /// Whether an argument of the request has this name.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        matches(decoded(name), &self.text, self.is_start)
    }

    /// Whether some backend may take an argument of the request for one of this name, or for what is said of one: `!q` is the
    /// default of `q` and `_q` its marker with Spring MVC.
    pub(super) fn may_be(&self, name: &[u8]) -> bool {
        let mut behind = loose(name);
        let is_marked = matches!(behind.next(), Some(b'!' | b'_'));
        matches(loose(name), &self.loose, self.is_start)
            || is_marked && matches(behind, &self.loose, self.is_start)
    }
}

fn matches(mut name: impl Iterator<Item = u8>, text: &[u8], is_start: bool) -> bool {
    text.iter().all(|wanted| name.next() == Some(*wanted)) && (is_start || name.next().is_none())
}

/// The name of an argument.
pub(super) fn name_of(argument: &[u8]) -> &[u8] {
    argument.split(|&b| b == b'=').next().unwrap_or_default()
}

/// The bytes of a name as backends decode it: an escape is its byte, "+" a space.
pub(super) fn decoded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        Some(match byte {
            b'+' => b' ',
            b'%' => match escaped(tail) {
                Some(meant) => {
                    rest = tail.get(2..).unwrap_or_default();
                    meant
                }
                None => b'%',
            },
            _ => byte,
        })
    })
}

/// A name, so that two have the same if some backend may take them for the same. Case counts for nothing, as with ASP.NET;
/// what stands in brackets neither, and a dot and a space are `_`, as with PHP.
pub(super) fn loose(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    loosened(decoded(name))
}

fn loosened(name: impl Iterator<Item = u8>) -> impl Iterator<Item = u8> {
    name.skip_while(|&b| b == b' ')
        .take_while(|&b| b != b'[')
        .map(|b| match b {
            b'.' | b' ' => b'_',
            _ => b.to_ascii_lowercase(),
        })
}

/// Whether backends may see another name than [`loose`] tells: the argument holds a `;`; or its name an escape that is
/// none, as IIS reads `%u0061`; an escape of an escape; a control character, where a C string may end; or a bracket that
/// isn't closed, which PHP takes for `_`.
pub(super) fn is_doubtful(argument: &[u8]) -> bool {
    if argument.contains(&b';') {
        return true;
    }
    let (mut length, mut is_open) = (0_usize, false);
    for byte in decoded(name_of(argument)) {
        match byte {
            b'%' => return true,
            _ if byte.is_ascii_control() => return true,
            b'[' if length == 0 => return true,
            b'[' => is_open = true,
            b']' => is_open = false,
            _ => {}
        }
        // PHP takes off spaces at the beginning.
        if byte != b' ' || length > 0 {
            length = length.saturating_add(1);
        }
    }
    is_open
}
