//! Where variants live: the field of the base, the names of slots, who goes where.

use bytes::Bytes;
use cache_core::vary::{
    Family, MAX_VARIANTS, VariantId, begins_with, choose_slot, slot_key, slot_prefix,
};
use proptest::prelude::*;

use crate::names;

fn variant(number: u8) -> VariantId {
    VariantId([number; 16])
}

fn family(ids: &[u8], cursor: usize) -> Family {
    Family {
        token: Bytes::from("f1"),
        on: names("a, b"),
        cursor,
        ids: ids.iter().copied().map(variant).collect(),
    }
}

fn new_token() -> Bytes {
    Bytes::from("f2")
}

const ZERO: &str = "00000000000000000000000000000000";
const ONE: &str = "01010101010101010101010101010101";

#[test]
fn the_text_of_a_family() {
    let text = format!("1 f1 a,b 7 {ZERO} {ONE}");
    assert_eq!(family(&[0, 1], 7).encode(), text.as_bytes());
    assert_eq!(Family::parse(&Bytes::from(text)), Some(family(&[0, 1], 7)));
}

#[test]
fn what_is_no_family() {
    let many: Vec<String> = (0..=MAX_VARIANTS).map(|n| format!("{n:032x}")).collect();
    let cases = [
        (String::new(), "nothing"),
        (format!("2 f1 a,b 0 {ZERO}"), "another version"),
        (format!("1  a,b 0 {ZERO}"), "no token"),
        (format!("1 {} a,b 0 {ZERO}", "x".repeat(65)), "a long token"),
        (
            format!("1 f\u{7f} a,b 0 {ZERO}"),
            "a token that can't be seen",
        ),
        (format!("1 f1  0 {ZERO}"), "varies on nothing"),
        (format!("1 f1 * 0 {ZERO}"), "varies on anything"),
        (format!("1 f1 a,* 0 {ZERO}"), "varies on anything"),
        (format!("1 f1 b,a 0 {ZERO}"), "names out of order"),
        (format!("1 f1 a,A 0 {ZERO}"), "a name twice"),
        (format!("1 f1 A 0 {ZERO}"), "upper case"),
        (format!("1 f1 a: 0 {ZERO}"), "no name"),
        (format!("1 f1 a,b  {ZERO}"), "no cursor"),
        (format!("1 f1 a,b -1 {ZERO}"), "a negative cursor"),
        (format!("1 f1 a,b +1 {ZERO}"), "a sign"),
        (format!("1 f1 a,b 01 {ZERO}"), "a leading zero"),
        (format!("1 f1 a,b 256 {ZERO}"), "a cursor beyond all slots"),
        (format!("1 f1 a,b 99999999999999999999 {ZERO}"), "too large"),
        (String::from("1 f1 a,b 0"), "no variant"),
        (String::from("1 f1 a,b 0 "), "no variant"),
        (format!("1 f1 a,b 0 {ZERO} "), "a blank behind"),
        (format!("1 f1 a,b 0  {ZERO}"), "two blanks"),
        (format!("1 f1 a,b 0 {ZERO}0"), "no id"),
        (format!("1 f1 a,b 0 {ONE} {ZERO} {ONE}"), "a variant twice"),
        (
            format!("1 f1 a,b 0 {}", many.join(" ")),
            "too many variants",
        ),
    ];
    for (text, what) in cases {
        assert_eq!(
            Family::parse(&Bytes::from(text.clone())),
            None,
            "{what}: {text}"
        );
    }
    let most = format!("1 f1 a,b 0 {}", many[1..].join(" "));
    assert!(
        Family::parse(&Bytes::from(most)).is_some(),
        "as many as may be"
    );
}

