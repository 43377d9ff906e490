//! The record in Redis: what the Lua script wrote is served, and what the module writes the script can read.

use std::time::Instant;

use testbed::{Answer, Record, Site, crowd, holds_for, ms, pattern};

#[test]
fn a_record_of_the_lua_script_is_served_by_its_ttl() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let (fresh, stale) = (site.key("/fresh"), site.key("/stale"));
        let start = Instant::now();
        site.redis
            .put(&fresh, &Record::lua_text("written by the script"), 150);
        site.redis
            .put(&stale, &Record::lua_text("written by the script"), 60);
        let hit = site.get("/fresh");
        assert_eq!((hit.status, hit.word().as_str()), (200, "HIT"), "{form}");
        assert_eq!(hit.text(), "written by the script", "{form}");
        assert_eq!(
            hit.header("content-type").as_deref(),
            Some("text/plain"),
            "{form}"
        );
        assert_eq!(
            hit.header("content-length").as_deref(),
            Some("21"),
            "{form}"
        );
        // age 60 and stale 100 less what is left of 150
        assert!(hit.is_aged(10, start), "{form}: {:?}", hit.age());
        assert_eq!(site.backend.hits("/fresh"), 0, "{form}");
        let old = site.get("/stale");
        assert_eq!(
            (old.word().as_str(), old.text().as_str()),
            ("STALE", "written by the script"),
            "{form}"
        );
        assert!(old.is_aged(100, start), "{form}: {:?}", old.age());
        assert_eq!(
            site.wait_for_hit("/stale").text(),
            "GET /stale #1\n",
            "{form}"
        );
        assert_eq!(site.backend.hits("/stale"), 1, "{form}");
    }
}

#[test]
fn a_lua_record_with_more_ttl_than_ours_has_age_0() {
    let site = Site::new().start();
    site.redis.put("/x", &Record::lua_text("x"), 5000);
    assert_eq!(
        (site.get("/x").word().as_str(), site.get("/x").age()),
        ("HIT", Some(0))
    );
}

