//! Compressed bodies: what Redis has may be anything.

use bytes::Bytes;
use cache_core::coding::{Deflater, Inflater, is_plausible};

use super::shown;

/// Bytes of a piece, at most.
const PIECE: usize = 32 << 10;

/// The first two bytes are the length that is recorded, in kilobytes and bytes; the rest is the body. Never is more inflated than
/// that, or in a larger piece. Compressed itself, the body comes back.
pub fn holds(input: &[u8]) {
    let Some((&[kilobytes, bytes], body)) = input.split_first_chunk() else {
        return;
    };
    let length = (u64::from(kilobytes) << 10) + u64::from(bytes);
    for size in [usize::MAX, 7] {
        if let Some(plain) = inflated(body, size, length) {
            assert_eq!(plain.len() as u64, length, "{}", shown(input));
        }
    }
    let mut deflater = Deflater::new(1);
    deflater.push(body).expect("there is memory");
    let coded = deflater.finish().expect("there is memory").concat();
    assert!(is_plausible(&coded, body.len() as u64), "{}", shown(input));
    let plain = inflated(&coded, 100, body.len() as u64);
    assert_eq!(plain.as_deref(), Some(body), "{}", shown(input));
}

/// What the body inflates to, given in pieces of this size. `None` if it isn't what is recorded.
fn inflated(body: &[u8], size: usize, length: u64) -> Option<Vec<u8>> {
    let pieces = body.chunks(size).map(Bytes::copy_from_slice);
    let mut inflater = Inflater::new(pieces, length);
    let mut plain = Vec::new();
    while let Some(piece) = inflater.next_piece().ok()? {
        assert!(!piece.is_empty() && piece.len() <= PIECE);
        plain.extend_from_slice(&piece);
        assert!(plain.len() as u64 <= length);
    }
    assert!(inflater.is_at_end());
    Some(plain)
}
