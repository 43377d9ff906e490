//! Redirects: what nginx made of a Location it completes for each client, what the backend sent stays as it is.

use std::fs;

use testbed::{Answer, Record, Request, Running, Site};

/// Directives of the server, those of the backend's location, what the backend sends as Location for `/moved`.
type Case = (&'static str, &'static str, &'static str, &'static str);

const CASES: [Case; 9] = [
    (
        "rewritten to a path",
        "",
        "proxy_redirect http://backend/ /;",
        "http://backend/there",
    ),
    (
        "rewritten, and left relative",
        "absolute_redirect off;",
        "proxy_redirect http://backend/ /;",
        "http://backend/there",
    ),
    (
        "rewritten, without the port",
        "port_in_redirect off;",
        "proxy_redirect http://backend/ /;",
        "http://backend/there",
    ),
    (
        "rewritten, with the server's own name",
        "server_name own.example; server_name_in_redirect on;",
        "proxy_redirect http://backend/ /;",
        "http://backend/there",
    ),
    (
        "rewritten to an absolute one",
        "",
        "proxy_redirect http://backend/ http://front.example/;",
        "http://backend/there",
    ),
    ("a path of the backend", "", "proxy_redirect off;", "/there"),
    (
        "a path that no rewriting meets",
        "",
        "proxy_redirect http://other/ /;",
        "/there",
    ),
    (
        "an absolute one of the backend",
        "",
        "proxy_redirect off;",
        "http://else.example/there",
    ),
    (
        "relative to the request",
        "",
        "proxy_redirect off;",
        "there?x=1",
    ),
];

/// The three forms; `redis_cache_valid` as given.
fn forms(valid: &str, backend: &str) -> [(&'static str, Site); 3] {
    let behind = "rewrite ^/back(/.*) $1 break; proxy_pass http://backend;";
    let locations = format!(
        "location /back {{ internal; {behind} {backend} }}
         location @back {{ proxy_pass http://backend; {backend} }}"
    );
    let with = |directive: &str| {
        Site::new()
            .location(&format!("{valid} {directive}"))
            .locations(&locations)
    };
    [
        (
            "own handler",
            Site::new().location(&format!("{valid} {backend}")),
        ),
        ("a location", with("redis_cache_backend /back;")),
        ("a named location", with("redis_cache_backend @back;")),
    ]
}

/// The Location that a client of `host` is given, with PORT for nginx's own.
#[track_caller]
fn location(site: &Running, path: &str, host: &str, word: &str) -> Vec<String> {
    let answer = site.ask(&Request::get(path).header("Host", host));
    if !word.is_empty() {
        assert_eq!(answer.word(), word, "{path} for {host}");
    }
    let port = format!(":{}", site.address().port());
    answer
        .headers("location")
        .iter()
        .map(|value| value.replace(&port, ":PORT"))
        .collect()
}

#[test]
fn each_client_gets_the_redirect_that_proxy_pass_gives_it() {
    for (what, server, backend, sent) in CASES {
        let moved = || Answer::of(302, "moved").header("Location", sent);
        let plain = Site::plain().server(server).location(backend).start();
        plain.backend.set("/moved", moved());
        let expected = |host| location(&plain, "/moved", host, "");
        for (form, site) in forms("redis_cache_valid 302;", backend) {
            let site = site.server(server).start();
            site.backend.set("/moved", moved());
            for (host, word) in [
                ("one.example", "STORE"),
                ("two.example", "HIT"),
                ("one.example", "HIT"),
                ("three.example", "STALE"),
            ] {
                if word == "STALE" {
                    site.make_stale("/moved");
                }
                let given = location(&site, "/moved", host, word);
                assert_eq!(given, expected(host), "{what}, {form}, {word}");
                let _ = site.redis.wait_for_record("/moved");
                site.backend.wait_until_idle("/moved");
            }
            site.nginx.finish();
        }
        // What isn't stored is completed too.
        for (form, site) in forms("redis_cache_valid 200;", backend) {
            let site = site.server(server).start();
            site.backend.set("/moved", moved());
            let given = location(&site, "/moved", "one.example", "SKIP");
            assert_eq!(given, expected("one.example"), "{what}, {form}, not stored");
        }
    }
}

#[test]
fn redirects_of_nginx_itself_are_completed() {
    let server = "root html;";
    let folder = |site: &Running| {
        fs::create_dir_all(site.nginx.prefix().join("html/folder")).unwrap();
    };
    let backend =
        "location /back { internal; alias html; rewrite ^/back/return /there permanent; }";
    let plain = Site::plain()
        .server(server)
        .location("root html; # not proxy_pass\n")
        .start();
    folder(&plain);
    let expected = location(&plain, "/folder", "one.example", "");
    assert_eq!(expected, ["http://one.example:PORT/folder/"]);
    let own = Site::new()
        .location("redis_cache_valid 301; root html; # not proxy_pass\n")
        .start();
    folder(&own);
    for word in ["STORE", "HIT"] {
        assert_eq!(location(&own, "/folder", "one.example", word), expected);
        let _ = own.redis.wait_for_record("/folder");
    }
    let site = Site::new()
        .location("redis_cache_valid 301; redis_cache_backend /back;")
        .locations(backend)
        .start();
    for (host, word) in [("one.example", "STORE"), ("two.example", "HIT")] {
        let given = location(&site, "/return", host, word);
        assert_eq!(given, [format!("http://{host}:PORT/there")]);
        let _ = site.redis.wait_for_record("/return");
    }
}

#[test]
fn a_record_of_the_lua_script_keeps_its_location() {
    let site = Site::new().location("redis_cache_valid 302;").start();
    let record = Record::lua("302", r#"{"Location":"\/there"}"#, "");
    site.redis.put("/moved", &record, 160);
    assert_eq!(location(&site, "/moved", "one.example", "HIT"), ["/there"]);
}
