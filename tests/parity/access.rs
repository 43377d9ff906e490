//! Who may in, and how often: checked once for each request of a client, never for a fill.

use testbed::{Answer, Gate, PATIENCE, Request, Site, wait_for};

use crate::nginx_has;

/// Both forms with these directives at the server, where each location inherits them.
fn everywhere(http: &str, server: &str) -> Vec<(&'static str, Site)> {
    Site::forms()
        .into_iter()
        .map(|(form, site)| (form, site.http(http).server(server)))
        .collect()
}

#[test]
fn auth_request_is_asked_once_for_each_request() {
    if !nginx_has("http_auth_request_module") {
        return;
    }
    let server = "auth_request /auth;";
    let location = "location = /auth { internal; auth_request off; proxy_pass_request_body off;
        proxy_set_header Content-Length ''; proxy_pass http://BACKEND; }";
    for (form, site) in everywhere("", server) {
        let site = site.locations(location).start();
        site.backend.script("/auth", |request, _| {
            Answer::of(
                if request.header("x-key").is_some() {
                    204
                } else {
                    403
                },
                "",
            )
        });
        let request = |path: &str| Request::get(path).header("X-Key", "1");
        for (turn, word) in ["STORE", "HIT", "HIT"].into_iter().enumerate() {
            let answer = site.ask(&request("/x"));
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, word),
                "{form}"
            );
            assert_eq!(site.backend.hits("/auth"), turn + 1, "{form}, {word}");
            let _ = site.redis.wait_for_record(&site.key("/x"));
        }
        assert_eq!(site.get("/x").status, 403, "{form}: a record is no way in");
        assert_eq!(site.get("/y").status, 403, "{form}");
        assert_eq!(site.backend.hits("/y"), 0, "{form}");
        // A refill, and a request that the cache has no part in, are checked once too.
        site.wait_for_fills(1);
        site.make_stale("/x");
        let before = site.backend.hits("/auth");
        assert_eq!(site.ask(&request("/x")).word(), "STALE", "{form}");
        site.backend.wait_for_hits("/x", 2);
        let put = Request::new("PUT", "/x").header("X-Key", "1").body("x");
        assert_eq!(site.ask(&put).status, 200, "{form}");
        assert_eq!(site.backend.hits("/auth"), before + 2, "{form}");
    }
}

#[test]
fn an_auth_request_may_itself_be_cached() {
    if !nginx_has("http_auth_request_module") {
        return;
    }
    let location = "location = /auth { internal; redis_cache on; redis_cache_lock locks; redis_cache_pass main;
        redis_cache_valid 200 204; redis_cache_key auth:$http_x_key; proxy_pass http://BACKEND; }
        location /app { auth_request /auth; proxy_pass http://BACKEND; }";
    let site = Site::new().locations(location).start();
    site.backend.set("/auth", Answer::ok("fine"));
    for _ in 0..3 {
        assert_eq!(
            site.ask(&Request::get("/app").header("X-Key", "1")).status,
            200
        );
        let _ = site.redis.wait_for_record("auth:1");
    }
    assert_eq!(
        (site.backend.hits("/auth"), site.backend.hits("/app")),
        (1, 3)
    );
}

#[test]
fn a_password_is_asked_for_before_the_record() {
    for (form, site) in everywhere("", "auth_basic closed; auth_basic_user_file users;") {
        let site = site
            .location("redis_cache_ignore_headers Authorization;")
            .start();
        std::fs::write(site.nginx.prefix().join("conf/users"), "user:{PLAIN}pass\n").unwrap();
        let right = Request::get("/x").header("Authorization", "Basic dXNlcjpwYXNz");
        let wrong = Request::get("/x").header("Authorization", "Basic dXNlcjp3cm9uZw==");
        assert_eq!(site.get("/x").status, 401, "{form}");
        assert_eq!(site.ask(&right).word(), "STORE", "{form}");
        let _ = site.redis.wait_for_record(&site.key("/x"));
        assert_eq!(site.ask(&right).word(), "HIT", "{form}");
        for request in [&wrong, &Request::get("/x")] {
            assert_eq!(site.ask(request).status, 401, "{form}");
        }
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
    }
}

#[test]
fn addresses_are_checked_for_each_request() {
    let server = "set_real_ip_from 127.0.0.1; real_ip_header X-Real; deny 192.0.2.7; allow all;";
    if !nginx_has("http_realip_module") {
        return;
    }
    for (form, site) in everywhere("", server) {
        let site = site.start();
        let bad = |path: &str| Request::get(path).header("X-Real", "192.0.2.7");
        assert_eq!(site.ask(&bad("/x")).status, 403, "{form}");
        site.fill("/x");
        assert_eq!(site.ask(&bad("/x")).status, 403, "{form}");
        site.make_stale("/x");
        assert_eq!(site.ask(&bad("/x")).status, 403, "{form}");
        assert_eq!(site.get("/x").word(), "STALE", "{form}");
    }
}

#[test]
fn limit_req_counts_each_request_once() {
    let http = "limit_req_zone $server_addr zone=often:64k rate=1r/m;";
    for (form, site) in everywhere(http, "limit_req zone=often burst=5 nodelay;") {
        let site = site.start();
        // One and five more: three misses, a hit, a request that passes, one more miss.
        for path in ["/1", "/2", "/3"] {
            let answer = site.get(path);
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "STORE"),
                "{form} {path}"
            );
        }
        let _ = site.redis.wait_for_record(&site.key("/1"));
        assert_eq!(site.get("/1").word(), "HIT", "{form}");
        let put = Request::new("PUT", "/x").body("x");
        assert_eq!(site.ask(&put).status, 200, "{form}: passed");
        assert_eq!(site.get("/4").word(), "STORE", "{form}");
        assert_eq!(site.get("/5").status, 503, "{form}: the seventh");
        assert_eq!(site.backend.all_hits(), 5, "{form}");
    }
}

