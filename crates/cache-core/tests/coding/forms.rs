//! The header of each form, and which form a client gets.

use cache_core::coding::{Accepted, Coded, ContentCoding, Form, with_vary};
use cache_core::conditions::{
    ByDate, Conditions, Date, Evaluation, Selected, evaluate, range_applies,
};
use proptest::prelude::*;

use super::{BOTH, Lines, headers};

const PLAIN: u64 = 5000;
const SMALL: u64 = 700;

#[test]
#[rustfmt::skip]
fn headers_of_both_forms() {
    const CODED: (&str, &str) = ("Content-Encoding", "");
    const VARY: (&str, &str) = ("Vary", "Accept-Encoding");
    // (what it is, of the backend, coded, identity)
    let cases: &[(&str, Lines<'_>, Lines<'_>, Lines<'_>)] = &[
        ("nothing", &[], &[VARY, CODED], &[VARY]),
        ("8.8.3.3 a strong tag is weakened, as by nginx's gzip", &[("ETag", "\"a\"")], &[("ETag", "W/\"a\""), VARY, CODED], &[("ETag", "\"a\""), VARY]),
        ("a weak one stays", &[("ETag", "W/\"a\"")], &[("ETag", "W/\"a\""), VARY, CODED], &[("ETag", "W/\"a\""), VARY]),
        ("8.8.3 no entity tag: not sent, as by nginx's gzip", &[("ETag", "a"), ("X-A", "b")], &[("X-A", "b"), VARY, CODED], &[("ETag", "a"), ("X-A", "b"), VARY]),
        ("8.8.3 half of one", &[("ETag", "\"a")], &[VARY, CODED], &[("ETag", "\"a"), VARY]),
        ("8.8.3 with a blank", &[("ETag", "\"a b\"")], &[VARY, CODED], &[("ETag", "\"a b\""), VARY]),
        ("8.8.3 none that is weak already stays", &[("ETag", "W/a")], &[("ETag", "W/a"), VARY, CODED], &[("ETag", "W/a"), VARY]),
        ("the length", &[("content-length", "5000"), ("X-A", "b")], &[("content-length", "700"), ("X-A", "b"), VARY, CODED], &[("content-length", "5000"), ("X-A", "b"), VARY]),
        ("what it varies on beside", &[("Vary", "Cookie")], &[("Vary", "Cookie"), VARY, CODED], &[("Vary", "Cookie"), VARY]),
        ("in two places", &[("Vary", "Cookie"), ("X-A", "b")], &[("Vary", "Cookie"), ("X-A", "b"), VARY, CODED], &[("Vary", "Cookie"), ("X-A", "b"), VARY]),
        ("it says so itself", &[("Vary", "cookie, ACCEPT-encoding")], &[("Vary", "cookie, ACCEPT-encoding"), CODED], &[("Vary", "cookie, ACCEPT-encoding")]),
        ("on everything", &[("Vary", "*")], &[("Vary", "*"), CODED], &[("Vary", "*")]),
        ("9530 a sum that a 304 has brought", &[("Repr-Digest", "x")], &[VARY, CODED], &[("Repr-Digest", "x"), VARY]),
    ];
    for ((what, said, as_coded, identity), coding) in cases.iter().flat_map(|case| BOTH.map(|coding| (case, coding))) {
        let said = headers(said);
        let coded = Coded::of(coding, &said, PLAIN);
        let sent = coded.headers(&said, Form::Coded, SMALL);
        let mut wanted = headers(&as_coded[..as_coded.len() - 1]);
        wanted.push(CODED.0, coding.name());
        assert_eq!(sent, wanted, "{what}");
        assert_eq!(coded.headers(&said, Form::Identity, PLAIN), headers(identity), "{what}");
        assert_eq!(with_vary(&said).get_all("Vary").last(), coded.headers(&said, Form::Identity, PLAIN).get_all("Vary").last(), "{what}");
        let whole = coded.headers(&said, Form::Identity, PLAIN);
        assert_eq!(coded.without_vary(whole), said, "{what}");
        if !said.contains("Repr-Digest") {
            let stored = coded.stored(&said, SMALL);
            assert_eq!(coded.restored(stored), Some(said), "{what}");
        }
    }
}

/// In the store all of the header is needed: the identity form has the tag.
#[test]
fn what_is_no_tag_is_stored_as_it_is() {
    for coding in BOTH {
        let said = headers(&[("ETag", "a1")]);
        let coded = Coded::of(coding, &said, PLAIN);
        assert!(!coded.strong);
        let stored = coded.stored(&said, SMALL);
        assert_eq!(stored.get("ETag"), Some(&b"a1"[..]));
        assert_eq!(coded.restored(stored), Some(said));
        // Earlier versions made it weak.
        let made_weak = Coded {
            strong: true,
            ..coded
        };
        let vary = ("Vary", "Accept-Encoding");
        let stored = headers(&[("ETag", "W/a1"), vary, ("Content-Encoding", coding.name())]);
        let restored = made_weak.restored(stored).unwrap();
        assert_eq!(restored.get("ETag"), Some(&b"a1"[..]));
        let sent = made_weak.headers(&restored, Form::Coded, SMALL);
        assert_eq!(sent.get("ETag"), None);
        // When a 304 has it written anew, it is none any more.
        assert!(!Coded::of(coding, &restored, PLAIN).strong);
    }
}

#[test]
fn a_header_that_is_not_as_recorded_is_none() {
    let coded = Coded {
        coding: ContentCoding::Gzip,
        length: PLAIN,
        strong: true,
        varies: true,
    };
    let vary = ("Vary", "Accept-Encoding");
    let coding = ("Content-Encoding", "gzip");
    let other = ("Content-Encoding", "zstd");
    let cases: [Lines<'_>; 6] = [
        &[("ETag", "W/\"a\""), vary, other],
        &[],
        &[coding],
        &[vary],
        &[("ETag", "\"a\""), vary, coding],
        &[coding, vary, coding],
    ];
    for lines in cases {
        assert_eq!(coded.restored(headers(lines)), None, "{lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn which_form() {
    const NO_TRANSFORM: Lines<'_> = &[("Cache-Control", "no-transform")];
    use ContentCoding::{Gzip, Zstd};
    // (what it is, the record's coding, the backend's header, Accept-Encoding, a range applies, coded)
    let cases: &[(&str, ContentCoding, Lines<'_>, &str, bool, bool)] = &[
        ("who takes gzip", Gzip, &[], "gzip", false, true),
        ("who doesn't", Gzip, &[], "br", false, false),
        ("a range is of the identity form", Gzip, &[], "gzip", true, false),
        ("unless that is refused: the whole, coded", Gzip, &[], "gzip, identity;q=0", true, true),
        ("nothing is acceptable", Gzip, &[], "identity;q=0", false, false),
        ("9111 5.2.2.6 a 304 has said so", Gzip, NO_TRANSFORM, "gzip", false, false),
        ("who takes zstd", Zstd, &[], "gzip, zstd", false, true),
        ("who takes gzip alone", Zstd, &[], "gzip", false, false),
        ("who takes zstd alone", Gzip, &[], "zstd", false, false),
        ("a range of it", Zstd, &[], "zstd", true, false),
        ("unless identity is refused", Zstd, &[], "zstd, identity;q=0", true, true),
        ("neither is acceptable", Zstd, &[], "gzip, identity;q=0", false, false),
        ("9111 5.2.2.6 a 304 has said so of it", Zstd, NO_TRANSFORM, "zstd", false, false),
    ];
    for (what, coding, lines, accepts, ranged, coded) in cases {
        let said = headers(lines);
        let accepted = Accepted::parse([accepts.as_bytes()].into_iter());
        let wanted = if *coded { Form::Coded } else { Form::Identity };
        assert_eq!(Form::of(&said, *coding, accepted, *ranged), wanted, "{what}");
    }
}

/// Conditions are evaluated by the backend's tag: so they compare with those that the two forms have.
#[test]
#[rustfmt::skip]
fn conditions_with_the_tags_of_both_forms() {
    use Evaluation::{NotModified, PreconditionFailed, Proceed};
    const STRONG: &[u8] = b"\"a\"";
    const WEAK: &[u8] = b"W/\"a\"";
    // (section, If-None-Match or If-Match, its tag, evaluation)
    let cases = [
        ("13.1.2 the tag of identity", true, STRONG, NotModified),
        ("13.1.2 the tag of gzip: weakly", true, WEAK, NotModified),
        ("13.1.2 another", true, &b"\"b\""[..], Proceed),
        ("13.1.1 the tag of identity", false, STRONG, Proceed),
        ("13.1.1 the tag of gzip: never strongly", false, WEAK, PreconditionFailed),
    ];
    let said = headers(&[("ETag", "\"a\"")]);
    let selected = Selected::new(200, &said, Date::exactly(0), true);
    for (section, none, tag, wanted) in cases {
        let mut conditions = Conditions::default();
        if none { &mut conditions.if_none_match } else { &mut conditions.if_match }.push(tag);
        assert_eq!(evaluate(b"GET", &conditions, &selected, ByDate::On), wanted, "{section}");
    }
    for (tag, applies) in [(STRONG, true), (WEAK, false)] {
        let conditions = Conditions { if_range: vec![tag], range: vec![b"bytes=0-1"], ..Conditions::default() };
        assert_eq!(range_applies(b"GET", &conditions, &selected), applies, "13.1.5");
    }
}

proptest! {
    #[test]
    fn what_was_said_comes_back(
        lines in proptest::collection::vec(("(ETag|Vary|X-A|Link|etag)", "(W/)?\"?[a-z*, -]{0,20}\"?"), 0..6),
    ) {
        let mut said = cache_core::headers::Headers::new();
        let mut has_tag = false;
        for (name, value) in lines {
            // One response has one tag.
            if name.eq_ignore_ascii_case("etag") && std::mem::replace(&mut has_tag, true) {
                continue;
            }
            said.push(name, value);
        }
        said.push("Content-Length", PLAIN.to_string());
        for coding in BOTH {
            let coded = Coded::of(coding, &said, PLAIN);
            let stored = coded.stored(&said, SMALL);
            prop_assert_eq!(coded.restored(stored), Some(said.clone()));
        }
    }
}
