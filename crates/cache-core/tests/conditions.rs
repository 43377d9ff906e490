//! Conditional requests: RFC 9110 13 as tables, each row with its section.

use cache_core::conditions::{
    ByDate, Conditions, Date, Evaluation, Selected, evaluate, is_in_not_modified, of_not_modified,
    range_applies,
};
use cache_core::headers::Headers;
use cache_core::ranges::is_worth_it;
use proptest::prelude::*;

use Evaluation::{NotModified, PreconditionFailed, Proceed};

type Lines<'a> = &'a [(&'static str, &'static str)];

const IM: &str = "If-Match";
const INM: &str = "If-None-Match";
const IMS: &str = "If-Modified-Since";
const IUS: &str = "If-Unmodified-Since";

/// A minute before the answer below was last modified, that time, and a minute later.
const EARLIER: &str = "Sun, 06 Nov 1994 08:48:37 GMT";
const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:50:37 GMT";
const MODIFIED_SECONDS: u64 = 784_111_777;
/// When it was made.
const DATE: Date = Date::exactly(MODIFIED_SECONDS + 3600);

const STRONG: Lines<'_> = &[("ETag", "\"a\""), ("Last-Modified", MODIFIED)];
const WEAK: Lines<'_> = &[("ETag", "W/\"a\""), ("Last-Modified", MODIFIED)];
const DATED: Lines<'_> = &[("Last-Modified", MODIFIED)];
const BARE: Lines<'_> = &[];

fn headers(lines: Lines<'_>) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.push(*name, *value);
    }
    headers
}

fn conditions<'a>(lines: &'a [(&'a str, &'a str)]) -> Conditions<'a> {
    Conditions::of(
        lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
    )
}

fn outcome(method: &str, request: Lines<'_>, status: u16, response: Lines<'_>) -> Evaluation {
    let headers = headers(response);
    let selected = Selected::new(status, &headers, DATE, true);
    evaluate(
        method.as_bytes(),
        &conditions(request),
        &selected,
        ByDate::On,
    )
}

/// (section, request, response, outcome) of a GET
type Row<'a> = (&'a str, Lines<'a>, Lines<'a>, Evaluation);

