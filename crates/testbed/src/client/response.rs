//! A response as the client saw it.

use std::time::{Duration, Instant};

use crate::http::{Fields, values};

/// A response: what came and when.
#[derive(Debug, Clone)]
pub struct Response {
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// What follows the status in the status line: the reason phrase, without the space; empty over HTTP/2 and HTTP/3.
    pub reason: String,
    /// Header fields in the order they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, decoded: what came of it.
    pub body: Vec<u8>,
    /// The fields behind the body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body came to its end.
    pub complete: bool,
    /// From the request's sending to the header's first byte.
    pub first_byte: Duration,
    /// From the request's sending to the body's last byte.
    pub last_byte: Duration,
}

impl Response {
    pub(super) fn new(line: &str, fields: Fields, first_byte: Duration) -> Response {
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|status| status.parse().ok());
        Response {
            version,
            status: status.unwrap_or_else(|| panic!("a status line: {line:?}")),
            reason: words.next().unwrap_or_default().to_owned(),
            fields,
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
            first_byte,
            last_byte: first_byte,
        }
    }

    /// The first value of header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// All values of header `name`.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        self.raw_headers(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// All values of header `name`, byte by byte.
    #[must_use]
    pub fn raw_headers(&self, name: &str) -> Vec<&[u8]> {
        values(&self.fields, name)
    }

    /// The word of the cache: header X-Cache.
    #[must_use]
    pub fn word(&self) -> String {
        self.header("x-cache")
            .unwrap_or_else(|| "(no X-Cache)".to_owned())
    }

    /// What happened: header X-Status, in which a [`crate::Site`] shows `$redis_cache_status`.
    #[must_use]
    pub fn happened(&self) -> String {
        self.header("x-status")
            .unwrap_or_else(|| "(no X-Status)".to_owned())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Header Age in seconds.
    #[must_use]
    pub fn age(&self) -> Option<u64> {
        self.header("age").and_then(|age| age.parse().ok())
    }

    /// Whether Age is `seconds`, or more by no more than what has passed since `start` and two seconds of rounding.
    #[must_use]
    pub fn is_aged(&self, seconds: u64, start: Instant) -> bool {
        let most = seconds + start.elapsed().as_secs() + 2;
        self.age()
            .is_some_and(|age| (seconds..=most).contains(&age))
    }
}
