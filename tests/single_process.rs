//! `master_process off`: one process that reads its configuration anew while it serves. nginx itself then takes no new
//! connections, but those that it has go on.

use std::fs;
use std::process::Command;

use testbed::{Answer, Client, PATIENCE, Position, Request, Running, Site, pattern, wait_for};

fn reload(site: &Running, times: usize) {
    let pid = fs::read_to_string(site.nginx.prefix().join("logs/nginx.pid")).unwrap();
    let sent = Command::new("kill")
        .args(["-HUP", pid.trim()])
        .status()
        .unwrap();
    assert!(sent.success(), "the process is gone");
    wait_for("a new configuration", PATIENCE, || {
        let log = site.nginx.log();
        log.matching(Position::default(), "reconfiguring").len() >= times
    });
}

#[test]
fn connections_go_on_when_the_configuration_is_read_anew() {
    for (form, site) in Site::forms() {
        // No worker beside the process itself.
        let mut site = site.workers(0).main("master_process off;").start();
        site.nginx.allow("worker_connections are not enough");
        let mut clients: Vec<_> = (0..8).map(|_| site.client()).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            for path in [format!("/hit{number}"), format!("/stale{number}")] {
                assert_eq!(client.get(&path).word(), "STORE", "{form}: {path}");
                site.redis.wait_for_record(&site.key(&path));
            }
        }
        for turn in 1..=4 {
            reload(&site, turn);
            for (number, client) in clients.iter_mut().enumerate() {
                let hit = client.get(&format!("/hit{number}"));
                assert_eq!(hit.word(), "HIT", "{form}: reload {turn}, client {number}");
                let stale = format!("/stale{number}");
                site.make_stale(&stale);
                // Its refill finds no connection, and takes nobody's: a later one may.
                let answer = client.get(&stale);
                assert_eq!(
                    answer.word(),
                    "STALE",
                    "{form}: reload {turn}, client {number}"
                );
            }
        }
    }
}

#[test]
fn a_body_from_memory_comes_out_whole_over_that() {
    let body = pattern(700_000, 1);
    // No worker beside the process itself.
    let site = Site::new()
        .workers(0)
        .main("master_process off;")
        .store("memory 4m min_uses=1;")
        .location("add_header X-Source $redis_cache_source always;")
        .start();
    let mut client = site.client();
    site.backend.set(
        "/large",
        Answer::ok(body.clone()).header("Cache-Control", "max-age=600"),
    );
    wait_for("the record in memory", PATIENCE, || {
        client.get("/large").header("x-source").as_deref() == Some("memory")
    });
    let mut slow = Client::connect_narrow(site.address(), 8 << 10).unwrap();
    slow.send(&Request::get("/large")).unwrap();
    let mut answer = slow.receive_header().unwrap();
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
    for turn in 1..=3 {
        reload(&site, turn);
        for number in 0..150 {
            let target = format!("/other/{turn}/{number}");
            site.backend.set(
                &target,
                Answer::ok(pattern(60_000, 2)).header("Cache-Control", "max-age=600"),
            );
            for _ in 0..2 {
                assert!(client.get(&target).body == pattern(60_000, 2), "{target}");
            }
        }
    }
    slow.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == body);
}
