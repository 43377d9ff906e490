//! `contrib/warm`: what it fetches, how fast, and what it says of it, with a real cache or straight from a backend.

mod lists;
mod looks;
mod program;
mod sitemaps;
mod speed;
mod trouble;

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;

use serde_json::{Value, json};
use testbed::{
    Answer, Authority, Backend, PATIENCE, Request, Running, Site, TlsFront, eventually, ms,
};

use program::{Folder, Run};

/// Fetches a list through a cache and gives the summary. All goes well.
#[track_caller]
fn warmed(folder: &Folder, options: &[&str]) -> Value {
    let run = folder.warm(&[&["--json", "list"], options].concat());
    assert_eq!((run.code, run.said.as_str()), (0, ""), "{run:?}");
    run.told()
}

/// The connections over which so many requests came, by nginx's log.
fn connections(site: &Running, requests: usize) -> BTreeSet<String> {
    let path = site.nginx.prefix().join("logs/connections.log");
    // A line comes a moment after the response.
    let lines = eventually(PATIENCE, || {
        let log = fs::read_to_string(&path).unwrap();
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        (lines.len() >= requests).then_some(lines)
    });
    lines
        .expect("a line for each request")
        .into_iter()
        .collect()
}

#[test]
fn a_list_is_warmed() {
    let site = Site::new()
        .http("log_format c '$connection'; access_log logs/connections.log c;")
        .start();
    let paths: Vec<String> = (0..200).map(|number| format!("/page?n={number}")).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let folder = Folder::with_list(site.address(), &paths);
    let told = warmed(&folder, &[]);
    assert_eq!(told["requests"], 200);
    assert_eq!(told["status"], json!({ "200": 200 }));
    assert_eq!(told["cache"], json!({ "STORE": 200 }));
    assert_eq!(site.backend.all_hits(), 200);
    site.wait_for_fills(200);
    let told = warmed(&folder, &[]);
    assert_eq!(told["cache"], json!({ "HIT": 200 }));
    assert_eq!(told["connections"], 4);
    assert_eq!(site.backend.all_hits(), 200);
    // Each of both runs has had four.
    assert_eq!(connections(&site, 400).len(), 8);
}

#[test]
fn head_warms_too() {
    let site = Site::new().start();
    let folder = Folder::with_list(site.address(), &["/a", "/b"]);
    let told = warmed(&folder, &["--method", "HEAD"]);
    assert_eq!(told["cache"], json!({ "STORE": 2 }));
    assert_eq!(told["bytes"], 0);
    site.wait_for_fills(2);
    assert_eq!(site.get("/a").word(), "HIT");
    assert_eq!(warmed(&folder, &[])["cache"], json!({ "HIT": 2 }));
    assert_eq!(site.backend.last("/a").method, "GET");
}

#[test]
fn variants_are_warmed_by_a_field() {
    let site = Site::new().start();
    site.backend.script("/x", |request, _| {
        let coding = request.header("accept-encoding").unwrap_or_default();
        Answer::ok(coding).header("Vary", "Accept-Encoding")
    });
    let folder = Folder::with_list(site.address(), &["/x"]);
    for (number, coding) in ["gzip", "br"].into_iter().enumerate() {
        let field = format!("Accept-Encoding: {coding}");
        let options = ["--header", &field];
        assert_eq!(warmed(&folder, &options)["cache"], json!({ "STORE": 1 }));
        site.wait_for_fills(number + 1);
        assert_eq!(warmed(&folder, &options)["cache"], json!({ "HIT": 1 }));
        let request = Request::get("/x").header("Accept-Encoding", coding);
        let answer = site.ask(&request);
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", coding)
        );
    }
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn fields_are_sent() {
    let backend = Backend::start();
    let folder = Folder::with_list(backend.address(), &["/x"]);
    let _ = warmed(&folder, &[]);
    let plain = backend.last("/x");
    assert_eq!(plain.header("user-agent").unwrap(), "redis-cache-warm");
    assert_eq!(plain.header("accept-encoding"), None);
    let options = [
        "--user-agent",
        "Mobile/1",
        "--header",
        "X-A: 1",
        "--header",
        "X-A:2",
        "--header",
        "Accept: a/b",
    ];
    let _ = warmed(&folder, &options);
    let request = backend.last("/x");
    assert_eq!(request.header("user-agent").unwrap(), "Mobile/1");
    let values = |name: &str| {
        let named = request.fields.iter().filter(|(field, _)| field == name);
        named
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("X-A"), ["1", "2"]);
    assert_eq!(values("Accept"), ["a/b"]);
    assert_eq!(values("Host"), [backend.address().to_string()]);
}

