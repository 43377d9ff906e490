//! A tier from day to day: who listens, changes of many keys at once, and workers that die.

use std::collections::HashSet;
use std::fs;
use std::time::Instant;

use testbed::{PATIENCE, Record, ms, wait_for};

use super::{PUSHED, SLACK, put_and_warm, site, source, warm};

/// What a process has open, as `socket:[number]`.
fn sockets(pid: i32) -> HashSet<String> {
    let folder = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = folder.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let links = links.filter_map(|link| {
        let link = link.to_str()?.strip_prefix("socket:[")?;
        Some(link.strip_suffix(']')?.to_owned())
    });
    links.collect()
}

/// The numbers of all sockets of a kind, with the line that tells of each.
fn known(table: &str, number: usize) -> Vec<(String, String)> {
    let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| {
            let number = line.split_whitespace().nth(number).unwrap_or_default();
            (number.to_owned(), line.to_owned())
        })
        .collect()
}

#[test]
fn the_cache_manager_of_nginx_takes_no_part() {
    let site = site("")
        .http("proxy_cache_path cache keys_zone=plain:1m;")
        .start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/managed", "managed");
    let title = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    // A process has its title once it has closed what it has from the master.
    wait_for("titles", PATIENCE, || {
        let pids = site.nginx.workers();
        pids.iter()
            .all(|pid| !title(pid).contains("master process"))
    });
    let (workers, helpers): (Vec<i32>, Vec<i32>) = site
        .nginx
        .workers()
        .into_iter()
        .partition(|pid| title(pid).contains("worker process"));
    assert_eq!(workers.len(), 1);
    assert!(!helpers.is_empty());
    // Where a worker is woken, and its connections to Redis.
    let parts = |pid: i32| {
        let open = sockets(pid);
        let name = "@ngx_http_redis_cache.";
        let woken = known("unix", 6)
            .into_iter()
            .filter(|(number, line)| open.contains(number) && line.contains(name));
        let connected = known("tcp", 9)
            .into_iter()
            .filter(|(number, _)| open.contains(number));
        (woken.count(), connected.count())
    };
    let (woken, connected) = parts(workers[0]);
    assert!(woken == 1 && connected > 0, "{woken}, {connected}");
    for helper in helpers {
        assert_eq!(parts(helper), (0, 0), "{}", title(&helper));
    }
}

#[test]
fn a_change_of_many_keys_costs_those_keys_only() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/other", "other");
    put_and_warm(&site, &mut client, "/one", "one");
    let _: i64 = site.redis.command(&[
        "EVAL",
        "for i = 1, 40000 do redis.call('SET', 'many:' .. i, '') end return 1",
        "0",
    ]);
    warm(&mut client, "/other");
    warm(&mut client, "/one");
    let before = site.redis.calls("hmget");
    let _: i64 = site.redis.command(&[
        "EVAL",
        "for i = 1, 40000 do redis.call('DEL', 'many:' .. i) end redis.call('DEL', KEYS[1]) return 1",
        "1",
        &site.key("/one"),
    ]);
    wait_for("the change", PUSHED, || client.get("/one").text() != "one");
    let after = site.redis.calls("hmget");
    for _ in 0..20 {
        assert_eq!(source(&mut client, "/other"), "memory");
    }
    // The one that is gone is looked up again.
    assert!(after - before <= 4, "{before}, {after}");
}

#[test]
fn a_change_of_more_keys_than_are_worth_it_makes_all_void() {
    let site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/one", "one");
    let _: i64 = site.redis.command(&[
        "EVAL",
        "for i = 1, 120000 do redis.call('SET', 'many:' .. i, '') end redis.call('DEL', KEYS[1]) return 1",
        "1",
        &site.key("/one"),
    ]);
    wait_for("the change", PATIENCE, || {
        client.get("/one").text() != "one"
    });
    // What the fill brings would be written over the record.
    site.wait_for_fills(1);
    site.redis
        .put(&site.key("/one"), &Record::lua_text("anew"), 600);
    wait_for("the record", PATIENCE, || {
        client.get("/one").text() == "anew"
    });
    warm(&mut client, "/one");
}

#[test]
fn a_reload_keeps_what_is_in_memory() {
    let mut site = site("").workers(2).start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/kept", "kept");
    for round in 0..3 {
        // Workers that have just started don't take over from each other.
        std::thread::sleep(ms(1200));
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, PATIENCE);
        let mut client = site.client();
        let before = site.redis.calls("hmget");
        for _ in 0..20 {
            assert_eq!(source(&mut client, "/kept"), "memory", "{round}");
        }
        assert_eq!(site.redis.calls("hmget"), before);
        // It is listened to.
        let key = site.key(&format!("/{round}"));
        site.redis.put(&key, &Record::lua_text("new"), 600);
        warm(&mut client, &format!("/{round}"));
        let _: i64 = site.redis.command(&["DEL", &key]);
        wait_for("the change", PUSHED, || {
            client.get(&format!("/{round}")).text() != "new"
        });
    }
}

#[test]
fn nginx_that_quits_waits_for_no_successor() {
    let mut site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/quit", "quit");
    drop(client);
    let begun = Instant::now();
    site.nginx.quit();
    assert!(site.nginx.wait(PATIENCE).is_some());
    // For a successor it would be 3 s.
    assert!(begun.elapsed() < ms(2500), "{:?}", begun.elapsed());
}

#[test]
fn what_was_kept_for_longer_isnt_used_after_a_reload() {
    let mut site = site("feed=off valid=60s").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/valid", "old");
    let shorter = super::site("feed=off valid=1s");
    site.nginx
        .rewrite(&shorter.conf(site.address(), &site.redis, &site.backend));
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    let mut client = site.client();
    let begun = Instant::now();
    site.redis
        .put(&site.key("/valid"), &Record::lua_text("new"), 600);
    wait_for("the new record", PATIENCE, || {
        client.get("/valid").text() == "new"
    });
    assert!(begun.elapsed() < ms(1000) + SLACK, "{:?}", begun.elapsed());
}
