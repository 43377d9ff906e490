//! How little of Redis the module needs.

use std::collections::HashMap;

use testbed::{Answer, PATIENCE, Redis, Request, Site, wait_for};

/// What README says that a user of Redis has to be allowed, and nothing else.
#[test]
fn a_user_of_redis_with_few_rights_is_enough() {
    let readme = include_str!("../../README.md");
    let lines: Vec<_> = readme
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ACL SETUSER cache "))
        .collect();
    assert_eq!(lines.len(), 2, "lines of README");
    lines.into_iter().for_each(are_enough);
}

#[track_caller]
fn are_enough(rights: &str) {
    let mut command = vec!["ACL", "SETUSER", "cache"];
    command.extend(rights.split(' '));
    let redis = Redis::start();
    let _: () = redis.command(&command);
    let site = Site::new()
        .store("username cache; password secret;")
        .start_with(redis);
    site.fill_and_age("/x");
    assert_eq!(site.get("/x").word(), "STALE", "{rights}");
    site.wait_for_hit("/x");

    site.backend.script("/etag", |request, _| {
        match request.header("if-none-match") {
            Some(_) => Answer::of(304, "").header("X-Turn", "new"),
            None => Answer::ok("whole"),
        }
        .header("ETag", "\"1\"")
    });
    site.fill_and_age("/etag");
    assert_eq!(site.get("/etag").word(), "STALE", "{rights}");
    let refreshed = site.wait_for_hit("/etag");
    assert_eq!(refreshed.header("x-turn").as_deref(), Some("new"));

    site.backend
        .set("/vary", Answer::ok("").header("Vary", "X-A"));
    for (value, key) in [("1", "/vary"), ("2", "{/vary}:v1")] {
        site.fill_by(&Request::get("/vary").header("X-A", value), key);
    }

    assert_eq!(site.ask(&Request::new("DELETE", "/x")).status, 200);
    wait_for("the record to be gone", PATIENCE, || {
        site.redis.get("/x").is_none()
    });
    let mut denied: Vec<HashMap<String, redis::Value>> = site.redis.command(&["ACL", "LOG"]);
    // The question whether the server refuses writes when it is full can do without a reply.
    denied.retain(|entry| entry["object"] != redis::Value::BulkString(b"info".to_vec()));
    assert!(denied.is_empty(), "{rights}: {denied:?}");
}
