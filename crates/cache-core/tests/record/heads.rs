//! Heads of objects that are kept in slices, and their slices.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::record::{Broken, NEVER_PURGED, New, RawRecord, decode_base, encode};
use cache_core::rules::Rules;
use cache_core::slices::Sliced;
use cache_core::token::Token;

use super::age::plan;

fn raw(status: u16, new: New, body: &'static str) -> RawRecord {
    let mut headers = Headers::new();
    headers.push("ETag", "\"a\"");
    let fields = encode(status, &headers, body.len() as u64, &plan(0, 400), new);
    RawRecord {
        pttl: 400_000,
        status: Some(Bytes::copy_from_slice(&fields.status)),
        headers: Some(fields.headers.into()),
        body: Some(Bytes::from(body)),
        meta: Some(fields.meta.into()),
    }
}

fn named() -> New {
    New::named("g".into())
}

#[test]
fn a_head_stands_for_the_whole() {
    let object = Sliced::new(1 << 20, 5 << 20, Token::new(7)).unwrap();
    let new = New {
        slices: Some(object),
        ..named()
    };
    let head = decode_base(&raw(206, new.clone(), ""), &Rules::default());
    let head = head.unwrap().unwrap();
    assert_eq!((head.status, head.stored_status()), (200, 206));
    assert_eq!(head.slices(), Some(object));
    assert!(!head.is_slice());
    // What isn't a part says nothing of slices by its status.
    let whole = decode_base(&raw(200, named(), "body"), &Rules::default());
    let whole = whole.unwrap().unwrap();
    assert_eq!((whole.status, whole.stored_status()), (200, 200));
    assert_eq!((whole.slices(), whole.is_slice()), (None, false));
}

#[test]
fn a_part_that_is_no_head_is_refused() {
    let refused = decode_base(&raw(206, named(), "body"), &Rules::default());
    assert!(matches!(refused, Err(Broken::Refused(_))), "{refused:?}");
    // Another has written over the head, and has left `meta`.
    let object = Sliced::new(1 << 20, 5 << 20, Token::new(7));
    let new = New {
        slices: object,
        ..named()
    };
    let other = RawRecord {
        headers: Some("{}".into()),
        ..raw(206, new, "")
    };
    let refused = decode_base(&other, &Rules::default());
    assert!(matches!(refused, Err(Broken::Refused(_))), "{refused:?}");
}

#[test]
fn a_slice_is_known_as_one() {
    let new = New {
        log: NEVER_PURGED,
        ..named()
    };
    let slice = decode_base(&raw(200, new, "bytes"), &Rules::default());
    assert!(slice.unwrap().unwrap().is_slice());
}
