//! The arguments of a request in one form: tables, and what holds for all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::borrow::Cow;
use std::collections::HashMap;

use cache_core::args::{ArgsForm, BadArgs};
use proptest::prelude::*;

fn form(options: &str) -> ArgsForm {
    let words: Vec<_> = options.split(' ').map(str::as_bytes).collect();
    ArgsForm::parse(&words).unwrap_or_else(|bad| panic!("{options}: {bad:?}"))
}

fn applied(options: &str, arguments: &str) -> String {
    let applied = form(options).apply(arguments.as_bytes()).into_owned();
    String::from_utf8_lossy(&applied).into_owned()
}

#[test]
#[rustfmt::skip]
fn forms() {
    // (options, arguments, their form)
    let cases = [
        ("off", "b=2&&a=1&%7e;", "b=2&&a=1&%7e;"),
        // by name, bytewise; equal names keep their order
        ("sort", "", ""),
        ("sort", "a=1", "a=1"),
        ("sort", "b=2&a=1", "a=1&b=2"),
        ("sort", "b=2&a=2&b=1&a=1", "a=2&a=1&b=2&b=1"),
        ("sort", "ab=1&a=2&a-b=3", "a=2&a-b=3&ab=1"),
        // a name without "=" is another argument than one with it, of one name
        ("sort", "b&a=&a&b=", "a=&a&b&b="),
        ("sort", "b&=1&=0", "=1&=0&b"),
        ("sort", "b=1=0&a==", "a==&b=1=0"),
        // those that are empty mean nothing
        ("sort", "&&b&&a&", "a&b"),
        ("sort", "&", ""),
        ("drop=x", "&&b&&a&", "&&b&&a&"),
        ("keep=b", "&&b&&a&", "b"),
        // names that some backend takes for one keep their order
        ("sort", "c&b=1&%62=2", "b=1&%62=2&c"),
        ("sort", "c&%62=2&b=1", "%62=2&b=1&c"),
        ("sort", "c&B=1&b=2&a", "a&B=1&b=2&c"),
        ("sort", "z&a.b=1&a_b=2&a+b=3&+a%20b=4", "a.b=1&a_b=2&a+b=3&+a%20b=4&z"),
        ("sort", "z&a[y]=1&a[x]=2&a=3&a%5b%5D=4", "a[y]=1&a[x]=2&a=3&a%5b%5D=4&z"),
        // of those it is in doubt how they are called
        ("sort", "b&a;c=1", "b&a;c=1"),
        ("sort", "b&%zz", "b&%zz"),
        ("sort", "b&a%2570", "b&a%2570"),
        ("sort", "b&a%", "b&a%"),
        ("sort", "b&a%00", "b&a%00"),
        ("sort", "b&a[x", "b&a[x"),
        ("sort", "b&[a]", "b&[a]"),
        ("sort", "b&+[a]", "b&+[a]"),
        ("sort", "b=%zz%&a=%2570[", "a=%2570[&b=%zz%"),
        ("sort drop=c", "b&c%zz&a&c=%", "b&c%zz&a"),
        // bytes that aren't ASCII
        ("sort", "\u{e9}=1&z=2&%C3%A9=3", "z=2&\u{e9}=1&%C3%A9=3"),
        // drop
        ("drop=b", "a=1&b=2&c=3", "a=1&c=3"),
        ("drop=b", "b", ""),
        ("drop=b", "b=1&b&%62=2&b=", ""),
        ("drop=b", "B=1&bb=2&b[]=3&b.=4&+b=5&a=b", "B=1&bb=2&b[]=3&b.=4&+b=5&a=b"),
        ("drop=utm_*", "utm_a=1&utm_&utm=2&%75tm_b&xutm_c", "utm=2&xutm_c"),
        ("drop=a,b drop=c", "a&b&c&d", "d"),
        ("drop=*", "a&b=1&=2", ""),
        ("drop=b+c", "b+c&b%2Bc&b%20c", "b+c&b%20c"),
        // an argument of any name may stand behind ";"
        ("drop=utm_*", "utm_a=1;page=2&utm_b", "utm_a=1;page=2"),
        ("drop=utm_*", "utm_a=1%3Bpage=2", ""),
        ("drop=@tracking", "utm_id=1&gclid=2&fbclid=3&msclkid&id=4&ref=5&mc_eid=6&_gl=1*x", "id=4&ref=5"),
        ("drop=page,@tracking", "page=1&utm_id=1&q", "q"),
        // keep
        ("keep=page", "a&page=2&b=1&page=3", "page=2&page=3"),
        ("keep=page", "a=1", ""),
        ("keep=p*,q", "q&page&a&p", "q&page&p"),
        ("keep=p* drop=page", "q&page&a&p", "p"),
        ("keep=a keep=b", "b&c&a", "b&a"),
        // what a backend may take for a name that is kept stays
        ("keep=page", "p%61ge=1&Page=2&page[]=3&+page=4&page%00=5&page;x&x;page=6&pagex=7", "p%61ge=1&Page=2&page[]=3&+page=4&page%00=5&page;x&x;page=6"),
        ("keep=page", "p%2561ge=1&%u0070age=2&page[=3&[page=4&%=5", "p%2561ge=1&%u0070age=2&page[=3&[page=4&%=5"),
        ("keep=a_b", "a.b=1&a+b=2&a[b=3&A.B&a-b", "a.b=1&a+b=2&a[b=3&A.B"),
        ("keep=q", "!q=1&_q=2&%21Q=3&.q=4&!q[]=5&_qq=6&__q=7&!=8&_=9&q", "!q=1&_q=2&%21Q=3&.q=4&!q[]=5&q"),
        ("keep=p*", "!page=1&_p=2&!q=3", "!page=1&_p=2"),
        ("drop=q", "!q=1&_q=2&q", "!q=1&_q=2"),
        ("keep=filter[x]", "filter[y]=1&filter&filte", "filter[y]=1&filter"),
        // escapes
        ("normalize", "a=%7E%7e%41%2d%5F%2e%30", "a=~~A-_.0"),
        ("normalize", "a=%2f%2F%3d%26%3b%25%2b%20+%c3%a9", "a=%2F%2F%3D%26%3B%25%2B%20+%C3%A9"),
        ("normalize", "b=1&a=2&&", "b=1&a=2&&"),
        ("normalize", "a=%&b=%7e", "a=%&b=~"),
        ("normalize", "%%34%31=%7e&%7e%zz", "%%34%31=%7e&%7e%zz"),
        ("normalize", "%2541", "%2541"),
        ("normalize", "\u{e9}", "\u{e9}"),
        ("sort normalize drop=a", "%63=%7e&b&%61", "b&c=~"),
    ];
    for (options, arguments, wanted) in cases {
        assert_eq!(applied(options, arguments), wanted, "{options}: {arguments}");
        assert_eq!(applied(options, wanted), wanted, "{options}: {wanted}, again");
    }
}

