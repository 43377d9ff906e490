//! `make chaos`: load on a site while its store loses nodes, changes masters and moves slots.
//!
//! `chaos MODE SECONDS [SEED]`, where MODE is standalone, sentinel or cluster. Each byte of each answer is checked: an
//! answer is the page that was asked for, in a version that doesn't go backwards, nor behind a purge, beyond what a
//! failover may lose. Nothing but a 200 is right, since the backend is well all the time. For each trouble it prints how
//! long answers took before and during it, by the node that has the page. Two machines share the store and their locks.
//! With `TESTBED_MEMORY` the store has a memory tier; with `TESTBED_LOCK_SCOPE=zone` each machine has locks of its own.

mod ledger;
mod load;
#[path = "../soak/memory.rs"]
mod memory;
mod owners;
mod pages;
#[path = "../soak/rng.rs"]
mod rng;
mod store;
mod trouble;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use testbed::{Client, Nginx, PATIENCE, Port, Redis, Request, Site, Zone, eventually, ms};

use ledger::Ledger;
use owners::Owners;
use rng::Rng;
use store::Store;

const CLIENTS: u64 = 14;
const WORKERS: usize = 2;
const MACHINES: usize = 2;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mode = words.first().map_or("", String::as_str);
    let seconds = words.get(1).and_then(|word| word.parse().ok());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let by_chance = || u64::from(now.unwrap_or_default().subsec_nanos());
    let seed = words
        .get(2)
        .map_or_else(|| Some(by_chance()), |word| word.parse().ok());
    let (Some(seconds), Some(seed)) = (seconds, seed) else {
        eprintln!("usage: chaos standalone|sentinel|cluster SECONDS [SEED]");
        return ExitCode::from(2);
    };
    let Some(store) = Store::start(mode) else {
        eprintln!("\"{mode}\" is none of standalone, sentinel, cluster");
        return ExitCode::from(2);
    };
    println!("chaos in mode {mode}, {seconds} s, seed {seed}");
    // A node that doesn't come back, or nginx' own faults at its end, are panics.
    let run = AssertUnwindSafe(|| chaos(&store, Duration::from_secs(seconds), seed));
    let wrong = catch_unwind(run).unwrap_or_else(|_| vec!["a panic, see above".to_owned()]);
    for line in &wrong {
        println!("WRONG: {line}");
    }
    if wrong.is_empty() {
        println!("all is well, mode {mode}, seed {seed}");
        ExitCode::SUCCESS
    } else {
        println!("{} faults, mode {mode}, seed {seed}", wrong.len());
        ExitCode::FAILURE
    }
}

