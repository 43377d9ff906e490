//! A Redis in trouble is no trouble of those who change something.

use std::time::Duration;

use testbed::{
    Answer, Bridge, Client, Gate, PATIENCE, Record, Redis, Request, Running, Site, ms, wait_for,
};

use crate::put;

#[track_caller]
fn put_succeeds(name: &str, client: &mut Client, within: Duration) {
    let answer = client.ask(&put("/x"));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "done"),
        "{name}"
    );
    assert!(
        answer.complete && answer.last_byte < within,
        "{name}: {:?}",
        answer.last_byte
    );
}

fn site(site: Site) -> Running {
    let site = site
        .workers(1)
        .store("connect_timeout 300ms; send_timeout 300ms; read_timeout 300ms; max_fails 1;")
        .start();
    site.backend.set("/x", Answer::ok("done"));
    site
}

#[test]
fn stopped_frozen_or_refusing() {
    for (form, conf) in Site::forms() {
        let mut site = site(conf);
        let mut client = site.client();
        put_succeeds(form, &mut client, ms(250));
        site.redis.freeze();
        put_succeeds("frozen", &mut client, ms(2000));
        put_succeeds("known to be down", &mut client, ms(250));
        site.redis.thaw();
        wait_for("the store to be used again", PATIENCE, || {
            client.get("/y").word() != "SKIP"
        });
        let rename: Result<String, _> = site
            .redis
            .try_command(&["ACL", "SETUSER", "default", "-del"]);
        rename.unwrap();
        put_succeeds("refused", &mut client, ms(1000));
        let line = "refuses deletions: NOPERM";
        let said = site
            .nginx
            .log()
            .wait_for(Default::default(), line, PATIENCE);
        assert!(said.is_some(), "{}", site.nginx.log().tail(20));
        assert_ne!(
            client.get("/z").word(),
            "SKIP",
            "lookups and writes are another matter"
        );
        site.redis.stop();
        put_succeeds("stopped", &mut client, ms(1000));
        put_succeeds("known to be stopped", &mut client, ms(250));
    }
}

#[test]
fn a_client_that_leaves_meanwhile_has_changed_something_all_the_same() {
    let mut site = Site::new().workers(1).store("read_timeout 20s;").start();
    let record = Record::lua_text("old");
    site.redis.put("/x", &record, 160);
    // The connection is there before Redis stops to answer.
    assert_eq!(site.get("/x").word(), "HIT");
    site.redis.freeze();
    let mut client = site.client();
    client.send(&put("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    site.backend.wait_until_idle("/x");
    let position = site.nginx.log().end();
    client.reset();
    let gone = "prematurely closed connection";
    let _ = site.nginx.log().wait_for(position, gone, ms(500));
    site.redis.thaw();
    wait_for("the record to be gone", PATIENCE, || {
        site.redis.get("/x").is_none()
    });
    assert_eq!(site.get("/y").status, 200);
    site.nginx.finish();
}

#[test]
fn an_answer_does_not_wait_for_ever() {
    let mut site = Site::new().workers(1).store("read_timeout 20s;").start();
    site.fill("/x");
    site.redis.freeze();
    let answer = site.ask(&put("/x"));
    assert_eq!(answer.status, 200);
    assert!(
        (ms(2500)..ms(8000)).contains(&answer.last_byte),
        "{:?}",
        answer.last_byte
    );
    site.redis.thaw();
    wait_for("the record to be gone", PATIENCE, || {
        site.redis.get("/x").is_none()
    });
}

#[test]
fn through_a_location_as_the_store() {
    for (form, site) in [
        (
            "directives",
            Site::new().location("redis_cache_pass /redis; redis_cache_pass_timeout 20s;"),
        ),
        (
            "variables",
            Site::seed().location("set $cache_pass /redis; redis_cache_pass_timeout 20s;"),
        ),
    ] {
        let redis = Redis::start();
        let bridge = Bridge::start(&redis.address());
        let site = site
            .workers(1)
            .locations(&bridge.locations())
            .start_with(redis);
        site.fill("/x");
        let mut client = site.client();
        assert_eq!(client.ask(&put("/x")).word(), "SKIP", "{form}");
        let body = String::from_utf8_lossy(&bridge.requests().last().unwrap().body).into_owned();
        let key = site.key("/x");
        let keys = format!("\r\n$1\r\n2\r\n${}\r\n{key}\r\n", key.len());
        assert!(body.starts_with("*9\r\n$4\r\nEVAL\r\n"), "{form}: {body}");
        assert!(body.contains(&keys), "{form}: {body}");
        assert_eq!(site.redis.get(&key), None, "{form}");
        assert_eq!(client.get("/x").word(), "STORE", "{form}");

        // A client that leaves while its answer waits.
        let _ = site.redis.wait_for_record(&key);
        let gate = Gate::new();
        bridge.hold_at(&gate);
        let hits = site.backend.hits("/x");
        let mut leaver = site.client();
        leaver.send(&put("/x")).unwrap();
        site.backend.wait_for_hits("/x", hits + 1);
        wait_for("the deletion to be under way", PATIENCE, || {
            bridge.under_way() > 0
        });
        leaver.reset();
        gate.open();
        wait_for("the record to be gone", PATIENCE, || {
            site.redis.get(&key).is_none()
        });

        bridge.answer_instead(500, b"no");
        assert_eq!(client.ask(&put("/x")).status, 200, "{form}");
        bridge.answer_instead(200, b"nonsense");
        assert_eq!(
            client.ask(&Request::new("DELETE", "/x")).status,
            200,
            "{form}"
        );
        site.nginx.finish();
    }
}
