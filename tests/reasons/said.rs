//! Reasons that lie with the backend's response.

use cache_core::outcome::Reason;
use testbed::{Answer, Gate, Request, pattern};

use crate::stage::{LARGE, Stage, get, site};
use crate::told::Told;

/// A site with these directives, whose backend answers so, is asked.
#[track_caller]
fn ask(location: &str, answer: Answer, request: &Request, reason: Reason) -> Vec<Told> {
    let stage = Stage::start(&site().location(location));
    stage.site.backend.set("/x", answer);
    let answer = stage.site.ask(request);
    stage.told(&answer, Told::not_stored(reason, answer.status))
}

/// A backend answers so, and nothing else is unusual.
#[track_caller]
fn plain(answer: Answer, reason: Reason) -> Vec<Told> {
    ask("", answer, &get("me"), reason)
}

#[track_caller]
fn cache_control(value: &str, reason: Reason) -> Vec<Told> {
    plain(Answer::ok("x").header("Cache-Control", value), reason)
}

pub fn status_not_listed() -> Vec<Told> {
    plain(Answer::of(404, "x"), Reason::StatusNotListed)
}

pub fn no_freshness() -> Vec<Told> {
    let answer = Answer::of(403, "x");
    ask(
        "redis_cache_valid any;",
        answer,
        &get("me"),
        Reason::NoFreshness,
    )
}

pub fn accel_expires() -> Vec<Told> {
    let answer = Answer::ok("x").header("X-Accel-Expires", "0");
    plain(answer, Reason::AccelExpires)
}

pub fn not_understood() -> Vec<Told> {
    let answer = Answer::of(299, "x").header("Cache-Control", "must-understand, max-age=60");
    let reason = Reason::NotUnderstood;
    ask("redis_cache_valid any;", answer, &get("me"), reason)
}

pub fn no_store() -> Vec<Told> {
    cache_control("no-store", Reason::NoStore)
}

pub fn private() -> Vec<Told> {
    cache_control("private", Reason::Private)
}

pub fn no_cache() -> Vec<Told> {
    cache_control("no-cache", Reason::NoCache)
}

pub fn set_cookie() -> Vec<Told> {
    plain(
        Answer::ok("x").header("Set-Cookie", "a=1"),
        Reason::SetCookie,
    )
}

pub fn vary() -> Vec<Told> {
    plain(Answer::ok("x").header("Vary", "*"), Reason::Vary)
}

pub fn authorization() -> Vec<Told> {
    let request = get("me").header("Authorization", "Basic Ym9iOnNlY3JldA==");
    ask("", Answer::ok("x"), &request, Reason::Authorization)
}

/// nginx hands it on as a response.
pub fn interim() -> Vec<Told> {
    plain(Answer::of(100, "x"), Reason::Interim)
}

pub fn partial_content() -> Vec<Told> {
    let answer = Answer::of(206, "x").header("Content-Range", "bytes 0-0/9");
    plain(answer, Reason::PartialContent)
}

pub fn not_modified() -> Vec<Told> {
    plain(Answer::of(304, ""), Reason::NotModified)
}

pub fn too_large() -> Vec<Told> {
    let answer = Answer::ok("0123456789");
    ask(
        "redis_cache_max_size 5;",
        answer,
        &get("me"),
        Reason::TooLarge,
    )
}

pub fn event_stream() -> Vec<Told> {
    let answer = Answer::ok("data: x\n\n").content_type("text/event-stream");
    plain(answer, Reason::EventStream)
}

pub fn expired() -> Vec<Told> {
    let answer = Answer::ok("x").header("Cache-Control", "max-age=0");
    ask("redis_cache_stale 0;", answer, &get("me"), Reason::Expired)
}

pub fn header_invalid() -> Vec<Told> {
    plain(Answer::ok("x").header("X@A", "1"), Reason::HeaderInvalid)
}

/// What is between the client's request and the backend has a location of its own.
#[track_caller]
fn elsewhere(inside: &str, location: &str, answer: Answer, reason: Reason) -> Vec<Told> {
    let inside = format!("location /inside {{ {inside} proxy_pass http://BACKEND; }}");
    let stage = Stage::start(&site().locations(&inside).location(location));
    stage.site.backend.set("/x", answer);
    let answer = stage.site.ask(&get("me"));
    assert_eq!(answer.text(), "GET /inside #1\n");
    stage.told(&answer, Told::not_stored(reason, 200))
}

pub fn accel_redirect() -> Vec<Told> {
    let answer = Answer::ok("x").header("X-Accel-Redirect", "/inside");
    elsewhere("internal;", "", answer, Reason::AccelRedirect)
}

pub fn access_rules() -> Vec<Told> {
    let settings = "proxy_intercept_errors on; error_page 404 =200 /inside;";
    let answer = Answer::of(404, "x");
    let rules = "allow 127.0.0.1; deny all;";
    elsewhere(rules, settings, answer, Reason::AccessRules)
}

/// The body ends before its length.
pub fn truncated() -> Vec<Told> {
    let stage = Stage::start(&site());
    let answer = Answer::ok(pattern(LARGE, 1)).cut_at(LARGE - 1);
    stage.site.backend.set("/x", answer);
    let reader = stage.read_header(&get("me"));
    stage.wait_for_fill();
    let answer = reader.finish();
    assert!(!answer.complete);
    stage.told(&answer, Told::stored(Reason::Truncated))
}

pub fn capture_timeout() -> Vec<Told> {
    let stage = Stage::start(&site().location("redis_cache_capture_timeout 200ms;"));
    let gate = Gate::new();
    let answer = Answer::ok(pattern(100_000, 1)).gate_at(50_000, &gate);
    stage.site.backend.set("/x", answer);
    let reader = stage.read_header(&get("me"));
    stage.wait_for_fill();
    gate.open();
    stage.told(&reader.finish(), Told::stored(Reason::CaptureTimeout))
}

/// A stale record is refilled, and the backend is asked without what its client has sent.
#[track_caller]
fn refilled(request: &Request, reason: Reason) -> Vec<Told> {
    let mut stage = Stage::start(&site());
    let begun = Answer::ok("x").header("Set-Cookie", "session=1");
    stage
        .site
        .backend
        .set_each("/x", vec![Answer::ok("x"), begun]);
    stage.fill_and_age();
    let answer = stage.site.ask(request);
    let told = Told::stale("STALE", Reason::Stale).filling("refill", reason);
    stage.told(&answer, told)
}

pub fn without_cookie() -> Vec<Told> {
    let request = Request::get("/x").header("Cookie", "id=me");
    refilled(&request, Reason::WithoutCookie)
}

pub fn without_header() -> Vec<Told> {
    refilled(&get("me"), Reason::WithoutHeader)
}

pub fn backend_failed() -> Vec<Told> {
    let mut stage = Stage::start(&site().location("redis_cache_use_stale http_500;"));
    let answers = vec![Answer::ok("x"), Answer::of(500, "oops")];
    stage.site.backend.set_each("/x", answers);
    stage.fill_and_age();
    let answer = stage.site.ask(&get("me"));
    let parameters = "fwd=stale; fwd-status=500; ttl=-N; detail=\"backend failed\"";
    let told = Told::stale("STALE", Reason::BackendFailed)
        .with(parameters)
        .filling("validate", Reason::BackendFailed);
    stage.told(&answer, told)
}
