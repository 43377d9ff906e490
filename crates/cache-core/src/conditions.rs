//! Conditional requests: what a client that has a copy already, or a part of one, is answered with
//! (RFC 9110 13).

use std::iter;

use crate::headers::{Headers, trim_ows, trim_ows_start};
use crate::http_date::parse_anytime;

/// Fields of a request that make it conditional, and its Range: the values of their lines, in order.
#[derive(Clone, Debug, Default)]
pub struct Conditions<'a> {
    /// If-Match (RFC 9110 13.1.1).
    pub if_match: Vec<&'a [u8]>,
    /// If-None-Match (13.1.2).
    pub if_none_match: Vec<&'a [u8]>,
    /// If-Modified-Since (13.1.3).
    pub if_modified_since: Vec<&'a [u8]>,
    /// If-Unmodified-Since (13.1.4).
    pub if_unmodified_since: Vec<&'a [u8]>,
    /// If-Range (13.1.5).
    pub if_range: Vec<&'a [u8]>,
    /// Range (14.2).
    pub range: Vec<&'a [u8]>,
}

impl<'a> Conditions<'a> {
    /// Picks the fields out of a request's header lines.
    #[must_use]
    pub fn of(lines: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut conditions = Self::default();
        for (name, value) in lines {
            let fields: [(&[u8], &mut Vec<&'a [u8]>); 6] = [
                (b"if-match", &mut conditions.if_match),
                (b"if-none-match", &mut conditions.if_none_match),
                (b"if-modified-since", &mut conditions.if_modified_since),
                (b"if-unmodified-since", &mut conditions.if_unmodified_since),
                (b"if-range", &mut conditions.if_range),
                (b"range", &mut conditions.range),
            ];
            for (field, values) in fields {
                if name.eq_ignore_ascii_case(field) {
                    values.push(value);
                }
            }
        }
        conditions
    }
}

/// What the request would be answered with were it not conditional: the selected representation
/// (RFC 9110 3.2).
#[derive(Clone, Copy, Debug)]
pub struct Selected<'a> {
    /// Status of that response.
    pub status: u16,
    /// Its ETag.
    pub etag: Option<&'a [u8]>,
    /// Its Last-Modified.
    pub last_modified: Option<&'a [u8]>,
    /// Its Date.
    pub date: Date,
    /// It was stored before: then its Date stands in for a Last-Modified that it lacks (RFC 9111 4.3.2).
    pub stored: bool,
    /// Others get it in another coding with the same Last-Modified: that is no strong validator then (RFC 9110 8.8.1).
    pub has_two_forms: bool,
}

impl<'a> Selected<'a> {
    /// A response with these headers.
    #[must_use]
    pub fn new(status: u16, headers: &'a Headers, date: Date, stored: bool) -> Self {
        Self {
            status,
            etag: headers.get("ETag"),
            last_modified: headers.get("Last-Modified"),
            date,
            stored,
            has_two_forms: false,
        }
    }

    /// The same, of which others get another form, or not.
    #[must_use]
    pub fn in_two_forms(self, has_two_forms: bool) -> Self {
        Self {
            has_two_forms,
            ..self
        }
    }

    fn modified(&self) -> Option<u64> {
        self.last_modified.and_then(parse_anytime)
    }
}

/// When a response was made, in unix seconds. Records don't keep it: it is computed from an age, and
/// then known to the second only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Not before this.
    pub from: u64,
    /// Not after this.
    pub to: u64,
}

impl Date {
    /// Exactly then.
    #[must_use]
    pub const fn exactly(seconds: u64) -> Self {
        Self {
            from: seconds,
            to: seconds,
        }
    }

    /// `age` seconds, a number rounded down, before `now`, another.
    #[must_use]
    pub const fn before(now: u64, age: u32) -> Self {
        let to = now.saturating_sub(age as u64);
        Self {
            from: to.saturating_sub(1),
            to,
        }
    }
}

/// nginx's `if_modified_since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByDate {
    /// If-Modified-Since is ignored.
    Off,
    /// As RFC 9110 13.1.3 says.
    On,
}

/// What the evaluation of its preconditions makes of a request (RFC 9110 13.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// It is answered as if it had no conditions.
    Proceed,
    /// 304 (RFC 9110 15.4.5).
    NotModified,
    /// 412 (RFC 9110 15.5.13).
    PreconditionFailed,
}

/// Evaluates the conditions in the order of RFC 9110 13.2.2.
#[must_use]
pub fn evaluate(
    method: &[u8],
    conditions: &Conditions<'_>,
    selected: &Selected<'_>,
    by_date: ByDate,
) -> Evaluation {
    // 13.2.1: they count only where the response without them is a success.
    if !(200..300).contains(&selected.status) {
        return Evaluation::Proceed;
    }
    // Steps 1 and 2.
    if conditions.if_match.is_empty() {
        if let Some(date) = date(&conditions.if_unmodified_since)
            && selected.modified().is_some_and(|modified| modified > date)
        {
            return Evaluation::PreconditionFailed;
        }
    } else if !any_matches(&conditions.if_match, selected.etag, strong_match) {
        return Evaluation::PreconditionFailed;
    }
    let safe = matches!(method, b"GET" | b"HEAD");
    // Steps 3 and 4.
    if conditions.if_none_match.is_empty() {
        if safe && by_date == ByDate::On && !modified_since(conditions, selected) {
            return Evaluation::NotModified;
        }
    } else if any_matches(&conditions.if_none_match, selected.etag, weak_match) {
        return if safe {
            Evaluation::NotModified
        } else {
            Evaluation::PreconditionFailed
        };
    }
    Evaluation::Proceed
}

