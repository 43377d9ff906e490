//! The field `labels`, and the fields of a response that it is made of.

use cache_core::purge::{
    Labels, MAX_TAGS, MAX_TARGET, Scope, Selector, Separators, TagFields, TagId, Tags,
    group_invalidation, strings,
};
use proptest::prelude::*;

use crate::{headers, origin};

fn ids(tags: &[&str]) -> Vec<TagId> {
    let mut ids: Vec<_> = tags
        .iter()
        .map(|tag| TagId::of_tag(tag.as_bytes()))
        .collect();
    ids.sort();
    ids
}

#[test]
fn the_text_of_the_field() {
    let tags = Tags::from(ids(&["a"]));
    let text = Labels::encode(&origin(true, "Example.com"), b"/a/../b%41//?x=1", &tags).unwrap();
    assert_eq!(
        String::from_utf8(text.clone()).unwrap(),
        "1 https://example.com:443 /bA/?x=1 c3e6a7f57034c35d"
    );
    let labels = Labels::parse(&text).unwrap();
    assert_eq!(labels.origin(), b"https://example.com:443");
    assert_eq!(labels.host(), b"example.com");
    assert_eq!(labels.target(), b"/bA/?x=1");
    assert_eq!(labels.tags().collect::<Vec<_>>(), ids(&["a"]));
    assert!(!labels.has_more_tags());
}

/// Each purge of a URI of the path selects a record that is for several arguments.
#[test]
fn a_record_for_several_arguments() {
    let origin = origin(true, "example.com");
    let tags = Tags::from(ids(&["a"]));
    let text = Labels::encode_path(&origin, b"/a/../b%41//?x=1&y#z", &tags).unwrap();
    assert_eq!(
        String::from_utf8(text.clone()).unwrap(),
        "1 https://example.com:443 /bA/# c3e6a7f57034c35d"
    );
    let labels = Labels::parse(&text).unwrap();
    assert_eq!(labels.target(), b"/bA/");
    assert!(labels.any_arguments());
    let plain = Labels::encode(&origin, b"/bA/", &tags).unwrap();
    assert!(!Labels::parse(&plain).unwrap().any_arguments());
    let scope = || Scope::Origin(origin.clone());
    let cases = [
        ("/bA/", true),
        ("/bA/?", true),
        ("/bA/?x=1", true),
        ("/bA/?anything", true),
        ("/bA", false),
        ("/bA?x", false),
        ("/bA/c?x", false),
        ("/c", false),
    ];
    for (uri, is_selected) in cases {
        let selector = Selector::uri(scope(), uri.as_bytes()).unwrap();
        assert_eq!(selector.selects(Some(&labels)), is_selected, "{uri}");
        let prefix = Selector::prefix(scope(), uri.as_bytes()).unwrap();
        let begins_so = is_selected || uri == "/bA";
        assert_eq!(prefix.selects(Some(&labels)), begins_so, "{uri}");
    }
    let elsewhere = Scope::host(b"example.org").unwrap();
    let other = Selector::uri(elsewhere, b"/bA/?x=1").unwrap();
    assert!(!other.selects(Some(&labels)));
    assert_eq!(Labels::encode_path(&origin, b"*", &tags), None);
}

#[test]
fn a_long_path_for_several_arguments() {
    let origin = origin(false, "a");
    let long = format!("/{}", "x".repeat(MAX_TARGET));
    let asked = format!("{long}?y");
    let text = Labels::encode_path(&origin, asked.as_bytes(), &Tags::default()).unwrap();
    let labels = Labels::parse(&text).unwrap();
    for uri in [&asked, &long] {
        let selector = Selector::uri(Scope::Any, uri.as_bytes()).unwrap();
        assert!(selector.selects(Some(&labels)));
    }
}

#[test]
fn an_address_is_a_host() {
    let text = Labels::encode(&origin(false, "[::1]:8080"), b"/", &Tags::default()).unwrap();
    assert_eq!(text, b"1 http://[::1]:8080 /");
    assert_eq!(Labels::parse(&text).unwrap().host(), b"[::1]");
}

#[test]
fn a_target_that_is_no_path_has_no_labels() {
    let origin = origin(false, "a");
    assert_eq!(Labels::encode(&origin, b"*", &Tags::default()), None);
}