#[test]
fn an_nginx_is_asked_for_any_host() {
    let site = Site::new()
        .location(
            "redis_cache_key $scheme://$http_host$request_uri; proxy_set_header Host $http_host;",
        )
        .start();
    let folder = Folder::new();
    folder.write(
        "list",
        "http://www.example.com/x\nhttp://[2001:db8::1]:81/x\nhttp://bücher.example/x\n",
    );
    let address = site.address().to_string();
    let options = ["--connect", address.as_str(), "--concurrency", "1"];
    assert_eq!(warmed(&folder, &options)["cache"], json!({ "STORE": 3 }));
    let hosts = site.backend.requests("/x").into_iter();
    let hosts: Vec<String> = hosts.filter_map(|request| request.header("host")).collect();
    assert_eq!(
        hosts,
        [
            "www.example.com",
            "[2001:db8::1]:81",
            "xn--bcher-kva.example"
        ]
    );
    site.wait_for_fills(3);
    assert_eq!(warmed(&folder, &options)["cache"], json!({ "HIT": 3 }));
}

#[test]
fn the_port_of_the_url_counts_where_connect_has_none() {
    let backend = Backend::start();
    let folder = Folder::new();
    let port = backend.address().port();
    folder.write("list", format!("http://www.example.com:{port}/x\n"));
    let _ = warmed(&folder, &["--connect", "127.0.0.1"]);
    let host = format!("www.example.com:{port}");
    assert_eq!(backend.last("/x").header("host").unwrap(), host);
}

#[test]
fn tls_has_the_name_of_the_url() {
    let authority = Authority::make();
    let pair = authority.issue("www", "DNS:www.example.com");
    let backend = Backend::start();
    let front = TlsFront::start(backend.address(), &pair, true);
    let folder = Folder::new();
    folder.write("list", "https://www.example.com/x\n");
    folder.write("other", "https://other.example.com/x\n");
    let connect = front.address().to_string();
    let run = |list: &str, options: &[&str], trusts: bool| {
        let arguments = [&["--json", "--connect", &connect, list], options].concat();
        let mut command = folder.command(&[], &arguments);
        if trusts {
            command.env("SSL_CERT_FILE", authority.certificate());
        }
        let run = Run::of(command.spawn().unwrap());
        let told = run.told();
        let reason = told["failures"][0]["reason"].as_str().unwrap_or_default();
        (run.code, reason.to_owned())
    };
    assert_eq!(run("list", &[], true), (0, String::new()));
    assert_eq!(front.name().unwrap(), "www.example.com");
    assert_eq!(
        backend.last("/x").header("host").unwrap(),
        "www.example.com"
    );
    let (code, reason) = run("list", &[], false);
    assert!(
        code == 1 && reason.starts_with("the certificate isn't accepted: "),
        "{reason}"
    );
    let (code, reason) = run("other", &[], true);
    assert!(
        code == 1 && reason.contains("other.example.com"),
        "{reason}"
    );
    assert_eq!(run("other", &["--insecure"], false), (0, String::new()));
    assert_eq!(front.name().unwrap(), "other.example.com");
    assert_eq!(backend.hits("/x"), 2);
}

