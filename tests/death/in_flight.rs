//! Fills and stores under way when nginx is told to reload, to quit, or one worker to end.

use std::thread;
use std::time::Instant;
use testbed::{
    Answer, Client, Gate, PATIENCE, Position, Proxy, Request, Rule, Running, Site, Way, ms,
    pattern, wait_for,
};

use crate::{LOCKS, SOON, no_lock_stays, sides};

/// Answers that take from nothing to half a second, each of its own length; the last of them are refills.
const PATHS: usize = 40;
const REFILLS: usize = 10;

fn body(number: usize) -> Vec<u8> {
    pattern(1000 + number * 7919, number as u64)
}

fn path(number: usize) -> String {
    format!("/{number}")
}

/// A site whose Redis answers late, with every path asked for; gives who waits for an answer.
fn busy_site() -> (Running, Proxy, Vec<Client>) {
    let (site, proxy) = Site::new().spread().location(LOCKS).start_behind_a_proxy();
    for number in PATHS - REFILLS..PATHS {
        site.fill_and_age(&path(number));
    }
    for number in 0..PATHS {
        let delay = ms(number as u64 * 97 % 500);
        let answer = Answer::ok(body(number)).delay(delay);
        site.backend.set(&path(number), answer);
    }
    // Stores are under way for a while.
    proxy.set(Way::Replies, Rule::delay(ms(60)));
    let mut clients = Vec::new();
    for number in 0..PATHS {
        let mut client = site.client();
        client.send(&Request::get(&path(number))).unwrap();
        clients.push(client);
    }
    for (number, client) in clients.drain(PATHS - REFILLS..).enumerate() {
        let answer = { client }.receive().unwrap();
        assert_eq!(answer.word(), "STALE", "refill {number}");
    }
    for number in 0..PATHS {
        let refill = usize::from(number >= PATHS - REFILLS);
        site.backend.wait_for_hits(&path(number), 1 + refill);
    }
    (site, proxy, clients)
}

/// Everybody has a whole answer, and what was said to be stored is in Redis. Gives when the last store was there.
#[track_caller]
fn all_ends_well(what: &str, site: &Running, clients: Vec<Client>) -> Instant {
    for (number, mut client) in clients.into_iter().enumerate() {
        let answer = client.receive().unwrap();
        assert!(
            answer.complete && answer.body == body(number),
            "{what} {number}"
        );
        assert_eq!(answer.word(), "STORE", "{what} {number}");
    }
    for number in 0..PATHS {
        wait_for(&format!("{what}: record {number}"), PATIENCE, || {
            site.redis
                .get(&path(number))
                .is_some_and(|record| record.body == body(number))
        });
    }
    Instant::now()
}

/// Nothing worse than a notice, and a word in the log for each fill.
#[track_caller]
fn the_log_is_calm(what: &str, site: &Running) {
    let log = site.nginx.log();
    let serious = log.serious(Position::default());
    assert!(serious.is_empty(), "{what}: {serious:?}");
    let stored = log.matching(Position::default(), ": stored");
    assert_eq!(stored.len(), PATHS + REFILLS, "{what}");
}

#[test]
fn a_reload_with_fills_and_stores_in_flight_loses_none() {
    let (mut site, _proxy, clients) = busy_site();
    let old = site.nginx.reload();
    let last = all_ends_well("reload", &site, clients);
    site.nginx.wait_for_exit(&old, SOON);
    println!("exit {:?} after the last store", last.elapsed());
    the_log_is_calm("reload", &site);
    for number in 0..PATHS {
        assert_eq!(site.get(&path(number)).word(), "HIT", "{number}");
    }
    site.wait_for_quiet_zone();
    site.nginx.finish();
}

#[test]
fn a_quit_with_fills_and_stores_in_flight_loses_none() {
    let (mut site, _proxy, clients) = busy_site();
    site.nginx.quit();
    let last = all_ends_well("quit", &site, clients);
    let status = site.nginx.wait(SOON).expect("the end of nginx");
    println!("exit {:?} after the last store", last.elapsed());
    assert!(status.success(), "{status}");
    the_log_is_calm("quit", &site);
}

#[test]
fn waiters_take_over_from_a_worker_that_is_told_to_end() {
    for (form, site) in Site::forms() {
        let mut site = site.spread().location(LOCKS).start();
        let gate = Gate::new();
        let never = Answer::ok("never").gate(&gate);
        site.backend.set_each("/x", vec![never, Answer::ok("x")]);
        let mut sides = sides(&site, 6);
        let mut filler = sides.ours.pop().unwrap();
        filler.send(&Request::get("/x")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        for client in &mut sides.theirs {
            client.send(&Request::get("/x")).unwrap();
        }
        site.wait_for_waiters(6);
        let start = Instant::now();
        site.nginx.terminate_worker(sides.owner);
        let answers = thread::scope(|scope| {
            let each = sides
                .theirs
                .iter_mut()
                .map(|client| scope.spawn(move || client.receive().unwrap()));
            let each: Vec<_> = each.collect();
            each.into_iter()
                .map(|one| one.join().unwrap())
                .collect::<Vec<_>>()
        });
        let took = start.elapsed();
        println!("{form}: taken over after {took:?}");
        // Their own patience is 15 s, the lock's age a minute.
        assert!(took < SOON, "{form}: {took:?}");
        assert!(answers.iter().all(|answer| answer.text() == "x"), "{form}");
        assert_eq!(site.backend.hits("/x"), 2, "{form}");
        site.wait_for_quiet_zone();
        wait_for("another worker", PATIENCE, || {
            site.nginx.workers().len() == 2
        });
        site.backend.set("/x", Answer::ok("x"));
        no_lock_stays(form, &site, "/x");
        gate.open();
    }
}
