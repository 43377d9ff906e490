//! Fences: their names, what they permit, and what is heard of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use cache_core::cluster::slot_of;
use cache_core::fence::{self, Token, Told, is_current, permits};
use cache_core::resp::Reply;
use proptest::prelude::*;

#[test]
fn names() {
    let cases: [(&str, &str); 6] = [
        ("/x", "{/x}:f"),
        ("http://localhost/x?y=1", "{http://localhost/x?y=1}:f"),
        ("a{b", "{a{b}:f"),
        ("{site}/x", "{site}:f:{site}/x"),
        ("/x{tag}y{other}", "{tag}:f:/x{tag}y{other}"),
        ("/x{{tag}}", "{{tag}:f:/x{{tag}}"),
    ];
    for (key, name) in cases {
        assert_eq!(fence::name(key.as_bytes()), name.as_bytes(), "{key}");
    }
    for key in ["", "}", "/x}", "/x{}", "{}/x{tag}", "a}{b"] {
        let name = String::from_utf8(fence::name(key.as_bytes())).unwrap();
        let (number, rest) = name.strip_prefix('{').unwrap().split_once('}').unwrap();
        assert!(number.bytes().all(|b| b.is_ascii_digit()), "{name}");
        assert_eq!(rest, format!(":f:{key}"));
        assert_eq!(slot_of(name.as_bytes()), slot_of(key.as_bytes()), "{key}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_fence_is_in_the_slot_of_its_key_and_of_no_other(
        one in "[a-z/{}]{0,12}",
        other in "[a-z/{}]{0,12}",
    ) {
        let name = fence::name(one.as_bytes());
        prop_assert_eq!(name.first(), Some(&b'{'));
        prop_assert_eq!(slot_of(&name), slot_of(one.as_bytes()));
        prop_assert_eq!(name == fence::name(other.as_bytes()), one == other);
    }

    #[test]
    fn whatever_comes_is_read_without_harm(message in proptest::collection::vec(any::<u8>(), 0..40)) {
        let said = [
            Reply::Bulk(Some(Bytes::from("message"))),
            Reply::Bulk(Some(Bytes::from(fence::CHANNEL))),
            Reply::Bulk(Some(Bytes::from(message.clone()))),
        ];
        if let Some(Told { token, key }) = fence::told(&said) {
            prop_assert_eq!([token.to_string().as_bytes(), b" ", &key].concat(), message);
        }
    }
}

#[test]
fn tokens() {
    for number in [1, 0xabc, u64::MAX] {
        let token = Token::new(number);
        assert_eq!(Token::parse(token.to_string().as_bytes()), Some(token));
        assert_eq!(token.number(), number);
    }
    assert_ne!(Token::new(0).number(), 0);
    let none = [
        "",
        "1",
        "000000000000000g",
        "0000000000000000",
        "00000000000000001",
        "+000000000000001",
    ];
    for text in none {
        assert_eq!(Token::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn what_is_permitted() {
    assert!(permits(b"", b""));
    assert!(permits(b"", b"1"), "it has ended, and no other came");
    assert!(permits(b"1", b"1"));
    assert!(!permits(b"1", b""));
    assert!(!permits(b"2", b"1"));
}

#[test]
fn what_is_shared() {
    assert!(is_current(0, 0, 0), "nothing was heard");
    assert!(is_current(7, 0, 7), "nothing was heard since");
    assert!(
        is_current(0, 8, 8),
        "the fill knew it before the message came"
    );
    assert!(!is_current(0, 0, 8));
    assert!(!is_current(7, 7, 8));
    assert!(!is_current(7, 8, 9));
}

#[test]
fn what_is_told() {
    let bulk = |text: &str| Reply::Bulk(Some(Bytes::copy_from_slice(text.as_bytes())));
    let said = |kind: &str, channel: &str, text: &str| [bulk(kind), bulk(channel), bulk(text)];
    let token = Token::new(0xab);
    let text = format!("{token} /x y");
    let told = fence::told(&said("message", fence::CHANNEL, &text));
    let key = Bytes::from("/x y");
    assert_eq!(told, Some(Told { token, key }));
    for other in [
        said("subscribe", fence::CHANNEL, &text),
        said("message", "redis_cache:", &text),
        said("message", fence::CHANNEL, "/x"),
        said("message", fence::CHANNEL, &token.to_string()),
        said("message", fence::CHANNEL, &format!("{token}/x")),
        said("message", fence::CHANNEL, "äääääääää /x"),
        said(
            "message",
            fence::CHANNEL,
            &format!("{token} {}", "x".repeat(70_000)),
        ),
    ] {
        assert_eq!(fence::told(&other), None, "{other:?}");
    }
    assert_eq!(fence::told(&[]), None);
    let pushed = [bulk("message"), bulk(fence::CHANNEL), Reply::Integer(1)];
    assert_eq!(fence::told(&pushed), None);
}
