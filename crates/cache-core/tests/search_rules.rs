//! No-Vary-Search: what the field says, which arguments have one form by it, and the rules that workers know together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../../../src/shm/search_rules.rs"]
mod table;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cache_core::args::{ArgsForm, MAX_RULE, SearchRule};
use cache_core::key::LockKey;
use proptest::prelude::*;
use table::{ROW, SLOT, SearchRules};

fn rule(lines: &[&str]) -> Option<SearchRule> {
    SearchRule::of(lines.iter().map(|line| line.as_bytes()))
}

fn text(lines: &[&str]) -> Option<String> {
    rule(lines).map(|rule| String::from_utf8(rule.text().to_vec()).unwrap())
}

#[test]
#[rustfmt::skip]
fn what_the_field_says() {
    // (field, text of the rule; none: all arguments count)
    let cases = [
        // examples of the draft
        ("params", Some("params")),
        ("params=(\"a\")", Some("params=a")),
        ("params, except=(\"x\")", Some("params;except=x")),
        ("key-order", Some("key-order")),
        ("unknown-key", None),
        ("key-order=\"not a boolean\"", None),
        ("params=\"not a boolean or inner list\"", None),
        ("params=(not-a-string)", None),
        ("params=(\"a\"), except=(\"x\")", None),
        ("params=(), except=()", None),
        ("params=?0, except=(\"x\")", None),
        ("params, except=(not-a-string)", None),
        ("params, except=\"not an inner list\"", None),
        ("params, except=?1", None),
        ("except=(\"x\")", None),
        ("except=()", None),
        ("params=?1", Some("params")),
        ("key-order=?1", Some("key-order")),
        ("params, key-order, except=(\"x\")", Some("key-order;params;except=x")),
        ("params=?0", None),
        ("params=()", None),
        ("key-order=?0", None),
        // others
        ("", None),
        ("key-order, params=?0", Some("key-order")),
        ("key-order=?0, params", Some("params")),
        ("key-order, params", Some("params")),
        ("key-order, params, except=()", Some("params")),
        ("key-order=1", None),
        ("params=1", None),
        ("params=(\"a\" 1)", None),
        ("params=(1 \"a\")", None),
        ("key-order=?0, params=(\"b\" \"a\" \"b\")", Some("params=a,b")),
        ("params=(\"\")", Some("params=")),
        ("params=(\"\" \"a\")", Some("params=,a")),
        ("params, except=(\"\")", Some("params;except=")),
        // names are decoded
        ("params=(\"%C3%A9+%E6%B0%97\")", Some("params=%C3%A9%20%E6%B0%97")),
        ("params=(\"%61\" \"a\")", Some("params=a")),
        ("params=(\"a%2Bb\" \"a,b\" \"a;b\" \"a#b\" \"a&b\" \"a*\")", Some("params=a%23b,a%26b,a%2A,a%2Bb,a%2Cb,a%3Bb")),
        ("params=(\"%\" \"%zz\")", Some("params=%25,%25zz")),
        // bytes that aren't UTF-8 are all the same
        ("params=(\"%ff\" \"%fe\")", Some("params=%EF%BF%BD")),
        // members that aren't known, and parameters, mean nothing
        ("params;x=1, other=(\"b\")", Some("params")),
        ("params=(\"a\";x \"b\");y", Some("params=a,b")),
        // of two with one name the last counts
        ("params, params=?0", None),
        ("params=1, params=(\"a\")", Some("params=a")),
        ("params, except=1, except=(\"a\")", Some("params;except=a")),
        ("params=(\"a\"), params=(\"b\")", Some("params=b")),
        // no dictionary
        ("params=(\"a\"", None),
        ("params=(\"\u{e9}\")", None),
        ("Params", None),
        ("params,", None),
    ];
    for (field, wanted) in cases {
        let found = text(&[field]);
        assert_eq!(found.as_deref(), wanted, "{field}");
        if let Some(text) = found {
            assert_eq!(SearchRule::parse(text.as_bytes()), rule(&[field]), "{field}");
        }
    }
}

