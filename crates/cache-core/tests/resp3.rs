//! RESP3: its types, pushes between replies, attributes, and limits that change from reply to reply.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use bytes::{Bytes, BytesMut};
use cache_core::resp::{Decoder, Limits, ProtocolError, Push, Received, Reply};

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(Some(Bytes::from(text)))
}

fn reply(reply: Reply) -> Received {
    Received::Reply(reply)
}

fn push(parts: Vec<Reply>) -> Received {
    Received::Push(Push(parts))
}

fn number(text: &'static str) -> Received {
    reply(Reply::Double(Bytes::from(text)))
}

fn big(text: &'static str) -> Received {
    reply(Reply::BigNumber(Bytes::from(text)))
}

fn error(text: &'static str) -> Received {
    reply(Reply::Error(Bytes::from(text)))
}

/// What a decoder makes of bytes that come one by one, and whether it waits for more at their end.
fn read_with(mut decoder: Decoder, text: &str) -> Result<(Vec<Received>, bool), ProtocolError> {
    let mut buf = BytesMut::new();
    let mut received = Vec::new();
    for byte in text.bytes() {
        buf.extend_from_slice(&[byte]);
        while let Some(next) = decoder.receive(&mut buf)? {
            received.push(next);
        }
        assert_eq!(decoder.missing() > 0, decoder.is_midway(&buf), "{text:?}");
    }
    Ok((received, decoder.is_midway(&buf)))
}

fn read(text: &str) -> Result<(Vec<Received>, bool), ProtocolError> {
    read_with(Decoder::default(), text)
}

