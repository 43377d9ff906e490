//! Bodies in each coding, piece by piece.

use bytes::Bytes;
use cache_core::coding::{ContentCoding, Decoder, Encoder, NotDecoded};
use proptest::prelude::*;

use super::{BOTH, coded, encoded};

/// The body that the pieces decode to, and the largest piece of it.
pub fn decode(
    coding: ContentCoding,
    pieces: Vec<Bytes>,
    length: u64,
) -> Result<(Vec<u8>, usize), NotDecoded> {
    let mut decoder = Decoder::new(coding, pieces, length)?;
    let (mut body, mut largest) = (Vec::new(), 0);
    while let Some(piece) = decoder.next_piece()? {
        largest = largest.max(piece.len());
        body.extend_from_slice(&piece);
    }
    assert!(decoder.is_at_end());
    Ok((body, largest))
}

pub fn pieces(body: &[u8], size: usize) -> Vec<Bytes> {
    body.chunks(size).map(Bytes::copy_from_slice).collect()
}

#[test]
fn bodies_come_back_in_bounded_pieces() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(9000);
    for length in [0, 1, 1000, 16 << 10, 32 << 10, (32 << 10) + 1, text.len()] {
        let body = text.as_bytes().get(..length).unwrap();
        for (coding, is_known) in [
            (ContentCoding::Gzip, true),
            (ContentCoding::Zstd, true),
            (ContentCoding::Zstd, false),
        ] {
            let what = format!("{length} in {coding:?}, known: {is_known}");
            let coded = encoded(coding, body, is_known);
            assert!(coding.is_plausible(&coded, length as u64), "{what}");
            for size in [1, 7, 4096, usize::MAX] {
                let (read, largest) = decode(coding, pieces(&coded, size), length as u64).unwrap();
                assert!(read == body, "{what}, in pieces of {size}");
                assert!(largest <= 32 << 10, "{largest}");
            }
        }
    }
}

#[test]
fn a_bomb_is_never_decoded_beyond_its_length() {
    for coding in BOTH {
        let coded = coded(coding, &vec![0; 10 << 20]);
        assert!(coded.len() < 32 << 10);
        let mut decoder = Decoder::new(coding, [coded.clone()], 1000).unwrap();
        assert_eq!(decoder.next_piece(), Err(NotDecoded::Corrupt));
        assert!(!coding.is_plausible(&coded, 1000));
    }
}

#[test]
fn what_is_not_the_body_is_found_out() {
    for coding in BOTH {
        what_is_not_the_body(coding);
    }
}

fn what_is_not_the_body(coding: ContentCoding) {
    let body = "abcdefgh".repeat(500);
    let (coded, length) = (coded(coding, body.as_bytes()), body.len() as u64);
    // Of gzip the sum is before the length, of zstd it is the end.
    let sum = coded.len() - if coding == ContentCoding::Gzip { 8 } else { 4 };
    let changed = |at: usize| {
        let mut bytes = coded.to_vec();
        *bytes.get_mut(at).unwrap() ^= 1;
        bytes
    };
    let cases = [
        ("nothing", Vec::new(), length),
        (
            "another text",
            b"plain text that is in no coding".to_vec(),
            length,
        ),
        ("cut", coded.slice(..coded.len() - 1).to_vec(), length),
        ("cut early", coded.slice(..15).to_vec(), length),
        ("something behind", [&coded[..], b"x"].concat(), length),
        ("another body behind", [&coded[..], &coded].concat(), length),
        ("longer than recorded", coded.to_vec(), length - 1),
        ("shorter than recorded", coded.to_vec(), length + 1),
        ("the sum is wrong", changed(sum), length),
        ("the magic is wrong", changed(0), length),
    ];
    for (what, bytes, length) in cases {
        for size in [1, 1000] {
            let read = decode(coding, pieces(&bytes, size), length);
            assert!(read.is_err(), "{coding:?}, {what} in pieces of {size}");
        }
    }
    assert!(!coding.is_plausible(b"", 0));
    assert!(!coding.is_plausible(&changed(0), length));
    assert!(!coding.is_plausible(&coded, length + 1));
    assert!(!coding.is_plausible(b"plain text that is in no coding", length));
}

proptest! {
    #[test]
    fn any_body_in_any_pieces(
        body in proptest::collection::vec(any::<u8>(), 0..5000),
        times in 1_usize..30,
        cut in 1_usize..600,
        level in 1_u8..=12,
        is_known: bool,
    ) {
        let body = body.repeat(times);
        for coding in BOTH {
            let length = is_known.then_some(body.len() as u64);
            let level = level.min(coding.most_level());
            let mut encoder = Encoder::new(coding, level, length).unwrap();
            for piece in body.chunks(cut) {
                encoder.push(piece).unwrap();
            }
            let made = encoder.made();
            let coded = encoder.finish().unwrap();
            prop_assert!(coded.iter().all(|piece| (1..=32 << 10).contains(&piece.len())));
            let coded = coded.concat();
            prop_assert!(made <= coded.len() as u64);
            prop_assert!(coding.is_plausible(&coded, body.len() as u64));
            let (read, _) = decode(coding, pieces(&coded, cut), body.len() as u64).unwrap();
            prop_assert!(read == body);
        }
    }

    #[test]
    fn any_bytes_are_read_in_bounds(bytes: Vec<u8>, length in 0_u64..100_000) {
        let bytes = Bytes::from(bytes);
        for coding in BOTH {
            if let Ok((body, _)) = decode(coding, vec![bytes.clone()], length) {
                prop_assert_eq!(body.len() as u64, length);
            }
        }
    }
}