#[test]
fn a_lua_record_has_the_status_and_headers_it_says() {
    let site = Site::seed().start();
    let records = [
        (
            "/405",
            Record::lua(
                "405",
                r#"{"Allow":"GET","Content-Type":"text\/html"}"#,
                "no",
            ),
        ),
        (
            "/array",
            Record::lua("200", r#"{"X-Multi":["one","two"],"X-Number":17}"#, "yes"),
        ),
        (
            "/escape",
            Record::lua("200", r#"{"X-Text":"\"quoted\" \u00e9 \\ \/"}"#, "yes"),
        ),
        ("/empty", Record::lua("200", r#"{"Content-Length":0}"#, "")),
        ("/none", Record::lua("200", "{}", "no header at all")),
    ];
    for (path, record) in &records {
        site.redis.put(&site.key(path), record, 150);
        let hit = site.get(path);
        assert_eq!(hit.word(), "HIT", "{path}");
        assert_eq!(hit.status.to_string(), record.status, "{path}");
        assert_eq!(hit.body, record.body, "{path}");
    }
    assert_eq!(site.get("/405").header("allow").as_deref(), Some("GET"));
    assert_eq!(site.get("/array").headers("x-multi"), ["one", "two"]);
    assert_eq!(site.get("/array").header("x-number").as_deref(), Some("17"));
    assert_eq!(
        site.get("/escape").header("x-text").as_deref(),
        Some("\"quoted\" é \\ /")
    );
    assert_eq!(site.backend.all_hits(), 0);
}

#[test]
fn a_record_without_expiry_is_no_record() {
    let site = Site::new().start();
    site.redis.put("/x", &Record::lua_text("for ever"), 100);
    let _: bool = site.redis.command(&["PERSIST", "/x"]);
    assert_eq!(site.fill("/x").text(), "GET /x #1\n");
    assert_eq!(site.wait_for_hit("/x").text(), "GET /x #1\n");
    assert!(site.redis.keys_without_expiry().is_empty());
}

#[test]
fn the_module_writes_what_the_script_reads() {
    for (form, site) in Site::forms() {
        let site = site.start();
        let answer = Answer::ok("hello")
            .header("X-One", "1")
            .header("X-Slash", "a/b \"c\"");
        site.backend.set(
            "/x",
            answer.header("X-Multi", "one").header("X-Multi", "two"),
        );
        site.fill("/x");
        let record = site.redis.get(&site.key("/x")).unwrap();
        assert_eq!(
            (record.status.as_str(), record.body.as_slice()),
            ("200", b"hello".as_slice()),
            "{form}"
        );
        assert_eq!(record.header("x-one"), ["1"], "{form}");
        assert_eq!(record.header("x-slash"), ["a/b \"c\""], "{form}");
        assert_eq!(record.header("content-type"), ["text/plain"], "{form}");
        assert_eq!(record.header("content-length"), ["5"], "{form}");
        // One header: a string; several of a name: one array, as the script has it.
        let json = record.headers_json();
        assert!(
            json["X-One"].is_string() && json["X-Multi"].is_array(),
            "{form}: {json:?}"
        );
        assert_eq!(record.header("x-multi"), ["one", "two"], "{form}");
        for name in [
            "date",
            "server",
            "connection",
            "x-worker",
            "x-status",
            "x-cache",
            "age",
        ] {
            assert!(
                record.header(name).is_empty(),
                "{form}: {name} is stored: {json:?}"
            );
        }
        assert!(site.redis.pttl(&site.key("/x")) > 0, "{form}");
        let kind: String = site.redis.command(&["TYPE", &site.key("/x")]);
        assert_eq!(kind, "hash", "{form}");
    }
}

#[test]
fn the_script_and_the_module_write_over_each_others_records() {
    let site = Site::new().start();
    site.redis.put(
        "/x",
        &Record::lua("200", r#"{"X-Lua":"1"}"#, "first, by the script"),
        50,
    );
    assert_eq!(site.get("/x").text(), "first, by the script");
    let ours = site.wait_for_hit("/x");
    assert_eq!(
        (ours.text().as_str(), ours.header("x-lua")),
        ("GET /x #1\n", None)
    );
    assert!(site.redis.get("/x").unwrap().header("x-lua").is_empty());
    // The script leaves fields it doesn't know: what they say of our record isn't true of its own.
    let start = Instant::now();
    site.redis
        .put("/x", &Record::lua_text("second, by the script"), 130);
    let theirs = site.get("/x");
    assert_eq!(
        (theirs.word().as_str(), theirs.text().as_str()),
        ("HIT", "second, by the script")
    );
    assert!(theirs.is_aged(30, start), "{:?}", theirs.age());
    site.make_stale("/x");
    assert_eq!(site.get("/x").text(), "second, by the script");
    assert_eq!(site.wait_for_hit("/x").text(), "GET /x #2\n");
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn cookies_are_stored_and_served_only_where_they_are_ignored() {
    let ignore = "redis_cache_ignore_headers Set-Cookie;";
    for (settings, cached) in [("", false), (ignore, true)] {
        let site = Site::new().location(settings).start();
        let cookies = Answer::ok("x")
            .header("Set-Cookie", "a=1; Path=/")
            .header("Set-Cookie", "b=2");
        site.backend.set("/x", cookies);
        let first = site.get("/x");
        assert_eq!(first.headers("set-cookie"), ["a=1; Path=/", "b=2"]);
        assert_eq!(first.word(), if cached { "STORE" } else { "SKIP" });
        let lua = Record::lua("200", r#"{"Set-Cookie":["a=1","b=2"]}"#, "somebody's");
        site.redis.put("/lua", &lua, 150);
        if cached {
            assert_eq!(
                site.redis.wait_for_record("/x").header("set-cookie"),
                ["a=1; Path=/", "b=2"]
            );
            assert_eq!(site.get("/x").headers("set-cookie"), ["a=1; Path=/", "b=2"]);
            assert_eq!(site.get("/lua").headers("set-cookie"), ["a=1", "b=2"]);
        } else {
            assert!(holds_for(ms(100), || site.redis.keys() == ["/lua"]));
            assert_eq!(site.get("/x").word(), "SKIP");
            let miss = site.get("/lua");
            assert_eq!(
                (miss.word().as_str(), miss.header("set-cookie")),
                ("STORE", None)
            );
        }
    }
}

#[test]
fn bytes_of_any_value_survive() {
    let site = Site::new().start();
    let every: Vec<u8> = (0..=255).cycle().take(1024).collect();
    let value = b"caf\xe9 \xff\x80 \xc3\xa9\tend".as_slice();
    site.backend
        .set("/x", Answer::ok(every.clone()).header("X-Bytes", value));
    site.fill("/x");
    let hit = site.get("/x");
    assert_eq!(
        (hit.word().as_str(), hit.raw_headers("x-bytes")),
        ("HIT", vec![value])
    );
    assert_eq!(hit.body, every);
    assert_eq!(site.redis.get("/x").unwrap().body, every);
    // The same bytes as the script's encoder leaves them: as they are.
    let mut json = b"{\"X-Bytes\":\"".to_vec();
    json.extend_from_slice(b"caf\xe9 \xff\x80 \xc3\xa9\\tend");
    json.extend_from_slice(b"\"}");
    site.redis
        .put("/lua", &Record::lua("200", json, every.clone()), 150);
    let hit = site.get("/lua");
    assert_eq!(
        (hit.word().as_str(), hit.raw_headers("x-bytes")),
        ("HIT", vec![value])
    );
    assert_eq!(hit.body, every);
}

#[test]
fn a_record_cannot_inject_headers() {
    let site = Site::new().start();
    let evil = [
        ("crlf", r#"{"X":"a\r\nInjected: 1"}"#),
        ("lf", r#"{"X":"a\nInjected: 1"}"#),
        ("cr", r#"{"X":"a\rInjected: 1"}"#),
        ("nul", r#"{"X":"a\u0000b"}"#),
        ("name", r#"{"X: y\r\nInjected":"1"}"#),
        ("array", r#"{"X":["a","b\r\nInjected: 1"]}"#),
        ("type", r#"{"Content-Type":"text\/html\r\nInjected: 1"}"#),
        ("empty", r#"{"":"1"}"#),
    ];
    for (name, headers) in evil {
        let path = format!("/{name}");
        site.redis
            .put(&path, &Record::lua("200", headers, "evil"), 150);
        let answer = site.get(&path);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "STORE"),
            "{name}"
        );
        assert_eq!(answer.text(), format!("GET {path} #1\n"), "{name}");
        assert_eq!(answer.header("injected"), None, "{name}");
        assert_eq!(site.wait_for_hit(&path).header("injected"), None, "{name}");
    }
}

#[test]
fn a_record_that_would_not_have_been_stored_is_a_miss() {
    let site = Site::new().start();
    let records = [
        (
            "short",
            Record::lua("200", r#"{"Content-Length":100}"#, "too short"),
        ),
        (
            "no-store",
            Record::lua("200", r#"{"Cache-Control":"no-store"}"#, "x"),
        ),
        (
            "private",
            Record::lua("200", r#"{"cache-control":"max-age=60, private"}"#, "x"),
        ),
        (
            "no-cache",
            Record::lua("200", r#"{"Cache-Control":["public","no-cache"]}"#, "x"),
        ),
        ("cookie", Record::lua("200", r#"{"Set-Cookie":"a=1"}"#, "x")),
        (
            "vary",
            Record::lua("200", r#"{"Vary":"Accept-Language"}"#, "x"),
        ),
    ];
    for (name, record) in records {
        let path = format!("/{name}");
        site.redis.put(&path, &record, 150);
        let answer = site.get(&path);
        assert_eq!(
            (answer.word().as_str(), answer.status),
            ("STORE", 200),
            "{name}"
        );
        assert_eq!(answer.text(), format!("GET {path} #1\n"), "{name}");
        assert_eq!(site.wait_for_hit(&path).text(), answer.text(), "{name}");
    }
}

#[test]
fn framing_headers_of_a_record_do_not_reach_the_client() {
    let site = Site::new().start();
    let headers = r#"{"Transfer-Encoding":"chunked","Connection":"close, X-Hop","X-Hop":"1","Keep-Alive":"5"}"#;
    site.redis
        .put("/x", &Record::lua("200", headers, "body"), 150);
    let mut client = site.client();
    let answer = client.get("/x");
    assert!(
        ["body", "GET /x #1\n"].contains(&answer.text().as_str()),
        "{:?}",
        answer.fields
    );
    assert!(
        answer.complete && answer.header("x-hop").is_none(),
        "{:?}",
        answer.fields
    );
    assert_eq!(
        client.get("/y").status,
        200,
        "the connection is still in step"
    );
}

#[test]
fn records_of_many_megabytes_are_read_without_holding_up_others() {
    let site = Site::new().workers(1).start();
    let large = pattern(7_500_000, 1);
    site.backend.set("/large", Answer::ok(large.clone()));
    site.fill("/large");
    site.fill("/small");
    let answers = crowd(site.address(), 24, |number| {
        testbed::Request::get(if number % 4 == 0 { "/large" } else { "/small" })
    });
    for answer in answers.answers() {
        assert_eq!(answer.word(), "HIT");
        assert!(answer.body == large || answer.text() == "GET /small #1\n");
    }
    assert_eq!(
        (site.backend.hits("/large"), site.backend.hits("/small")),
        (1, 1)
    );
}
