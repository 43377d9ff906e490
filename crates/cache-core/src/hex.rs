//! Lower-case hexadecimal, as `set_md5` and the Lua script write keys.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// `bytes` in lower-case hexadecimal, two digits a byte.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for &byte in bytes {
        text.push(char::from(digit(byte >> 4)));
        text.push(char::from(digit(byte & 0x0f)));
    }
    text
}

/// A 16-byte digest in lower-case hexadecimal, without an allocation.
#[must_use]
pub fn encode16(digest: &[u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (pair, &byte) in text.chunks_exact_mut(2).zip(digest) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 0x0f);
        }
    }
    text
}

/// A byte as an escape has it: two digits, in upper case.
#[must_use]
pub fn upper(byte: u8) -> [u8; 2] {
    [digit(byte >> 4), digit(byte & 0x0f)].map(|digit: u8| digit.to_ascii_uppercase())
}

/// Reads what [`encode16`] gives, and nothing else.
#[must_use]
pub fn decode16(text: &[u8]) -> Option<[u8; 16]> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
    let mut digest = [0; 16];
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

/// What an escape stands for: two digits, in either case.
#[must_use]
pub fn decode(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| nibble(digit.to_ascii_lowercase()));
    Some(high? << 4 | low?)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn digit(nibble: u8) -> u8 {
    DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_lower_case_and_in_order() {
        assert_eq!(encode(&[]), "");
        assert_eq!(encode(&[0x00, 0x9a, 0xff]), "009aff");
    }

    #[test]
    fn both_forms_agree() {
        let digest: [u8; 16] = std::array::from_fn(|i| u8::try_from(i * 17).unwrap_or(0));
        assert_eq!(encode(&digest).as_bytes(), encode16(&digest));
    }
}