#[test]
fn lines_are_one_field() {
    assert_eq!(text(&[]), None);
    assert_eq!(
        text(&["params", "except=(\"a\")"]).as_deref(),
        Some("params;except=a")
    );
    assert_eq!(text(&["params", "except=("]), None);
}

#[test]
fn a_rule_that_is_too_long_is_none() {
    for (length, is_one) in [(MAX_RULE, true), (MAX_RULE + 1, false)] {
        let name = "a".repeat(length - "params=".len());
        let found = text(&[&format!("params=(\"{name}\")")]);
        assert_eq!(found, is_one.then(|| format!("params={name}")));
    }
    let many: Vec<_> = (0..10_000).map(|n| format!("\"{n}\"")).collect();
    assert_eq!(text(&[&format!("params=({})", many.join(" "))]), None);
}

#[test]
fn texts_that_are_none() {
    for text in [
        "",
        "a",
        "params=b,a",
        "params=a,a",
        "params=%61",
        "params=%c3%a9",
        "params;except=",
        "key-order;params",
        "key-order;",
        ";params",
        "key-orderparams=a",
        "params=a;key-order",
        "params=a b",
        "params;except",
        "params=\u{e9}",
    ] {
        // the empty name is one
        let found = SearchRule::parse(text.as_bytes());
        let is_one = text == "params;except=";
        assert_eq!(found.is_some(), is_one, "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn forms() {
    // (field, arguments, as far as they count)
    let cases = [
        ("params", "", ""),
        ("params", "a=1&b;c&%zz&[", ""),
        ("params=(\"a\")", "a=1&b=2&a&%61=3&c", "b=2&c"),
        ("params=(\"a\")", "b=2&&", "b=2"),
        ("params=(\"a\")", "A=1&a[]=2&a.=3&aa", "A=1&a[]=2&a.=3&aa"),
        ("params=(\"a\")", "a=1;b=2", "a=1;b=2"),
        ("params=(\"\")", "=1&&a", "a"),
        ("params=(\"a*\")", "ab&a*&a%2a=1", "ab"),
        ("params=(\"a b\")", "a+b&a%20b=1&a%2Bb", "a%2Bb"),
        ("params=(\"%C3%A9\")", "%c3%a9=1&\u{e9}=2&%e9=3", "%e9=3"),
        ("params, except=(\"a\")", "b=1&a=2&c&a", "a=2&a"),
        // what a backend may take for it, too
        ("params, except=(\"a\")", "A=1&a[]=2&b;a=3&%00&%ff=4&b", "A=1&a[]=2&b;a=3&%00&%ff=4"),
        ("params, except=(\"a\")", "!a=1&_a=2&_b=3&__a=4", "!a=1&_a=2"),
        ("params, except=(\"%EF%BF%BD\")", "%EF%BF%BD=1&%fe=2&b", "%EF%BF%BD=1&%fe=2"),
        ("params, except=(\"%ff\")", "%EF%BF%BD=1&%fe=2&b", "%EF%BF%BD=1&%fe=2"),
        ("key-order", "b=1&a=2&b=0&&", "a=2&b=1&b=0"),
        ("key-order", "b&%ff&a", "b&%ff&a"),
        ("key-order", "b=%ff&a=%fe", "a=%fe&b=%ff"),
        ("key-order", "b&a;c", "b&a;c"),
        ("key-order, params=(\"x\")", "b&x=1&a", "a&b"),
        ("key-order, params, except=(\"a\" \"b\")", "b&x=1&a", "a&b"),
    ];
    for (field, arguments, wanted) in cases {
        let rule = rule(&[field]).unwrap();
        let applied = |text: &str| String::from_utf8(rule.apply(text.as_bytes())).unwrap();
        assert_eq!(applied(arguments), wanted, "{field}: {arguments}");
        assert_eq!(applied(wanted), wanted, "{field}: {wanted}, again");
    }
}

#[test]
fn with_the_form_of_a_location() {
    let cases = [
        ("no_vary_search", None, "b&a=%7e&&", "b&a=%7e&&"),
        (
            "no_vary_search",
            Some("params=(\"b\")"),
            "b&a",
            "a#params=b",
        ),
        ("no_vary_search", Some("params"), "b&a", "#params"),
        ("no_vary_search", Some("params"), "", "#params"),
        ("no_vary_search sort drop=c", None, "c&b&a", "a&b"),
        (
            "no_vary_search sort drop=c",
            Some("params=(\"b\")"),
            "d&c&b&a",
            "a&d#params=b",
        ),
        (
            "no_vary_search normalize keep=a",
            Some("key-order"),
            "b&a=%7e",
            "a=~#key-order",
        ),
        // what only looks like a rule
        ("no_vary_search", None, "a#params=b", "a%23params=b"),
        (
            "no_vary_search",
            Some("params=(\"b\")"),
            "a#x",
            "a%23x#params=b",
        ),
    ];
    for (options, field, arguments, wanted) in cases {
        let words: Vec<_> = options.split(' ').map(str::as_bytes).collect();
        let form = ArgsForm::parse(&words).unwrap();
        assert!(form.heeds_rules());
        let rule = field.and_then(|field| rule(&[field]));
        let text = form.apply_with(rule.as_ref(), arguments.as_bytes());
        assert_eq!(
            String::from_utf8_lossy(&text),
            wanted,
            "{options}, {field:?}: {arguments}"
        );
    }
    for options in ["sort", "off", "drop=no_vary_search"] {
        let form = ArgsForm::parse(&[options.as_bytes()]).unwrap();
        assert!(!form.heeds_rules(), "{options}");
    }
}

/// Section "Comparing" of the draft, as it stands there.
mod draft {
    #[derive(Debug)]
    pub struct Variance {
        pub key_order: bool,
        /// `None`: a wildcard
        pub no_vary: Option<Vec<String>>,
        pub vary: Vec<String>,
    }

    fn decode(text: &[u8]) -> String {
        let hex = |b: u8| (b as char).to_digit(16);
        let (mut bytes, mut at) = (Vec::new(), 0);
        while at < text.len() {
            let escape = text.get(at + 1..at + 3).and_then(|rest| {
                let digits = hex(rest[0])? * 16 + hex(rest[1])?;
                u8::try_from(digits).ok()
            });
            match (text[at], escape) {
                (b'%', Some(byte)) => {
                    bytes.push(byte);
                    at += 2;
                }
                (b'+', _) => bytes.push(b' '),
                (byte, _) => bytes.push(byte),
            }
            at += 1;
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// application/x-www-form-urlencoded parsing
    fn pairs(query: &[u8]) -> Vec<(String, String)> {
        let sequences = query.split(|&b| b == b'&').filter(|it| !it.is_empty());
        sequences
            .map(|sequence| match sequence.iter().position(|&b| b == b'=') {
                Some(at) => (decode(&sequence[..at]), decode(&sequence[at + 1..])),
                None => (decode(sequence), String::new()),
            })
            .collect()
    }

    impl Variance {
        pub fn field(&self) -> String {
            let list = |names: &[String]| {
                let escaped = |name: &String| {
                    let bytes = name.bytes().map(|byte| format!("%{byte:02X}"));
                    format!("\"{}\"", bytes.collect::<String>())
                };
                let names: Vec<_> = names.iter().map(escaped).collect();
                format!("({})", names.join(" "))
            };
            let params = match &self.no_vary {
                Some(names) => format!("params={}", list(names)),
                None => format!("params, except={}", list(&self.vary)),
            };
            format!("key-order=?{}, {params}", u8::from(self.key_order))
        }

        pub fn are_equivalent(&self, one: &[u8], other: &[u8]) -> bool {
            let counted = |query: &[u8]| {
                let mut pairs = pairs(query);
                pairs.retain(|(name, _)| match &self.no_vary {
                    Some(names) => !names.contains(name),
                    None => self.vary.contains(name),
                });
                if self.key_order {
                    pairs.sort_by_key(|(name, _)| name.encode_utf16().collect::<Vec<_>>());
                }
                pairs
            };
            counted(one) == counted(other)
        }
    }
}

fn names() -> impl Strategy<Value = Vec<String>> {
    let name = prop_oneof![
        8 => "[abAB.]{0,2}".prop_map(String::from),
        1 => Just("é".to_owned()),
        1 => Just("\u{fffd}".to_owned()),
        1 => Just("a[".to_owned()),
    ];
    proptest::collection::vec(name, 0..3)
}

fn variances() -> impl Strategy<Value = draft::Variance> {
    (any::<bool>(), proptest::option::of(names()), names()).prop_map(
        |(key_order, no_vary, vary)| draft::Variance {
            key_order,
            no_vary,
            vary,
        },
    )
}

/// Arguments of which many are alike.
fn queries() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        &b"a"[..],
        b"b",
        b"A",
        b"=",
        b"=1",
        b"&",
        b"&",
        b"&",
        b"%61",
        b"%ff",
        b"%fe",
        b"%EF%BF%BD",
        b"[",
        b"]",
        b"[x]",
        b".",
        b"+",
        b";",
        b"%",
        b"%00",
        b"\xc3\xa9",
        b"%C3%A9",
        b"%2",
    ];
    let word = proptest::sample::select(words.to_vec());
    proptest::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Of two that have one form each may have the response to the other.
    #[test]
    fn one_form_is_one_resource(variance in variances(), one in queries(), other in queries()) {
        let Some(rule) = rule(&[&variance.field()]) else {
            return Ok(());
        };
        let form = rule.apply(&one);
        prop_assert_eq!(rule.apply(&form), form.clone());
        prop_assert!(variance.are_equivalent(&one, &form), "{}", form.escape_ascii());
        if form == rule.apply(&other) {
            prop_assert!(variance.are_equivalent(&one, &other));
        }
        // in another order
        let mut turned: Vec<_> = one.split(|&b| b == b'&').collect();
        turned.reverse();
        let turned = turned.join(&b'&');
        if form == rule.apply(&turned) {
            prop_assert!(variance.are_equivalent(&one, &turned));
        }
        let again = SearchRule::parse(rule.text());
        prop_assert_eq!(again, Some(rule));
    }
}

fn words(rows: usize) -> Vec<AtomicU64> {
    (0..rows * ROW).map(|_| AtomicU64::new(0)).collect()
}

/// A path of that name, in the row that the second number gives.
fn path(name: u64, row: u64) -> LockKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&name.to_ne_bytes());
    bytes[8..].copy_from_slice(&row.to_ne_bytes());
    LockKey(bytes)
}

