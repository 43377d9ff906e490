//! `make soak`: random load with random trouble, for as long as one likes.
//!
//! `soak SECONDS [SEED]`. Every body carries its own checksum, which the clients verify. Nobody but the backend's own
//! script may cut an answer or fail; and when it is quiet again no lock is left, and neither memory nor descriptors have
//! grown. With `TESTBED_MEMORY` the store has a memory tier.

mod load;
mod memory;
mod pages;
mod rng;
mod trouble;

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use testbed::{Proxy, Redis, Running, Site, Vitals, eventually, ms, wait_for};

use load::Ledger;
use rng::Rng;

const CLIENTS: u64 = 12;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (Some(Ok(seconds)), seed) = (words.next(), words.next()) else {
        eprintln!("usage: soak SECONDS [SEED]");
        return ExitCode::from(2);
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = match seed {
        Some(Ok(seed)) => seed,
        _ => u64::from(now.unwrap_or_default().subsec_nanos()),
    };
    println!("soak of {seconds} s, seed {seed}");
    let wrong = soak(Duration::from_secs(seconds), seed);
    for line in &wrong {
        println!("WRONG: {line}");
    }
    if wrong.is_empty() {
        println!("all is well, seed {seed}");
        ExitCode::SUCCESS
    } else {
        println!("{} faults, seed {seed}", wrong.len());
        ExitCode::FAILURE
    }
}

/// The whole soak; gives what is wrong.
fn soak(time: Duration, seed: u64) -> Vec<String> {
    let redis = Redis::start();
    let proxy = Proxy::start(&redis.address());
    let form = Site::forms()[(seed % 2) as usize].clone();
    let scope = ["zone", "store"][(seed / 2 % 2) as usize];
    println!("form: {}, locks of the {scope}", form.0);
    let mut site = form
        .1
        .spread()
        .server("redis_cache_purge_allow 127.0.0.1; redis_cache_purge_style varnish;")
        .locations("location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; }")
        // A lock that is left would be noticed at the end.
        .location(&format!(
            "redis_cache_lock_timeout 3s; redis_cache_lock_age 10m; redis_cache_lock_scope {scope}; \
             redis_cache_debug_header X-Debug 127.0.0.1;"
        ))
        .store(&format!(
            "server {}; connect_timeout 200ms; send_timeout 200ms; read_timeout 200ms; {}",
            proxy.address(),
            memory::line()
        ))
        .start_with(redis);
    pages::script(&site, Some(seed));
    let ledger = Arc::new(Ledger::default());
    let master = master_of(&site);
    let before = Vitals::of(master).unwrap_or_default();

    let clients = start(&site, &ledger, seed);
    let mut rng = Rng::new(seed);
    trouble::make(
        &mut site,
        &proxy,
        &ledger,
        Instant::now() + time,
        Rng::new(rng.next()),
    );
    stop(clients, &ledger);
    println!("{}", ledger.summary());
    quiet(&mut site, &ledger);
    steady(&mut site, &ledger, seed);
    let after = Vitals::of(master).unwrap_or_default();
    println!("master: {before:?}, {after:?}");
    if after.descriptors > before.descriptors + 8 || after.rss > before.rss + 8 * 1024 {
        ledger.say(format!("the master grew: {before:?}, {after:?}"));
    }
    let wrong = ledger.wrong();
    if !wrong.is_empty() {
        println!("{}", site.nginx.log().tail(60));
    }
    wrong
}

fn start(site: &Running, ledger: &Arc<Ledger>, seed: u64) -> Vec<JoinHandle<()>> {
    let address = site.address();
    let client = |number| {
        let ledger = Arc::clone(ledger);
        thread::spawn(move || load::client(address, &ledger, seed.wrapping_add(number)))
    };
    (1..=CLIENTS).map(client).collect()
}

fn stop(clients: Vec<JoinHandle<()>>, ledger: &Ledger) {
    ledger.stop();
    for client in clients {
        if client.join().is_err() {
            ledger.say("a client panicked".to_owned());
        }
    }
}

/// Nothing is left: no lock, no key without expiry, no old worker.
fn quiet(site: &mut Running, ledger: &Ledger) {
    pages::script(site, None);
    if eventually(ms(15_000), || {
        (site.nginx.workers().len() == 2).then_some(())
    })
    .is_none()
    {
        ledger.say(format!(
            "workers that don't leave: {:?}",
            site.nginx.workers()
        ));
    }
    for key in site.redis.keys_without_expiry() {
        ledger.say(format!("{key} has no expiry"));
    }
    // Fills of the load, and their stores, come to their end.
    thread::sleep(ms(1500));
    let _: String = site.redis.command(&["FLUSHALL"]);
    let mut slowest = Duration::ZERO;
    for path in pages::all() {
        for _ in 0..2 {
            let kind = pages::KINDS.iter().find(|kind| path.contains(kind.name));
            let request = pages::request(kind.expect("a kind"), &path);
            let answer = site.ask(&request);
            // How long the rest takes is a matter of this program's own speed. A lock that is left costs the lock timeout.
            slowest = slowest.max(answer.first_byte);
            if answer.first_byte > ms(2500) {
                ledger.say(format!(
                    "{path}: {:?} when all is quiet: a lock is left",
                    answer.first_byte
                ));
            }
            if answer.status != 200 || !pages::is_whole(&path, &answer.body) {
                ledger.say(format!("{path}: {} when all is quiet", answer.status));
            }
        }
    }
    println!("all keys filled, the slowest after {slowest:?}");
    let empty = eventually(ms(5000), || site.zone().is_quiet().then_some(()));
    let zone = site.zone();
    println!("{zone:?}");
    if empty.is_none() {
        ledger.say(format!("locks, waiters or refills are left: {zone:?}"));
    }
}

/// Workers that only have load, and no trouble, don't grow.
fn steady(site: &mut Running, ledger: &Arc<Ledger>, seed: u64) {
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, ms(25_000));
    pages::script(site, Some(seed));
    let mut samples = Vec::new();
    for round in 0..3 {
        let own = Arc::new(Ledger::default());
        let clients = start(site, &own, seed.wrapping_add(1000 * (round + 1)));
        thread::sleep(ms(4000));
        stop(clients, &own);
        own.wrong().into_iter().for_each(|line| ledger.say(line));
        wait_for("idle workers", ms(5000), || sample(site).descriptors < 60);
        samples.push(sample(site));
        site.backend.forget();
    }
    println!("workers under steady load: {samples:?}");
    let (first, last) = (samples[1], samples[2]);
    if last.rss > first.rss + 8 * 1024 || last.descriptors > first.descriptors + 10 {
        ledger.say(format!("workers grow: {samples:?}"));
    }
}

/// Both workers together.
fn sample(site: &Running) -> Vitals {
    let workers = site.nginx.workers();
    let vitals = workers.iter().filter_map(|pid| Vitals::of(*pid));
    vitals.fold(Vitals::default(), |sum, one| Vitals {
        rss: sum.rss + one.rss,
        own: sum.own + one.own,
        peak: sum.peak + one.peak,
        mapped: sum.mapped + one.mapped,
        read: sum.read + one.read,
        descriptors: sum.descriptors + one.descriptors,
    })
}

fn master_of(site: &Running) -> i32 {
    let worker = site.nginx.workers().first().copied().unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{worker}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent
        .and_then(|pid| pid.trim().parse().ok())
        .unwrap_or_default()
}
