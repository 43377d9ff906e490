//! HTTP/1.0, HTTP/2 over TLS, and what isn't HTTP any more after its handshake.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;

use testbed::{
    Answer, Certificate, Client, Gate, PATIENCE, Port, Request, Running, Site, pattern, wait_for,
};

#[test]
fn http_1_0_clients() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let body = pattern(200_000, 1);
        site.backend.set("/x", Answer::ok(body.clone()).chunked());
        for (turn, word) in ["STORE", "HIT", "STALE", "HIT"].into_iter().enumerate() {
            if word == "STALE" {
                site.make_stale("/x");
            }
            let mut client = site.client();
            client.send(&Request::get("/x").http10()).unwrap();
            let answer = client.receive().unwrap();
            assert!(
                answer.status == 200 && answer.body == body,
                "{form}, turn {turn}"
            );
            assert_eq!(
                answer.header("transfer-encoding"),
                None,
                "{form}, turn {turn}"
            );
            if word == "STORE" {
                let _ = site.redis.wait_for_record(&site.key("/x"));
            }
            if turn < 3 {
                assert_eq!(answer.word(), word, "{form}, turn {turn}");
            }
            assert!(client.is_closed_within(PATIENCE), "{form}, turn {turn}");
        }
        let mut client = site.client();
        for _ in 0..3 {
            let kept = Request::get("/x")
                .http10()
                .header("Connection", "keep-alive");
            client.send(&kept).unwrap();
            let answer = client.receive().unwrap();
            assert!(answer.body == body, "{form}");
        }
    }
}

/// The answer to curl: protocol and status, header, body.
fn curl(port: u16, arguments: &[&str], target: &str) -> (String, String, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let output = Command::new("curl")
        .args(["-sS", "--insecure", "--http2", "--max-time", "15", "-D"])
        .arg(&head)
        .arg("-o")
        .arg(&body)
        .args(["-w", "%{http_version} %{http_code}"])
        .args(arguments)
        .arg(format!("https://localhost:{port}{target}"))
        .output()
        .expect("curl");
    assert!(
        output.status.success(),
        "{target}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        std::fs::read_to_string(head).unwrap().to_lowercase(),
        std::fs::read(body).unwrap_or_default(),
    )
}

fn with_tls(site: Site) -> (Running, Port, Certificate) {
    let (port, certificate) = (Port::take(), Certificate::make());
    let server = format!(
        "listen {} ssl http2; {}
         proxy_set_header X-Seen \"$scheme $server_protocol $ssl_protocol $https\";",
        port.address(),
        certificate.directives()
    );
    (site.server(&server).start(), port, certificate)
}

#[test]
fn http_2_clients() {
    for (form, site) in Site::forms() {
        let (site, port, _certificate) = with_tls(site);
        let body = pattern(3_000_000, 2);
        site.backend.set("/x", Answer::ok(body.clone()).chunked());
        let agent = ["-H", "User-Agent:"];
        for word in ["store", "hit", "stale", "hit"] {
            if word == "stale" {
                site.make_stale("/x");
            }
            let (status, head, got) = curl(port.number(), &agent, "/x");
            assert_eq!(status, "2 200", "{form} {word}");
            assert!(head.contains(&format!("x-cache: {word}")), "{form}: {head}");
            assert!(got == body, "{form} {word}: {} bytes", got.len());
            // Stored, or refilled behind the client's back.
            let _ = site.redis.wait_for_record(&site.key("/x"));
            wait_for("a fresh record", PATIENCE, || {
                site.redis.pttl(&site.key("/x")) > 100_000
            });
            site.wait_for_fills(site.backend.hits("/x"));
        }
        assert_eq!(site.backend.hits("/x"), 2, "{form}");
        // HTTP/1.1 and HTTP/2 share records.
        assert_eq!(site.get("/x").word(), "HIT", "{form}");
        let (status, _, got) = curl(port.number(), &["-H", "User-Agent:", "-I"], "/x");
        assert_eq!(
            (
                status.as_str(),
                got.is_empty() || got.starts_with(b"HTTP/2")
            ),
            ("2 200", true),
            "{form}"
        );
        if form == "own handler" {
            site.backend.set("/seen", Answer::ok("x"));
            curl(port.number(), &agent, "/seen");
        }
    }
}

#[test]
fn a_change_over_http_2() {
    for (form, site) in Site::forms() {
        let (site, port, _certificate) = with_tls(site);
        let body = pattern(500_000, 4);
        site.backend.set("/x", Answer::ok(body.clone()));
        let agent = ["-H", "User-Agent:"];
        for path in ["/x", "/empty"] {
            site.fill(path);
        }
        site.backend.set("/empty", Answer::of(204, ""));
        let put = ["-H", "User-Agent:", "-X", "PUT", "-d", "new"];
        let (status, head, got) = curl(port.number(), &put, "/x");
        assert_eq!(status, "2 200", "{form}");
        assert!(head.contains("x-cache: skip") && got == body, "{form}");
        assert_eq!(site.redis.get(&site.key("/x")), None, "{form}");
        let (status, _, got) = curl(port.number(), &put, "/empty");
        assert_eq!((status.as_str(), got.len()), ("2 204", 0), "{form}");
        assert_eq!(site.redis.get(&site.key("/empty")), None, "{form}");
        let (_, head, _) = curl(port.number(), &agent, "/x");
        assert!(head.contains("x-cache: store"), "{form}: {head}");
    }
}

