//! Conditions and ranges while a fill is on its way, for many clients at once and over HTTP/2.

use std::process::Command;
use std::thread;

use testbed::{Answer, Client, Gate, Port, Request, Response, Running, Site, pattern};

const MODIFIED: &str = "Sat, 02 Jan 2010 03:04:05 GMT";

/// One worker, so that whoever comes later joins the fill, and bytes pass as they come.
fn unbuffered(site: Site) -> Running {
    site.workers(1)
        .server("proxy_buffering off;")
        .http("proxy_http_version 1.1;")
        .start()
}

fn validated(body: &[u8]) -> Answer {
    Answer::ok(body)
        .header("ETag", "\"v1\"")
        .header("Last-Modified", MODIFIED)
}

fn part(target: &str, range: &str) -> Request {
    Request::get(target).header("Range", range)
}

fn statuses(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn a_part_is_whole_before_the_answer_is() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site);
        let (gate, body) = (Gate::new(), pattern(200_000, 1));
        site.backend
            .set("/x", validated(&body).gate_at(100_000, &gate));

        // The first one's request starts the fill; the others join it.
        let mut client = site.client();
        let first = client.ask(&part("/x", "bytes=1000-1999"));
        assert_eq!(
            (first.status, first.word().as_str()),
            (206, "STORE"),
            "{form}"
        );
        assert_eq!(
            first.header("content-range").unwrap(),
            "bytes 1000-1999/200000"
        );
        assert!(first.body == body[1000..2000], "{form}");

        // Its connection is free, and others have their answers, while the backend has half to send.
        let same = client.ask(&part("/x", "bytes=0-99999").header("If-Range", "\"v1\""));
        assert!(same.status == 206 && same.body == body[..100_000], "{form}");
        let known = client.ask(&Request::get("/x").header("If-None-Match", "W/\"v1\""));
        let dated = client.ask(&Request::get("/x").header("If-Modified-Since", MODIFIED));
        let failed = client.ask(&Request::get("/x").header("If-Match", "\"v0\""));
        let beyond = client.ask(&part("/x", "bytes=200000-"));
        assert_eq!(beyond.header("content-range").unwrap(), "bytes */200000");
        let answers = [known, dated, failed, beyond];
        assert_eq!(statuses(&answers), [304, 304, 412, 416], "{form}");
        assert!(
            answers.iter().all(|answer| answer.word() == "HIT"),
            "{form}"
        );
        assert_eq!(site.backend.under_way("/x"), 1, "{form}");

        // These have to wait for what they ask for.
        let mut later = [site.client(), site.client(), site.client()];
        let requests = [
            part("/x", "bytes=-1000"),
            part("/x", "bytes=0-1,5-6"),
            part("/x", "bytes=99000-100999"),
        ];
        let mut begun = Vec::new();
        for (client, request) in later.iter_mut().zip(&requests) {
            client.send(request).unwrap();
            begun.push(client.receive_header().unwrap());
        }
        gate.open();
        for (client, answer) in later.iter_mut().zip(&mut begun) {
            client.receive_rest(answer).unwrap();
        }
        assert_eq!(statuses(&begun), [206, 200, 206], "{form}");
        assert!(begun[0].body == body[199_000..], "{form}");
        assert!(begun[1].body == body, "{form}");
        assert!(begun[2].body == body[99_000..101_000], "{form}");

        let record = site.redis.wait_for_record(&site.key("/x"));
        assert!(record.body == body, "{form}");
        let received = site.backend.requests("/x");
        assert_eq!(received.len(), 1, "{form}");
        for field in ["range", "if-range", "if-none-match", "if-match"] {
            assert_eq!(received[0].header(field), None, "{form}");
        }
    }
}

#[test]
fn a_backend_is_let_go_once_nobody_wants_the_rest() {
    let site = unbuffered(Site::new());
    let (gate, body) = (Gate::new(), pattern(3_000_000, 2));
    let answer = validated(&body)
        .header("Cache-Control", "private")
        .gate_at(2_000_000, &gate);
    for (path, request, status) in [
        ("/part", part("/part", "bytes=10-19"), 206),
        (
            "/known",
            Request::get("/known").header("If-None-Match", "\"v1\""),
            304,
        ),
        (
            "/failed",
            Request::get("/failed").header("If-Match", "\"v0\""),
            412,
        ),
    ] {
        site.backend.set(path, answer.clone());
        let answer = site.ask(&request);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (status, "SKIP"),
            "{path}"
        );
        assert!(status != 206 || answer.body == body[10..20], "{path}");
    }
    gate.open();
    for path in ["/part", "/known", "/failed"] {
        site.backend.wait_until_idle(path);
        assert!(site.redis.get(path).is_none(), "{path}");
    }
}

