//! What is zstd's own.

use testbed::{Answer, PATIENCE, Request, decoded, wait_for};

use crate::{accepting, assert_coded, assert_plain, page, site, text};

/// A client that can't read zstd may get gzip from nginx's own filter, as it would of a plain record.
#[test]
fn a_client_of_gzip_gets_it_of_the_filter() {
    let site = site("zstd")
        .workers(2)
        .server("gzip on; gzip_types text/html; gzip_proxied any; gzip_vary on;")
        .start();
    for (target, bytes) in [("/small", 3000), ("/large", 400_000)] {
        let body = text(bytes);
        site.backend.set(target, page(&body));
        site.fill(target);
        for _ in 0..2 {
            let packed = site.ask(&accepting("gzip, deflate, br", target));
            let said = |name| packed.header(name).unwrap_or_default();
            assert_eq!(packed.word(), "HIT");
            assert_eq!(said("content-encoding"), "gzip");
            assert_eq!(said("etag"), "W/\"abc\"");
            assert_eq!(said("vary"), "Accept-Encoding");
            assert!(packed.complete && decoded("gzip", &packed.body) == body);
            let own = site.ask(&accepting("gzip, deflate, br, zstd", target));
            assert_coded("zstd", &own, &body, target);
            assert_plain(&site.get(target), &body, target);
        }
        assert_eq!(site.backend.hits(target), 1);
    }
}

/// Whether a frame says how long its body is (RFC 8878 3.1.1.1.1): then who decodes it needs less memory.
fn says_its_length(frame: &[u8]) -> bool {
    frame[4] & 0b1110_0000 != 0
}

#[test]
fn a_short_body_says_its_length_however_it_comes() {
    let site = site("zstd").start();
    for (target, bytes, is_chunked) in [
        ("/known", 3000, false),
        ("/chunked", 3000, true),
        ("/longer", 60_000, true),
        ("/large", 200_000, false),
    ] {
        let body = text(bytes);
        let answer = page(&body);
        let answer = if is_chunked { answer.chunked() } else { answer };
        site.backend.set(target, answer);
        site.fill(target);
        let record = site.redis.wait_for_record(target);
        assert_eq!(record.header("Content-Encoding"), ["zstd"], "{target}");
        assert!(says_its_length(&record.body), "{target}");
        assert!(decoded("zstd", &record.body) == body, "{target}");
        assert_plain(&site.get(target), &body, target);
    }
}

/// A frame with a larger window than this module's isn't decoded: it would take more memory.
#[test]
fn a_larger_window_is_a_damaged_record() {
    let site = site("zstd").start();
    let body = text(200_000);
    site.backend.set("/x", page(&body).chunked());
    site.fill("/x");
    let record = site.redis.wait_for_record("/x");
    // RFC 8878 3.1.1.1.2: Window_Descriptor, here of 4 MB.
    let mut frame = record.body.clone();
    frame[5] = (22 - 10) << 3;
    assert!(decoded("zstd", &frame) == body);
    let script = "local body = redis.call('HGET', KEYS[1], 'body') \
                  return redis.call('HSET', KEYS[1], 'body', body:sub(1, 5) .. '\\96' .. body:sub(7))";
    let _: i64 = site.redis.command(&["EVAL", script, "1", "/x"]);
    // Who accepts zstd can read it.
    let answer = site.ask(&accepting("zstd", "/x"));
    assert_coded("zstd", &answer, &body, "as it is");
    let answer = site.get("/x");
    assert_eq!(answer.word(), "STORE");
    assert_plain(&answer, &body, "a miss");
    site.wait_for_hit("/x");
    assert_plain(&site.get("/x"), &body, "anew");
    assert_eq!(site.backend.hits("/x"), 2);
}

/// A backend's own zstd is its own: stored and sent as it came.
#[test]
fn what_the_backend_has_in_zstd_stays_as_it_is() {
    let site = site("zstd").start();
    let answer = Answer::ok("(bytes of zstd)".repeat(200))
        .content_type("text/html")
        .header("Content-Encoding", "zstd");
    let body = "(bytes of zstd)".repeat(200);
    site.backend.set("/x", answer);
    site.fill("/x");
    for request in [
        Request::get("/x"),
        accepting("gzip", "/x"),
        accepting("zstd", "/x"),
    ] {
        let answer = site.ask(&request);
        assert_eq!(answer.word(), "HIT");
        assert_eq!(answer.header("content-encoding").as_deref(), Some("zstd"));
        assert_eq!(answer.header("vary"), None);
        assert!(answer.body == body.as_bytes());
    }
    assert_eq!(site.backend.hits("/x"), 1);
}

/// A client that breaks off while its body is decoded takes nothing with it.
#[test]
fn clients_leave_in_the_middle() {
    let site = site("zstd").workers(1).start();
    let body = text(3_000_000);
    site.backend.set("/x", page(&body));
    site.fill("/x");
    for _ in 0..10 {
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, 100_000).unwrap();
    }
    wait_for("a whole body", PATIENCE, || site.get("/x").body == body);
    assert_eq!(site.backend.hits("/x"), 1);
}
