//! What an answer says of its age and of whom it is for: clocks that are wrong, answers that take their time, and
//! answers of which something, or all, is for one client alone (RFC 9111 4.2.3, 5.2.2).

use std::thread;

use testbed::{Answer, Backend, Gate, PATIENCE, Request, Running, Site, ms, wait_for};

/// Asserts that a record is kept for so many seconds and 100 s of staleness, give or take what storing it and
/// looking at it took.
#[track_caller]
fn is_fresh_for(site: &Running, path: &str, seconds: i64) {
    site.redis.wait_for_record(path);
    let left = site.redis.pttl(path);
    let most = (seconds + 100) * 1000;
    assert!(
        left > most - 6000 && left <= most,
        "{path}: {left} of {most}"
    );
}

#[test]
fn clocks_that_are_wrong() {
    let site = Site::new().start();
    let hour = |seconds: i64| Backend::http_date(seconds);
    let aged = |date: i64| Answer::ok("x").header("Date", hour(date));
    let cases = [
        // (path, answer, Age of the record, fresh for)
        (
            "/right",
            aged(0).header("Cache-Control", "max-age=1000"),
            0,
            1000,
        ),
        (
            "/slow",
            aged(-300).header("Cache-Control", "max-age=1000"),
            300,
            700,
        ),
        (
            "/slow-expires",
            aged(-300).header("Expires", hour(700)),
            300,
            700,
        ),
        (
            "/fast",
            aged(300).header("Cache-Control", "max-age=1000"),
            0,
            1000,
        ),
        (
            "/fast-expires",
            aged(300).header("Expires", hour(1300)),
            0,
            1000,
        ),
        (
            "/slow-and-aged",
            aged(-300)
                .header("Cache-Control", "max-age=1000")
                .header("Age", "400"),
            400,
            600,
        ),
        (
            "/aged-and-slow",
            aged(-300)
                .header("Cache-Control", "max-age=1000")
                .header("Age", "200"),
            300,
            700,
        ),
        // The operator's time begins when the answer comes.
        ("/slow-default", aged(-300), 300, 60),
        ("/aged-default", aged(-300).header("Age", "20"), 300, 40),
    ];
    for (path, answer, age, fresh) in cases {
        site.backend.set(path, answer);
        site.fill(path);
        is_fresh_for(&site, path, fresh);
        let found = site.wait_for_hit(path).age().unwrap();
        assert!((age..age + 6).contains(&found), "{path}: {found}");
    }
}

#[test]
fn dates_of_other_forms() {
    let site = Site::new().start();
    let later = Backend::http_date(1000);
    let words: Vec<&str> = later
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let [day, date, month, year, clock, _] = words[..] else {
        panic!("{later}")
    };
    for (path, expires, fresh) in [
        ("/imf", later.clone(), 1000),
        // Which day of the week it is nobody asks.
        (
            "/rfc850",
            format!("Monday, {date}-{month}-{} {clock} GMT", &year[2..]),
            1000,
        ),
        (
            "/asctime",
            format!(
                "{day} {month} {:>2} {clock} {year}",
                date.trim_start_matches('0')
            ),
            1000,
        ),
        ("/lower-case", later.to_lowercase(), 1000),
        ("/utc", later.replace("GMT", "UTC"), 0),
        ("/offset", later.replace("GMT", "+0000"), 0),
    ] {
        let answer = Answer::ok("x").header("Expires", expires);
        site.backend
            .set(path, answer.header("Date", Backend::http_date(0)));
        let _ = site.get(path);
        is_fresh_for(&site, path, fresh);
    }
}

#[test]
fn the_time_that_an_answer_took_is_part_of_its_age() {
    let site = Site::new().start();
    let slow = Answer::ok("x").delay(ms(2200)).header("Age", "50");
    site.backend.set(
        "/stated",
        slow.clone().header("Cache-Control", "max-age=1000"),
    );
    site.backend.set("/default", slow);
    let paths = ["/stated", "/default"];
    let site = &site;
    thread::scope(|scope| {
        for path in paths {
            scope.spawn(move || site.fill(path));
        }
    });
    for path in paths {
        let age = site.wait_for_hit(path).age().unwrap();
        assert!((52..60).contains(&age), "{path}: {age}");
    }
    let left = site.redis.pttl("/stated");
    assert!(left <= (948 + 100) * 1000, "{left}");
    // 60 s less the Age of 50, without the time that the answer took.
    assert!(site.redis.pttl("/default") > (100 + 3) * 1000);
}