#[test]
fn what_is_no_field() {
    let good = "1 https://example.com:443 /a c3e6a7f57034c35d +";
    assert!(Labels::parse(good.as_bytes()).is_some());
    let cases = [
        ("", "nothing"),
        ("1", "no origin"),
        ("2 https://example.com:443 /a", "another version"),
        ("1 https://example.com:443", "no target"),
        ("1 https://example.com:443 ", "an empty target"),
        ("1 https://example.com:443 a", "no path"),
        ("1 https://example.com /a", "no port"),
        ("1 https://:443 /a", "no host"),
        ("1 https://Example.com:443 /a", "upper case"),
        ("1 ftp://example.com:443 /a", "another scheme"),
        ("1 example.com:443 /a", "no scheme"),
        (
            "1 https://example.com:443 /a c3e6a7f57034c35",
            "a short tag",
        ),
        (
            "1 https://example.com:443 /a C3E6A7F57034C35D",
            "upper case",
        ),
        (
            "1 https://example.com:443 /a  c3e6a7f57034c35d",
            "a blank more",
        ),
        ("1 https://example.com:443 /a c3e6a7f57034c35d+", "no blank"),
        (
            "1 https://example.com:443 /a c3e6a7f57034c35d + +",
            "twice more",
        ),
    ];
    for (text, why) in cases {
        assert_eq!(Labels::parse(text.as_bytes()), None, "{why}");
    }
}

#[test]
fn tags_that_have_no_room_are_all_tags() {
    let many: Vec<_> = (0..=MAX_TAGS)
        .map(|n| TagId::of_tag(n.to_string().as_bytes()))
        .collect();
    let origin = origin(false, "a");
    for (count, has_more) in [(MAX_TAGS, false), (MAX_TAGS + 1, true)] {
        let tags = Tags::from(many[..count].to_vec());
        let text = Labels::encode(&origin, b"/", &tags).unwrap();
        let labels = Labels::parse(&text).unwrap();
        assert_eq!(labels.tags().count(), MAX_TAGS);
        assert_eq!(labels.has_more_tags(), has_more);
        let other = Selector::Tag(TagId::of_tag(b"another"));
        assert_eq!(other.selects(Some(&labels)), has_more);
    }
}

#[test]
fn the_words_of_each_field() {
    let cases: [(&str, &str, &[&str]); 18] = [
        ("Surrogate-Key", "a b\tc  d", &["a", "b", "c", "d"]),
        ("surrogate-key", "a,b c", &["a,b", "c"]),
        (
            "Purge-Cache-Tags",
            "node:1 node_list",
            &["node:1", "node_list"],
        ),
        ("Cache-Tag", "a,b , c,,", &["a", "b", "c"]),
        ("Cache-Tag", "a b,c", &["a b", "c"]),
        ("Edge-Cache-Tag", "a,b", &["a", "b"]),
        ("X-Cache-Tags", "a,b", &["a", "b"]),
        ("X-Magento-Tags", "cat_p_1,cat_p_2", &["cat_p_1", "cat_p_2"]),
        // Drupal
        ("Cache-Tags", "node:1 node:2", &["node:1", "node:2"]),
        // API Platform
        ("Cache-Tags", "/a/1,/a/2", &["/a/1,/a/2", "/a/1", "/a/2"]),
        ("xkey", "a b", &["a", "b"]),
        ("xkey", "a, b", &["a", "b"]),
        ("xkey", "a,b c", &["a,b", "a", "b", "c"]),
        ("X-Own", "a b,c", &["a", "b,c", "b", "c"]),
        ("xkey", "", &[]),
        ("xkey", " , ,", &[]),
        ("Cache-Tag", " ", &[]),
        // read as a whole
        ("Cache-Groups", "\"a\"", &[]),
    ];
    for (name, line, wanted) in cases {
        let mut words = Vec::new();
        Separators::of(name.as_bytes()).words(line.as_bytes(), &mut |word| {
            words.push(String::from_utf8(word.to_vec()).unwrap());
        });
        assert_eq!(words, wanted, "{name}: {line}");
    }
}

#[test]
fn tags_of_a_response() {
    let origin = origin(true, "example.com");
    let answer = headers(&[
        "Cache-Groups: \"g\", \"h\";x=1",
        "xkey: a b",
        "Cache-Tag: c,a",
        "cache-groups: \"G\"",
        "X-Cache-Tags: not-read",
    ]);
    let group = |name: &str| TagId::of_group(&origin, name.as_bytes());
    let mut wanted = ids(&["a", "b", "c"]);
    wanted.extend(["g", "h", "G"].map(group));
    let tags = Tags::of(&answer, &TagFields::default(), &origin);
    assert_eq!(tags, Tags::from(wanted));
    let own = TagFields::new([&b"X-Cache-Tags"[..]].into_iter()).unwrap();
    let tags = Tags::of(&answer, &own, &origin);
    assert_eq!(tags, Tags::from(ids(&["not-read"])));
}

#[test]
fn which_fields_clients_get() {
    let fields = TagFields::default();
    for (name, taken_off) in [
        ("Surrogate-Key", true),
        ("cache-tag", true),
        ("XKEY", true),
        ("Cache-Groups", false),
        ("Cache-Tags", false),
        ("Cache-Control", false),
    ] {
        assert_eq!(fields.takes_off(name.as_bytes()), taken_off, "{name}");
    }
    let names = [&b"X-A"[..], b"X A", b"X:B"];
    assert_eq!(TagFields::new(names.into_iter()), Err(&b"X A"[..]));
}