#[test]
#[rustfmt::skip]
fn where_an_answer_goes() {
    type Case = (&'static str, Option<(&'static [u8], usize)>, &'static str, u8, usize, (usize, &'static str, &'static [u8], usize));
    let cases: &[Case] = &[
        // what, (variants, cursor) before, Vary, variant, cap; slot, token, variants, cursor after
        ("no family: the base of a new one", None, "a, b", 1, 16, (0, "f2", &[1], 0)),
        ("another list: the base of a new one", Some((&[1, 2], 0)), "a", 1, 16, (0, "f2", &[1], 0)),
        ("the same list in another order", Some((&[1, 2], 0)), "B, a", 1, 16, (0, "f1", &[1, 2], 0)),
        ("the base's own variant", Some((&[1, 2], 0)), "a, b", 1, 16, (0, "f1", &[1, 2], 0)),
        ("a variant that has a slot", Some((&[1, 2, 3], 0)), "a, b", 3, 16, (2, "f1", &[1, 2, 3], 0)),
        ("a new variant", Some((&[1, 2], 0)), "a, b", 3, 16, (2, "f1", &[1, 2, 3], 0)),
        ("the last slot", Some((&[1, 2], 0)), "a, b", 3, 3, (2, "f1", &[1, 2, 3], 0)),
        ("no slot left: the oldest goes, which is the base", Some((&[1, 2, 3], 0)), "a, b", 4, 3, (0, "f1", &[4, 2, 3], 1)),
        ("the next oldest", Some((&[4, 2, 3], 1)), "a, b", 5, 3, (1, "f1", &[4, 5, 3], 2)),
        ("round again", Some((&[4, 5, 3], 2)), "a, b", 6, 3, (2, "f1", &[4, 5, 6], 0)),
        ("refilling isn't getting old", Some((&[4, 5, 3], 2)), "a, b", 3, 3, (2, "f1", &[4, 5, 3], 2)),
        ("one variant only", Some((&[1], 0)), "a, b", 2, 1, (0, "f1", &[2], 0)),
        ("none is one", Some((&[1], 0)), "a, b", 2, 0, (0, "f1", &[2], 0)),
        ("the cap was lowered", Some((&[1, 2, 3, 4], 3)), "a, b", 5, 2, (1, "f1", &[1, 5, 3, 4], 0)),
        ("the cap was lowered: what there is stays", Some((&[1, 2, 3, 4], 3)), "a, b", 4, 2, (3, "f1", &[1, 2, 3, 4], 3)),
        ("the cap was raised", Some((&[1, 2], 1)), "a, b", 5, 4, (2, "f1", &[1, 2, 5], 1)),
    ];
    for (what, before, list, new, most, (slot, token, ids, cursor)) in cases {
        let before = before.map(|(ids, cursor)| family(ids, cursor));
        let target = choose_slot(b"key", before.as_ref(), &names(list), variant(*new), *most, new_token);
        assert_eq!(target.slot, *slot, "{what}");
        assert_eq!(target.family.token, token.as_bytes(), "{what}");
        let wanted: Vec<_> = ids.iter().copied().map(variant).collect();
        assert_eq!(target.family.ids, wanted, "{what}");
        assert_eq!(target.family.cursor, *cursor, "{what}");
        assert_eq!(target.family.on, names(list), "{what}");
    }
}

#[test]
fn a_key_without_names_for_slots_has_its_base_only() {
    let before = family(&[1], 0);
    let target = choose_slot(
        b"a}",
        Some(&before),
        &names("a,b"),
        variant(2),
        16,
        new_token,
    );
    assert_eq!((target.slot, target.family.ids), (0, vec![variant(2)]));
}

#[test]
#[rustfmt::skip]
fn names_of_slots() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("no tag: the whole key becomes it", "page", Some("{page}:v3")),
        ("an address", "http://h/a?b=c", Some("{http://h/a?b=c}:v3")),
        ("blanks", "a b", Some("{a b}:v3")),
        ("a tag of its own", "{h}/a", Some("{h}/a:v3")),
        ("further on", "a:{h}:b", Some("a:{h}:b:v3")),
        ("the first tag counts", "{a}{b}", Some("{a}{b}:v3")),
        ("a brace in the tag", "{{a}", Some("{{a}:v3")),
        ("behind a lone brace", "}{a}", Some("}{a}:v3")),
        ("opened only", "a{b", Some("{a{b}:v3")),
        ("an empty tag is none", "{}a", None),
        ("an empty tag before another", "{}{a}", None),
        ("closed only", "a}b", None),
        ("closed before it is opened", "}a{", None),
        ("nothing", "", None),
    ];
    for (what, key, wanted) in cases {
        let found = slot_key(key.as_bytes(), 3);
        assert_eq!(found.as_deref(), wanted.map(str::as_bytes), "{what}: {key:?}");
    }
}

