//! RFC 9110 12.5.5: the list of field names.

use cache_core::vary::{Unmatchable, parse};
use proptest::prelude::*;

use crate::{names, vary};

#[test]
#[rustfmt::skip]
fn names_of_fields() {
    use Unmatchable::{Any, Name};
    let cases: &[(&str, &[&str], Result<&str, Unmatchable>)] = &[
        ("9110 12.5.5 no line: it doesn't vary", &[], Ok("")),
        ("9110 12.5.5 one field", &["Accept"], Ok("accept")),
        ("9110 12.5.5 several", &["Accept-Encoding, Cookie"], Ok("accept-encoding,cookie")),
        ("9110 5.1 names know no case", &["COOKIE, accept-ENCODING"], Ok("accept-encoding,cookie")),
        ("9110 5.3 several lines are one list", &["Cookie", "Accept"], Ok("accept,cookie")),
        ("9110 5.3 lines in any order", &["Accept", "Cookie"], Ok("accept,cookie")),
        ("9110 5.6.1 no blanks needed", &["a,b,c"], Ok("a,b,c")),
        ("9110 5.6.1 blanks and tabs", &[" a ,\tb\t, c "], Ok("a,b,c")),
        ("9110 5.6.1 empty members", &[",, a,,b ,"], Ok("a,b")),
        ("9110 5.6.1 nothing but empty members", &[" ,, "], Ok("")),
        ("9110 5.6.1 an empty line", &[""], Ok("")),
        ("9110 5.6.1 an empty line beside another", &["", "a", ""], Ok("a")),
        ("9110 5.6.2 all that a token may have", &["!#$%&'+-.^_`|~09az"], Ok("!#$%&'+-.^_`|~09az")),
        ("9110 5.6.2 a token with a star isn't the star", &["a*"], Ok("a*")),
        ("9110 5.6.2 two stars are a token", &["**"], Ok("**")),
        ("9111 4.1 the same field twice", &["a, b, A"], Ok("a,b")),
        ("9111 4.1 the same field in two lines", &["a", "A"], Ok("a")),
        ("9111 4.1 the star", &["*"], Err(Any)),
        ("9111 4.1 the star among others", &["Accept, *"], Err(Any)),
        ("9111 4.1 the star first", &["*, Accept"], Err(Any)),
        ("9111 4.1 the star in another line", &["Accept", "*"], Err(Any)),
        ("9111 4.1 the star among empty members", &[",*,"], Err(Any)),
        ("9111 4.1 the star with blanks", &[" * "], Err(Any)),
        ("9110 5.6.2 a blank within", &["Accept Encoding"], Err(Name)),
        ("9110 5.6.2 separated by something else", &["a;b"], Err(Name)),
        ("9110 5.6.2 quoted", &["\"a\""], Err(Name)),
        ("9110 5.6.2 a parameter", &["a=b"], Err(Name)),
        ("9110 5.6.2 not ASCII", &["caf\u{e9}"], Err(Name)),
        ("9110 5.6.2 one bad name spoils the list", &["a, b c"], Err(Name)),
    ];
    for (section, lines, wanted) in cases {
        let found = vary(lines);
        let found = found.as_ref().map(|names| std::str::from_utf8(names.as_bytes()).unwrap());
        assert_eq!(found, wanted.as_ref().map(|text| *text), "{section}: {lines:?}");
    }
}

#[test]
fn a_list_has_an_end() {
    let many = |count: usize| -> String {
        let names: Vec<String> = (0..count).map(|n| format!("x{n}")).collect();
        names.join(",")
    };
    assert!(vary(&[&many(64)]).is_ok());
    assert_eq!(vary(&[&many(65)]), Err(Unmatchable::TooMany));
    assert!(vary(&[&"x".repeat(1024)]).is_ok());
    assert_eq!(vary(&[&"x".repeat(1025)]), Err(Unmatchable::TooMany));
    assert!(vary(&[&"x,".repeat(10_000)]).is_ok(), "one field, often");
}

#[test]
fn names_are_given_one_by_one() {
    let names = names("b, a");
    assert_eq!(names.iter().collect::<Vec<_>>(), [&b"a"[..], b"b"]);
    assert_eq!(vary(&[]).unwrap().iter().count(), 0);
    assert!(vary(&[","]).unwrap().is_empty());
}

proptest! {
    #[test]
    fn reading_never_panics(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)) {
        let _ = parse(lines.iter().map(Vec::as_slice));
    }

    #[test]
    fn what_is_printed_reads_the_same(lines in prop::collection::vec("[ ,a-cA-C*\t]{0,12}", 0..4)) {
        if let Ok(names) = parse(lines.iter().map(String::as_bytes)) {
            let again = parse(std::iter::once(names.as_bytes()));
            prop_assert_eq!(again.as_ref(), Ok(&names));
        }
    }

    #[test]
    fn a_star_is_always_seen(before in "[a-c ,]{0,8}", after in "[a-c ,]{0,8}") {
        let line = format!("{before},*,{after}");
        prop_assert!(vary(&[&line]).is_err());
        prop_assert!(vary(&[&before, "*", &after]).is_err());
    }
}
