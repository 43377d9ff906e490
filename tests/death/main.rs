//! Workers that die, are told to leave, or run out of connections or of room in the zone: nobody waits for the dead, and
//! nothing is left behind.

mod in_flight;
mod killed;
mod leaving;
mod limits;
mod memory;
mod shutdown_timeout;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;
use testbed::{Client, PATIENCE, Running, Site, eventually, ms, wait_for};

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

/// Takes connections of nginx, by requests that are never finished, until none is left; gives them.
fn take_all(site: &Running) -> Vec<TcpStream> {
    let connect = || {
        let mut stream = TcpStream::connect(site.address()).unwrap();
        stream.write_all(b"GET / HT").unwrap();
        stream
    };
    // More than there are. nginx then ends those that come, and such as it hasn't read from yet.
    let mut taken: Vec<_> = (0..80).map(|_| connect()).collect();
    let refused = eventually(PATIENCE, || {
        taken.push(connect());
        let last = taken.last()?;
        eventually(ms(1000), || (!is_open(last)).then_some(()))
    });
    // Who was let in before the last one has been read from by now: that stays.
    taken.retain(is_open);
    assert!(
        refused.is_some() && (31..=64).contains(&taken.len()),
        "{} taken",
        taken.len()
    );
    taken
}

/// Waits until nginx has closed each connection whose client has: its place is free.
#[track_caller]
fn wait_until_noticed(site: &Running) {
    let local = format!(":{:04X}", site.address().port());
    let is_left = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let is_here = words.next().is_some_and(|word| word.ends_with(&local));
        // CLOSE_WAIT.
        is_here && words.nth(1) == Some("08")
    };
    wait_for("nginx to notice who has left", PATIENCE, || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        !table.lines().any(is_left)
    });
}

/// Whether nginx hasn't ended a connection on which it has nothing to say.
fn is_open(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
