//! HTTP dates in their three forms.

use std::time::{Duration, UNIX_EPOCH};

use cache_core::http_date::parse;

use super::shown;

/// The years 1970, 2027 and 9999.
const NOW: [u64; 3] = [0, 1_800_000_000, 253_402_300_799];

/// What is read is written as the first form, which reads the same whenever it is read.
pub fn holds(input: &[u8]) {
    for now in NOW {
        let Some(seconds) = parse(input, now) else {
            return;
        };
        let written = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        for later in NOW {
            assert_eq!(
                parse(written.as_bytes(), later),
                Some(seconds),
                "{} -> {written}",
                shown(input)
            );
        }
        assert!(input.len() >= 24, "no form is shorter: {}", shown(input));
    }
}