#[test]
fn limit_conn_counts_clients_not_fills() {
    let http = "limit_conn_zone $server_addr zone=many:64k;";
    for (form, site) in everywhere(http, "limit_conn many 2;") {
        // One worker: it takes a request off the count before it accepts another connection. Two would race for it.
        let site = site.workers(1).start();
        let gate = Gate::new();
        for path in ["/a", "/b"] {
            site.backend.set(path, Answer::ok("x").gate(&gate));
        }
        site.fill("/warm");
        let (mut first, mut second) = (site.client(), site.client());
        first.send(&Request::get("/a")).unwrap();
        site.backend.wait_for_hits("/a", 1);
        second.send(&Request::get("/b")).unwrap();
        site.backend.wait_for_hits("/b", 1);
        assert_eq!(site.get("/warm").status, 503, "{form}: a third");
        // Who leaves makes room, though the fill goes on.
        first.reset();
        let admitted =
            testbed::eventually(PATIENCE, || (site.get("/warm").status == 200).then_some(()));
        assert!(admitted.is_some(), "{form}");
        assert_eq!(site.backend.under_way("/a"), 1, "{form}");
        gate.open();
        assert_eq!(second.receive().unwrap().status, 200, "{form}");
        assert_eq!(site.wait_for_hit("/a").text(), "x", "{form}");
        // Nothing is left counted.
        for number in 0..6 {
            assert_eq!(site.get(&format!("/after/{number}")).status, 200, "{form}");
        }
    }
}

#[test]
fn a_refill_does_not_count_as_a_connection() {
    let http = "limit_conn_zone $server_addr zone=many:64k;";
    for (form, site) in everywhere(http, "limit_conn many 1;") {
        // One worker, as above.
        let site = site.workers(1).start();
        site.fill_and_age("/x");
        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("new").gate(&gate));
        let mut client = site.client();
        for _ in 0..3 {
            let answer = client.get("/x");
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "STALE"),
                "{form}"
            );
        }
        site.backend.wait_for_hits("/x", 2);
        assert_eq!(client.get("/x").happened(), "UPDATING", "{form}");
        assert_eq!(site.backend.under_way("/x"), 1, "{form}");
        gate.open();
        assert_eq!(site.wait_for_hit("/x").text(), "new", "{form}");
    }
}

/// `redis_cache on` of the server, with the default key, must not make one client's permission everybody's.
#[test]
fn an_auth_request_is_cached_only_where_its_own_location_says_so() {
    if !nginx_has("http_auth_request_module") {
        return;
    }
    let server =
        "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_valid 200 204;
        redis_cache_methods GET HEAD;";
    let auth = "internal; proxy_pass_request_body off; proxy_set_header Content-Length ''; proxy_pass http://BACKEND;";
    for (what, inside, asked) in [
        ("inherited", String::from(auth), 3),
        (
            "inherited, with an if",
            format!("if ($arg_none) {{ set $x 1; }} {auth}"),
            3,
        ),
        (
            "inherited, within an if",
            format!("if ($request_method = GET) {{ set $x 1; }} {auth}"),
            3,
        ),
        (
            "its own",
            format!("redis_cache on; redis_cache_key auth:$http_x_key; {auth}"),
            2,
        ),
        (
            "its own, within an if",
            format!(
                "redis_cache on; redis_cache_key auth:$http_x_key; if ($request_method = GET) {{ set $x 1; }} {auth}"
            ),
            2,
        ),
    ] {
        let locations = format!(
            "location = /auth {{ {inside} }}
             location /app {{ auth_request /auth; mirror /copy; proxy_pass http://BACKEND; }}
             location = /copy {{ internal; proxy_pass http://BACKEND/copy; }}"
        );
        let site = Site::new()
            .workers(1)
            .server(server)
            .locations(&locations)
            .start();
        site.backend.script("/auth", |request, _| {
            Answer::of(
                if request.header("x-key") == Some("1".into()) {
                    204
                } else {
                    403
                },
                "",
            )
        });
        let mut statuses = Vec::new();
        for (path, key) in [("/app/1", "1"), ("/app/2", "1"), ("/app/3", "2")] {
            statuses.push(site.ask(&Request::get(path).header("X-Key", key)).status);
            if statuses.len() == 1 {
                wait_for(what, PATIENCE, || !site.redis.keys().is_empty());
                site.wait_for_quiet_zone();
            }
        }
        assert_eq!(statuses, [200, 200, 403], "{what}");
        assert_eq!(site.backend.hits("/auth"), asked, "{what}");
        wait_for(what, PATIENCE, || site.backend.hits("/copy") >= 2);
        assert_eq!(site.backend.hits("/copy"), 2, "{what}: each is mirrored");
    }
}
