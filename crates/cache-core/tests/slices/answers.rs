//! What answers of a backend are worth.

use cache_core::slices::assembly::{Assembly, Next, TURNS};
use cache_core::slices::{
    Again, Answer, ContentRange, First, Refused, Unfit, Validator, again, first, further, of_part,
    range,
};

use super::{headers, object, span, token};

const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
const MODIFIED_SECONDS: u64 = 784_111_777;

fn etag() -> Validator {
    Validator::ETag("\"a\"".into())
}

#[test]
#[rustfmt::skip]
fn content_ranges() {
    let of = |first, last, total| Some(ContentRange::Of(span(first, last), total));
    let cases = [
        ("bytes 0-9/100", of(0, 9, Some(100))),
        ("bytes 90-99/100", of(90, 99, Some(100))),
        ("Bytes 0-9/*", of(0, 9, None)),
        (" bytes 0-9/100 ", of(0, 9, Some(100))),
        ("bytes */100", Some(ContentRange::Unsatisfied(100))),
        ("bytes */0", Some(ContentRange::Unsatisfied(0))),
        ("bytes */*", None),
        // 14.4: invalid
        ("bytes 9-0/100", None),
        ("bytes 0-100/100", None),
        ("bytes 0-9/0", None),
        ("bytes 0-9", None),
        ("bytes=0-9/100", None),
        ("bytes  0-9/100", None),
        ("bytes 0 - 9/100", None),
        ("bytes 0-9/100/100", None),
        ("bytes -9/100", None),
        ("bytes 0-/100", None),
        ("bytes +0-9/100", None),
        ("items 0-9/100", None),
        ("bytes 0-18446744073709551615/*", None),
        ("bytes 0-18446744073709551616/*", None),
        ("bytes", None),
        ("", None),
    ];
    for (value, wanted) in cases {
        assert_eq!(ContentRange::parse(value.as_bytes()), wanted, "{value}");
    }
    let twice = headers(&["Content-Range: bytes 0-9/100", "Content-Range: bytes 0-9/100"]);
    assert_eq!(ContentRange::of(&twice), None);
}

#[test]
#[rustfmt::skip]
fn validators() {
    let tag = |text: &'static str| Some(Validator::ETag(text.into()));
    let date = Some(Validator::LastModified("Sun, 06 Nov 1994 08:49:37 GMT".into()));
    // (section, header lines, Date in seconds after Last-Modified, validator)
    let cases: [(&str, &[&str], Option<u64>, Option<Validator>); 13] = [
        ("8.8.3 strong", &["ETag: \"a\""], None, tag("\"a\"")),
        ("8.8.3 strong and a date", &["ETag: \"a\"", MODIFIED], Some(9), tag("\"a\"")),
        ("8.8.3 empty but strong", &["ETag: \"\""], None, tag("\"\"")),
        ("8.8.3 weak", &["ETag: W/\"a\""], None, None),
        ("8.8.3 weak, and a date", &["ETag: W/\"a\"", MODIFIED], Some(9), None),
        ("8.8.3 no entity tag", &["ETag: a"], None, None),
        ("8.8.3 two", &["ETag: \"a\"", "ETag: \"b\""], None, None),
        ("8.8.2.2 an old date", &[MODIFIED], Some(1), date),
        ("8.8.2.2 a date of the same second", &[MODIFIED], Some(0), None),
        ("8.8.2.2 nobody knows when", &[MODIFIED], None, None),
        ("8.8.2 two dates", &[MODIFIED, MODIFIED], Some(9), None),
        ("8.8.2 no date", &["Last-Modified: yesterday"], Some(9), None),
        ("none", &[], Some(9), None),
    ];
    for (section, lines, age, wanted) in cases {
        let date = age.map(|age| MODIFIED_SECONDS + age);
        assert_eq!(Validator::of(&headers(lines), date), wanted, "{section}");
    }
    assert_eq!(etag().condition(), ("If-Match", "\"a\"".into()));
    let (name, value) = Validator::of(&headers(&[MODIFIED]), Some(u64::MAX)).unwrap().condition();
    assert_eq!(format!("{name}: {}", value.escape_ascii()), MODIFIED.replace("Last-Modified", "If-Unmodified-Since"));
    assert_eq!(range(span(10, 19)), "bytes=10-19");
}

fn answer<'a>(status: u16, headers: &'a cache_core::headers::Headers) -> Answer<'a> {
    Answer {
        status,
        headers,
        date: None,
    }
}