#[test]
fn bytes_that_are_not_utf_8() {
    let text = form("sort drop=x")
        .apply(b"\xff=1&x=\xfe&\x80&a=\xc3")
        .into_owned();
    assert_eq!(text, b"a=\xc3&\x80&\xff=1");
}

#[test]
fn what_has_the_form_is_borrowed() {
    for (options, arguments) in [
        ("sort drop=@tracking", "a=1&b=%7e&b"),
        ("sort normalize", "a&b"),
        ("keep=a", "a"),
    ] {
        let form = form(options);
        let text = form.apply(arguments.as_bytes());
        assert!(matches!(text, Cow::Borrowed(_)), "{options}: {arguments}");
    }
}

#[test]
fn targets() {
    let cases = [
        ("sort", "/a", "/a"),
        ("sort", "/b&a?b&a", "/b&a?a&b"),
        ("sort", "/a?", "/a"),
        ("sort", "/a?a", "/a?a"),
        ("drop=b", "/b?b", "/b"),
        ("sort", "/a?c?b&a#d&c", "/a?a&c?b"),
        ("sort", "/a#?b&a", "/a#?b&a"),
        ("off", "/a?#", "/a?#"),
        ("sort", "*", "*"),
        ("sort", "", ""),
    ];
    for (options, target, wanted) in cases {
        let text = form(options)
            .apply_to_target(target.as_bytes())
            .into_owned();
        assert_eq!(
            String::from_utf8_lossy(&text),
            wanted,
            "{options}: {target}"
        );
    }
}

#[test]
fn options() {
    let bad = |options: &str| {
        let words: Vec<_> = options.split(' ').map(str::as_bytes).collect();
        ArgsForm::parse(&words).unwrap_err()
    };
    for option in ["sorted", "SORT", "drop", "keep", "on", "", "x=a"] {
        assert_eq!(bad(option), BadArgs::Option(option.to_owned()));
    }
    assert_eq!(bad("sort off"), BadArgs::Option("off".to_owned()));
    for name in ["", "a*b", "**", "a=b", "a&b", "a;b", "%61", "a\tb", "a#"] {
        assert_eq!(bad(&format!("drop={name}")), BadArgs::Name(name.to_owned()));
        assert_eq!(
            bad(&format!("keep=a,{name}")),
            BadArgs::Name(name.to_owned())
        );
    }
    for list in ["@", "@other", "@tracking*"] {
        assert_eq!(bad(&format!("drop={list}")), BadArgs::List(list.to_owned()));
    }
    assert!(!form("off").is_on());
    assert_eq!(form("off"), ArgsForm::default());
    for options in [
        "sort",
        "normalize",
        "drop=a",
        "keep=a",
        "sort sort",
        "drop=a drop=b",
    ] {
        assert!(form(options).is_on(), "{options}");
    }
}

