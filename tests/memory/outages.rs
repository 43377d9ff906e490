//! What a former server of a store has given: nobody gets it in an outage of the one that came after it.

use std::net::{IpAddr, SocketAddr};

use testbed::{Client, Dns, PATIENCE, Port, Proxy, Record, Redis, wait_for};

use super::{put_and_warm, site};

/// A name that no name server but the test's own knows.
const NAME: &str = "redis.invalid";

/// A server is down at its first timeout, and looked for often.
const QUICK: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms; max_fails 1; fail_timeout 200ms;";

/// Asks for new pages until a response is kept in memory at once: the server is known to be down.
#[track_caller]
fn wait_until_alone(client: &mut Client) {
    let mut number = 0;
    wait_for(
        "a page that is kept while nobody is heard",
        PATIENCE,
        || {
            number += 1;
            let page = format!("/new/{number}");
            let _ = client.get(&page);
            let answer = client.get(&page);
            answer.header("x-source").as_deref() == Some("memory")
        },
    );
}

/// Asks until a page has this text and comes from memory.
#[track_caller]
fn wait_for_kept(client: &mut Client, target: &str, text: &str) {
    wait_for("the new server's record in memory", PATIENCE, || {
        let answer = client.get(target);
        answer.text() == text && answer.header("x-source").as_deref() == Some("memory")
    });
}

/// A record of the server that the name led to before. `is_lost`: the worker that has listened to it is killed before it knows
/// of the other one.
fn check(is_lost: bool) {
    let (dns, port) = (Dns::start(), Port::take());
    let (before, behind) = (Redis::start(), Redis::start());
    let at = |ip: &str, redis: &Redis| {
        let ip: IpAddr = ip.parse().unwrap();
        Proxy::at(SocketAddr::new(ip, port.number()), &redis.address())
    };
    let doors = [at("127.0.0.23", &before), at("127.0.0.24", &behind)];
    dns.set(NAME, 1, &["127.0.0.23"]);
    let mut site = site("alone=60s")
        .http(&format!("resolver {}; resolver_timeout 2s;", dns.address()))
        .store(&format!("server {NAME}:{}; {QUICK}", port.number()))
        .start_with(before);
    let mut client = site.client();
    put_and_warm(&site, &mut client, "/former", "before");
    for target in ["/former", "/other"] {
        behind.put(&site.key(target), &Record::lua_text("behind"), 600);
    }
    let worker = site.nginx.workers()[0];
    let frozen = is_lost.then(|| site.nginx.freeze_worker(worker));
    dns.set(NAME, 1, &["127.0.0.24"]);
    if is_lost {
        site.nginx.kill_worker(worker);
        drop(frozen);
        wait_for("another worker", PATIENCE, || {
            let workers = site.nginx.workers();
            !workers.is_empty() && !workers.contains(&worker)
        });
        client = site.client();
    }
    wait_for_kept(&mut client, "/other", "behind");
    doors[1].stop_listening();
    wait_until_alone(&mut client);
    // Nobody has looked it up at the server that is down.
    assert_ne!(client.get("/former").text(), "before");
    assert_eq!(client.get("/other").text(), "behind");
}

#[test]
fn a_name_leads_elsewhere_and_that_server_is_down_later() {
    check(false);
}

#[test]
fn so_it_is_where_nobody_has_heard_of_the_change() {
    check(true);
}