#[test]
#[rustfmt::skip]
fn values() {
    let cases: Vec<(&str, Vec<Received>)> = vec![
        ("_\r\n", vec![reply(Reply::Bulk(None))]),
        ("#t\r\n#f\r\n", vec![reply(Reply::Integer(1)), reply(Reply::Integer(0))]),
        (",1.5\r\n,-0\r\n,1e300\r\n", vec![number("1.5"), number("-0"), number("1e300")]),
        (",inf\r\n,-inf\r\n,nan\r\n", vec![number("inf"), number("-inf"), number("nan")]),
        ("(3492890328409238509324850943850943825024385\r\n", vec![big("3492890328409238509324850943850943825024385")]),
        ("(-7\r\n", vec![big("-7")]),
        ("!8\r\nERR a\r\nb\r\n", vec![error("ERR a  b")]),
        ("!0\r\n\r\n", vec![error("")]),
        ("=7\r\ntxt:a\r\n\r\n", vec![reply(bulk("a\r\n"))]),
        ("=4\r\ntxt:\r\n", vec![reply(bulk(""))]),
        ("~2\r\n:1\r\n:2\r\n", vec![reply(Reply::Array(Some(vec![Reply::Integer(1), Reply::Integer(2)])))]),
        ("~0\r\n%0\r\n", vec![reply(Reply::Array(Some(vec![]))), reply(Reply::Map(vec![]))]),
        ("%2\r\n+a\r\n:1\r\n$1\r\nb\r\n*1\r\n_\r\n", vec![reply(Reply::Map(vec![
            Reply::Status(Bytes::from("a")), Reply::Integer(1),
            bulk("b"), Reply::Array(Some(vec![Reply::Bulk(None)])),
        ]))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(read(text), Ok((wanted, false)), "{text:?}");
    }
}

#[test]
fn pushes_between_replies() {
    let invalidate = || {
        push(vec![
            bulk("invalidate"),
            Reply::Array(Some(vec![bulk("k")])),
        ])
    };
    let flushed = || push(vec![bulk("invalidate"), Reply::Bulk(None)]);
    let text = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n+PONG\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n:1\r\n>0\r\n>1\r\n:5\r\n";
    let (received, midway) = read(text).unwrap();
    assert!(!midway);
    assert_eq!(
        received,
        [
            invalidate(),
            reply(Reply::Status(Bytes::from("PONG"))),
            flushed(),
            reply(Reply::Integer(1)),
            push(vec![]),
            push(vec![Reply::Integer(5)]),
        ]
    );
    // Of what kind they are, whatever they hold.
    let kinds: Vec<_> = received
        .iter()
        .filter_map(|received| match received {
            Received::Push(push) => Some((push.kind(), push.content().len())),
            Received::Reply(_) => None,
        })
        .collect();
    let name = Some(&b"invalidate"[..]);
    assert_eq!(kinds, [(name, 1), (name, 1), (None, 0), (None, 0)]);
    // A connection that didn't ask for them gets the replies alone.
    let mut decoder = Decoder::default();
    let mut buf = BytesMut::from(text);
    let status = Reply::Status(Bytes::from("PONG"));
    assert_eq!(decoder.decode(&mut buf), Ok(Some(status)));
    assert_eq!(decoder.decode(&mut buf), Ok(Some(Reply::Integer(1))));
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    assert!(!decoder.is_midway(&buf));
}

#[test]
fn attributes_are_skipped() {
    let ttl = "|1\r\n+ttl\r\n:3600\r\n";
    let one = || {
        reply(Reply::Array(Some(vec![
            Reply::Integer(1),
            Reply::Integer(2),
        ])))
    };
    for (text, wanted) in [
        (format!("{ttl}*2\r\n:1\r\n:2\r\n"), vec![one()]),
        (format!("*2\r\n:1\r\n{ttl}:2\r\n"), vec![one()]),
        (format!("*2\r\n{ttl}{ttl}:1\r\n:2\r\n"), vec![one()]),
        (format!("|0\r\n{ttl}*2\r\n:1\r\n|0\r\n:2\r\n"), vec![one()]),
        // Attributes may hold anything, also attributes.
        (
            format!("|1\r\n{ttl}*1\r\n{ttl}:1\r\n%1\r\n+a\r\n+b\r\n*2\r\n:1\r\n:2\r\n"),
            vec![one()],
        ),
        (
            format!("{ttl}>1\r\n+message\r\n"),
            vec![push(vec![Reply::Status(Bytes::from("message"))])],
        ),
    ] {
        assert_eq!(read(&text), Ok((wanted, false)), "{text:?}");
    }
    // They are the beginning of a reply.
    assert_eq!(read(ttl), Ok((vec![], true)));
    assert_eq!(read("|0\r\n"), Ok((vec![], true)));
}

#[test]
#[rustfmt::skip]
fn malformed_values() {
    for (text, wanted) in [
        ("_x\r\n", ProtocolError::Value),
        ("#\r\n", ProtocolError::Value),
        ("#true\r\n", ProtocolError::Value),
        (",\r\n", ProtocolError::Value),
        (",1,5\r\n", ProtocolError::Value),
        ("(\r\n", ProtocolError::Value),
        ("(-\r\n", ProtocolError::Value),
        ("(1.5\r\n", ProtocolError::Value),
        ("!-1\r\n", ProtocolError::Number),
        ("=-1\r\n", ProtocolError::Number),
        ("%-1\r\n", ProtocolError::Number),
        ("~-1\r\n", ProtocolError::Number),
        (">-1\r\n", ProtocolError::Number),
        ("|-1\r\n", ProtocolError::Number),
        ("=3\r\ntxt\r\n", ProtocolError::Verbatim),
        ("=5\r\ntext:\r\n", ProtocolError::Verbatim),
        ("!3\r\nERRx\r\n", ProtocolError::LineEnd),
        ("%9223372036854775807\r\n", ProtocolError::TooManyElements),
        ("|9223372036854775807\r\n", ProtocolError::TooManyElements),
        ("=9223372036854775807\r\n", ProtocolError::BulkTooLong),
        ("!9223372036854775807\r\n", ProtocolError::LineTooLong),
        // What is of unknown length.
        ("$?\r\n", ProtocolError::Streamed),
        ("*?\r\n", ProtocolError::Streamed),
        ("%?\r\n", ProtocolError::Streamed),
        ("~?\r\n", ProtocolError::Streamed),
        (">?\r\n", ProtocolError::Streamed),
        (";4\r\n", ProtocolError::Type(b';')),
        (".\r\n", ProtocolError::Type(b'.')),
        // Pushes are no part of anything.
        ("*1\r\n>1\r\n+a\r\n", ProtocolError::Push),
        ("%1\r\n+a\r\n>1\r\n+a\r\n", ProtocolError::Push),
        (">1\r\n>1\r\n+a\r\n", ProtocolError::Push),
        ("|1\r\n+a\r\n>0\r\n", ProtocolError::Push),
    ] {
        assert_eq!(read(text), Err(wanted), "{text:?}");
    }
}

const SMALL: Limits = Limits {
    bulk: 5,
    line: 8,
    elements: 4,
    depth: 2,
};

#[test]
#[rustfmt::skip]
fn limits_of_values() {
    for (text, wanted) in [
        ("=5\r\ntxt:a\r\n", Ok(1)),
        ("=6\r\n", Err(ProtocolError::BulkTooLong)),
        ("!8\r\nERR 4567\r\n", Ok(1)),
        ("!9\r\n", Err(ProtocolError::LineTooLong)),
        ("(123456\r\n", Ok(1)),
        ("(12345678\r\n", Err(ProtocolError::LineTooLong)),
        ("%2\r\n:1\r\n:1\r\n:1\r\n:1\r\n", Ok(1)),
        ("%3\r\n", Err(ProtocolError::TooManyElements)),
        ("%99999\r\n", Err(ProtocolError::TooManyElements)),
        ("|99999\r\n", Err(ProtocolError::TooManyElements)),
        ("~1\r\n%1\r\n~0\r\n", Err(ProtocolError::TooDeep)),
        // Attributes count, or a server could go on with them for ever.
        ("|1\r\n:1\r\n:1\r\n*2\r\n:1\r\n:1\r\n", Ok(1)),
        ("|1\r\n:1\r\n:1\r\n*3\r\n", Err(ProtocolError::TooManyElements)),
        ("|0\r\n|0\r\n|0\r\n|0\r\n|0\r\n", Err(ProtocolError::TooManyElements)),
    ] {
        let count = read_with(Decoder::new(SMALL), text).map(|(replies, _)| replies.len());
        assert_eq!(count, wanted, "{text:?}");
    }
}

#[test]
fn limits_of_pushes_are_their_own() {
    let text = ">5\r\n+a\r\n:1\r\n:1\r\n:1\r\n$6\r\nabcdef\r\n:1\r\n";
    let (received, _) = read_with(Decoder::new(SMALL), text).unwrap();
    assert_eq!(received.len(), 2);
    // The reply behind it has the limits of replies again.
    let text = format!("{text}$6\r\n");
    let end = read_with(Decoder::new(SMALL), &text);
    assert_eq!(end, Err(ProtocolError::BulkTooLong));
    let mut decoder = Decoder::default();
    decoder.set_push_limits(SMALL);
    assert_eq!(
        read_with(decoder, ">5\r\n"),
        Err(ProtocolError::TooManyElements)
    );
}

#[test]
fn limits_follow_the_command() {
    let mut decoder = Decoder::new(Limits::GREETING);
    let large = 1 << 20;
    let mut buf = BytesMut::from(&format!("+OK\r\n${large}\r\n")[..]);
    let status = Reply::Status(Bytes::from("OK"));
    assert_eq!(decoder.decode(&mut buf), Ok(Some(status)));
    decoder.set_limits(Limits::LOOKUP);
    assert_eq!(decoder.decode(&mut buf), Ok(None));
    assert_eq!(decoder.missing(), large + 2);
    buf.extend_from_slice(&vec![b'x'; large]);
    buf.extend_from_slice(format!("\r\n${large}\r\n").as_bytes());
    assert!(
        matches!(decoder.decode(&mut buf), Ok(Some(Reply::Bulk(Some(bytes)))) if bytes.len() == large)
    );
    decoder.set_limits(Limits::SLOTS);
    assert_eq!(decoder.decode(&mut buf), Err(ProtocolError::BulkTooLong));
}

/// Each of 16,384 slots on its own, with a master and two replicas, as CLUSTER SLOTS of Redis 7 has it.
#[test]
fn the_largest_slot_map_fits() {
    let node = "*4\r\n$9\r\n127.0.0.1\r\n:6379\r\n$2\r\nid\r\n*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n";
    let text = format!(
        "*16384\r\n{}",
        format!("*5\r\n:0\r\n:0\r\n{node}{node}{node}").repeat(16384)
    );
    let reply = Decoder::new(Limits::SLOTS).decode(&mut BytesMut::from(&text[..]));
    let reply = reply.unwrap().unwrap();
    assert_eq!(reply.elements().map(<[Reply]>::len), Some(16384));
}

#[test]
fn pairs_are_the_same_in_both_protocols() {
    let elements = || vec![bulk("a"), Reply::Integer(1), bulk("b"), Reply::Integer(2)];
    for reply in [Reply::Map(elements()), Reply::Array(Some(elements()))] {
        let pairs: Vec<_> = reply.pairs().unwrap().collect();
        assert_eq!(
            pairs,
            [
                (&bulk("a"), &Reply::Integer(1)),
                (&bulk("b"), &Reply::Integer(2))
            ]
        );
    }
    for reply in [
        Reply::Array(Some(vec![bulk("a")])),
        Reply::Array(None),
        Reply::Integer(1),
    ] {
        assert!(reply.pairs().is_none(), "{reply:?}");
    }
}
