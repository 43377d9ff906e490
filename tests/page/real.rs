//! The page of a real nginx, under load: it shows what `/status` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use testbed::{Answer, Browser, Ending, Request, Running, Site, ms};

use super::figures::{text, wait_for_text, wait_until_shown};

fn site() -> Site {
    Site::new()
        .workers(2)
        .http("keepalive_requests 1000000;")
        .store("memory 4m;")
        .locations("location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; }")
        .locations("location = /none { return 204; }")
}

fn status(site: &Running) -> Value {
    let answer = site.get("/cache/status");
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asks for hits, misses, and what isn't stored, until it is over.
fn load(site: &Running, over: &AtomicBool) {
    let mut client = site.client();
    for nth in 0_u64.. {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let target = match nth % 20 {
            0 => format!("/miss/{nth}"),
            1 => "/private".to_owned(),
            2 => "/slow".to_owned(),
            _ => format!("/hit/{}", nth % 7),
        };
        let _ = client.ask(&Request::get(&target));
    }
}

#[test]
fn under_load_it_shows_what_status_says() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut site = site().start();
    site.backend.set_otherwise(Answer::ok("x".repeat(2_000)));
    let private = Answer::ok("private").header("Cache-Control", "private");
    site.backend.set("/private", private);
    let slow = Answer::ok("slow").header("Set-Cookie", "a=b").delay(ms(30));
    site.backend.set("/slow", slow);
    browser.open(&format!("http://{}/cache/", site.address()));
    wait_for_text(&browser, "#state", "Live");
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        let ending = Ending::raises(&over);
        for _ in 0..4 {
            threads.spawn(|| load(&site, &over));
        }
        // Rates are there, and reasons that the page hadn't when it was opened.
        for (selector, part) in [
            ("#zone-0 svg[role=img]", "hit: now"),
            (
                "#zone-0 tbody:has([data-p='not_stored/private'])",
                "set-cookie",
            ),
            ("#trouble", ""),
        ] {
            let _ = browser.run("document.dispatchEvent(new Event('visibilitychange'))");
            if !selector.starts_with("#zone-0 svg") {
                wait_for_text(&browser, selector, part);
            }
        }
        testbed::wait_for("rates of hits", testbed::PATIENCE, || {
            let rate = text(&browser, "#zone-0 td[data-r='hit/responses']");
            rate.replace(',', "")
                .parse::<f64>()
                .is_ok_and(|rate| rate > 10.0)
        });
        let plots = browser.run(
            "return [...document.querySelectorAll('#zone-0 svg[role=img]')].map(it => it.getAttribute('aria-label')).join(' ')",
        );
        let plots = plots.as_str().unwrap_or_default();
        assert!(
            !plots.contains("NaN") && plots.contains("hit ratio: now"),
            "{plots}"
        );
        // Three polls more, for the pictures' sake.
        testbed::wait_for("points of plots", testbed::PATIENCE, || {
            let points = browser.run(
                "const it = document.querySelector('#zone-0 .plot path.line-1'); return it ? it.getAttribute('d').split('L').length : 0",
            );
            points.as_u64() >= Some(5)
        });
        browser.look(1280, 1, false);
        super::looks::picture(&browser, "load");
        drop(ending);
    });
    // What is counted stands still now.
    site.wait_for_quiet_zone();
    wait_until_shown(&browser, || status(&site));
    assert_eq!(browser.complaints(), Vec::<String>::new());
    // A reload neither loses counts nor stops the page.
    let _ = site.nginx.reload();
    wait_for_text(&browser, "#state", "Live: new figures");
    let before = text(&browser, "#zone-0 td[data-p='hit/responses']");
    let client = site.get("/hit/1");
    assert_eq!(client.word(), "HIT");
    testbed::wait_for("one hit more", testbed::PATIENCE, || {
        text(&browser, "#zone-0 td[data-p='hit/responses']") != before
    });
    wait_until_shown(&browser, || status(&site));
}
