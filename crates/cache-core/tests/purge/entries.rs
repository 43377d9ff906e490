use cache_core::purge::{Entry, Mode, Selector, Site};
use proptest::prelude::*;

use super::{entry, host, labels, prefix, site, tag, tag_digest};

#[test]
fn members_are_readable() {
    let written = |mode, selector| String::from_utf8(entry(mode, selector).encode()).unwrap();
    assert_eq!(written(Mode::Hard, Selector::All), "hard all");
    assert_eq!(written(Mode::Soft, host("a")), "soft host a");
    assert_eq!(written(Mode::Hard, prefix("a", "/b")), "hard prefix a /b");
    let origin = Selector::Origin(Site::new(true, b"a", None).unwrap());
    assert_eq!(written(Mode::Soft, origin), "soft origin https a 443");
    let digest = tag_digest("x");
    assert_eq!(
        written(Mode::Hard, tag("x")),
        format!("hard label {digest}")
    );
}

#[test]
fn what_is_no_member_is_none() {
    for text in [
        "",
        "hard",
        "firm all",
        "hard some",
        "hard all more",
        "hard host",
        "hard host A",
        "hard host ",
        "hard prefix a b",
        "hard prefix a",
        "hard origin https a",
        "hard label 123",
        "hard label 0123456789abcdef x",
    ] {
        assert_eq!(Entry::parse(text.as_bytes()), None, "{text}");
    }
    let long = format!("hard prefix a /{}", "x".repeat(20_000));
    assert_eq!(Entry::parse(long.as_bytes()), None);
}

#[test]
fn each_selects_what_it_says() {
    let record = labels("www.example.com", "/shop/1?x", &["news", "p1"]);
    let other = Selector::Origin(Site::new(true, b"www.example.com", None).unwrap());
    for (selector, selects) in [
        (Selector::All, true),
        (host("www.example.com"), true),
        (host("example.com"), false),
        (Selector::Origin(site("www.example.com")), true),
        (other, false),
        (prefix("www.example.com", "/shop"), true),
        (prefix("www.example.com", "/shop/1?x"), true),
        (prefix("www.example.com", "/shop/1?x1"), false),
        (prefix("example.com", "/shop"), false),
        (prefix("*", "/shop"), true),
        (prefix("*", "/sho/"), false),
        (tag("news"), true),
        (tag("New"), false),
    ] {
        assert_eq!(selector.selects(&record), selects, "{selector:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        hard: bool,
        kind in 0..5,
        name in "[a-z0-9.-]{1,20}",
        path in "/[!-~]{0,40}",
    ) {
        let selector = match kind {
            0 => Selector::All,
            1 => host(&name),
            2 => prefix(&name, &path),
            3 => tag(&name),
            _ if name == "-" => Selector::All,
            _ => Selector::Origin(site(&name)),
        };
        let entry = entry(if hard { Mode::Hard } else { Mode::Soft }, selector);
        prop_assert_eq!(Entry::parse(&entry.encode()), Some(entry));
    }

    #[test]
    fn no_member_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(entry) = Entry::parse(&text) {
            prop_assert_eq!(entry.encode(), text);
        }
    }
}