#[test]
fn tls_that_ends_without_a_notice_cuts_a_body() {
    let authority = Authority::make();
    let pair = authority.issue("www", "DNS:www.example.com");
    let backend = Backend::start();
    let body = || Answer::ok("0123456789").until_close();
    backend.set("/whole", body());
    backend.set("/cut", body().pause_at(5, ms(200)).reset_at(5));
    let front = TlsFront::start(backend.address(), &pair, true);
    let folder = Folder::new();
    folder.write(
        "list",
        "https://www.example.com/whole\nhttps://www.example.com/cut\n",
    );
    let connect = front.address().to_string();
    let run = folder.warm(&["--json", "--insecure", "--connect", &connect, "list"]);
    let told = run.told();
    assert_eq!((run.code, &told["status"]), (1, &json!({ "200": 1 })));
    let reason = "the body was cut: TLS ended without a notice";
    assert_eq!(told["failures"][0]["reason"], reason);
}

/// A backend with each kind of response, and their paths.
fn of_all_kinds() -> (Backend, Vec<&'static str>) {
    let backend = Backend::start();
    backend.set("/ok", Answer::ok("12345").header("X-Cache", "HIT"));
    let hit = Answer::ok("12345678").header("Cache-Status", "origin; hit, edge; fwd=miss; stored");
    backend.set("/chunked", hit.chunked().header("X-Cache", "STORE"));
    backend.set(
        "/close",
        Answer::ok("123").until_close().header("X-Cache", "HIT"),
    );
    backend.set("/empty", Answer::of(204, ""));
    backend.set("/missing", Answer::of(404, "no").header("X-Cache", "STALE"));
    backend.set("/moved", Answer::of(301, "").header("Location", "/new"));
    backend.set("/broken", Answer::of(500, "oh").header("X-Cache", "SKIP"));
    backend.set(
        "/hints",
        Answer::ok("1")
            .hint("Link", "</a>")
            .header("X-Cache", "\u{1b}[2J"),
    );
    let paths = [
        "/ok", "/chunked", "/close", "/empty", "/missing", "/moved", "/broken", "/hints",
    ];
    (backend, paths.to_vec())
}

#[test]
fn the_summary_says_what_has_happened() {
    let (backend, paths) = of_all_kinds();
    let folder = Folder::with_list(backend.address(), &paths);
    let run = folder.warm(&["--json", "list"]);
    assert_eq!((run.code, run.said.as_str()), (1, ""));
    let told = run.told();
    let url = |path: &str| format!("http://{}{path}", backend.address());
    assert_eq!(told["requests"], 8);
    assert_eq!(told["bytes"], 5 + 8 + 3 + 2 + 2 + 1);
    assert_eq!(
        told["status"],
        json!({ "200": 4, "204": 1, "301": 1, "404": 1, "500": 1 })
    );
    let words = json!({ "HIT": 2, "STORE": 1, "STALE": 1, "SKIP": 1, "\\x1b[2J": 1, "none": 2 });
    assert_eq!(told["cache"], words);
    assert_eq!(told["cache_status"], json!({ "fwd=miss stored": 1 }));
    let redirect = json!({ "url": url("/moved"), "status": 301, "location": "/new" });
    assert_eq!(told["redirects"], json!([redirect]));
    let failure =
        json!({ "url": url("/broken"), "status": 500, "reason": "500 Internal Server Error" });
    assert_eq!(told["failures"], json!([failure]));
    assert_eq!(told["slowest"].as_array().unwrap().len(), 5);
    let latency = |name: &str| told["latency_ms"][name].as_f64().unwrap();
    assert!(
        latency("p50") <= latency("p95") && latency("p95") <= latency("max"),
        "{told}"
    );
    assert_eq!(told["slowest"][0]["ms"], told["latency_ms"]["max"]);
    assert_eq!(backend.hits("/new"), 0);
    for path in paths {
        assert_eq!(backend.hits(path), 1, "{path}");
    }
}

