use bytes::Bytes;
use cache_core::purge::{Digest, Labels, Site};
use proptest::prelude::*;

use super::{labels, site, tag_digest};

fn parse(text: &[u8]) -> Option<Labels> {
    Labels::parse(&Bytes::copy_from_slice(text))
}

#[test]
fn the_field_is_one_line_of_words() {
    let labels = labels("www.example.com", "/a%20b?c=d", &["news"]);
    let text = String::from_utf8(labels.encode()).unwrap();
    let news = tag_digest("news");
    assert_eq!(text, format!("1 http www.example.com 80 /a%20b?c=d {news}"));
    assert_eq!(parse(text.as_bytes()), Some(labels));
}

#[test]
fn all_ways_to_write_a_uri_are_one() {
    let same = |a: &str, b: &str| {
        assert_eq!(labels("a", a, &[]).uri, labels("a", b, &[]).uri, "{a} {b}");
    };
    same("/a/./b/../c", "/a/c");
    same("/%61", "/a");
    same("//a///b", "/a/b");
    same("/caf%c3%a9", "/caf%C3%A9");
    same("/a%2fb", "/a/b");
    same("/a#fragment", "/a");
    assert_ne!(labels("a", "/a?b", &[]).uri, labels("a", "/a%3fb", &[]).uri);
    assert_ne!(labels("a", "/a?", &[]).uri, labels("a", "/a", &[]).uri);
    assert_ne!(labels("a", "/a/", &[]).uri, labels("a", "/a", &[]).uri);
}

#[test]
fn what_is_no_path_has_no_labels() {
    for target in ["*", "", "a", "/%", "/%00", "http://a/"] {
        assert_eq!(
            Labels::new(site("a"), target.as_bytes(), Vec::new()),
            None,
            "{target}"
        );
    }
}

#[test]
fn hosts_are_in_lower_case_and_names() {
    assert_eq!(site("WWW.Example.COM").host, b"www.example.com");
    assert_eq!(Site::new(false, b"a b", None), None);
    assert_eq!(Site::new(false, "é".as_bytes(), None), None);
    assert_eq!(Site::new(true, b"a", None).unwrap().port, 443);
    let nameless =
        Labels::new(Site::new(true, b"", Some(8443)).unwrap(), b"/", Vec::new()).unwrap();
    assert_eq!(nameless.encode(), b"1 https - 8443 /");
    assert_eq!(parse(&nameless.encode()), Some(nameless));
}

#[test]
fn other_texts_are_none() {
    for text in [
        "",
        "1",
        "2 http a 80 /",
        "1 ftp a 80 /",
        "1 http a 80",
        "1 http  80 /",
        "1 http a x /",
        "1 http a 65536 /",
        "1 http a 80 x",
        "1 http a 80 / 12",
        "1 http a 80 /  0123456789abcdef",
        "1 http a 80 / 0123456789ABCDEF",
    ] {
        assert_eq!(parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn groups_belong_to_an_origin_and_tags_to_all() {
    let (a, b) = (site("a"), site("b"));
    assert_ne!(Digest::of_group(&a, b"x"), Digest::of_group(&b, b"x"));
    assert_ne!(Digest::of_group(&a, b"x"), Digest::of_tag(b"x"));
    assert_ne!(Digest::of_tag(b"x"), Digest::of_tag(b"X"));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        https: bool,
        host in "[a-z0-9.-]{0,20}",
        port: u16,
        target in "/[ -~]{0,40}",
        tags in prop::collection::vec(".{1,8}", 0..20),
    ) {
        let Some(site) = Site::new(https, host.as_bytes(), Some(port)) else {
            return Ok(());
        };
        let digests = tags.iter().map(|tag| tag_digest(tag)).collect();
        if let Some(labels) = Labels::new(site, target.as_bytes(), digests) {
            prop_assert_eq!(parse(&labels.encode()), Some(labels));
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(labels) = parse(&text) {
            prop_assert_eq!(parse(&labels.encode()), Some(labels));
        }
    }
}
