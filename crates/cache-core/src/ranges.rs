//! What of a Range request is worth answering in parts (RFC 9110 14.2, 17.15).

use crate::headers::trim_ows;

/// What a part costs beside its bytes: its boundary and header lines (RFC 9110 15.3.7.2).
const PART: u64 = 100;

/// So many parts are sent whatever they cost.
const FEW: u64 = 10;

/// Whether the parts that `range` asks for, of a body this long, are to be sent apart. A list of many
/// small parts would be answered with a multiple of the whole: the whole is sent instead. What makes no
/// sense is left to the parser proper.
#[must_use]
pub fn is_worth_it(range: &[u8], length: u64) -> bool {
    let mut parts = 0_u64;
    let mut size = 0_u64;
    let list = range.splitn(2, |&b| b == b'=').nth(1).unwrap_or_default();
    for spec in list.split(|&b| b == b',') {
        if let Some(bytes) = part(trim_ows(spec), length) {
            parts += 1;
            size = size.saturating_add(bytes);
        }
    }
    parts <= FEW || size.saturating_add(parts * PART) <= length.saturating_add(FEW * PART)
}

/// How many bytes of a body this long come before the first that `range` asks for. `None` if it asks for none of them,
/// or for what can't be read.
#[must_use]
pub fn skipped(range: &[u8], length: u64) -> Option<u64> {
    let list = range.splitn(2, |&b| b == b'=').nth(1)?;
    let firsts = list.split(|&b| b == b',').filter_map(|spec| {
        let spec = trim_ows(spec);
        let bytes = part(spec, length)?;
        let first = spec.split(|&b| b == b'-').next().and_then(number);
        Some(first.unwrap_or_else(|| length.saturating_sub(bytes)))
    });
    firsts.min()
}

/// How long the part is that one range asks for (RFC 9110 14.1.2); `None` if there is none.
fn part(spec: &[u8], length: u64) -> Option<u64> {
    let dash = spec.iter().position(|&b| b == b'-')?;
    let (first, last) = spec.split_at_checked(dash)?;
    let last = number(last.get(1..)?);
    let Some(first) = number(first) else {
        return last.map(|suffix| suffix.min(length));
    };
    let end = last.map_or(length, |last| last.saturating_add(1).min(length));
    end.checked_sub(first).filter(|&bytes| bytes > 0)
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = trim_ows(digits);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        digit.is_ascii_digit().then(|| {
            value
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::skipped;

    #[test]
    fn what_comes_before_a_part() {
        let cases: [(&str, Option<u64>); 10] = [
            ("bytes=0-9", Some(0)),
            ("bytes=40-", Some(40)),
            ("bytes=40-49", Some(40)),
            ("bytes=-10", Some(90)),
            ("bytes=-1000", Some(0)),
            ("bytes=50-59, 20-29, -5", Some(20)),
            ("bytes=100-", None),
            ("bytes=30-20", None),
            ("bytes=", None),
            ("nonsense", None),
        ];
        for (range, wanted) in cases {
            assert_eq!(skipped(range.as_bytes(), 100), wanted, "{range}");
        }
    }
}
