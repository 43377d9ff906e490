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
