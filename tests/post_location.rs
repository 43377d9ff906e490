//! `redis_cache_post_location`: responses to POST that are stored for later GETs, with several workers, large bodies, and changes
//! and purges that come meanwhile.

use testbed::{
    Answer, Backend, Gate, Http2, Nginx, PATIENCE, Port, Redis, Request, Running, Site, holds_for,
    ms, pattern,
};

fn site() -> Site {
    Site::new().location("redis_cache_post_location on;")
}

fn post(target: &str) -> Request {
    Request::post(target, "what is posted")
}

/// A response that may be stored for GETs of `target`.
fn fit(target: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::ok(body)
        .header("Content-Location", target)
        .header("Cache-Control", "max-age=600")
}

/// Waits until the header of the response to a POST is there. nginx may keep it until there is more to send.
#[track_caller]
fn wait_for_header(log: &testbed::Log, key: &str) {
    let line = format!("redis_cache: \"{key}\" in store \"main\" was invalidated by POST");
    let said = log.wait_for(Default::default(), &line, PATIENCE);
    assert!(said.is_some(), "{line}: {}", log.tail(20));
}

/// Waits until what a POST has brought is stored, or isn't, with this reason.
#[track_caller]
fn wait_for_fill(site: &Running, key: &str, reason: &str) {
    let line = format!("redis_cache: fill of \"{key}\": {reason}");
    let log = site.nginx.log();
    let said = log.wait_for(Default::default(), &line, PATIENCE);
    assert!(said.is_some(), "{line}: {}", log.tail(20));
}

#[test]
fn all_workers_have_it_whatever_its_length_and_framing() {
    let buffering = ["", "proxy_buffering off;", "proxy_max_temp_file_size 0;"];
    for more in buffering {
        let site = site()
            .workers(2)
            .spread()
            .location("redis_cache_max_size 32m; proxy_buffers 4 4k; proxy_buffer_size 4k;")
            .location("proxy_busy_buffers_size 8k;")
            .location(more)
            .start();
        for (number, length) in [0, 1, 3_000, 100_000, 6_000_000].into_iter().enumerate() {
            for chunked in [false, true] {
                let path = format!("/{number}/{chunked}");
                let body = pattern(length, number as u64);
                let answer = fit(&path, body.clone());
                let answer = if chunked { answer.chunked() } else { answer };
                site.backend.set(&path, answer);
                let posted = site.ask(&post(&path));
                assert!(posted.complete && posted.body == body, "{more} {path}");
                assert_eq!(posted.word(), "STORE", "{more} {path}");
                wait_for_fill(&site, &path, "stored");
                for mut client in site.each_worker("/none") {
                    let got = client.get(&path);
                    assert!(got.word() == "HIT" && got.body == body, "{more} {path}");
                    let head = client.ask(&Request::head(&path));
                    assert_eq!(head.word(), "HIT", "{more} {path}");
                    let length = length.to_string();
                    assert_eq!(head.header("content-length"), Some(length), "{more} {path}");
                    let part = client.ask(&Request::get(&path).header("Range", "bytes=0-0"));
                    assert_eq!(part.word(), "HIT", "{more} {path}");
                }
                assert_eq!(site.backend.hits(&path), 1, "{more} {path}");
            }
        }
    }
}

#[test]
fn off_by_default() {
    let site = Site::new().workers(1).start();
    site.backend.set("/x", fit("/x", "new"));
    let posted = site.ask(&post("/x"));
    assert_eq!(
        (posted.word().as_str(), posted.text().as_str()),
        ("SKIP", "new")
    );
    assert_eq!(site.get("/x").word(), "STORE");
    assert_eq!(site.backend.hits("/x"), 2);
}

/// The body of the request reaches the backend while it comes, and each POST reaches it.
#[test]
fn the_request_goes_on_as_it_comes_and_shares_nothing() {
    let site = site()
        .workers(1)
        .location("proxy_request_buffering off;")
        .start();
    let gate = Gate::new();
    site.backend.set("/x", fit("/x", "new").gate(&gate));
    let mut clients: Vec<_> = (0..5).map(|_| site.client()).collect();
    for client in &mut clients {
        client
            .send(&Request::post("/x", pattern(200_000, 1)))
            .unwrap();
    }
    site.backend.wait_for_hits("/x", 5);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().text(), "new");
    }
    let requests = site.backend.requests("/x");
    assert!(
        requests
            .iter()
            .all(|request| request.body == pattern(200_000, 1))
    );
    // A client that sends its header alone, and the rest when it likes.
    let mut slow = site.client();
    slow.send_raw(b"POST /y HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
        .unwrap();
    site.backend.set("/y", fit("/y", "late"));
    assert!(holds_for(ms(50), || site.redis.get("/y").is_none()));
    slow.send_raw(b"cd").unwrap();
    assert_eq!(slow.receive().unwrap().text(), "late");
    wait_for_fill(&site, "/y", "stored");
    assert_eq!(site.backend.last("/y").body, b"abcd");
}