/// Whether Range is to be looked at (step 5 of RFC 9110 13.2.2, and 14.2): for a GET that would be
/// answered with the whole, and only if If-Range, where there is one, holds.
#[must_use]
pub fn range_applies(method: &[u8], conditions: &Conditions<'_>, selected: &Selected<'_>) -> bool {
    // Range is no list: two lines of it say nothing (5.3).
    if method != b"GET" || selected.status != 200 || conditions.range.len() != 1 {
        return false;
    }
    match conditions.if_range.as_slice() {
        [] => true,
        [value] => same_representation(trim_ows(value), selected),
        _ => false,
    }
}

/// If-Range (13.1.5): the part that the client has must be, byte for byte, of the same representation.
fn same_representation(value: &[u8], selected: &Selected<'_>) -> bool {
    if value.starts_with(b"\"") || value.starts_with(b"W/") {
        return selected.etag.is_some_and(|etag| strong_match(value, etag));
    }
    // 8.8.2.2: a date is strong if the response that carried it was made a second later at least; 8.8.1: and if no other
    // form has it.
    let is_strong = |modified: u64| !selected.has_two_forms && modified < selected.date.from;
    selected
        .modified()
        .is_some_and(|modified| is_strong(modified) && parse_anytime(value) == Some(modified))
}

/// If-Modified-Since (13.1.3): true unless the field says otherwise.
fn modified_since(conditions: &Conditions<'_>, selected: &Selected<'_>) -> bool {
    let Some(date) = date(&conditions.if_modified_since) else {
        return true;
    };
    let made = || Some(selected.date.to).filter(|_| selected.stored);
    match selected.last_modified {
        Some(_) => selected.modified(),
        None => made(),
    }
    .is_none_or(|modified| modified > date)
}

/// 13.1.3 and 13.1.4: what is no single valid date is ignored.
fn date(lines: &[&[u8]]) -> Option<u64> {
    match lines {
        [value] => parse_anytime(value),
        _ => None,
    }
}

/// Whether the lines are `*`, which matches whatever there is, or a list with a tag that matches.
fn any_matches(lines: &[&[u8]], etag: Option<&[u8]>, same: fn(&[u8], &[u8]) -> bool) -> bool {
    if let [line] = lines
        && trim_ows(line) == b"*"
    {
        return true;
    }
    let Some(etag) = etag.map(trim_ows) else {
        return false;
    };
    lines
        .iter()
        .flat_map(|line| members(line))
        .any(|member| same(member, etag))
}

/// RFC 9110 8.8.3.2: both strong and the same. What is no entity tag isn't strong.
fn strong_match(one: &[u8], other: &[u8]) -> bool {
    let other = trim_ows(other);
    is_opaque_tag(one) && one == other
}

/// RFC 9110 8.8.3.2: the same, whether weak or not. A backend's ETag without quotes is taken as it is.
pub(crate) fn weak_match(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

fn opaque(tag: &[u8]) -> &[u8] {
    match tag.strip_prefix(b"W/") {
        Some(rest) if is_opaque_tag(rest) => rest,
        _ => tag,
    }
}

/// RFC 9110 8.8.3: DQUOTE *etagc DQUOTE.
pub(crate) fn is_opaque_tag(text: &[u8]) -> bool {
    matches!(text, [b'"', inner @ .., b'"'] if inner.iter().copied().all(is_etagc))
}

const fn is_etagc(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// The members of a list of entity tags (RFC 9110 5.6.1), whose quotes may hold commas. Others, which
/// are no entity tags, end at the next comma.
fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    iter::from_fn(move || {
        loop {
            rest = trim_ows_start(rest);
            match rest {
                [] => return None,
                [b',', tail @ ..] => rest = tail,
                _ => break,
            }
        }
        let (member, tail) = rest.split_at_checked(member_length(rest))?;
        rest = tail;
        Some(trim_ows(member))
    })
}

fn member_length(text: &[u8]) -> usize {
    let weak = if text.starts_with(b"W/") { 2 } else { 0 };
    let comma = |from: usize| {
        let behind = text.get(from..).unwrap_or_default();
        from + behind
            .iter()
            .position(|&b| b == b',')
            .unwrap_or(behind.len())
    };
    let Some(quoted) = text.get(weak..).and_then(|tag| tag.strip_prefix(b"\"")) else {
        return comma(0);
    };
    match quoted.iter().position(|&b| b == b'"') {
        Some(end) => comma(weak + end + 2),
        None => comma(0),
    }
}

/// Whether a 304 has this field of the response that it stands for (RFC 9110 15.4.5): not what describes
/// a content that isn't sent.
#[must_use]
pub fn is_in_not_modified(name: &[u8]) -> bool {
    const LEFT_OUT: [&[u8]; 8] = [
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-range",
        b"content-type",
        b"trailer",
    ];
    !LEFT_OUT
        .iter()
        .any(|field| name.eq_ignore_ascii_case(field))
}

/// The headers of a 304 for a response with these.
#[must_use]
pub fn of_not_modified(headers: &Headers) -> Headers {
    headers
        .iter()
        .filter(|header| is_in_not_modified(&header.name))
        .cloned()
        .collect()
}
