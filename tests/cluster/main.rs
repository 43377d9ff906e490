//! A real Redis Cluster as the store: records are where their slots are, and stay within reach while slots move, masters
//! change and nodes come, hang and go. No answer is wrong, and none is an error.

mod coverage;
mod failing;
mod late;
mod moving;
mod names;
mod operating;
mod replicas;
mod seeds;
mod serving;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{Answer, Ending, RedisCluster, Request, Response, Running, Site, ms, pattern};

/// Times of a store whose nodes are about to be in trouble.
const SHORT: &str = "connect_timeout 800ms; send_timeout 800ms; read_timeout 800ms;\n";

/// Starts nginx before a cluster.
#[track_caller]
fn start(cluster: &RedisCluster, site: Site) -> Running {
    // The clients of a load stay.
    let site = site.server("keepalive_requests 1000000;\n");
    site.store(&cluster.directives()).start()
}

/// Paths whose slots node `number` has: `count` of them.
fn paths_at(cluster: &RedisCluster, number: usize, count: usize) -> Vec<String> {
    let start = |nth| format!("/{number}-{nth}-");
    (0..count)
        .map(|nth| cluster.key_at(number, &start(nth)))
        .collect()
}

/// What the backend says at `path` for the time `version`: no two are alike.
fn body(path: &str, version: usize) -> Vec<u8> {
    let seed = path
        .bytes()
        .fold(1, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte));
    let mut body = format!("{path} {version}\n").into_bytes();
    body.extend(pattern(2000, seed.wrapping_add(version as u64)));
    body
}

/// Has the backend count at each path how often it was asked.
fn publish(site: &Running, paths: &[String]) {
    for path in paths {
        let own = path.clone();
        site.backend
            .script(path, move |_, version| Answer::ok(body(&own, version)));
    }
}

/// The version of an answer, of which every byte is checked.
#[track_caller]
fn version(path: &str, response: &Response) -> usize {
    assert_eq!(response.status, 200, "{path}: {:?}", response.fields);
    assert!(response.complete, "{path}: cut");
    let text = String::from_utf8_lossy(&response.body);
    let first = text.lines().next().unwrap_or_default();
    let version = first.rsplit(' ').next().and_then(|word| word.parse().ok());
    let version = version.unwrap_or_else(|| panic!("{path}: {first:?}"));
    assert!(response.body == body(path, version), "{path}: other bytes");
    version
}

/// Asks for `path`, of which there is no record, and waits until there is one that is found.
#[track_caller]
fn fill(site: &Running, cluster: &RedisCluster, path: &str) -> Response {
    let response = site.get(path);
    assert_eq!(response.word(), "STORE", "{path}: {:?}", response.fields);
    let _ = cluster.wait_for_record(path);
    let _ = site.wait_for_hit(path);
    response
}

/// Publishes and fills all of them.
#[track_caller]
fn fill_all(site: &Running, cluster: &RedisCluster, paths: &[String]) {
    publish(site, paths);
    for path in paths {
        fill(site, cluster, path);
    }
}

/// One answer of a load.
#[derive(Debug)]
struct Seen {
    at: Instant,
    took: Duration,
    word: String,
}

/// Runs `run`, and meanwhile asks for the paths of each group, one after the other, by a client for each group. Every byte
/// is checked. With `in_order` no answer may be older than one of the same path before it.
#[track_caller]
fn while_asking<T>(
    site: &Running,
    groups: &[&[String]],
    in_order: bool,
    run: impl FnOnce() -> T,
) -> (T, Vec<Vec<Seen>>) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let (over, ending) = (&over, Ending::raises(&over));
        let clients: Vec<_> = groups
            .iter()
            .map(|paths| scope.spawn(move || asks(site, paths, in_order, over)))
            .collect();
        let result = run();
        drop(ending);
        let seen = clients.into_iter().map(|client| client.join().unwrap());
        (result, seen.collect())
    })
}

fn asks(site: &Running, paths: &[String], in_order: bool, over: &AtomicBool) -> Vec<Seen> {
    let mut client = site.client();
    let mut latest = vec![0; paths.len()];
    let mut seen = Vec::new();
    for nth in (0..paths.len()).cycle() {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let path = &paths[nth];
        let at = Instant::now();
        let response = client.ask(&Request::get(path));
        let (took, version) = (at.elapsed(), version(path, &response));
        let before = std::mem::replace(&mut latest[nth], version);
        assert!(
            !in_order || version >= before,
            "{path}: {version} after {before}"
        );
        seen.push(Seen {
            at,
            took,
            word: response.word(),
        });
        // A pace, not a wait: the others and the cluster need the machine, too.
        thread::sleep(ms(2));
    }
    seen
}

/// How often each word was seen.
fn words(seen: &[Seen]) -> BTreeMap<&str, usize> {
    let mut words = BTreeMap::new();
    for seen in seen {
        *words.entry(seen.word.as_str()).or_default() += 1;
    }
    words
}

/// No node has seen more connections at once than the workers may have, and one that hears of invalidations.
#[track_caller]
fn assert_capped(cluster: &RedisCluster, workers: usize, connections: usize) {
    for number in 0..cluster.len() {
        let most = cluster.net().most_clients_of(number);
        assert!(
            most <= workers * connections + 1,
            "node {number} has seen {most} clients at once"
        );
    }
}
