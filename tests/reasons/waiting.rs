//! Reasons that lie with other requests, and with the room that there is.

use cache_core::outcome::Reason;
use testbed::{Answer, Client, Gate, PATIENCE, Request, pattern, wait_for};

use crate::stage::{LARGE, Stage, get, site};
use crate::told::Told;

/// A backend that holds back its first response, and no other. Gives the gate that it waits for, and the client that it is for.
#[track_caller]
fn beside_a_fill(settings: &str, first: Answer) -> (Stage, Gate, Client) {
    let stage = Stage::start(&site().location(settings));
    let gate = Gate::new();
    let answers = vec![first.gate(&gate), Answer::ok("x")];
    stage.site.backend.set_each("/x", answers);
    let client = stage.send(&get("first"));
    stage.site.backend.wait_for_hits("/x", 1);
    (stage, gate, client)
}

fn waited(reason: Reason) -> Told {
    let parameters = "fwd=uri-miss; fwd-status=200; collapsed=?0";
    Told::skip("MISS", reason, parameters)
}

pub fn lock_timeout() -> Vec<Told> {
    let large = Answer::ok(pattern(LARGE, 1));
    let (stage, gate, mut client) = beside_a_fill("redis_cache_lock_timeout 200ms;", large);
    let second = stage.site.ask(&get("second"));
    gate.open();
    stage.wait_for_fill();
    let first = client.receive().expect("a response");
    stage.all_told(
        &[("first", &first), ("second", &second)],
        vec![Told::stored(Reason::Stored), waited(Reason::LockTimeout)],
    )
}

pub fn waiters_released() -> Vec<Told> {
    let private = Answer::ok("x").header("Cache-Control", "private");
    let (stage, gate, mut client) = beside_a_fill("", private);
    let mut waiting = stage.send(&get("second"));
    stage.site.wait_for_waiters(1);
    gate.open();
    let first = client.receive().expect("a response");
    let second = waiting.receive().expect("a response");
    stage.all_told(
        &[("first", &first), ("second", &second)],
        vec![
            Told::not_stored(Reason::Private, 200),
            waited(Reason::WaitersReleased),
        ],
    )
}

pub fn too_many_waiters() -> Vec<Told> {
    let large = Answer::ok(pattern(LARGE, 1));
    let (stage, gate, mut client) = beside_a_fill("redis_cache_lock_queue 1;", large);
    let mut waiting = stage.send(&get("second"));
    stage.site.wait_for_waiters(1);
    let third = stage.site.ask(&get("third"));
    gate.open();
    stage.wait_for_fill();
    let first = client.receive().expect("a response");
    let second = waiting.receive().expect("a response");
    let joined = "fwd=uri-miss; fwd-status=200; ttl=N; collapsed";
    stage.all_told(
        &[("first", &first), ("second", &second), ("third", &third)],
        vec![
            Told::stored(Reason::Stored),
            Told::hit(Reason::Subscribed, joined),
            Told::passed(Reason::TooManyWaiters),
        ],
    )
}

/// The key is known not to be storable.
pub fn part() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let private = Answer::ok("0123456789").header("Cache-Control", "private");
    stage.site.backend.set("/x", private);
    assert_eq!(stage.site.get("/x").word(), "SKIP");
    stage.site.wait_for_fill("/x");
    stage.site.wait_for_quiet_zone();
    stage.begin();
    let answer = stage.site.ask(&get("me").header("Range", "bytes=2-4"));
    stage.told(&answer, Told::passed(Reason::Part))
}

/// Each of the zone's places is a key that is being filled.
pub fn zone_full() -> Vec<Told> {
    let smallest = site()
        .connections(8192)
        .http("redis_cache_zone locks 64k;")
        .location("proxy_pass http://BACKEND;");
    let stage = Stage::start(&smallest);
    let gate = Gate::new();
    stage.site.backend.set("/x", Answer::ok("x"));
    stage
        .site
        .backend
        .set_otherwise(Answer::ok("x").gate(&gate));
    let room = stage.site.zone().room;
    let mut clients = Vec::new();
    for number in 0..room * 2 {
        clients.push(stage.send(&Request::get(&format!("/{number}"))));
        if number >= room && stage.site.zone().locks == room {
            break;
        }
    }
    wait_for("all requests at the backend", PATIENCE, || {
        stage.site.backend.all_hits() == clients.len()
    });
    let answer = stage.site.ask(&get("me"));
    let told = stage.told(&answer, Told::passed(Reason::ZoneFull));
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive().expect("a response").status, 200);
    }
    told
}

/// One connection is free beside the client's, which the request needs to go to the backend itself.
pub fn no_connections() -> Vec<Told> {
    let few = site()
        .connections(64)
        .location("proxy_pass http://BACKEND;");
    let mut stage = Stage::start(&few);
    stage.site.nginx.allow("worker_connections are not enough");
    // The connections to the store are there from now on.
    stage.site.fill("/other");
    stage.site.wait_for_quiet_zone();
    stage.begin();
    let mut taken = stage.site.take_all_connections();
    taken.truncate(taken.len() - 2);
    stage.site.wait_until_noticed();
    let answer = stage.site.ask(&get("me"));
    drop(taken);
    stage.told(&answer, Told::passed(Reason::NoConnections))
}

/// The worker can't have more memory than it has, and uses that up for fills.
pub fn no_memory() -> Vec<Told> {
    let many = site()
        .connections(8192)
        .location("proxy_pass http://BACKEND;");
    let mut stage = Stage::start(&many);
    let gate = Gate::new();
    stage.site.backend.set("/x", Answer::ok("x"));
    stage
        .site
        .backend
        .set_otherwise(Answer::ok("x").gate(&gate));
    stage.site.fill("/x");
    let worker = stage.site.nginx.workers()[0];
    stage.site.nginx.starve(worker, Some(0));
    let mut clients = Vec::new();
    let no_memory = Some(Reason::NoMemory.as_str().to_owned());
    wait_for("a worker without memory", PATIENCE, || {
        for _ in 0..10 {
            let number = clients.len();
            clients.push(stage.send(&Request::get(&format!("/{number}"))));
        }
        let answer = stage.site.client().exchange(&get("other"));
        answer.is_ok_and(|answer| answer.header("x-reason") == no_memory)
    });
    stage.begin();
    let answer = stage.site.ask(&get("me"));
    let parameters = "fwd=miss; fwd-status=200";
    let told = Told::skip("MISS", Reason::NoMemory, parameters);
    let told = stage.told(&answer, told);
    stage.site.nginx.starve(worker, None);
    gate.open();
    told
}

/// A body larger than the memory for captures.
pub fn capture_memory() -> Vec<Told> {
    let stage = Stage::start(&site().location("redis_cache_capture_memory 10k;"));
    let (gate, body) = (Gate::new(), pattern(LARGE, 1));
    let answer = Answer::ok(body).chunked().gate_at(1000, &gate);
    stage.site.backend.set("/x", answer);
    let reader = stage.read_header(&get("me"));
    gate.open();
    stage.wait_for_fill();
    stage.told(&reader.finish(), Told::stored(Reason::CaptureMemory))
}
