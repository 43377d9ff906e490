//! What is read: the Lua script's records, broken ones, and those not to be shared.

use bytes::Bytes;
use cache_core::headers::{HeaderFault, MAX_HEADER_LINES};
use cache_core::ignore::Ignore;
use cache_core::outcome::Reason;
use cache_core::record::{Broken, RawRecord, decode_base};
use cache_core::rules::Rules;
use proptest::prelude::*;

use crate::{lines, raw, read};

/// What the Lua script wrote for a page of 26 bytes, byte for byte.
const LUA_HEADERS: &str = r#"{"Content-Type":"text\/plain","Content-Length":26}"#;

const LUA_BODY: &str = "abcdefghijklmnopqrstuvwxyz";

#[test]
fn a_record_of_the_lua_script() {
    let record = decode_base(&raw(219_500, LUA_HEADERS, LUA_BODY), &Rules::default())
        .unwrap()
        .unwrap();
    assert_eq!(record.status, 200);
    assert_eq!(
        lines(&record.headers),
        [
            (&b"Content-Type"[..], &b"text/plain"[..]),
            (b"Content-Length", b"26")
        ]
    );
    assert_eq!(record.body, LUA_BODY);
    assert_eq!((record.ttl_ms, record.age), (219_500, 0));
    assert_eq!(record.meta, None);
}

