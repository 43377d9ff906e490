//! The page of a real nginx, under load: it shows what `/status` says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;
use testbed::{Answer, Browser, Ending, PATIENCE, Request, Running, Site, ms, wait_for};

use super::figures::{text, wait_for_text, wait_until_shown};

fn site() -> Site {
    Site::new()
        .workers(2)
        .http("keepalive_requests 1000000;")
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
    let mut site = site().store("memory 4m;").start();
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
        // Reasons that the page hadn't when it was opened, and rates.
        let reasons = "#zone-0 tbody:has([data-p='not_stored/private'])";
        wait_for_text(&browser, reasons, "set-cookie");
        wait_for("rates of hits", PATIENCE, || {
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
            !plots.contains("NaN") && plots.contains("all hits: now"),
            "{plots}"
        );
        wait_for("points of plots", PATIENCE, || {
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
    assert_eq!(site.get("/hit/1").word(), "HIT");
    wait_for("one hit more", PATIENCE, || {
        text(&browser, "#zone-0 td[data-p='hit/responses']") != before
    });
    wait_until_shown(&browser, || status(&site));
}

#[test]
fn a_store_that_goes_down_and_comes_back() {
    let Some(browser) = Browser::start() else {
        return;
    };
    // Each worker finds out by itself, and the one that answers tells.
    let mut site = site().workers(1).start();
    browser.open(&format!("http://{}/cache/", site.address()));
    let address = site.redis.address();
    wait_for_text(&browser, "#state", "Live");
    assert_eq!(text(&browser, "#trouble"), "");
    site.redis.stop();
    let trouble = format!("Store main is down.Store main: master {address} is down.");
    let mut client = site.client();
    wait_for("trouble on the page", PATIENCE, || {
        let _ = client.get("/x");
        text(&browser, "#trouble").starts_with(&trouble)
    });
    let state = "#store-0 td[data-p='nodes/0/up']";
    let judged = format!("return document.querySelector(\"{state}\").dataset.j");
    assert_eq!(text(&browser, state), "down");
    assert_eq!(browser.run(&judged), "bad");
    super::looks::picture(&browser, "store-down");
    // Errors and reasons follow.
    wait_for("errors on the page", PATIENCE, || {
        let _ = client.get("/x");
        let found = browser.run(
            "return [...document.querySelectorAll('#store-0 td[data-p^=\"errors/\"]')].some(it => it.textContent !== '0')
                && !!document.querySelector('[data-p^=\"not_stored/store \"]')",
        );
        found == true
    });
    site.redis.run();
    wait_for("no trouble", PATIENCE, || {
        let _ = client.get("/x");
        text(&browser, "#trouble").is_empty() && text(&browser, state) == "up"
    });
    assert_eq!(browser.run(&judged), "good");
    site.wait_for_quiet_zone();
    wait_until_shown(&browser, || status(&site));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
