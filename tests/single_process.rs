//! `master_process off`: one process that reads its configuration anew while it serves. nginx itself then takes no new
//! connections, but those that it has go on.

use std::fs;
use std::process::Command;

use testbed::{PATIENCE, Position, Running, Site, wait_for};

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
