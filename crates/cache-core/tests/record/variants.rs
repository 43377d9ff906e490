//! Records that vary: which request gets which, and where they are looked for.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::record::{
    Base, Broken, Meta, New, RawRecord, ReadFrom, Record, Tie, decode, decode_base, encode,
    encode_meta, parse_meta,
};
use cache_core::rules::Rules;
use cache_core::vary::{Family, Names, VariantId, parse};
use proptest::prelude::*;

use crate::age::plan;
use crate::{headers, raw};

fn names(list: &'static str) -> Names {
    parse([list.as_bytes()].into_iter()).unwrap()
}

fn variant(list: &'static str, value: &'static str) -> VariantId {
    VariantId::of(&names(list), &headers(&[("A", value)]))
}

/// A record that varies on A, stored for the value `value`, with these lines of Vary.
fn stored(vary: &'static str, value: &'static str, family: &'static str, slot: usize) -> RawRecord {
    let lines = headers(&[("Vary", vary)]);
    let tie = Tie {
        family: Bytes::from(family),
        id: variant("a", value),
        slot,
    };
    let new = New {
        generation: Bytes::from("g"),
        date: None,
        own_location: false,
        log: 0,
        tie: Some(tie),
        coded: None,
        slices: None,
        unsent: cache_core::record::Unsent::default(),
    };
    let fields = encode(200, &lines, 1, &plan(0, 400), new);
    RawRecord {
        pttl: 400_000,
        status: Some(Bytes::copy_from_slice(&fields.status)),
        headers: Some(fields.headers.into()),
        body: Some(Bytes::from("x")),
        meta: Some(fields.meta.into()),
    }
}

fn two() -> Family {
    Family {
        token: Bytes::from("f"),
        on: names("a"),
        cursor: 0,
        ids: vec![variant("a", "1"), variant("a", "2")],
    }
}

/// What a request with this value of A reads there.
fn get(
    raw: RawRecord,
    place: ReadFrom<'_>,
    request: &Headers,
) -> Result<Option<Rc<Record>>, Broken> {
    let decoded = decode(&raw, &Rules::default())?;
    Ok(decoded
        .and_then(|decoded| decoded.for_request(place, &|on| Some(VariantId::of(on, request)))))
}

