//! What holds for each parser, whatever it reads. Panics where it doesn't.
//!
//! Two things run this: `cargo test`, over generated input, and the fuzz targets in `fuzz/`, which are the
//! same functions. To add a parser: a file with `pub fn holds(input: &[u8])`, its line in [`all!`], a folder
//! of seeds in `fuzz/seeds/`, and what `fuzz/README.md` says.

use bytes::Bytes;
use cache_core::headers::{Headers, trim_ows};

/// Declares the modules and [`ALL`] from one list.
macro_rules! all {
    ($($name:ident),* $(,)?) => {
        $(pub mod $name;)*

        /// Each parser's name and what holds for it.
        pub const ALL: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name::holds)),*];
    };
}

all!(
    args,
    cache_control,
    cache_status,
    conditions,
    connection,
    date,
    headers_json,
    inflate,
    lists,
    meta,
    no_vary_search,
    purge,
    record,
    redirect,
    renewal,
    request_directives,
    resp,
    sentinel,
    slot_map,
    storing,
    targeted,
    times,
    uri,
    vary,
    zstd,
);

/// The lines of the input.
pub fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    input.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

/// The input as header lines `name: value`; a line without a colon has an empty value.
pub fn headers(input: &[u8]) -> Headers {
    let mut headers = Headers::new();
    for line in lines(input) {
        let (name, value) = cut(line, b':');
        headers.push(
            Bytes::copy_from_slice(name),
            Bytes::copy_from_slice(trim_ows(value)),
        );
    }
    headers
}

/// What is before the first such byte, and what is behind it.
pub fn cut(input: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match input.iter().position(|&b| b == byte) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &[]),
    }
}

/// As text, for messages.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