#[test]
fn the_summary_as_text() {
    let (backend, paths) = of_all_kinds();
    let folder = Folder::with_list(backend.address(), &paths);
    let run = folder.warm(&["list"]);
    assert_eq!(run.code, 1);
    let server = backend.address();
    for wanted in [
        format!("failed: http://{server}/broken: 500 Internal Server Error"),
        format!("redirect: http://{server}/moved: 301 to /new"),
        "requests      8 in ".to_owned(),
        ", 21 bytes, ".to_owned(),
        "status        200: 4   ".to_owned(),
        "X-Cache       ".to_owned(),
        "HIT: 2".to_owned(),
        "Cache-Status  fwd=miss stored: 1".to_owned(),
        "latency       p50 ".to_owned(),
    ] {
        assert!(run.printed.contains(&wanted), "{wanted}: {}", run.printed);
    }
    let slowest = run
        .printed
        .lines()
        .filter(|line| line.starts_with("slowest "));
    assert_eq!(slowest.count(), 5);
    assert!(!run.printed.contains('\u{1b}'));
}

#[test]
fn the_field_with_the_word_is_chosen() {
    let backend = Backend::start();
    backend.set("/x", Answer::ok("").header("X-Proxy-Cache", "EXPIRED"));
    let folder = Folder::with_list(backend.address(), &["/x"]);
    let told = warmed(&folder, &["--status-header", "x-proxy-cache"]);
    assert_eq!(told["cache"], json!({ "EXPIRED": 1 }));
    let run = folder.warm(&["list"]);
    assert!(
        run.printed.contains("no response has this field"),
        "{}",
        run.printed
    );
}

/// `/a` and `/b` lead to `/c`, that to `/d`; `/loop` to itself; `/ever/N` to the next; `/away` to another host.
fn redirecting() -> Backend {
    let backend = Backend::start();
    let to = |target: &str| Answer::of(302, "").header("Location", target);
    let address: SocketAddr = backend.address();
    backend.set("/a", to("/c#part"));
    backend.set("/b", to(&format!("http://{address}/c")));
    backend.set("/c", to("../d"));
    backend.set("/loop", to("/loop"));
    backend.set(
        "/away",
        to(&format!("http://localhost:{}/there", address.port())),
    );
    backend.set("/wrong", to("ftp://x/"));
    backend.script("/ever", |request, _| {
        let number: u32 = request.target.split('=').nth(1).unwrap().parse().unwrap();
        Answer::of(307, "").header("Location", format!("/ever?n={}", number + 1))
    });
    backend
}

#[test]
fn redirects_are_followed_if_asked_for() {
    let backend = redirecting();
    let folder = Folder::with_list(backend.address(), &["/a", "/b", "/loop"]);
    let told = warmed(&folder, &["--follow"]);
    assert_eq!(told["status"], json!({ "200": 1, "302": 4 }));
    assert_eq!(told["redirects"].as_array().unwrap().len(), 4);
    for path in ["/a", "/b", "/c", "/d", "/loop"] {
        assert_eq!(backend.hits(path), 1, "{path}");
    }
    let folder = Folder::with_list(backend.address(), &["/ever?n=1", "/wrong"]);
    let run = folder.warm(&["--json", "--follow", "--concurrency", "1", "list"]);
    let told = run.told();
    assert_eq!((run.code, backend.hits("/ever")), (1, 11));
    assert_eq!(told["failures"][0]["reason"], "more than 10 redirects");
    let wrong = "redirected, but the address doesn't begin with http:// or https://";
    assert_eq!(told["failures"][1]["reason"], wrong);
}

#[test]
fn credentials_stay_at_their_host() {
    let backend = redirecting();
    let folder = Folder::with_list(backend.address(), &["/away", "/a"]);
    let fields = [
        "--header",
        "Authorization: x",
        "--header",
        "Cookie: a=b",
        "--header",
        "X-Other: 1",
    ];
    let options = [&["--follow", "--connect", "127.0.0.1"], fields.as_slice()].concat();
    let _ = warmed(&folder, &options);
    assert_eq!(backend.last("/away").header("authorization").unwrap(), "x");
    assert_eq!(backend.last("/d").header("authorization").unwrap(), "x");
    let there = backend.last("/there");
    assert_eq!(
        (there.header("authorization"), there.header("cookie")),
        (None, None)
    );
    assert_eq!(there.header("x-other").unwrap(), "1");
    backend.forget();
    let told = warmed(&folder, &["--follow", "--same-host"]);
    assert_eq!(
        (backend.hits("/there"), &told["other_hosts"]),
        (0, &json!(1))
    );
}