/// RFC 9875 2, 3; RFC 9651 3.1.
#[test]
fn groups_are_a_list_of_strings() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&["\"a\", \"b\""], &["a", "b"]),
        (&["\"a\"", "\"b\""], &["a", "b"]),
        (&["\"a b,c\";x;y=2"], &["a b,c"]),
        (&["\"a\\\"b\\\\\""], &["a\"b\\"]),
        (&["\"\""], &[""]),
        (&[""], &[]),
        (&[], &[]),
        // "If parsing fails, the entire field value MUST be ignored"
        (&["a"], &[]),
        (&["\"a\", b"], &[]),
        (&["\"a\", (\"b\")"], &[]),
        (&["\"a\","], &[]),
        (&["\"a\" \"b\""], &[]),
    ];
    for (lines, wanted) in cases {
        let found = strings(lines.iter().map(|line| line.as_bytes()));
        assert_eq!(found, wanted, "{lines:?}");
    }
    // "at least 32 groups in a field value, with up to at least 32 characters in each member"
    let many: Vec<_> = (0..32).map(|n| format!("\"{n:032}\"")).collect();
    assert_eq!(strings([many.join(",").as_bytes()].into_iter()).len(), 32);
}

#[test]
fn an_answer_to_an_unsafe_request_invalidates_groups() {
    let origin = origin(true, "a");
    let line = &b"\"x\", \"y\", \"x\""[..];
    let invalidated =
        |method: &str, line| group_invalidation(method.as_bytes(), &origin, [line].into_iter());
    let group = |name: &[u8]| Selector::Group(TagId::of_group(&origin, name));
    for method in ["POST", "PUT", "DELETE", "PATCH", "FOO"] {
        assert_eq!(
            invalidated(method, line),
            [group(b"x"), group(b"y")],
            "{method}"
        );
    }
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(invalidated(method, line), [], "{method}");
    }
    assert_eq!(invalidated("POST", b"x"), []);
    let many: Vec<_> = (0..129).map(|n| format!("\"{n}\"")).collect();
    let all = Selector::Within(Scope::Origin(origin.clone()));
    assert_eq!(invalidated("POST", many.join(",").as_bytes()), [all]);
}

#[test]
fn a_long_uri_is_known_by_its_beginning() {
    let origin = origin(false, "a");
    let long = |end: &str| format!("/{}{end}", "x".repeat(MAX_TARGET));
    let text = Labels::encode(&origin, long("1").as_bytes(), &Tags::default()).unwrap();
    let labels = Labels::parse(&text).unwrap();
    let uri = |text: String| Selector::uri(Scope::Any, text.as_bytes()).unwrap();
    assert!(uri(long("1")).selects(Some(&labels)));
    assert!(uri(long("2")).selects(Some(&labels)), "more, never less");
    assert!(!uri("/x".to_owned()).selects(Some(&labels)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        https: bool,
        host in "[a-z0-9.-]{1,20}|\\[[0-9a-f:]{2,20}\\]",
        port: u16,
        target in "/[ -~é%]{0,40}",
        tags in proptest::collection::vec(any::<u64>(), 0..8),
    ) {
        let origin = cache_core::uri::Origin::new(https, format!("{host}:{port}").as_bytes());
        prop_assume!(origin.is_some());
        let origin = origin.unwrap();
        let tags = tags.iter().map(|n| TagId::of_tag(&n.to_be_bytes())).collect::<Vec<_>>();
        let text = Labels::encode(&origin, target.as_bytes(), &Tags::from(tags.clone())).unwrap();
        let labels = Labels::parse(&text).unwrap();
        prop_assert_eq!(labels.origin(), origin.in_full());
        prop_assert_eq!(labels.host(), origin.host());
        let mut tags = tags;
        tags.sort();
        tags.dedup();
        prop_assert_eq!(labels.tags().collect::<Vec<_>>(), tags);
        // the record of a URI is selected by that URI, however it is written, and by whatever it begins with
        let normal = labels.target();
        for at in 1..=normal.len() {
            let prefix = Selector::prefix(Scope::Origin(origin.clone()), &normal[..at]);
            prop_assert!(prefix.unwrap().selects(Some(&labels)), "{}", normal[..at].escape_ascii());
        }
        let uri = Selector::uri(Scope::Any, target.as_bytes()).unwrap();
        prop_assert!(uri.selects(Some(&labels)));
        let uri = Selector::uri(Scope::Any, labels.target()).unwrap();
        prop_assert!(uri.selects(Some(&labels)));
    }
}
