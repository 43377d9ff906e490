//! Parts of a file where filters want to change its body, and where it is the page of an error: as with other records.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use testbed::{Answer, Request, Running};

use crate::file::{File, span};
use crate::{MIB, part, sliced};

/// Bytes that gzip makes no shorter.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = (0..size / 8 + 1).flat_map(|_| next()).collect();
    bytes.truncate(size);
    bytes
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["-1", "-c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, bytes) = (gzip.stdin.take().unwrap(), bytes.to_vec());
    let feeder = thread::spawn(move || input.write_all(&bytes).unwrap());
    let output = gzip.wait_with_output().unwrap();
    feeder.join().unwrap();
    output.stdout
}

/// A backend with ranges, whose answers have this type, and this Content-Encoding if any.
fn serve(
    site: &Running,
    path: &str,
    body: Vec<u8>,
    kind: &'static str,
    coding: Option<&'static str>,
) {
    site.backend.script(path, move |request, _| {
        let total = body.len();
        let wanted = request
            .header("Range")
            .and_then(|range| span(&range, total));
        let answer = match wanted {
            Some((first, last)) => Answer::of(206, &body[first..=last])
                .header("Content-Range", format!("bytes {first}-{last}/{total}")),
            None => Answer::ok(body.clone()),
        };
        let answer = answer.content_type(kind).header("ETag", "\"v1\"");
        match coding {
            Some(coding) => answer.header("Content-Encoding", coding),
            None => answer,
        }
    });
}

const RANGES: [&str; 5] = [
    "bytes=100-109",
    "bytes=-5",
    "bytes=1500000-1500009",
    "bytes=0-9,1500000-1500009",
    "bytes=99999999-",
];

#[test]
fn who_has_no_gzip_gets_the_whole_inflated() {
    let site = sliced().workers(1).location("gunzip on;").start();
    let plain = noise(2 * MIB);
    let stored = zipped(&plain);
    serve(
        &site,
        "/x",
        stored.clone(),
        "application/octet-stream",
        Some("gzip"),
    );
    for range in RANGES {
        let answer = site.ask(&part("/x", range));
        assert_eq!(answer.status, 200, "{range}");
        assert_eq!(answer.header("content-range"), None, "{range}");
        assert!(answer.complete && answer.body == plain, "{range}");
    }
    let accepting = part("/x", RANGES[2]).header("Accept-Encoding", "gzip");
    let answer = site.ask(&accepting);
    assert_eq!(answer.status, 206);
    assert!(answer.body == stored[1_500_000..1_500_010]);
}

#[test]
fn a_body_that_is_changed_is_sent_as_a_whole() {
    let site = sliced()
        .workers(1)
        .location("sub_filter needle pin; sub_filter_once off;")
        .start();
    let text = b"hay needle ".repeat(150_000);
    let changed = b"hay pin ".repeat(150_000);
    serve(&site, "/page", text.clone(), "text/html", None);
    serve(&site, "/file", text.clone(), "text/plain", None);
    for range in RANGES {
        let answer = site.ask(&part("/page", range));
        assert_eq!(answer.status, 200, "{range}");
        assert_eq!(answer.header("content-range"), None, "{range}");
        assert!(answer.complete && answer.body == changed, "{range}");
        let answer = site.ask(&part("/file", range));
        let wanted = if range == RANGES[4] { 416 } else { 206 };
        assert_eq!(answer.status, wanted, "{range}");
    }
    let answer = site.ask(&part("/file", RANGES[2]));
    assert!(answer.body == text[1_500_000..1_500_010]);
}

#[test]
fn the_page_of_an_error_has_no_parts() {
    let site = sliced()
        .workers(1)
        .locations(
            "location /found { error_page 404 =200 /film; return 404; }
             location /lost { error_page 404 /film; return 404; }",
        )
        .start();
    let file = File::new(3 * MIB);
    file.serve(&site.backend, "/film");
    let body = file.body();
    for _ in 0..2 {
        let found = site.ask(&part("/found", "bytes=0-9"));
        assert_eq!(found.status, 206);
        let range = format!("bytes 0-9/{}", body.len());
        assert_eq!(found.header("content-range"), Some(range));
        assert!(found.complete && found.body == body[..10]);
        for range in ["bytes=2000000-2000009", "bytes=0-0,-1", "bytes=99999999-"] {
            let lost = site.ask(&part("/lost", range));
            assert_eq!(lost.status, 404, "{range}");
            assert_eq!(lost.header("content-range"), None, "{range}");
            assert!(lost.complete && lost.body == *body, "{range}");
        }
        let lost = site.ask(&Request::get("/lost"));
        assert!(lost.status == 404 && lost.body == *body);
    }
}
