//! A Prometheus that scrapes a real nginx: all that dashboard and alerts ask for is there.

use std::collections::BTreeSet;

use cache_core::report::Form;
use serde_json::Value;
use testbed::{Answer, PATIENCE, Position, Redis, Request, Running, Site, eventually, wait_for};

use crate::dashboard::{Dashboard, filled};
use crate::families::Families;
use crate::prometheus::Prometheus;
use crate::sample::scrape;
use crate::{promtool, rules};

const OPERATORS: &str = "location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; redis_cache_purge_allow 127.0.0.1; }";

/// A site with a memory tier, and a location for operators.
fn site() -> Running {
    let site = Site::new()
        .store("memory 4m min_uses=1;")
        .locations(OPERATORS)
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

/// The value of a metric that has one sample.
fn value(site: &Running, metric: &str) -> Option<f64> {
    let text = metrics(site);
    let line = text.lines().find(|line| line.starts_with(metric))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

/// An alert is made of it: it is 0 where nothing is served from memory for want of somebody who listens, and nowhere else.
#[test]
fn whether_a_memory_is_fed_is_told_as_it_is() {
    let site = || Site::new().locations(OPERATORS);
    let fed = "nginx_redis_cache_memory_fed{store=\"main\"}";
    for (what, site) in [
        ("heard", site().store("memory 4m;")),
        ("feed=off", site().store("memory 4m feed=off valid=1s;")),
        ("alone", site().memory_alone("memory 4m;")),
    ] {
        let site = site.start();
        wait_for(what, PATIENCE, || value(&site, fed) == Some(1.0));
        site.nginx.finish();
    }
    let redis = Redis::start();
    let rights = [
        "ACL",
        "SETUSER",
        "default",
        "-client|tracking",
        "-subscribe",
        "resetchannels",
    ];
    let _: () = redis.command(&rights);
    let site = site().store("memory 4m;").start_with(redis);
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "memory isn't used", PATIENCE);
    assert!(line.is_some(), "{}", log.tail(20));
    assert_eq!(value(&site, fed), Some(0.0));
    site.nginx.finish();
}
