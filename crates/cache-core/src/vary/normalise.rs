//! Values of request fields that mean the same, brought to one form (RFC 9111 4.1).
//!
//! Only what the RFC allows: two values become one only if their field's specification gives them the
//! same meaning. To keep two apart that mean the same costs a request to the backend; to take two for
//! one that don't gives somebody another's response.

use std::cmp::Reverse;

use crate::headers::{is_token, trim_ows};

/// The value of a request field, lines joined, in the form that all values of its meaning have.
/// `name` is in lower case.
#[must_use]
pub fn normalise(name: &[u8], value: &[u8]) -> Vec<u8> {
    let known = match name {
        b"accept-encoding" => codings(value),
        b"accept-language" => languages(value),
        _ => None,
    };
    known.unwrap_or_else(|| list(value))
}

/// A value of any field: white space around the members of a list goes, but not from within quotes or
/// comments, where it means something.
fn list(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    for (index, member) in members(value).into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(trim_ows(member));
    }
    text
}

/// Splits at commas outside of quoted strings (RFC 9110 5.6.4) and comments (5.6.5). One that isn't closed
/// takes all that follows it.
fn members(value: &[u8]) -> Vec<&[u8]> {
    let (mut members, mut start) = (Vec::new(), 0);
    let (mut quoted, mut depth, mut escaped) = (false, 0_u32, false);
    for (index, &byte) in value.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth = depth.saturating_add(1),
            b')' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => {
                members.push(value.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    members.push(value.get(start..).unwrap_or_default());
    members
}

/// A member of Accept-Encoding or Accept-Language: what is accepted, in lower case, and its weight in
/// thousandths (RFC 9110 12.4.2).
type Weighted = (Vec<u8>, u16);

/// Accept-Encoding (RFC 9110 12.5.3): names of codings know no case, and their order none. `None` if it is no
/// such list, or names one coding with two weights, which has no meaning of its own.
fn codings(value: &[u8]) -> Option<Vec<u8>> {
    let mut codings = weighted(value, is_token)?;
    codings.sort_unstable();
    codings.dedup();
    (!names_one_twice(&codings)).then(|| print(&codings))
}

/// Accept-Language (RFC 9110 12.5.4): language ranges know no case (RFC 4647 2). Those of a higher weight come first, since a
/// priority list is ordered by weight (RFC 4647 2.3). The order of ranges with the same weight stays: some take the first.
fn languages(value: &[u8]) -> Option<Vec<u8>> {
    let is_range = |range: &[u8]| {
        !range.is_empty()
            && range
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'*'))
    };
    let mut ranges = weighted(value, is_range)?;
    if !names_one_twice(&ranges) {
        ranges.sort_by_key(|(_, weight)| Reverse(*weight));
    }
    Some(print(&ranges))
}

/// Whether something stands twice in a list: which of its weights counts is up to the backend, by their order.
fn names_one_twice(list: &[Weighted]) -> bool {
    let mut names: Vec<_> = list.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names
        .windows(2)
        .any(|pair| matches!(pair, [one, other] if one == other))
}

/// Reads a list of what is accepted with weights. `None` if it isn't one.
fn weighted(value: &[u8], is_name: impl Fn(&[u8]) -> bool) -> Option<Vec<Weighted>> {
    let mut list = Vec::new();
    for member in value.split(|&b| b == b',').map(trim_ows) {
        // RFC 9110 5.6.1.2: an empty member counts for nothing.
        if member.is_empty() {
            continue;
        }
        let mut parts = member.splitn(2, |&b| b == b';').map(trim_ows);
        let name = parts.next().filter(|name| is_name(name))?;
        let weight = match parts.next() {
            Some(parameter) => weight(parameter)?,
            None => 1000,
        };
        list.push((name.to_ascii_lowercase(), weight));
    }
    Some(list)
}

/// `q=0.5` in thousandths: at most three digits behind the point (RFC 9110 12.4.2).
pub(crate) fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', number @ ..] = parameter else {
        return None;
    };
    let (whole, digits) = match number {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] => (whole, digits),
        _ => return None,
    };
    if digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let fraction: u16 = digits
        .iter()
        .zip([100, 10, 1])
        .map(|(digit, weight)| u16::from(digit - b'0') * weight)
        .sum();
    let weight = u16::from(whole - b'0') * 1000 + fraction;
    (weight <= 1000).then_some(weight)
}

fn print(list: &[Weighted]) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, (name, weight)) in list.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(name);
        // A weight that isn't stated is 1.
        if *weight < 1000 {
            let digits = format!("{weight:03}");
            let digits = digits.trim_end_matches('0');
            text.extend_from_slice(b";q=0");
            if !digits.is_empty() {
                text.push(b'.');
                text.extend_from_slice(digits.as_bytes());
            }
        }
    }
    text
}
