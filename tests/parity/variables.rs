//! The client's variables are those of the fill.

use testbed::{PATIENCE, Request, Site, wait_for};

use crate::{same_as_plain, telling};

const HTTP: &str = "map $http_x_kind $kind { default none; a first; ~^b second-$http_x_kind; }
    map $uri $from_uri { ~^/(?<word>\\w+) w-$word; }
    geo $place { default elsewhere; 127.0.0.0/8 here; }
    split_clients $remote_addr$uri $half { 50% one; * two; }";

const HEADERS: &str = "set $mine \"$arg_a-$cookie_c\";
    proxy_set_header Host $http_host;
    proxy_set_header X-Address $remote_addr;
    proxy_set_header X-Scheme $scheme;
    proxy_set_header X-Host $host;
    proxy_set_header X-Agent $http_user_agent;
    proxy_set_header X-Cookie $cookie_c;
    proxy_set_header X-Set $mine;
    proxy_set_header X-Map $kind;
    proxy_set_header X-Map-Uri $from_uri;
    proxy_set_header X-Geo $place;
    proxy_set_header X-Half $half;
    proxy_set_header X-Uri $uri;
    proxy_set_header X-Request-Uri $request_uri;
    proxy_set_header X-Args $args;
    proxy_set_header X-Arg $arg_a;
    proxy_set_header X-Is-Args $is_args;
    proxy_set_header X-Method $request_method;
    proxy_set_header X-Protocol $server_protocol;
    proxy_set_header X-Request $request;
    proxy_set_header X-Server $server_name:$server_port:$server_addr;
    proxy_set_header X-Referer $http_referer;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Https $https;
    proxy_set_header X-Document $document_root$request_filename;
    proxy_set_header X-Body $content_length$content_type;
    proxy_set_header X-Own $http_x_own;";

fn request(target: &str) -> Request {
    Request::get(target)
        .header("Host", "www.example.org:8080")
        .header("User-Agent", "test agent")
        .header("Referer", "http://else.where/")
        .header("Cookie", "a=1; c=two; d=3")
        .header("X-Kind", "bc")
        .header("X-Forwarded-For", "192.0.2.1, 192.0.2.2")
        .header("X-Own", "one")
        .header("X-Own", "two")
}

#[test]
fn all_arrive_as_without_the_cache() {
    // Ports and folders are other ones for each nginx.
    let text = HEADERS
        .replace(":$server_port", "")
        .replace("X-Document $document_root$request_filename", "X-Document x");
    let shape = |site: Site| site.http(HTTP).location(&text);
    same_as_plain("variables", shape, &request("/path/x?a=b&c=d"), true);
    same_as_plain("no arguments", shape, &request("/path"), true);
}

#[test]
fn they_are_those_of_the_client_that_asks() {
    let site = telling(&Site::new().http(HTTP).location(HEADERS));
    let text = site.ask(&request("/path/x?a=b")).text();
    for line in [
        "Host: www.example.org:8080",
        "X-Address: 127.0.0.1",
        "X-Scheme: http",
        "X-Host: www.example.org",
        "X-Agent: test agent",
        "X-Cookie: two",
        "X-Set: b-two",
        "X-Map: second-bc",
        "X-Map-Uri: w-path",
        "X-Geo: here",
        "X-Uri: /path/x",
        "X-Request-Uri: /path/x?a=b",
        "X-Args: a=b",
        "X-Is-Args: ?",
        "X-Method: GET",
        "X-Protocol: HTTP/1.1",
        "X-Forwarded-For: 192.0.2.1, 192.0.2.2, 127.0.0.1",
        "Cookie: a=1; c=two; d=3",
    ] {
        assert!(text.contains(line), "no {line:?} in:\n{text}");
    }
}

#[test]
fn a_refill_has_them_too_but_no_conditions() {
    for (form, site) in Site::forms() {
        let fallback = "proxy_set_header X-Set $mine;";
        let site = site
            .server("set $mine \"$arg_a-$http_x_own\";")
            .http(fallback)
            .location("proxy_set_header X-Set $mine;");
        let site = site.start();
        let agent = Request::get("/x?a=b").header("X-Own", "z");
        site.fill_by(&agent, &site.key("/x?a=b"));
        let long_ago = "Thu, 01 Jan 1970 00:00:00 GMT";
        let conditions = [
            ("If-None-Match", "\"none\""),
            ("If-Modified-Since", long_ago),
            ("If-Match", "\"none\""),
            ("If-Unmodified-Since", long_ago),
            ("If-Range", "\"none\""),
            ("Range", "bytes=0-1"),
        ];
        // By some the client gets less than the record.
        for (turn, (name, value)) in conditions.into_iter().enumerate() {
            site.make_stale("/x?a=b");
            let conditional = Request::get("/x?a=b").header("X-Own", "z");
            let conditional = conditional.header(name, value);
            // The record is there before the key is free.
            wait_for("a refill", PATIENCE, || {
                let _ = site.ask(&conditional);
                site.backend.hits("/x") >= turn + 2
            });
            let refill = site.backend.last("/x");
            assert_eq!(refill.header(name), None, "{form}: {name}");
            let _ = site.wait_for_hit("/x?a=b");
        }
        let refill = site.backend.last("/x");
        // The field itself selects nothing; what was made of it for this request goes along.
        assert_eq!(refill.header("x-own"), None, "{form}");
        assert_eq!(refill.target, "/x?a=b", "{form}");
        if form == "own handler" {
            assert_eq!(refill.header("x-set").as_deref(), Some("b-z"), "{form}");
        }
    }
}