#[test]
fn rules_are_known_for_their_time() {
    let words = words(2);
    let table = SearchRules(&words);
    let own = path(1, 1);
    assert_eq!(table.find(&own, 0), None);
    table.learn(&own, b"params=a", 10, 20);
    table.learn(&path(2, 1), b"", 10, 20);
    assert_eq!(table.find(&own, 19).as_deref(), Some(&b"params=a"[..]));
    assert_eq!(table.find(&path(2, 1), 19).as_deref(), Some(&b""[..]));
    assert_eq!(table.find(&own, 20), None);
    assert_eq!(table.find(&path(1, 0), 19), None);
    table.learn(&own, b"key-order", 30, 40);
    assert_eq!(table.find(&own, 30).as_deref(), Some(&b"key-order"[..]));
    table.forget(&own);
    table.forget(&path(3, 1));
    assert_eq!(table.find(&own, 30), None);
}

#[test]
fn texts_have_bounds() {
    let words = words(1);
    let (table, own) = (SearchRules(&words), path(0, 0));
    for length in [0, 1, 7, 8, 9, MAX_RULE - 1, MAX_RULE] {
        let text = vec![b'x'; length];
        table.learn(&own, &text, 1, 2);
        assert_eq!(table.find(&own, 1), Some(text));
    }
    table.learn(&own, &[b'x'; MAX_RULE + 1], 1, 2);
    assert_eq!(table.find(&own, 1), None);
}