#[test]
fn many_at_once_get_each_their_part() {
    let site = Site::new().start();
    let body = pattern(500_000, 3);
    let gate = Gate::new();
    site.backend
        .set("/x", validated(&body).gate_at(250_000, &gate));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..40_usize)
            .map(|number| {
                let site = &site;
                scope.spawn(move || {
                    let (first, last) = (number * 12_000, number * 12_000 + 9_999);
                    let answer = site.ask(&part("/x", &format!("bytes={first}-{last}")));
                    (first, last, answer)
                })
            })
            .collect();
        site.backend.wait_for_hits("/x", 1);
        gate.open();
        for client in clients {
            let (first, last, answer) = client.join().unwrap();
            assert_eq!(answer.status, 206, "from {first}");
            assert!(answer.body == body[first..=last], "from {first}");
        }
    });
    assert_eq!(site.backend.hits("/x"), 1);
    assert!(site.redis.wait_for_record("/x").body == body);
}

#[test]
fn a_cut_answer_has_whole_parts_in_front_of_the_cut() {
    let site = unbuffered(Site::new());
    let body = pattern(200_000, 4);
    site.backend.set("/x", validated(&body).cut_at(100_000));
    let before = site.ask(&part("/x", "bytes=500-599"));
    assert!(before.status == 206 && before.body == body[500..600]);
    site.backend.wait_until_idle("/x");
    let mut client = Client::connect(site.nginx.address());
    let behind = client.exchange(&part("/x", "bytes=99000-100999")).unwrap();
    assert_eq!((behind.status, behind.complete), (206, false));
    assert!(body[99_000..].starts_with(&behind.body));
    assert!(site.redis.get("/x").is_none());
}

/// Status and Content-Range, by HTTP/2 without TLS.
fn over_http_2(port: &Port, target: &str, fields: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--http2-prior-knowledge", "--max-time", "15"])
        .args(["-o", "/dev/null", "-D", "-"]);
    for field in fields {
        curl.args(["-H", field]);
    }
    let output = curl
        .arg(format!("http://{}{target}", port.address()))
        .output()
        .expect("curl");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{target} {fields:?}: {error}");
    let head = String::from_utf8_lossy(&output.stdout).to_lowercase();
    let of = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or("-")
            .trim()
            .to_owned()
    };
    format!(
        "{}, {}, {}",
        of("http/2 "),
        of("x-cache: "),
        of("content-range: ")
    )
}

#[test]
fn over_http_2_too() {
    let port = Port::take();
    let site = Site::new()
        .server(&format!("listen {} http2;", port.address()))
        .start();
    let known = "If-None-Match: \"v0\", W/\"v1\"";
    let first = "Range: bytes=0-9";
    let table: &[(&[&str], &str)] = &[
        (&[known], "304, #, -"),
        (&["If-None-Match: *"], "304, #, -"),
        (
            &["If-Modified-Since: Sat, 02 Jan 2010 03:04:06 GMT"],
            "304, #, -",
        ),
        (&["If-Match: W/\"v1\""], "412, #, -"),
        (
            &[
                "If-Match: \"v1\"",
                "If-Unmodified-Since: Sat, 02 Jan 2010 03:04:04 GMT",
            ],
            "200, #, -",
        ),
        (
            &["If-Unmodified-Since: Sat, 02 Jan 2010 03:04:04 GMT"],
            "412, #, -",
        ),
        (&[first], "206, #, bytes 0-9/50000"),
        (&["Range: bytes=-9"], "206, #, bytes 49991-49999/50000"),
        (&["Range: bytes=50000-"], "416, #, bytes */50000"),
        (&[first, "If-Range: \"v1\""], "206, #, bytes 0-9/50000"),
        (&[first, "If-Range: W/\"v1\""], "200, #, -"),
        (&[first, known], "304, #, -"),
    ];
    for (number, (fields, wanted)) in table.iter().enumerate() {
        let path = format!("/{number}");
        site.backend.set(&path, validated(&pattern(50_000, 5)));
        for word in ["store", "hit", "stale"] {
            if word == "stale" {
                site.make_stale(&path);
            }
            let found = over_http_2(&port, &path, fields);
            assert_eq!(found, wanted.replace('#', word), "{word}: {fields:?}");
            let _ = site.redis.wait_for_record(&path);
            site.backend.wait_until_idle(&path);
        }
        site.backend.wait_for_hits(&path, 2);
    }
}