#[test]
fn long_queries() {
    let many: Vec<String> = (0..200_000).rev().map(|n| format!("{n:06}=%7e")).collect();
    let text = applied("sort normalize drop=@tracking", &many.join("&"));
    assert!(text.starts_with("000000=~&000001=~&"), "sorted");
    assert_eq!(text.len(), 200_000 * 9 - 1);
    // one name, and long names that differ at their end
    let one = "a&".repeat(200_000);
    assert_eq!(applied("sort", &one).len(), one.len() - 1);
    let start = "x".repeat(10_000);
    let long: Vec<String> = (0..100).rev().map(|n| format!("{start}{n:02}")).collect();
    assert!(applied("sort", &long.join("&")).starts_with(&format!("{start}00&{start}01")));
}

/// Arguments whose names aren't in doubt, with a value that tells them apart.
fn arguments() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[a-cA-C._]{1,2}(\\[[ab]?\\])?";
    let value = "(=([a-z~-]|%[0-9a-fA-F]{2}){0,4})?";
    proptest::collection::vec((name, value), 0..12)
}

fn joined(arguments: &[(String, String)]) -> String {
    let all: Vec<_> = arguments
        .iter()
        .map(|(name, value)| format!("{name}{value}"))
        .collect();
    all.join("&")
}

/// As a backend reads it.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            found.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            found.push(byte);
        }
    }
    found
}

/// What a backend that compares names as they are sees: the values of each, in their order.
fn seen(text: &str) -> HashMap<String, Vec<Vec<u8>>> {
    let mut seen: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    for argument in text.split('&').filter(|it| !it.is_empty()) {
        let name = argument.split('=').next().unwrap();
        seen.entry(name.to_lowercase().replace('.', "_"))
            .or_default()
            .push(decoded(argument));
    }
    seen
}

proptest! {
    #[test]
    fn sorting_is_a_permutation_that_no_backend_sees(arguments in arguments()) {
        let text = joined(&arguments);
        let sorted = applied("sort", &text);
        prop_assert_eq!(seen(&sorted), seen(&text));
        let mut before: Vec<_> = text.split('&').collect();
        let mut after: Vec<_> = sorted.split('&').collect();
        before.sort_unstable();
        after.sort_unstable();
        prop_assert_eq!(before, after);
        prop_assert_eq!(applied("sort", &sorted), sorted.clone());
    }

    #[test]
    fn arguments_of_other_names_may_come_in_any_order(arguments in arguments(), seed: u64) {
        // One of each name, as the loosest backend compares them.
        let mut known = std::collections::HashSet::new();
        let mut arguments: Vec<_> = arguments
            .into_iter()
            .filter(|(name, _)| {
                let base = name.split('[').next().unwrap();
                known.insert(base.to_lowercase().replace('.', "_"))
            })
            .collect();
        let wanted = applied("sort", &joined(&arguments));
        let mut seed = seed;
        for place in (1..arguments.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = usize::try_from(seed >> 33).unwrap() % (place + 1);
            arguments.swap(place, other);
        }
        prop_assert_eq!(applied("sort", &joined(&arguments)), wanted);
    }

    #[test]
    fn dropping_touches_no_others(arguments in arguments()) {
        let text = joined(&arguments);
        let others: Vec<_> = arguments
            .iter()
            .filter(|(name, _)| name != "a" && !name.starts_with('b'))
            .cloned()
            .collect();
        prop_assert_eq!(applied("drop=a,b*", &text), joined(&others));
    }

    #[test]
    fn normalising_changes_no_byte_that_is_meant(arguments in arguments()) {
        let text = joined(&arguments);
        let normal = applied("normalize", &text);
        prop_assert_eq!(decoded(&normal), decoded(&text));
        prop_assert_eq!(applied("normalize", &normal), normal.clone());
        prop_assert_eq!(normal.split('&').count(), text.split('&').count());
    }

    #[test]
    fn whatever_the_bytes(arguments in proptest::collection::vec(any::<u8>(), 0..300)) {
        for options in ["sort", "normalize", "drop=a,b*", "keep=a,b*", "sort normalize keep=a* drop=@tracking"] {
            let form = form(options);
            let once = form.apply(&arguments).into_owned();
            prop_assert_eq!(form.apply(&once).into_owned(), once);
        }
    }
}
