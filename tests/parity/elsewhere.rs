//! Access rules and limits of the locations that internal redirects lead to from a backend's location.

use std::fs;

use testbed::{Answer, PATIENCE, Request, Running, Site, wait_for};

use crate::nginx_has;

/// A name; what the location has that leads elsewhere; the rules there; whether a request with the password and the
/// key gets in.
type Case = (&'static str, &'static str, &'static str, bool);

const TRY: &str = "try_files /none /there/page;";
const LAST: &str = "rewrite ^ /there/page last;";
const ACCEL: &str = "rewrite ^ /accel break; proxy_pass http://BACKEND;";
const ERROR: &str = "proxy_intercept_errors on; error_page 404 = /there/page; rewrite ^ /404 break; proxy_pass http://BACKEND;";
const PASSWORD: &str = "auth_basic closed; auth_basic_user_file users;";

const CASES: [Case; 15] = [
    ("try_files, deny", TRY, "deny all;", false),
    ("X-Accel-Redirect, deny", ACCEL, "deny all;", false),
    ("error_page, deny", ERROR, "deny all;", false),
    ("rewrite, deny", LAST, "deny all;", false),
    ("rewrite, a password", LAST, PASSWORD, true),
    ("try_files, a password", TRY, PASSWORD, true),
    ("X-Accel-Redirect, a password", ACCEL, PASSWORD, true),
    ("error_page, a password", ERROR, PASSWORD, true),
    ("try_files, auth_request", TRY, "auth_request /auth;", true),
    (
        "X-Accel-Redirect, auth_request",
        ACCEL,
        "auth_request /auth;",
        true,
    ),
    (
        "any, by password",
        TRY,
        "satisfy any; deny all; auth_basic closed; auth_basic_user_file users;",
        true,
    ),
    (
        "any, by auth_request",
        TRY,
        "satisfy any; deny all; auth_request /auth;",
        true,
    ),
    (
        "all",
        TRY,
        "allow all; auth_request /auth; auth_basic closed; auth_basic_user_file users;",
        true,
    ),
    (
        "Lua",
        TRY,
        "access_by_lua_block { if not ngx.var.http_x_key then ngx.exit(403) end }",
        true,
    ),
    (
        "Lua that waits",
        ERROR,
        "access_by_lua_block { ngx.sleep(0.01) if not ngx.var.http_x_key then ngx.exit(403) end }",
        true,
    ),
];

const MODULES: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n";

/// The plain site and the three forms of backends, with the same in the backend's location.
fn sites(inside: &str, locations: &str) -> Vec<(&'static str, Site)> {
    let dress = |site: Site| {
        let site = site
            .workers(1)
            .locations(locations)
            .location("# no add_header X-Worker, no proxy_set_header Connection\n");
        if locations.contains("lua") {
            site.modules(MODULES)
        } else {
            site
        }
    };
    let behind = |name: &str, directive: &str| {
        dress(Site::new())
            .location(directive)
            .locations(&format!("location {name} {{ {inside} }}"))
    };
    let ignored = "redis_cache_ignore_headers Authorization;";
    vec![
        ("plain", dress(Site::plain()).location(inside)),
        (
            "own handler",
            dress(Site::new()).location(inside).location(ignored),
        ),
        (
            "a URI",
            behind("/behind", "redis_cache_backend /behind;").location(ignored),
        ),
        (
            "a name",
            behind("@behind", "redis_cache_backend @behind;").location(ignored),
        ),
    ]
}

fn start(site: &Site) -> Running {
    let site = site.start();
    fs::write(site.nginx.prefix().join("conf/users"), "user:{PLAIN}pass\n").unwrap();
    site.backend.script("(otherwise)", |request, _| {
        let path = request.path();
        if path.starts_with("/accel") {
            return Answer::ok("").header("X-Accel-Redirect", "/there/page");
        }
        if path.starts_with("/404") {
            return Answer::of(404, "none");
        }
        if path.starts_with("/auth") {
            let status = if request.header("x-key").is_some() {
                204
            } else {
                403
            };
            return Answer::of(status, "");
        }
        Answer::ok("inside")
    });
    site
}

fn with_key(request: Request) -> Request {
    request
        .header("Authorization", "Basic dXNlcjpwYXNz")
        .header("X-Key", "1")
}

#[test]
fn rules_hold_where_an_internal_redirect_leads() {
    let debian = nginx_has("--modules-path=/usr/lib/nginx/modules");
    for (what, inside, rules, opens) in CASES {
        if !debian && (rules.contains("lua")) || !nginx_has("http_auth_request_module") {
            continue;
        }
        let locations = format!(
            "location /there/ {{ {rules} proxy_pass http://BACKEND; }}
             location = /auth {{ internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass http://BACKEND; }}"
        );
        let mut expected = Vec::new();
        for (form, site) in sites(inside, &locations) {
            let site = start(&site);
            let mut statuses = Vec::new();
            for method in ["GET", "PUT", "GET", "HEAD"] {
                for request in [
                    Request::new(method, "/x"),
                    with_key(Request::new(method, "/x")),
                    Request::new(method, "/x"),
                ] {
                    let answer = site.ask(&request);
                    statuses.push((method, answer.status, answer.text()));
                }
            }
            if form == "plain" {
                assert!(statuses[0].1 >= 401, "{what}: {statuses:?}");
                assert_eq!(statuses[1].1 == 200, opens, "{what}: {statuses:?}");
                expected = statuses;
                continue;
            }
            assert_eq!(statuses, expected, "{what}, {form}");
            assert!(site.redis.keys().is_empty(), "{what}, {form}");
            site.nginx.finish();
        }
    }
}

#[test]
fn the_backends_own_location_is_spared_its_rules() {
    for (what, inside) in [
        ("at once", "deny all; proxy_pass http://BACKEND;"),
        (
            "in an if",
            "deny all; if ($request_method = GET) { set $x 1; } proxy_pass http://BACKEND;",
        ),
        (
            "with a redirect to a location without rules",
            "deny all; try_files /none @free;",
        ),
    ] {
        let free = "location @free { proxy_pass http://BACKEND; }";
        for (form, site) in sites(inside, free).into_iter().skip(2) {
            let site = start(&site);
            for (method, word) in [("GET", "STORE"), ("PUT", "SKIP"), ("GET", "STORE")] {
                let answer = site.ask(&Request::new(method, "/x"));
                assert_eq!(
                    (answer.status, answer.word().as_str()),
                    (200, word),
                    "{what}, {form}"
                );
                if method == "GET" {
                    let _ = site.redis.wait_for_record("/x");
                }
            }
            site.nginx.finish();
        }
    }
}

/// A location that can't be found, or that a rule of the server keeps the request from, isn't the backend's own.
#[test]
fn an_error_before_the_backends_location_spares_nothing() {
    let locations = "location /closed { deny all; proxy_pass http://BACKEND; }";
    for (what, server, directive) in [
        (
            "no such name",
            "error_page 500 = /closed;",
            "redis_cache_backend @none;",
        ),
        (
            "refused by the server",
            "error_page 410 = /closed; if ($uri ~ ^/gone) { return 410; }",
            "redis_cache_backend /gone;",
        ),
    ] {
        let site = Site::new()
            .workers(1)
            .server(server)
            .location(directive)
            .locations(locations);
        let site = start(&site);
        for method in ["GET", "PUT"] {
            let answer = site.ask(&Request::new(method, "/x"));
            assert_eq!(answer.status, 403, "{what}, {method}: {}", answer.text());
        }
        assert_eq!(site.backend.all_hits(), 0, "{what}");
    }
}

#[test]
fn limit_req_of_a_backends_location_counts_what_passes() {
    let http = "limit_req_zone $server_addr zone=few:64k rate=1r/m;";
    let inside = "limit_req zone=few burst=2 nodelay; proxy_pass http://BACKEND;";
    for (form, site) in sites(inside, "") {
        let site = start(&site.http(http));
        let passed = (0..10)
            .filter(|_| site.ask(&Request::post("/x", "x")).status == 200)
            .count();
        assert_eq!(passed, 3, "{form}");
        site.nginx.finish();
    }
}

#[test]
fn a_fill_that_limit_req_delays_goes_on() {
    let http = "limit_req_zone $server_addr zone=slow:64k rate=10r/s;";
    let limit = "limit_req zone=slow burst=9;";
    let there = format!("location @there {{ {limit} proxy_pass http://BACKEND; }}");
    let direct = format!("{limit} proxy_pass http://BACKEND;");
    for (what, inside) in [
        ("at once", direct.as_str()),
        ("behind try_files", "try_files /none @there;"),
    ] {
        for (form, site) in sites(inside, &there) {
            let site = start(&site.http(http));
            for path in ["/1", "/2", "/3", "/4"] {
                let answer = site.get(path);
                assert_eq!(
                    (answer.status, answer.text().as_str()),
                    (200, "inside"),
                    "{what}, {form}"
                );
            }
            if form != "plain" {
                wait_for("four records", PATIENCE, || site.redis.keys().len() == 4);
            }
            site.nginx.finish();
        }
    }
}

#[test]
fn a_request_is_mirrored_once_whatever_the_cache_does() {
    for body in ["on", "off"] {
        let mirror = format!("mirror /mirrored; mirror_request_body {body};");
        let locations = "location = /mirrored { internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass http://BACKEND/copy$request_uri; }";
        for (form, site) in Site::forms() {
            // At the server, where the backend's location inherits it.
            let site = site.workers(1).server(&mirror).locations(locations).start();
            let copies = |count: usize, what: &str| {
                wait_for(&format!("{what}, {form}, {body}"), PATIENCE, || {
                    site.backend.hits("/copy/x") >= count
                });
                assert_eq!(
                    site.backend.hits("/copy/x"),
                    count,
                    "{what}, {form}, {body}"
                );
            };
            assert_eq!(site.get("/x").word(), "STORE");
            copies(1, "a miss");
            let _ = site.redis.wait_for_record(&site.key("/x"));
            assert_eq!(site.wait_for_hit("/x").word(), "HIT");
            copies(2, "a hit");
            site.make_stale("/x");
            assert_eq!(site.get("/x").word(), "STALE");
            site.backend.wait_for_hits("/x", 2);
            copies(3, "a stale record");
            let put = Request::new("PUT", "/x").body("text");
            assert_eq!(site.ask(&put).word(), "SKIP");
            copies(4, "a request that passes");
            site.wait_for_fills(2);
            copies(4, "later");
            site.nginx.finish();
        }
    }
}
