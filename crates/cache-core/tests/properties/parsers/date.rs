//! HTTP dates in their three forms.

use std::time::{Duration, UNIX_EPOCH};

use cache_core::freshness::http_date;

use super::shown;

/// What is read is written as the first form, which reads the same.
pub fn holds(input: &[u8]) {
    let Some(seconds) = http_date(input) else {
        return;
    };
    let written = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!(
        http_date(written.as_bytes()),
        Some(seconds),
        "{} -> {written}",
        shown(input)
    );
    assert!(input.len() >= 24, "no form is shorter: {}", shown(input));
}
