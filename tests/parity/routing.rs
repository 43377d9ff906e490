//! Where a request goes: rewriting, files to try, error pages, upstreams, files, internal and named locations.

use std::fs;

use testbed::{Answer, Backend, Proxy, Request, Site, ms};

use crate::{nginx_has, same_as_plain, telling};

/// A location's directives, locations beside it, the request, whether its answer is stored.
type Case = (&'static str, &'static str, &'static str, &'static str, bool);

const CASES: [Case; 19] = [
    ("nothing", "", "", "/a?b=c", true),
    ("odd uri", "", "", "/a%20b/%41/../c//d?x=%2F&y", true),
    (
        "rewrite break",
        "rewrite ^/a/(.*)$ /b/$1 break;",
        "",
        "/a/x?y=1",
        true,
    ),
    (
        "rewrite with arguments",
        "rewrite ^/a/(.*)$ /b?z=$1? break;",
        "",
        "/a/x?y=1",
        true,
    ),
    (
        "a URI in proxy_pass",
        "proxy_pass http://BACKEND/base/;",
        "",
        "/a/x?y=1",
        true,
    ),
    (
        "an address in a variable",
        "set $where BACKEND; proxy_pass http://$where;",
        "",
        "/a?x",
        true,
    ),
    (
        "a URI in a variable",
        "set $where BACKEND; proxy_pass http://$where/other$request_uri;",
        "",
        "/a?x",
        true,
    ),
    (
        "try_files to a named location",
        "try_files /none @back;",
        "location @back { proxy_set_header X-Named 1; proxy_pass http://BACKEND; }",
        "/a?x",
        true,
    ),
    (
        "try_files to a URI",
        "try_files /none /fall$uri$is_args$args;",
        "location /fall { proxy_pass http://BACKEND; }",
        "/a?x",
        true,
    ),
    (
        "error_page to a URI",
        "proxy_intercept_errors on; error_page 404 /sorry;",
        "location /sorry { proxy_pass http://BACKEND; }",
        "/404?x",
        false,
    ),
    (
        "error_page to a URI with another status",
        "proxy_intercept_errors on; error_page 404 =200 /sorry;",
        "location /sorry { proxy_pass http://BACKEND; }",
        "/404?x",
        false,
    ),
    (
        "error_page to a named location",
        "proxy_intercept_errors on; error_page 404 = @sorry;",
        "location @sorry { rewrite ^ /found break; proxy_pass http://BACKEND; }",
        "/404?x",
        false,
    ),
    (
        "error_page for a dead backend",
        "proxy_pass http://127.0.0.1:1; error_page 502 504 = @alive;",
        "location @alive { proxy_pass http://BACKEND; }",
        "/a?x",
        false,
    ),
    (
        "if that sets a variable",
        "set $y 0; if ($arg_x) { set $y $arg_x; } proxy_set_header X-Y $y;",
        "",
        "/a?x=7",
        true,
    ),
    (
        "if that breaks",
        "if ($arg_x) { break; } proxy_set_header X-Y $arg_x;",
        "",
        "/a?x=7",
        true,
    ),
    (
        "a method and a body of its own",
        "proxy_set_body body-of-$uri;",
        "",
        "/a",
        true,
    ),
    (
        "no request headers",
        "proxy_pass_request_headers off; proxy_pass http://backend;",
        "",
        "/a",
        true,
    ),
    (
        "HTTP/1.0 to the backend",
        "proxy_http_version 1.0;",
        "",
        "/a",
        true,
    ),
    (
        "more than one header",
        "proxy_set_header X-A $uri; proxy_set_header X-B $args;",
        "",
        "/a?b",
        true,
    ),
];

#[test]
fn a_fill_goes_where_the_request_would_go() {
    for (what, location, locations, target, stored) in CASES {
        let shape = |site: Site| {
            site.location(&format!("{location}\n"))
                .locations(locations)
                .server("proxy_http_version 1.1; proxy_set_header Connection '';")
        };
        let request = Request::get(target)
            .header("User-Agent", "test")
            .header("X-Client", "1")
            .header("Cookie", "a=b; c=d");
        same_as_plain(what, shape, &request, stored);
    }
}

/// What the backend's location has besides what a case gives it.
fn completed(given: &str) -> String {
    let missing = |directive: &str, line: &'static str| {
        let given = given.contains(directive);
        if given { "" } else { line }
    };
    format!(
        "{given} {} {} proxy_set_header Connection '';",
        missing("proxy_http_version", "proxy_http_version 1.1;"),
        missing("proxy_pass ", "proxy_pass http://backend;"),
    )
}

