//! A Prometheus that scrapes a real nginx: all that dashboard and alerts ask for is there.

use std::collections::BTreeSet;

use cache_core::report::Form;
use serde_json::Value;
use testbed::{Answer, PATIENCE, Request, Running, Site, eventually, wait_for};

use crate::dashboard::{Dashboard, filled};
use crate::families::Families;
use crate::prometheus::Prometheus;
use crate::sample::scrape;
use crate::{promtool, rules};

/// A site with a memory tier, and a location for operators.
fn site() -> Running {
    let site = Site::new()
        .store("memory 4m min_uses=1;")
        .locations(
            "location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; redis_cache_purge_allow 127.0.0.1; }",
        )
        .start();
    let cookie = Answer::ok("yours").header("Set-Cookie", "a=b");
    site.backend.set("/cookie", cookie);
    site
}

/// Requests of several kinds, in the cache's sense.
fn traffic(site: &Running, round: usize) {
    let page = format!("/page/{round}");
    for target in ["/hit", "/cookie", &page] {
        assert_eq!(site.get(target).status, 200, "{target}");
    }
    let tag = "{\"type\": \"tag\", \"selectors\": [\"a\"]}";
    assert_eq!(site.ask(&Request::post("/cache/purge", tag)).status, 200);
}

fn metrics(site: &Running) -> String {
    let answer = site.get("/cache/metrics");
    assert_eq!(answer.status, 200);
    answer.text()
}

#[test]
fn a_prometheus_that_scrapes_nginx_finds_what_is_asked_for() {
    let mut site = site();
    traffic(&site, 0);
    // What is there from a certain moment on.
    for late in ["not_stored_total{", "memory_feed_lag_seconds{"] {
        wait_for(late, PATIENCE, || metrics(&site).contains(late));
    }
    let text = metrics(&site);
    promtool(&["check", "metrics"], text.as_bytes());

    // What the tests with the sample say holds for nginx, too.
    let sample = String::from_utf8(scrape(0, Form::Prometheus)).unwrap();
    let (real, sample) = (Families::of(&text), Families::of(&sample));
    let names = |families: &Families| families.names().map(str::to_owned).collect();
    let (in_real, in_sample): (BTreeSet<String>, BTreeSet<String>) = (names(&real), names(&sample));
    assert_eq!(in_real, in_sample);
    for name in &in_real {
        assert_eq!(real.labels(name), sample.labels(name), "{name}");
    }

    let paths = ["/cache/metrics"];
    let prometheus = Prometheus::start(site.address(), &paths, &rules());
    let (mut targets, mut round) = (Dashboard::read().targets(), 0);
    // Rates need two scrapes of what is counted.
    let all = eventually(PATIENCE, || {
        round += 1;
        traffic(&site, round);
        targets.retain(|target| {
            let samples = prometheus.query(&filled(&target.expression)).unwrap();
            samples.is_empty()
        });
        targets.is_empty().then_some(())
    });
    let missing: Vec<&str> = targets.iter().map(|it| it.panel.as_str()).collect();
    assert!(all.is_some(), "nothing for {missing:?}");

    let scrapes = prometheus.get("/api/v1/targets?state=active").unwrap();
    let scrapes = scrapes["activeTargets"].as_array().unwrap();
    assert_eq!(scrapes.len(), 1);
    assert_eq!(scrapes[0]["health"], "up", "{}", scrapes[0]["lastError"]);
    let now = |expression: &str| prometheus.query(expression).unwrap();
    wait_for("hits", PATIENCE, || {
        let hits = now("nginx_redis_cache_responses_total{zone=\"locks\",status=\"hit\"}");
        hits.len() == 1 && hits[0].1 > 0.0
    });
    // A good day: nothing fires. (Memory may have been heard of behind the first scrape.)
    wait_for("no alert", PATIENCE, || alerts(&prometheus).is_empty());
    site.redis.stop();
    wait_for("the store to be missed", PATIENCE, || {
        assert_eq!(site.get("/other").status, 200);
        alerts(&prometheus).contains("RedisCacheStoreDown")
    });
    site.nginx.finish();
}

/// The names of the alerts that are pending or fire.
fn alerts(prometheus: &Prometheus) -> BTreeSet<String> {
    let alerts = prometheus.get("/api/v1/alerts").unwrap();
    let alerts = alerts["alerts"].as_array().unwrap().iter();
    let name = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
    alerts.map(name).collect()
}
