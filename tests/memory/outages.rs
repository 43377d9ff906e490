//! A name that leads to several servers, one after the other or at a time: what one of them has given counts as long as that
//! one is heard.

use std::net::{IpAddr, SocketAddr};
use std::thread;

use testbed::{Client, Dns, PATIENCE, Port, Proxy, Record, Redis, Running, Site, ms, wait_for};

use super::{put_and_warm, site};

/// A name that no name server but the test's own knows.
const NAME: &str = "redis.invalid";

/// A server is down at its first timeout, and looked for often.
const QUICK: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms; max_fails 1; fail_timeout 200ms;";

/// Bytes of a body whose record goes over a connection of its own.
const LARGE: usize = 1_100_000;

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

/// An address of this machine that leads to a server.
fn at(ip: &str, port: &Port, server: &str) -> Proxy {
    let ip: IpAddr = ip.parse().unwrap();
    Proxy::at(SocketAddr::new(ip, port.number()), server)
}

/// A site whose store is known by [`NAME`].
fn named(dns: &Dns, port: &Port) -> Site {
    site("alone=60s")
        .http(&format!("resolver {}; resolver_timeout 2s;", dns.address()))
        .store(&format!("server {NAME}:{}; {QUICK}", port.number()))
}

/// A record of the server that the name led to before. `is_lost`: the worker that has listened to it is killed before it knows
/// of the other one.
fn check(is_lost: bool) {
    let (dns, port) = (Dns::start(), Port::take());
    let (before, behind) = (Redis::start(), Redis::start());
    let doors = [
        at("127.0.0.23", &port, &before.address()),
        at("127.0.0.24", &port, &behind.address()),
    ];
    dns.set(NAME, 1, &["127.0.0.23"]);
    let mut site = named(&dns, &port).start_with(before);
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

/// A scene of a name with two addresses. One connection to the first stays, and the one for large records leads to the second.
struct Both {
    doors: [Proxy; 2],
    site: Running,
    _dns: Dns,
    _port: Port,
}

impl Both {
    /// The server at the first address, and where the second one leads. A record of the first is in memory.
    fn start(first: Redis, second: &str) -> Both {
        let (dns, port) = (Dns::start(), Port::take());
        let doors = [
            at("127.0.0.25", &port, &first.address()),
            at("127.0.0.26", &port, second),
        ];
        dns.set(NAME, 1, &["127.0.0.25"]);
        let site = named(&dns, &port).start_with(first);
        put_and_warm(&site, &mut site.client(), "/first", "first");
        dns.set(NAME, 1, &["127.0.0.25", "127.0.0.26"]);
        dns.wait_for_question(NAME);
        Both {
            doors,
            site,
            _dns: dns,
            _port: port,
        }
    }

    /// Has a connection opened for a large record. None to the first address can be opened from now on.
    fn open_second(&self) {
        let large = Record::lua_text(&"l".repeat(LARGE));
        self.site.redis.put(&self.site.key("/large"), &large, 600);
        let mut client = self.site.client();
        self.doors[0].swallow_connects();
        wait_for("a connection to the second address", PATIENCE, || {
            let _ = client.get("/large");
            self.doors[1].open() > 0
        });
    }
}

#[test]
fn a_connection_to_one_of_two_servers_gives_nothing_for_the_other() {
    let behind = Redis::start();
    let both = Both::start(Redis::start(), &behind.address());
    let (site, mut client) = (&both.site, both.site.client());
    for (redis, text) in [(&site.redis, "before"), (&behind, "behind")] {
        redis.put(&site.key("/page"), &Record::lua_text(text), 600);
    }
    both.open_second();
    // From now on the second one is listened to.
    let _: i64 = site.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    wait_for("somebody who listens", PATIENCE, || {
        let clients: String = behind.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
        !clients.is_empty()
    });
    let mut looked_up = 0;
    for _ in 0..100 {
        let answer = client.get("/page");
        let (source, text) = (answer.header("x-source"), answer.text());
        looked_up += usize::from(text == "before");
        assert!(source.as_deref() != Some("memory") || text != "before");
        thread::sleep(ms(20));
    }
    assert_ne!(looked_up, 0);
    both.doors[0].cut();
    wait_for_kept(&mut client, "/page", "behind");
}

#[test]
fn a_connection_to_another_address_of_one_server_does_no_harm() {
    let redis = Redis::start();
    let address = redis.address();
    let both = Both::start(redis, &address);
    both.open_second();
    put_and_warm(&both.site, &mut both.site.client(), "/page", "page");
}
