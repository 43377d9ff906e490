//! Answers of a backend that two readers could understand differently, or that are too large: passed on as
//! nginx's proxy does, never stored, and a stale record is used in their place.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use testbed::{Answer, Record, Site, holds_for, ms};

/// A backend that says these very bytes to everybody.
fn parrot(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(&bytes);
        }
    });
    address
}

#[test]
fn an_answer_that_nginx_refuses_is_not_stored() {
    let long = "x".repeat(100_000);
    let cases: [(&str, String); 7] = [
        (
            "both lengths",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n".into(),
        ),
        (
            "two lengths",
            "Content-Length: 4\r\nContent-Length: 2\r\n\r\nbody".into(),
        ),
        ("a signed length", "Content-Length: -4\r\n\r\nbody".into()),
        (
            "an unknown coding",
            "Transfer-Encoding: gzip\r\n\r\nbody".into(),
        ),
        (
            "NUL in a header",
            "X-A: 1\0\r\nContent-Length: 4\r\n\r\nbody".into(),
        ),
        (
            "one large header",
            format!("X-A: {long}\r\nContent-Length: 4\r\n\r\nbody"),
        ),
        (
            "many headers",
            format!(
                "{}Content-Length: 4\r\n\r\nbody",
                "X-A: 0123456789\r\n".repeat(5000)
            ),
        ),
    ];
    for (name, rest) in cases {
        let backend = parrot(format!("HTTP/1.1 200 OK\r\n{rest}").into_bytes());
        let site = Site::new()
            .location(&format!("proxy_pass http://{backend};"))
            .start();
        let refused = site.get("/x");
        assert_eq!(
            (refused.status, refused.word().as_str()),
            (502, "SKIP"),
            "{name}"
        );
        assert!(holds_for(ms(50), || site.redis.keys().is_empty()), "{name}");
        site.redis
            .put("/x", &Record::lua_text("stale, but sound"), 50);
        let stale = site.get("/x");
        assert_eq!(
            (stale.status, stale.word().as_str(), stale.text().as_str()),
            (200, "STALE", "stale, but sound"),
            "{name}"
        );
        assert!(
            holds_for(ms(50), || site.redis.get("/x").unwrap().body
                == b"stale, but sound"),
            "{name}"
        );
    }
}

/// What a buffer of the operator's lets through is stored only as far as records go.
#[test]
fn headers_beyond_what_a_record_may_have_are_passed_on_but_not_stored() {
    let site = Site::new()
        .location("proxy_buffer_size 512k; proxy_buffers 8 512k; proxy_busy_buffers_size 512k;")
        .start();
    let large = "x".repeat(100_000);
    for (path, count, word) in [("/two", 2, "STORE"), ("/three", 3, "SKIP")] {
        let mut answer = Answer::ok("body");
        for _ in 0..count {
            answer = answer.header("X-Large", &large);
        }
        site.backend.set(path, answer);
        let first = site.get(path);
        assert_eq!((first.status, first.word().as_str()), (200, word), "{path}");
        assert_eq!(first.headers("x-large").len(), count, "{path}");
    }
    site.wait_for_hit("/two");
    assert_eq!(site.redis.keys(), ["/two"]);
}
