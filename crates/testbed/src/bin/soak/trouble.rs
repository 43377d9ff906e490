//! What goes wrong, at random: Redis, the way to it, nginx's workers.

use std::thread;
use std::time::{Duration, Instant};

use testbed::{Gate, Proxy, Rule, Running, Way, ms, wait_for};

use crate::load::Ledger;
use crate::rng::Rng;

/// Makes trouble until `end`.
pub fn make(site: &mut Running, proxy: &Proxy, ledger: &Ledger, end: Instant, mut rng: Rng) {
    let mut told = Instant::now();
    while Instant::now() < end && !ledger.hopeless() {
        one(site, proxy, ledger, &mut rng);
        thread::sleep(ms(100 + rng.below(900)));
        // Only the last requests are of interest.
        site.backend.forget();
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            println!(
                "{:?} left: {}",
                end.saturating_duration_since(told),
                ledger.summary()
            );
        }
    }
    proxy.heal();
}

fn one(site: &mut Running, proxy: &Proxy, ledger: &Ledger, rng: &mut Rng) {
    let time = ms(rng.below(1200));
    match rng.below(12) {
        0 => {
            site.redis.stop();
            thread::sleep(time);
            site.redis.run();
        }
        1 => {
            site.redis.freeze();
            thread::sleep(time);
            site.redis.thaw();
        }
        2 => {
            proxy.refuse();
            thread::sleep(time);
            proxy.heal();
        }
        3 => proxy.cut(),
        4 => proxy.set(Way::Commands, Rule::reset_once(rng.below(300_000) as usize)),
        5 => proxy.set(Way::Replies, Rule::cut_once(rng.below(300_000) as usize)),
        6 => during(
            proxy,
            time,
            Rule::trickle(1 + rng.below(3000) as usize, Duration::ZERO),
        ),
        7 => during(proxy, time, Rule::delay(ms(rng.below(250)))),
        8 => during(proxy, time, Rule::replace("*3\r\n:1\r\n")),
        9 => {
            let gate = Gate::new();
            during(proxy, time, Rule::hold(&gate));
            gate.open();
        }
        10 => {
            site.nginx.reload();
        }
        _ => kill(site, ledger, rng),
    }
}

fn during(proxy: &Proxy, time: Duration, rule: Rule) {
    proxy.set(Way::Replies, rule);
    thread::sleep(time);
    proxy.heal();
}

/// One of the two youngest workers, which aren't on their way out.
fn kill(site: &mut Running, ledger: &Ledger, rng: &mut Rng) {
    // In the order in which they were started: process ids begin again from the bottom.
    let workers = site.nginx.workers();
    let Some(victim) = workers.iter().rev().nth(rng.below(2) as usize) else {
        return;
    };
    ledger.kill();
    site.nginx.kill_worker(*victim);
    wait_for("another worker", ms(5000), || {
        let now = site.nginx.workers();
        now.iter().any(|worker| !workers.contains(worker))
    });
}
