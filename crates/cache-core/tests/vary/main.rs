//! Vary: what a response varies on, which requests are the same to it, where its variants live.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod families;
mod fields;
mod values;

use cache_core::headers::Headers;
use cache_core::vary::{Names, Unmatchable, VariantId, parse};

fn vary(lines: &[&str]) -> Result<Names, Unmatchable> {
    parse(lines.iter().map(|line| line.as_bytes()))
}

fn names(list: &str) -> Names {
    vary(&[list]).unwrap()
}

fn request(lines: &[(&'static str, &'static str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

fn id(list: &str, lines: &[(&'static str, &'static str)]) -> VariantId {
    VariantId::of(&names(list), &request(lines))
}
