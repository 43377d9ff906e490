//! Answers that vary, and many clients at once: one fill for each variant, and nobody gets another's.

use std::collections::BTreeMap;

use testbed::{
    Answer, Bridge, Crowd, Gate, PATIENCE, Redis, Request, Running, Site, crowd, ms, pattern,
    wait_for,
};

/// However busy the machine is, nobody goes for having waited too long.
const PATIENT: &str = "redis_cache_lock_timeout 30s;";

const VARIANTS: [&str; 4] = ["en", "de", "fr", "it"];

fn language(number: usize) -> &'static str {
    VARIANTS[number % VARIANTS.len()]
}

fn request(path: &str, language: &str) -> Request {
    Request::get(path).header("Accept-Language", language)
}

/// A body that only this variant has.
fn body(language: &str) -> Vec<u8> {
    let seed = VARIANTS.iter().position(|known| *known == language);
    [language.as_bytes(), &pattern(20_000, seed.unwrap() as u64)].concat()
}

/// The backend varies on Accept-Language.
fn varies(site: &Running, path: &str) {
    site.backend.script(path, |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(body(&language))
            .header("Vary", "Accept-Language")
            .delay(ms(300))
    });
}

fn is_served_right(form: &str, crowd: &Crowd) {
    for (number, answer) in crowd.answers().into_iter().enumerate() {
        assert_eq!(answer.status, 200, "{form}: {number}");
        let language = language(number);
        assert!(answer.body == body(language), "{form}: {language}");
    }
}

fn asked_for(site: &Running, path: &str) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for request in site.backend.requests(path) {
        let language = request.header("accept-language").unwrap_or_default();
        *asked.entry(language).or_default() += 1;
    }
    asked
}

fn each_once() -> BTreeMap<String, usize> {
    VARIANTS
        .iter()
        .map(|name| ((*name).to_owned(), 1))
        .collect()
}

#[test]
fn a_hundred_clients_of_four_variants_cost_one_backend_request_for_each() {
    for (form, site) in Site::forms() {
        let site = site.spread().location(PATIENT).start();
        varies(&site, "/x");
        let crowd = crowd(site.address(), 100, |number| {
            request("/x", language(number))
        });
        is_served_right(form, &crowd);
        assert_eq!(crowd.workers().len(), 2, "{form}: {:?}", crowd.workers());
        let words = crowd.words();
        assert_eq!(
            words,
            [("HIT".to_owned(), 96), ("STORE".to_owned(), 4)].into(),
            "{form}"
        );
        assert_eq!(asked_for(&site, "/x"), each_once(), "{form}");
        wait_for("four records", PATIENCE, || site.redis.keys().len() == 4);
        assert!(site.redis.keys_without_expiry().is_empty(), "{form}");
        site.nginx.finish();
    }
}

#[test]
fn a_location_as_the_store_does_the_same() {
    let redis = Redis::start();
    let bridge = Bridge::start(&redis.address());
    let site = Site::new()
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 20s;")
        .location(PATIENT)
        .spread()
        .locations(&bridge.locations())
        .start_with(redis);
    varies(&site, "/x");
    for _ in 0..2 {
        let crowd = crowd(site.address(), 100, |number| {
            request("/x", language(number))
        });
        is_served_right("location", &crowd);
        assert_eq!(asked_for(&site, "/x"), each_once());
        wait_for("four records", PATIENCE, || site.redis.keys().len() == 4);
    }
    site.nginx.finish();
}

#[test]
fn variants_are_filled_side_by_side() {
    let site = Site::new().workers(1).start();
    let gate = Gate::new();
    let slow = gate.clone();
    site.backend.script("/x", move |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        let answer = Answer::ok(body(&language)).header("Vary", "Accept-Language");
        if language == "en" {
            answer.gate_at(10_000, &slow)
        } else {
            answer
        }
    });
    let mut client = site.client();
    client.send(&request("/x", "en")).unwrap();
    let mut answer = client.receive_header().unwrap();
    // Its header has come, and is held back no longer than that by another variant's.
    let other = site.ask(&request("/x", "de"));
    assert!(other.body == body("de") && !gate.is_open());
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    assert!(answer.body == body("en"));
    assert_eq!(site.backend.hits("/x"), 2);
    for language in ["en", "de"] {
        let site = &site;
        wait_for("a hit", PATIENCE, || {
            let answer = site.ask(&request("/x", language));
            assert!(answer.body == body(language));
            answer.word() == "HIT"
        });
    }
    assert_eq!(site.backend.hits("/x"), 2);
}

