//! Age and freshness of a record by its expiry, and the field that says what it was given.

use bytes::Bytes;
use cache_core::freshness::{Freshness, Source};
use cache_core::policy::Plan;
use cache_core::record::{
    Meta, New, RawRecord, decode_base, encode, encode_meta, fingerprint, log_of, parse_meta,
};
use cache_core::rules::Rules;
use cache_core::targeted::By;
use proptest::prelude::*;

use crate::{headers, raw};

pub fn plan(age: u32, expiry: u32) -> Plan {
    Plan {
        age,
        fresh_for: expiry,
        expiry,
        freshness: Freshness {
            lifetime: expiry,
            initial_age: age,
            source: Source::Default,
        },
        kept: None,
        always_validate: false,
        by: By::CacheControl,
    }
}

/// A record as this module writes it: age 7 when stored, expiry 400 s.
fn own(pttl: i64, generation: &'static str) -> RawRecord {
    let fields = encode(
        200,
        &headers(&[("A", "b")]),
        3,
        &plan(7, 400),
        New::named(Bytes::from(generation)),
    );
    RawRecord {
        pttl,
        status: Some(Bytes::copy_from_slice(&fields.status)),
        headers: Some(fields.headers.into()),
        body: Some("abc".into()),
        meta: Some(fields.meta.into()),
    }
}

#[test]
fn age_of_a_record_of_the_lua_script() {
    // $cache_age 120 + $cache_stale 100 - TTL, interface 4.2.
    for (pttl, age) in [
        (220_000, 0),
        (219_001, 0),
        (219_000, 1),
        (100_000, 120),
        (0, 220),
        (900_000, 0),
    ] {
        let record = decode_base(&raw(pttl, "{}", ""), &Rules::default())
            .unwrap()
            .unwrap();
        assert_eq!(record.age, age, "{pttl}");
    }
}

#[test]
fn age_of_a_record_of_this_module() {
    for (pttl, age) in [
        (400_000, 7),
        (399_001, 7),
        (399_000, 8),
        (100_000, 307),
        (0, 407),
    ] {
        let record = decode_base(&own(pttl, "g1"), &Rules::default())
            .unwrap()
            .unwrap();
        assert_eq!(record.age, age, "{pttl}");
        assert_eq!(record.meta.as_ref().unwrap().generation, "g1");
    }
}