/// CRC16 of Redis Cluster (XMODEM): its specification's check value is that of "123456789".
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc: u16, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 {
                crc << 1 ^ 0x1021
            } else {
                crc << 1
            };
        }
        crc
    })
}

/// HASH_SLOT of the specification of Redis Cluster.
fn hash_slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|&b| b == b'{');
    let tag = open.and_then(|open| {
        let behind = &key[open + 1..];
        let close = behind.iter().position(|&b| b == b'}')?;
        (close > 0).then(|| &behind[..close])
    });
    crc16(tag.unwrap_or(key)) % 16384
}

#[test]
fn the_slots_of_the_specification() {
    assert_eq!(crc16(b"123456789"), 0x31c3);
    assert_eq!(
        hash_slot(b"{user1000}.following"),
        hash_slot(b"{user1000}.followers")
    );
    assert_eq!(hash_slot(b"foo{}{bar}"), crc16(b"foo{}{bar}") % 16384);
    assert_eq!(hash_slot(b"foo{{bar}}zap"), crc16(b"{bar") % 16384);
    assert_eq!(hash_slot(b"foo{bar}{zap}"), crc16(b"bar") % 16384);
}

proptest! {
    #[test]
    fn all_names_of_a_key_share_its_slot(key in "[a-c{}:/?é]{0,12}", slot in 1_usize..MAX_VARIANTS) {
        if let Some(name) = slot_key(key.as_bytes(), slot) {
            prop_assert_eq!(hash_slot(&name), hash_slot(key.as_bytes()));
        }
    }

    #[test]
    fn slots_of_a_key_differ(key in "[a-c{}]{1,8}", one in 1_usize..300, other in 1_usize..300) {
        let (first, second) = (slot_key(key.as_bytes(), one), slot_key(key.as_bytes(), other));
        prop_assert_eq!(first == second, first.is_none() || one == other);
        prop_assert_ne!(first, Some(key.into_bytes()));
    }

    #[test]
    fn reading_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Family::parse(&Bytes::from(text));
    }

    #[test]
    fn what_is_read_is_printed_the_same(text in "1 [a-c]{0,3} [a-c,]{0,5} [0-9]{0,3}( [01]{32}){0,3}") {
        let text = Bytes::from(text);
        if let Some(family) = Family::parse(&text) {
            prop_assert_eq!(family.encode(), text);
        }
    }

    #[test]
    fn whatever_comes_there_is_a_place_for_it_and_no_more_than_may_be(
        arrivals in prop::collection::vec(0_u8..12, 1..60),
        most in 1_usize..8,
    ) {
        let mut family: Option<Family> = None;
        for number in arrivals {
            let new = variant(number);
            let target = choose_slot(b"key", family.as_ref(), &names("a"), new, most, new_token);
            prop_assert!(target.slot < most);
            prop_assert!(target.family.ids.len() <= most);
            prop_assert_eq!(target.family.slot_of(new), Some(target.slot));
            let text = Bytes::from(target.family.encode());
            prop_assert_eq!(Family::parse(&text), Some(target.family.clone()));
            family = Some(target.family);
        }
    }
}

#[test]
fn slots_are_of_the_prefix_that_their_key_has() {
    for key in ["/in/x", "{/in/}x", "/in/{x}", "/out/x", "", "{", "{{x"] {
        for prefix in ["", "/in/", "{/in", "{", "{{"] {
            let (key, prefix) = (key.as_bytes(), prefix.as_bytes());
            let Some(slot) = slot_key(key, 3) else {
                continue;
            };
            if key.starts_with(prefix) {
                assert!(begins_with(&slot, prefix), "{slot:?} {prefix:?}");
            }
            // Redis tells of what begins with one of the two.
            let listened_for = slot.starts_with(prefix)
                || slot_prefix(prefix).is_some_and(|prefix| slot.starts_with(&prefix));
            assert_eq!(begins_with(&slot, prefix), listened_for);
        }
    }
    assert!(!begins_with(b"{/out/x}:v1", b"/in/"));
    assert!(!begins_with(b"/out/x", b"/in/"));
    assert_eq!(slot_prefix(b"/in/").as_deref(), Some(&b"{/in/"[..]));
    // Redis refuses a prefix that begins with another.
    assert_eq!(slot_prefix(b""), None);
    assert_eq!(slot_prefix(b"{{"), None);
}
