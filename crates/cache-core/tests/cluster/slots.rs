//! Slots of keys.

use cache_core::cluster::{SLOTS, Slot, slot_of};
use cache_core::vary::slot_key;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::server::Server;

fn number(key: &[u8]) -> u16 {
    slot_of(key).number()
}

/// The check value of CRC-16/XMODEM, slots from the documentation of Redis, and its rules for hash tags.
#[test]
fn published_slots() {
    let cases: &[(&[u8], u16)] = &[
        (b"123456789", 0x31c3),
        (b"", 0),
        (b"foo", 12_182),
        (b"bar", 5061),
        (b"hello", 866),
        (b"somekey", 11_058),
        (b"foo{hash_tag}", 2515),
        (b"bar{hash_tag}", 2515),
        (b"hash_tag", 2515),
    ];
    for (key, slot) in cases {
        assert_eq!(number(key), *slot, "{}", key.escape_ascii());
    }
    let same: &[(&[u8], &[u8])] = &[
        (b"{user1000}.following", b"user1000"),
        (b"{user1000}.followers", b"user1000"),
        (b"foo{{bar}}zap", b"{bar"),
        (b"foo{bar}{zap}", b"bar"),
        (b"a{b}", b"b"),
        (b"}{b}", b"b"),
    ];
    for (key, tag) in same {
        assert_eq!(number(key), number(tag), "{}", key.escape_ascii());
    }
    // The whole of it is hashed.
    for (key, slot) in [
        (&b"foo{}{bar}"[..], 8363),
        (b"foo{bar", 15_278),
        (b"foo}bar{", 11_073),
    ] {
        assert_eq!(number(key), slot, "{}", key.escape_ascii());
    }
}

#[test]
fn numbers_of_slots() {
    assert_eq!(Slot::all().count(), SLOTS);
    assert_eq!(Slot::all().last(), Slot::new(16_383));
    assert_eq!(Slot::new(16_384), None);
    for (text, number) in [("0", Some(0)), ("16383", Some(16_383)), ("007", Some(7))] {
        assert_eq!(Slot::parse(text.as_bytes()).map(Slot::number), number);
    }
    for text in ["", "16384", "-1", "+1", "1 ", "99999999999", "x"] {
        assert_eq!(Slot::parse(text.as_bytes()), None, "{text}");
    }
}

/// Keys with braces in them, more often than chance has it.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => any::<u8>(),
        2 => prop_oneof![Just(b'{'), Just(b'}')],
    ];
    proptest::collection::vec(byte, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    /// The records of a key's variants are changed together: Redis Cluster demands one slot for them.
    #[test]
    fn variants_are_in_the_slot_of_their_key(key in keys(), place in 0_usize..256) {
        if let Some(name) = slot_key(&key, place) {
            prop_assert_eq!(slot_of(&name), slot_of(&key), "{}", name.escape_ascii());
        } else {
            let nameless = key.is_empty() || key.contains(&b'}');
            prop_assert!(nameless, "{}", key.escape_ascii());
        }
    }
}

#[test]
fn a_server_says_the_same() {
    let server = Server::start();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut all: Vec<Vec<u8>> = (0..2000)
        .map(|_| keys().new_tree(&mut runner).unwrap().current())
        .collect();
    all.extend([b"{}".to_vec(), b"foo{}{bar}".to_vec(), b"{".to_vec()]);
    let theirs = server.key_slots(&all);
    for (key, slot) in all.iter().zip(theirs) {
        assert_eq!(i64::from(number(key)), slot, "{}", key.escape_ascii());
    }
}
