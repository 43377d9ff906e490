//! RESP. The first byte of the input says how many bytes arrive at a time.

use bytes::{Bytes, BytesMut};
use cache_core::resp::{Decoder, Limits, ProtocolError, Push, Received, Reply};

/// Small enough for each limit to be met.
const LIMITS: Limits = Limits {
    bulk: 300,
    line: 60,
    elements: 40,
    depth: 4,
};

/// However the bytes are split, the replies, the pushes and the fault are the same; both can be written and come
/// back the same; and who doesn't want pushes gets the replies alone.
pub fn holds(input: &[u8]) {
    let Some((&at_once, bytes)) = input.split_first() else {
        return;
    };
    let (replies, fault) = read(bytes, bytes.len().max(1));
    for pieces in [1, usize::from(at_once).max(1)] {
        assert_eq!(read(bytes, pieces), (replies.clone(), fault), "{pieces}");
    }
    let mut written = Vec::new();
    for received in &replies {
        match received {
            Received::Reply(reply) => write(&mut written, reply),
            Received::Push(Push(parts)) => aggregate(&mut written, b'>', parts.len(), parts),
        }
    }
    // "+007" is written shorter than it came, so it is within the limits, too
    let (again, fault) = read(&written, written.len().max(1));
    assert_eq!((again, fault), (replies.clone(), None));
    let asked_for = replies.into_iter().filter_map(|received| match received {
        Received::Reply(reply) => Some(reply),
        Received::Push(_) => None,
    });
    let mut decoder = decoder();
    let mut buffer = BytesMut::from(&written[..]);
    for reply in asked_for {
        assert_eq!(decoder.decode(&mut buffer), Ok(Some(reply)));
    }
    assert_eq!(decoder.decode(&mut buffer), Ok(None));
    assert!(!decoder.is_midway(&buffer));
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::new(LIMITS);
    decoder.set_push_limits(LIMITS);
    decoder
}

fn read(bytes: &[u8], at_once: usize) -> (Vec<Received>, Option<ProtocolError>) {
    let mut decoder = decoder();
    let mut buffer = BytesMut::new();
    let mut replies = Vec::new();
    for piece in bytes.chunks(at_once) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.receive(&mut buffer) {
                Ok(Some(received)) => replies.push(received),
                Ok(None) => break,
                Err(fault) => return (replies, Some(fault)),
            }
        }
        assert!(decoder.missing() <= LIMITS.bulk + 2);
        assert_eq!(decoder.missing() > 0, decoder.is_midway(&buffer));
        assert!(buffer.len() <= LIMITS.bulk + 2 + at_once);
    }
    (replies, None)
}

fn write(out: &mut Vec<u8>, reply: &Reply) {
    match reply {
        Reply::Status(text) => line(out, b'+', text),
        Reply::Error(text) if text.len() + 2 <= LIMITS.line => line(out, b'-', text),
        // a blob error: its limit is that of a line without the ends
        Reply::Error(text) => {
            line(out, b'!', text.len().to_string().as_bytes());
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Integer(number) => line(out, b':', number.to_string().as_bytes()),
        Reply::Bulk(None) => line(out, b'$', b"-1"),
        Reply::Bulk(Some(content)) => {
            line(out, b'$', content.len().to_string().as_bytes());
            out.extend_from_slice(content);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Array(None) => line(out, b'*', b"-1"),
        Reply::Array(Some(parts)) => aggregate(out, b'*', parts.len(), parts),
        Reply::Map(parts) => aggregate(out, b'%', parts.len() / 2, parts),
        Reply::Double(text) => line(out, b',', text),
        Reply::BigNumber(text) => line(out, b'(', text),
    }
}

fn aggregate(out: &mut Vec<u8>, kind: u8, count: usize, parts: &[Reply]) {
    line(out, kind, count.to_string().as_bytes());
    for part in parts {
        write(out, part);
    }
}

fn line(out: &mut Vec<u8>, kind: u8, text: &[u8]) {
    out.push(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

/// A command is an array of bulks that reads as what was written.
pub fn command(words: &[Vec<u8>]) {
    let mut out = Vec::new();
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    cache_core::resp::command(&mut out, &words);
    let bulks = words
        .iter()
        .map(|word| Reply::Bulk(Some(Bytes::copy_from_slice(word))));
    let limits = Limits::default();
    let reply = Decoder::new(limits).decode(&mut BytesMut::from(&out[..]));
    assert_eq!(reply, Ok(Some(Reply::Array(Some(bulks.collect())))));
}
