//! `make chaos`: load on a site while its store loses nodes, changes masters and moves slots.
//!
//! `chaos MODE SECONDS [SEED]`, where MODE is standalone, sentinel or cluster. Each byte of each answer is checked: an
//! answer is the page that was asked for, in a version that doesn't go backwards beyond what a failover may lose. Nothing
//! but a 200 is right, since the backend is well all the time. For each trouble it prints how long answers took before and
//! during it, by the node that has the page. With `TESTBED_MEMORY` the store has a memory tier.

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

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use testbed::{Client, PATIENCE, Redis, Request, Running, Site, eventually, ms};

use ledger::Ledger;
use owners::Owners;
use rng::Rng;
use store::Store;

const CLIENTS: u64 = 14;
const WORKERS: usize = 2;

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
    let mut site = Site::new()
        .workers(WORKERS)
        .spread()
        // A lock that is left would be noticed at the end.
        .location("redis_cache_lock_timeout 3s; redis_cache_lock_age 10m;")
        .store(&format!("{}{}", store.directives(), memory::line()))
        .start_with(Redis::stopped(&[]));
    pages::script(&site, seed);
    let ledger = Ledger::new();
    fill(&site, &ledger);
    let owners = Owners::of_stored(store);
    let address = site.address();
    thread::scope(|scope| {
        let _over = Over(&ledger);
        for number in 1..=CLIENTS {
            let (ledger, owners) = (&ledger, &owners);
            scope.spawn(move || load::client(address, ledger, owners, seed.wrapping_add(number)));
        }
        let end = Instant::now() + time;
        trouble::make(&mut site, store, (&ledger, &owners), end, Rng::new(seed));
    });
    println!("{}", ledger.summary());
    quiet(&site, store, &ledger);
    let most = store.most_connections();
    println!(
        "most connections by node: {most:?}; calls: {}",
        store.calls()
    );
    // A worker on its way out has its own; so has what watches the nodes.
    let listeners = 2 * usize::from(!memory::line().is_empty());
    let cap = 2 * WORKERS * (store::CONNECTIONS + 1) + listeners;
    for (node, most) in most.into_iter().filter(|(_, most)| *most > cap) {
        ledger.say(&format!("{node} saw {most} connections at once"));
    }
    let wrong = ledger.wrong();
    if !wrong.is_empty() {
        println!("{}", site.nginx.log().tail(60));
    }
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
fn fill(site: &Running, ledger: &Ledger) {
    let mut client = Client::connect(site.address());
    for path in pages::all() {
        let hit = eventually(PATIENCE, || {
            let answer = client.ask(&Request::get(&path));
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

/// All is as it was: each page is stored, no lock is left, no key stays for ever.
fn quiet(site: &Running, store: &Store, ledger: &Ledger) {
    let start = Instant::now();
    fill(site, ledger);
    println!(
        "all pages answered by records after {:.1?}",
        start.elapsed()
    );
    for key in store.keys_without_expiry() {
        ledger.say(&format!("{key} has no expiry"));
    }
    if eventually(ms(8000), || site.zone().is_quiet().then_some(())).is_none() {
        ledger.say(&format!(
            "locks, waiters or refills are left: {:?}",
            site.zone()
        ));
    }
}
