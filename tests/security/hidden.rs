//! What a backend says to nginx alone: it decides who may have the answer, and no client gets to see it.

use testbed::{Answer, Request, Site, ms};

/// Everybody in a crowd asks for a page of their own: nobody may get another's.
#[track_caller]
fn is_for_one(name: &str, location: &str, answer: &Answer) {
    for workers in [1, 2] {
        let site = Site::new()
            .spread()
            .workers(workers)
            .location(location)
            .locations("location /inside/ { internal; proxy_pass http://BACKEND; }")
            .start();
        let answer = answer.clone().delay(ms(200));
        site.backend.script("/mine", move |_, _| answer.clone());
        let crowd = site.crowd(12, "/mine");
        for got in crowd.answers() {
            assert_eq!(got.word(), "SKIP", "{name}, {workers} workers");
        }
        assert_eq!(site.backend.hits("/mine"), 12, "{name}, {workers} workers");
        assert!(site.redis.keys().is_empty(), "{name}, {workers} workers");
        assert_eq!(site.get("/mine").word(), "SKIP", "{name}");
    }
}

#[test]
fn hidden_fields_keep_an_answer_from_others() {
    for (field, value) in [
        ("Cache-Control", "private"),
        ("Cache-Control", "no-store"),
        ("Set-Cookie", "id=1"),
        ("Vary", "*"),
        ("CDN-Cache-Control", "private"),
        ("Surrogate-Control", "no-store"),
    ] {
        let hidden = format!("proxy_hide_header {field};");
        is_for_one(field, &hidden, &Answer::ok("mine").header(field, value));
    }
}

#[test]
fn what_x_accel_redirect_leads_to_is_for_one() {
    for status in [200, 201, 302, 404, 500] {
        let answer = Answer::of(status, "unseen").header("X-Accel-Redirect", "/inside/file");
        is_for_one(&format!("status {status}"), "", &answer);
    }
}

#[test]
fn a_private_error_is_not_the_page_of_all() {
    let location =
        "redis_cache_valid any 60s; proxy_intercept_errors on; error_page 404 = /inside/404;";
    let answer = Answer::of(404, "no").header("Cache-Control", "private");
    is_for_one("a page by another upstream", location, &answer);
}

/// A stale record, a refill of which tells its own client alone, stays as it is.
#[test]
fn a_hidden_private_leaves_a_record() {
    let site = Site::new()
        .workers(1)
        .location("proxy_hide_header Cache-Control;")
        .start();
    site.backend.set("/x", Answer::ok("for all"));
    site.fill_and_age("/x");
    site.backend
        .set("/x", Answer::ok("mine").header("Cache-Control", "private"));
    for turn in 2..4 {
        let stale = site.get("/x");
        assert_eq!(
            (stale.word().as_str(), stale.text()),
            ("STALE", "for all".into())
        );
        site.wait_for_fills(0);
        assert!(site.backend.hits("/x") <= turn);
    }
}

/// Who may write to Redis may write `meta` as well.
#[test]
fn nothing_of_meta_reaches_a_client() {
    let site = Site::new().workers(1).start();
    site.fill("/x");
    let key = site.key("/x");
    let meta: String = site.redis.command(&["HGET", &key, "meta"]);
    let words = "hidden=X-Evil:1%0ASet-Cookie:a=1%0AX-Accel-Redirect:/secret%0ALocation:/ charset=no%0D%0AX-Evil rate=0";
    let _: i64 = site
        .redis
        .command(&["HSET", &key, "meta", &format!("{meta} {words}")]);
    let hit = site.ask(&Request::get("/x"));
    assert_eq!(hit.status, 200);
    for name in ["x-evil", "set-cookie", "x-accel-redirect", "location"] {
        assert_eq!(hit.header(name), None, "{name}");
    }
}
