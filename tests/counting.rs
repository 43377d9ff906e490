//! What is counted, as JSON and as metrics: it agrees with what clients have seen.

use std::collections::BTreeMap;

use serde_json::Value;
use testbed::{
    Answer, Client, Gate, PATIENCE, Redis, RedisCluster, Request, Running, Site, wait_for,
};

/// A location for operators, and a log with words and reasons.
fn site() -> Site {
    Site::new()
        .spread()
        .http("keepalive_requests 1000000;")
        .locations("location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; redis_cache_purge_allow 127.0.0.1; }")
        .location("add_header X-Reason $redis_cache_reason always;")
}

fn status(site: &Running) -> Value {
    let answer = site.get("/cache/status");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/json")
    );
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn number(value: &Value, pointer: &str) -> u64 {
    let found = value
        .pointer(pointer)
        .unwrap_or_else(|| panic!("no {pointer}"));
    found
        .as_u64()
        .unwrap_or_else(|| panic!("{pointer} is {found}"))
}

/// Waits until the figure is this. It is counted when the request has ended, behind the answer.
#[track_caller]
fn wait_until(site: &Running, pointer: &str, wanted: u64) -> Value {
    let mut last = Value::Null;
    let mut get = || {
        last = status(site);
        number(&last, pointer) == wanted
    };
    let is_there = testbed::eventually(PATIENCE, || get().then_some(()));
    assert!(is_there.is_some(), "{pointer} isn't {wanted}: {last:#}");
    last
}

#[test]
fn each_response_counts_once_by_its_status() {
    let site = site().start();
    let mut client = site.client();
    let mut seen: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut note = |answer: &testbed::Response| {
        let status = answer.header("x-status").unwrap_or_default();
        let count = seen.entry(status.to_lowercase()).or_default();
        *count = (count.0 + 1, count.1 + answer.body.len() as u64);
    };
    site.backend.set(
        "/private",
        Answer::ok("private").header("Cache-Control", "private"),
    );
    for (fills, target) in (1..).zip(["/a", "/b", "/private", "/a?x=1"]) {
        note(&client.get(target));
        site.wait_for_fills(fills);
    }
    for _ in 0..10 {
        note(&client.get("/a"));
    }
    note(&client.ask(&Request::new("DELETE", "/c")));
    note(&client.ask(&Request::new("HEAD", "/a")));
    site.make_stale("/b");
    note(&client.get("/b"));
    let all: u64 = seen.values().map(|(count, _)| count).sum();
    assert_eq!(all, 17);
    let value = wait_until(&site, "/caches/locks/hit/responses", seen["hit"].0);
    for (status, (count, bytes)) in &seen {
        for subject in ["/caches/locks", "/servers/_"] {
            let is = (
                number(&value, &format!("{subject}/{status}/responses")),
                number(&value, &format!("{subject}/{status}/bytes")),
            );
            assert_eq!(is, (*count, *bytes), "{subject}, {status}: {value:#}");
        }
    }
    // The refill is over when its record is there.
    let value = wait_until(&site, "/caches/locks/fills/refill/stored", 1);
    for (pointer, wanted) in [
        ("/caches/locks/fills/miss/stored", 3),
        ("/caches/locks/fills/miss/not_stored", 1),
        ("/caches/locks/not_stored/private", 1),
        ("/caches/locks/not_stored/method not listed", 1),
        ("/caches/locks/miss/responses_written", 3),
        ("/caches/locks/expired/responses_written", 1),
        ("/caches/locks/fill_duration/count", 5),
        ("/caches/locks/waiters", 0),
        ("/caches/locks/refills", 0),
        ("/stores/main/errors/timeout", 0),
        ("/workers", 2),
    ] {
        assert_eq!(number(&value, pointer), wanted, "{pointer}: {value:#}");
    }
    let lookups = number(&value, "/stores/main/operations/lookup/count");
    assert!(lookups >= 15, "{lookups}");
    assert!(number(&value, "/stores/main/operations/write/count") >= 4);
    assert_eq!(value.pointer("/stores/main/up"), Some(&Value::Bool(true)));
    assert_eq!(
        value.pointer("/stores/main/nodes/0/address"),
        Some(&Value::from(site.redis.address()))
    );
}