#[test]
fn the_first_to_be_forgotten_gives_way() {
    let words = words(1);
    let table = SearchRules(&words);
    let slots = (ROW / SLOT) as u64;
    for name in 0..slots {
        table.learn(&path(name, 0), b"params", 0, 100 - name);
    }
    table.learn(&path(slots, 0), b"params", 1, 50);
    let known: Vec<_> = (0..=slots)
        .filter(|name| table.find(&path(*name, 0), 1).is_some())
        .collect();
    assert_eq!(known, [0, 1, 2, slots]);
    // one whose time is over does first
    table.learn(&path(slots + 1, 0), b"params", 98, 200);
    assert!(table.find(&path(slots + 1, 0), 98).is_some());
    assert!(table.find(&path(0, 0), 98).is_some());
    assert!(table.find(&path(1, 0), 98).is_some());
}

#[test]
fn without_a_table_nothing_is_known() {
    for words in [
        words(0),
        words(1)[..ROW - 1]
            .iter()
            .map(|_| AtomicU64::new(0))
            .collect(),
    ] {
        let table = SearchRules(&words);
        table.learn(&path(1, 1), b"params", 0, 9);
        assert_eq!(table.find(&path(1, 1), 0), None);
        table.forget(&path(1, 1));
    }
}

#[test]
fn what_was_not_written_whole_counts_as_nothing() {
    let words = words(1);
    let (table, own) = (SearchRules(&words), path(7, 0));
    table.learn(&own, b"params=abc", 0, 9);
    for word in &words {
        let before = word.load(Ordering::Relaxed);
        if before != 0 {
            word.store(before ^ 1, Ordering::Relaxed);
            assert_eq!(table.find(&own, 0), None);
            word.store(before, Ordering::Relaxed);
        }
    }
    assert!(table.find(&own, 0).is_some());
}

