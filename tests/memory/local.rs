//! A store in shared memory alone: all that Redis does for others, without Redis.

use std::thread;

use testbed::{
    Answer, Client, Gate, Nginx, PATIENCE, Position, Request, Running, Site, crowd, pattern,
    wait_for,
};

use super::source;

/// A site whose store is in shared memory alone.
fn alone(size: &str) -> Site {
    Site::new()
        .memory_alone(&format!("memory {size};"))
        .location("add_header X-Source $redis_cache_source always;")
}

/// What came of a request: the word and the text.
fn got(client: &mut Client, target: &str) -> (String, String) {
    let answer = client.get(target);
    assert_eq!(answer.status, 200, "{target}");
    (answer.word(), answer.text())
}

/// Asks for a page until it is a hit; gives its text.
#[track_caller]
fn hit(site: &Running, target: &str) -> String {
    let answer = site.wait_for_hit(target);
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
    answer.text()
}

/// Redis was never asked for a record.
#[track_caller]
fn without_redis(site: &Running) {
    assert_eq!(site.redis.calls("hmget") + site.redis.calls("eval"), 0);
}

#[test]
fn a_record_is_stored_and_served_to_all_workers() {
    for (form, site) in Site::forms() {
        let site = site.memory_alone("memory 8m;").spread().start();
        let mut clients = site.client_of_each("/probe");
        assert_eq!(clients.len(), 2, "{form}");
        let first = clients[0].1.get("/page");
        assert_eq!(first.word(), "STORE", "{form}");
        let text = site.wait_for_hit("/page").text();
        assert_eq!(text, first.text(), "{form}");
        for (_, client) in &mut clients {
            assert_eq!(got(client, "/page"), ("HIT".into(), first.text()), "{form}");
        }
        assert_eq!(site.backend.hits("/page"), 1, "{form}");
        without_redis(&site);
        site.nginx.finish();
    }
}

#[test]
fn many_clients_of_two_workers_make_one_request_to_the_backend() {
    let site = alone("8m").spread().start();
    for round in 0..5 {
        let (target, gate) = (format!("/crowd/{round}"), Gate::new());
        site.backend
            .set(&target, Answer::ok(pattern(20_000, 1)).gate(&gate));
        let crowd = thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(60, &target));
            site.backend.wait_for_hits(&target, 1);
            gate.open();
            crowd.join().unwrap()
        });
        let answers = crowd.answers();
        assert_eq!(answers.len(), 60);
        for answer in answers {
            assert_eq!(answer.status, 200);
            assert!(answer.body == pattern(20_000, 1));
        }
        assert_eq!(site.backend.hits(&target), 1, "{target}");
    }
    without_redis(&site);
}

#[test]
fn a_stale_record_is_served_and_one_refill_replaces_it() {
    let site = alone("8m").spread().location("redis_cache_age 1s;").start();
    let first = site.get("/stale").text();
    assert_eq!(hit(&site, "/stale"), first);
    let gate = Gate::new();
    site.backend.set("/stale", Answer::ok("new").gate(&gate));
    wait_for("a stale answer", PATIENCE, || {
        site.get("/stale").word() == "STALE"
    });
    for answer in site.crowd(40, "/stale").answers() {
        assert_eq!((answer.status, answer.text()), (200, first.clone()));
    }
    site.backend.wait_for_hits("/stale", 2);
    assert_eq!(site.backend.hits("/stale"), 2);
    gate.open();
    wait_for("the new record", PATIENCE, || {
        site.get("/stale").text() == "new"
    });
}

#[test]
fn a_record_is_gone_when_its_time_is_over() {
    let site = alone("8m")
        .location("redis_cache_age 1s; redis_cache_stale 0;")
        .start();
    let mut client = site.client();
    let first = got(&mut client, "/short").1;
    assert_eq!(hit(&site, "/short"), first);
    wait_for("the expiry", PATIENCE, || {
        client.get("/short").text() != first
    });
    assert!(site.backend.hits("/short") >= 2);
}

#[test]
fn an_unsafe_request_invalidates_at_once() {
    let site = alone("8m")
        .spread()
        .location("redis_cache_invalidate on;")
        .start();
    let mut clients = site.client_of_each("/probe");
    for _ in 0..30 {
        let old = site.get("/posted").text();
        assert_eq!(hit(&site, "/posted"), old);
        let answer = clients[0].1.ask(&Request::post("/posted", "x"));
        assert_eq!(answer.status, 200);
        let (_, other) = &mut clients[1];
        assert_ne!(got(other, "/posted").1, old);
    }
}