#[test]
#[rustfmt::skip]
fn a_record_is_for_the_requests_that_select_it() {
    let (one, two_) = (headers(&[("a", "1")]), headers(&[("A", "2")]));
    let none = Headers::new();
    let hit = |raw: RawRecord, place: ReadFrom<'_>, request: &Headers| get(raw, place, request).map(|found| found.is_some());
    let family = two();
    let (base, slot) = (|| stored("A", "1", "f", 0), || stored("A", "2", "f", 1));
    let at = |slot| ReadFrom::Slot(&family, slot);
    let cases = [
        ("9111 4.1 the same value", hit(base(), ReadFrom::Base, &one), Ok(true)),
        ("9111 4.1 another", hit(base(), ReadFrom::Base, &two_), Ok(false)),
        ("9111 4.1 none", hit(base(), ReadFrom::Base, &none), Ok(false)),
        ("9111 4.1 in a slot", hit(slot(), at(1), &two_), Ok(true)),
        ("9111 4.1 another in a slot", hit(slot(), at(1), &one), Ok(false)),
        ("another slot's record", hit(slot(), at(2), &two_), Ok(false)),
        ("a base in a slot", hit(base(), at(1), &one), Ok(false)),
        ("a slot's record as a base", hit(slot(), ReadFrom::Base, &two_), Ok(false)),
        ("a variant that doesn't say of what", hit(stored(" , ", "1", "f", 0), ReadFrom::Base, &one), Ok(false)),
        ("another family's record", hit(stored("A", "2", "g", 1), at(1), &two_), Ok(false)),
        ("another variant's record", hit(stored("A", "3", "f", 1), at(1), &headers(&[("A", "3")])), Ok(false)),
        ("9111 4.1 its own Vary counts", hit(stored("A, B", "1", "f", 0), ReadFrom::Base, &one), Ok(false)),
        ("9111 4.1 the star", hit(stored("A, *", "1", "f", 0), ReadFrom::Base, &one), Err(Broken::Refused(Reason::Vary))),
        ("a record without Vary in a slot", hit(raw(1000, "{}", ""), at(1), &one), Ok(false)),
        ("a record without Vary", hit(raw(1000, "{}", ""), ReadFrom::Base, &one), Ok(true)),
        ("a record of the Lua script", hit(raw(1000, r#"{"Vary":"A"}"#, ""), ReadFrom::Base, &one), Err(Broken::Refused(Reason::Vary))),
        ("one in a slot", hit(raw(1000, r#"{"Vary":"A"}"#, ""), at(1), &two_), Err(Broken::Refused(Reason::Vary))),
    ];
    for (what, found, wanted) in cases {
        assert_eq!(found, wanted, "{what}");
    }
}

#[test]
fn nobody_is_known_no_variant_is_for_them() {
    let base = || stored("A", "1", "f", 0);
    assert_eq!(decode_base(&base(), &Rules::default()), Ok(None));
    let rules = Rules {
        ignore: Ignore::named(b"Vary").unwrap(),
        ..Rules::default()
    };
    assert!(decode_base(&base(), &rules).unwrap().is_some(), "ignored");
    let slot = stored("A", "1", "f", 1);
    assert_eq!(decode_base(&slot, &rules), Ok(None), "but no slot's");
}

#[test]
fn what_the_lua_script_wrote_over_has_no_family() {
    let text = || Bytes::from(two().encode());
    let family = |raw: &RawRecord, variants: &Bytes| {
        let base = Base {
            pttl: raw.pttl,
            status: raw.status.clone(),
            headers: raw.headers.clone(),
            meta: raw.meta.clone(),
            variants: Some(variants.clone()),
            length: raw.body.as_ref().map_or(0, |body| body.len() as u64),
        };
        base.family()
    };
    let base = || stored("A", "1", "f", 0);
    assert_eq!(family(&base(), &text()), Some(two()));
    let over = |change: fn(&mut RawRecord)| {
        let mut raw = base();
        change(&mut raw);
        family(&raw, &text())
    };
    assert_eq!(over(|raw| raw.status = Some("404".into())), None);
    assert_eq!(over(|raw| raw.headers = Some("{}".into())), None);
    assert_eq!(over(|raw| raw.body = Some("xy".into())), None);
    assert_eq!(over(|raw| raw.body = None), None);
    assert_eq!(over(|raw| raw.meta = None), None);
    assert_eq!(
        over(|raw| raw.pttl = 400_001),
        None,
        "somebody else's expiry"
    );
    assert_eq!(over(|raw| raw.pttl = -1), None, "no expiry");
    assert_eq!(over(|raw| raw.pttl = -2), None, "no key");
    assert_eq!(
        family(&stored("A", "1", "g", 0), &text()),
        None,
        "another's"
    );
    assert_eq!(
        family(&stored("A", "2", "f", 0), &text()),
        None,
        "another base"
    );
    assert_eq!(family(&stored("A", "1", "f", 1), &text()), None, "no base");
    assert_eq!(family(&base(), &Bytes::from("junk")), None, "no text");
}

#[test]
fn meta_of_a_variant() {
    let tie = |slot| Tie {
        family: Bytes::from("f1"),
        id: VariantId([0xab; 16]),
        slot,
    };
    let meta = |tie| Meta {
        age: 7,
        expiry: 400,
        kept: None,
        generation: Bytes::from("g"),
        sum: 1,
        date: None,
        own_location: false,
        accel_expires: false,
        log: 0,
        tie,
        coded: None,
        slices: None,
        unsent: cache_core::record::Unsent::default(),
    };
    let text = "1 age=7 expiry=400 gen=g sum=0000000000000001";
    let id = "ab".repeat(16);
    for (tie, rest) in [
        (None, String::new()),
        (Some(tie(0)), format!(" fam=f1 id={id}")),
        (Some(tie(3)), format!(" fam=f1 id={id} slot=3")),
    ] {
        let (meta, text) = (meta(tie), format!("{text}{rest}"));
        assert_eq!(encode_meta(&meta), text.as_bytes());
        assert_eq!(parse_meta(&Bytes::from(text)), Some(meta));
    }
    for (rest, what) in [
        (String::from(" fam=f1"), "no id"),
        (format!(" id={id}"), "no family"),
        (String::from(" slot=1"), "neither"),
    ] {
        let found = parse_meta(&Bytes::from(format!("{text}{rest}")));
        assert_eq!(found, Some(meta(None)), "{what}");
    }
    for (rest, what) in [
        (String::from(" fam=f1 id=ab"), "half an id"),
        (format!(" fam=f1 id={id} slot=256"), "a slot beyond all"),
        (format!(" fam=f1 id={id} slot=-1"), "a negative slot"),
    ] {
        let found = parse_meta(&Bytes::from(format!("{text}{rest}")));
        assert_eq!(found, None, "{what}");
    }
}

proptest! {
    #[test]
    fn the_tie_comes_back(family in "[!-~]{1,20}", id: [u8; 16], slot in 0_usize..256) {
        let tie = Tie { family: Bytes::from(family), id: VariantId(id), slot };
        let meta = Meta { age: 1, expiry: 2, kept: None, generation: Bytes::from("g"), sum: 3, date: None, own_location: false, accel_expires: false, log: 7, tie: Some(tie), coded: None, slices: None, unsent: cache_core::record::Unsent::default() };
        prop_assert_eq!(parse_meta(&Bytes::from(encode_meta(&meta))), Some(meta));
    }

    #[test]
    fn any_tie_is_read(rest in "( (fam|id|slot)=[0-9a-f]{0,33}){0,4}") {
        let _ = parse_meta(&Bytes::from(format!("1 age=1 expiry=2 gen=g sum=3{rest}")));
    }
}