#[test]
fn it_takes_the_place_of_a_record_and_of_fills_under_way() {
    for workers in [1, 2] {
        let site = site().workers(workers).spread().start();
        let gate = Gate::new();
        site.backend.script("/x", {
            let gate = gate.clone();
            move |request, _| match request.method.as_str() {
                "GET" => Answer::ok("old").gate_at(1, &gate),
                _ => fit("/x", "new"),
            }
        });
        let mut reader = site.client();
        reader.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        assert_eq!(site.ask(&post("/x")).word(), "STORE");
        wait_for_fill(&site, "/x", "stored");
        assert_eq!(site.get("/x").text(), "new", "{workers}");
        gate.open();
        assert_eq!(reader.receive().unwrap().text(), "old", "{workers}");
        wait_for_fill(&site, "/x", "invalidated meanwhile");
        let hit = site.get("/x");
        assert_eq!((hit.word().as_str(), hit.text().as_str()), ("HIT", "new"));
    }
}

/// The response to a POST is held at the gate, before its header or behind it; the page can be changed by PUT meanwhile.
fn hold_the_post(backend: &Backend, gate: &Gate, behind_the_header: bool) {
    let gate = gate.clone();
    backend.script("/x", move |request, _| match request.method.as_str() {
        "POST" if behind_the_header => fit("/x", "posted").gate_at(1, &gate),
        "POST" => fit("/x", "posted").gate(&gate),
        "PUT" => Answer::of(204, ""),
        _ => Answer::ok("put"),
    });
}

/// What changes the page while the POST is under way makes its response worthless, before its header and behind it.
#[test]
fn a_change_meanwhile_makes_it_worthless() {
    for workers in [1, 2] {
        for behind_the_header in [false, true] {
            let site = site().workers(workers).spread().start();
            let gate = Gate::new();
            hold_the_post(&site.backend, &gate, behind_the_header);
            let mut poster = site.client();
            poster.send(&post("/x")).unwrap();
            site.backend.wait_for_hits("/x", 1);
            if behind_the_header {
                wait_for_header(site.nginx.log(), "/x");
            }
            assert_eq!(site.ask(&Request::new("PUT", "/x").body("new")).status, 204);
            gate.open();
            assert_eq!(poster.receive().unwrap().text(), "posted");
            wait_for_fill(&site, "/x", "invalidated meanwhile");
            assert_eq!(site.redis.get("/x"), None, "{workers} {behind_the_header}");
            assert_eq!(
                site.get("/x").text(),
                "put",
                "{workers} {behind_the_header}"
            );
        }
    }
}

/// A client takes its POST's response slowly. What a GET has stored meanwhile is newer, and stays.
#[test]
fn what_was_stored_since_its_header_is_newer() {
    for memory_alone in [false, true] {
        for vary in ["", "X-Kind"] {
            let site = site().workers(1);
            let site = match memory_alone {
                true => site.memory_alone("memory 4m;"),
                false => site,
            };
            let site = site.start();
            let gate = Gate::new();
            site.backend.script("/x", {
                let gate = gate.clone();
                move |request, _| match request.method.as_str() {
                    "POST" => fit("/x", "posted").header("Vary", vary).gate_at(1, &gate),
                    _ => Answer::ok("newer").header("Vary", vary),
                }
            });
            let mut poster = site.client();
            poster.send(&post("/x")).unwrap();
            wait_for_header(site.nginx.log(), "/x");
            assert_eq!(site.get("/x").text(), "newer");
            assert_eq!(site.wait_for_hit("/x").text(), "newer");
            gate.open();
            assert_eq!(poster.receive().unwrap().text(), "posted");
            wait_for_fill(&site, "/x", "invalidated meanwhile");
            let hit = site.get("/x");
            let said = (hit.word(), hit.text());
            assert_eq!(
                said,
                ("HIT".into(), "newer".into()),
                "{memory_alone} {vary}"
            );
        }
    }
}

