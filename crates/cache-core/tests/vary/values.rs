//! RFC 9111 4.1: which requests match.

use cache_core::headers::Headers;
use cache_core::vary::{VariantId, normalise};
use proptest::prelude::*;

use crate::{id, names};

type Lines = &'static [(&'static str, &'static str)];

#[test]
#[rustfmt::skip]
fn requests_that_are_the_same_to_a_response() {
    let same: &[(&str, &str, Lines, Lines)] = &[
        ("9111 4.1 the same value", "foo", &[("Foo", "1")], &[("Foo", "1")]),
        ("9111 4.1 absent from both", "foo", &[], &[]),
        ("9111 4.1 empty in both", "foo", &[("Foo", "")], &[("Foo", "")]),
        ("9111 4.1 other fields don't count", "foo", &[("Foo", "1"), ("Bar", "1")], &[("Foo", "1"), ("Baz", "2")]),
        ("9110 5.1 names know no case", "foo", &[("FOO", "1")], &[("foo", "1")]),
        ("9110 5.1 nor those in Vary", "FoO", &[("fOO", "1")], &[("foo", "1")]),
        ("9111 4.1 white space around members", "foo", &[("Foo", "1, 2")], &[("Foo", "1,2")]),
        ("9111 4.1 blanks and tabs", "foo", &[("Foo", " 1\t, 2 ")], &[("Foo", "1,2")]),
        ("9111 4.1 lines combined", "foo", &[("Foo", "1"), ("Foo", "2")], &[("Foo", "1, 2")]),
        ("9111 4.1 lines with others between", "foo", &[("Foo", "1"), ("Bar", "x"), ("foo", "2")], &[("Foo", "1,2")]),
        ("9111 4.1 fields in another order", "foo, bar", &[("Foo", "1"), ("Bar", "2")], &[("Bar", "2"), ("Foo", "1")]),
        ("9110 12.5.3 codings know no case", "accept-encoding", &[("Accept-Encoding", "GZIP")], &[("Accept-Encoding", "gzip")]),
        ("9110 12.5.3 nor an order", "accept-encoding", &[("Accept-Encoding", "gzip, br")], &[("Accept-Encoding", "br,gzip")]),
        ("9110 12.5.3 with weights", "accept-encoding", &[("Accept-Encoding", "gzip;q=0.5, br;q=1.0")], &[("Accept-Encoding", "br, gzip;q=0.500")]),
        ("9110 12.4.2 a weight of 1 is none", "accept-encoding", &[("Accept-Encoding", "gzip;q=1")], &[("Accept-Encoding", "gzip")]),
        ("9110 12.4.2 white space at weights", "accept-encoding", &[("Accept-Encoding", "gzip ; q=0.5")], &[("Accept-Encoding", "gzip;q=0.5")]),
        ("9110 12.4.2 q knows no case", "accept-encoding", &[("Accept-Encoding", "gzip;Q=0.5")], &[("Accept-Encoding", "gzip;q=0.5")]),
        ("9110 12.5.3 the same coding twice", "accept-encoding", &[("Accept-Encoding", "gzip, gzip")], &[("Accept-Encoding", "gzip")]),
        ("9110 5.6.1 empty members", "accept-encoding", &[("Accept-Encoding", ",gzip,,br")], &[("Accept-Encoding", "br, gzip")]),
        ("9111 4.1 codings in lines", "accept-encoding", &[("Accept-Encoding", "gzip"), ("Accept-Encoding", "br")], &[("Accept-Encoding", "br, gzip")]),
        ("9110 12.5.4 ranges know no case", "accept-language", &[("Accept-Language", "EN-us, DE")], &[("Accept-Language", "en-US,de")]),
        ("9110 12.4.2 weights of ranges", "accept-language", &[("Accept-Language", "en, de;q=0.80")], &[("Accept-Language", "en;q=1.000, de;q=0.8")]),
        ("4647 2.3 the order of weights", "accept-language", &[("Accept-Language", "de;q=0.8, fr, *;q=0.1, en")], &[("Accept-Language", "fr, en, de;q=0.8, *;q=0.1")]),
        ("9110 12.4.2 no weight at all", "accept-language", &[("Accept-Language", "en;q=0.0")], &[("Accept-Language", "en; q=0")]),
    ];
    for (section, list, one, other) in same {
        assert_eq!(id(list, one), id(list, other), "{section}: {one:?} {other:?}");
    }
}

