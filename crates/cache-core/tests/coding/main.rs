//! Records that are stored compressed: which, and what each client gets of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accepted;
mod compress;
mod forms;
mod gzip;
mod records;

use bytes::Bytes;
use cache_core::coding::Deflater;
use cache_core::headers::Headers;

type Lines<'a> = &'a [(&'static str, &'static str)];

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

fn gzip(body: &[u8]) -> Bytes {
    let mut deflater = Deflater::new(6);
    deflater.push(body).unwrap();
    deflater.finish().unwrap().concat().into()
}