#[test]
#[rustfmt::skip]
fn first_answers() {
    const TAG: &str = "ETag: \"a\"";
    let slices = |bytes| First::Slices { object: object(10, 95), validator: etag(), bytes };
    let cases: [(&str, u16, &[&str], First); 20] = [
        ("the first of many", 206, &["Content-Range: bytes 0-9/95", TAG], slices(10)),
        ("15.3.7 fewer than asked for", 206, &["Content-Range: bytes 0-3/95", TAG], slices(4)),
        ("with a length", 206, &["Content-Range: bytes 0-9/95", "Content-Length: 10", TAG], slices(10)),
        ("RFC 9111 3.4 all there is", 206, &["Content-Range: bytes 0-4/5"], First::Complete(5)),
        ("exactly one slice", 206, &["Content-Range: bytes 0-9/10", TAG], First::Complete(10)),
        ("14.2 no ranges", 200, &[TAG], First::Plain),
        ("a failure", 500, &[], First::Plain),
        ("a redirection", 302, &["Content-Range: bytes 0-9/95", TAG], First::Plain),
        ("15.5.17 empty", 416, &["Content-Range: bytes */0"], First::AskWhole(Unfit::Empty)),
        ("14.4 unknown length", 206, &["Content-Range: bytes 0-9/*", TAG], First::AskWhole(Unfit::UnknownLength)),
        ("RFC 9111 3.4 no validator", 206, &["Content-Range: bytes 0-9/95"], First::AskWhole(Unfit::NoValidator)),
        ("RFC 9111 3.4 a weak one", 206, &["Content-Range: bytes 0-9/95", "ETag: W/\"a\""], First::AskWhole(Unfit::NoValidator)),
        ("15.3.7.1 no Content-Range", 206, &[TAG], First::AskWhole(Unfit::Range)),
        ("15.3.7.2 multipart", 206, &["Content-Type: multipart/byteranges; boundary=B", TAG], First::AskWhole(Unfit::Range)),
        ("other bytes", 206, &["Content-Range: bytes 1-9/95", TAG], First::AskWhole(Unfit::Range)),
        ("more than asked for", 206, &["Content-Range: bytes 0-10/95", TAG], First::AskWhole(Unfit::Range)),
        ("another unit", 206, &["Content-Range: lines 0-9/95", TAG], First::AskWhole(Unfit::Range)),
        ("14.4 invalid", 206, &["Content-Range: bytes 0-9/9", TAG], First::AskWhole(Unfit::Range)),
        ("another length", 206, &["Content-Range: bytes 0-9/95", "Content-Length: 9", TAG], First::AskWhole(Unfit::Range)),
        ("an absurd length", 206, &["Content-Range: bytes 0-9/18446744073709551615", TAG], First::AskWhole(Unfit::Range)),
    ];
    for (name, status, lines, wanted) in cases {
        let headers = headers(lines);
        assert_eq!(first(&answer(status, &headers), 10, token()), wanted, "{name}");
    }
}

#[test]
#[rustfmt::skip]
fn further_answers() {
    const TAG: &str = "ETag: \"a\"";
    const RANGE: &str = "Content-Range: bytes 20-29/95";
    let (changed, failed) = (Err(Refused::Changed), Err(Refused::Failed));
    let cases: [(&str, u16, &[&str], Result<u64, Refused>); 28] = [
        ("what was asked for", 206, &[RANGE, TAG], Ok(10)),
        ("with a length", 206, &[RANGE, TAG, "Content-Length: 10"], Ok(10)),
        ("with a date", 206, &[RANGE, TAG, MODIFIED], Ok(10)),
        ("15.3.7 fewer", 206, &["Content-Range: bytes 20-20/95", TAG], Ok(1)),
        ("14.4 the length isn't known", 206, &["Content-Range: bytes 20-29/*", TAG], Ok(10)),
        ("RFC 9111 3.4 another validator", 206, &[RANGE, "ETag: \"b\""], changed),
        ("RFC 9111 3.4 a weak one", 206, &[RANGE, "ETag: W/\"a\""], changed),
        ("RFC 9111 3.4 one more", 206, &[RANGE, TAG, "ETag: \"b\""], changed),
        ("RFC 9111 3.4 none: nothing is proven", 206, &[RANGE, MODIFIED], failed),
        ("another length of the whole", 206, &["Content-Range: bytes 20-29/96", TAG], changed),
        ("other bytes", 206, &["Content-Range: bytes 21-29/95", TAG], failed),
        ("more bytes", 206, &["Content-Range: bytes 20-30/95", TAG], failed),
        ("another length", 206, &[RANGE, TAG, "Content-Length: 11"], failed),
        ("15.3.7.1 no Content-Range", 206, &[TAG], failed),
        ("15.3.7.2 multipart", 206, &["Content-Type: multipart/byteranges; boundary=B", TAG], failed),
        ("14.4 invalid", 206, &["Content-Range: bytes 20-29/20", TAG], failed),
        ("15.5.13 another", 412, &[], changed),
        ("gone", 404, &[], changed),
        ("gone", 410, &[], changed),
        ("15.5.17 shorter", 416, &["Content-Range: bytes */15"], changed),
        ("15.5.17 says nothing", 416, &[], changed),
        ("15.5.17 nonsense", 416, &["Content-Range: bytes */95"], failed),
        ("no ranges any more", 200, &[TAG], changed),
        ("no ranges any more, and another", 200, &["ETag: \"b\""], changed),
        ("no ranges any more, and none", 200, &[], changed),
        ("a failure", 503, &["ETag: \"b\""], failed),
        ("not asked for", 304, &[TAG], failed),
        ("a redirection", 302, &[], failed),
    ];
    for (name, status, lines, wanted) in cases {
        let headers = headers(lines);
        let found = further(&answer(status, &headers), object(10, 95), &etag(), span(20, 29));
        assert_eq!(found, wanted, "{name}");
    }
}

