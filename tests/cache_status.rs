//! Cache-Status (RFC 9211) where it takes several clients, or trouble, to see it; and what a log says of fills.

use std::collections::BTreeMap;

use testbed::{Answer, Crowd, Gate, PATIENCE, Request, Running, Site, ms, pattern, wait_for};

const HEADER: &str = "redis_cache_status_header edge;";

/// How many clients got which parameters. What is left of the freshness may have become a second less.
fn told(crowd: &Crowd) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for answer in crowd.answers() {
        let value = answer.header("cache-status").unwrap_or_default();
        *told.entry(value.replace("ttl=59", "ttl=60")).or_default() += 1;
    }
    told
}

#[test]
fn those_who_share_a_fill() {
    for workers in [1, 2] {
        let site = Site::new().spread().workers(workers).server(HEADER).start();
        let mut told = told(&site.waiting_crowd(30, "/x", Answer::ok(pattern(20_000, 1))));
        assert_eq!(
            told.remove("edge; fwd=uri-miss; fwd-status=200; ttl=60; stored"),
            Some(1),
            "{told:?}"
        );
        let joined = told.remove("edge; fwd=uri-miss; fwd-status=200; ttl=60; collapsed");
        // Of the other worker: from the record.
        let found = told.remove("edge; hit; ttl=60");
        assert_eq!(joined.unwrap_or(0) + found.unwrap_or(0), 29, "{told:?}");
        assert!(
            joined.is_some() && (workers == 2 || found.is_none()),
            "{told:?}"
        );
    }
}

#[test]
fn those_who_waited_in_vain() {
    let site = Site::new().workers(1).server(HEADER).start();
    let answer = Answer::ok("x").header("Set-Cookie", "a=1");
    let told = told(&site.waiting_crowd(10, "/x", answer));
    let first = "edge; fwd=uri-miss; fwd-status=200; detail=\"set-cookie\"";
    let others = "edge; fwd=uri-miss; fwd-status=200; collapsed=?0; detail=\"fill not storable\"";
    assert_eq!(told, [(first.to_owned(), 1), (others.to_owned(), 9)].into());
}

#[test]
fn without_a_store() {
    let mut site = Site::new().workers(1).server(HEADER).start();
    site.fill("/x");
    site.redis.stop();
    wait_for("the store to be known to be down", PATIENCE, || {
        site.get("/x").word() == "SKIP"
    });
    assert_eq!(
        site.get("/x").headers("cache-status"),
        ["edge; fwd=miss; fwd-status=200; detail=\"store unavailable\""]
    );
    site.backend.stop();
    assert_eq!(
        site.get("/x").headers("cache-status"),
        // nginx's own page says more of why nothing is stored than the store.
        ["edge; fwd=miss; detail=\"status not listed\""]
    );
}

#[track_caller]
fn logged(site: &Running, target: &str, count: usize) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    wait_for("the log", PATIENCE, || {
        let text = std::fs::read_to_string(site.nginx.prefix().join("logs/cache.log"));
        let text = text.unwrap_or_default();
        let of_target = text.lines().filter_map(|line| line.strip_prefix(target));
        found = of_target
            .map(|line| {
                let (status, time) = line.trim().split_once(' ').unwrap();
                (status.to_owned(), time.parse().unwrap_or(-1.0))
            })
            .collect();
        found.len() == count
    });
    found
}

#[test]
fn how_long_a_fill_took_is_in_the_log_of_all_who_shared_it() {
    let site = Site::new()
        .workers(1)
        .http("log_format cache '$uri $redis_cache_status $redis_cache_fill_time';")
        .server("access_log logs/cache.log cache;")
        .start();
    let gate = Gate::new();
    site.backend.set(
        "/x",
        Answer::ok(pattern(200_000, 1)).gate_at(100_000, &gate),
    );
    let (mut first, mut second, mut leaver) = (site.client(), site.client(), site.client());
    for client in [&mut first, &mut second, &mut leaver] {
        client.send(&Request::get("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, 50_000).unwrap();
    }
    leaver.reset();
    let left = logged(&site, "/x", 1);
    assert_eq!(left[0].1, -1.0, "it isn't over: {left:?}");
    std::thread::sleep(ms(300));
    gate.open();
    for line in &logged(&site, "/x", 3)[1..] {
        assert!((0.3..10.0).contains(&line.1), "{line:?}");
    }
    assert_eq!(site.get("/x").word(), "HIT");
    assert_eq!(logged(&site, "/x", 4)[3], ("HIT".to_owned(), -1.0));
}
