//! Bytes of a client as they may be shown: in a line of a log, in the value of a variable.

use std::borrow::Cow;

/// `bytes` without what would begin a new line, end a header or move a terminal's cursor: control characters
/// and bytes that aren't UTF-8 stand as `\x0A`. All else is as it was, and a text without them isn't copied.
#[must_use]
pub fn shown(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Cow::Borrowed(text),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8)
                    .bytes()
                    .for_each(|byte| push(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|&byte| push(&mut text, byte));
    }
    text
}

fn push(text: &mut String, byte: u8) {
    text.push_str("\\x");
    text.extend(crate::hex::upper(byte).map(char::from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_break_a_line_is_escaped() {
        let cases: [(&[u8], &str); 7] = [
            (b"", ""),
            (b"http://a/b?c=\"d\" e\\", "http://a/b?c=\"d\" e\\"),
            ("/é".as_bytes(), "/é"),
            (b"/a\r\nSet-Cookie: b", "/a\\x0D\\x0ASet-Cookie: b"),
            (b"/\x00\x1b[2J\x7f", "/\\x00\\x1B[2J\\x7F"),
            (b"/\xff\xc3", "/\\xFF\\xC3"),
            // NEL, which some take for the end of a line
            (b"a\xc2\x85b", "a\\xC2\\x85b"),
        ];
        for (bytes, wanted) in cases {
            assert_eq!(shown(bytes), wanted, "{bytes:?}");
        }
        assert!(matches!(shown(b"plain"), Cow::Borrowed(_)));
    }
}