#[test]
fn what_tls_says_of_the_client_reaches_the_backend() {
    let (site, port, _certificate) = with_tls(
        Site::new()
            .location("proxy_set_header X-Seen \"$scheme $server_protocol $ssl_protocol $https\";"),
    );
    curl(port.number(), &[], "/x");
    let seen = site.backend.last("/x").header("x-seen").unwrap_or_default();
    assert!(
        seen.starts_with("https HTTP/2.0 TLSv1.") && seen.ends_with(" on"),
        "{seen}"
    );
    // Of a refill too.
    let _ = site.redis.wait_for_record("/x");
    site.wait_for_fills(1);
    site.make_stale("/x");
    curl(port.number(), &[], "/x");
    site.backend.wait_for_hits("/x", 2);
    assert_eq!(site.backend.last("/x").header("x-seen"), Some(seen));
}

#[test]
fn streams_of_one_http_2_connection_share_a_fill() {
    let (site, port, _certificate) = with_tls(Site::new());
    let gate = Gate::new();
    let body = pattern(400_000, 3);
    site.backend.set("/x", Answer::ok(body.clone()).gate(&gate));
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        let curl = scope.spawn(|| {
            let mut command = Command::new("curl");
            command.args([
                "-sS",
                "--insecure",
                "--http2",
                "--max-time",
                "15",
                "--parallel",
            ]);
            for number in 0..12 {
                command.arg(format!("https://localhost:{}/x", port.number()));
                command
                    .arg("-o")
                    .arg(folder.path().join(number.to_string()));
            }
            command.output().expect("curl")
        });
        site.wait_for_waiters(11);
        site.backend.wait_for_hits("/x", 1);
        gate.open();
        let output = curl.join().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    });
    for number in 0..12 {
        let got = std::fs::read(folder.path().join(number.to_string())).unwrap();
        assert!(got == body, "stream {number}: {} bytes", got.len());
    }
    assert_eq!(site.backend.hits("/x"), 1);
}

#[test]
fn a_request_body_over_http_2_reaches_the_backend() {
    let (site, port, _certificate) = with_tls(Site::seed().server("client_body_buffer_size 8k;"));
    let folder = tempfile::tempdir().unwrap();
    let sent = pattern(100_000, 4);
    let file = folder.path().join("sent");
    std::fs::write(&file, &sent).unwrap();
    let data = format!("@{}", file.display());
    let arguments = ["-H", "User-Agent:", "-H", "Expect:", "--data-binary", &data];
    let (status, head, _) = curl(port.number(), &arguments, "/x");
    assert_eq!(status, "2 200");
    assert!(head.contains("x-cache: store"), "{head}");
    let got = site.backend.last("/x");
    assert!(got.body == sent && got.method == "POST");
}

/// Answers handshakes by 101 and then says everything back, twice.
fn websocket_server() -> Port {
    let port = Port::take();
    let listener = port.listen();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || -> std::io::Result<()> {
                let mut seen = Vec::new();
                let mut bytes = [0; 4096];
                while !seen.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut bytes)? {
                        0 => return Ok(()),
                        count => seen.extend_from_slice(&bytes[..count]),
                    }
                }
                let head = String::from_utf8_lossy(&seen).to_lowercase();
                if !head.contains("upgrade: websocket") || !head.contains("connection: upgrade") {
                    return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                }
                stream.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello",
                )?;
                loop {
                    let count = stream.read(&mut bytes)?;
                    if count == 0 {
                        return Ok(());
                    }
                    stream.write_all(&[&bytes[..count], &bytes[..count]].concat())?;
                }
            });
        }
    });
    port
}

#[test]
fn websockets_pass_untouched() {
    let server = websocket_server();
    let map = "map $http_upgrade $connection_upgrade { default upgrade; '' close; }";
    let pass = format!(
        "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
         proxy_set_header Connection $connection_upgrade; proxy_pass http://{};",
        server.address()
    );
    let beside = format!("location @ws {{ {pass} }}");
    let behind = format!("location /ws {{ rewrite ^/ws(.*) $1 break; {pass} }}");
    for (form, location, locations) in [
        ("own handler", pass.as_str(), ""),
        ("named", "redis_cache_backend @ws;", beside.as_str()),
        ("a location", "redis_cache_backend /ws;", behind.as_str()),
    ] {
        let site = Site::new()
            .http(map)
            .location(location)
            .locations(locations)
            .start();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(site.address()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
                .write_all(b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: abc\r\n\r\n")
                .unwrap();
            let mut seen = Vec::new();
            let mut bytes = [0; 4096];
            while !seen.ends_with(b"hello") {
                let count = stream.read(&mut bytes).unwrap();
                assert!(count > 0, "{form}: {}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&bytes[..count]);
            }
            assert!(seen.starts_with(b"HTTP/1.1 101 "), "{form}");
            for word in ["one", "second", "\0\u{1}binary"] {
                stream.write_all(word.as_bytes()).unwrap();
                let mut echo = vec![0; 2 * word.len()];
                stream.read_exact(&mut echo).unwrap();
                assert_eq!(echo, word.repeat(2).as_bytes(), "{form}");
            }
        }
        assert!(site.redis.keys().is_empty(), "{form}");
        site.nginx.finish();
    }
}

#[test]
fn clients_of_a_unix_socket() {
    for (form, site) in Site::forms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nginx.sock");
        let site = site
            .server(&format!("listen unix:{};", path.display()))
            .start();
        for word in ["STORE", "HIT"] {
            let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
            stream
                .write_all(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(
                text.starts_with("HTTP/1.1 200") && text.contains(&format!("X-Cache: {word}")),
                "{form}: {text}"
            );
            let _ = site.redis.wait_for_record(&site.key("/x"));
        }
        let _ = Client::connect(site.address()).get("/x");
    }
}
