//! Records that are stored compressed: which, and what each client gets of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accepted;
mod bodies;
mod compress;
mod forms;
mod records;
mod zstd;

use bytes::Bytes;
use cache_core::coding::{ContentCoding, Encoder};
use cache_core::headers::Headers;

type Lines<'a> = &'a [(&'static str, &'static str)];

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

const BOTH: [ContentCoding; 2] = [ContentCoding::Gzip, ContentCoding::Zstd];

/// A body in a coding, whose length was known before.
fn coded(coding: ContentCoding, body: &[u8]) -> Bytes {
    encoded(coding, body, true)
}

/// The same, or one whose length wasn't.
fn encoded(coding: ContentCoding, body: &[u8], is_known: bool) -> Bytes {
    let length = is_known.then_some(body.len() as u64);
    let mut encoder = Encoder::new(coding, coding.level(), length).unwrap();
    encoder.push(body).unwrap();
    encoder.finish().unwrap().concat().into()
}
