//! Records that somebody else wrote. What can't be sent as it stands is a miss; what can is sent without
//! anything that would speak to nginx or to the connection.

use testbed::{Record, Request, Running, Site};

fn put(site: &Running, path: &str, status: &str, headers: &[u8], body: &str) {
    site.redis
        .put(&site.key(path), &Record::lua(status, headers, body), 150);
}

#[test]
fn a_record_that_cannot_be_sent_is_a_miss() {
    let site = Site::new().location("redis_cache_valid any;").start();
    let deep = format!("{{\"X\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!("{}{}", "{\"a\":".repeat(100_000), "1");
    let many = format!("{{\"X\":[{}\"1\"]}}", "\"1\",".repeat(1000));
    let large = format!("{{\"X\":\"{}\"}}", "x".repeat(1_000_000));
    let huge = format!("{{\"X\":\"{}\"}}", "x".repeat(10_000_000));
    let sum = format!(
        "{{\"X\":[{}\"1\"]}}",
        format!("\"{}\",", "x".repeat(1000)).repeat(300)
    );
    let cases: [(&str, &str, &[u8]); 34] = [
        ("status-zero", "0", b"{}"),
        ("status-interim", "100", b"{}"),
        ("status-switching", "101", b"{}"),
        ("status-partial", "206", b"{}"),
        ("status-confirming", "304", b"{}"),
        ("status-large", "999", b"{}"),
        ("status-huge", "99999999999999999999", b"{}"),
        ("status-wrapping", "65736", b"{}"),
        ("status-split", "200\r\nX-Evil: 1", b"{}"),
        ("status-blank", " 200", b"{}"),
        ("no-object", "200", b"[]"),
        ("no-json", "200", b"X-Evil: 1"),
        ("cut", "200", b"{\"X\":\"1"),
        ("two-objects", "200", b"{}{}"),
        ("true", "200", b"{\"X\":true}"),
        ("null", "200", b"{\"X\":null}"),
        ("array-in-array", "200", b"{\"X\":[[\"1\"]]}"),
        ("lone-surrogate", "200", b"{\"X\":\"\\ud800\"}"),
        ("deep", "200", deep.as_bytes()),
        ("nested", "200", nested.as_bytes()),
        ("many-lines", "200", many.as_bytes()),
        ("large-header", "200", large.as_bytes()),
        ("huge-header", "200", huge.as_bytes()),
        ("large-headers", "200", sum.as_bytes()),
        ("split", "200", b"{\"X\":\"1\\r\\nX-Evil: 1\"}"),
        ("split-by-lf", "200", b"{\"X\":\"1\\nX-Evil: 1\"}"),
        ("split-by-cr", "200", b"{\"X\":\"1\\rX-Evil: 1\"}"),
        ("split-by-nul", "200", b"{\"X\":\"1\\u0000\"}"),
        ("split-by-name", "200", b"{\"X: 1\\r\\nX-Evil\":\"1\"}"),
        ("name-empty", "200", b"{\"\":\"1\"}"),
        ("length-short", "200", b"{\"Content-Length\":3}"),
        (
            "length-twice",
            "200",
            b"{\"Content-Length\":4,\"content-length\":\"5\"}",
        ),
        ("length-negative", "200", b"{\"Content-Length\":-4}"),
        ("length-list", "200", b"{\"Content-Length\":[4,5]}"),
    ];
    for (name, status, headers) in cases {
        let path = format!("/{name}");
        put(&site, &path, status, headers, "evil");
        let answer = site.get(&path);
        assert_eq!(
            (answer.status, answer.word().as_str(), answer.text()),
            (200, "STORE", format!("GET {path} #1\n")),
            "{name}"
        );
        assert_eq!(answer.header("x-evil"), None, "{name}");
        // and it is replaced
        assert_eq!(site.wait_for_hit(&path).text(), answer.text(), "{name}");
    }
}

#[test]
fn a_record_that_is_for_somebody_is_a_miss() {
    let site = Site::new().start();
    let cases: [(&str, &[u8]); 5] = [
        ("cookie", b"{\"Set-Cookie\":\"session=evil\"}"),
        ("cookie-in-a-list", b"{\"sEt-cOOkie\":[\"a=1\",\"b=2\"]}"),
        (
            "cookie-behind-another",
            b"{\"Set-Cookie\":[],\"set-cookie\":\"a=1\"}",
        ),
        ("private", b"{\"Cache-Control\":[\"public\",\"private\"]}"),
        ("no-store", b"{\"Cache-Control\":\"max-age=9, no-store\"}"),
    ];
    for (name, headers) in cases {
        let path = format!("/{name}");
        put(&site, &path, "200", headers, "evil");
        let answer = site.get(&path);
        assert_eq!(
            (answer.word().as_str(), answer.header("set-cookie")),
            ("STORE", None),
            "{name}"
        );
    }
}

/// Fields of one hop, and those that nginx takes for orders.
#[test]
fn a_record_speaks_neither_to_the_connection_nor_to_nginx() {
    let site = Site::new()
        .locations("location /secret { internal; return 200 secret; }")
        .start();
    let headers = br#"{"Transfer-Encoding":"chunked","Connection":"close, X-Hop, upgrade","Upgrade":"h2c","X-Hop":"1",
        "Keep-Alive":"timeout=1","Trailer":"X","TE":"trailers","Proxy-Connection":"close","Content-Length":17,
        "X-Accel-Redirect":"/secret","X-Accel-Expires":"99999","X-Accel-Buffering":"no","X-Accel-Charset":"koi8-r",
        "X-Accel-Limit-Rate":"1","Age":"99999999999","Date":"never","Server":"evil","X-Kept":"1"}"#;
    put(&site, "/x", "200", headers, "GET /x HTTP/1.1\r\n");
    let mut client = site.client();
    for _ in 0..2 {
        let hit = client.get("/x");
        assert_eq!((hit.status, hit.word().as_str()), (200, "HIT"));
        assert_eq!(hit.text(), "GET /x HTTP/1.1\r\n");
        assert_eq!(hit.header("content-length").as_deref(), Some("17"));
        assert_eq!(hit.header("x-kept").as_deref(), Some("1"));
        assert_eq!(hit.headers("age").len(), 1);
        assert!(hit.age().unwrap() < 100);
        for name in [
            "transfer-encoding",
            "upgrade",
            "x-hop",
            "trailer",
            "te",
            "proxy-connection",
            "x-accel-redirect",
            "x-accel-expires",
            "x-accel-buffering",
            "x-accel-charset",
            "x-accel-limit-rate",
        ] {
            assert_eq!(hit.header(name), None, "{name}");
        }
        assert_ne!(hit.header("server").as_deref(), Some("evil"));
        assert_ne!(hit.header("date").as_deref(), Some("never"));
    }
    let head = client.ask(&Request::head("/x"));
    assert!(head.complete && head.body.is_empty());
    assert_eq!(client.get("/next").status, 200, "in step");
}

