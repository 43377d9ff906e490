//! Reasons that lie with the store, or with what others do in it.

use cache_core::outcome::Reason;
use testbed::{Answer, Gate, Running, pattern};

use crate::served::{confirmable, confirmation};
use crate::stage::{LARGE, Stage, asking, get, site};
use crate::told::Told;

/// A miss whose response the store can't take, as is known before.
fn unusable(reason: Reason) -> Told {
    Told::not_stored(reason, 200).with(&format!("fwd=miss; fwd-status=200; detail=\"{reason}\""))
}

pub fn store_unavailable() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    stage.site.redis.stop();
    let answer = stage.site.ask(&get("me"));
    stage.told(&answer, unusable(Reason::StoreUnavailable))
}

pub fn store_required() -> Vec<Told> {
    let mut stage = Stage::start(&site().location("redis_cache_on_error fail;"));
    stage.site.redis.stop();
    let answer = stage.site.ask(&get("me"));
    assert_eq!(answer.status, 503);
    stage.told(&answer, Told::skip("MISS", Reason::StoreRequired, ""))
}

pub fn wrong_type() -> Vec<Told> {
    let stage = Stage::start(&site());
    let _: () = stage.site.redis.command(&["SET", "/x", "text"]);
    let answer = stage.site.ask(&get("me"));
    stage.told(&answer, unusable(Reason::WrongType))
}

/// Something happens while the backend is asked, and the store takes nothing for it.
#[track_caller]
fn not_taken(stage: &mut Stage, what: impl FnOnce(&mut Running), told: Told) -> Vec<Told> {
    let (gate, body) = (Gate::new(), pattern(LARGE, 1));
    stage
        .site
        .backend
        .set("/x", Answer::ok(body).gate_at(LARGE - 1, &gate));
    let reader = stage.read_header(&get("me"));
    what(&mut stage.site);
    gate.open();
    stage.wait_for_fill();
    stage.told(&reader.finish(), told)
}

pub fn store_failed() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let told = Told::stored(Reason::StoreFailed);
    not_taken(&mut stage, |site| site.redis.stop(), told)
}

/// The claim is another machine's now.
pub fn claim_lost() -> Vec<Told> {
    let mut stage = Stage::start(&site().location("redis_cache_lock_scope store;"));
    let claim = |site: &mut Running| {
        let lease = ["HSET", "{/x}:l", "token", "0123456789abcdef"];
        let _: () = site.redis.command(&lease);
    };
    not_taken(&mut stage, claim, Told::stored(Reason::ClaimLost))
}

/// Somebody changes what the response tells of.
pub fn invalidated() -> Vec<Told> {
    let stage = Stage::start(&site());
    let gate = Gate::new();
    stage.site.backend.script("/x", {
        let gate = gate.clone();
        move |request, _| match request.method.as_str() {
            "DELETE" => Answer::ok("deleted"),
            _ => Answer::ok(pattern(LARGE, 1)).gate_at(LARGE - 1, &gate),
        }
    });
    let reader = stage.read_header(&get("me"));
    let deleted = stage.site.ask(&asking("DELETE", "other"));
    gate.open();
    stage.wait_for_fill();
    let method = Told::bypass(Reason::MethodNotListed).with("fwd=method; fwd-status=200");
    stage.all_told(
        &[("me", &reader.finish()), ("other", &deleted)],
        vec![Told::stored(Reason::Invalidated), method],
    )
}

/// The record that the backend is asked about has gone when it confirms it.
pub fn record_changed() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let gate = Gate::new();
    let answers = vec![confirmable(pattern(LARGE, 1)), confirmation().gate(&gate)];
    stage.site.backend.set_each("/x", answers);
    stage.fill_and_age();
    let mut client = stage.send(&get("me"));
    stage.site.backend.wait_for_hits("/x", 2);
    let _: u32 = stage.site.redis.command(&["DEL", "/x"]);
    gate.open();
    stage.wait_for_fill();
    let answer = client.receive().expect("a response");
    stage.told(&answer, renewed(Reason::RecordChanged))
}

/// A confirmed record, and what becomes of it in the store.
fn renewed(last: Reason) -> Told {
    Told::confirmed().then(last).filling("validate", last)
}

/// The 304 says that the record is another variant than it was.
pub fn varies_otherwise() -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let first = confirmable(pattern(LARGE, 1)).header("Vary", "X-A");
    let answers = vec![first, confirmation().header("Vary", "X-B")];
    stage.site.backend.set_each("/x", answers);
    stage.fill_and_age();
    let mut client = stage.send(&get("me"));
    stage.wait_for_fill();
    let answer = client.receive().expect("a response");
    stage.told(&answer, renewed(Reason::VariesOtherwise))
}

/// The response says something else of its arguments than the one by which the key was made.
pub fn search_otherwise() -> Vec<Told> {
    let stage = site().location("redis_cache_args no_vary_search; set $seen $redis_cache_args;");
    let mut stage = Stage::start(&stage);
    let answer = |value| Answer::ok("x").header("No-Vary-Search", value);
    let answers = vec![answer("params"), answer("key-order")];
    stage.site.backend.set_each("/x", answers);
    stage.fill();
    let _: u32 = stage.site.redis.command(&["DEL", "/x"]);
    let answer = stage.site.ask(&get("me"));
    stage.told(
        &answer,
        Told::not_stored(Reason::SearchOtherwise, answer.status),
    )
}
