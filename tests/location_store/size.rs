//! Responses of a location that are far longer than any reply.

use std::fs::{self, File};

use testbed::{Position, Site, Vitals, ms};

/// More than anybody should keep, or read for nothing.
const HUGE: u64 = 1 << 30;

#[test]
fn what_a_location_sends_beyond_its_replies_is_neither_kept_nor_read() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_pass /redis; redis_cache_pass_timeout 10s;")
        // A file is sent as a whole, faster than anybody reads it.
        .locations(
            "location /redis { internal; root html; error_page 405 =200 /file; }
            location = /file { internal; root html; }",
        )
        .start();
    let html = site.nginx.prefix().join("html");
    fs::create_dir(&html).unwrap();
    // A POST finds it, and is told 405.
    fs::write(html.join("redis"), "").unwrap();
    File::create(html.join("file"))
        .unwrap()
        .set_len(HUGE)
        .unwrap();
    let pid = site.nginx.workers()[0];
    let before = Vitals::of(pid).unwrap();
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    let lines = site.nginx.log().serious(Position::default());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("is down: invalid reply"), "{lines:#?}");
    let after = Vitals::of(pid).unwrap();
    assert!(after.peak < before.rss + 40_000, "{before:?} {after:?}");
    assert!(
        after.read < before.read + 40_000_000,
        "{before:?} {after:?}"
    );
    assert!(answer.last_byte < ms(5000), "{:?}", answer.last_byte);
}
