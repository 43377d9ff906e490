//! Request bodies reach the backend whole, from memory or from a temporary file, for every method and both forms.

use testbed::{Answer, PATIENCE, Request, Site, crowd, ms, pattern, wait_for};

/// In memory, and (over 1 kB) in a temporary file.
const BUFFERS: [&str; 2] = ["client_body_buffer_size 1m;", "client_body_buffer_size 1k;"];

/// Both forms with POST among the listed methods, for each place of the body.
fn sites() -> Vec<(String, Site)> {
    let listed = ["redis_cache_methods GET HEAD POST;", ""];
    let mut sites = Vec::new();
    for ((form, site), methods) in Site::forms().into_iter().zip(listed) {
        for buffer in BUFFERS {
            let site = site
                .clone()
                .location(methods)
                .server(&format!("{buffer} client_max_body_size 10m;"));
            sites.push((format!("{form}, {buffer}"), site));
        }
    }
    sites
}

#[test]
fn a_listed_post_is_filled_with_its_body_and_then_cached() {
    for (name, site) in sites() {
        let site = site.start();
        for size in [0, 10, 1024, 300_000] {
            let path = format!("/{size}");
            let post = Request::post(&path, pattern(size, 1)).header("Content-Type", "x/y");
            let first = site.ask(&post);
            assert_eq!(
                (first.status, first.word().as_str()),
                (200, "STORE"),
                "{name}: {size}"
            );
            let received = site.backend.last(&path);
            assert!(
                received.body == pattern(size, 1),
                "{name}: {size}: {}",
                received.body.len()
            );
            assert_eq!(received.method, "POST", "{name}");
            assert_eq!(
                received.header("content-type").as_deref(),
                Some("x/y"),
                "{name}"
            );
            let length = received
                .header("content-length")
                .unwrap_or_else(|| "0".to_owned());
            assert_eq!(length, size.to_string(), "{name}");
            site.redis.wait_for_record(&site.key_of("POST", &path));
            // The body is no part of the key.
            let again = site.ask(&Request::post(&path, pattern(size / 2, 2)));
            assert_eq!(
                (again.word().as_str(), again.text()),
                ("HIT", first.text()),
                "{name}: {size}"
            );
            assert_eq!(site.backend.hits(&path), 1, "{name}: {size}");
        }
        site.nginx.finish();
    }
}

#[test]
fn a_crowd_of_posts_is_one_fill_with_one_whole_body() {
    for (name, site) in sites() {
        let site = site.spread().start();
        site.backend.script("/x", |request, _| {
            Answer::ok(request.body.len().to_string()).delay(ms(200))
        });
        let crowd = crowd(site.address(), 30, |_| {
            Request::post("/x", pattern(100_000, 3))
        });
        assert_eq!(crowd.bodies(), [(b"100000".to_vec(), 30)].into(), "{name}");
        assert_eq!(
            crowd.words(),
            [("HIT".to_owned(), 29), ("STORE".to_owned(), 1)].into(),
            "{name}"
        );
        assert_eq!(site.backend.hits("/x"), 1, "{name}");
        assert!(
            site.backend.last("/x").body == pattern(100_000, 3),
            "{name}"
        );
    }
}

#[test]
fn the_refill_of_a_post_carries_its_body() {
    for (name, site) in sites() {
        let site = site.start();
        let post = Request::post("/x", pattern(300_000, 4));
        let key = site.key_of("POST", "/x");
        site.fill_by(&post, &key);
        site.expire_in(&key, 50_000);
        let mut client = site.client();
        let stale = client.ask(&post);
        assert_eq!(stale.word(), "STALE", "{name}");
        assert_eq!(client.get("/next").status, 200, "{name}");
        site.backend.wait_for_hits("/x", 2);
        let refill = site.backend.last("/x");
        assert_eq!(refill.method, "POST", "{name}");
        assert!(
            refill.body == pattern(300_000, 4),
            "{name}: {}",
            refill.body.len()
        );
        wait_for("the refilled record", PATIENCE, || {
            site.redis.pttl(&key) > 100_000
        });
    }
}

#[test]
fn a_chunked_request_body_reaches_the_backend() {
    for (name, site) in sites() {
        let site = site.start();
        for (method, word) in [("POST", "STORE"), ("PUT", "SKIP")] {
            let request = Request::new(method, "/x")
                .body(pattern(300_000, 5))
                .chunked();
            let answer = site.ask(&request);
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, word),
                "{name}: {method}"
            );
            assert!(
                site.backend.last("/x").body == pattern(300_000, 5),
                "{name}: {method}"
            );
        }
    }
}

#[test]
fn unlisted_methods_are_passed_with_their_bodies() {
    for (name, site) in sites() {
        let site = site.start();
        let mut client = site.client();
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
            for size in [0, 10, 300_000] {
                let path = format!("/{method}-{size}");
                let answer = client.ask(&Request::new(method, &path).body(pattern(size, 6)));
                assert_eq!(
                    (answer.status, answer.word().as_str()),
                    (200, "SKIP"),
                    "{name}: {path}"
                );
                assert_eq!(answer.happened(), "BYPASS", "{name}: {path}");
                let received = site.backend.last(&path);
                assert_eq!(received.method, method, "{name}");
                assert!(received.body == pattern(size, 6), "{name}: {path}");
                assert!(
                    answer.last_byte < ms(10_000),
                    "{name}: {path}: {:?}",
                    answer.last_byte
                );
            }
        }
        assert!(site.redis.keys().is_empty(), "{name}");
    }
}

#[test]
fn a_get_with_a_body_is_answered_at_once() {
    for (name, site) in sites() {
        let site = site.start();
        for size in [10, 300_000] {
            let path = format!("/{size}");
            let get = Request::get(&path).body(pattern(size, 7));
            let mut client = site.client();
            let answer = client.ask(&get);
            assert!(
                answer.last_byte < ms(10_000),
                "{name}: {size}: {:?}",
                answer.last_byte
            );
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{name}: {size}"
            );
            assert!(
                site.backend.last(&path).body == pattern(size, 7),
                "{name}: {size}"
            );
            assert_eq!(client.ask(&get).word(), "SKIP", "{name}: {size}");
            assert_eq!(
                client.get("/next").status,
                200,
                "{name}: the body was read off the connection"
            );
        }
    }
}

#[test]
fn a_method_nobody_knows_reaches_the_backend_under_its_own_name() {
    for (form, site) in Site::forms() {
        let site = site.start();
        for method in ["PURGE", "REPORT", "BREW"] {
            let answer = site.ask(&Request::new(method, "/x"));
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{form}: {method}"
            );
            let text = format!("{method} /x #{}\n", site.backend.hits("/x"));
            assert_eq!(answer.text(), text, "{form}");
            assert_eq!(site.backend.last("/x").method, method, "{form}");
        }
    }
}

#[test]
fn a_body_over_nginxs_own_limit_is_refused_by_nginx() {
    for (form, site) in Site::forms() {
        let site = site.server("client_max_body_size 1k;").start();
        for method in ["POST", "PUT", "GET"] {
            let mut client = site.client();
            let request = Request::new(method, "/x").body(pattern(5000, 8));
            assert_eq!(
                client.exchange(&request).unwrap().status,
                413,
                "{form}: {method}"
            );
        }
        assert_eq!(site.backend.all_hits(), 0, "{form}");
    }
}
