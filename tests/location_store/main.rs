//! A location as the store: what a configuration for redis2 gives, with the same records and the same outcomes as over
//! connections of the module's own.

mod hanging;
mod lifetime;
mod size;
mod trouble;

use testbed::{Answer, Bridge, Gate, Port, Position, Redis, Request, Running, Site, ms, pattern};

/// A test machine may be busy, and that is no trouble of Redis.
const PATIENT: &str = "redis_cache_pass_timeout 2s;";

/// Both forms, with `/redis` as their store.
fn forms() -> [(&'static str, Site); 2] {
    [
        (
            "directives",
            Site::new().location(&format!("redis_cache_pass /redis; {PATIENT}")),
        ),
        (
            "variables",
            Site::seed().location(&format!("set $cache_pass /redis; {PATIENT}")),
        ),
    ]
}

fn over(site: &Site, redis: Redis) -> (Running, Bridge) {
    let bridge = Bridge::start(&redis.address());
    let site = site.clone().locations(&bridge.locations());
    (site.start_with(redis), bridge)
}

fn start() -> (Running, Bridge) {
    let [(_, site), _] = forms();
    over(&site.spread(), Redis::start())
}

#[test]
fn commands_go_as_the_script_sent_them() {
    for (form, site) in forms() {
        let (site, bridge) = over(&site, Redis::start());
        let mut client = site.client();
        let request = Request::get("/x?y=1")
            .header("Accept-Encoding", "gzip")
            .header("If-None-Match", "\"a\"");
        let answer = client.ask(&request);
        assert_eq!(
            (answer.status, answer.word().as_str()),
            (200, "STORE"),
            "{form}"
        );
        let key = site.key("/x?y=1");
        site.redis.wait_for_record(&key);
        site.wait_for_hit("/x?y=1");
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        let requests = bridge.requests();
        let lookup = &requests[0];
        assert_eq!(
            (lookup.method.as_str(), lookup.target.as_str()),
            ("POST", "/redis?n=2")
        );
        let commands = format!(
            "*2\r\n$4\r\nPTTL\r\n${0}\r\n{key}\r\n*8\r\n$5\r\nHMGET\r\n${0}\r\n{key}\r\n",
            key.len()
        );
        assert!(
            String::from_utf8_lossy(&lookup.body).starts_with(&commands),
            "{form}"
        );
        for name in ["accept-encoding", "if-none-match"] {
            assert_eq!(lookup.header(name), None, "{form}: {name}");
        }
        let others: Vec<_> = requests
            .iter()
            .filter(|request| request.target == "/redis?n=1")
            .collect();
        assert_eq!(others.len(), 2, "{form}");
        let fence = format!(
            "*3\r\n$4\r\nHGET\r\n${}\r\n{{{key}}}:f\r\n$5\r\ntoken\r\n",
            key.len() + 4
        );
        assert_eq!(String::from_utf8_lossy(&others[0].body), fence, "{form}");
        assert!(
            others[1].body.starts_with(b"*12\r\n$4\r\nEVAL\r\n"),
            "{form}"
        );
        assert!(
            site.nginx.log().serious(Position::default()).is_empty(),
            "{form}"
        );
    }
}

#[test]
fn records_are_those_of_the_store_over_a_connection() {
    let body = pattern(3_000_000, 1);
    let answer = Answer::ok(body.clone())
        .header("Content-Type", "text/x")
        .header("X-A", "1")
        .header("X-A", "2");
    let direct = Site::new().start();
    direct.backend.set("/x", answer.clone());
    direct.fill("/x");
    let (site, _bridge) = start();
    site.backend.set("/x", answer);
    site.fill("/x");
    let (one, other) = (
        direct.redis.get("/x").unwrap(),
        site.redis.get("/x").unwrap(),
    );
    assert!((&one.status, &one.headers, &one.body) == (&other.status, &other.headers, &other.body));
    assert!(one.others.keys().eq(other.others.keys()));
    assert!(one.body == body && site.get("/x").body == body);
    assert_eq!(site.get("/x").header("x-a"), direct.get("/x").header("x-a"));
    let difference = direct.redis.pttl("/x") - site.redis.pttl("/x");
    assert!(difference.abs() < 5000 && site.redis.keys_without_expiry().is_empty());
    assert_eq!(site.get("/x").word(), "HIT");
}

#[test]
fn a_stale_record_is_served_and_refilled_without_its_client() {
    for (form, site) in forms() {
        let (site, _bridge) = over(&site.workers(1), Redis::start());
        site.fill_and_age("/x");
        let gate = Gate::new();
        site.backend.set("/x", Answer::ok("new").gate(&gate));
        let mut client = site.client();
        assert_eq!(client.get("/x").word(), "STALE", "{form}");
        client.reset();
        gate.open();
        assert_eq!(site.wait_for_hit("/x").text(), "new", "{form}");
        assert_eq!(site.backend.hits("/x"), 2, "{form}");
    }
}

#[test]
fn fifty_clients_cost_one_backend_request() {
    for (form, site) in forms() {
        let (site, _bridge) = over(&site.spread(), Redis::start());
        site.backend
            .set("/x", Answer::ok(pattern(10_000, 2)).delay(ms(300)));
        let crowd = site.crowd(50, "/x");
        assert_eq!(crowd.bodies(), [(pattern(10_000, 2), 50)].into(), "{form}");
        let words = [("HIT".to_owned(), 49), ("STORE".to_owned(), 1)];
        assert_eq!(crowd.words(), words.into(), "{form}");
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        site.nginx.finish();
    }
}

#[test]
fn requests_with_bodies_and_other_methods() {
    let [_, (_, site)] = forms();
    let (site, bridge) = over(&site.server("client_body_buffer_size 1k;"), Redis::start());
    let body = pattern(100_000, 3);
    let post = Request::new("POST", "/x").body(body.clone());
    let answer = site.ask(&post);
    assert_eq!((answer.status, answer.word().as_str()), (200, "STORE"));
    assert_eq!(site.backend.last("/x").body, body);
    site.redis.wait_for_record(&site.key_of("POST", "/x"));
    assert!(
        bridge
            .requests()
            .iter()
            .all(|request| request.body.len() < 2000)
    );
    assert_eq!(site.ask(&Request::new("PUT", "/x")).word(), "SKIP");
}

#[test]
fn a_head_request_is_filled_as_get() {
    let (site, _bridge) = start();
    let head = site.ask(&Request::head("/x"));
    assert_eq!((head.status, head.word().as_str()), (200, "STORE"));
    assert_eq!(site.wait_for_hit("/x").text(), "GET /x #1\n");
}

#[test]
fn two_servers_are_two_stores() {
    let other = Redis::start();
    let second = Bridge::start(&other.address());
    let port = Port::take();
    let server = format!(
        "server {{ listen {}; {} location / {{ redis_cache on; redis_cache_lock locks; redis_cache_pass /redis;
         redis_cache_key $request_uri; redis_cache_header X-Cache; proxy_pass http://backend; }} }}",
        port.address(),
        second.locations()
    );
    let [(_, site), _] = forms();
    let (site, _bridge) = over(&site.workers(1).http(&server), Redis::start());
    let gate = Gate::new();
    site.backend.script("/x", {
        let gate = gate.clone();
        move |_, nth| Answer::ok(nth.to_string()).gate(&gate)
    });
    let mut clients = [site.client(), testbed::Client::connect(port.address())];
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", index + 1);
    }
    gate.open();
    let bodies: Vec<_> = clients
        .iter_mut()
        .map(|client| client.receive().unwrap().text())
        .collect();
    assert_eq!(bodies, ["1", "2"]);
    assert_eq!(site.redis.wait_for_record("/x").body, b"1");
    assert_eq!(other.wait_for_record("/x").body, b"2");
}
