//! What is zstd's own: windows, frames, memory, and bodies whose length isn't as it was said.

use cache_core::coding::{ContentCoding, Decoder, Encoder, KNOWN_LENGTH, NotDecoded, NotEncoded};
use zstd_safe::{CCtx, CParameter};

use super::bodies::{decode, pieces};
use super::encoded;

const ZSTD: ContentCoding = ContentCoding::Zstd;

/// Text that doesn't come again soon.
fn text(bytes: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 20);
    let mut number = 0_u32;
    while text.len() < bytes {
        number = number.wrapping_mul(1_103_515_245).wrapping_add(12345);
        text.extend_from_slice(format!("row {:>8}    ", number % 5000).as_bytes());
    }
    text.truncate(bytes);
    text
}

/// A frame as somebody else may write it.
fn frame(body: &[u8], window_log: u32, checksum: bool) -> Vec<u8> {
    let mut context = CCtx::create();
    for parameter in [
        CParameter::WindowLog(window_log),
        CParameter::ChecksumFlag(checksum),
    ] {
        context.set_parameter(parameter).unwrap();
    }
    let mut frame = Vec::with_capacity(body.len() + 1000);
    context.compress2(&mut frame, body).unwrap();
    frame
}

#[test]
fn a_larger_window_is_not_decoded() {
    let body = text(1_000_000);
    for (log, fits) in [
        (10, true),
        (16, true),
        (17, false),
        (23, false),
        (27, false),
    ] {
        let frame = frame(&body, log, true);
        let read = decode(ZSTD, pieces(&frame, 30_000), body.len() as u64);
        assert_eq!(read.is_ok_and(|(read, _)| read == body), fits, "{log}");
    }
}

#[test]
fn what_comes_before_or_beside_the_frame_is_not_decoded() {
    let body = text(5000);
    let own = encoded(ZSTD, &body, true);
    // RFC 8878 3.1.2: a frame to be skipped, of 4 bytes.
    let skipped = b"\x50\x2a\x4d\x18\x04\0\0\0skip";
    for bytes in [
        [&skipped[..], &own].concat(),
        [&own[..], skipped].concat(),
        skipped.to_vec(),
    ] {
        assert!(decode(ZSTD, pieces(&bytes, 4096), 5000).is_err());
    }
    assert!(!ZSTD.is_plausible(skipped, 0));
    assert!(!ZSTD.is_plausible(&[&skipped[..], &own].concat(), 5000));
    // gzip is none, nor is this gzip.
    let gzip = encoded(ContentCoding::Gzip, &body, true);
    assert!(!ZSTD.is_plausible(&gzip, 5000) && !ContentCoding::Gzip.is_plausible(&own, 5000));
    assert!(decode(ZSTD, vec![gzip], 5000).is_err());
}

/// Each bit of a frame counts: what is changed isn't the body any more, and is found out.
#[test]
fn any_changed_byte_is_found_out() {
    let body = text(3000);
    for is_known in [true, false] {
        let coded = encoded(ZSTD, &body, is_known);
        for at in 0..coded.len() {
            let mut bytes = coded.to_vec();
            bytes[at] ^= 0x10;
            let read = decode(ZSTD, pieces(&bytes, 999), 3000);
            assert!(
                read.is_err() || read.is_ok_and(|(read, _)| read == body),
                "{at}"
            );
        }
        for length in 0..coded.len() {
            let read = decode(ZSTD, pieces(&coded[..length], 999), 3000);
            assert_eq!(read, Err(NotDecoded::Corrupt), "cut at {length}");
        }
    }
}

#[test]
fn a_checksum_is_there() {
    let coded = encoded(ZSTD, &text(3000), true);
    // RFC 8878 3.1.1.1.1: Content_Checksum_Flag.
    assert_eq!(coded[4] & 4, 4);
}

#[test]
fn a_body_that_has_not_the_length_that_was_said_is_not_encoded() {
    let body = text(50_000);
    for length in [0, 49_999, 50_001, 1 << 40] {
        let mut encoder = Encoder::new(ZSTD, 3, Some(length)).unwrap();
        let pushed = encoder.push(&body);
        assert!(
            pushed.is_err() || encoder.finish() == Err(NotEncoded),
            "{length}"
        );
    }
}

/// What one takes is what is said of it, at each level, for each length that makes a difference.
#[test]
fn memory_is_bounded() {
    let lengths = [
        1000,
        30_000,
        60_000,
        KNOWN_LENGTH as usize,
        150_000,
        300_000,
    ];
    let body = text(300_000);
    let mut most = 0;
    for level in 1..=ZSTD.most_level() {
        for length in lengths {
            for known in [Some(length as u64), None] {
                let mut encoder = Encoder::new(ZSTD, level, known).unwrap();
                encoder.push(&body[..length]).unwrap();
                most = most.max(encoder.in_use());
                assert!(
                    encoder.in_use() <= Encoder::memory(ZSTD),
                    "{level} {length} {known:?}: {}",
                    encoder.in_use()
                );
            }
        }
    }
    println!("encoder: {most}");
    // It isn't said to take much more than it does.
    assert!(most > Encoder::memory(ZSTD) / 2, "{most}");
    most = 0;
    for length in lengths {
        for is_known in [true, false] {
            let coded = encoded(ZSTD, &body[..length], is_known);
            let mut decoder = Decoder::new(ZSTD, [coded], length as u64).unwrap();
            while let Ok(Some(_)) = decoder.next_piece() {
                most = most.max(decoder.in_use());
            }
            println!("decoder: {length} {is_known} {}", decoder.in_use());
            assert!(
                decoder.in_use() <= Decoder::ZSTD,
                "{length} {is_known}: {}",
                decoder.in_use()
            );
            let is_short = is_known && length <= 32 << 10;
            assert!(
                !is_short || decoder.in_use() <= Decoder::ZSTD_SHORT,
                "{length}: {}",
                decoder.in_use()
            );
        }
    }
}
