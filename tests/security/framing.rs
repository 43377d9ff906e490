//! Requests with a framing that two servers could read differently (RFC 9112 6.3, 11.2): a fill either doesn't
//! take place, or its backend gets one well-formed request and nothing else on that connection.

use testbed::{Site, ms};

/// What an attacker wants the backend to take for a request of its own.
const INNER: &str = "GET /smuggled HTTP/1.1\r\nHost: inner\r\n\r\n";

fn sites() -> Vec<(String, Site)> {
    Site::forms()
        .into_iter()
        .map(|(form, site)| {
            let listed = if form == "own handler" {
                site.location("redis_cache_methods GET HEAD POST;")
            } else {
                site
            };
            (form.to_owned(), listed)
        })
        .collect()
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

#[test]
fn a_request_of_doubtful_length_is_refused() {
    let length = INNER.len();
    let cases = [
        (
            "both lengths",
            format!(
                "Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INNER}"
            ),
            400,
        ),
        (
            "both lengths, turned round",
            format!("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{INNER}"),
            400,
        ),
        (
            "two lengths",
            format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{INNER}"),
            400,
        ),
        (
            "the same length twice",
            format!("Content-Length: {length}\r\nContent-Length: {length}\r\n\r\n{INNER}"),
            400,
        ),
        (
            "a list of lengths",
            format!("Content-Length: {length}, {length}\r\n\r\n{INNER}"),
            400,
        ),
        (
            "a signed length",
            format!("Content-Length: +{length}\r\n\r\n{INNER}"),
            400,
        ),
        (
            "a length in hex",
            format!("Content-Length: 0x{length:x}\r\n\r\n{INNER}"),
            400,
        ),
        (
            "a coding that is none",
            format!("Transfer-Encoding: xchunked\r\n\r\n{}", chunked(INNER)),
            501,
        ),
        (
            "two codings",
            format!(
                "Transfer-Encoding: chunked, identity\r\n\r\n{}",
                chunked(INNER)
            ),
            501,
        ),
        (
            "a vertical tab before the coding",
            format!("Transfer-Encoding: \x0bchunked\r\n\r\n{}", chunked(INNER)),
            501,
        ),
        (
            "a blank before the colon",
            format!("Transfer-Encoding : chunked\r\n\r\n{}", chunked(INNER)),
            400,
        ),
        (
            "a folded line",
            format!(
                "X-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n{}",
                chunked(INNER)
            ),
            400,
        ),
        (
            "a size that is no number",
            format!("Transfer-Encoding: chunked\r\n\r\n0x5\r\nabcde\r\n0\r\n\r\n{INNER}"),
            400,
        ),
    ];
    for (form, site) in sites() {
        let site = site.start();
        for method in ["GET", "POST"] {
            for (name, rest, status) in &cases {
                let mut client = site.client();
                let raw = format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n{rest}");
                client.send_raw(raw.as_bytes()).unwrap();
                let answer = client.receive().unwrap();
                assert_eq!(answer.status, *status, "{form}: {method}: {name}");
                assert!(
                    client.is_closed_within(ms(3000)),
                    "{form}: {method}: {name}: what follows isn't read"
                );
            }
        }
        assert_eq!(site.backend.all_hits(), 0, "{form}");
        assert!(site.redis.keys().is_empty(), "{form}");
    }
}

/// Whatever the client's body is called or cut into, the backend gets its bytes as a body.
#[test]
fn a_body_arrives_as_the_body_of_one_request() {
    for (form, site) in sites() {
        let site = site.start();
        let framings = [
            (
                "length",
                format!("Content-Length: {}\r\n\r\n{INNER}", INNER.len()),
            ),
            (
                "chunks",
                format!("Transfer-Encoding: chunked\r\n\r\n{}", chunked(INNER)),
            ),
            (
                "chunks with an extension and a trailer",
                format!(
                    "Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{INNER}\r\n0\r\nContent-Length: 3\r\n\r\n",
                    INNER.len()
                ),
            ),
            (
                "expected first",
                format!(
                    "Expect: 100-continue\r\nContent-Length: {}\r\n\r\n{INNER}",
                    INNER.len()
                ),
            ),
            (
                "with fields of one hop",
                format!(
                    "Connection: close, Content-Length, X-A\r\nX-A: 1\r\nTE: trailers\r\nTrailer: X-B\r\n\
                     Keep-Alive: 5\r\nContent-Length: {}\r\n\r\n{INNER}",
                    INNER.len()
                ),
            ),
        ];
        // a listed POST is filled, a GET with content and a PUT are passed
        for method in ["POST", "GET", "PUT"] {
            for (number, (name, rest)) in framings.iter().enumerate() {
                let path = format!("/{method}-{number}");
                let mut client = site.client();
                let raw = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{rest}");
                client.send_raw(raw.as_bytes()).unwrap();
                let mut answer = client.receive_header().unwrap();
                if answer.status == 100 {
                    answer = client.receive_header().unwrap();
                }
                client.receive_rest(&mut answer).unwrap();
                let word = if method == "POST" { "STORE" } else { "SKIP" };
                assert_eq!(
                    (answer.status, answer.word().as_str()),
                    (200, word),
                    "{form}: {method}: {name}"
                );
                let received = site.backend.last(&path);
                assert_eq!(received.method, method);
                assert_eq!(received.body, INNER.as_bytes(), "{form}: {method}: {name}");
                let count = |wanted: &str| {
                    let is = |(field, _): &&(String, Vec<u8>)| field.eq_ignore_ascii_case(wanted);
                    received.fields.iter().filter(is).count()
                };
                assert_eq!(
                    count("content-length") + count("transfer-encoding"),
                    1,
                    "{form}: {method}: {name}: {:?}",
                    received.fields
                );
                for field in ["expect", "keep-alive", "te"] {
                    assert_eq!(count(field), 0, "{form}: {method}: {name}: {field}");
                }
            }
        }
        assert_eq!(site.backend.hits("/smuggled"), 0, "{form}");
        assert_eq!(site.backend.all_hits(), 15, "{form}");
    }
}

/// A GET with content would let its sender choose what the others get: a backend may heed it, the key doesn't.
#[test]
fn a_get_with_content_is_neither_stored_nor_answered_from_a_record() {
    for (form, site) in Site::forms() {
        let site = site.start();
        site.backend.script("/x", |request, _| {
            testbed::Answer::ok(format!("{:?}", String::from_utf8_lossy(&request.body)))
        });
        let evil = testbed::Request::get("/x").body("lang=evil");
        for turn in 0..2 {
            let answer = site.ask(&evil);
            assert_eq!(
                (answer.word().as_str(), answer.text().as_str()),
                ("SKIP", "\"lang=evil\""),
                "{form}: {turn}"
            );
            assert_eq!(
                answer.header("x-status").as_deref().unwrap_or("BYPASS"),
                "BYPASS"
            );
            if turn == 0 {
                assert!(site.redis.keys().is_empty(), "{form}");
                assert_eq!(site.fill("/x").text(), "\"\"", "{form}");
            }
        }
        assert_eq!(site.wait_for_hit("/x").text(), "\"\"", "{form}");
        let empty = testbed::Request::get("/x").header("Content-Length", "0");
        assert_eq!(site.ask(&empty).word(), "HIT", "{form}");
    }
}

/// A path that decodes to a line end stays one request line.
#[test]
fn a_path_cannot_end_the_request_line() {
    for (form, site) in sites() {
        let site = site.start();
        let target = "/a%0d%0aX-Evil:%201%0d%0a%0d%0aGET%20/smuggled%20HTTP/1.1%0d%0a%0d%0a";
        assert_eq!(site.get(target).status, 200, "{form}");
        assert_eq!(site.backend.all_hits(), 1, "{form}");
        let requests = site.backend.requests("/smuggled");
        assert!(requests.is_empty(), "{form}");
        site.redis.wait_for_record(&site.key(target));
        for raw in [
            "GET /a\rb HTTP/1.1",
            "GET /a\x01b HTTP/1.1",
            "GET /a%00b HTTP/1.1",
        ] {
            let mut client = site.client();
            client
                .send_raw(format!("{raw}\r\nHost: localhost\r\n\r\n").as_bytes())
                .unwrap();
            assert_eq!(client.receive().unwrap().status, 400, "{form}: {raw:?}");
        }
        assert_eq!(site.backend.all_hits(), 1, "{form}");
    }
}