fn check(rows: &[Row<'_>]) {
    for (section, request, response, wanted) in rows {
        let found = outcome("GET", request, 200, response);
        assert_eq!(found, *wanted, "{section}: {request:?} of {response:?}");
        let found = outcome("HEAD", request, 200, response);
        assert_eq!(
            found, *wanted,
            "HEAD, {section}: {request:?} of {response:?}"
        );
    }
}

#[test]
#[rustfmt::skip]
fn if_none_match() {
    check(&[
        ("13.1.2 none", &[], STRONG, Proceed),
        ("13.1.2 the same tag", &[(INM, "\"a\"")], STRONG, NotModified),
        ("13.1.2 another tag", &[(INM, "\"b\"")], STRONG, Proceed),
        ("13.1.2 any", &[(INM, "*")], STRONG, NotModified),
        ("13.1.2 any, without a tag", &[(INM, "*")], BARE, NotModified),
        ("13.1.2 a tag, but the answer has none", &[(INM, "\"a\"")], DATED, Proceed),
        ("8.8.3.2 weak comparison, weak there", &[(INM, "W/\"a\"")], STRONG, NotModified),
        ("8.8.3.2 weak comparison, weak here", &[(INM, "\"a\"")], WEAK, NotModified),
        ("8.8.3.2 weak comparison, both weak", &[(INM, "W/\"a\"")], WEAK, NotModified),
        ("8.8.3.2 weak and another", &[(INM, "W/\"b\"")], WEAK, Proceed),
        ("8.8.3 opaque tags have case", &[(INM, "\"A\"")], STRONG, Proceed),
        ("8.8.3 W has case", &[(INM, "w/\"a\"")], STRONG, Proceed),
        ("8.8.3 a prefix is another tag", &[(INM, "\"a")], STRONG, Proceed),
        ("8.8.3 longer is another tag", &[(INM, "\"ab\"")], STRONG, Proceed),
        ("8.8.3 quotes belong to it", &[(INM, "a")], STRONG, Proceed),
        ("8.8.3 empty tag", &[(INM, "\"\"")], &[("ETag", "\"\"")], NotModified),
        ("8.8.3 a comma in a tag", &[(INM, "\"x,y\"")], &[("ETag", "\"x,y\"")], NotModified),
        ("8.8.3 half of a tag with comma", &[(INM, "\"x,y\"")], &[("ETag", "y\"")], Proceed),
        ("8.8.3 a tag within a tag", &[(INM, "\"x,\"a\",y\"")], STRONG, Proceed),
        ("8.8.3 obs-text", &[(INM, "\"\u{e9}\"")], &[("ETag", "\"\u{e9}\"")], NotModified),
        ("8.8.3 backslash is a character", &[(INM, "\"a\\\"")], &[("ETag", "\"a\\\"")], NotModified),
        ("8.8.3 ETag without quotes, sent back so", &[(INM, "a1")], &[("ETag", "a1")], NotModified),
        ("8.8.3 ETag without quotes, made weak by another", &[(INM, "W/a1")], &[("ETag", "a1")], Proceed),
        ("8.8.3 ETag without quotes, quoted", &[(INM, "\"a1\"")], &[("ETag", "a1")], Proceed),
        ("8.8.3 blanks around ETag", &[(INM, "\"a\"")], &[("ETag", " \"a\"\t")], NotModified),
        ("5.6.1 first of a list", &[(INM, "\"a\", \"b\"")], STRONG, NotModified),
        ("5.6.1 last of a list", &[(INM, "\"b\", \"a\"")], STRONG, NotModified),
        ("5.6.1 within a list", &[(INM, "\"b\", W/\"a\", \"c\"")], STRONG, NotModified),
        ("5.6.1 longer tags before and behind", &[(INM, "\"aaaaaa\",\"a\"")], STRONG, NotModified),
        ("5.6.1 none of a list", &[(INM, "\"b\", \"c\"")], STRONG, Proceed),
        ("5.6.1 no blanks", &[(INM, "\"b\",\"a\"")], STRONG, NotModified),
        ("5.6.1 tabs and blanks", &[(INM, " \"b\" \t, \t\"a\" ")], STRONG, NotModified),
        ("5.6.1 empty members", &[(INM, ", ,\"a\",,")], STRONG, NotModified),
        ("5.6.1 an empty list", &[(INM, "")], STRONG, Proceed),
        ("5.3 repeated lines", &[(INM, "\"b\""), (INM, "\"a\"")], STRONG, NotModified),
        ("5.3 names have no case", &[("if-NONE-match", "\"a\"")], STRONG, NotModified),
        ("13.1.2 * in a list is no *", &[(INM, "\"b\", *")], STRONG, Proceed),
        ("13.1.2 * in two lines is no *", &[(INM, "*"), (INM, "\"b\"")], STRONG, Proceed),
        ("13.1.2 blanks around *", &[(INM, " * ")], STRONG, NotModified),
        ("13.1.2 \"*\" is a tag", &[(INM, "\"*\"")], STRONG, Proceed),
    ]);
}

#[test]
#[rustfmt::skip]
fn if_modified_since() {
    check(&[
        ("13.1.3 then", &[(IMS, MODIFIED)], DATED, NotModified),
        ("13.1.3 later", &[(IMS, LATER)], DATED, NotModified),
        ("13.1.3 earlier", &[(IMS, EARLIER)], DATED, Proceed),
        ("5.6.7 RFC 850", &[(IMS, "Sunday, 06-Nov-94 08:49:37 GMT")], DATED, NotModified),
        ("5.6.7 asctime", &[(IMS, "Sun Nov  6 08:49:37 1994")], DATED, NotModified),
        ("5.6.7 Last-Modified in asctime", &[(IMS, MODIFIED)], &[("Last-Modified", "Sun Nov  6 08:49:37 1994")], NotModified),
        ("13.1.3 invalid", &[(IMS, "yesterday")], DATED, Proceed),
        ("13.1.3 a number", &[(IMS, "784111777")], DATED, Proceed),
        ("13.1.3 empty", &[(IMS, "")], DATED, Proceed),
        ("13.1.3 several lines", &[(IMS, LATER), (IMS, LATER)], DATED, Proceed),
        ("13.1.3 Last-Modified is no date", &[(IMS, LATER)], &[("Last-Modified", "0")], Proceed),
        // DATE is an hour after MODIFIED
        ("9111 4.3.2 Date for Last-Modified", &[(IMS, "Sun, 06 Nov 1994 09:49:37 GMT")], BARE, NotModified),
        ("9111 4.3.2 later than Date", &[(IMS, "Mon, 07 Nov 1994 09:49:37 GMT")], BARE, NotModified),
        ("9111 4.3.2 earlier than Date", &[(IMS, "Sun, 06 Nov 1994 09:49:36 GMT")], BARE, Proceed),
    ]);
}

#[test]
#[rustfmt::skip]
fn if_match_and_if_unmodified_since() {
    check(&[
        ("13.1.1 the same tag", &[(IM, "\"a\"")], STRONG, Proceed),
        ("13.1.1 another tag", &[(IM, "\"b\"")], STRONG, PreconditionFailed),
        ("13.1.1 any", &[(IM, "*")], STRONG, Proceed),
        ("13.1.1 any, without a tag", &[(IM, "*")], BARE, Proceed),
        ("13.1.1 a tag, but the answer has none", &[(IM, "\"a\"")], DATED, PreconditionFailed),
        ("8.8.3.2 strong comparison, weak there", &[(IM, "W/\"a\"")], STRONG, PreconditionFailed),
        ("8.8.3.2 strong comparison, weak here", &[(IM, "\"a\"")], WEAK, PreconditionFailed),
        ("8.8.3.2 strong comparison, both weak", &[(IM, "W/\"a\"")], WEAK, PreconditionFailed),
        ("8.8.3 no entity tags are never strong", &[(IM, "a1")], &[("ETag", "a1")], PreconditionFailed),
        ("5.6.1 last of a list", &[(IM, "\"b\", W/\"a\", \"a\"")], STRONG, Proceed),
        ("5.6.1 an empty list", &[(IM, "")], STRONG, PreconditionFailed),
        ("5.3 repeated lines", &[(IM, "\"b\""), (IM, "\"a\"")], STRONG, Proceed),
        ("13.1.4 then", &[(IUS, MODIFIED)], DATED, Proceed),
        ("13.1.4 later", &[(IUS, LATER)], DATED, Proceed),
        ("13.1.4 earlier", &[(IUS, EARLIER)], DATED, PreconditionFailed),
        ("5.6.7 RFC 850", &[(IUS, "Sunday, 06-Nov-94 08:48:37 GMT")], DATED, PreconditionFailed),
        ("13.1.4 invalid", &[(IUS, "yesterday")], DATED, Proceed),
        ("13.1.4 several lines", &[(IUS, EARLIER), (IUS, EARLIER)], DATED, Proceed),
        ("13.1.4 no modification date", &[(IUS, EARLIER)], BARE, Proceed),
        ("13.1.4 Last-Modified is no date", &[(IUS, EARLIER)], &[("Last-Modified", "0")], Proceed),
    ]);
}

#[test]
#[rustfmt::skip]
fn precedence() {
    check(&[
        ("13.2.2 1: If-Match over If-Unmodified-Since", &[(IM, "\"a\""), (IUS, EARLIER)], STRONG, Proceed),
        ("13.2.2 1: either way", &[(IM, "\"b\""), (IUS, LATER)], STRONG, PreconditionFailed),
        ("13.2.2 2: in any order of lines", &[(IUS, EARLIER), (IM, "\"a\"")], STRONG, Proceed),
        ("13.2.2 3: If-None-Match over If-Modified-Since", &[(INM, "\"b\""), (IMS, LATER)], STRONG, Proceed),
        ("13.2.2 3: either way", &[(INM, "\"a\""), (IMS, EARLIER)], STRONG, NotModified),
        ("13.1.3 even where there is no tag", &[(INM, "\"a\""), (IMS, LATER)], DATED, Proceed),
        ("13.1.3 even where it is empty", &[(INM, ""), (IMS, LATER)], STRONG, Proceed),
        ("13.2.2 1: If-Match before If-None-Match", &[(IM, "\"b\""), (INM, "\"a\"")], STRONG, PreconditionFailed),
        ("13.2.2 3: If-None-Match behind If-Match", &[(IM, "\"a\""), (INM, "\"a\"")], STRONG, NotModified),
        ("13.2.2 2: If-Unmodified-Since before If-None-Match", &[(IUS, EARLIER), (INM, "\"a\"")], STRONG, PreconditionFailed),
        ("13.2.2 4: If-Modified-Since behind If-Unmodified-Since", &[(IUS, LATER), (IMS, LATER)], STRONG, NotModified),
        ("13.2.2 4: If-Modified-Since behind If-Match", &[(IM, "*"), (IMS, LATER)], STRONG, NotModified),
    ]);
}

#[test]
#[rustfmt::skip]
fn methods() {
    let rows: &[(&str, &str, Lines<'_>, Evaluation)] = &[
        ("13.1.2 POST", "POST", &[(INM, "\"a\"")], PreconditionFailed),
        ("13.1.2 POST, any", "POST", &[(INM, "*")], PreconditionFailed),
        ("13.1.2 POST, another tag", "POST", &[(INM, "\"b\"")], Proceed),
        ("13.1.3 only for GET and HEAD", "POST", &[(IMS, LATER)], Proceed),
        ("13.1.1 POST", "POST", &[(IM, "\"b\"")], PreconditionFailed),
        ("13.1.4 POST", "POST", &[(IUS, EARLIER)], PreconditionFailed),
        ("9.1 methods have case", "get", &[(INM, "\"a\"")], PreconditionFailed),
    ];
    for (section, method, request, wanted) in rows {
        assert_eq!(outcome(method, request, 200, STRONG), *wanted, "{section}: {request:?}");
    }
}

#[test]
#[rustfmt::skip]
fn conditions_count_for_successes_only() {
    let rows: &[(&str, u16, Lines<'_>, Evaluation)] = &[
        ("13.2.1 203", 203, &[(INM, "\"a\"")], NotModified),
        ("13.2.1 299", 299, &[(IM, "\"b\"")], PreconditionFailed),
        ("13.2.1 301", 301, &[(INM, "\"a\"")], Proceed),
        ("13.2.1 301, If-Match", 301, &[(IM, "\"b\"")], Proceed),
        ("13.2.1 404", 404, &[(INM, "*")], Proceed),
        ("13.2.1 404, If-Match", 404, &[(IM, "*")], Proceed),
        ("13.2.1 404, dates", 404, &[(IMS, LATER)], Proceed),
        ("13.2.1 412 as it came", 412, &[(INM, "\"a\"")], Proceed),
        ("13.2.1 503", 503, &[(IUS, EARLIER)], Proceed),
        ("13.2.1 103", 103, &[(INM, "\"a\"")], Proceed),
    ];
    for (section, status, request, wanted) in rows {
        assert_eq!(outcome("GET", request, *status, STRONG), *wanted, "{section}: {request:?}");
    }
}

#[test]
fn what_the_operator_and_the_backend_say_of_dates() {
    let (dated, bare) = (headers(DATED), headers(BARE));
    let request = [(IMS, LATER)];
    let asked = conditions(&request);
    let of = |headers, stored, by_date| {
        let selected = Selected::new(200, headers, Date::exactly(0), stored);
        evaluate(b"GET", &asked, &selected, by_date)
    };
    // if_modified_since off
    assert_eq!(of(&dated, true, ByDate::Off), Proceed);
    // 9111 4.3.2 speaks of stored responses only
    assert_eq!(of(&bare, true, ByDate::On), NotModified);
    assert_eq!(of(&bare, false, ByDate::On), Proceed);
    assert_eq!(of(&dated, false, ByDate::On), NotModified);
    // ... and a tag isn't a date
    let request = [(INM, "\"a\"")];
    let strong = headers(STRONG);
    let selected = Selected::new(200, &strong, DATE, true);
    let found = evaluate(b"GET", &conditions(&request), &selected, ByDate::Off);
    assert_eq!(found, NotModified);
}

const RANGE: (&str, &str) = ("Range", "bytes=0-1");
const IR: &str = "If-Range";

#[test]
#[rustfmt::skip]
fn ranges() {
    let rows: &[(&str, &str, Lines<'_>, u16, Lines<'_>, bool)] = &[
        ("14.2 GET", "GET", &[RANGE], 200, STRONG, true),
        ("14.2 without a validator", "GET", &[RANGE], 200, BARE, true),
        ("14.2 none", "GET", &[], 200, STRONG, false),
        ("14.2 HEAD", "HEAD", &[RANGE], 200, STRONG, false),
        ("14.2 POST", "POST", &[RANGE], 200, STRONG, false),
        ("14.2 203", "GET", &[RANGE], 203, STRONG, false),
        ("14.2 404", "GET", &[RANGE], 404, STRONG, false),
        ("14.2 206 of the backend", "GET", &[RANGE], 206, STRONG, false),
        ("5.3 Range is no list", "GET", &[RANGE, RANGE], 200, STRONG, false),
        ("13.1.5 If-Range alone", "GET", &[(IR, "\"a\"")], 200, STRONG, false),
        ("13.1.5 the same tag", "GET", &[RANGE, (IR, "\"a\"")], 200, STRONG, true),
        ("13.1.5 another tag", "GET", &[RANGE, (IR, "\"b\"")], 200, STRONG, false),
        ("13.1.5 blanks around", "GET", &[RANGE, (IR, " \"a\" ")], 200, STRONG, true),
        ("13.1.5 a weak tag there", "GET", &[RANGE, (IR, "W/\"a\"")], 200, STRONG, false),
        ("13.1.5 a weak tag here", "GET", &[RANGE, (IR, "\"a\"")], 200, WEAK, false),
        ("13.1.5 weak tags never match", "GET", &[RANGE, (IR, "W/\"a\"")], 200, WEAK, false),
        ("13.1.5 no list", "GET", &[RANGE, (IR, "\"a\", \"b\"")], 200, STRONG, false),
        ("13.1.5 no *", "GET", &[RANGE, (IR, "*")], 200, STRONG, false),
        ("13.1.5 repeated", "GET", &[RANGE, (IR, "\"a\""), (IR, "\"a\"")], 200, STRONG, false),
        ("13.1.5 a tag, but the answer has none", "GET", &[RANGE, (IR, "\"a\"")], 200, DATED, false),
        ("13.1.5 no entity tag", "GET", &[RANGE, (IR, "a1")], 200, &[("ETag", "a1")], false),
        ("13.1.5 the date", "GET", &[RANGE, (IR, MODIFIED)], 200, STRONG, true),
        ("13.1.5 the date in asctime", "GET", &[RANGE, (IR, "Sun Nov  6 08:49:37 1994")], 200, STRONG, true),
        ("13.1.5 a later date", "GET", &[RANGE, (IR, LATER)], 200, STRONG, false),
        ("13.1.5 an earlier date", "GET", &[RANGE, (IR, EARLIER)], 200, STRONG, false),
        ("13.1.5 a date, but the answer has none", "GET", &[RANGE, (IR, MODIFIED)], 200, BARE, false),
        ("13.1.5 invalid", "GET", &[RANGE, (IR, "now")], 200, STRONG, false),
        ("13.1.5 both invalid", "GET", &[RANGE, (IR, "0")], 200, &[("Last-Modified", "0")], false),
    ];
    for (section, method, request, status, response, wanted) in rows {
        let headers = headers(response);
        let selected = Selected::new(*status, &headers, DATE, true);
        let found = range_applies(method.as_bytes(), &conditions(request), &selected);
        assert_eq!(found, *wanted, "{section}: {method} {request:?} of {response:?}");
    }
}

/// RFC 9110 8.8.2.2
#[test]
fn a_date_is_strong_a_second_after_the_modification() {
    let lines = [RANGE, (IR, MODIFIED)];
    let (asked, headers) = (conditions(&lines), headers(DATED));
    for (date, wanted) in [
        (Date::exactly(MODIFIED_SECONDS - 1), false),
        (Date::exactly(MODIFIED_SECONDS), false),
        (Date::exactly(MODIFIED_SECONDS + 1), true),
        // of a record: known to the second only
        (Date::before(MODIFIED_SECONDS + 11, 11), false),
        (Date::before(MODIFIED_SECONDS + 11, 10), false),
        (Date::before(MODIFIED_SECONDS + 11, 9), true),
    ] {
        let selected = Selected::new(200, &headers, date, true);
        assert_eq!(range_applies(b"GET", &asked, &selected), wanted, "{date:?}");
        let shared = selected.in_two_forms(true);
        assert!(!range_applies(b"GET", &asked, &shared), "8.8.1 {date:?}");
    }
}

/// RFC 9110 8.8.1: two forms share the date, and each has a tag of its own.
#[test]
fn of_two_forms_a_tag_is_strong_and_a_date_is_not() {
    let headers = headers(STRONG);
    for (validator, wanted) in [("\"a\"", true), (MODIFIED, false)] {
        let lines = [RANGE, (IR, validator)];
        let selected = Selected::new(200, &headers, DATE, true).in_two_forms(true);
        let found = range_applies(b"GET", &conditions(&lines), &selected);
        assert_eq!(found, wanted, "{validator}");
    }
    // The other conditions don't need a strong one.
    for (line, wanted) in [
        ((IMS, MODIFIED), NotModified),
        ((IUS, MODIFIED), Proceed),
        ((IUS, EARLIER), PreconditionFailed),
    ] {
        let lines = [line];
        let selected = Selected::new(200, &headers, DATE, true).in_two_forms(true);
        let found = evaluate(b"GET", &conditions(&lines), &selected, ByDate::On);
        assert_eq!(found, wanted, "{line:?}");
    }
}

#[test]
#[rustfmt::skip]
fn a_304_has_what_its_200_would_have() {
    let rows = [
        ("15.4.5", "ETag", true), ("15.4.5", "Content-Location", true), ("15.4.5", "Date", true),
        ("15.4.5", "Cache-Control", true), ("15.4.5", "Expires", true), ("15.4.5", "Vary", true),
        ("15.4.5 for updates", "Last-Modified", true), ("9111 4.3.4 any other", "X-Any", true),
        ("8.6", "Content-Length", false), ("8.3", "Content-Type", false),
        ("8.4", "Content-Encoding", false), ("8.5", "content-language", false),
        ("14.4", "Content-Range", false), ("14.3", "Accept-Ranges", false),
    ];
    for (section, name, wanted) in rows {
        assert_eq!(is_in_not_modified(name.as_bytes()), wanted, "{section}: {name}");
    }
    let whole = headers(&[("Link", "1"), ("Content-Type", "text/plain"), ("Link", "2")]);
    assert_eq!(of_not_modified(&whole), headers(&[("Link", "1"), ("Link", "2")]));
}

#[test]
#[rustfmt::skip]
fn many_small_parts_are_not_worth_it() {
    let many = |count: usize, of: &str| {
        let list: Vec<_> = (0..count).map(|n| of.replace('#', &(2 * n).to_string())).collect();
        format!("bytes={}", list.join(","))
    };
    let rows: &[(&str, String, u64, bool)] = &[
        ("14.1.2 one", "bytes=0-".to_owned(), 10, true),
        ("14.1.2 the last", "bytes=-5".to_owned(), 10, true),
        ("14.2 two of a short body", "bytes=0-1,8-9".to_owned(), 10, true),
        ("14.2 ten of a short body", many(10, "#-#"), 30, true),
        ("14.2 eleven of a short body", many(11, "#-#"), 30, false),
        ("14.2 eleven of a long body", many(11, "#-#"), 10_000, true),
        ("17.15 2,000 of a body of 10 kB", many(2000, "#-#"), 10_000, false),
        ("17.15 2,000 of a body of 1 MB", many(2000, "#-#"), 1_000_000, true),
        ("17.15 the same again and again", many(20, "0-"), 10_000, false),
        ("14.1.2 those behind the end are none", many(2000, "9999999#-"), 10_000, true),
        ("14.1.2 nonsense is none", many(2000, "x"), 10, true),
        ("14.1.2 last before first is none", many(2000, "9-8"), 10, true),
        ("14.1.2 overflow", many(20, "-99999999999999999999999"), 100_000, false),
        ("14.1 no unit", "0-1".to_owned(), 10, true),
        ("14.1 nothing", String::new(), 10, true),
    ];
    for (section, range, length, wanted) in rows {
        let shown = range.get(..range.len().min(40));
        assert_eq!(is_worth_it(range.as_bytes(), *length), *wanted, "{section}: {shown:?} of {length}");
    }
}

proptest! {
    /// Any bytes are an answer, and a tag that is listed is found whatever stands around it.
    #[test]
    fn no_input_panics(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        tags in proptest::collection::vec("[!#-~]{0,6}", 0..4),
    ) {
        let etag = Headers::from_iter(headers(&[]));
        let lines = [(IM.as_bytes(), before.as_slice()), (IR.as_bytes(), &before), (b"Range", &before)];
        let asked = Conditions::of(lines.into_iter());
        let selected = Selected { etag: Some(&before), ..Selected::new(200, &etag, DATE, true) };
        let _ = evaluate(b"GET", &asked, &selected, ByDate::On);
        let _ = range_applies(b"GET", &asked, &selected);
        let _ = is_worth_it(&before, 1000);

        let quoted: Vec<_> = tags.iter().map(|tag| format!("\"{tag}\"")).collect();
        let list = quoted.join(" ,\t");
        let asked = Conditions::of([(INM.as_bytes(), list.as_bytes())].into_iter());
        for tag in &quoted {
            let selected = Selected { etag: Some(tag.as_bytes()), ..selected };
            prop_assert_eq!(evaluate(b"GET", &asked, &selected, ByDate::On), NotModified);
        }
    }
}