#[test]
#[rustfmt::skip]
fn shapes_of_headers() {
    type Lines<'a> = &'a [(&'a [u8], &'a [u8])];
    let cases: &[(&[u8], Lines<'_>)] = &[
        (b"{}", &[]),
        (b" { } ", &[]),
        (br#"{"A":"b"}"#, &[(b"A", b"b")]),
        (br#"{"Z":"1","A":"2"}"#, &[(b"Z", b"1"), (b"A", b"2")]),
        (br#"{"A":["1","2"],"B":"3"}"#, &[(b"A", b"1"), (b"A", b"2"), (b"B", b"3")]),
        (br#"{"A":[]}"#, &[]),
        (br#"{"A":["1",2]}"#, &[(b"A", b"1"), (b"A", b"2")]),
        (br#"{"A":"1","A":"2"}"#, &[(b"A", b"1"), (b"A", b"2")]),
        (br#"{"A":5}"#, &[(b"A", b"5")]),
        (br#"{"A":-5}"#, &[(b"A", b"-5")]),
        (br#"{"A":1.5}"#, &[(b"A", b"1.5")]),
        (br#"{"A":""}"#, &[(b"A", b"")]),
        (br#"{"A":"a\/b\\\"\t"}"#, &[(b"A", b"a/b\\\"\t")]),
        (br#"{"A":"\u00e9"}"#, &[(b"A", b"\xc3\xa9")]),
        (br#"{"A":"\ud83d\ude00"}"#, &[(b"A", "\u{1f600}".as_bytes())]),
        ("{\"A\":\"é\"}".as_bytes(), &[(b"A", b"\xc3\xa9")]),
        // Bytes that aren't UTF-8 pass as they are, beside numbers, escapes and UTF-8.
        (b"{\"A\":\"\xe9\",\"B\":5}", &[(b"A", b"\xe9"), (b"B", b"5")]),
        (b"{\"A\":[\"\xff\\/\xc3\xa9\\u00e9\xfe\"]}", &[(b"A", b"\xff/\xc3\xa9\xc3\xa9\xfe")]),
        // The characters that carry such bytes through the parser come back as themselves.
        (b"{\"A\":\"\xf4\x8f\xbe\x80\xff\"}", &[(b"A", b"\xf4\x8f\xbe\x80\xff")]),
        (b"{\"A\":\"\xf4\x8f\xbe\x80\"}", &[(b"A", b"\xf4\x8f\xbe\x80")]),
    ];
    for (json, wanted) in cases {
        let record = read(json.to_vec()).unwrap();
        assert_eq!(&lines(&record.headers), wanted, "{}", json.escape_ascii());
    }
}

#[test]
fn values_are_slices_of_the_reply() {
    let text = Bytes::from_static(br#"{"ETag":"\"x\"","A":"plain"}"#);
    let range = text.as_ptr_range();
    let record = read(text.clone()).unwrap();
    let value = record.headers.get("A").unwrap();
    assert!(range.contains(&value.as_ptr()));
    assert_eq!(record.headers.get("ETag"), Some(&b"\"x\""[..]));
}

#[test]
#[rustfmt::skip]
fn what_is_no_record() {
    let rules = Rules::default();
    let whole = raw(1000, "{}", "");
    for (what, raw) in [
        ("no key", RawRecord { pttl: -2, ..RawRecord::default() }),
        ("key made meanwhile", RawRecord { pttl: -2, ..whole.clone() }),
        ("no expiry", RawRecord { pttl: -1, ..whole.clone() }),
        ("expired meanwhile", RawRecord { pttl: 1, ..RawRecord::default() }),
    ] {
        assert_eq!(decode_base(&raw, &rules), Ok(None), "{what}");
    }
    for raw in [
        RawRecord { status: None, ..whole.clone() },
        RawRecord { headers: None, ..whole.clone() },
        RawRecord { body: None, ..whole.clone() },
    ] {
        assert_eq!(decode_base(&raw, &rules), Err(Broken::Field));
    }
}

#[test]
fn broken_statuses() {
    for status in [
        "", "20", "2000", "abc", "2 0", "-20", "100", "199", "600", "999", "٢٠٠",
    ] {
        let raw = RawRecord {
            status: Some(status.into()),
            ..raw(1000, "{}", "")
        };
        assert_eq!(
            decode_base(&raw, &Rules::default()),
            Err(Broken::Status),
            "{status:?}"
        );
    }
}

#[test]
#[rustfmt::skip]
fn broken_headers() {
    let cases: &[(&str, Broken)] = &[
        ("", Broken::Json),
        ("nonsense", Broken::Json),
        ("[]", Broken::Json),
        ("null", Broken::Json),
        ("\"A\"", Broken::Json),
        ("{\"A\":\"b\"", Broken::Json),
        ("{\"A\":\"b\"}}", Broken::Json),
        ("{\"A\":\"b\"} x", Broken::Json),
        ("{\"A\":null}", Broken::Json),
        ("{\"A\":true}", Broken::Json),
        ("{\"A\":{\"B\":\"c\"}}", Broken::Json),
        ("{\"A\":[[\"b\"]]}", Broken::Json),
        ("{\"A\":[null]}", Broken::Json),
        ("{1:\"b\"}", Broken::Json),
        ("{\"A\":\"\\ud800\"}", Broken::Json),
        ("{\"A\":\"a\nb\"}", Broken::Json),
        ("{\"A\":\"a\\r\\nSet-Cookie: b\"}", Broken::Header(HeaderFault::Value)),
        ("{\"A\":\"a\\u0000\"}", Broken::Header(HeaderFault::Value)),
        ("{\"A\":[\"ok\",\"a\\nb\"]}", Broken::Header(HeaderFault::Value)),
        ("{\"A: b\\r\\nC\":\"d\"}", Broken::Header(HeaderFault::Name)),
        ("{\"\":\"a\"}", Broken::Header(HeaderFault::Name)),
        ("{\"A B\":\"a\"}", Broken::Header(HeaderFault::Name)),
    ];
    for (json, wanted) in cases {
        assert_eq!(read(*json), Err(*wanted), "{json:?}");
    }
}

#[test]
fn depth_and_number_of_headers_are_bounded() {
    let deep = format!("{{\"A\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(deep), Err(Broken::Json));
    let many = |count: usize| format!("{{\"A\":[{}]}}", vec!["\"b\""; count].join(","));
    assert_eq!(
        read(many(MAX_HEADER_LINES)).unwrap().headers.len(),
        MAX_HEADER_LINES
    );
    assert_eq!(read(many(MAX_HEADER_LINES + 1)), Err(Broken::Json));
}

#[test]
#[rustfmt::skip]
fn length_of_the_body() {
    let of = |json: &'static str, body| decode_base(&raw(1000, json, body), &Rules::default()).map(|r| r.is_some());
    let cut = Err(Broken::Length);
    for (json, body, wanted) in [
        ("{}", "abc", Ok(true)),
        ("{\"Content-Length\":3}", "abc", Ok(true)),
        ("{\"Content-Length\":\"3\"}", "abc", Ok(true)),
        ("{\"content-length\":3}", "abc", Ok(true)),
        ("{\"Content-Length\":[3,3]}", "abc", Ok(true)),
        ("{\"Content-Length\":0}", "", Ok(true)),
        ("{\"Content-Length\":4}", "abc", cut),
        ("{\"Content-Length\":2}", "abc", cut),
        // The Lua script's record of a HEAD.
        ("{\"Content-Length\":26}", "", cut),
        ("{\"Content-Length\":[3,4]}", "abc", cut),
        ("{\"Content-Length\":\"\"}", "", cut),
        ("{\"Content-Length\":\"+3\"}", "abc", cut),
        ("{\"Content-Length\":\"3, 3\"}", "abc", cut),
        ("{\"Content-Length\":3.5}", "abc", cut),
        ("{\"Content-Length\":18446744073709551619}", "abc", cut),
    ] {
        assert_eq!(of(json, body), wanted, "{json} with {body:?}");
    }
}

#[test]
#[rustfmt::skip]
fn what_this_module_would_not_have_stored() {
    let refused = |json: &'static str, ignore: Ignore| {
        let rules = Rules { ignore, ..Rules::default() };
        decode_base(&raw(1000, json, ""), &rules).err()
    };
    for (json, reason, ignored_by) in [
        (r#"{"Set-Cookie":["a=1","b=2"]}"#, Reason::SetCookie, "Set-Cookie"),
        (r#"{"Cache-Control":"private"}"#, Reason::Private, "Cache-Control"),
        (r#"{"Cache-Control":["public","no-store"]}"#, Reason::NoStore, "Cache-Control"),
        (r#"{"Vary":"Cookie"}"#, Reason::Vary, "Vary"),
    ] {
        assert_eq!(refused(json, Ignore::NONE), Some(Broken::Refused(reason)), "{json}");
        let ignore = Ignore::named(ignored_by.as_bytes()).unwrap();
        assert_eq!(refused(json, ignore), None, "{json}, ignoring {ignored_by}");
    }
    for (status, reason) in [("206", Reason::PartialContent), ("304", Reason::NotModified)] {
        let raw = RawRecord { status: Some(status.into()), ..raw(1000, "{}", "") };
        assert_eq!(decode_base(&raw, &Rules::default()), Err(Broken::Refused(reason)), "{status}");
    }
    // Stored at once stale: no reason to refuse it.
    assert_eq!(refused(r#"{"Cache-Control":"max-age=0"}"#, Ignore::NONE), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read(status: Option<Vec<u8>>, headers: Option<Vec<u8>>, meta: Option<Vec<u8>>, pttl: i64) {
        let raw = RawRecord {
            pttl,
            status: status.map(Bytes::from),
            headers: headers.map(Bytes::from),
            body: Some(Bytes::new()),
            meta: meta.map(Bytes::from),
        };
        let _ = decode_base(&raw, &Rules::default());
    }

    #[test]
    fn any_json_is_read(json in "[{}\\[\\]\":,a-c0-2\\\\u.eé-]{0,60}", noise in prop::collection::vec(128..=255_u8, 0..3)) {
        let mut json = json.into_bytes();
        json.extend(noise);
        let _ = read(json);
    }
}
