//! X-Accel-Expires: the backend's word to nginx on how long a response is cached, as nginx's own cache
//! takes it.

use crate::headers::trim_ows;
use crate::units::MAX_SECONDS;

/// What the field says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccelExpires {
    /// "0": not cached.
    Never,
    /// Fresh for so many seconds from its receipt, whatever Age it has.
    For(u32),
}

/// Reads the field: seconds, or "@" and a unix time. Anything else is as if there were none. `now` is in
/// unix seconds.
#[must_use]
pub fn parse(value: &[u8], now: u64) -> Option<AccelExpires> {
    let text = trim_ows(value);
    if let Some(time) = text.strip_prefix(b"@") {
        let left = number(time)?.saturating_sub(now);
        return Some(AccelExpires::For(seconds(left)));
    }
    match number(text)? {
        0 => Some(AccelExpires::Never),
        value => Some(AccelExpires::For(seconds(value))),
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |value, &digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    }))
}

fn seconds(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(MAX_SECONDS).min(MAX_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_nginx_reads_it() {
        const NOW: u64 = 1_000_000;
        for (text, wanted) in [
            ("60", Some(AccelExpires::For(60))),
            (" 60 ", Some(AccelExpires::For(60))),
            ("0", Some(AccelExpires::Never)),
            ("00", Some(AccelExpires::Never)),
            ("@1000060", Some(AccelExpires::For(60))),
            ("@1000000", Some(AccelExpires::For(0))),
            ("@999999", Some(AccelExpires::For(0))),
            ("@0", Some(AccelExpires::For(0))),
            (
                "99999999999999999999999",
                Some(AccelExpires::For(MAX_SECONDS)),
            ),
            (
                "@99999999999999999999999",
                Some(AccelExpires::For(MAX_SECONDS)),
            ),
            ("", None),
            ("@", None),
            ("-1", None),
            ("+1", None),
            ("1m", None),
            ("off", None),
            ("1.5", None),
            ("@-1", None),
            ("60, 0", None),
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), wanted, "{text:?}");
        }
    }
}
