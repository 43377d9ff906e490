//! Bodies in gzip: what Redis has may be anything.

use bytes::Bytes;
use cache_core::coding::{ContentCoding, Decoder, Encoder};

use super::shown;

/// Bytes of a piece, at most.
const PIECE: usize = 32 << 10;

/// As [`of_coding`] says.
pub fn holds(input: &[u8]) {
    of_coding(ContentCoding::Gzip, input);
}

/// The first two bytes are the length that is recorded, in kilobytes and bytes; the rest is the body. Never is more decoded than
/// that, or in a larger piece. Compressed itself, the body comes back.
pub fn of_coding(coding: ContentCoding, input: &[u8]) {
    let Some((&[kilobytes, bytes], body)) = input.split_first_chunk() else {
        return;
    };
    let length = (u64::from(kilobytes) << 10) + u64::from(bytes);
    for size in [usize::MAX, 7] {
        if let Some(plain) = decoded(coding, body, size, length) {
            assert_eq!(plain.len() as u64, length, "{}", shown(input));
        }
    }
    let own = body.len() as u64;
    for known in [None, Some(own)] {
        let mut encoder = Encoder::new(coding, 1, known).expect("there is memory");
        encoder.push(body).expect("there is memory");
        let coded = encoder.finish().expect("there is memory").concat();
        assert!(coding.is_plausible(&coded, own), "{}", shown(input));
        let plain = decoded(coding, &coded, 100, own);
        assert_eq!(plain.as_deref(), Some(body), "{}", shown(input));
    }
}

/// What the body decodes to, given in pieces of this size. `None` if it isn't what is recorded.
fn decoded(coding: ContentCoding, body: &[u8], size: usize, length: u64) -> Option<Vec<u8>> {
    let pieces = body.chunks(size).map(Bytes::copy_from_slice);
    let mut decoder = Decoder::new(coding, pieces, length).expect("there is memory");
    let mut plain = Vec::new();
    while let Some(piece) = decoder.next_piece().ok()? {
        assert!(!piece.is_empty() && piece.len() <= PIECE);
        plain.extend_from_slice(&piece);
        assert!(plain.len() as u64 <= length);
    }
    assert!(decoder.is_at_end());
    Some(plain)
}
