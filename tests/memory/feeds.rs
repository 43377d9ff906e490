//! The feed of changes: without it nothing is served from memory, and it comes back by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use testbed::{
    Client, Dns, Gate, PATIENCE, Port, Proxy, Record, Redis, Rule, Running, Site, Way, ms, wait_for,
};

use super::{LEASE, SLACK, put_and_warm, site, source, warm};

/// A name that no name server but the test's own knows.
const NAME: &str = "redis.invalid";

/// A site whose Redis is behind a door.
fn behind_a_door(site: &Site) -> (Running, Proxy) {
    let site = site.clone().store("read_timeout 1s; fail_timeout 200ms;");
    site.start_behind_a_proxy()
}

/// Changes a record behind everybody's back, and asks until it isn't served any more.
#[track_caller]
fn assert_gone_in_time(site: &Running, client: &mut Client, target: &str, old: &str) {
    let begun = Instant::now();
    let _: i64 = site.redis.command(&["DEL", &site.key(target)]);
    let mut took = begun.elapsed();
    // The request that goes to a server without replies takes its time.
    while client.get(target).text() == old {
        took = begun.elapsed();
        assert!(took < PATIENCE);
    }
    println!("{target}: the last old answer after {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
}

#[test]
fn a_feed_that_is_cut_comes_back() {
    let (site, door) = behind_a_door(&site("alone=off"));
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/cut", "cut");
    for _ in 0..3 {
        door.cut();
        assert_gone_in_time(&site, &mut client, "/cut", "cut");
        put_and_warm(&site, &mut client, "/cut", "cut");
    }
}

#[test]
fn a_feed_that_is_silent_isnt_believed_for_longer_than_its_lease() {
    let (site, door) = behind_a_door(&site("alone=off"));
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/silent", "silent");
    door.set(Way::Replies, Rule::hold(&Gate::new()));
    assert_gone_in_time(&site, &mut client, "/silent", "silent");
    door.heal();
    put_and_warm(&site, &mut client, "/silent", "silent");
}

#[test]
fn a_worker_that_listens_may_be_frozen_or_killed() {
    let mut site = site("").workers(2).spread().start();
    let mut clients = site.client_of_each("/listens");
    put_and_warm(&site, &mut clients[0].1, "/listens", "listens");
    // Whoever of the two listens: each is frozen once.
    for frozen in 0..2 {
        let other = 1 - frozen;
        warm(&mut clients[other].1, "/listens");
        let worker = site.nginx.freeze_worker(clients[frozen].0);
        assert_gone_in_time(&site, &mut clients[other].1, "/listens", "listens");
        put_and_warm(&site, &mut clients[other].1, "/listens", "listens");
        drop(worker);
        wait_for("what is kept", PATIENCE, || {
            source(&mut clients[frozen].1, "/listens") == "memory"
        });
    }
    for killed in 0..2 {
        let pid = site.nginx.workers()[killed];
        site.nginx.kill_worker(pid);
        let mut client = site.client();
        warm(&mut client, "/listens");
        assert_gone_in_time(&site, &mut client, "/listens", "listens");
        put_and_warm(&site, &mut client, "/listens", "listens");
    }
}

#[test]
fn a_reload_keeps_everybody_right() {
    let mut site = site("").workers(2).spread().start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/reload", "reload");
    for _ in 0..3 {
        let old = site.nginx.reload();
        // A worker on its way out ends its connections.
        site.nginx.wait_for_exit(&old, PATIENCE);
        let mut client = site.client();
        warm(&mut client, "/reload");
        assert_gone_in_time(&site, &mut client, "/reload", "reload");
        put_and_warm(&site, &mut client, "/reload", "reload");
    }
}

#[test]
fn a_redis_that_restarts_is_listened_to_again() {
    let mut site = site("").start();
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/again", "again");
    site.redis.stop();
    site.redis.run();
    put_and_warm(&site, &mut client, "/again", "anew");
    let _: i64 = site.redis.command(&["DEL", &site.key("/again")]);
    wait_for("the change", PATIENCE, || {
        client.get("/again").text() != "anew"
    });
}

#[test]
fn all_workers_keep_what_a_name_of_several_addresses_gives() {
    // nginx gives each worker the addresses in an order of its own.
    for _ in 0..3 {
        let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
        let address = redis.address();
        let at = |ip: &str| {
            let ip: IpAddr = ip.parse().unwrap();
            Proxy::at(SocketAddr::new(ip, port.number()), &address)
        };
        let (first, second) = (at("127.0.0.21"), at("127.0.0.22"));
        dns.set(NAME, 1, &["127.0.0.22", "127.0.0.21"]);
        let site = site("")
            .workers(3)
            .spread()
            .http(&format!("resolver {}; resolver_timeout 2s;", dns.address()))
            .store(&format!("server {NAME}:{};", port.number()))
            .start_with(redis);
        let mut clients = site.client_of_each("/several");
        // What one worker has kept others serve, too: each gets a page of its own.
        let mut all_warm = |path: &str| {
            for (worker, client) in &mut clients {
                put_and_warm(&site, client, &format!("{path}/{worker}"), path);
            }
        };
        all_warm("/warm");
        // One address is gone, and comes back: all stay with the other.
        first.stop_listening();
        first.cut();
        all_warm("/other");
        first.listen();
        second.cut();
        all_warm("/again");
    }
}

#[test]
fn a_name_that_leads_to_another_server_is_followed() {
    let (dns, port) = (Dns::start(), Port::take());
    let (before, behind) = (Redis::start(), Redis::start());
    let at = |ip: &str, redis: &Redis| {
        let ip: IpAddr = ip.parse().unwrap();
        Proxy::at(SocketAddr::new(ip, port.number()), &redis.address())
    };
    // The former server lives on.
    let _doors = [at("127.0.0.21", &before), at("127.0.0.22", &behind)];
    dns.set(NAME, 1, &["127.0.0.21"]);
    let site = site("")
        .http(&format!("resolver {}; resolver_timeout 2s;", dns.address()))
        .store(&format!("server {NAME}:{};", port.number()))
        .start_with(before);
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/named", "before");
    let key = site.key("/named");
    behind.put(&key, &Record::lua_text("behind"), 600);
    dns.set(NAME, 1, &["127.0.0.22"]);
    // A time to live of a second, which nginx rounds up, and the second between two lookups.
    wait_for("the other server's record", ms(8000), || {
        client.get("/named").text() == "behind"
    });
    warm(&mut client, "/named");
    let begun = Instant::now();
    let _: i64 = behind.command(&["DEL", &key]);
    wait_for("the change", PATIENCE, || {
        client.get("/named").text() != "behind"
    });
    assert!(begun.elapsed() < LEASE + SLACK, "{:?}", begun.elapsed());
}
