//! Reasons that lie with the request, or with the location's configuration.

use cache_core::outcome::Reason;
use testbed::{Request, Response};

use crate::stage::{Stage, asking, get, site};
use crate::told::Told;

/// What a site with these directives answers.
#[track_caller]
fn ask(location: &str, request: &Request) -> (Stage, Response) {
    let stage = Stage::start(&site().location(location));
    let answer = stage.site.ask(request);
    (stage, answer)
}

pub fn method_not_listed() -> Vec<Told> {
    let (stage, answer) = ask("", &asking("DELETE", "me"));
    let reason = Reason::MethodNotListed;
    stage.told(
        &answer,
        Told::bypass(reason).with("fwd=method; fwd-status=200"),
    )
}

pub fn content() -> Vec<Told> {
    let (stage, answer) = ask("", &get("me").body("x"));
    stage.told(&answer, Told::bypass(Reason::Content))
}

/// The content lies in a file: the key has nothing of it.
pub fn content_unknown() -> Vec<Told> {
    let settings = "redis_cache_methods GET POST; redis_cache_key $request_uri$request_body;
        client_body_buffer_size 1k;";
    let (stage, answer) = ask(settings, &asking("POST", "me").body("x".repeat(3000)));
    stage.told(&answer, Told::bypass(Reason::ContentUnknown))
}

pub fn slice() -> Vec<Told> {
    let settings = "slice 1m; set $part $slice_range; redis_cache_key $uri$part;";
    let (stage, answer) = ask(settings, &get("me"));
    stage.told(&answer, Told::bypass(Reason::Slice))
}

pub fn bypass() -> Vec<Told> {
    let settings = "redis_cache_bypass 1; redis_cache_no_store 1;";
    let (stage, answer) = ask(settings, &get("me"));
    let told = Told::bypass(Reason::Bypass).with("fwd=bypass; fwd-status=200");
    stage.told(&answer, told)
}

pub fn no_store_directive() -> Vec<Told> {
    let (stage, answer) = ask("redis_cache_no_store 1;", &get("me"));
    stage.told(&answer, Told::not_stored(Reason::NoStoreDirective, 200))
}

pub fn no_store_asked() -> Vec<Told> {
    let request = get("me").header("Cache-Control", "no-store");
    let (stage, answer) = ask("redis_cache_honor_request on;", &request);
    stage.told(&answer, Told::not_stored(Reason::NoStoreAsked, 200))
}

pub fn only_if_cached() -> Vec<Told> {
    let request = get("me").header("Cache-Control", "only-if-cached");
    let (stage, answer) = ask("redis_cache_honor_request on;", &request);
    assert_eq!(answer.status, 504);
    stage.told(&answer, Told::skip("MISS", Reason::OnlyIfCached, ""))
}

pub fn few_uses() -> Vec<Told> {
    let (stage, answer) = ask("redis_cache_min_uses 2;", &get("me"));
    stage.told(&answer, Told::passed(Reason::FewUses))
}

pub fn upgrade() -> Vec<Told> {
    let request = get("me")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket");
    let (stage, answer) = ask("", &request);
    stage.told(&answer, Told::bypass(Reason::Upgrade))
}

pub fn conditional() -> Vec<Told> {
    let request = asking("POST", "me").header("If-Match", "\"1\"").body("x");
    let (stage, answer) = ask("redis_cache_methods GET POST;", &request);
    stage.told(&answer, Told::passed(Reason::Conditional))
}

pub fn not_configured() -> Vec<Told> {
    let (stage, answer) = ask("set $cache_pass nowhere;", &get("me"));
    let parameters = "fwd=bypass; fwd-status=200";
    stage.told(
        &answer,
        Told::skip("MISS", Reason::NotConfigured, parameters),
    )
}