#[test]
fn shared_fills_waiters_and_keys() {
    let site = site().start();
    let gate = Gate::new();
    site.backend.set("/slow", Answer::ok("slow").gate(&gate));
    let crowd = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| site.crowd(20, "/slow"));
        site.backend.wait_for_hits("/slow", 1);
        wait_until(&site, "/caches/locks/keys/filling", 1);
        // A client that came after the fill would find the record and share nothing.
        site.wait_for_waiters(19);
        gate.open();
        waiting.join().unwrap()
    });
    let words = crowd.words();
    let hits = words["HIT"] as u64;
    let value = wait_until(&site, "/caches/locks/hit/responses", hits);
    let shared = number(&value, "/caches/locks/coalesced/stream")
        + number(&value, "/caches/locks/coalesced/record");
    assert_eq!(shared, hits, "{value:#}");
    assert_eq!(number(&value, "/caches/locks/keys/filling"), 0);
}

/// They go on after a reload, and after a worker was killed.
#[test]
fn counts_survive_workers() {
    let mut site = site().start();
    site.fill("/a");
    let ask = |site: &Running, count: usize| {
        for _ in 0..count {
            assert_eq!(site.get("/a").word(), "HIT");
        }
    };
    let before = number(&status(&site), "/caches/locks/hit/responses");
    ask(&site, 10);
    wait_until(&site, "/caches/locks/hit/responses", before + 10);
    site.nginx.reload();
    ask(&site, 10);
    wait_until(&site, "/caches/locks/hit/responses", before + 20);
    let worker = site.nginx.workers()[0];
    site.nginx.kill_worker(worker);
    wait_for("two workers", PATIENCE, || site.nginx.workers().len() == 2);
    ask(&site, 10);
    wait_until(&site, "/caches/locks/hit/responses", before + 30);
    // Those of the worker that was killed are gone, too. The clients of this test and its INFO are no connections of nginx.
    wait_for("the connections that Redis has", PATIENCE, || {
        let list: String = site.redis.command(&["CLIENT", "LIST"]);
        let all = list.lines().count() as u64 - 1;
        number(&status(&site), "/stores/main/connections") == all
    });
}