/// The time that a body takes counts from its header on, for lifetimes that are stated and for others.
#[test]
fn what_comes_slowly_has_aged_when_it_is_stored() {
    for memory_alone in [false, true] {
        let site = Site::new().location("redis_cache_stale 0; redis_cache_post_location on;");
        let site = match memory_alone {
            true => site.memory_alone("memory 4m;"),
            false => site,
        };
        let site = site.start();
        let gate = Gate::new();
        let slow = |path: &str| {
            let answer = Answer::ok("slow").header("Content-Location", path);
            answer.gate_at(1, &gate)
        };
        let cases = [
            // What is left at most when it is stored, in seconds. 0: it isn't stored.
            (
                "/stated",
                slow("/stated").header("Cache-Control", "max-age=100"),
                98,
            ),
            ("/default", slow("/default"), 58),
            (
                "/post",
                slow("/post").header("Cache-Control", "max-age=100"),
                98,
            ),
            (
                "/short",
                slow("/short").header("Cache-Control", "max-age=2"),
                0,
            ),
        ];
        let mut clients = Vec::new();
        for (path, answer, _) in &cases {
            site.backend.set(path, answer.clone());
            let mut client = site.client();
            let request = match *path {
                "/post" => Request::post(path, "posted"),
                path => Request::get(path),
            };
            client.send(&request).unwrap();
            site.backend.wait_for_hits(path, 1);
            clients.push(client);
        }
        // The time itself is what counts.
        thread::sleep(ms(2200));
        gate.open();
        for mut client in clients {
            assert_eq!(client.receive().unwrap().text(), "slow");
        }
        for (path, _, left) in cases {
            if left == 0 {
                let line = format!("fill of \"{path}\": expired already");
                let log = site.nginx.log();
                let said = log.wait_for(Default::default(), &line, PATIENCE);
                assert!(said.is_some(), "{}", log.tail(20));
                continue;
            }
            let age = site.wait_for_hit(path).age().unwrap();
            assert!((2..8).contains(&age), "{path}: {age}");
            if !memory_alone {
                let is = site.redis.pttl(path);
                let wanted = left * 1000;
                assert!((wanted - 6000..=wanted).contains(&is), "{path}: {is}");
            }
        }
    }
}

#[test]
fn a_heuristic_guesses_from_last_modified() {
    let site = Site::new()
        .location("redis_cache_heuristic 10% max=1h; redis_cache_valid 200 404; redis_cache_valid 410 20s;")
        .start();
    let modified = |status: u16, seconds: i64| {
        Answer::of(status, "x")
            .header("Date", Backend::http_date(0))
            .header("Last-Modified", Backend::http_date(-seconds))
    };
    for (path, answer, fresh) in [
        ("/guess", modified(200, 10_000), 1000),
        ("/not-found", modified(404, 10_000), 1000),
        ("/most", modified(200, 1_000_000), 3600),
        ("/future", modified(200, -1000), 60),
        ("/own-time", modified(410, 10_000), 20),
        (
            "/stated",
            modified(200, 10_000).header("Cache-Control", "max-age=77"),
            77,
        ),
        ("/none", Answer::ok("x"), 60),
    ] {
        site.backend.set(path, answer);
        let _ = site.get(path);
        is_fresh_for(&site, path, fresh);
    }
    let off = Site::new().start();
    off.backend.set("/guess", modified(200, 10_000));
    let _ = off.get("/guess");
    is_fresh_for(&off, "/guess", 60);
}

#[test]
fn who_joins_a_fill_doesnt_get_what_is_for_one() {
    let site = Site::new().workers(1).start();
    let gate = Gate::new();
    let answer = Answer::ok("0123456789")
        .header("Cache-Control", "max-age=60, private=\"X-Who, Set-Cookie\"")
        .header("X-Who", "you")
        .header("Set-Cookie", "a=1")
        .header("X-What", "page")
        .gate_at(5, &gate);
    site.backend.set("/x", answer);
    let mut first = site.client();
    first.send(&Request::get("/x")).unwrap();
    let mut one = first.receive_header().unwrap();
    let mut second = site.client();
    second.send(&Request::get("/x")).unwrap();
    let mut other = second.receive_header().unwrap();
    gate.open();
    first.receive_rest(&mut one).unwrap();
    second.receive_rest(&mut other).unwrap();
    assert_eq!((one.word(), other.word()), ("STORE".into(), "HIT".into()));
    assert_eq!(one.header("x-who").as_deref(), Some("you"));
    assert_eq!(one.header("set-cookie").as_deref(), Some("a=1"));
    let hit = site.wait_for_hit("/x");
    for shared in [&other, &hit] {
        assert_eq!(shared.header("x-who"), None);
        assert_eq!(shared.header("set-cookie"), None);
        assert_eq!(shared.header("x-what").as_deref(), Some("page"));
        assert_eq!(shared.text(), "0123456789");
    }
    assert_eq!(site.backend.hits("/x"), 1);
}

/// RFC 9111 5.2.2.4: nobody gets it on the strength of somebody else's question; and nobody waits for one.
#[test]
fn what_is_always_validated_is_validated_for_each_client() {
    for workers in [1, 2] {
        let site = Site::new().workers(workers).start();
        let answer = Answer::ok("x")
            .header("Cache-Control", "no-cache")
            .header("ETag", "\"1\"");
        site.backend.script("/x", move |request, _| {
            match request.header("if-none-match").as_deref() {
                Some("\"1\"") => Answer::of(304, "").header("ETag", "\"1\""),
                _ => answer.clone(),
            }
            .delay(ms(100))
        });
        let crowd = site.crowd(10, "/x");
        assert_eq!(crowd.statuses(), [(200, 10)].into());
        assert_eq!(site.backend.hits("/x"), 10, "{workers} workers");
        wait_for("the record", PATIENCE, || site.redis.get("/x").is_some());
        let crowd = site.crowd(10, "/x");
        assert_eq!(crowd.words(), [("HIT".to_owned(), 10)].into());
        assert_eq!(site.backend.hits("/x"), 20, "{workers} workers");
        let answers = site.backend.requests("/x");
        let conditional = |request: &&testbed::Received| request.header("if-none-match").is_some();
        assert_eq!(answers[10..].iter().filter(conditional).count(), 10);
        assert!(site.backend.most_at_once("/x") > 2, "one after the other");
    }
}