#[test]
#[rustfmt::skip]
fn requests_that_are_not() {
    let different: &[(&str, &str, Lines, Lines)] = &[
        ("9111 4.1 another value", "foo", &[("Foo", "1")], &[("Foo", "2")]),
        ("9111 4.1 absent isn't empty", "foo", &[], &[("Foo", "")]),
        ("9111 4.1 absent isn't anything", "foo", &[], &[("Foo", "1")]),
        ("9111 4.1 one of two fields", "foo, bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "1")]),
        ("9111 4.1 values of two fields exchanged", "foo, bar", &[("Foo", "1"), ("Bar", "2")], &[("Foo", "2"), ("Bar", "1")]),
        ("9111 4.1 the value in another field", "foo, bar", &[("Foo", "1")], &[("Bar", "1")]),
        ("9111 4.1 a field that isn't known keeps its case", "foo", &[("Foo", "A")], &[("Foo", "a")]),
        ("9111 4.1 and its order", "foo", &[("Foo", "1, 2")], &[("Foo", "2, 1")]),
        ("9111 4.1 lines in another order", "foo", &[("Foo", "1"), ("Foo", "2")], &[("Foo", "2"), ("Foo", "1")]),
        ("9111 4.1 white space within a member", "foo", &[("Foo", "1 2")], &[("Foo", "12")]),
        ("9110 5.6.4 a comma in quotes", "foo", &[("Foo", "\"a, b\"")], &[("Foo", "\"a,b\"")]),
        ("9110 5.6.4 behind an escaped quote", "foo", &[("Foo", "\"\\\", b\"")], &[("Foo", "\"\\\",b\"")]),
        ("9110 5.6.5 a comma in a comment", "user-agent", &[("User-Agent", "A (x, y)")], &[("User-Agent", "A (x,y)")]),
        ("9110 5.6.5 in a comment in a comment", "user-agent", &[("User-Agent", "A (x (a), y)")], &[("User-Agent", "A (x (a),y)")]),
        ("9110 5.6.4 quotes that aren't closed", "foo", &[("Foo", "\"a, b")], &[("Foo", "\"a,b")]),
        ("9111 4.1 repeated members of a field that isn't known", "foo", &[("Foo", "1, 1")], &[("Foo", "1")]),
        ("9110 5.6.1 empty members of a field that isn't known", "foo", &[("Foo", "1,,2")], &[("Foo", "1,2")]),
        ("9110 12.5.3 another coding", "accept-encoding", &[("Accept-Encoding", "gzip")], &[("Accept-Encoding", "br")]),
        ("9110 12.5.3 one coding more", "accept-encoding", &[("Accept-Encoding", "gzip")], &[("Accept-Encoding", "gzip, br")]),
        ("9110 12.5.3 a coding refused", "accept-encoding", &[("Accept-Encoding", "gzip;q=0")], &[("Accept-Encoding", "gzip")]),
        ("9110 12.5.3 a coding refused isn't one not named", "accept-encoding", &[("Accept-Encoding", "br, gzip;q=0")], &[("Accept-Encoding", "br")]),
        ("9110 12.5.3 no field isn't an empty one", "accept-encoding", &[], &[("Accept-Encoding", "")]),
        ("9110 12.5.3 identity is a coding", "accept-encoding", &[("Accept-Encoding", "identity")], &[("Accept-Encoding", "")]),
        ("9110 12.5.3 one coding with two weights", "accept-encoding", &[("Accept-Encoding", "gzip, gzip;q=0")], &[("Accept-Encoding", "gzip;q=0, gzip")]),
        ("9110 12.4.2 weights differ", "accept-encoding", &[("Accept-Encoding", "gzip;q=0.5")], &[("Accept-Encoding", "gzip;q=0.05")]),
        ("9110 12.4.2 no weight of more than 1", "accept-encoding", &[("Accept-Encoding", "gzip;q=1.001")], &[("Accept-Encoding", "gzip")]),
        ("9110 12.4.2 no weight of four digits", "accept-encoding", &[("Accept-Encoding", "gzip;q=0.5000")], &[("Accept-Encoding", "gzip;q=0.5")]),
        ("9110 12.4.2 a parameter that is no weight", "accept-encoding", &[("Accept-Encoding", "gzip;level=9")], &[("Accept-Encoding", "gzip")]),
        ("9110 12.5.4 the order of languages", "accept-language", &[("Accept-Language", "en, de")], &[("Accept-Language", "de, en")]),
        ("9110 12.5.4 the order of languages of one weight", "accept-language", &[("Accept-Language", "fr, en;q=0.5, de;q=0.5")], &[("Accept-Language", "fr, de;q=0.5, en;q=0.5")]),
        ("9110 12.5.4 one language with two weights", "accept-language", &[("Accept-Language", "en;q=0.5, en")], &[("Accept-Language", "en, en;q=0.5")]),
        ("9110 12.5.4 a language and its region", "accept-language", &[("Accept-Language", "en")], &[("Accept-Language", "en-US")]),
        ("9110 12.5.4 weights of languages", "accept-language", &[("Accept-Language", "en;q=0.1")], &[("Accept-Language", "en")]),
        ("4647 2.1 no such range", "accept-language", &[("Accept-Language", "EN us")], &[("Accept-Language", "en us")]),
        ("9110 12.5.1 Accept keeps its order", "accept", &[("Accept", "text/html, text/plain")], &[("Accept", "text/plain, text/html")]),
        ("6265 4.2 cookies know case", "cookie", &[("Cookie", "a=B")], &[("Cookie", "a=b")]),
    ];
    for (section, list, one, other) in different {
        assert_ne!(id(list, one), id(list, other), "{section}: {one:?} {other:?}");
    }
}

#[test]
fn the_names_are_part_of_the_id() {
    assert_ne!(id("foo", &[]), id("bar", &[]));
    assert_ne!(id("foo", &[]), id("foo, bar", &[]));
    assert_eq!(id("foo, bar", &[]), id("Bar, FOO, foo", &[]));
}

#[test]
fn ids_in_hexadecimal() {
    let one = id("foo", &[("Foo", "1")]);
    assert_eq!(VariantId::from_hex(&one.to_hex()), Some(one));
    let digits = "0123456789abcdef0123456789abcdef";
    let read = VariantId::from_hex(digits.as_bytes()).unwrap();
    assert_eq!(&read.to_hex(), digits.as_bytes());
    for bad in [
        "",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789abcdef",
        "g123456789abcdef0123456789abcdef",
        "0123456789abcdef0123456789abcdef01",
    ] {
        assert_eq!(VariantId::from_hex(bad.as_bytes()), None, "{bad:?}");
    }
}

const FIELDS: [&str; 4] = ["accept-encoding", "accept-language", "foo", "user-agent"];

proptest! {
    #[test]
    fn normalising_never_panics_and_is_done_once(
        field in prop::sample::select(FIELDS.to_vec()),
        value in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let once = normalise(field.as_bytes(), &value);
        prop_assert_eq!(normalise(field.as_bytes(), &once), once);
    }

    #[test]
    fn the_same_for_what_looks_like_a_list(
        field in prop::sample::select(FIELDS.to_vec()),
        value in "[gGbr*,; \t=q01.5\"()\\\\-]{0,30}",
    ) {
        let once = normalise(field.as_bytes(), value.as_bytes());
        prop_assert_eq!(normalise(field.as_bytes(), &once), once);
    }

    #[test]
    fn how_codings_are_spread_over_lines_does_not_matter(
        codings in prop::collection::vec("[a-c]{1,2}(;q=0\\.[0-9]{1,3})?", 1..6),
        cut in 0_usize..6,
    ) {
        let cut = cut.min(codings.len());
        let (first, second) = codings.split_at(cut);
        let names = names("accept-encoding");
        let mut one = Headers::new();
        one.push("Accept-Encoding", codings.join(", "));
        let mut two = Headers::new();
        for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
            two.push("accept-encoding", part.join(" ,"));
        }
        prop_assert_eq!(VariantId::of(&names, &one), VariantId::of(&names, &two));
    }
}