/// The figures of the servers of a store, masters and replicas.
fn nodes(site: &Running) -> Vec<Value> {
    let value = status(site);
    let nodes = value.pointer("/stores/main/nodes");
    nodes.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// How many of them have this role, and have had commands.
fn asked(nodes: &[Value], role: &str) -> usize {
    let asked = nodes.iter().filter(|node| {
        node.get("role").and_then(Value::as_str) == Some(role)
            && number(node, "/commands/count") > 0
    });
    asked.count()
}

#[test]
fn each_server_of_a_cluster_has_figures_of_its_own() {
    let cluster = RedisCluster::start();
    cluster.wait_until_replicas_are_named();
    let site = site()
        .store(&format!("{} read_from replica;", cluster.directives()))
        .start_with(Redis::stopped(&[]));
    let mut client = site.client();
    wait_for(
        "commands at three masters and three replicas",
        PATIENCE,
        || {
            for number in 0..30 {
                assert_eq!(client.get(&format!("/{number}")).status, 200);
            }
            let nodes = nodes(&site);
            nodes.len() == 6 && (asked(&nodes, "master"), asked(&nodes, "replica")) == (3, 3)
        },
    );
    let metrics = site.get("/cache/metrics").text().to_owned();
    for node in nodes(&site) {
        let address = node.get("address").and_then(Value::as_str).unwrap();
        let name = "nginx_redis_cache_store_node_duration_seconds_count";
        let start = format!("{name}{{store=\"main\",node=\"{address}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&*start));
        let count: u64 = line.expect("the metric of a node").parse().unwrap();
        assert!(count > 0, "{address}");
    }
}

#[test]
fn a_server_that_goes_down_is_counted() {
    let mut site = site().start();
    site.fill("/a");
    assert_eq!(site.get("/a").word(), "HIT");
    let before = nodes(&site).remove(0);
    assert_eq!(number(&before, "/down"), 0);
    assert!(number(&before, "/commands/count") > 0);
    site.redis.stop();
    assert_eq!(site.get("/a").word(), "SKIP");
    let node = wait_until(&site, "/stores/main/nodes/0/down", 1);
    let errors = node.pointer("/stores/main/nodes/0/errors").unwrap();
    let errors = errors.as_object().unwrap().values();
    assert!(
        errors.filter_map(Value::as_u64).sum::<u64>() > 0,
        "{node:#}"
    );
}

/// As any content handler of nginx: methods, HEAD, gzip, access rules.
#[test]
fn endpoints_behave_as_content_handlers_do() {
    let site = site()
        .locations("location /open/ { redis_cache_admin; }\nlocation /zipped/ { redis_cache_admin; allow all; gzip on; gzip_types *; gzip_min_length 1; }")
        .start();
    let mut client: Client = site.client();
    for (target, content_type) in [
        ("/cache/status", "application/json"),
        ("/cache/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let answer = client.get(target);
        assert_eq!(answer.header("content-type").as_deref(), Some(content_type));
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        let head = client.ask(&Request::new("HEAD", target));
        assert_eq!((head.status, head.body.len()), (200, 0));
        let posted = client.ask(&Request::post(target, "x"));
        assert_eq!(posted.status, 405, "{target}");
        assert_eq!(posted.header("allow").as_deref(), Some("GET, HEAD"));
        let closed = target.replace("/cache/", "/open/");
        assert_eq!(client.get(&closed).status, 403);
        let zipped =
            Request::get(&target.replace("/cache/", "/zipped/")).header("Accept-Encoding", "gzip");
        let answer = client.ask(&zipped);
        assert_eq!(answer.header("content-encoding").as_deref(), Some("gzip"));
    }
    let open_metrics = Request::get("/cache/metrics").header(
        "Accept",
        "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
    );
    let answer = client.ask(&open_metrics);
    assert_eq!(
        answer.header("content-type").as_deref(),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(answer.text().ends_with("# EOF\n"));
    assert_eq!(client.get("/cache/other").status, 404);
    // None of these is a response of the cache.
    assert_eq!(number(&status(&site), "/servers/_/purge/responses"), 0);
    let log = site.nginx.log();
    let warned = log.matching(
        testbed::Position::default(),
        "nobody sees its page and figures",
    );
    assert_eq!(warned.len(), 1, "{warned:?}");
}

/// A purge is counted in its store.
#[test]
fn purges_are_counted() {
    let site = site().start();
    let purge = Request::post(
        "/cache/purge",
        r#"{"type": "tag", "selectors": ["a", "b"], "purge": true}"#,
    );
    assert_eq!(site.ask(&purge).status, 200);
    let value = wait_until(&site, "/stores/main/purges/0/ok", 2);
    assert_eq!(
        value.pointer("/stores/main/purges/0/kind"),
        Some(&Value::from("tag"))
    );
    assert_eq!(
        value.pointer("/stores/main/purges/0/mode"),
        Some(&Value::from("hard"))
    );
    assert_eq!(
        number(&value, "/caches/locks/purge/responses"),
        0,
        "its location names no zone"
    );
}

#[test]
fn a_memory_tier_and_its_feed() {
    let site = site().store("memory 16m min_uses=1;").start();
    site.fill("/a");
    let mut client = site.client();
    let mut asked = 0;
    wait_for("hits from memory", PATIENCE, || {
        asked += 1;
        assert_eq!(client.get("/a").word(), "HIT");
        number(&status(&site), "/caches/locks/memory_hits") > 0
    });
    let value = status(&site);
    assert!(number(&value, "/caches/locks/memory_hits") <= asked);
    assert_eq!(number(&value, "/stores/main/memory/objects"), 1);
    assert_eq!(number(&value, "/stores/main/memory/evictions"), 0);
    assert_eq!(
        value.pointer("/stores/main/memory/fed"),
        Some(&Value::Bool(true))
    );
    let lag = value
        .pointer("/stores/main/memory/feed_lag")
        .and_then(Value::as_f64);
    assert!(lag.is_some_and(|lag| lag <= 3.0), "{value:#}");
}

/// What SSI includes counts, too.
#[test]
fn subrequests_count() {
    let site = site()
        .location("redis_cache_key $uri; ssi on; ssi_types text/plain;")
        .start();
    let page = r#"<!--#include virtual="/part" --> <!--#include virtual="/part" -->"#;
    site.backend
        .set("/page", Answer::ok(page).content_type("text/plain"));
    site.backend.set("/part", Answer::ok("part"));
    for turn in 1..=3 {
        assert_eq!(site.get("/page").text(), "part part");
        wait_until(&site, "/servers/_/hit/responses", 3 * turn - 2);
    }
    let value = status(&site);
    assert_eq!(number(&value, "/servers/_/miss/responses"), 2, "{value:#}");
}
