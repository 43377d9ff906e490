//! Slices of large objects: tables, and machines that share a store while the backend changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(
    clippy::type_complexity,
    reason = "the types of tables are those of their columns"
)]

mod answers;
mod anything;
mod deliveries;
mod names;
mod responses;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "the tests use a part of it")]
mod rng;
mod seeds;
mod world;

use cache_core::headers::Headers;
use cache_core::slices::{Sliced, Span, Validator};
use cache_core::token::Token;

fn token() -> Token {
    Token::new(0xfeed)
}

fn object(size: u64, total: u64) -> Sliced {
    Sliced::new(size, total, token()).unwrap()
}

fn span(first: u64, last: u64) -> Span {
    Span::new(first, last).unwrap()
}

/// That of a response with this ETag.
fn tagged(tag: &str) -> Validator {
    Validator::of(&headers(&[&format!("ETag: {tag}")]), None).unwrap()
}

/// A header of lines `Name: value`.
fn headers(lines: &[&str]) -> Headers {
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.push(name.to_owned(), value.to_owned());
    }
    headers
}
