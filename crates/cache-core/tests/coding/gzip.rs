//! gzip, piece by piece.

use bytes::Bytes;
use cache_core::coding::{Corrupt, Deflater, Inflater, is_plausible};
use proptest::prelude::*;

use super::gzip;

/// The body that the pieces inflate to, and the largest piece of it.
fn inflate(pieces: Vec<Bytes>, length: u64) -> Result<(Vec<u8>, usize), Corrupt> {
    let mut inflater = Inflater::new(pieces, length);
    let (mut body, mut largest) = (Vec::new(), 0);
    while let Some(piece) = inflater.next_piece()? {
        largest = largest.max(piece.len());
        body.extend_from_slice(&piece);
    }
    assert!(inflater.is_at_end());
    Ok((body, largest))
}

fn pieces(body: &[u8], size: usize) -> Vec<Bytes> {
    body.chunks(size).map(Bytes::copy_from_slice).collect()
}

#[test]
fn bodies_come_back_in_bounded_pieces() {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(9000);
    for length in [0, 1, 1000, 32 << 10, (32 << 10) + 1, text.len()] {
        let body = text.as_bytes().get(..length).unwrap();
        let coded = gzip(body);
        assert!(is_plausible(&coded, length as u64), "{length}");
        for size in [1, 7, 4096, usize::MAX] {
            let (read, largest) = inflate(pieces(&coded, size), length as u64).unwrap();
            assert!(read == body, "{length} in pieces of {size}");
            assert!(largest <= 32 << 10, "{largest}");
        }
    }
}

#[test]
fn a_bomb_is_never_inflated_beyond_its_length() {
    let coded = gzip(&vec![0; 10 << 20]);
    assert!(coded.len() < 16 << 10);
    let mut inflater = Inflater::new([coded.clone()], 1000);
    assert_eq!(inflater.next_piece(), Err(Corrupt));
    assert!(!is_plausible(&coded, 1000));
}

#[test]
fn what_is_not_the_body_is_found_out() {
    let body = "abcdefgh".repeat(500);
    let (coded, length) = (gzip(body.as_bytes()), body.len() as u64);
    let changed = |at: usize| {
        let mut bytes = coded.to_vec();
        let at = if at < bytes.len() {
            at
        } else {
            bytes.len() - 8
        };
        *bytes.get_mut(at).unwrap() ^= 1;
        bytes
    };
    let cases = [
        ("nothing", Vec::new(), length),
        (
            "no gzip",
            b"plain text that is no gzip at all".to_vec(),
            length,
        ),
        ("cut", coded.slice(..coded.len() - 1).to_vec(), length),
        ("cut early", coded.slice(..15).to_vec(), length),
        ("something behind", [&coded[..], b"x"].concat(), length),
        ("another gzip behind", [&coded[..], &coded].concat(), length),
        ("longer than recorded", coded.to_vec(), length - 1),
        ("shorter than recorded", coded.to_vec(), length + 1),
        ("the sum is wrong", changed(usize::MAX), length),
        ("the magic is wrong", changed(0), length),
    ];
    for (what, bytes, length) in cases {
        for size in [1, 1000] {
            let read = inflate(pieces(&bytes, size), length);
            assert!(read.is_err(), "{what} in pieces of {size}");
        }
    }
    assert!(!is_plausible(b"", 0));
    assert!(!is_plausible(&changed(0), length));
    assert!(!is_plausible(&coded, length + 1));
    assert!(!is_plausible(b"plain text that is no gzip at all", length));
}

proptest! {
    #[test]
    fn any_body_in_any_pieces(body in proptest::collection::vec(any::<u8>(), 0..5000), cut in 1_usize..600, level in 1_u32..=9) {
        let mut deflater = Deflater::new(level);
        for piece in body.chunks(cut) {
            deflater.push(piece).unwrap();
        }
        let coded = deflater.finish().unwrap();
        prop_assert!(is_plausible(&coded.concat(), body.len() as u64));
        let (read, _) = inflate(pieces(&coded.concat(), cut), body.len() as u64).unwrap();
        prop_assert_eq!(read, body);
    }

    #[test]
    fn any_bytes_are_read_in_bounds(bytes: Vec<u8>, length in 0_u64..100_000) {
        if let Ok((body, _)) = inflate(vec![bytes.into()], length) {
            prop_assert_eq!(body.len() as u64, length);
        }
    }
}