/// Two machines share a store: a change on one, while a POST is under way on the other.
#[test]
fn a_change_on_another_machine_does_so_too() {
    let site = site().workers(1);
    for behind_the_header in [false, true] {
        let (redis, backend) = (Redis::start(), Backend::start());
        let ports = [Port::take(), Port::take()];
        let machines = ports.each_ref().map(|port| {
            let conf = site.conf(port.address(), &redis, &backend);
            Nginx::start(&conf, port.address())
        });
        let gate = Gate::new();
        hold_the_post(&backend, &gate, behind_the_header);
        let [one, other] = &machines;
        let mut poster = one.client();
        poster.send(&post("/x")).unwrap();
        backend.wait_for_hits("/x", 1);
        if behind_the_header {
            wait_for_header(one.log(), "/x");
        }
        let put = Request::new("PUT", "/x").body("new");
        assert_eq!(other.client().ask(&put).status, 204);
        gate.open();
        assert_eq!(poster.receive().unwrap().text(), "posted");
        let line = "fill of \"/x\": invalidated meanwhile";
        let said = one.log().wait_for(Default::default(), line, PATIENCE);
        assert!(
            said.is_some(),
            "{behind_the_header}: {}",
            one.log().tail(20)
        );
        assert_eq!(redis.get("/x"), None, "{behind_the_header}");
        machines.into_iter().for_each(Nginx::finish);
    }
}

#[test]
fn a_purge_meanwhile_makes_it_worthless() {
    for purge in ["PURGE /x", "PURGE /*"] {
        let site = site()
            .workers(1)
            .location("redis_cache_purge $http_x_purge; redis_cache_purge_allow 127.0.0.1;")
            .start();
        let gate = Gate::new();
        site.backend.script("/x", {
            let gate = gate.clone();
            move |request, _| match request.method.as_str() {
                "POST" => fit("/x", "posted").gate_at(1, &gate),
                _ => Answer::ok("new"),
            }
        });
        let mut poster = site.client();
        poster.send(&post("/x")).unwrap();
        wait_for_header(site.nginx.log(), "/x");
        let (method, target) = purge.split_once(' ').unwrap();
        let request = Request::new(method, target).header("X-Purge", "1");
        assert_eq!(site.ask(&request).status, 200, "{purge}");
        gate.open();
        site.wait_for_fills(1);
        let got = site.get("/x");
        assert_eq!(
            (got.word().as_str(), got.text().as_str()),
            ("STORE", "new"),
            "{purge}"
        );
    }
}

#[test]
fn what_is_cut_off_or_left_is_not_stored() {
    let site = site()
        .workers(1)
        .location("redis_cache_max_size 1m;")
        .start();
    site.backend
        .set("/cut", fit("/cut", pattern(100_000, 1)).cut_at(50_000));
    let mut client = site.client();
    client.send(&post("/cut")).unwrap();
    let mut answer = client.receive_header().unwrap();
    let _ = client.receive_rest(&mut answer);
    assert!(!answer.complete);
    wait_for_fill(&site, "/cut", "truncated");
    site.backend.set(
        "/chunks",
        fit("/chunks", pattern(100_000, 1)).chunked().cut_at(50_000),
    );
    let mut client = site.client();
    client.send(&post("/chunks")).unwrap();
    let mut answer = client.receive_header().unwrap();
    let _ = client.receive_rest(&mut answer);
    assert!(!answer.complete);
    wait_for_fill(&site, "/chunks", "truncated");
    let gate = Gate::new();
    site.backend.set(
        "/left",
        fit("/left", pattern(100_000, 1)).gate_at(50_000, &gate),
    );
    let mut client = site.client();
    client.send(&post("/left")).unwrap();
    let _ = client.receive_header().unwrap();
    client.reset();
    wait_for_fill(&site, "/left", "truncated");
    gate.open();
    site.backend
        .set("/large", fit("/large", pattern(1_100_000, 1)).chunked());
    let large = site.ask(&post("/large"));
    assert!(large.complete && large.body == pattern(1_100_000, 1));
    wait_for_fill(&site, "/large", "too large");
    for key in ["/cut", "/chunks", "/left", "/large"] {
        assert_eq!(site.redis.get(key), None, "{key}");
    }
    site.nginx.finish();
}

