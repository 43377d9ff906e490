//! Fields that are meant for this cache. The input is header lines.

use bytes::Bytes;
use cache_core::accel_expires::{self, AccelExpires};
use cache_core::cache_control::CacheControl;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::units::MAX_SECONDS;
use cache_core::targeted::{By, Governing, governing};

use super::{cache_control, headers, shown};

const NOW: u64 = 1_800_000_000;

/// What governs is written the same way again, and nothing else that is said counts beside it.
pub fn holds(input: &[u8]) {
    let said = headers(input);
    let found = governing(&said, Ignore::NONE);
    match found.by {
        By::CdnCacheControl => {
            let written = cache_control::print(&found.says);
            says_the_same("CDN-Cache-Control", written, &found);
        }
        By::SurrogateControl => {
            says_the_same("Surrogate-Control", surrogate(&found.says), &found);
        }
        By::CacheControl => {
            let lines = said.get_all("Cache-Control");
            assert_eq!(found.says, cache_core::cache_control::parse(lines));
        }
        By::AccelExpires => panic!("it isn't among the fields that are looked at"),
    }
    let mut more = said.clone();
    more.push("Cache-Control", "no-store, max-age=0");
    if found.by != By::CacheControl {
        assert_eq!(governing(&more, Ignore::NONE), found);
    }

    for value in said.get_all("X-Accel-Expires") {
        let read = accel_expires::parse(value, NOW);
        if let Some(AccelExpires::For(seconds)) = read {
            assert!(seconds <= MAX_SECONDS);
            let at = format!("@{}", NOW + u64::from(seconds));
            assert_eq!(accel_expires::parse(at.as_bytes(), NOW), read);
        }
    }
}

fn says_the_same(field: &'static str, value: Vec<u8>, found: &Governing) {
    // a field that says nothing doesn't govern
    if value.is_empty() {
        return;
    }
    let mut headers = Headers::new();
    let message = shown(&value);
    headers.push(field, Bytes::from(value));
    assert_eq!(governing(&headers, Ignore::NONE), *found, "{message}");
}

fn surrogate(says: &CacheControl) -> Vec<u8> {
    let mut text = String::new();
    if says.no_store {
        text.push_str("no-store, ");
    }
    if let Some(fresh) = says.max_age {
        text.push_str(&format!("max-age={fresh}"));
        if let Some(stale) = says.stale_if_error {
            text.push_str(&format!("+{stale}"));
        }
    }
    text.into_bytes()
}
