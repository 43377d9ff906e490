//! Which records are kept, and how they come out.

use testbed::{Answer, PATIENCE, Record, Request, wait_for};

use super::{put_and_warm, site, source, warm};

#[test]
fn records_of_any_size_up_to_the_largest_come_out_whole() {
    let site = site("max_object=300k").start();
    let mut client = site.client();
    for size in [0, 1, 511, 512, 2048, 2049, 4096, 40_000, 250_000] {
        let text: String = ('a'..='z').cycle().take(size).collect();
        put_and_warm(&site, &mut client, &format!("/size/{size}"), &text);
    }
    let large = "x".repeat(301 << 10);
    site.redis
        .put(&site.key("/large"), &Record::lua_text(&large), 600);
    for _ in 0..5 {
        assert_eq!(source(&mut client, "/large"), "store");
    }
}

#[test]
fn more_than_there_is_room_for_pushes_out_what_isnt_used() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/used", "used");
    let text = "y".repeat(100_000);
    for number in 0..200 {
        let target = format!("/many/{number}");
        site.redis
            .put(&site.key(&target), &Record::lua_text(&text), 600);
        for _ in 0..3 {
            assert_eq!(client.get(&target).text(), text);
        }
        assert_eq!(source(&mut client, "/used"), "memory", "{number}");
    }
    // All went through 8 MB; the first are gone, the last is there.
    assert_eq!(source(&mut client, "/many/0"), "store");
    assert_eq!(source(&mut client, "/many/199"), "memory");
}

#[test]
fn variants_are_kept_each() {
    for (lines, target) in [("", "/varied"), ("prefix=/in/", "/in/varied")] {
        let site = site(lines).start();
        let mut client = site.client();
        site.backend.script(target, |request, _| {
            let language = request.header("accept-language").unwrap_or_default();
            Answer::ok(format!("in {language}"))
                .header("Vary", "Accept-Language")
                .header("Cache-Control", "max-age=600")
        });
        let mut from = |language: &str| {
            let answer = client.ask(&Request::get(target).header("Accept-Language", language));
            assert_eq!(answer.text(), format!("in {language}"), "{target}");
            answer.header("x-source").unwrap_or_default()
        };
        for language in ["en", "de", "fr"] {
            wait_for("a variant in memory", PATIENCE, || {
                from(language) == "memory"
            });
        }
        for language in ["de", "en", "fr"] {
            assert_eq!(from(language), "memory", "{target} in {language}");
        }
        // Their changes are heard.
        let slot = format!("{{{}}}:v1", site.key(target));
        assert_eq!(site.redis.command::<usize>(&["DEL", &slot]), 1);
        wait_for("a fill", PATIENCE, || {
            from("de");
            from("fr");
            site.backend.hits(target) > 3
        });
    }
}

#[test]
fn a_stale_record_is_served_from_memory_and_its_refill_seen() {
    let site = site("").start();
    let mut client = site.client();
    let key = site.key("/stale");
    // Fresh for 60 s, stale for 100 s more.
    site.redis.put(&key, &Record::lua_text("old"), 99);
    wait_for("the refill's record", PATIENCE, || {
        client.get("/stale").text().starts_with("GET /stale #")
    });
    warm(&mut client, "/stale");
    assert_eq!(site.backend.hits("/stale"), 1);
}

#[test]
fn keys_outside_of_the_prefix_arent_kept() {
    let site = site("prefix=/in/").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/in/one", "in");
    site.redis
        .put(&site.key("/out/one"), &Record::lua_text("out"), 600);
    for _ in 0..5 {
        assert_eq!(source(&mut client, "/out/one"), "store");
    }
}
