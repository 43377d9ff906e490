//! Requests that make records worthless (RFC 9111 4.4): what their clients may rely on, beside fills on their way, in
//! several workers, with a Redis in trouble.

mod fills;
mod trouble;

use std::sync::Mutex;
use std::thread;

use testbed::{Answer, Client, Request, Running, Site, pattern};

fn put(target: &str) -> Request {
    Request::new("PUT", target).body("new")
}

/// The backend answers a GET of `path` with the number of PUTs that it has seen.
fn counts_puts(site: &Running, path: &str) {
    let puts = Mutex::new(0);
    site.backend.script(path, move |request, _| {
        let mut puts = puts.lock().unwrap();
        if request.method == "PUT" {
            *puts += 1;
        }
        Answer::ok(puts.to_string())
    });
}

#[test]
fn who_changes_a_page_sees_the_change_at_once() {
    for (form, site) in Site::forms() {
        let site = site.spread().start();
        thread::scope(|threads| {
            for number in 0..4 {
                let site = &site;
                threads.spawn(move || {
                    let path = format!("/{number}");
                    counts_puts(site, &path);
                    let mut client = site.client();
                    for turn in 1..=50 {
                        assert_eq!(client.ask(&put(&path)).text(), turn.to_string());
                        let seen = client.get(&path);
                        assert_eq!(seen.text(), turn.to_string(), "{form} {path}");
                        assert_ne!(seen.word(), "SKIP", "{form} {path}");
                    }
                });
            }
        });
    }
}

#[test]
fn the_answer_waits_whole_and_the_connection_goes_on() {
    let site = Site::new()
        .location("proxy_buffers 4 4k; proxy_buffer_size 4k; proxy_busy_buffers_size 8k;")
        .locations(
            "location /unbuffered/ { redis_cache on; redis_cache_lock locks; redis_cache_pass main;
             redis_cache_header X-Cache; proxy_buffering off; proxy_pass http://BACKEND/; }",
        )
        .start();
    let bodies = [0, 1, 3_000, 100_000, 2_000_000];
    for prefix in ["", "/unbuffered"] {
        let mut client = site.client();
        for (number, length) in bodies.into_iter().enumerate() {
            for chunked in [false, true] {
                let (path, body) = (format!("/{number}"), pattern(length, number as u64));
                let answer = Answer::ok(body.clone());
                let answer = if chunked { answer.chunked() } else { answer };
                site.backend.set(&path, answer);
                let got = client.ask(&put(&format!("{prefix}{path}")));
                assert!(got.complete && got.body == body, "{prefix}{path}");
                assert_eq!(got.word(), "SKIP", "{prefix}{path}");
            }
        }
        site.backend.set("/204", Answer::of(204, ""));
        assert_eq!(client.ask(&put(&format!("{prefix}/204"))).status, 204);
        assert_eq!(client.get("/after").status, 200);
    }
}

#[test]
fn both_requests_may_come_in_one_packet() {
    let site = Site::new().workers(1).start();
    counts_puts(&site, "/x");
    site.fill("/x");
    let mut client = site.client();
    let requests = [put("/x"), Request::get("/x"), put("/x"), Request::get("/x")];
    client.pipeline(&requests).unwrap();
    let bodies: Vec<_> = (0..4).map(|_| client.receive().unwrap().text()).collect();
    assert_eq!(bodies, ["1", "1", "2", "2"]);
}

#[test]
fn an_answer_that_is_cut_off_is_cut_off_for_its_client_too() {
    let site = Site::new().workers(1).start();
    site.backend
        .set("/x", Answer::ok(pattern(100_000, 1)).cut_at(50_000));
    site.redis.put("/x", &testbed::Record::lua_text("old"), 160);
    let mut client = site.client();
    client.send(&put("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    assert_eq!(answer.status, 200);
    let _ = client.receive_rest(&mut answer);
    assert!(!answer.complete && answer.body == pattern(100_000, 1)[..answer.body.len()]);
    assert_eq!(site.redis.get("/x"), None, "its header said success");
}

#[test]
fn what_location_names_goes_too_however_the_key_is_made() {
    for (form, site) in Site::forms() {
        let site = site.start();
        site.fill("/items/7");
        site.fill("/items");
        site.backend
            .set("/items", Answer::of(201, "").header("Location", "/items/7"));
        let method = if form == "own handler" { "POST" } else { "PUT" };
        let mut client = Client::connect(site.address());
        assert_eq!(client.ask(&Request::new(method, "/items")).status, 201);
        assert_eq!(client.get("/items/7").word(), "STORE", "{form}");
        // 201 isn't listed
        assert_eq!(client.get("/items").word(), "SKIP", "{form}");
    }
}
