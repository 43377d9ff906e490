//! What happens meanwhile: feeds are cut, and Redis and workers are stopped and killed.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use testbed::{Redis, Running, ms};

use crate::rng::Rng;

/// Makes trouble until `end`; gives how often.
pub fn make(redis: &Mutex<Redis>, sites: &[Mutex<Running>], end: Instant, rng: &mut Rng) -> usize {
    let mut count = 0;
    while Instant::now() + Duration::from_secs(6) < end {
        thread::sleep(ms(500 + rng.below(1500)));
        let site = &sites[usize::try_from(rng.below(sites.len() as u64)).unwrap()];
        match rng.below(5) {
            0 => {
                // Feeds are subscribed.
                let redis = redis.lock().unwrap();
                let _: i64 = redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            }
            1 => {
                let redis = redis.lock().unwrap();
                let _: i64 = redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
            }
            2 => {
                let time = ms(200 + rng.below(4000));
                redis.lock().unwrap().freeze();
                thread::sleep(time);
                redis.lock().unwrap().thaw();
            }
            3 => {
                let site = site.lock().unwrap();
                let worker = worker_of(&site, rng);
                let frozen = site.nginx.freeze_worker(worker);
                thread::sleep(ms(200 + rng.below(4500)));
                drop(frozen);
            }
            _ => {
                let mut site = site.lock().unwrap();
                let worker = worker_of(&site, rng);
                site.nginx.kill_worker(worker);
            }
        }
        count += 1;
    }
    count
}

fn worker_of(site: &Running, rng: &mut Rng) -> i32 {
    let workers = site.nginx.workers();
    workers[usize::try_from(rng.below(workers.len() as u64)).unwrap()]
}
