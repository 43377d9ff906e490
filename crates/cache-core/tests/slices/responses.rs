//! What a Range asks for, and what the response to it looks like.

use cache_core::slices::{Asked, Delivery, Layout, Step, asked};

use super::{object, span};

/// A total of 1000 bytes. `None`: the whole; none of them: 416.
fn spans(range: &str) -> Option<Vec<(u64, u64)>> {
    match asked(range.as_bytes(), 1000) {
        Asked::Whole => None,
        Asked::Nothing => Some(Vec::new()),
        Asked::Spans(spans) => Some(spans.iter().map(|s| (s.first, s.last)).collect()),
    }
}

#[test]
#[rustfmt::skip]
fn ranges() {
    let cases: [(&str, &str, Option<&[(u64, u64)]>); 39] = [
        ("14.1.2 first and last", "bytes=0-499", Some(&[(0, 499)])),
        ("14.1.2 one byte", "bytes=0-0", Some(&[(0, 0)])),
        ("14.1.2 to the end", "bytes=500-", Some(&[(500, 999)])),
        ("14.1.2 the last bytes", "bytes=-500", Some(&[(500, 999)])),
        ("14.1.2 more than there are", "bytes=-5000", Some(&[(0, 999)])),
        ("14.1.2 past the end", "bytes=900-5000", Some(&[(900, 999)])),
        ("14.1.2 the last byte", "bytes=999-", Some(&[(999, 999)])),
        ("14.1.2 several", "bytes=0-1,5-6,-1", Some(&[(0, 1), (5, 6), (999, 999)])),
        ("14.1.2 not in order", "bytes=5-6,0-1", Some(&[(5, 6), (0, 1)])),
        ("14.2 overlapping, but few", "bytes=0-9,5-14", Some(&[(0, 9), (5, 14)])),
        ("14.1 the unit has no case", "BYTES=0-1", Some(&[(0, 1)])),
        ("5.6.3 white space around members", "bytes= 0-1 ,\t5-6 ", Some(&[(0, 1), (5, 6)])),
        ("5.6.1.2 empty members", "bytes=,0-1,,", Some(&[(0, 1)])),
        ("14.1.2 none of them", "bytes=1000-", Some(&[])),
        ("14.1.2 none of them", "bytes=1000-2000,5000-", Some(&[])),
        ("14.1.2 no bytes", "bytes=-0", Some(&[])),
        ("14.1.2 one of several", "bytes=1000-,5-6", Some(&[(5, 6)])),
        ("14.1.2 one of several", "bytes=-0,5-6", Some(&[(5, 6)])),
        ("too large a number", "bytes=0-99999999999999999999999", Some(&[(0, 999)])),
        ("too large a number", "bytes=99999999999999999999999-", Some(&[])),
        ("too large a number", "bytes=-99999999999999999999999", Some(&[(0, 999)])),
        ("14.1.1 invalid: the last before the first", "bytes=5-4", Some(&[])),
        ("14.1.1 one invalid", "bytes=0-1,5-4", Some(&[])),
        ("14.1.1 no dash", "bytes=5", Some(&[])),
        ("14.1.1 nothing", "bytes=", Some(&[])),
        ("14.1.1 nothing", "bytes=,", Some(&[])),
        ("14.1.1 nothing but a dash", "bytes=-", Some(&[])),
        ("14.1.1 a sign", "bytes=+0-1", Some(&[])),
        ("14.1.1 two dashes", "bytes=0-1-2", Some(&[])),
        ("14.1.1 negative", "bytes=--1", Some(&[])),
        ("14.1.1 not decimal", "bytes=0x0-0x1", Some(&[])),
        ("14.1.1 white space in a range", "bytes=0 -1", Some(&[])),
        ("14.1.1 white space before the sign", "bytes =0-1", None),
        ("14.2 another unit", "lines=0-1", None),
        ("14.2 no unit", "0-1", None),
        ("no text", "", None),
        ("17.15 more than the whole", "bytes=0-,0-", None),
        ("17.15 many small ones that overlap", "bytes=0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0,0-0", None),
        ("14.2 the whole, in one part", "bytes=0-", Some(&[(0, 999)])),
    ];
    for (section, range, wanted) in cases {
        assert_eq!(spans(range).as_deref(), wanted, "{section}: {range}");
    }
}

