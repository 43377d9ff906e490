//! A header that can't leave at once: nginx buffers it, and the body goes behind it.

use std::ops::Range;
use std::thread;

use testbed::{Answer, Gate, Record, Request, Response, Running, Site, pattern};

const MODIFIED: &str = "Sat, 02 Jan 2010 03:04:05 GMT";

/// More than limit_rate lets through in the first second.
const HEADER: usize = 3000;

/// So many bytes a second.
const RATE: &str = "limit_rate 2k;";

/// Names and values.
type Fields = &'static [(&'static str, &'static str)];

/// What is asked, the status, and how much of the body comes.
const REQUESTS: [(&str, Fields, u16, Range<usize>); 6] = [
    ("GET", &[], 200, 0..600),
    ("HEAD", &[], 200, 0..0),
    ("GET", &[("Range", "bytes=100-199")], 206, 100..200),
    ("GET", &[("If-None-Match", "\"v1\"")], 304, 0..0),
    ("GET", &[("If-Modified-Since", MODIFIED)], 304, 0..0),
    ("GET", &[("If-Match", "\"v2\"")], 412, 0..0),
];

fn body() -> Vec<u8> {
    pattern(600, 1)
}

fn answer() -> Answer {
    Answer::ok(body())
        .header("ETag", "\"v1\"")
        .header("Last-Modified", MODIFIED)
        .header("X-Long", "x".repeat(HEADER))
}

fn site() -> Running {
    // One worker, so that those who come later join the fill.
    Site::new().workers(1).location(RATE).start()
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Request {
    fields
        .iter()
        .fold(Request::new(method, target), |request, (name, value)| {
            request.header(name, value)
        })
}

#[track_caller]
fn assert_whole(what: &str, got: &Response, status: u16, part: Range<usize>) {
    assert_eq!(got.status, status, "{what}");
    assert!(got.complete, "{what}: {} bytes", got.body.len());
    if status != 412 {
        assert_eq!(got.header("x-long").unwrap().len(), HEADER, "{what}");
        assert!(got.body == body()[part], "{what}: {} bytes", got.body.len());
    }
}

/// All the requests at once: each takes two seconds for its header.
fn assert_all(site: &Running, word: &str, target: impl Fn(usize) -> String + Sync) {
    thread::scope(|threads| {
        for (index, (method, fields, status, part)) in REQUESTS.into_iter().enumerate() {
            let target = target(index);
            threads.spawn(move || {
                let what = format!("{word}: {method} {fields:?}");
                let got = site.ask(&request(method, &target, fields));
                assert_whole(&what, &got, status, part);
                assert_eq!(got.word(), word, "{what}");
            });
        }
    });
}

#[test]
fn a_record_follows_its_slow_header() {
    let site = site();
    site.backend.set_otherwise(answer());
    site.fill("/hit");
    assert_all(&site, "HIT", |_| "/hit".to_owned());
    for (index, _) in REQUESTS.iter().enumerate() {
        let target = format!("/stale{index}");
        site.redis.put(&target, &record(), 50);
    }
    assert_all(&site, "STALE", |index| format!("/stale{index}"));
}

fn record() -> Record {
    let headers = format!(
        "{{\"ETag\":\"\\\"v1\\\"\",\"Last-Modified\":\"{MODIFIED}\",\"X-Long\":\"{}\"}}",
        "x".repeat(HEADER)
    );
    Record::lua("200", headers, body())
}

#[test]
fn a_fill_follows_its_slow_header() {
    let site = site();
    site.backend.set_otherwise(answer());
    assert_all(&site, "STORE", |index| format!("/{index}"));
}

#[test]
fn a_joined_fill_follows_its_slow_header() {
    let site = site();
    let gate = Gate::new();
    site.backend.set("/x", answer().gate_at(300, &gate));
    let mut first = site.client();
    first.send(&Request::get("/x")).unwrap();
    let mut response = first.receive_header().unwrap();
    let opener = gate.clone();
    let site = &site;
    thread::scope(|threads| {
        threads.spawn(|| assert_all(site, "HIT", |_| "/x".to_owned()));
        // Those with a body wait for the rest, with their headers on the way or gone.
        thread::sleep(testbed::ms(300));
        opener.open();
    });
    first.receive_rest(&mut response).unwrap();
    assert_whole("the first", &response, 200, 0..600);
    assert_eq!(site.backend.hits("/x"), 1);
}
