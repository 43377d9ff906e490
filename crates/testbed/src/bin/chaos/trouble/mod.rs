//! What goes wrong, at random: nodes, the ways to them, who has which slot, nginx's workers.

mod cluster;
mod sentinel;
mod standalone;

use std::thread;
use std::time::{Duration, Instant};

use testbed::{Running, ms, wait_for};

use crate::ledger::{Ledger, SETTLE, Times, quantiles};
use crate::owners::Owners;
use crate::rng::Rng;
use crate::store::Store;

/// No trouble counts as shorter.
const SHORTEST: Duration = Duration::from_millis(800);

/// A kind of trouble.
pub struct Trouble<S> {
    /// Its name in the table.
    name: &'static str,
    /// Whether writes that were acknowledged may be lost, or come late, so that versions go backwards.
    loses: bool,
    /// Makes it and ends it.
    make: fn(&S, &mut Scene<'_>),
}

/// What a trouble has at hand.
pub struct Scene<'a> {
    rng: &'a mut Rng,
    owners: &'a Owners,
    /// How long it goes on, where it has a length.
    time: Duration,
}

impl Scene<'_> {
    /// Lets it go on for its time.
    fn go_on(&self) {
        thread::sleep(self.time);
    }

    /// One of these.
    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.rng.below(of.len() as u64) as usize]
    }
}

/// Makes trouble until `end`.
pub fn make(
    site: &mut Running,
    store: &Store,
    (ledger, owners): (&Ledger, &Owners),
    end: Instant,
    mut rng: Rng,
) {
    let mut before = calm(ledger, &mut rng);
    while Instant::now() < end && !ledger.is_hopeless() {
        let mut scene = Scene {
            time: ms(200 + rng.below(2800)),
            rng: &mut rng,
            owners,
        };
        let start = Instant::now();
        let name = if scene.rng.percent(8) {
            worker(site, ledger, scene.rng)
        } else {
            match store {
                Store::Standalone(single) => one(&standalone::ALL, &**single, ledger, &mut scene),
                Store::Cluster(cluster) => one(&cluster::ALL, cluster, ledger, &mut scene),
                Store::Sentinel(all) => one(&sentinel::ALL, all, ledger, &mut scene),
            }
        };
        // What comes of it shows a little later.
        thread::sleep(SHORTEST.saturating_sub(start.elapsed()));
        let took = start.elapsed();
        ledger.end();
        let during = ledger.take_times();
        tell(name, took, &before, &during, ledger);
        owners.look(store);
        // Only the last requests are of interest.
        site.backend.forget();
        before = calm(ledger, &mut rng);
    }
}

fn one<S>(all: &[Trouble<S>], store: &S, ledger: &Ledger, scene: &mut Scene<'_>) -> &'static str {
    let trouble = &all[scene.rng.below(all.len() as u64) as usize];
    ledger.begin(trouble.name, trouble.loses);
    (trouble.make)(store, scene);
    trouble.name
}

/// Nothing goes wrong for a while: long enough for versions to count again. Gives the times of that.
fn calm(ledger: &Ledger, rng: &mut Rng) -> Times {
    thread::sleep(SETTLE);
    let _ = ledger.take_times();
    thread::sleep(ms(500 + rng.below(1500)));
    ledger.take_times()
}

fn tell(name: &str, took: Duration, before: &Times, during: &Times, ledger: &Ledger) {
    println!("{name}, {took:.1?}; {} answers so far", ledger.answers());
    println!(
        "  {:<10} {:>24}   {:>24}",
        "", "before: p50 p99 ms, n", "during: p50 p99 ms, n"
    );
    let mut owners: Vec<_> = before.keys().chain(during.keys()).collect();
    owners.sort();
    owners.dedup();
    for owner in owners {
        let (before, during) = (quantiles(before.get(owner)), quantiles(during.get(owner)));
        println!("  {owner:<10} {before}   {during}");
    }
}

/// A worker dies, or all are replaced.
fn worker(site: &mut Running, ledger: &Ledger, rng: &mut Rng) -> &'static str {
    if rng.percent(50) {
        ledger.begin("reload", false);
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, ms(25_000));
        return "reload";
    }
    ledger.begin("kill a worker", true);
    let workers = site.nginx.workers();
    let victim = workers[rng.below(workers.len() as u64) as usize];
    ledger.kill();
    site.nginx.kill_worker(victim);
    wait_for("another worker", ms(5000), || {
        let now = site.nginx.workers();
        now.iter().any(|worker| !workers.contains(worker))
    });
    "kill a worker"
}
