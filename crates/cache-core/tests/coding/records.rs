//! Compressed records in Redis: what is written, and what is read of it by whom.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::coding::{Coded, ContentCoding, Form};
use cache_core::freshness::{Freshness, OriginDates, Source};
use cache_core::outcome::Reason;
use cache_core::policy::{Plan, RequestView};
use cache_core::record::{
    Broken, New, RawRecord, Record, Unsent, decode_base, encode, encode_meta, parse_meta,
};
use cache_core::renewal::{self, Confirmation, renew};
use cache_core::rules::Rules;
use cache_core::targeted::By;

use super::{BOTH, Lines, coded, headers};

fn body() -> String {
    "Hello, world. ".repeat(200)
}

fn plan() -> Plan {
    Plan {
        age: 0,
        fresh_for: 300,
        expiry: 400,
        freshness: Freshness {
            lifetime: 300,
            initial_age: 0,
            source: Source::Default,
        },
        kept: None,
        always_validate: false,
        by: By::CacheControl,
    }
}

/// A record as it is written, in gzip or plain.
fn written(is_coded: bool) -> RawRecord {
    written_in(is_coded.then_some(ContentCoding::Gzip))
}

/// A record as it is written, in a coding or plain.
fn written_in(coding: Option<ContentCoding>) -> RawRecord {
    let body = body();
    let length = body.len() as u64;
    let mut said = headers(&[("Content-Type", "text/html"), ("ETag", "\"a\"")]);
    said.push("Content-Length", length.to_string());
    let stored = match coding {
        Some(coding) => coded(coding, body.as_bytes()),
        None => Bytes::from(body),
    };
    let new = New {
        coded: coding.map(|coding| Coded::of(coding, &said, length)),
        ..New::named("g".into())
    };
    let fields = encode(200, &said, stored.len() as u64, &plan(), new);
    RawRecord {
        pttl: 1000,
        status: Some("200".into()),
        headers: Some(fields.headers.into()),
        body: Some(stored),
        meta: Some(fields.meta.into()),
    }
}

fn read(raw: &RawRecord) -> Result<Rc<Record>, Broken> {
    decode_base(raw, &Rules::default()).map(Option::unwrap)
}

fn text(field: Option<&Bytes>) -> String {
    String::from_utf8_lossy(field.unwrap()).into_owned()
}

#[test]
fn what_is_written_describes_what_is_stored() {
    for coding in BOTH {
        let raw = written_in(Some(coding));
        let length = raw.body.as_ref().unwrap().len();
        let name = coding.name();
        assert_eq!(
            text(raw.headers.as_ref()),
            format!(
                r#"{{"Content-Type":"text/html","ETag":"W/\"a\"","Content-Length":{length},"Vary":"Accept-Encoding","Content-Encoding":"{name}"}}"#
            )
        );
        let meta = text(raw.meta.as_ref());
        let end = format!(" coded={name}:2800:etag:vary");
        assert!(meta.ends_with(&end), "{meta}");
    }
}

#[test]
fn what_is_read_is_what_the_backend_said() {
    let plain = read(&written(false)).unwrap();
    assert!(plain.coded().is_none());
    for coding in BOTH {
        let coded = read(&written_in(Some(coding))).unwrap();
        assert_eq!(plain.headers, coded.headers);
        assert_eq!((plain.length(), coded.length()), (2800, 2800));
        assert_eq!(coded.coded().map(|coded| coded.coding), Some(coding));
        assert!(coded.body.len() < 200);
    }
}

/// The Lua script, which knows no `meta`, and an older version of this module, which skips the part that it doesn't know.
#[test]
fn who_knows_nothing_of_it_takes_it_for_what_varies() {
    for coding in BOTH {
        who_knows_nothing(&written_in(Some(coding)));
    }
}

fn who_knows_nothing(raw: &RawRecord) {
    let meta = text(raw.meta.as_ref());
    let (older, _) = meta.split_once(" coded=").unwrap();
    for meta in [None, Some(Bytes::from(String::from(older)))] {
        let read = read(&RawRecord {
            meta,
            ..raw.clone()
        });
        assert_eq!(read, Err(Broken::Refused(Reason::Vary)));
    }
}

/// A coding of a later version is none that this one can use.
#[test]
fn an_unknown_coding_is_no_record() {
    let raw = written(true);
    let meta = text(raw.meta.as_ref()).replace("gzip", "br");
    let read = read(&RawRecord {
        meta: Some(meta.into()),
        ..raw
    });
    assert_eq!(read, Err(Broken::Refused(Reason::Vary)));
}

#[test]
fn a_body_that_cannot_be_it_is_no_record() {
    for coding in BOTH {
        let raw = written_in(Some(coding));
        let length = raw.body.as_ref().unwrap().len();
        let other = RawRecord {
            body: Some(vec![b'x'; length].into()),
            ..raw
        };
        assert_eq!(read(&other), Err(Broken::Coding));
    }
}