/// Whoever reads sees what one of them has written, or nothing.
#[test]
fn many_write_at_once() {
    let words = words(1);
    let table = SearchRules(&words);
    let texts: Vec<_> = (b'a'..b'e').map(|byte| vec![byte; 150]).collect();
    let texts = &texts;
    thread::scope(|scope| {
        for text in texts {
            scope.spawn(move || {
                for round in 0..2000 {
                    table.learn(&path(1, 0), text, round, round + 100_000);
                    if let Some(found) = table.find(&path(1, 0), round) {
                        assert!(texts.contains(&found), "{}", found.escape_ascii());
                    }
                }
            });
        }
    });
}

/// A response that is kept for a short time doesn't have the rule forgotten while those of the same path are still kept.
#[test]
fn a_rule_is_known_for_as_long_as_any_response_is_kept() {
    let words: Vec<AtomicU64> = (0..ROW).map(|_| AtomicU64::new(0)).collect();
    let (rules, path) = (SearchRules(&words), LockKey([1; 16]));
    rules.learn(&path, b"params", 0, 100);
    rules.learn(&path, b"params", 0, 50);
    assert_eq!(rules.find(&path, 99).as_deref(), Some(&b"params"[..]));
    rules.learn(&path, b"key-order", 0, 60);
    assert_eq!(rules.find(&path, 99).as_deref(), Some(&b"key-order"[..]));
    assert_eq!(rules.find(&path, 100), None);
    rules.learn(&path, b"params", 101, 150);
    assert_eq!(rules.find(&path, 149).as_deref(), Some(&b"params"[..]));
}