/// Last-Modified proves the same, unless there is an ETag now.
#[test]
fn further_answers_by_date() {
    const RANGE: &str = "Content-Range: bytes 20-29/95";
    let validator = Validator::of(&headers(&[MODIFIED]), Some(u64::MAX)).unwrap();
    let cases: [(&[&str], Result<u64, Refused>); 4] = [
        (&[RANGE, MODIFIED], Ok(10)),
        (
            &[RANGE, "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT"],
            Err(Refused::Changed),
        ),
        (&[RANGE, MODIFIED, "ETag: \"a\""], Err(Refused::Changed)),
        (&[RANGE], Err(Refused::Failed)),
    ];
    for (lines, wanted) in cases {
        let headers = headers(lines);
        let found = further(
            &answer(206, &headers),
            object(10, 95),
            &validator,
            span(20, 29),
        );
        assert_eq!(found, wanted, "{lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn answers_for_a_stale_object() {
    const TAG: &str = "ETag: \"a\"";
    // (name, slices of now, status, lines, whether it is the same generation)
    let cases: [(&str, u64, u16, &[&str], Option<u64>); 6] = [
        ("the same", 10, 206, &["Content-Range: bytes 0-9/95", TAG], Some(10)),
        ("another", 10, 206, &["Content-Range: bytes 0-9/95", "ETag: \"b\""], None),
        ("another length", 10, 206, &["Content-Range: bytes 0-9/96", TAG], None),
        ("the directive has another size", 20, 206, &["Content-Range: bytes 0-19/95", TAG], None),
        ("no ranges any more", 10, 200, &[TAG], None),
        ("a failure", 10, 500, &[], None),
    ];
    for (name, size, status, lines, same) in cases {
        let headers = headers(lines);
        let answer = answer(status, &headers);
        let found = again(&answer, size, (object(10, 95), &etag()), token());
        let wanted = match same {
            Some(bytes) => Again::Same(bytes),
            None => Again::Other(first(&answer, size, token())),
        };
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn assemblies() {
    // all at once
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    slice.promise(10);
    assert_eq!(slice.receive(4), 4);
    assert_eq!(slice.receive(6), 6);
    assert_eq!(slice.end(), Next::Done);
    // cut, then fewer than asked for, then too many
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    slice.promise(10);
    assert_eq!(slice.receive(4), 4);
    assert_eq!(slice.end(), Next::Ask(span(24, 29)));
    slice.promise(2);
    assert_eq!(slice.receive(5), 2);
    assert_eq!(slice.have(), 6);
    assert_eq!(slice.end(), Next::Ask(span(26, 29)));
    slice.promise(4);
    assert_eq!(slice.receive(4), 4);
    assert_eq!(slice.receive(1), 0);
    assert_eq!(slice.end(), Next::Done);
    // nothing came
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    assert_eq!(slice.receive(4), 0);
    assert_eq!(slice.end(), Next::Failed);
    // the head's own answer
    let mut slice = Assembly::answered(span(0, 9), 4);
    assert_eq!(slice.receive(9), 4);
    assert_eq!(slice.end(), Next::Ask(span(4, 9)));
    // a byte at a time
    let mut slice = Assembly::new(span(0, 99));
    let mut asked = 0;
    let mut next = slice.begin();
    while let Next::Ask(_) = next {
        asked += 1;
        slice.promise(1);
        slice.receive(1);
        next = slice.end();
    }
    assert_eq!((asked, next), (TURNS, Next::Failed));
}

/// A head says of the whole what the part has said, and nothing of the part's own bytes.
#[test]
fn headers_of_a_head() {
    let part = headers(&[
        "Content-Type: video/mp4",
        "Content-Length: 10",
        "ETag: \"a\"",
        "content-range: bytes 0-9/95",
        "Accept-Ranges: bytes",
        "Content-Digest: sha-256=:YQ==:",
        "Repr-Digest: sha-256=:Yg==:",
        "Content-Encoding: gzip",
    ]);
    let wanted = headers(&[
        "Content-Type: video/mp4",
        "ETag: \"a\"",
        "Repr-Digest: sha-256=:Yg==:",
        "Content-Encoding: gzip",
    ]);
    assert_eq!(of_part(&part), wanted);
}