#[test]
#[rustfmt::skip]
fn what_the_lua_script_wrote_over_is_its_record() {
    let lua_age = 120;
    let rules = Rules::default();
    let age = |raw: RawRecord| decode_base(&raw, &rules).unwrap().unwrap().age;
    let own = own(100_000, "g1");
    assert_eq!(age(own.clone()), 307, "untouched");
    let over = |raw: RawRecord| {
        let record = decode_base(&raw.clone(), &rules).unwrap().unwrap();
        assert_eq!(record.meta, None);
        record.age
    };
    assert_eq!(over(RawRecord { status: Some("404".into()), ..own.clone() }), lua_age);
    assert_eq!(over(RawRecord { headers: Some(r#"{"A":"c"}"#.into()), ..own.clone() }), lua_age);
    assert_eq!(over(RawRecord { body: Some("abcd".into()), ..own.clone() }), lua_age);
    // More is left than was given: the expiry is somebody else's.
    assert_eq!(over(RawRecord { pttl: 400_001, ..own.clone() }), 0);
    for meta in ["", "2 age=7 expiry=400 gen=g1 sum=0", "1", "1 age=7", "junk \0", "1 age=x expiry=400 gen=g sum=0"] {
        assert_eq!(over(RawRecord { meta: Some(meta.into()), ..own.clone() }), lua_age, "{meta:?}");
    }
}

#[test]
fn freshness_is_by_what_is_left() {
    let left = |ttl_ms| {
        decode_base(&raw(ttl_ms, "{}", ""), &Rules::default())
            .unwrap()
            .unwrap()
    };
    for (ttl_ms, fresh) in [(100_001, true), (100_000, false), (0, false)] {
        assert_eq!(left(ttl_ms).is_fresh(100), fresh, "{ttl_ms}");
    }
    assert!(left(1).is_fresh(0));
    assert!(!left(0).is_fresh(0));
}

#[test]
fn meta_is_text_that_stays_the_same() {
    let meta = Meta {
        age: 7,
        expiry: 400,
        kept: None,
        generation: Bytes::from("a1-b2"),
        sum: 0x00ab_cdef_0123_4567,
        date: None,
        own_location: false,
        accel_expires: false,
        log: 0,
        tie: None,
        coded: None,
        slices: None,
        unsent: cache_core::record::Unsent::default(),
    };
    let text = "1 age=7 expiry=400 gen=a1-b2 sum=00abcdef01234567";
    assert_eq!(encode_meta(&meta), text.as_bytes());
    assert_eq!(parse_meta(&Bytes::from(text)), Some(meta.clone()));
    // Parts that a later release adds, and another order.
    let later = "1 gen=a1-b2 etag=x sum=00abcdef01234567 expiry=400 age=7 location=x";
    assert_eq!(parse_meta(&Bytes::from(later)), Some(meta.clone()));
    let own = Meta {
        date: None,
        own_location: true,
        ..meta.clone()
    };
    assert_eq!(encode_meta(&own), format!("{text} location=own").as_bytes());
    let longer = Meta {
        kept: Some(3600),
        ..meta.clone()
    };
    let with = format!("{text} kept=3600");
    assert_eq!(encode_meta(&longer), with.as_bytes());
    assert_eq!(parse_meta(&Bytes::from(with)), Some(longer));
    let logged = Meta {
        log: 1_887_436_800_000_000,
        ..meta.clone()
    };
    let with = format!("{text} log=1887436800000000");
    assert_eq!(encode_meta(&logged), with.as_bytes());
    assert_eq!(parse_meta(&Bytes::from(with.clone())), Some(logged));
    for (text, log) in [
        (with.as_str(), 1_887_436_800_000_000),
        (text, 0),
        ("1 log=x", 0),
        ("1 log=5 sum=1", 5),
    ] {
        assert_eq!(log_of(text.as_bytes()), log, "{text}");
    }
    let governed = Meta {
        accel_expires: true,
        ..meta.clone()
    };
    let with = format!("{text} by=x-accel-expires");
    assert_eq!(encode_meta(&governed), with.as_bytes());
    assert_eq!(parse_meta(&Bytes::from(with)), Some(governed));
    let unknown = format!("{text} by=moonlight");
    assert_eq!(parse_meta(&Bytes::from(unknown)), Some(meta.clone()));
    for bad in [
        "1 age=7 expiry=400 gen=g",
        "1 age=-7 expiry=400 gen=g sum=0",
        "1 age=+7 expiry=400 gen=g sum=0",
        "1 age=7 expiry=2147483648 gen=g sum=0",
        "1 age=7 expiry=400 gen=g sum=10abcdef012345678",
        "1 age=7 expiry=400 gen=g sum=0 kept=2147483648",
        "1 age=7 expiry=400 gen=g sum=0 kept=x",
        "1 age=7 expiry=400 gen=g sum=0 word",
        "10 age=7 expiry=400 gen=g sum=0",
    ] {
        assert_eq!(parse_meta(&Bytes::from(bad)), None, "{bad}");
    }
    let blank = Meta {
        generation: Bytes::from("a b\n"),
        ..meta
    };
    assert_eq!(encode_meta(&blank), text.replace("a1-b2", "ab").as_bytes());
}

#[test]
fn fingerprint_is_the_same_everywhere() {
    // FNV-1a, 64 bits, of "200\n{}\n" and eight bytes of length.
    assert_eq!(fingerprint(b"200", b"{}", 0), 0x209a_d41c_8df3_0748);
    assert_ne!(fingerprint(b"200", b"{}", 0), fingerprint(b"200", b"{}", 1));
}

proptest! {
    #[test]
    fn a_record_that_was_kept_is_the_one_that_is_read_later(pttl in 0..=400_000_i64, share in 0.0..=1.0_f64) {
        let wait = (pttl as f64 * share) as i64;
        let read = |pttl| decode_base(&own(pttl, "g1"), &Rules::default()).unwrap().unwrap();
        let kept = read(pttl).later(wait.unsigned_abs(), Bytes::from("abc"));
        prop_assert_eq!(kept, (*read(pttl - wait)).clone());
    }
}

proptest! {
    #[test]
    fn meta_comes_back(age in 0..=0x7fff_ffff_u32, expiry in 0..=0x7fff_ffff_u32, kept in proptest::option::of(0..=0x7fff_ffff_u32), generation in "[!-~]{0,40}", sum: u64, date in proptest::option::of(0..=253_402_300_799_u64), own_location: bool, accel_expires: bool, log in 0..1_u64 << 53) {
        let meta = Meta { age, expiry, kept, generation: Bytes::from(generation), sum, date, own_location, accel_expires, log, tie: None, coded: None, slices: None, unsent: cache_core::record::Unsent::default() };
        prop_assert_eq!(parse_meta(&Bytes::from(encode_meta(&meta))), Some(meta));
    }

    #[test]
    fn any_meta_is_read(text: Vec<u8>, tail in "1 (age|gen|sum|expiry)=.{0,8}") {
        let _ = parse_meta(&Bytes::from(text));
        let _ = parse_meta(&Bytes::from(tail));
    }
}