/// A name that comes twice is two lines, as in any JSON reader that doesn't drop one; none hides the other.
#[test]
fn repeated_names_hide_nothing() {
    let site = Site::new().start();
    put(
        &site,
        "/x",
        "200",
        br#"{"X-A":"1","x-a":"2","X-A":["3"],"Content-Type":"text/plain","content-type":"text/html"}"#,
        "body",
    );
    let hit = site.get("/x");
    assert_eq!(hit.word(), "HIT");
    assert_eq!(hit.headers("x-a"), ["1", "2", "3"]);
    assert_eq!(hit.headers("content-type").len(), 1);
    put(
        &site,
        "/y",
        "200",
        br#"{"Cache-Control":"public","cache-control":"no-store"}"#,
        "body",
    );
    assert_eq!(site.get("/y").word(), "STORE");
}

/// A key of another type is left alone, whatever it holds, and the request is answered.
#[test]
fn a_key_of_another_type_is_left_alone() {
    let site = Site::new().start();
    let kinds = [
        ("/string", vec!["SET", "/string", "GET /x HTTP/1.1\r\n\r\n"]),
        ("/list", vec!["RPUSH", "/list", "200"]),
        ("/set", vec!["SADD", "/set", "status"]),
        ("/zset", vec!["ZADD", "/zset", "200", "status"]),
        ("/stream", vec!["XADD", "/stream", "*", "status", "200"]),
    ];
    for (path, command) in kinds {
        let _: redis::Value = site.redis.command(&command);
        let _: bool = site.redis.command(&["EXPIRE", path, "100"]);
        for _ in 0..2 {
            let answer = site.get(path);
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{path}"
            );
        }
        let kind: String = site.redis.command(&["TYPE", path]);
        assert_eq!(format!("/{kind}"), path);
    }
}

/// What this module writes beside a record doesn't make one usable, nor older or younger than its expiry.
#[test]
fn a_false_meta_field_changes_nothing() {
    let site = Site::new().start();
    let metas: [&[u8]; 6] = [
        b"1 age=2147483647 expiry=2147483647 gen=x sum=0000000000000000",
        b"1 age=99999999999 expiry=1 gen= sum=g",
        b"1 age=-1 expiry=-1 gen=a sum=+1",
        b"1 age",
        b"\xff\x00\r\n",
        b"2 anything",
    ];
    for (number, meta) in metas.into_iter().enumerate() {
        let path = format!("/{number}");
        let mut record = Record::lua("200", r#"{"X-A":"1"}"#, "body");
        record.others.insert("meta".into(), meta.to_vec());
        site.redis.put(&path, &record, 150);
        let hit = site.get(&path);
        assert_eq!(
            (hit.word().as_str(), hit.text().as_str()),
            ("HIT", "body"),
            "{number}"
        );
        assert!(
            (10..=40).contains(&hit.age().unwrap()),
            "{number}: {:?}",
            hit.age()
        );
    }
}
