//! Numbers as lines have them.

use super::error::ProtocolError;

/// A length or a count.
pub fn length(number: i64) -> Result<usize, ProtocolError> {
    usize::try_from(number).map_err(|_| ProtocolError::Number)
}

/// Whether this is an integer of any length.
pub fn is_big_number(text: &[u8]) -> bool {
    let digits = match text {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Whether this is a floating-point number, an infinity or `nan`.
pub fn is_double(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok())
}

/// Reads the line at the front of `bytes` if it is whole and, behind its first byte, an integer of up to 18 digits:
/// gives its first byte, the integer and where its LF is. Most lines of a reply are so. `None` says nothing of the line.
#[inline]
pub fn line_of_number(bytes: &[u8]) -> Option<(u8, i64, usize)> {
    const DIGITS: usize = 18;
    let (kind, text) = bytes.split_first()?;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut number: i64 = 0;
    for (count, byte) in digits.iter().take(DIGITS + 1).enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let is_whole = *byte == b'\r' && digits.get(count + 1) == Some(&b'\n');
            let end = count + 2 + usize::from(negative);
            let number = if negative { -number } else { number };
            return (is_whole && count > 0).then_some((*kind, number, end));
        }
        // One digit too many may wrap; the number isn't used then.
        number = number.wrapping_mul(10).wrapping_add(i64::from(digit));
    }
    None
}

/// A number in decimal, with or without a sign.
pub fn integer(text: &[u8]) -> Result<i64, ProtocolError> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return Err(ProtocolError::Number);
    }
    // Downwards: there is one negative number more than positive ones.
    let number = digits.iter().try_fold(0_i64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_sub(i64::from(byte - b'0')),
        _ => None,
    });
    number
        .and_then(|number| {
            if negative {
                Some(number)
            } else {
                number.checked_neg()
            }
        })
        .ok_or(ProtocolError::Number)
}
