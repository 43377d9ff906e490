//! Records that the backend confirms: what is asked, what is written, and who gets what of it (RFC 9111 4.3).

use std::thread;

use testbed::{Answer, Gate, PATIENCE, Record, Running, Site, pattern, wait_for};

const MUST: &str = "max-age=60, must-revalidate";

/// A stale record of `body` that must be validated; the backend's 304, with `X-Turn: new`, waits for the gate.
fn to_be_validated(site: &Running, path: &str, body: &[u8], gate: &Gate) {
    let answer = |answer: Answer| answer.header("ETag", "\"1\"").header("Cache-Control", MUST);
    let whole = answer(Answer::ok(body)).header("X-Turn", "old");
    site.backend.set(path, whole.clone());
    site.fill_and_age(path);
    let confirmed = answer(Answer::of(304, ""))
        .header("X-Turn", "new")
        .gate(gate);
    site.backend.script(path, move |request, _| {
        match request.header("if-none-match").as_deref() {
            Some("\"1\"") => confirmed.clone(),
            _ => whole.clone(),
        }
    });
    site.backend.forget();
}

#[test]
fn a_hundred_clients_cost_one_question_and_all_get_the_record() {
    for (form, site) in Site::forms() {
        let site = site.spread().start();
        let (gate, body) = (Gate::new(), pattern(20_000, 1));
        to_be_validated(&site, "/x", &body, &gate);
        let crowd = thread::scope(|scope| {
            let crowd = scope.spawn(|| site.crowd(100, "/x"));
            site.wait_for_waiters(99);
            gate.open();
            crowd.join().unwrap()
        });
        assert_eq!(crowd.words(), [("HIT".to_owned(), 100)].into(), "{form}");
        assert_eq!(crowd.bodies(), [(body, 100)].into(), "{form}");
        assert_eq!(crowd.workers().len(), 2, "{form}: {:?}", crowd.workers());
        let mut happened = [0, 0];
        for answer in crowd.answers() {
            assert_eq!(answer.header("x-turn").as_deref(), Some("new"), "{form}");
            let who = ["REVALIDATED", "HIT"]
                .iter()
                .position(|what| *what == answer.happened());
            happened[who.unwrap_or_else(|| panic!("{form}: {}", answer.happened()))] += 1;
        }
        assert_eq!(happened, [1, 99], "{form}");
        let asked = site.backend.requests("/x");
        assert_eq!(asked.len(), 1, "{form}");
        assert_eq!(
            asked[0].header("if-none-match").as_deref(),
            Some("\"1\""),
            "{form}"
        );
        site.nginx.finish();
    }
}

