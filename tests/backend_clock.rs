//! A backend whose clock is wrong.

use testbed::{Answer, Backend, PATIENCE, Running, Site};

/// An answer that is fresh for a minute by the backend's clock, which is so many seconds off.
fn dated(seconds: i64) -> Answer {
    Answer::ok("page")
        .header("Cache-Control", "max-age=60")
        .header("Date", Backend::http_date(seconds))
}

/// The word that a second request gets, once the first one's answer is stored.
fn second_word(site: &Running, path: &str) -> String {
    assert_eq!(site.get(path).word(), "STORE", "{path}");
    site.redis.wait_for_record(path);
    site.get(path).word()
}

fn warnings(site: &Running) -> Vec<String> {
    let all = site.nginx.log().lines();
    let about = |line: &String| line.contains("the clock of backend");
    all.into_iter().filter(about).collect()
}

#[test]
fn its_date_and_age_can_be_ignored() {
    let cases = [
        ("", "STALE", "STALE"),
        ("redis_cache_ignore_headers Date;", "HIT", "STALE"),
        ("redis_cache_ignore_headers Age;", "STALE", "HIT"),
        ("redis_cache_ignore_headers Date Age;", "HIT", "HIT"),
    ];
    for (directive, slow, old) in cases {
        let site = Site::new().workers(1).location(directive).start();
        // 100 s of staleness are left of what is 90 s old and was fresh for a minute.
        site.backend.set("/slow", dated(-90));
        let aged = dated(0).header("Age", "90");
        site.backend.set("/old", aged);
        assert_eq!(second_word(&site, "/slow"), slow, "{directive}");
        assert_eq!(second_word(&site, "/old"), old, "{directive}");
    }
}

#[test]
fn its_expires_counts_from_its_date() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_ignore_headers Date;")
        .start();
    let answer = Answer::ok("page")
        .header("Date", Backend::http_date(-3600))
        .header("Expires", Backend::http_date(-3540));
    site.backend.set("/x", answer);
    assert_eq!(second_word(&site, "/x"), "HIT");
}

#[test]
fn the_log_says_once_that_it_is_wrong() {
    let site = Site::new().workers(1).start();
    site.backend.set("/right", dated(-5));
    assert_eq!(site.get("/right").text(), "page");
    site.redis.wait_for_record("/right");
    assert_eq!(warnings(&site), Vec::<String>::new());
    for path in ["/a", "/b"] {
        site.backend.set(path, dated(-3600));
        assert_eq!(site.get(path).text(), "page");
        site.backend.wait_for_hits(path, 1);
    }
    testbed::wait_for("a warning", PATIENCE, || !warnings(&site).is_empty());
    site.backend.set("/c", dated(-90));
    assert_eq!(site.get("/c").text(), "page");
    site.redis.wait_for_record("/c");
    let said = warnings(&site);
    let [warning] = said.as_slice() else {
        panic!("{said:?}");
    };
    let backend = format!("[warn]|the clock of backend \"{}\"", site.backend.address());
    for part in backend
        .split('|')
        .chain(["is behind", "redis_cache_ignore_headers Date"])
    {
        assert!(warning.contains(part), "{warning}");
    }
}

#[test]
fn nothing_is_said_where_date_is_ignored() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_ignore_headers Date;")
        .start();
    site.backend.set("/x", dated(-3600));
    assert_eq!(second_word(&site, "/x"), "HIT");
    assert_eq!(warnings(&site), Vec::<String>::new());
}