#[test]
fn who_waits_for_an_answer_learns_that_it_is_not_for_him() {
    // What it varies on becomes known with its header only; that is 300 ms later.
    for form in ["x-a", "X-B, x-A", "*"] {
        let site = Site::new().spread().location(PATIENT).start();
        site.backend.script("/x", move |request, _| {
            let value = request.header("x-a").unwrap_or_default();
            Answer::ok(value).header("Vary", form).delay(ms(300))
        });
        let crowd = crowd(site.address(), 40, |number| {
            Request::get("/x").header("X-A", number.to_string())
        });
        for (number, answer) in crowd.answers().into_iter().enumerate() {
            assert_eq!(answer.text(), number.to_string(), "{form}");
        }
        assert_eq!(site.backend.hits("/x"), 40, "{form}");
        assert!(site.redis.keys().len() <= 16, "{form}");
        site.nginx.finish();
    }
}

#[test]
fn a_backend_that_varies_on_something_else_each_time_confuses_nobody() {
    let site = Site::new().spread().location(PATIENT).start();
    site.backend.script("/x", |request, count| {
        let value = |name| request.header(name).unwrap_or_default();
        let vary = ["X-A", "X-B", "X-A, X-B", ""][count % 4];
        // What it doesn't vary on has no part in the answer.
        let shown = |name| {
            if vary.contains(name) {
                value(name)
            } else {
                String::from("-")
            }
        };
        Answer::ok(format!("{}/{}", shown("X-A"), shown("X-B")))
            .header("Vary", vary)
            .header("Cache-Control", "max-age=1")
            .delay(ms(20))
    });
    for _ in 0..5 {
        let crowd = crowd(site.address(), 60, |number| {
            Request::get("/x")
                .header("X-A", (number % 3).to_string())
                .header("X-B", (number % 5).to_string())
        });
        for (number, answer) in crowd.answers().into_iter().enumerate() {
            let text = answer.text();
            let (a, b) = text.split_once('/').unwrap();
            assert!(
                a == "-" || a == (number % 3).to_string(),
                "{number}: {text}"
            );
            assert!(
                b == "-" || b == (number % 5).to_string(),
                "{number}: {text}"
            );
        }
    }
    assert!(site.redis.keys().len() <= 16);
    assert!(site.redis.keys_without_expiry().is_empty());
    site.nginx.finish();
}

/// The commonest variant, as any record without Vary, costs one look into Redis, another one two.
#[test]
fn variants_cost_one_look_or_two() {
    let site = Site::new().start();
    site.backend.script("/x", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    site.fill("/plain");
    for (number, language) in ["en", "de", "fr"].into_iter().enumerate() {
        let answer = site.ask(&request("/x", language));
        assert_eq!(answer.word(), "STORE", "{language}");
        site.wait_for_fills(number + 2);
    }
    let looks = |request: &Request| {
        let before = site.redis.calls("hmget");
        assert_eq!(site.ask(request).word(), "HIT");
        site.redis.calls("hmget") - before
    };
    assert_eq!(looks(&Request::get("/plain")), 1);
    for (language, wanted) in [("en", 1), ("de", 2), ("fr", 2), ("en", 1)] {
        assert_eq!(looks(&request("/x", language)), wanted, "{language}");
    }
    // What nobody has asked for yet is known not to be there from the first look.
    let before = site.redis.calls("hmget");
    assert_eq!(site.ask(&request("/x", "it")).word(), "STORE");
    assert_eq!(site.redis.calls("hmget") - before, 1);
}
