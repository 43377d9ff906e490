//! Which bytes of an object of known length a Range asks for (RFC 9110 14.1, 14.2).

use super::object::{Sliced, Span};
use crate::headers::trim_ows;
use crate::ranges::is_worth_it;

/// What a client gets of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it: 200.
    Whole,
    /// These bytes, in this order, one span at least: 206.
    Spans(Vec<Span>),
    /// None of the ranges has a byte, or one is invalid: 416.
    Nothing,
}

/// Reads the value of the one line of Range that counts (see [`crate::conditions::range_applies`]). What
/// is no range of bytes or costs more than the whole is answered with the whole (14.2); ranges of bytes that are invalid are
/// rejected, as nginx does with those of other responses.
#[must_use]
pub fn asked(range: &[u8], total: u64) -> Asked {
    let Some(list) = bytes_unit(range) else {
        return Asked::Whole;
    };
    let mut spans = Vec::new();
    for spec in list.split(|&b| b == b',').map(trim_ows) {
        // 5.6.1.2: empty members count for nothing.
        if spec.is_empty() {
            continue;
        }
        match span(spec, total) {
            Ok(Some(span)) => spans.push(span),
            Ok(None) => {}
            // 14.1.1: one that is invalid makes all of them so.
            Err(Invalid) => return Asked::Nothing,
        }
    }
    if spans.is_empty() {
        return Asked::Nothing;
    }
    let size = spans
        .iter()
        .fold(0_u64, |sum, span| sum.saturating_add(span.length()));
    // 17.15. What overlaps so much that the whole is shorter isn't sent in parts, as nginx has it.
    if size > total || !is_worth_it(range, total) {
        return Asked::Whole;
    }
    Asked::Spans(spans)
}

impl Asked {
    /// The same bytes in an order in which no slice is needed again once another was. That is the order of the request
    /// (15.3.7.2), or else that of the object, without the bytes that are asked for twice: such a list is "an indication of
    /// either a broken client or a deliberate denial-of-service attack" (14.2).
    #[must_use]
    pub fn each_slice_once(&self, object: Sliced) -> Self {
        match self {
            Self::Spans(spans) if returns_to_a_slice(spans, object) => {
                Self::Spans(in_order_of_the_object(spans))
            }
            other => other.clone(),
        }
    }
}

/// Whether spans need a slice again once they have needed another.
fn returns_to_a_slice(spans: &[Span], object: Sliced) -> bool {
    // First and last slice of what is needed without a gap.
    let mut runs: Vec<(u64, u64)> = Vec::with_capacity(spans.len());
    for span in spans {
        let (first, last) = (object.slice_of(span.first), object.slice_of(span.last));
        match runs.last_mut() {
            Some(run) if run.1 == first => run.1 = last,
            _ => runs.push((first, last)),
        }
    }
    runs.sort_unstable();
    let behind = runs.iter().skip(1);
    runs.iter().zip(behind).any(|(run, next)| next.0 <= run.1)
}

/// Each byte of the spans once. Those that overlap or touch are one (15.3.7.2).
fn in_order_of_the_object(spans: &[Span]) -> Vec<Span> {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<Span> = Vec::with_capacity(sorted.len());
    for span in sorted {
        match merged.last_mut() {
            Some(before) if span.first <= before.last.saturating_add(1) => {
                before.last = before.last.max(span.last);
            }
            _ => merged.push(span),
        }
    }
    merged
}

/// What stands behind `bytes=`. Names of units have no case (14.1).
fn bytes_unit(range: &[u8]) -> Option<&[u8]> {
    let range = trim_ows(range);
    let (unit, list) = range.split_at_checked(6)?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(list)
}

struct Invalid;

/// One range. `None`: it has no byte of the object.
fn span(spec: &[u8], total: u64) -> Result<Option<Span>, Invalid> {
    let dash = spec.iter().position(|&b| b == b'-').ok_or(Invalid)?;
    let (first, last) = spec.split_at_checked(dash).ok_or(Invalid)?;
    let last = last.get(1..).unwrap_or_default();
    let end = total.saturating_sub(1);
    if first.is_empty() {
        // 14.1.2: the last bytes; all of them if there aren't so many.
        let bytes = position(last).ok_or(Invalid)?.min(total);
        return Ok(match bytes {
            0 => None,
            bytes => Span::new(total - bytes, end),
        });
    }
    let first = position(first).ok_or(Invalid)?;
    let last = match last {
        b"" => u64::MAX,
        digits => position(digits).ok_or(Invalid)?,
    };
    if last < first {
        return Err(Invalid);
    }
    Ok(if first < total {
        Span::new(first, last.min(end))
    } else {
        None
    })
}

/// Digits and nothing else; a number that is too large stands for the largest.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}