#[test]
fn a_fill_behind_a_named_location_goes_there_too() {
    for (what, location, locations, target, stored) in CASES {
        if what == "a URI in proxy_pass" {
            // nginx doesn't have it in named locations.
            continue;
        }
        for form in [
            "redis_cache_backend @behind;",
            "set $cache_backend @behind;",
        ] {
            let request = Request::get(target)
                .header("User-Agent", "test")
                .header("Cookie", "a=b; c=d");
            let plain = Site::plain()
                .location(&completed(location))
                .locations(locations);
            let site = Site::new().location(form).locations(&format!(
                "{locations} location @behind {{ {} }}",
                completed(location)
            ));
            let (plain, site) = (telling(&plain), telling(&site));
            let expected = plain.ask(&request);
            let first = site.ask(&request);
            let (own, its) = (site.backend.address(), plain.backend.address());
            let first_text = first.text().replace(&own.to_string(), "BACKEND");
            let text = expected.text().replace(&its.to_string(), "BACKEND");
            assert_eq!(
                (first.status, first_text),
                (expected.status, text),
                "{what}, {form}"
            );
            if stored {
                assert_eq!(first.word(), "STORE", "{what}, {form}");
                assert!(
                    site.wait_for_hit(target).body == first.body,
                    "{what}, {form}"
                );
            } else {
                assert_eq!(first.word(), "SKIP", "{what}, {form}");
                assert!(site.redis.keys().is_empty(), "{what}, {form}");
            }
        }
    }
}

#[test]
fn redirects_are_rewritten() {
    for rewrite in [
        "proxy_redirect http://backend/ /;",
        "proxy_pass http://backend; proxy_redirect default;",
        "proxy_redirect off;",
    ] {
        let shape = |site: Site| site.location(rewrite).server("absolute_redirect off;");
        same_as_plain(rewrite, shape, &Request::get("/moved"), false);
    }
}

#[test]
fn the_next_upstream_is_tried() {
    let http = "upstream two { server 127.0.0.1:1; server BACKEND; }";
    let shape = |site: Site| site.http(http).location("proxy_pass http://two;");
    same_as_plain("refused", shape, &Request::get("/x"), true);
    let mut bad = Backend::start();
    bad.set_otherwise(Answer::of(503, "bad"));
    let http = format!(
        "upstream two {{ server {}; server BACKEND backup; }}",
        bad.address()
    );
    let location = "proxy_pass http://two; proxy_next_upstream error timeout http_503;";
    let shape = |site: Site| site.http(&http).location(location);
    same_as_plain("503", shape, &Request::get("/x"), true);
    bad.stop();
    same_as_plain("stopped", shape, &Request::get("/x"), true);
}

#[test]
fn connections_to_the_upstream_are_kept() {
    let other = Backend::start();
    let counter = Proxy::start(&other.address().to_string());
    let http = format!(
        "upstream kept {{ server {}; keepalive 8; }}",
        counter.address()
    );
    let site = Site::new()
        .workers(1)
        .http(&http)
        .location("proxy_pass http://kept;")
        .start();
    for number in 0..20 {
        assert_eq!(site.fill(&format!("/{number}")).status, 200);
    }
    assert_eq!(other.all_hits(), 20);
    assert_eq!(counter.accepted(), 1, "one connection for all fills");
}

#[test]
fn internal_and_named_locations_are_backends() {
    let backends = [
        (
            "/internal",
            "location /internal { internal; rewrite ^/internal(/.*) $1 break; proxy_pass http://BACKEND; }",
        ),
        ("@named", "location @named { proxy_pass http://BACKEND; }"),
        (
            "/static",
            "location /static { internal; rewrite ^ /x break; proxy_pass http://BACKEND; }",
        ),
    ];
    for (name, location) in backends {
        let site = Site::new()
            .location(&format!("redis_cache_backend {name};"))
            .locations(location)
            .start();
        let first = site.fill("/x?y=1");
        assert_eq!(first.status, 200, "{name}");
        assert_eq!(site.get("/x?y=1").body, first.body, "{name}");
        assert_eq!(site.backend.all_hits(), 1, "{name}");
        assert_eq!(site.backend.last("/x").target, "/x?y=1", "{name}");
        if name != "@named" {
            assert_eq!(
                site.get(&format!("{name}/x")).status,
                404,
                "{name}: internal"
            );
        }
    }
}