#[test]
fn a_confirmed_record_is_refreshed() {
    let site = alone("8m").location("redis_cache_age 1s;").start();
    let tagged = || {
        Answer::ok("tagged")
            .header("ETag", "\"1\"")
            .header("X-Version", "1")
    };
    site.backend.set("/tagged", tagged());
    assert_eq!(site.get("/tagged").word(), "STORE");
    assert_eq!(hit(&site, "/tagged"), "tagged");
    site.backend.set(
        "/tagged",
        Answer::of(304, "")
            .header("ETag", "\"1\"")
            .header("X-Version", "2"),
    );
    wait_for("a stale answer", PATIENCE, || {
        site.get("/tagged").word() == "STALE"
    });
    wait_for("the refreshed record", PATIENCE, || {
        let answer = site.get("/tagged");
        assert_eq!(answer.text(), "tagged");
        answer.word() == "HIT" && answer.header("x-version").as_deref() == Some("2")
    });
    let asked = site.backend.last("/tagged").header("if-none-match");
    assert_eq!(asked.as_deref(), Some("\"1\""));
}

#[test]
fn variants_are_kept_beside_each_other() {
    let site = alone("8m").spread().start();
    site.backend.script("/varied", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(format!("in {language}"))
            .header("Vary", "Accept-Language")
            .header("Cache-Control", "max-age=600")
    });
    let languages: Vec<String> = (0..8).map(|number| format!("l{number}")).collect();
    let ask = |language: &str| {
        let answer = site.ask(&Request::get("/varied").header("Accept-Language", language));
        assert_eq!(answer.text(), format!("in {language}"));
        answer.word()
    };
    // All at once: workers change what the key says of its variants at the same time.
    let all = crowd(site.address(), 64, |number| {
        let language = format!("l{}", number % 8);
        Request::get("/varied").header("Accept-Language", &language)
    });
    for answer in all.answers() {
        assert_eq!(answer.status, 200);
    }
    wait_for("a hit for each", PATIENCE, || {
        languages.iter().all(|language| ask(language) == "HIT")
    });
    let hits = site.backend.hits("/varied");
    assert!(languages.iter().all(|language| ask(language) == "HIT"));
    assert_eq!(site.backend.hits("/varied"), hits);
    without_redis(&site);
}

#[test]
fn a_large_body_comes_out_whole_to_fast_and_slow_clients() {
    let site = alone("32m").start();
    let body = pattern(5_000_000, 3);
    site.backend.set("/large", Answer::ok(body.clone()));
    assert!(site.get("/large").body == body);
    assert!(site.wait_for_hit("/large").body == body);
    let mut slow = site.client();
    slow.send(&Request::get("/large")).unwrap();
    let mut answer = slow.receive_header().unwrap();
    // What it reads from is replaced meanwhile, and others take all the room there is.
    for number in 0..12 {
        let target = format!("/other/{number}");
        site.backend.set(&target, Answer::ok(pattern(4_000_000, 9)));
        assert!(site.get(&target).body == pattern(4_000_000, 9));
    }
    slow.receive_rest(&mut answer).unwrap();
    assert!(answer.body == body);
    let part = site.ask(&Request::get("/other/11").header("Range", "bytes=1000-1999"));
    assert_eq!((part.status, part.body.len()), (206, 1000));
}

#[test]
fn a_full_memory_lets_go_of_what_isnt_used() {
    let site = alone("4m").start();
    let mut client = site.client();
    let text = "y".repeat(100_000);
    site.backend.set_otherwise(Answer::ok(text.clone()));
    let _ = got(&mut client, "/used");
    assert_eq!(hit(&site, "/used"), text);
    for number in 0..100 {
        let target = format!("/many/{number}");
        assert_eq!(got(&mut client, &target), ("STORE".into(), text.clone()));
        for _ in 0..2 {
            assert_eq!(got(&mut client, "/used").0, "HIT", "{number}");
        }
    }
    assert_eq!(site.wait_for_hit("/many/99").text(), text);
    assert_eq!(site.backend.hits("/used"), 1);
    // What came first was pushed out.
    assert_eq!(got(&mut client, "/many/0").0, "STORE");
}

#[test]
fn a_record_that_doesnt_fit_is_for_its_client_alone_and_the_log_says_why() {
    for (line, reason) in [
        (
            "memory 8m max_object=100k;",
            "the record is larger than \"max_object\" of its memory",
        ),
        (
            "memory 1m;",
            "there is no room for the record in its memory",
        ),
    ] {
        let site = Site::new().memory_alone(line).workers(1).start();
        let body = pattern(1_040_000, 4);
        site.backend.set("/big", Answer::ok(body.clone()));
        for count in 1..=2 {
            assert!(site.get("/big").body == body, "{line}");
            site.wait_for_fills(count);
        }
        assert_eq!(site.backend.hits("/big"), 2, "{line}");
        let lines = site.nginx.log().matching(Position::default(), reason);
        assert_eq!(lines.len(), 2, "{line}");
        assert!(
            lines.iter().all(|line| line.contains("[info]")),
            "{lines:?}"
        );
    }
}

#[test]
fn a_location_cant_do_without_its_only_memory() {
    let site = alone("8m").location("redis_cache_memory off;").start();
    let mut client = site.client();
    let _ = got(&mut client, "/page");
    let _ = hit(&site, "/page");
    assert_eq!(source(&mut client, "/page"), "memory");
}