#[test]
fn the_body_is_not_written_again() {
    let site = Site::new().start();
    let (gate, body) = (Gate::new(), pattern(2_000_000, 2));
    to_be_validated(&site, "/x", &body, &gate);
    gate.open();
    let received = || -> usize {
        let info: String = site.redis.command(&["INFO", "stats"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix("total_net_input_bytes:"));
        line.unwrap().parse().unwrap()
    };
    let (before, written) = (received(), site.redis.calls("hset"));
    let answer = site.get("/x");
    assert!(answer.body == body, "{}", answer.body.len());
    assert_eq!(answer.happened(), "REVALIDATED");
    wait_for("the renewed record", PATIENCE, || {
        let record = site.redis.get("/x").unwrap();
        record.header("X-Turn") == ["new"] && site.redis.pttl("/x") > 100_000
    });
    assert_eq!(site.redis.calls("hset"), written + 1);
    let sent = received() - before;
    assert!(sent < 200_000, "{sent} bytes went to Redis");
    let length: usize = site.redis.command(&["HSTRLEN", "/x", "body"]);
    assert_eq!(length, body.len());
    assert!(site.redis.get("/x").unwrap().body == body);
    assert_eq!(
        site.wait_for_hit("/x").header("x-turn").as_deref(),
        Some("new")
    );
    assert!(site.redis.keys_without_expiry().is_empty());
}

/// What somebody else has written between the question and the 304 is another record than the one that it confirms.
#[test]
fn a_record_that_was_written_meanwhile_is_left_alone() {
    type Meanwhile = fn(&Running);
    let cases: [(&str, Meanwhile); 4] = [
        ("the Lua script wrote", |site| {
            site.redis.put("/x", &Record::lua_text("other"), 170);
        }),
        ("another machine wrote", |site| {
            // What the script of another generation leaves: meta says so.
            let record = site.redis.get("/x").unwrap();
            let meta = String::from_utf8_lossy(&record.others["meta"]).into_owned();
            let words = meta.split(' ').map(|word| {
                if word.starts_with("gen=") {
                    "gen=other"
                } else {
                    word
                }
            });
            let meta = words.collect::<Vec<_>>().join(" ");
            let _: i64 = site
                .redis
                .command(&["HSET", "/x", "meta", &meta, "body", "other"]);
            site.expire_in("/x", 170_000);
        }),
        ("somebody deleted it", |site| {
            let _: i64 = site.redis.command(&["DEL", "/x"]);
        }),
        ("another type", |site| {
            let _: i64 = site.redis.command(&["DEL", "/x"]);
            let _: String = site.redis.command(&["SET", "/x", "other", "EX", "170"]);
        }),
    ];
    for (name, meanwhile) in cases {
        let site = Site::new().start();
        let gate = Gate::new();
        to_be_validated(&site, "/x", b"mine", &gate);
        let answer = thread::scope(|scope| {
            let client = scope.spawn(|| site.get("/x"));
            site.backend.wait_for_hits("/x", 1);
            meanwhile(&site);
            gate.open();
            client.join().unwrap()
        });
        // The client asked about the record that it had.
        assert_eq!(answer.text(), "mine", "{name}");
        assert_eq!(answer.happened(), "REVALIDATED", "{name}");
        site.wait_for_fills(2);
        let kind: String = site.redis.command(&["TYPE", "/x"]);
        match name {
            "somebody deleted it" => assert_eq!(kind, "none", "{name}"),
            "another type" => assert_eq!(kind, "string", "{name}"),
            _ => {
                assert_eq!(site.redis.get("/x").unwrap().body, b"other", "{name}");
                assert_eq!(
                    site.redis.get("/x").unwrap().header("X-Turn").len(),
                    usize::from(name == "another machine wrote")
                );
                assert!(site.redis.pttl("/x") > 100_000, "{name}");
            }
        }
        assert!(site.redis.keys_without_expiry().is_empty(), "{name}");
    }
}

#[test]
fn a_304_that_forbids_storing_takes_only_the_validated_record_away() {
    for replaced in [false, true] {
        let site = Site::new().start();
        let gate = Gate::new();
        to_be_validated(&site, "/x", b"mine", &gate);
        let private = Answer::of(304, "")
            .header("ETag", "\"1\"")
            .header("Cache-Control", "private")
            .gate(&gate);
        site.backend.set("/x", private);
        let answer = thread::scope(|scope| {
            let client = scope.spawn(|| site.get("/x"));
            site.backend.wait_for_hits("/x", 1);
            if replaced {
                site.redis.put("/x", &Record::lua_text("other"), 170);
            }
            gate.open();
            client.join().unwrap()
        });
        assert_eq!(answer.text(), "mine");
        assert_eq!(answer.header("cache-control").as_deref(), Some("private"));
        site.wait_for_fills(2);
        assert_eq!(site.redis.get("/x").is_some(), replaced);
    }
}

/// Age counts from when the origin made the answer, or confirmed it: to the second, by what Redis says is left.
#[test]
fn age_is_right_to_the_second() {
    let site = Site::new().start();
    let good = |answer: Answer| {
        answer
            .header("ETag", "\"1\"")
            .header("Cache-Control", "max-age=60")
            .header("Age", "5")
    };
    site.backend.set("/x", good(Answer::ok("x")));
    site.fill("/x");
    // 55 s of freshness and 100 s of staleness were given.
    let given = 155_000;
    let age_at = |left: i64| u64::try_from(5 + (given - left) / 1000).unwrap();
    // The backend is busy with the refill: nobody changes the record.
    let gate = Gate::new();
    let confirmed = good(Answer::of(304, "")).header("Age", "7");
    site.backend.set("/x", confirmed.gate(&gate));
    for (left, word) in [(150_500, "HIT"), (100_001, "HIT"), (140_999, "HIT")] {
        assert_age(&site, left, word, &age_at);
    }
    for left in [99_000, 50_500, 20_000] {
        assert_age(&site, left, "STALE", &age_at);
    }
    gate.open();
    let hit = site.wait_for_hit("/x");
    let left = site.redis.pttl("/x");
    assert_eq!(hit.headers("age").len(), 1);
    let age = hit.age().unwrap();
    assert!(
        (5..=age_at(left)).contains(&age),
        "{age} after the 304, {left} ms left"
    );
}

/// Gives the record this much to live and asks for it: Age is what has gone of it, between before and after.
#[track_caller]
fn assert_age(site: &Running, left: i64, word: &str, age_at: &dyn Fn(i64) -> u64) {
    site.expire_in("/x", left);
    let answer = site.get("/x");
    let after = site.redis.pttl("/x");
    assert_eq!(answer.headers("age").len(), 1);
    let age = answer.age().unwrap();
    assert!(
        (age_at(left)..=age_at(after)).contains(&age),
        "{age} with {left} to {after} ms left"
    );
    // A busy machine may have let it grow stale meanwhile.
    assert!(answer.word() == word || after <= 100_000, "{left}");
}

/// No expiry is negative or has a fraction, and none is missing, whatever lifetime the response states.
#[test]
fn expiries_are_whole_seconds_and_never_negative() {
    let site = Site::new().location("redis_cache_stale 20s;").start();
    let cases = [
        ("/old", "max-age=10", "4000000000"),
        ("/expired", "max-age=0", "10"),
        ("/negative", "max-age=-5", "0"),
        ("/fraction", "max-age=1.5", "0"),
        ("/huge", "max-age=99999999999999999999", "0"),
    ];
    for (path, cache_control, age) in cases {
        let answer = Answer::ok("x")
            .header("Cache-Control", cache_control)
            .header("Age", age);
        site.backend.set(path, answer);
        assert_eq!(site.get(path).word(), "STORE", "{path}");
        let given = |record: &Record| {
            let meta = String::from_utf8_lossy(&record.others["meta"]).into_owned();
            let expiry = meta
                .split(' ')
                .find_map(|word| word.strip_prefix("expiry=").map(str::to_owned));
            expiry.unwrap()
        };
        let mut record = None;
        wait_for("the record", PATIENCE, || {
            if record.is_none() {
                let _ = site.get(path);
                record = site.redis.get(path);
            }
            record.is_some()
        });
        let wanted = if path == "/huge" { "2147483647" } else { "20" };
        assert_eq!(given(&record.unwrap()), wanted, "{path}");
        assert!(site.redis.keys_without_expiry().is_empty(), "{path}");
    }
}