/// Status, Content-Type, Content-Range and the body of an object of the bytes 0123456789abcdefghij in slices of 4.
fn response(range: Option<&str>, kind: Option<&str>) -> (u16, String, String, String) {
    const BYTES: &[u8] = b"0123456789abcdefghij";
    let object = object(4, 20);
    let asked = range.map_or(Asked::Whole, |range| asked(range.as_bytes(), 20));
    let layout = Layout::new(object, &asked, kind.map(str::as_bytes), b"B0");
    let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"-")).into_owned();
    let (status, length) = (layout.status(), layout.length());
    let head = (text(layout.content_type()), text(layout.content_range()));
    let mut delivery = Delivery::new(object, layout, 2);
    let mut body = Vec::new();
    loop {
        match delivery.step(false) {
            Step::Look(slice) => delivery.found(slice),
            Step::Text(text) => body.extend_from_slice(text),
            Step::Send { slice, from, to } => {
                let range = slice * 4 + from..slice * 4 + to;
                body.extend(range.map(|at| BYTES[usize::try_from(at).unwrap()]));
            }
            Step::Done => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(length, body.len() as u64, "{range:?}");
    (status, head.0, head.1, text(Some(&body)))
}

#[test]
fn whole_and_single() {
    let cases = [
        (None, 200, "-", "0123456789abcdefghij"),
        (Some("bytes=5-4"), 416, "bytes */20", ""),
        (
            Some("bytes=0-"),
            206,
            "bytes 0-19/20",
            "0123456789abcdefghij",
        ),
        (Some("bytes=3-4"), 206, "bytes 3-4/20", "34"),
        (Some("bytes=4-7"), 206, "bytes 4-7/20", "4567"),
        (Some("bytes=-1"), 206, "bytes 19-19/20", "j"),
        (Some("bytes=99-, 3-9"), 206, "bytes 3-9/20", "3456789"),
        (Some("bytes=20-"), 416, "bytes */20", ""),
    ];
    for (range, status, content_range, body) in cases {
        let wanted = (
            status,
            "-".to_owned(),
            content_range.to_owned(),
            body.to_owned(),
        );
        assert_eq!(response(range, Some("text/plain")), wanted, "{range:?}");
    }
}

#[test]
fn multipart() {
    let (status, kind, range, body) =
        response(Some("bytes=1-2,-2,6-9"), Some("text/plain; charset=utf-8"));
    assert_eq!(status, 206);
    assert_eq!(kind, "multipart/byteranges; boundary=B0");
    assert_eq!(range, "-");
    let wanted = "\r\n--B0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 1-2/20\r\n\r\n12\
         \r\n--B0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 18-19/20\r\n\r\nij\
         \r\n--B0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 6-9/20\r\n\r\n6789\
         \r\n--B0--\r\n";
    assert_eq!(body, wanted);
    // 15.3.7.2: a part has the Content-Type that the whole would have.
    let (.., body) = response(Some("bytes=0-0,2-2"), None);
    let wanted = "\r\n--B0\r\nContent-Range: bytes 0-0/20\r\n\r\n0\r\n--B0\r\nContent-Range: bytes 2-2/20\r\n\r\n2\r\n--B0--\r\n";
    assert_eq!(body, wanted);
}

/// 15.3.7.2: ranges go in the order of the request, and 14.2: those that would need a slice again, once another was needed, go in
/// the order of the object, each byte once.
#[test]
fn each_slice_once() {
    let cases: [(&str, &str, &[&str]); 9] = [
        ("in order", "bytes=0-0,9-9", &["0-0/20", "9-9/20"]),
        ("not in order", "bytes=9-9,0-0", &["9-9/20", "0-0/20"]),
        (
            "in one slice",
            "bytes=2-2,0-0,2-2,8-8",
            &["2-2/20", "0-0/20", "2-2/20", "8-8/20"],
        ),
        (
            "there and back",
            "bytes=2-2,8-8,0-0",
            &["0-0/20", "2-2/20", "8-8/20"],
        ),
        (
            "the same ones",
            "bytes=2-2,8-8,2-2,8-8",
            &["2-2/20", "8-8/20"],
        ),
        ("within", "bytes=0-9,1-2,8-8", &["0-9/20"]),
        (
            "overlapping",
            "bytes=3-5,16-16,2-4",
            &["2-5/20", "16-16/20"],
        ),
        ("neighbours", "bytes=6-7,16-16,4-5", &["4-7/20", "16-16/20"]),
        (
            "one follows in the same slice",
            "bytes=0-5,6-7,-1",
            &["0-5/20", "6-7/20", "19-19/20"],
        ),
    ];
    for (case, range, wanted) in cases {
        let (status, _, single, body) = response(Some(range), None);
        assert_eq!(status, 206, "{case}");
        let found: Vec<_> = if single == "-" {
            let lines = body.lines();
            lines
                .filter_map(|line| line.strip_prefix("Content-Range: bytes "))
                .collect()
        } else {
            vec![single.strip_prefix("bytes ").unwrap()]
        };
        assert_eq!(found, wanted, "{case}");
    }
}

/// A response that is larger than memory costs none.
#[test]
fn the_largest() {
    const LONGEST: u64 = (1 << 63) - 1;
    let object = object(1 << 20, LONGEST);
    let layout = Layout::new(object, &asked(b"bytes=-1,0-0", LONGEST), None, b"B0");
    let mut delivery = Delivery::new(object, layout, 2);
    let last = object.count() - 1;
    assert_eq!(delivery.step(false), Step::Look(last));
    assert_eq!(delivery.step(false), Step::Look(0));
    assert_eq!(delivery.step(false), Step::Wait);
    let whole = Layout::new(object, &Asked::Whole, None, b"B0");
    assert_eq!(whole.length(), LONGEST);
    assert_eq!(
        asked(b"bytes=0-", LONGEST),
        Asked::Spans(vec![span(0, LONGEST - 1)])
    );
}
