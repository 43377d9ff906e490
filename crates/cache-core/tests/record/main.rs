//! Records: what the Lua script and this module write into Redis, and what of it is served.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod age;
mod governed;
mod heads;
mod kept;
mod reading;
mod variants;
mod writing;

use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::record::{Broken, RawRecord, Record, decode_base};
use cache_core::rules::Rules;

/// A record as read from Redis, as the Lua script leaves it.
fn raw(pttl: i64, headers: impl Into<Bytes>, body: &'static str) -> RawRecord {
    RawRecord {
        pttl,
        status: Some("200".into()),
        headers: Some(headers.into()),
        body: Some(body.into()),
        meta: None,
    }
}

/// What becomes of these headers JSON, with an empty body.
fn read(headers: impl Into<Bytes>) -> Result<Rc<Record>, Broken> {
    decode_base(&raw(1000, headers, ""), &Rules::default()).map(Option::unwrap)
}

fn lines(headers: &Headers) -> Vec<(&[u8], &[u8])> {
    headers
        .iter()
        .map(|h| (h.name.as_ref(), h.value.as_ref()))
        .collect()
}

fn headers(lines: &[(&'static str, &'static str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}
