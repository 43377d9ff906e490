//! RESP: whatever arrives, in whatever pieces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::{Bytes, BytesMut};
use cache_core::resp::{Decoder, Limits, ProtocolError, Reply, array_header, bulk_header, command};
use proptest::prelude::*;

fn status(text: &'static str) -> Reply {
    Reply::Status(Bytes::from(text))
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(Some(Bytes::from(text)))
}

/// Everything that a decoder makes of bytes that come at once.
fn read_all(limits: Limits, bytes: &[u8]) -> Result<Vec<Reply>, ProtocolError> {
    let mut decoder = Decoder::new(limits);
    let mut buf = BytesMut::from(bytes);
    let mut replies = Vec::new();
    while let Some(reply) = decoder.decode(&mut buf)? {
        replies.push(reply);
    }
    Ok(replies)
}

fn read(text: &str) -> Result<Vec<Reply>, ProtocolError> {
    read_all(Limits::default(), text.as_bytes())
}

#[test]
#[rustfmt::skip]
fn replies() {
    let cases: &[(&str, &[Reply])] = &[
        ("", &[]),
        ("+OK\r\n", &[status("OK")]),
        ("+\r\n", &[status("")]),
        ("-ERR no\r\n", &[Reply::Error(Bytes::from("ERR no"))]),
        (":0\r\n", &[Reply::Integer(0)]),
        (":-2\r\n", &[Reply::Integer(-2)]),
        (":9223372036854775807\r\n", &[Reply::Integer(i64::MAX)]),
        ("$0\r\n\r\n", &[bulk("")]),
        ("$3\r\na\r\n\r\n", &[bulk("a\r\n")]),
        ("$-1\r\n", &[Reply::Bulk(None)]),
        ("*-1\r\n", &[Reply::Array(None)]),
        ("*0\r\n", &[Reply::Array(Some(vec![]))]),
        ("+a\r\n+b\r\n", &[status("a"), status("b")]),
        (
            "*3\r\n$1\r\na\r\n$-1\r\n*1\r\n:5\r\n:6\r\n",
            &[
                Reply::Array(Some(vec![bulk("a"), Reply::Bulk(None), Reply::Array(Some(vec![Reply::Integer(5)]))])),
                Reply::Integer(6),
            ],
        ),
        ("*2\r\n*0\r\n*-1\r\n", &[Reply::Array(Some(vec![Reply::Array(Some(vec![])), Reply::Array(None)]))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(read(text).as_deref(), Ok(*wanted), "{text:?}");
    }
}

#[test]
#[rustfmt::skip]
fn malformed_replies() {
    let cases: &[(&str, ProtocolError)] = &[
        ("HTTP/1.1 400\r\n", ProtocolError::Type(b'H')),
        ("\r\n", ProtocolError::Type(b'\r')),
        ("+OK\n", ProtocolError::LineEnd),
        ("+O\rK\r\n", ProtocolError::LineEnd),
        ("+\n", ProtocolError::LineEnd),
        (":\r\n", ProtocolError::Number),
        (":1 \r\n", ProtocolError::Number),
        (":1.5\r\n", ProtocolError::Number),
        (":abc\r\n", ProtocolError::Number),
        (":9223372036854775808\r\n", ProtocolError::Number),
        ("$\r\n", ProtocolError::Number),
        ("$-2\r\n", ProtocolError::Number),
        ("$x\r\n", ProtocolError::Number),
        ("$99999999999999999999\r\n", ProtocolError::Number),
        ("*-2\r\n", ProtocolError::Number),
        ("*x\r\n", ProtocolError::Number),
        ("$3\r\nabcd\r\n", ProtocolError::LineEnd),
        ("$3\r\nabc\n\n", ProtocolError::LineEnd),
        ("$9223372036854775807\r\n", ProtocolError::BulkTooLong),
        ("*9223372036854775807\r\n", ProtocolError::TooManyElements),
        ("*1\r\n?\r\n", ProtocolError::Type(b'?')),
    ];
    for (text, wanted) in cases {
        assert_eq!(read(text), Err(*wanted), "{text:?}");
    }
}

#[test]
#[rustfmt::skip]
fn limits() {
    let limits = Limits { bulk: 5, line: 8, elements: 4, depth: 2 };
    let count = |text: &str| read_all(limits, text.as_bytes()).map(|replies| replies.len());
    for (text, wanted) in [
        ("$5\r\nabcde\r\n", Ok(1)),
        ("$6\r\n", Err(ProtocolError::BulkTooLong)),
        ("+123456\r\n", Ok(1)),
        ("+12345678\r\n", Err(ProtocolError::LineTooLong)),
        ("+12345678901234567890", Err(ProtocolError::LineTooLong)),
        ("*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n", Ok(1)),
        ("*5\r\n", Err(ProtocolError::TooManyElements)),
        // All arrays of a reply together, but each reply anew.
        ("*2\r\n*2\r\n:1\r\n:1\r\n*1\r\n:1\r\n", Err(ProtocolError::TooManyElements)),
        ("*3\r\n:1\r\n:1\r\n:1\r\n*3\r\n:1\r\n:1\r\n:1\r\n", Ok(2)),
        ("*1\r\n*1\r\n:1\r\n", Ok(1)),
        ("*1\r\n*1\r\n*1\r\n:1\r\n", Err(ProtocolError::TooDeep)),
        ("*1\r\n*1\r\n*0\r\n", Err(ProtocolError::TooDeep)),
    ] {
        assert_eq!(count(text), wanted, "{text:?}");
    }
    let deep = Limits::default().depth;
    let nested = |depth: usize| "*1\r\n".repeat(depth) + ":1\r\n";
    assert!(read(&nested(deep)).is_ok());
    assert_eq!(read(&nested(deep + 1)), Err(ProtocolError::TooDeep));
}

/// A pipelined answer to what a lookup sends.
const LOOKUP: &str = "+OK\r\n:219500\r\n*4\r\n$3\r\n200\r\n$26\r\n{\"Content-Type\":\"text\\/a\"}\r\n\
                      $12\r\nbody\r\nof\r\n12\r\n$-1\r\n*2\r\n*1\r\n+QUEUED\r\n-EXECABORT x\r\n";

/// What becomes of bytes that come one at a time: their first reply, or why there is none.
fn first_of_single_bytes(limits: Limits, bytes: &[u8]) -> Result<Option<Reply>, ProtocolError> {
    let mut decoder = Decoder::new(limits);
    let mut buf = BytesMut::new();
    for byte in bytes {
        buf.extend_from_slice(&[*byte]);
        if let Some(reply) = decoder.decode(&mut buf)? {
            return Ok(Some(reply));
        }
    }
    Ok(None)
}

/// A line of a number is read in a way of its own if it is there at once. That makes no difference.
#[test]
fn lines_of_numbers() {
    let numbers = [
        "",
        "-",
        "+",
        "0",
        "-0",
        "+0",
        "-1",
        "-2",
        "+2",
        "--1",
        "1-",
        "1.5",
        "0x1",
        "007",
        "?",
        " 1",
        "1 ",
        "1\r",
        "\r1",
        "1\n",
        "/",
        ":",
        "1:",
        "12345",
        "999999999999999999",
        "-999999999999999999",
        "1000000000000000000",
        "0000000000000000000000000000002",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999",
    ];
    let short = Limits {
        bulk: 100,
        line: 6,
        elements: 50,
        depth: 1,
    };
    for kind in "+-:$*_#,(!=%~>|x".chars() {
        for number in numbers {
            for end in ["\r\n", "\n", "\r", ""] {
                for limits in [Limits::default(), Limits::LOOKUP, short] {
                    let line = format!("{kind}{number}{end}");
                    let at_once = Decoder::new(limits).decode(&mut BytesMut::from(&*line));
                    let singly = first_of_single_bytes(limits, line.as_bytes());
                    assert_eq!(at_once, singly, "{line:?} within {limits:?}");
                }
            }
        }
    }
}

#[test]
fn split_at_every_byte() {
    let whole = read(LOOKUP).unwrap();
    assert_eq!(whole.len(), 4);
    for first in 0..=LOOKUP.len() {
        for second in first..=LOOKUP.len() {
            let bounds = [0, first, second, LOOKUP.len()];
            assert_eq!(read_pieces(LOOKUP.as_bytes(), &bounds), whole, "{bounds:?}");
        }
    }
    let every: Vec<usize> = (0..=LOOKUP.len()).collect();
    assert_eq!(read_pieces(LOOKUP.as_bytes(), &every), whole);
}

/// Reads pieces between consecutive bounds, and checks that never more is said to be missing than is.
fn read_pieces(bytes: &[u8], bounds: &[usize]) -> Vec<Reply> {
    let mut decoder = Decoder::default();
    let mut buf = BytesMut::new();
    let mut replies = Vec::new();
    for pair in bounds.windows(2) {
        let [from, to] = *pair else { continue };
        buf.extend_from_slice(bytes.get(from..to).unwrap());
        while let Some(reply) = decoder.decode(&mut buf).unwrap() {
            assert_eq!(decoder.missing(), 0);
            replies.push(reply);
        }
        assert!(decoder.missing() <= bytes.len() - to, "{from}..{to}");
        assert_eq!(
            decoder.missing() > 0,
            decoder.is_midway(&buf),
            "{from}..{to}"
        );
    }
    assert!(!decoder.is_midway(&buf));
    replies
}

#[test]
fn a_large_bulk_is_neither_rescanned_nor_copied() {
    const SIZE: usize = 8 << 20;
    const PIECE: usize = 16 << 10;
    let mut decoder = Decoder::default();
    let mut buf = BytesMut::from(&format!("*2\r\n$2\r\nab\r\n${SIZE}\r\n")[..]);
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    assert_eq!(decoder.missing(), SIZE + 2);
    buf.reserve(decoder.missing() + 4);
    let start = buf.as_ptr();
    let piece = vec![b'x'; PIECE];
    for received in 1..=SIZE / PIECE {
        buf.extend_from_slice(&piece);
        assert_eq!(decoder.decode(&mut buf), Ok(None));
        assert_eq!(decoder.missing(), SIZE + 2 - received * PIECE);
    }
    buf.extend_from_slice(b"\r\n:1\r\n");
    let Ok(Some(Reply::Array(Some(parts)))) = decoder.decode(&mut buf) else {
        panic!("not an array");
    };
    let [_, Reply::Bulk(Some(body))] = parts.as_slice() else {
        panic!("not two bulks");
    };
    assert_eq!((body.len(), body.as_ptr()), (SIZE, start));
    assert_eq!(&buf[..], b":1\r\n", "what follows is left");
}

#[test]
fn commands() {
    let mut out = b"before".to_vec();
    command(&mut out, &[b"HMGET", b"a key", b"", b"\r\n\0"]);
    assert_eq!(
        out,
        b"before*4\r\n$5\r\nHMGET\r\n$5\r\na key\r\n$0\r\n\r\n$3\r\n\r\n\0\r\n"
    );
    // The same command with an argument from two pieces.
    let mut pieces = Vec::new();
    array_header(&mut pieces, 2);
    bulk_header(&mut pieces, 4);
    pieces.extend_from_slice(b"ECHO\r\n");
    bulk_header(&mut pieces, 4);
    pieces.extend_from_slice(b"ab");
    pieces.extend_from_slice(b"cd\r\n");
    let mut whole = Vec::new();
    command(&mut whole, &[b"ECHO", b"abcd"]);
    assert_eq!(pieces, whole);
}

fn write(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Status(text) => write_line(out, b'+', text),
        Reply::Error(text) => write_line(out, b'-', text),
        Reply::Integer(number) => write_line(out, b':', number.to_string().as_bytes()),
        Reply::Bulk(None) => write_line(out, b'$', b"-1"),
        Reply::Array(None) => write_line(out, b'*', b"-1"),
        Reply::Bulk(Some(bytes)) => {
            bulk_header(out, bytes.len());
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Array(Some(parts)) => {
            array_header(out, parts.len());
            parts.iter().for_each(|part| write(out, part));
        }
        Reply::Map(parts) => {
            write_line(out, b'%', (parts.len() / 2).to_string().as_bytes());
            parts.iter().for_each(|part| write(out, part));
        }
        Reply::Double(text) => write_line(out, b',', text),
        Reply::BigNumber(text) => write_line(out, b'(', text),
    }
}

fn write_line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let line = "[^\r\n]{0,12}".prop_map(Bytes::from);
    let leaf = prop_oneof![
        line.clone().prop_map(Reply::Status),
        line.prop_map(Reply::Error),
        any::<i64>().prop_map(Reply::Integer),
        any::<Option<Vec<u8>>>().prop_map(|bytes| Reply::Bulk(bytes.map(Bytes::from))),
        Just(Reply::Array(None)),
        any::<f64>().prop_map(|number| Reply::Double(Bytes::from(number.to_string()))),
        "[-+]?[0-9]{1,40}".prop_map(|text| Reply::BigNumber(Bytes::from(text))),
    ];
    leaf.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|parts| Reply::Array(Some(parts))),
            prop::collection::vec((inner.clone(), inner), 0..3).prop_map(|pairs| {
                Reply::Map(
                    pairs
                        .into_iter()
                        .flat_map(|(key, value)| [key, value])
                        .collect(),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn replies_come_back_in_any_pieces(
        replies in prop::collection::vec(any_reply(), 0..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut bytes = Vec::new();
        replies.iter().for_each(|reply| write(&mut bytes, reply));
        let mut bounds: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        bounds.extend([0, bytes.len()]);
        bounds.sort_unstable();
        prop_assert_eq!(read_pieces(&bytes, &bounds), replies);
    }

    #[test]
    fn garbage_is_an_error_or_incomplete(bytes: Vec<u8>, like in "([*$:+%~>|!=_#,(-][0-9tf?-]{0,3}\r\n|[a-z\r\n]{0,4}){0,12}") {
        let _ = read_all(Limits::default(), &bytes);
        let _ = read_all(Limits::default(), like.as_bytes());
    }

    #[test]
    fn pieces_change_no_verdict(like in "([*$:+%~>|!=_#,(-][0-9tf?-]{0,3}\r\n|[a-z\r\n]{0,4}){0,12}") {
        let at_once = read_all(Limits::default(), like.as_bytes());
        let mut decoder = Decoder::default();
        let mut buf = BytesMut::new();
        let mut replies = Vec::new();
        let mut verdict = Ok(());
        'pieces: for byte in like.bytes() {
            buf.extend_from_slice(&[byte]);
            loop {
                match decoder.decode(&mut buf) {
                    Ok(Some(reply)) => replies.push(reply),
                    Ok(None) => break,
                    Err(err) => {
                        verdict = Err(err);
                        break 'pieces;
                    }
                }
            }
        }
        prop_assert_eq!(verdict.map(|()| replies), at_once);
    }
}