#[test]
fn cached_locations_that_are_internal_or_named() {
    let cached = "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_header X-Cache;\n\
                  redis_cache_key $request_uri; proxy_pass http://BACKEND;";
    let site = Site::new()
        .server(
            "add_header X-From server;
             error_page 418 = @cached;",
        )
        .locations(&format!(
            "location @cached {{ {cached} }}
             location /cached {{ internal; {cached} }}
             location /try {{ try_files /none @cached; }}
             location /teapot {{ return 418; }}
             location /rewritten {{ rewrite ^/rewritten(.*) /cached$1 last; }}"
        ))
        .start();
    for path in ["/try/x?a", "/teapot/x?a", "/rewritten/x?a"] {
        let first = site.get(path);
        assert_eq!(
            (first.status, first.word().as_str()),
            (200, "STORE"),
            "{path}"
        );
        let _ = site.redis.wait_for_record(path);
        let hit = site.get(path);
        assert_eq!((hit.status, hit.word().as_str()), (200, "HIT"), "{path}");
        assert_eq!(hit.body, first.body, "{path}");
    }
    assert_eq!(site.get("/cached/x").status, 404, "internal");
    assert_eq!(site.backend.all_hits(), 3);
}

#[test]
fn static_files_are_cached_like_any_answer() {
    for (form, backend, locations) in [
        ("own handler", "root html; # not proxy_pass\n", ""),
        (
            "a location",
            "redis_cache_backend /files;",
            "location /files { internal; alias html; }",
        ),
    ] {
        let site = Site::new().location(backend).locations(locations).start();
        let folder = site.nginx.prefix().join("html");
        fs::create_dir(&folder).unwrap();
        let body = testbed::pattern(300_000, 1);
        fs::write(folder.join("file.txt"), &body).unwrap();
        fs::write(folder.join("empty.txt"), "").unwrap();
        for (path, body) in [("/file.txt", &body[..]), ("/empty.txt", b"")] {
            let first = site.fill(path);
            assert!(first.status == 200 && first.body == body, "{form} {path}");
            fs::remove_file(folder.join(&path[1..])).unwrap();
            let hit = site.get(path);
            assert!(hit.word() == "HIT" && hit.body == body, "{form} {path}");
            assert_eq!(
                hit.header("last-modified"),
                first.header("last-modified"),
                "{form}"
            );
            assert_eq!(hit.header("etag"), first.header("etag"), "{form}");
        }
        assert_eq!(site.get("/none.txt").status, 404, "{form}");
        let range = site.ask(&Request::get("/file.txt").header("Range", "bytes=10-19"));
        assert!(range.status == 206 && range.body == body[10..20], "{form}");
    }
}

#[test]
fn x_accel_redirect_is_followed_and_not_stored() {
    for (form, site) in Site::forms() {
        let site = site
            .locations("location /protected { internal; proxy_pass http://BACKEND; }")
            .start();
        let answer = Answer::ok("hidden").header("X-Accel-Redirect", "/protected/x?y");
        site.backend.set("/x", answer);
        for turn in 1..=3 {
            let answer = site.get("/x");
            assert_eq!(answer.status, 200, "{form}");
            assert!(
                answer.text().starts_with("GET /protected/x?y #"),
                "{form}: {}",
                answer.text()
            );
            assert_ne!(answer.word(), "HIT", "{form}");
            assert_eq!(site.backend.hits("/x"), turn, "{form}");
        }
        assert!(
            site.redis.keys().is_empty(),
            "{form}: {:?}",
            site.redis.keys()
        );
        let crowd = site.crowd(20, "/x");
        assert_eq!(crowd.statuses(), [(200, 20)].into(), "{form}");
        assert!(
            crowd.slowest() < ms(10_000),
            "{form}: {:?}",
            crowd.slowest()
        );
    }
}

#[test]
fn realip_counts_for_the_fill_too() {
    if !nginx_has("http_realip_module") {
        return;
    }
    let shape = |site: Site| {
        site.server("set_real_ip_from 127.0.0.1; real_ip_header X-Real;")
            .location("proxy_set_header X-Address $remote_addr; proxy_set_header X-Proxied $proxy_add_x_forwarded_for;")
    };
    let request = Request::get("/x").header("X-Real", "192.0.2.7");
    same_as_plain("realip", shape, &request, true);
    let site = telling(&shape(Site::new()));
    assert!(site.ask(&request).text().contains("X-Address: 192.0.2.7"));
}
