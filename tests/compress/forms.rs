//! Which form of a record a client gets, and what its conditions compare with.

use testbed::{Answer, PATIENCE, Request, Response, decoded, eventually};

use crate::{accepting, site, text};

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BYTES: usize = 3000;

/// Asks for a response from a record.
type Ask<'a> = &'a dyn Fn(&Request) -> Response;

/// Has `judge` look at what clients get of a record of this answer, in Redis and then in memory. `more`: directives.
fn from_both(coding: &str, more: &str, answer: impl Fn(Answer) -> Answer, judge: impl Fn(Ask<'_>)) {
    for (source, store) in [("store", ""), ("memory", "memory 8m min_uses=1;")] {
        let site = site(coding).workers(1).store(store).location(more).start();
        let page = Answer::ok(text(BYTES)).content_type("text/html");
        site.backend.set("/x", answer(page));
        site.fill("/x");
        judge(&|request| {
            let found = eventually(PATIENCE, || {
                let answer = site.ask(request);
                (answer.header("x-source").as_deref() == Some(source)).then_some(answer)
            });
            found.unwrap_or_else(|| panic!("never from {source}"))
        });
        assert_eq!(site.backend.hits("/x"), 1, "{source}");
    }
}

fn part(request: Request) -> Request {
    request.header("Range", "bytes=2000-")
}

#[track_caller]
fn assert_whole_in(coding: &str, answer: &Response) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-encoding").as_deref(), Some(coding));
    assert!(answer.complete && decoded(coding, &answer.body) == text(BYTES));
}

#[track_caller]
fn assert_whole_plain(answer: &Response) {
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-encoding"), None);
    assert!(answer.complete && answer.body == text(BYTES));
}

/// Both forms have the date: a client may have a part of either.
pub fn if_range_with_a_date_gets_the_whole(coding: &str) {
    let dated = |answer: Answer| answer.header("Last-Modified", MODIFIED);
    from_both(coding, "", dated, |ask| {
        let since = |request: Request| part(request).header("If-Range", MODIFIED);
        let coded = ask(&since(accepting(coding, "/x")));
        assert_whole_in(coding, &coded);
        assert_eq!(coded.header("last-modified").as_deref(), Some(MODIFIED));
        assert_whole_plain(&ask(&since(Request::get("/x"))));
        // A date does for a condition that needs no strong validator.
        let unchanged = accepting(coding, "/x").header("If-Modified-Since", MODIFIED);
        assert_eq!(ask(&unchanged).status, 304);
        let cut = ask(&part(accepting(coding, "/x")));
        assert!(cut.status == 206 && cut.body == text(BYTES)[2000..]);
    });
    // The first client gets the plain form, and may have a part of another.
    let site = site(coding).start();
    for target in ["/compressed", "/short"] {
        let is_compressed = target == "/compressed";
        let body = text(if is_compressed { BYTES } else { 1000 });
        let page = Answer::ok(body.clone()).content_type("text/html");
        site.backend.set(target, dated(page));
        let request = Request::get(target)
            .header("Range", "bytes=500-")
            .header("If-Range", MODIFIED);
        let answer = site.ask(&request);
        assert_eq!(answer.word(), "STORE");
        if is_compressed {
            assert!(answer.status == 200 && answer.body == body);
        } else {
            assert!(answer.status == 206 && answer.body == body[500..]);
        }
    }
}

/// Such a tag can't be made weak: it goes with the plain form alone.
pub fn an_etag_without_quotes_is_not_sent_with_the_coded_form(coding: &str) {
    let tagged = |answer: Answer| answer.header("ETag", "abc");
    from_both(coding, "", tagged, |ask| {
        let coded = ask(&accepting(coding, "/x"));
        assert_whole_in(coding, &coded);
        assert_eq!(coded.header("etag"), None);
        let plain = ask(&Request::get("/x"));
        assert_whole_plain(&plain);
        assert_eq!(plain.header("etag").as_deref(), Some("abc"));
        // As it was sent it matches, whatever the client accepts.
        for request in [accepting(coding, "/x"), Request::get("/x")] {
            assert_eq!(ask(&request.header("If-None-Match", "abc")).status, 304);
        }
        // It is no strong one.
        let cut = part(accepting(coding, "/x")).header("If-Range", "abc");
        assert_whole_in(coding, &ask(&cut));
    });
}

/// RFC 9111 5.2.1.6
pub fn a_client_that_wants_no_transformation_gets_the_plain_form(coding: &str) {
    let no_transform = || accepting(coding, "/x").header("Cache-Control", "no-transform");
    let honor = "redis_cache_honor_request on;";
    from_both(
        coding,
        honor,
        |answer| answer,
        |ask| {
            assert_whole_plain(&ask(&no_transform()));
            assert_whole_in(coding, &ask(&accepting(coding, "/x")));
        },
    );
    from_both(
        coding,
        "",
        |answer| answer,
        |ask| {
            assert_whole_in(coding, &ask(&no_transform()));
        },
    );
}
