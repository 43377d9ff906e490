//! The field beside those of the Lua script.

use bytes::Bytes;
use cache_core::phrase::MAX_PHRASE;
use cache_core::record::{encode_meta, parse_meta};
use cache_core::units::MAX_SECONDS;

use super::shown;

/// What is read is written so that it reads the same, a token apart that holds what no token of ours does.
pub fn holds(input: &[u8]) {
    let Some(meta) = parse_meta(&Bytes::copy_from_slice(input)) else {
        return;
    };
    assert!(meta.age <= MAX_SECONDS && meta.expiry <= MAX_SECONDS);
    assert!(meta.kept.is_none_or(|kept| kept <= MAX_SECONDS));
    if let Some(phrase) = &meta.unsent.phrase {
        let rest = phrase.rest();
        assert!(rest.len() <= MAX_PHRASE, "{}", shown(input));
        let splits = |byte: &u8| [b'\r', b'\n', 0].contains(byte);
        assert!(!rest.iter().any(splits), "{}", shown(input));
    }
    let written = Bytes::from(encode_meta(&meta));
    let again = parse_meta(&written).expect("what is written can be read");
    assert_eq!(
        (again.age, again.expiry, again.sum),
        (meta.age, meta.expiry, meta.sum),
        "{}",
        shown(&written)
    );
    if meta.generation.iter().all(u8::is_ascii_graphic) {
        assert_eq!(again, meta, "{}", shown(&written));
    }
    assert_eq!(encode_meta(&again), written);
}
