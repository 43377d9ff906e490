//! What is written: headers as the Lua script reads them, without those of one transfer.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::record::{
    BODY_FIELD, HEADERS_FIELD, LABELS_FIELD, META_FIELD, STATUS_FIELD, VARIANTS_FIELD,
    encode_headers, strip_for_storage,
};
use proptest::prelude::*;

use crate::{headers, lines, read};

#[test]
#[rustfmt::skip]
fn fields_of_one_transfer_are_neither_stored_nor_served() {
    let all = headers(&[
        ("Content-Type", "text/html"),
        ("Connection", "close, X-Hop"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "close"),
        ("Proxy-Status", "cdn; hit"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Transfer-Encoding", "chunked"),
        ("Upgrade", "h2c"),
        ("x-hop", "dropped"),
        ("X-Hopper", "kept"),
        ("Date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("SERVER", "x"),
        ("Age", "5"),
        ("X-Accel-Expires", "5"),
        ("x-accel-redirect", "/internal"),
        ("X-Accel", "kept"),
        ("Link", "a"),
        ("Link", "b"),
    ]);
    let kept: &[(&[u8], &[u8])] = &[
        (b"Content-Type", b"text/html"),
        (b"Proxy-Status", b"cdn; hit"),
        (b"X-Hopper", b"kept"),
        (b"X-Accel", b"kept"),
        (b"Link", b"a"),
        (b"Link", b"b"),
    ];
    let mut passed_on = kept.to_vec();
    passed_on.splice(
        3..3,
        [
            (&b"SERVER"[..], &b"x"[..]),
            (b"X-Accel-Expires", b"5"),
            (b"x-accel-redirect", b"/internal"),
        ],
    );
    for connection in [&["close, X-Hop"][..], &["close", "X-HOP"]] {
        let connection: Vec<_> = connection.iter().map(|&value| Bytes::from(value)).collect();
        assert_eq!(lines(&strip_for_storage(&all, &connection)), passed_on, "RFC 9111 3.1");
    }
    let json = encode_headers(&all);
    assert_eq!(lines(&read(json).unwrap().headers), kept, "a record's own Connection counts, and nginx's fields are for nginx");
}

#[test]
fn vary_is_kept_whatever_is_said_of_it() {
    // RFC 9111 4.1 rests on it: without it a record would be for everybody.
    let all = headers(&[("Vary", "X-Hop"), ("X-Hop", "1")]);
    let left_out = [Bytes::from("vary, x-hop")];
    let kept = strip_for_storage(&all, &left_out);
    assert_eq!(lines(&kept), [(&b"Vary"[..], &b"X-Hop"[..])]);
}

#[test]
fn headers_as_the_lua_script_reads_them() {
    let mut all = headers(&[
        ("Content-Type", "text/plain"),
        ("Link", "a"),
        ("Content-Length", "26"),
        ("link", "b"),
        ("ETag", "\"x\\y\""),
        ("X-Number", "5"),
        ("X-Tab", "a\tb\u{7f}"),
    ]);
    all.push("X-Raw", &b"\xe9\xff"[..]);
    all.push("LINK", "c");
    let mut wanted =
        br#"{"Content-Type":"text/plain","Link":["a","b","c"],"Content-Length":26,"#.to_vec();
    wanted.extend(br#""ETag":"\"x\\y\"","X-Number":"5","X-Tab":"a\u0009b\u007f","X-Raw":""#);
    wanted.extend(b"\xe9\xff\"}");
    assert_eq!(
        encode_headers(&all).escape_ascii().to_string(),
        wanted.escape_ascii().to_string()
    );
    assert_eq!(encode_headers(&Headers::new()), b"{}");
    for odd in ["", "026", "+26", "2.6", "12345678901234567890", "26 "] {
        let json = encode_headers(&headers(&[("Content-Length", odd)]));
        assert_eq!(
            json,
            format!("{{\"Content-Length\":\"{odd}\"}}").as_bytes(),
            "no number Lua keeps"
        );
    }
}

/// A header value without CR, LF, NUL: any other bytes, UTF-8 or not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("safe", |b| !matches!(b, b'\r' | b'\n' | 0));
    prop_oneof![
        prop::collection::vec(byte, 0..20),
        "[ -~\u{80}-\u{10ffff}]{0,8}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn headers_come_back_as_they_went(lines in prop::collection::vec(("X-[A-Da-d]", value()), 0..20)) {
        let mut all = Headers::new();
        for (name, value) in lines {
            all.push(name, value);
        }
        let record = read(encode_headers(&all)).unwrap();
        // Lines of one name move together, in order; the first spelling of the name stands for all.
        prop_assert_eq!(record.headers.len(), all.len());
        for header in &all {
            let name = &header.name;
            prop_assert!(record.headers.get_all(name).eq(all.get_all(name)));
        }
        prop_assert_eq!(encode_headers(&record.headers), encode_headers(&all));
    }
}

#[test]
fn a_lookup_is_two_commands() {
    for key in [&b"k"[..], b"", &[0xff; 300]] {
        let (mut packed, mut wanted) = (b"x".to_vec(), b"x".to_vec());
        cache_core::record::pack_lookup(&mut packed, key);
        let resp = cache_core::resp::command;
        resp(&mut wanted, &[b"PTTL", key]);
        let fields = [
            STATUS_FIELD,
            HEADERS_FIELD,
            BODY_FIELD,
            META_FIELD,
            VARIANTS_FIELD,
            LABELS_FIELD,
        ]
        .map(str::as_bytes);
        let [a, b, c, d, e, f] = fields;
        resp(&mut wanted, &[b"HMGET", key, a, b, c, d, e, f]);
        assert_eq!(packed, wanted);
    }
}
