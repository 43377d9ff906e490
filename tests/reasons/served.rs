//! Reasons of responses that come from a record, from another request's fill, or are stored.

use std::thread;

use cache_core::outcome::Reason;
use testbed::{Answer, Gate, Rule, Way, pattern};

use crate::stage::{LARGE, Stage, get, site};
use crate::told::Told;

/// A record that is validated once it is stale.
pub const MUST_REVALIDATE: &str = "max-age=60, must-revalidate";

pub fn fresh() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    stage.fill();
    let answer = stage.site.ask(&get("me"));
    stage.told(&answer, Told::hit(Reason::Fresh, "hit; ttl=N"))
}

pub fn stale() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    stage.fill_and_age();
    let answer = stage.site.ask(&get("me"));
    let told = Told::stale("STALE", Reason::Stale).filling("refill", Reason::Stored);
    stage.told(&answer, told)
}

pub fn updating() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    stage.fill_and_age();
    let gate = Gate::new();
    stage.site.backend.set("/x", Answer::ok("new").gate(&gate));
    let first = stage.site.ask(&get("first"));
    stage.site.backend.wait_for_hits("/x", 2);
    let second = stage.site.ask(&get("second"));
    gate.open();
    stage.all_told(
        &[("first", &first), ("second", &second)],
        vec![
            Told::stale("STALE", Reason::Stale).filling("refill", Reason::Stored),
            Told::stale("UPDATING", Reason::Updating),
        ],
    )
}

pub fn subscribed() -> Vec<Told> {
    let stage = Stage::start(&site());
    let gate = Gate::new();
    let body = pattern(LARGE, 1);
    let answer = Answer::ok(body).gate_at(100_000, &gate);
    stage.site.backend.set("/x", answer);
    let first = stage.read_header(&get("first"));
    let second = stage.read_header(&get("second"));
    gate.open();
    let (first, second) = thread::scope(|threads| {
        let second = threads.spawn(|| second.finish());
        stage.wait_for_fill();
        (first.finish(), second.join().expect("the second client"))
    });
    let joined = "fwd=uri-miss; fwd-status=200; ttl=N; collapsed";
    stage.all_told(
        &[("first", &first), ("second", &second)],
        vec![
            Told::stored(Reason::Stored),
            Told::hit(Reason::Subscribed, joined),
        ],
    )
}

/// The client has its response before Redis has the record.
pub fn storing() -> Vec<Told> {
    let (site, proxy) = site().start_behind_a_proxy();
    let stage = Stage::from(site);
    let (backend, redis) = (Gate::new(), Gate::new());
    stage.site.backend.set("/x", Answer::ok("x").gate(&backend));
    let mut client = stage.send(&get("me"));
    stage.site.backend.wait_for_hits("/x", 1);
    proxy.set(Way::Commands, Rule::hold(&redis));
    backend.open();
    let answer = client.receive().expect("a response");
    let _ = stage.line_of("me");
    redis.open();
    let told = Told::stored(Reason::Stored).then(Reason::Storing);
    stage.told(&answer, told)
}

/// Redis has the record before the client has its response.
pub fn stored() -> Vec<Told> {
    let stage = Stage::start(&site());
    stage.site.backend.set("/x", Answer::ok(pattern(LARGE, 1)));
    let reader = stage.read_header(&get("me"));
    stage.wait_for_fill();
    stage.told(&reader.finish(), Told::stored(Reason::Stored))
}

/// A response that a 304 confirms.
pub fn confirmable(body: Vec<u8>) -> Answer {
    let answer = Answer::ok(body).header("Cache-Control", MUST_REVALIDATE);
    answer.header("ETag", "\"1\"")
}

/// The 304 to it.
pub fn confirmation() -> Answer {
    Answer::of(304, "").header("ETag", "\"1\"")
}

pub fn revalidated() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let answers = vec![confirmable(b"x".to_vec()), confirmation()];
    stage.site.backend.set_each("/x", answers);
    stage.fill_and_age();
    let answer = stage.site.ask(&get("me"));
    stage.told(&answer, Told::confirmed())
}
