//! How little of Redis the module needs.

use std::collections::HashMap;

use testbed::{Answer, PATIENCE, Redis, Request, Site, redis_users, wait_for};

/// What the documentation says that a user of Redis has to be allowed, and nothing else.
#[test]
fn a_user_of_redis_with_few_rights_is_enough() {
    let users = redis_users();
    assert_eq!(users.len(), 2, "users in docs/redis.md");
    users.iter().for_each(|rights| are_enough(rights));
}

#[track_caller]
fn are_enough(rights: &[String]) {
    let mut command = vec!["ACL", "SETUSER", "cache"];
    command.extend(rights.iter().map(String::as_str));
    let redis = Redis::start();
    let _: () = redis.command(&command);
    let site = Site::new()
        .store("username cache; password secret;")
        .start_with(redis);
    site.fill_and_age("/x");
    assert_eq!(site.get("/x").word(), "STALE", "{rights:?}");
    site.wait_for_hit("/x");

    site.backend.script("/etag", |request, _| {
        match request.header("if-none-match") {
            Some(_) => Answer::of(304, "").header("X-Turn", "new"),
            None => Answer::ok("whole"),
        }
        .header("ETag", "\"1\"")
    });
    site.fill_and_age("/etag");
    assert_eq!(site.get("/etag").word(), "STALE", "{rights:?}");
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
    assert!(denied.is_empty(), "{rights:?}: {denied:?}");
}