#[test]
fn http2_and_a_store_in_memory_alone() {
    let sites = [
        site().workers(1).http2(),
        site().workers(1).http2().memory_alone("memory 16m;"),
    ];
    for site in sites {
        let site = site.start();
        site.backend.set("/x", fit("/x", pattern(300_000, 3)));
        let mut client = Http2::new().connect(site.http2_address());
        let mut stream = client
            .send(&Request::post("/x", pattern(300_000, 4)))
            .unwrap();
        let answer = stream.receive().unwrap();
        assert!(answer.complete && answer.body == pattern(300_000, 3));
        assert_eq!(site.backend.last("/x").body, pattern(300_000, 4));
        wait_for_fill(&site, "/x", "stored");
        let hit = site.get("/x");
        assert!(hit.word() == "HIT" && hit.body == pattern(300_000, 3));
    }
}

/// A response may invalidate a group to which it belongs itself (RFC 9875): what else is in the group is older, and it isn't. What
/// somebody else invalidates while it is under way is newer.
#[test]
fn it_is_no_older_than_what_its_response_invalidates() {
    for memory_alone in [false, true] {
        let site = site().workers(1);
        let site = match memory_alone {
            true => site.memory_alone("memory 4m;"),
            false => site,
        };
        let site = site.start();
        let gate = Gate::new();
        let of_group =
            |path: &str, body: &str| fit(path, body).header("Cache-Groups", "\"a\", \"b\"");
        let all = ["/x", "/y", "/held"];
        for path in all {
            site.backend.script(path, {
                let gate = gate.clone();
                move |request, _| {
                    let answer = of_group(path, &request.method);
                    match (request.method.as_str(), path) {
                        ("POST", "/held") => answer
                            .header("Cache-Group-Invalidation", "\"a\"")
                            .gate(&gate),
                        ("POST", _) => answer.header("Cache-Group-Invalidation", "\"a\", \"b\""),
                        _ => answer,
                    }
                }
            });
        }
        for path in ["/x", "/y"] {
            let _ = site.get(path);
            assert_eq!(site.wait_for_hit(path).text(), "GET");
        }
        let mut held = site.client();
        held.send(&post("/held")).unwrap();
        site.backend.wait_for_hits("/held", 1);
        assert_eq!(site.ask(&post("/x")).text(), "POST");
        wait_for_fill(&site, "/x", "stored");
        let got = |path: &str| {
            let answer = site.get(path);
            (answer.word(), answer.text())
        };
        let is = |word: &str, text: &str| (word.to_owned(), text.to_owned());
        assert_eq!(got("/x"), is("HIT", "POST"), "{memory_alone}");
        assert_eq!(got("/y"), is("STALE", "GET"), "{memory_alone}");
        gate.open();
        assert_eq!(held.receive().unwrap().text(), "POST");
        wait_for_fill(&site, "/held", "stored");
        assert_eq!(got("/held"), is("STALE", "POST"), "{memory_alone}");
    }
}

#[test]
fn the_log_says_once_why_nothing_is_stored() {
    let site = site()
        .workers(1)
        .location("set $made $request_method$request_uri; redis_cache_key $made;")
        .start();
    site.backend.set("/x", fit("/x", "new"));
    for _ in 0..3 {
        assert_eq!(site.ask(&post("/x")).word(), "SKIP");
    }
    let line = "responses to POST aren't stored here: the key of a GET isn't known";
    let log = site.nginx.log();
    assert_eq!(log.matching(Default::default(), line).len(), 1);
    assert_eq!(site.get("/x").word(), "STORE");
}

/// Nobody waits for a store that is away, and nothing is stored behind its back.
#[test]
fn a_store_in_trouble_costs_nothing_but_the_record() {
    let mut site = site()
        .workers(1)
        .store("connect_timeout 300ms; send_timeout 300ms; read_timeout 300ms; max_fails 1;")
        .start();
    site.backend.set("/x", fit("/x", "new"));
    assert_eq!(site.ask(&post("/x")).text(), "new");
    wait_for_fill(&site, "/x", "stored");
    site.redis.freeze();
    let answer = site.ask(&post("/x"));
    assert!(answer.complete && answer.text() == "new");
    wait_for_fill(&site, "/x", "store");
    site.redis.stop();
    let answer = site.ask(&post("/x"));
    assert!(answer.complete && answer.text() == "new");
}
