//! One form for all ways to write the same URI, so that a purge finds what was stored under another.

use crate::hex;
use crate::uri::Target;

/// Path and query of a request's target in one form: no dot segments, slashes merged, no percent-encoding but where a byte
/// needs it. No byte of it is a blank or a control. `None` for what is no path.
#[must_use]
pub fn normalised(target: &[u8]) -> Option<Vec<u8>> {
    let target = Target::of_request(target)?;
    // nginx refuses a path that can't be decoded, so that no record has one.
    let path = target.decoded_path(true)?;
    let mut text = Vec::with_capacity(path.len());
    path.iter().for_each(|byte| push(&mut text, *byte, b"?%#"));
    if let Some(query) = &target.query {
        text.push(b'?');
        query.iter().for_each(|byte| push(&mut text, *byte, b"#"));
    }
    Some(text)
}

fn push(text: &mut Vec<u8>, byte: u8, encoded: &[u8]) {
    if byte.is_ascii_graphic() && !encoded.contains(&byte) {
        text.push(byte);
    } else {
        text.push(b'%');
        text.extend_from_slice(&hex::upper(byte));
    }
}
