//! What answers of a backend are worth.

use cache_core::outcome::Reason;
use cache_core::slices::assembly::{Assembly, Next, TURNS};
use cache_core::slices::{
    Again, Answer, ContentRange, First, Refused, SKIPPED, Unfit, Useful, Validator, again, first,
    further, of_part, range,
};

use super::{headers, object, span, tagged, token};

const MODIFIED: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT";
const MODIFIED_SECONDS: u64 = 784_111_777;

fn etag() -> Validator {
    tagged("\"a\"")
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
    let tag = |text: &'static str| Some(("If-Match", text.into()));
    let date = Some(("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT".into()));
    // (section, header lines, Date in seconds after Last-Modified, the condition that it makes)
    let cases: [(&str, &[&str], Option<u64>, Option<(&str, bytes::Bytes)>); 13] = [
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
        let found = Validator::of(&headers(lines), date);
        assert_eq!(found.map(|found| found.condition()), wanted, "{section}");
    }
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
    let cases: [(&str, u16, &[&str], First); 24] = [
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
        ("15.3.7 more than asked for", 206, &["Content-Range: bytes 0-10/95", TAG], slices(10)),
        ("15.3.7 all, though less was asked for", 206, &["Content-Range: bytes 0-94/95", TAG], slices(10)),
        ("another unit", 206, &["Content-Range: lines 0-9/95", TAG], First::AskWhole(Unfit::Range)),
        ("14.4 invalid", 206, &["Content-Range: bytes 0-9/9", TAG], First::AskWhole(Unfit::Range)),
        ("another length", 206, &["Content-Range: bytes 0-9/95", "Content-Length: 9", TAG], First::AskWhole(Unfit::Range)),
        ("15.3.7.2 multipart with a Content-Range", 206, &["Content-Type: Multipart/ByteRanges ; boundary=B", "Content-Range: bytes 0-9/95", TAG], First::AskWhole(Unfit::Range)),
        ("15.3.7.2 multipart with all of it", 206, &["Content-Type: multipart/byteranges", "Content-Range: bytes 0-4/5", TAG], First::AskWhole(Unfit::Range)),
        ("an absurd length", 206, &["Content-Range: bytes 0-9/18446744073709551615", TAG], First::AskWhole(Unfit::Range)),
        ("longer than nginx counts", 206, &["Content-Range: bytes 0-9/9223372036854775808", TAG], First::AskWhole(Unfit::Range)),
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
    let useful = |skip, bytes| Ok(Useful { skip, bytes });
    let cases: [(&str, u16, &[&str], Result<Useful, Refused>); 37] = [
        ("what was asked for", 206, &[RANGE, TAG], useful(0, 10)),
        ("with a length", 206, &[RANGE, TAG, "Content-Length: 10"], useful(0, 10)),
        ("with a date", 206, &[RANGE, TAG, MODIFIED], useful(0, 10)),
        ("15.3.7 fewer", 206, &["Content-Range: bytes 20-20/95", TAG], useful(0, 1)),
        ("14.4 the length isn't known", 206, &["Content-Range: bytes 20-29/*", TAG], useful(0, 10)),
        ("15.3.7 more behind them", 206, &["Content-Range: bytes 20-30/95", TAG], useful(0, 10)),
        ("15.3.7 more before them", 206, &["Content-Range: bytes 16-29/95", TAG], useful(4, 10)),
        ("15.3.7 more around them", 206, &["Content-Range: bytes 16-31/95", TAG, "Content-Length: 16"], useful(4, 10)),
        ("15.3.7 more before them, and fewer", 206, &["Content-Range: bytes 16-23/95", TAG], useful(4, 4)),
        ("all", 206, &["Content-Range: bytes 0-94/95", TAG], useful(20, 10)),
        ("RFC 9111 3.4 another validator", 206, &[RANGE, "ETag: \"b\""], changed),
        ("RFC 9111 3.4 a weak one", 206, &[RANGE, "ETag: W/\"a\""], changed),
        ("RFC 9111 3.4 one more", 206, &[RANGE, TAG, "ETag: \"b\""], changed),
        ("RFC 9111 3.4 none: nothing is proven", 206, &[RANGE, MODIFIED], failed),
        ("8.4 another coding", 206, &[RANGE, TAG, "Content-Encoding: gzip"], changed),
        ("8.4 none", 206, &[RANGE, TAG, "Content-Encoding: identity"], useful(0, 10)),
        ("15.3.7.2 multipart with a Content-Range", 206, &["Content-Type: multipart/byteranges; boundary=B", RANGE, TAG], failed),
        ("another length of the whole", 206, &["Content-Range: bytes 20-29/96", TAG], changed),
        ("other bytes", 206, &["Content-Range: bytes 21-29/95", TAG], failed),
        ("bytes before", 206, &["Content-Range: bytes 10-19/95", TAG], failed),
        ("bytes behind", 206, &["Content-Range: bytes 30-39/95", TAG], failed),
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
    let cases: [(&[&str], Result<Useful, Refused>); 4] = [
        (&[RANGE, MODIFIED], Ok(Useful::all(10))),
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
fn codings() {
    const RANGE: &str = "Content-Range: bytes 20-29/95";
    let of = |lines: &[&str]| headers(&[&["ETag: \"a\"", RANGE], lines].concat());
    // (the head's, the slice's, whether they are the same)
    let cases: [(&[&str], &[&str], bool); 7] = [
        (&["Content-Encoding: gzip"], &["Content-Encoding: gzip"], true),
        (&["Content-Encoding: gzip"], &["content-encoding: X-GZip"], true),
        (&["Content-Encoding: br, gzip"], &["Content-Encoding: br", "Content-Encoding: gzip"], true),
        (&["Content-Encoding: br, gzip"], &["Content-Encoding: gzip, br"], false),
        (&["Content-Encoding: gzip"], &["Content-Encoding: br"], false),
        (&["Content-Encoding: gzip"], &[], false),
        (&[], &["Content-Encoding: gzip"], false),
    ];
    for (head, slice, same) in cases {
        let validator = Validator::of(&of(head), None).unwrap();
        let found = further(&answer(206, &of(slice)), object(10, 95), &validator, span(20, 29));
        let wanted = if same { Ok(Useful::all(10)) } else { Err(Refused::Changed) };
        assert_eq!(found, wanted, "{head:?} {slice:?}");
    }
}

/// A slice that is for fewer clients than its head is for none but its own.
#[test]
#[rustfmt::skip]
fn parts_that_are_for_fewer() {
    const TAG: &str = "ETag: \"a\"";
    let (ok, vary, no_cache) = (Ok(()), Err(Reason::Vary), Err(Reason::NoCache));
    // (the head's, whether it is validated each time, the slice's, whether that is to be, what follows)
    let cases: [(&[&str], bool, &[&str], bool, Result<(), Reason>); 9] = [
        (&[TAG], false, &[], false, ok),
        (&[TAG, "Vary: a, B"], false, &["Vary: b", "Vary: A"], false, ok),
        (&[TAG, "Vary: a, b"], false, &["Vary: b"], false, ok),
        (&[TAG, "Vary: a"], false, &["Vary: a, b"], false, vary),
        (&[TAG], false, &["Vary: Authorization"], false, vary),
        (&[TAG], false, &["Vary: *"], false, vary),
        (&[TAG], false, &[], true, no_cache),
        (&[TAG], true, &[], true, ok),
        (&[TAG], true, &[], false, ok),
    ];
    for (head, validated, slice, always, wanted) in cases {
        let validator = Validator::of(&headers(head), None).unwrap().validated(validated);
        let own = headers(slice);
        assert_eq!(validator.admits(own.get_all("Vary"), always), wanted, "{head:?} {slice:?}");
    }
}

#[test]
#[rustfmt::skip]
fn answers_for_a_stale_object() {
    const TAG: &str = "ETag: \"a\"";
    // (name, slices of now, status, lines, whether it is the same generation)
    let cases: [(&str, u64, u16, &[&str], Option<u64>); 8] = [
        ("the same", 10, 206, &["Content-Range: bytes 0-9/95", TAG], Some(10)),
        ("another", 10, 206, &["Content-Range: bytes 0-9/95", "ETag: \"b\""], None),
        ("another length", 10, 206, &["Content-Range: bytes 0-9/96", TAG], None),
        ("another coding", 10, 206, &["Content-Range: bytes 0-9/95", TAG, "Content-Encoding: br"], None),
        ("it varies now", 10, 206, &["Content-Range: bytes 0-9/95", TAG, "Vary: Cookie"], None),
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

/// A server that sends all of a film for each range isn't read to its end.
#[test]
fn what_comes_before_is_bounded() {
    let wanted = span(SKIPPED + 5, SKIPPED + 9);
    assert_eq!(Useful::of(span(4, SKIPPED + 9), wanted), None);
    let useful = Useful {
        skip: SKIPPED,
        bytes: 5,
    };
    assert_eq!(Useful::of(span(5, SKIPPED + 9), wanted), Some(useful));
}

#[test]
fn assemblies() {
    let all = Useful::all;
    // all at once
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    slice.promise(all(10));
    assert_eq!(slice.receive(4), 0..4);
    assert!(!slice.is_done());
    assert_eq!(slice.receive(6), 0..6);
    assert!(slice.is_done());
    assert_eq!(slice.end(), Next::Done);
    // cut, then fewer than asked for, then too many
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    slice.promise(all(10));
    assert_eq!(slice.receive(4), 0..4);
    assert_eq!(slice.missing(), Some(span(24, 29)));
    assert_eq!(slice.end(), Next::Ask(span(24, 29)));
    slice.promise(all(2));
    assert_eq!(slice.receive(5), 0..2);
    assert_eq!(slice.have(), 6);
    assert_eq!(slice.end(), Next::Ask(span(26, 29)));
    slice.promise(all(4));
    assert_eq!(slice.receive(4), 0..4);
    assert_eq!(slice.receive(1), 0..0);
    assert_eq!((slice.end(), slice.missing()), (Next::Done, None));
    // nothing came
    let mut slice = Assembly::new(span(20, 29));
    assert_eq!(slice.begin(), Next::Ask(span(20, 29)));
    assert_eq!(slice.receive(4), 0..0);
    assert_eq!(slice.end(), Next::Failed);
    // the head's own answer
    let mut slice = Assembly::answered(span(0, 9), all(4));
    assert_eq!(slice.receive(9), 0..4);
    assert_eq!(slice.end(), Next::Ask(span(4, 9)));
    // more before what was asked for, and behind it
    let mut slice = Assembly::answered(span(20, 29), Useful { skip: 5, bytes: 10 });
    assert_eq!(slice.receive(3), 3..3);
    assert_eq!(slice.receive(4), 2..4);
    assert_eq!(slice.receive(20), 0..8);
    assert_eq!(slice.end(), Next::Done);
    // cut before what was asked for: that is nothing
    let mut slice = Assembly::answered(span(20, 29), Useful { skip: 5, bytes: 10 });
    assert_eq!(slice.receive(5), 5..5);
    assert_eq!(slice.end(), Next::Failed);
    // cut behind the first bytes: the next answer has others before them
    let mut slice = Assembly::answered(span(20, 29), Useful { skip: 5, bytes: 10 });
    assert_eq!(slice.receive(7), 5..7);
    assert_eq!(slice.end(), Next::Ask(span(22, 29)));
    slice.promise(Useful { skip: 2, bytes: 8 });
    assert_eq!(slice.receive(10), 2..10);
    assert_eq!(slice.end(), Next::Done);
    // a byte at a time
    let mut slice = Assembly::new(span(0, 99));
    let mut asked = 0;
    let mut next = slice.begin();
    while let Next::Ask(_) = next {
        asked += 1;
        slice.promise(all(1));
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