/// The whole run; gives what is wrong.
fn chaos(store: &Store, time: Duration, seed: u64) -> Vec<String> {
    let scope = std::env::var("TESTBED_LOCK_SCOPE").unwrap_or_else(|_| "store".to_owned());
    let site = Site::new()
        .workers(WORKERS)
        .spread()
        .server("redis_cache_purge_allow 127.0.0.1;")
        .locations("location = /cache/status { redis_cache_admin; allow 127.0.0.1; deny all; }")
        // A lock that is left would be noticed at the end.
        .location(&format!(
            "redis_cache_key $scheme://$host$request_uri; redis_cache_purge_style varnish; \
             redis_cache_lock_timeout 3s; redis_cache_lock_age 10m; redis_cache_lock_scope {scope}; \
             add_header X-Source $redis_cache_source;"
        ))
        .store(&format!("{}{}", store.directives(), memory::line()));
    let mut others = Vec::new();
    let mut first = site.start_with(Redis::stopped(&[]));
    for _ in 1..MACHINES {
        let port = Port::take();
        let conf = site.conf(port.address(), &first.redis, &first.backend);
        others.push((Nginx::start(&conf, port.address()), port));
    }
    let site = &mut first;
    let sent = pages::script(site, seed);
    let ledger = Ledger::new();
    fill(site.address(), &ledger);
    let owners = Owners::of_stored(store);
    let machines = [site.address()].into_iter();
    let machines: Vec<_> = machines
        .chain(others.iter().map(|(nginx, _)| nginx.address()))
        .collect();
    thread::scope(|scope| {
        let _over = Over(&ledger);
        let (ledger, owners, machines) = (&ledger, &owners, &machines);
        for (number, machine) in (1..=CLIENTS).zip((0..MACHINES).cycle()) {
            let (machine, seed) = ((machine, machines[machine]), seed.wrapping_add(number));
            scope.spawn(move || load::client(machine, ledger, owners, seed));
        }
        scope.spawn(|| load::purger(machines, ledger, &sent, seed));
        let end = Instant::now() + time;
        trouble::make(site, store, (ledger, owners), end, Rng::new(seed));
    });
    println!("{}", ledger.summary());
    counted(&machines, &ledger);
    let all = [&site.nginx].into_iter();
    let all: Vec<_> = all.chain(others.iter().map(|(nginx, _)| nginx)).collect();
    quiet(&all, store, &ledger);
    let most = store.most_connections();
    println!(
        "most connections by node: {most:?}; calls: {}",
        store.calls()
    );
    // A worker on its way out has its own; so have what watches the nodes, and what listens to purges and outcomes.
    let listeners = 2 * WORKERS + 2 * usize::from(!memory::line().is_empty());
    let cap = 2 * MACHINES * (WORKERS * (store::CONNECTIONS + 1) + listeners);
    for (node, most) in most.into_iter().filter(|(_, most)| *most > cap) {
        ledger.say(&format!("{node} saw {most} connections at once"));
    }
    let wrong = ledger.wrong();
    if !wrong.is_empty() {
        for nginx in all {
            println!("{}", nginx.log().tail(200));
        }
    }
    others.into_iter().for_each(|(nginx, _)| nginx.finish());
    wrong
}

/// Ends the load, by a panic too.
struct Over<'a>(&'a Ledger);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Asks for each page until a record answers.
fn fill(machine: SocketAddr, ledger: &Ledger) {
    let mut client = Client::connect(machine);
    for path in pages::all() {
        let hit = eventually(PATIENCE, || {
            let answer = client.ask(&Request::get(&path).header("Host", pages::HOST));
            if let Err(wrong) = pages::version(&path, &answer.body) {
                ledger.say(&format!("{path}: {wrong}"));
            }
            ["HIT", "STALE"]
                .contains(&answer.word().as_str())
                .then_some(())
        });
        if hit.is_none() {
            ledger.say(&format!("{path}: no record answers when all is quiet"));
            return;
        }
    }
}

/// The counters of all machines have each answer that clients have counted, whatever has become of workers.
fn counted(machines: &[SocketAddr], ledger: &Ledger) {
    let responses = |machine: &SocketAddr| {
        let answer = Client::connect(*machine).get("/cache/status");
        let status: Value = serde_json::from_slice(&answer.body).ok()?;
        let zone = status.pointer("/caches/locks")?.as_object()?.values();
        Some(
            zone.filter_map(|of| of.get("responses")?.as_u64())
                .sum::<u64>(),
        )
    };
    let seen = ledger.answers() as u64;
    let mut counted = 0;
    // An answer is counted behind it.
    let all = eventually(PATIENCE, || {
        counted = machines.iter().filter_map(responses).sum();
        (counted >= seen).then_some(())
    });
    println!("{counted} responses counted by nginx");
    if all.is_none() {
        ledger.say(&format!(
            "nginx has counted {counted} responses, clients {seen}"
        ));
    }
}

/// All is as it was: each page is stored, no lock is left, no key stays for ever.
fn quiet(machines: &[&Nginx], store: &Store, ledger: &Ledger) {
    let start = Instant::now();
    for machine in machines {
        fill(machine.address(), ledger);
    }
    println!(
        "all pages answered by records after {:.1?}",
        start.elapsed()
    );
    for key in store.keys_without_expiry() {
        ledger.say(&format!("{key} has no expiry"));
    }
    for machine in machines {
        let mut zone = None;
        let quiet = eventually(ms(8000), || {
            zone = machine.workers().into_iter().find_map(Zone::of);
            zone.as_ref()?.is_quiet().then_some(())
        });
        if quiet.is_none() {
            ledger.say(&format!("locks, waiters or refills are left: {zone:?}"));
        }
    }
}
