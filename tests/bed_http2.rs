//! The test bed's own HTTP/2 client, on nginx without the module.

use testbed::{
    Answer, Certificate, Client, Http2, PATIENCE, Port, Request, Running, Site, pattern, wait_for,
};

/// A site that speaks HTTP/2 at a port of its own, and what keeps port and certificate.
fn site(certificate: Option<&Certificate>) -> (Running, Port) {
    let port = Port::take();
    let server = match certificate {
        Some(certificate) => format!(
            "listen {} ssl http2; {}",
            port.address(),
            certificate.directives()
        ),
        None => format!("listen {} http2;", port.address()),
    };
    let site = Site::plain()
        .server(&server)
        .location("proxy_buffers 4 8k; add_trailer X-End \"of $uri\";");
    let site = site.start();
    site.backend.set("/big", Answer::ok(pattern(7_000_000, 1)));
    site.backend.set("/small", Answer::ok(pattern(600, 2)));
    (site, port)
}

#[test]
fn it_asks_over_tls_and_in_clear_text() {
    for certificate in [None, Some(Certificate::make())] {
        let (site, port) = site(certificate.as_ref());
        let mut options = Http2::new();
        if let Some(certificate) = &certificate {
            options = options.tls(certificate);
        }
        let mut client = options.connect(port.address());
        let answer = client.get("/small");
        assert_eq!((answer.status, answer.version.as_str()), (200, "HTTP/2.0"));
        assert!(answer.body == pattern(600, 2));
        let sent = pattern(10_000, 3);
        let post = Request::post("/echo", sent.clone()).header("X-Own", "a");
        assert_eq!(client.ask(&post).status, 200);
        let seen = site.backend.last("/echo");
        assert_eq!(seen.header("x-own").as_deref(), Some("a"));
        assert!(seen.body == sent);
        let mut stream = client.send(&Request::get("/big")).unwrap();
        let answer = stream.receive().unwrap();
        assert!(answer.body == pattern(7_000_000, 1));
        assert_eq!(answer.trailers, [("x-end".to_owned(), b"of /big".to_vec())]);
        assert!(client.ask(&Request::head("/big")).body.is_empty());
    }
}

#[test]
fn a_stream_that_nobody_reads_stops_at_its_window() {
    let (_site, port) = site(None);
    let mut client = Http2::new()
        .stream_window(1_000)
        .connection_window(1_000_000)
        .connect(port.address());
    let request = Request::get("/big");
    let mut unread: Vec<_> = (0..20).map(|_| client.send(&request).unwrap()).collect();
    // They leave the others room.
    assert!(client.get("/small").body == pattern(600, 2));
    let mut stream = unread.pop().unwrap();
    let mut answer = stream.receive_header().unwrap();
    stream.receive_until(&mut answer, 1_000).unwrap();
    assert!(answer.body == pattern(7_000_000, 1)[..1_000]);
    unread.pop().unwrap().cancel();
    assert!(stream.receive_piece(&mut answer).unwrap());
}

#[test]
fn a_socket_that_nobody_reads_fills() {
    let (site, port) = site(None);
    let client = Http2::new()
        .stream_window(16_000_000)
        .connection_window(16_000_000)
        .receive_buffer(4_096);
    let mut client = client.connect(port.address());
    assert!(client.get("/small").body == pattern(600, 2));
    client.pause();
    let mut big = client.send(&Request::get("/big")).unwrap();
    site.backend.wait_for_hits("/big", 1);
    let mut small = client.send(&Request::get("/small")).unwrap();
    wait_for("the request behind it", PATIENCE, || {
        site.backend.hits("/small") == 2
    });
    client.resume();
    assert!(small.receive().unwrap().body == pattern(600, 2));
    assert!(big.receive().unwrap().body == pattern(7_000_000, 1));
    client.slow_down(1_000_000);
    let start = std::time::Instant::now();
    let mut some = client.send(&Request::get("/big")).unwrap();
    let mut answer = some.receive_header().unwrap();
    some.receive_until(&mut answer, 300_000).unwrap();
    assert!(start.elapsed().as_millis() > 150, "{:?}", start.elapsed());
}

#[test]
fn a_reset_has_its_code() {
    let (site, port) = site(None);
    let body = Answer::ok(pattern(300_000, 4)).cut_at(100_000);
    site.backend.set("/cut", body);
    let mut client = Http2::new().connect(port.address());
    let mut stream = client.send(&Request::get("/cut")).unwrap();
    let mut answer = stream.receive_header().unwrap();
    let failure = stream.receive_rest(&mut answer).unwrap_err();
    // INTERNAL_ERROR
    assert_eq!(failure.code, Some(2), "{failure}");
    assert!(!answer.complete && answer.body.len() >= 90_000);
    assert_eq!(client.get("/small").status, 200);
}

#[test]
fn an_answer_that_comes_before_the_request_is_sent_is_taken() {
    let site = Site::plain().http2().location("deny all;").start();
    let mut client = Http2::new().connect(site.http2_address());
    let post = Request::post("/early", pattern(1_000, 5));
    let mut stream = client.open(&post).unwrap();
    let mut answer = stream.receive_header().unwrap();
    stream.receive_rest(&mut answer).unwrap();
    // nginx has reset the stream by now.
    stream.send_body(&pattern(1_000, 5));
    assert_eq!((answer.status, answer.complete), (403, true));
    // The body is longer than the stream's window.
    let answer = client.ask(&Request::post("/early", pattern(1_000_000, 6)));
    assert_eq!((answer.status, answer.complete), (403, true));
    assert_eq!(site.backend.hits("/early"), 0);
}

/// The usual client speaks HTTP/2 where `TESTBED_CLIENT=h2` asks for it, but for what only HTTP/1.1 can say.
#[test]
fn the_usual_client_speaks_what_is_asked_for() {
    let wanted = std::env::var("TESTBED_CLIENT").is_ok_and(|client| client == "h2");
    let site = Site::new().workers(1).start();
    let body = pattern(100_000, 1);
    site.backend.set("/x", Answer::ok(body.clone()));
    let answer = site.get("/x");
    assert_eq!(answer.version == "HTTP/2.0", wanted, "{}", answer.version);
    assert!(answer.complete && answer.body == body);
    let close = Request::get("/x").header("Connection", "close");
    assert_eq!(site.ask(&close).version, "HTTP/1.1");
    let mut http1 = Client::connect_http1(site.address());
    assert_eq!(http1.get("/x").version, "HTTP/1.1");
}