/// The script leaves `meta` when it writes over the rest.
#[test]
fn a_record_of_the_script_written_over_it_is_plain() {
    let over = RawRecord {
        headers: Some(r#"{"Content-Type":"text\/html"}"#.into()),
        body: Some("abc".into()),
        ..written(true)
    };
    let record = read(&over).unwrap();
    assert_eq!((record.length(), record.coded()), (3, None));
}

#[test]
fn coded_comes_back() {
    let meta = "1 age=1 expiry=2 gen=g sum=0000000000000003";
    let cases = [
        (" coded=gzip:0", Some((0, false, false))),
        (" coded=zstd:0", Some((0, false, false))),
        (" coded=zstd:5:etag:vary", Some((5, true, true))),
        (" coded=zstd", None),
        (" coded=zstd:5:later", None),
        (" coded=gzip:5:etag", Some((5, true, false))),
        (" coded=gzip:5:vary", Some((5, false, true))),
        (
            " coded=gzip:123456789012345678:etag:vary",
            Some((123_456_789_012_345_678, true, true)),
        ),
        (" coded=gzip", None),
        (" coded=gzip:", None),
        (" coded=gzip:-1", None),
        (" coded=gzip:1234567890123456789", None),
        (" coded=gzip:5:later", None),
        (" coded=br:5", None),
    ];
    for (part, wanted) in cases {
        let text = format!("{meta}{part}");
        let read = parse_meta(&Bytes::from(text.clone()));
        let coded = read.as_ref().and_then(|meta| meta.coded.clone());
        assert_eq!(
            coded.map(|coded| (coded.length, coded.strong, coded.varies)),
            wanted,
            "{part}"
        );
        if let Some(meta) = read {
            assert_eq!(encode_meta(&meta), text.as_bytes());
        }
    }
}

#[test]
fn a_304_leaves_it_compressed() {
    for coding in BOTH {
        a_304_leaves(coding);
    }
}

fn a_304_leaves(coding: ContentCoding) {
    let rules = Rules::default();
    let raw = written_in(Some(coding));
    let record = read(&raw).unwrap();
    let confirmation = Confirmation {
        headers: &headers(&[("ETag", "\"a\""), ("X-New", "yes")]),
        dates: &OriginDates::default(),
        connection: &[],
        unsent: &Unsent::default(),
        delay: 0,
    };
    let renewed = renew(&record, &confirmation, &RequestView::default(), &rules, 0).unwrap();
    let meta = renewed.record.meta.as_deref().unwrap();
    let fields = renewal::encode(&renewed, meta, renewed.plan.as_ref().unwrap(), "g2".into());
    let again = RawRecord {
        headers: Some(fields.headers.into()),
        meta: Some(fields.meta.into()),
        ..raw
    };
    let again = read(&again).unwrap();
    assert_eq!(again.length(), 2800);
    assert_eq!(again.coded().map(|coded| coded.coding), Some(coding));
    let said = |name| again.headers.get(name).map(<[u8]>::to_vec);
    assert_eq!(said("ETag"), Some(b"\"a\"".to_vec()));
    assert_eq!(said("X-New"), Some(b"yes".to_vec()));
    assert_eq!(said("Content-Length"), Some(b"2800".to_vec()));
    assert_eq!((said("Vary"), said("Content-Encoding")), (None, None));
}

/// What the record was compressed by is told anew: a 304 may bring a tag, or a Vary.
#[test]
fn a_304_that_brings_other_lines() {
    const VARY: (&str, &str) = ("Vary", "Accept-Encoding");
    const TAG: (&str, &str) = ("ETag", "\"a\"");
    // (what the 304 says, whether the tag is strong, and Vary is added)
    let cases: [(Lines<'_>, bool, bool); 4] = [
        (&[], false, true),
        (&[TAG], true, true),
        (&[VARY], false, false),
        (&[TAG, VARY], true, false),
    ];
    for (lines, strong, varies) in cases {
        let said = headers(&[("Content-Type", "text/html"), ("Last-Modified", "x")]);
        let mut record = Rc::unwrap_or_clone(read(&written(true)).unwrap());
        record.headers = Rc::new(said.clone());
        let meta = Rc::make_mut(record.meta.as_mut().unwrap());
        meta.coded = Some(Coded::of(ContentCoding::Gzip, &said, 2800));
        let confirmation = Confirmation {
            headers: &headers(lines),
            dates: &OriginDates::default(),
            connection: &[],
            unsent: &Unsent::default(),
            delay: 0,
        };
        let request = RequestView::default();
        let renewed = renew(&record, &confirmation, &request, &Rules::default(), 0).unwrap();
        let wanted = Coded {
            coding: ContentCoding::Gzip,
            length: 2800,
            strong,
            varies,
        };
        assert_eq!(renewed.record.coded(), Some(&wanted), "{lines:?}");
        let sent = wanted.headers(&renewed.record.headers, Form::Coded, 70);
        assert_eq!(sent.get_all("Vary").count(), 1, "{lines:?}");
        let tag = sent.get("ETag").is_none_or(|tag| tag.starts_with(b"W/"));
        assert!(tag, "{lines:?}");
    }
}
