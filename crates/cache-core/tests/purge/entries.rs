//! Members of the store's log.

use cache_core::purge::{Entry, Kind, Member, Mode, Scope, Selector, TagId};

use crate::origin;

fn each_selector() -> Vec<(Selector, &'static str)> {
    let host = || Scope::host(b"Example.com.").unwrap();
    let at = || Scope::Origin(origin(true, "example.com"));
    vec![
        (
            Selector::Tag(TagId::of_tag(b"a")),
            "tag MODE c3e6a7f57034c35d",
        ),
        (
            Selector::Group(TagId::of_group(&origin(true, "example.com"), b"a")),
            "group MODE 802f72c8ef21e29b",
        ),
        (Selector::Within(host()), "host MODE example.com"),
        (
            Selector::Within(at()),
            "origin MODE https://example.com:443",
        ),
        (
            Selector::prefix(host(), b"/a/?b ").unwrap(),
            "prefix MODE example.com/a/?b%20",
        ),
        (
            Selector::prefix(at(), b"/a").unwrap(),
            "prefix MODE https://example.com:443/a",
        ),
        (
            Selector::prefix(Scope::Any, b"/a").unwrap(),
            "prefix MODE */a",
        ),
        (
            Selector::prefix(host(), b"//").unwrap(),
            "host MODE example.com",
        ),
        (
            Selector::uri(host(), b"/").unwrap(),
            "uri MODE example.com/",
        ),
        (
            Selector::uri(at(), b"/a?b").unwrap(),
            "uri MODE https://example.com:443/a?b",
        ),
        (Selector::all(), "all MODE"),
        (Selector::prefix(Scope::Any, b"/").unwrap(), "all MODE"),
    ]
}

#[test]
fn the_text_of_each() {
    for mode in [Mode::Soft, Mode::Hard] {
        for (selector, text) in each_selector() {
            let text = text.replace("MODE", mode.as_str());
            let entry = Entry { mode, selector };
            let written = entry.encode();
            assert_eq!(String::from_utf8(written.clone()).unwrap(), text);
            assert_eq!(Member::parse(&written), Member::Entry(entry));
        }
    }
}

#[test]
fn each_kind_of_the_log_has_an_entry() {
    let mut kinds: Vec<_> = each_selector()
        .iter()
        .map(|(selector, _)| selector.kind())
        .collect();
    kinds.sort();
    kinds.dedup();
    let wanted: Vec<_> = Kind::EACH
        .into_iter()
        .filter(|kind| *kind != Kind::Key)
        .collect();
    assert_eq!(kinds, wanted);
}

#[test]
fn what_else_is_in_the_log() {
    let cases = [
        (Member::Floor(Mode::Soft), "floor soft"),
        (Member::Floor(Mode::Hard), "floor hard"),
        (Member::Server(b"0123abcd"), "server 0123abcd"),
    ];
    for (member, text) in cases {
        assert_eq!(member.encode(), text.as_bytes());
        assert_eq!(Member::parse(text.as_bytes()), member);
    }
}

#[test]
fn what_a_later_version_may_have_written() {
    let texts = [
        "",
        "all",
        "all loud",
        "all hard more",
        "floor hard 1",
        "server",
        "tag hard",
        "tag hard c3e6a7f57034c35",
        "tag  hard c3e6a7f57034c35d",
        "key hard a",
        "type soft text/html",
        "host hard *",
        "host hard https://example.com:443",
        "host hard example.com:443",
        "host hard a b",
        "origin hard example.com",
        "origin hard ftp://example.com:21",
        "prefix hard example.com",
        "prefix hard https://example.com:443",
        "prefix hard /a",
        "uri hard ?",
    ];
    for text in texts {
        assert_eq!(Member::parse(text.as_bytes()), Member::Unknown, "{text}");
    }
}

#[test]
fn a_text_in_another_form_means_the_same() {
    let parsed = Member::parse(b"prefix soft HTTPS://example.com/a/../%62");
    let scope = Scope::Origin(origin(true, "example.com"));
    let selector = Selector::prefix(scope, b"/b").unwrap();
    let mode = Mode::Soft;
    assert_eq!(parsed, Member::Entry(Entry { mode, selector }));
}

#[test]
fn what_is_a_host() {
    for host in ["example.com", "[::1]", "127.0.0.1", "a_b", "EXAMPLE.com."] {
        assert!(Scope::host(host.as_bytes()).is_some(), "{host}");
    }
    for host in [
        "", ".", "*", "a:80", "a:b", "::1", "a/b", "a b", "a@b", "a?",
    ] {
        assert_eq!(Scope::host(host.as_bytes()), None, "{host}");
    }
}
