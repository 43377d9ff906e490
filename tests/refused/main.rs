//! Requests that nginx itself refuses, before they have all that others have: a server, header lines, a URI, the name of
//! a method. Their `error_page` leads to a location that caches, and the client gets what it gets without the module.

use testbed::{Answer, Running, Site, nginx_is_at_least};

mod other_protocols;

/// What each site has: small limits, so that requests are soon too large.
const SERVER: &str = "
    client_max_body_size 10;
    large_client_header_buffers 2 1k;
    error_page 405 413 414 494 495 496 497 501 505 ";

/// Reads all that the module says of a request.
const LOG: &str = "log_format all '$status \"$request\" $redis_cache_status $redis_cache_reason $redis_cache_age \
    $redis_cache_ttl $redis_cache_fill_time $redis_cache_key';
    access_log logs/access.log all;";

/// Where refused requests go, without the module and with it.
const PLACES: [(&str, &str, &str, &str); 6] = [
    (
        "a page",
        "/error/page",
        "location /error/ { proxy_pass http://backend; }",
        "location /error/ { ON redis_cache_key $uri; proxy_pass http://backend; }",
    ),
    (
        "a page, by the default key",
        "/error/page",
        "location /error/ { proxy_pass http://backend; }",
        "location /error/ { ON proxy_pass http://backend; }",
    ),
    (
        "a page in another location as the backend",
        "/page",
        "location /page { rewrite ^ /error/page break; proxy_pass http://backend; }",
        "location /page { ON redis_cache_key $uri; redis_cache_backend /error; }
         location /error/ { proxy_pass http://backend; }",
    ),
    (
        "a page in a named location as the backend",
        "/page",
        "location /page { rewrite ^ /error/page break; proxy_pass http://backend; }",
        "location /page { ON redis_cache_key $uri; redis_cache_backend @error; }
         location @error { rewrite ^ /error/page break; proxy_pass http://backend; }",
    ),
    (
        "a named location",
        "@error",
        "location @error { rewrite ^ /error/page break; proxy_pass http://backend; }",
        "location @error { ON redis_cache_key page; rewrite ^ /error/page break; proxy_pass http://backend; }",
    ),
    (
        "a named location with the variables of the script",
        "@error",
        "location @error { rewrite ^ /error/page break; proxy_pass http://backend; }",
        "location @error { set $cache_lock locks; set $cache_pass main; set $cache_backend /error;
            set $cache_status 200; set $cache_method 'GET POST'; set $cache_header X-Cache;
            set_md5 $cache_key $request_method:$http_user_agent:$request_uri; redis_cache; }
         location /error { rewrite ^ /error/page break; proxy_pass http://backend; }",
    ),
];

const ON: &str =
    "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_header X-Cache;";

/// Requests that are refused: what is wrong, what is sent, and the status that they get.
fn requests() -> Vec<(&'static str, Vec<u8>, u16)> {
    let long = "x".repeat(2000);
    let line = |text: &str| text.as_bytes().to_vec();
    let get = |fields: &str| format!("GET /x HTTP/1.1\r\n{fields}\r\n\r\n").into_bytes();
    let post =
        |fields: &str| format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes();
    vec![
        (
            "a method in lower case",
            line("get /x HTTP/1.1\r\n\r\n"),
            400,
        ),
        ("no request", line("\x16\x03\x01\x02\r\n\r\n"), 400),
        (
            "a target above the root",
            line("GET /../x HTTP/1.1\r\n\r\n"),
            400,
        ),
        (
            "a target that isn't decoded",
            line("GET /%zz HTTP/1.1\r\n\r\n"),
            400,
        ),
        (
            "a host in the target that is none",
            line("GET http://a\\b/x HTTP/1.1\r\n\r\n"),
            400,
        ),
        (
            "a long target",
            format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
            414,
        ),
        ("another protocol", line("GET /x HTTP/3.0\r\n\r\n"), 505),
        ("no Host", line("GET /x HTTP/1.1\r\n\r\n"), 400),
        ("a Host that is none", get("Host: a/b"), 400),
        (
            "a second Host",
            get("Host: a\r\nX-Field: 1\r\nHost: b"),
            400,
        ),
        (
            "a second Host behind a target with one",
            b"GET http://a/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
            400,
        ),
        ("an empty Host", get("Host:"), 400),
        (
            "a second Content-Length",
            post("Content-Length: 1\r\nContent-Length: 1"),
            400,
        ),
        (
            "a Content-Length that is none",
            post("Content-Length: x"),
            400,
        ),
        (
            "two lengths",
            [
                post("Content-Length: 1\r\nTransfer-Encoding: chunked"),
                b"0\r\n\r\n".to_vec(),
            ]
            .concat(),
            400,
        ),
        (
            "a second User-Agent",
            get(
                "Host: a\r\nUser-Agent: MSIE 6\r\nCookie: a\r\nCookie: b\r\nIf-Modified-Since: x\r\nIf-Modified-Since: x",
            ),
            400,
        ),
        (
            "a second Authorization",
            get("Host: a\r\nAuthorization: Basic YTpi\r\nAuthorization: Basic YTpi"),
            400,
        ),
        ("a NUL in a field", get("Host: a\r\nX-Field: a\0b"), 400),
        ("a field without a name", get("Host: a\r\n: x"), 400),
        (
            "a long field",
            get(&format!("Host: a\r\nX-Field: {long}")),
            400,
        ),
        ("an unknown coding", post("Transfer-Encoding: gzip"), 501),
        ("TRACE", line("TRACE /x HTTP/1.1\r\nHost: a\r\n\r\n"), 405),
        (
            "CONNECT",
            line("CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n"),
            // From 1.29.3 on its target has to be an authority.
            if nginx_is_at_least([1, 29, 3]) {
                400
            } else {
                405
            },
        ),
        (
            "a large body that comes",
            [post("Content-Length: 30"), vec![b'x'; 30]].concat(),
            413,
        ),
        (
            "a large body in chunks",
            [
                post("Transfer-Encoding: chunked"),
                b"1e\r\n".to_vec(),
                vec![b'x'; 30],
                b"\r\n0\r\n\r\n".to_vec(),
            ]
            .concat(),
            413,
        ),
    ]
}

fn site(site: Site, (page, bad): (&str, &str), locations: &str) -> Running {
    let site = site
        .workers(1)
        .server(&format!("{SERVER} {page}; error_page 400 {bad};"))
        .locations(&locations.replace("ON", ON))
        .start();
    site.backend.set("/error/page", Answer::ok("sorry"));
    site
}

fn plain(page: &str, locations: &str) -> Running {
    site(Site::plain(), (page, page), locations)
}

fn cached(page: &str, locations: &str) -> Running {
    site(cached_site(), (page, page), locations)
}

/// Other requests pass by the cache.
fn cached_site() -> Site {
    Site::new().http(LOG).location("redis_cache off;")
}

fn ask(site: &Running, request: &[u8]) -> (u16, String) {
    let mut client = site.client();
    client.send_raw(request).unwrap();
    match client.receive() {
        Ok(response) => (response.status, response.text().to_owned()),
        Err(error) => (0, error.to_string()),
    }
}

#[test]
fn refused_requests_get_the_page_that_plain_nginx_sends() {
    for (place, page, without, with) in PLACES {
        let (plain, cached) = (plain(page, without), cached(page, with));
        let mut wrong = Vec::new();
        for (fault, request, status) in requests() {
            let expected = ask(&plain, &request);
            // A request without a URI isn't let into a named location.
            let refused = expected == (status, "sorry".to_owned()) || page.starts_with('@');
            assert!(refused, "{place}: {fault}: {expected:?}");
            // The second may find what the first has left.
            for turn in 1..=2 {
                let got = ask(&cached, &request);
                if got != expected {
                    wrong.push(format!("{fault}, {turn}: {got:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{place}: {wrong:#?}");
        cached.nginx.finish();
    }
}

#[test]
fn without_a_target_there_is_no_default_key() {
    let own = "ON proxy_pass http://backend;";
    let variables =
        "set $cache_lock locks; set $cache_pass main; redis_cache; proxy_pass http://backend;";
    for (key, location) in [("the directive's", own), ("the script's", variables)] {
        let location = format!("location /error/ {{ {location} }}");
        let site = site(cached_site(), ("/error/page", "/error/400"), &location);
        site.backend.set("/error/400", Answer::ok("bad"));
        let page = |status: u16, body: &str| (status, body.to_owned());
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2000));
        for _ in 0..2 {
            let bad = ask(&site, b"get /x HTTP/1.1\r\n\r\n");
            assert_eq!(bad, page(400, "bad"), "{key}");
            assert_eq!(ask(&site, long.as_bytes()), page(414, "sorry"), "{key}");
        }
        assert!(
            site.redis.keys().is_empty(),
            "{key}: {:?}",
            site.redis.keys()
        );
    }
}
