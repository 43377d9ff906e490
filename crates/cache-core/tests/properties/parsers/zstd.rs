//! Bodies in zstd.

use cache_core::coding::ContentCoding;

use super::inflate::of_coding;

/// As [`of_coding`] says.
pub fn holds(input: &[u8]) {
    of_coding(ContentCoding::Zstd, input);
}
