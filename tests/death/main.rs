//! Workers that die, are told to leave, or run out of connections or of room in the zone: nobody waits for the dead, and
//! nothing is left behind.

mod in_flight;
mod killed;
mod leaving;
mod limits;
mod memory;
mod shutdown_timeout;

use std::thread;
use std::time::Duration;
use testbed::{Client, PATIENCE, Running, Site, ms, wait_for};

/// Locks that outlive every test: nobody may have to wait for their age.
const LOCKS: &str = "redis_cache_lock_timeout 15s; redis_cache_lock_age 60s;";

/// What is far from those times, even on a busy machine.
const SOON: Duration = ms(10_000);

/// Clients with a connection each to the worker that fills and to the other one.
struct Sides {
    owner: i32,
    ours: Vec<Client>,
    theirs: Vec<Client>,
}

/// Connects until there are `count` clients of each of the two workers.
#[track_caller]
fn sides(site: &Running, count: usize) -> Sides {
    let mut sides = Sides {
        owner: site.nginx.workers()[0],
        ours: Vec::new(),
        theirs: Vec::new(),
    };
    wait_for("clients of both workers", PATIENCE, || {
        let mut client = site.client();
        let worker: i32 = client
            .get("/probe")
            .header("x-worker")
            .unwrap()
            .parse()
            .unwrap();
        let side = if worker == sides.owner {
            &mut sides.ours
        } else {
            &mut sides.theirs
        };
        if side.len() < count {
            side.push(client);
        }
        sides.ours.len() == count && sides.theirs.len() == count
    });
    sides
}

/// With the record gone, `path` is filled by whoever asks, at once.
#[track_caller]
fn no_lock_stays(what: &str, site: &Running, path: &str) {
    for _ in 0..4 {
        let _: i64 = site.redis.command(&["DEL", &site.key(path)]);
        let answer = site.get(path);
        assert_eq!(answer.status, 200, "{what}");
        assert!(answer.last_byte < SOON, "{what}: {:?}", answer.last_byte);
        let _ = site.redis.wait_for_record(&site.key(path));
        thread::sleep(ms(20));
    }
}

/// One worker with 64 connections, of which a test takes all but a few.
fn narrow(site: Site) -> Running {
    site.workers(1)
        .location("proxy_pass http://BACKEND;")
        .connections(64)
        .start()
}