#[test]
fn records_live_through_a_reload_and_not_through_a_restart() {
    let mut site = alone("8m").start();
    let first = site.get("/kept").text();
    assert_eq!(hit(&site, "/kept"), first);
    for _ in 0..3 {
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, PATIENCE);
        assert_eq!(hit(&site, "/kept"), first);
    }
    assert_eq!(site.backend.hits("/kept"), 1);
    let conf = alone("8m").conf(site.address(), &site.redis, &site.backend);
    site.nginx.quit();
    assert!(site.nginx.wait(PATIENCE).is_some());
    let anew = Nginx::start(&conf, site.address());
    assert_eq!(anew.client().get("/kept").word(), "STORE");
    anew.finish();
}

#[test]
fn a_killed_worker_takes_no_record_along() {
    let mut site = alone("8m").spread().start();
    let gate = Gate::new();
    site.backend.set(
        "/half",
        Answer::ok(pattern(300_000, 5)).gate_at(1000, &gate),
    );
    let first = site.get("/kept").text();
    assert_eq!(hit(&site, "/kept"), first);
    let mut client = site.client();
    let worker: i32 = client
        .get("/kept")
        .header("x-worker")
        .unwrap()
        .parse()
        .unwrap();
    client.send(&Request::get("/half")).unwrap();
    site.backend.wait_for_hits("/half", 1);
    site.nginx.allow("exited on signal 9");
    site.nginx.kill_worker(worker);
    gate.open();
    site.backend.set("/half", Answer::ok("whole"));
    assert_eq!(hit(&site, "/kept"), first);
    wait_for("a fill after the dead one's", PATIENCE, || {
        site.get("/half").text() == "whole"
    });
    assert_eq!(site.backend.hits("/kept"), 1);
}

#[test]
fn workers_that_write_one_key_all_the_time_do_no_harm() {
    let site = alone("4m")
        .spread()
        .workers(4)
        .location("redis_cache_invalidate on; redis_cache_age 1s;")
        .start();
    site.backend.script("/busy", |_, count| {
        Answer::ok(format!("{count} ").repeat(2000))
    });
    for _ in 0..20 {
        let all = crowd(site.address(), 40, |number| match number % 8 {
            0 => Request::post("/busy", "x"),
            _ => Request::get("/busy"),
        });
        for answer in all.answers() {
            assert_eq!(answer.status, 200);
            let text = answer.text();
            let word = text.split(' ').next().unwrap_or_default();
            assert_eq!(text, format!("{word} ").repeat(2000));
        }
    }
    let _ = hit(&site, "/busy");
    site.nginx.finish();
}

#[test]
fn conditions_ranges_and_head_are_answered_from_it() {
    let site = alone("8m").start();
    let tagged = Answer::ok("0123456789").header("ETag", "\"1\"");
    site.backend.set("/parts", tagged);
    assert_eq!(site.get("/parts").word(), "STORE");
    assert_eq!(hit(&site, "/parts"), "0123456789");
    let part = site.ask(&Request::get("/parts").header("Range", "bytes=2-4"));
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    let same = site.ask(&Request::get("/parts").header("If-None-Match", "\"1\""));
    assert_eq!((same.status, same.body.len()), (304, 0));
    let head = site.ask(&Request::head("/parts"));
    assert_eq!(
        (head.status, head.header("content-length").as_deref()),
        (200, Some("10"))
    );
    assert_eq!(site.backend.hits("/parts"), 1);
}

#[test]
fn a_stale_record_stands_in_for_a_backend_that_fails() {
    let site = alone("8m")
        .location(
            "redis_cache_age 1s; redis_cache_use_stale error http_503; redis_cache_backoff 600s;",
        )
        .start();
    let first = site.get("/failing").text();
    assert_eq!(hit(&site, "/failing"), first);
    site.backend.set("/failing", Answer::of(503, "down"));
    wait_for("the failure", PATIENCE, || {
        let answer = site.get("/failing");
        assert_eq!((answer.status, answer.text()), (200, first.clone()));
        site.backend.hits("/failing") == 2
    });
    for _ in 0..10 {
        let answer = site.get("/failing");
        assert_eq!((answer.status, answer.text()), (200, first.clone()));
    }
}

#[test]
fn one_process_is_enough() {
    let site = alone("8m").workers(0).main("master_process off;").start();
    let first = site.get("/page").text();
    assert_eq!(hit(&site, "/page"), first);
    assert_eq!(site.backend.hits("/page"), 1);
}

#[test]
fn two_stores_keep_records_of_their_own() {
    let site = alone("2m")
        .http("redis_cache_store other { memory 2m; }")
        .locations(
            "location /other/ { redis_cache on; redis_cache_lock locks; redis_cache_pass other; redis_cache_key /page; \
             redis_cache_header X-Cache; proxy_pass http://backend; }",
        )
        .start();
    let ours = site.get("/page").text();
    assert_eq!(hit(&site, "/page"), ours);
    let theirs = site.get("/other/page");
    assert_eq!(theirs.word(), "STORE");
    assert_eq!(site.wait_for_hit("/other/page").text(), theirs.text());
    assert_ne!(ours, theirs.text());
    assert_eq!(hit(&site, "/page"), ours);
}
