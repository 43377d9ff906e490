//! Servers of stores that are known by name: nginx's `resolver` looks them up while nginx runs, and connections follow.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use testbed::{
    Answer, Dns, Ending, PATIENCE, Port, Position, Proxy, Redis, Running, Site, eventually,
    holds_for, ms, wait_for,
};

/// No name server but the test's own knows it: nginx doesn't find it when it reads its configuration.
const NAME: &str = "redis.invalid";

/// A time to live in seconds, and what may pass until nginx asks again: it gives an answer to the end of the last second.
const TTL: u32 = 1;
const ASKED_AGAIN: Duration = ms(6000);

/// A site whose store is known by [`NAME`] and the port of `port`.
fn site(dns: &Dns, port: &Port, store: &str) -> Site {
    let address = dns.address();
    Site::new()
        .workers(1)
        .http(&format!("resolver {address}; resolver_timeout 2s;"))
        .store(&format!("server {NAME}:{};{store}", port.number()))
}

/// Redis at another address of this machine, and at the port of `port`.
fn at(ip: &str, port: &Port, redis: &Redis) -> Proxy {
    let ip: IpAddr = ip.parse().unwrap();
    Proxy::at(SocketAddr::new(ip, port.number()), &redis.address())
}

/// Lines about the name.
fn lines(site: &Running, needle: &str) -> usize {
    let log = site.nginx.log();
    log.matching(Position::default(), needle).len()
}

/// Asks for new pages until one is stored: the store is used.
#[track_caller]
fn wait_for_store(site: &Running, what: &str) {
    let mut number = 0;
    wait_for(what, PATIENCE, || {
        number += 1;
        let path = format!("/{}/{number}", what.replace(' ', "-"));
        let answer = site.get(&path);
        assert_eq!(answer.status, 200);
        answer.word() == "STORE"
    });
}

#[test]
fn a_name_unknown_at_start_is_looked_up_at_the_first_use() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let proxy = at("127.0.0.11", &port, &redis);
    dns.set(NAME, 60, &["127.0.0.11"]);
    let site = site(&dns, &port, "").start_with(redis);
    assert_eq!(dns.asked(NAME), 0, "asked before the first use");
    assert_eq!(site.fill("/x").word(), "STORE");
    assert_eq!(site.get("/x").word(), "HIT");
    // One question for each family.
    assert_eq!(dns.asked(NAME), 2);
    assert!(proxy.accepted() >= 1);
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");
}

#[test]
fn ipv6_alone_will_do() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let proxy = at("::1", &port, &redis);
    dns.set(NAME, 60, &["::1"]);
    let site = site(&dns, &port, "").start_with(redis);
    assert_eq!(site.fill("/x").word(), "STORE");
    assert_eq!(site.get("/x").word(), "HIT");
    assert!(proxy.accepted() >= 1);
}

#[test]
fn established_connections_follow_a_name_that_moves() {
    let (dns, port) = (Dns::start(), Port::take());
    let (old, new) = (Redis::start(), Redis::start());
    let old_place = at("127.0.0.11", &port, &old);
    let new_place = at("127.0.0.12", &port, &new);
    dns.set(NAME, TTL, &["127.0.0.11"]);
    for most in [1, 3] {
        dns.set(NAME, TTL, &["127.0.0.11"]);
        let site = site(&dns, &port, &format!("connections {most};")).start_with(Redis::start());
        let path = format!("/{most}");
        assert_eq!(site.get(&path).word(), "STORE");
        old.wait_for_record(&path);
        wait_for("a connection to the old address", PATIENCE, || {
            old_place.open() >= 1
        });
        // Nothing moves while the answer stays the same.
        let before = old_place.accepted();
        dns.wait_for_question(NAME);
        assert_eq!(site.get(&path).word(), "HIT");
        assert_eq!(old_place.accepted(), before);
        dns.set(NAME, TTL, &["127.0.0.12"]);
        let moved = wait_for("no connection to the old address", PATIENCE, || {
            old_place.open() == 0
        });
        assert!(moved < ASKED_AGAIN, "{moved:?}");
        assert_eq!(site.get(&path).word(), "STORE", "the old record answers");
        new.wait_for_record(&path);
        wait_for("a HIT", PATIENCE, || site.get(&path).word() == "HIT");
        // One more hears of what other machines do.
        assert!(new_place.open() >= 1 && new_place.open() <= most + 1);
        let serious = site.nginx.log().serious(Position::default());
        assert!(serious.is_empty(), "{serious:#?}");
        site.nginx.finish();
    }
}

/// A listener that takes no connection, since as many wait as may.
fn full(ip: &str, port: &Port) -> (Socket, Vec<TcpStream>) {
    let address = SocketAddr::new(ip.parse().unwrap(), port.number());
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(0).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, ms(300)) {
        waiting.push(stream);
        assert!(waiting.len() < 100, "{} connections wait", waiting.len());
    }
    (socket, waiting)
}

#[test]
fn addresses_are_tried_in_turn() {
    let dead = ["127.0.0.21", "127.0.0.22", "127.0.0.23"];
    for hangs in [false, true] {
        let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
        let proxy = at("127.0.0.11", &port, &redis);
        let _listeners: Vec<_> = dead
            .iter()
            .filter(|_| hangs)
            .map(|ip| full(ip, &port))
            .collect();
        dns.set(NAME, 60, &[&dead[..], &["127.0.0.11"]].concat());
        let site = site(&dns, &port, "connect_timeout 500ms;").start_with(redis);
        let answer = site.get("/x");
        assert_eq!(answer.word(), "STORE", "hangs: {hangs}");
        // Each of the three at most once.
        assert!(answer.first_byte < ms(4000), "{:?}", answer.first_byte);
        site.redis.wait_for_record("/x");
        wait_for("a HIT", PATIENCE, || site.get("/x").word() == "HIT");
        // The one that has served is tried first from now on.
        proxy.cut();
        let start = Instant::now();
        assert_eq!(site.get("/x").word(), "HIT", "hangs: {hangs}");
        assert!(start.elapsed() < ms(500) || !hangs, "{:?}", start.elapsed());
        let serious = site.nginx.log().serious(Position::default());
        assert!(serious.is_empty(), "{serious:#?}");
    }
}

#[test]
fn a_silent_resolver_costs_clients_nothing_and_is_said_once() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let _proxy = at("127.0.0.11", &port, &redis);
    dns.set_silent(true);
    let site = site(&dns, &port, "connect_timeout 200ms;").start_with(redis);
    let first = site.get("/first");
    assert_eq!((first.status, first.word().as_str()), (200, "SKIP"));
    assert!(first.first_byte < ms(3000), "{:?}", first.first_byte);
    let failed = site.nginx.log().wait_for(
        Position::default(),
        "redis.invalid could not be resolved (110: Operation timed out); no address of it is known",
        PATIENCE,
    );
    assert!(failed.is_some(), "{}", site.nginx.log().tail(20));
    // Until the next lookup has failed, too.
    let asked = dns.asked(NAME);
    let mut slowest = Duration::ZERO;
    let mut number = 0;
    wait_for("another lookup", PATIENCE, || {
        number += 1;
        let answer = site.get(&format!("/skip/{number}"));
        assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
        slowest = slowest.max(answer.last_byte);
        dns.asked(NAME) > asked
    });
    assert!(slowest < ms(1500), "{slowest:?}");
    assert_eq!(
        lines(&site, "could not be resolved (110"),
        2,
        "{}",
        site.nginx.log().tail(20)
    );
    assert_eq!(lines(&site, "[error]"), 2, "{}", site.nginx.log().tail(20));
    dns.set(NAME, 60, &["127.0.0.11"]);
    dns.set_silent(false);
    wait_for_store(&site, "the store to be used");
    assert_eq!(lines(&site, "redis.invalid is resolved again"), 1);
}

#[test]
fn a_name_that_is_missing_is_looked_up_until_it_is_there() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let _proxy = at("127.0.0.11", &port, &redis);
    let site = site(&dns, &port, "").start_with(redis);
    assert_eq!(site.get("/x").word(), "SKIP");
    let line = site.nginx.log().wait_for(
        Position::default(),
        "redis store \"main\" (redis.invalid:",
        PATIENCE,
    );
    let line = line.expect("a line about the name");
    assert!(
        line.contains("could not be resolved (3: Host not found)"),
        "{line}"
    );
    dns.set(NAME, TTL, &["127.0.0.11"]);
    wait_for_store(&site, "the name to be there");
    // And the other way round: what is known stays in use.
    dns.remove(NAME);
    let gone = site.nginx.log().wait_for(
        Position::default(),
        "(3: Host not found); the addresses known so far stay in use",
        PATIENCE,
    );
    assert!(gone.is_some(), "{}", site.nginx.log().tail(20));
    assert_eq!(site.fill("/y").word(), "STORE");
    assert_eq!(site.get("/y").word(), "HIT");
    let said = lines(&site, "stay in use");
    dns.wait_for_question(NAME);
    assert!(holds_for(ms(200), || lines(&site, "stay in use") == said));
    assert_eq!(said, 1);
}

#[test]
fn a_server_that_restarts_at_another_address_is_found_under_load() {
    let (dns, port) = (Dns::start(), Port::take());
    let (old, new) = (Redis::start(), Redis::start());
    let old_place = at("127.0.0.11", &port, &old);
    dns.set(NAME, TTL, &["127.0.0.11"]);
    let site = site(&dns, &port, "connect_timeout 500ms;").start_with(Redis::start());
    site.backend.set_otherwise(Answer::ok("the page"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..8 {
            let (site, over) = (&site, &over);
            scope.spawn(move || {
                let mut connection = site.client();
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    let answer = connection.get(&format!("/{client}/{}", number % 50));
                    assert_eq!((answer.status, answer.text().as_str()), (200, "the page"));
                }
            });
        }
        let found = thread::Builder::new().spawn_scoped(scope, || {
            let _ending = Ending::raises(&over);
            wait_for("records in the old one", PATIENCE, || {
                !old.keys().is_empty()
            });
            drop(old_place);
            let new_place = at("127.0.0.12", &port, &new);
            dns.set(NAME, TTL, &["127.0.0.12"]);
            let found = eventually(PATIENCE, || (!new.keys().is_empty()).then_some(()));
            (found, new_place)
        });
        let (found, _place) = found.unwrap().join().unwrap();
        assert!(found.is_some(), "{}", site.nginx.log().tail(20));
    });
}

#[test]
fn a_worker_that_leaves_waits_for_no_name() {
    for known in [false, true] {
        let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
        let _proxy = at("127.0.0.11", &port, &redis);
        dns.set(NAME, TTL, &["127.0.0.11"]);
        dns.set_silent(!known);
        let mut site = site(&dns, &port, "connect_timeout 200ms;").start_with(redis);
        assert_eq!(site.get("/x").status, 200);
        if known {
            dns.set_silent(true);
            dns.wait_for_question(NAME);
        }
        let start = Instant::now();
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, PATIENCE);
        assert!(start.elapsed() < ms(1800), "{:?}", start.elapsed());
        assert_eq!(site.get("/y").status, 200);
        site.nginx.finish();
    }
}

#[test]
fn an_address_at_run_time_may_have_a_name() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let proxy = at("127.0.0.11", &port, &redis);
    dns.set(NAME, 60, &["127.0.0.11"]);
    let resolver = format!("resolver {};", dns.address());
    for (resolver, word) in [(resolver.as_str(), "STORE"), ("", "SKIP")] {
        let redis = Redis::start();
        let site = Site::seed()
            .workers(1)
            .http(resolver)
            .location(&format!(
                "set $cache_pass redis://{NAME}:{}/1;",
                port.number()
            ))
            .start_with(redis);
        let answer = site.get("/x");
        assert_eq!((answer.status, answer.word().as_str()), (200, word));
        if word == "STORE" {
            wait_for("a HIT", PATIENCE, || site.get("/x").word() == "HIT");
            assert!(proxy.open() >= 1);
        } else {
            assert_eq!(
                lines(&site, "a host name can't be looked up at run time"),
                1,
                "{}",
                site.nginx.log().tail(20)
            );
        }
    }
}

/// The process outlives the configuration whose resolver it has asked.
#[test]
fn one_process_reads_its_configuration_while_a_name_is_looked_up() {
    let (dns, port, redis) = (Dns::start(), Port::take(), Redis::start());
    let _proxy = at("127.0.0.11", &port, &redis);
    dns.set(NAME, TTL, &["127.0.0.11"]);
    dns.set_silent(true);
    let mut site = site(&dns, &port, "connect_timeout 200ms;")
        .workers(0)
        .main("master_process off;")
        .start_with(redis);
    site.nginx.allow("worker_connections are not enough");
    let mut client = site.client();
    assert_eq!(client.get("/x").word(), "SKIP");
    let pid = std::fs::read_to_string(site.nginx.prefix().join("logs/nginx.pid")).unwrap();
    for turn in 1..=3 {
        let sent = std::process::Command::new("kill")
            .args(["-HUP", pid.trim()])
            .status();
        assert!(sent.unwrap().success(), "the process is gone");
        wait_for("a new configuration", PATIENCE, || {
            lines(&site, "reconfiguring") >= turn
        });
        assert_eq!(client.get(&format!("/{turn}")).status, 200);
    }
    // nginx itself takes no new connections from here on, and its resolver has none either: the backend answers.
    let position = site.nginx.log().end();
    let failed = site
        .nginx
        .log()
        .wait_for(position, "could not be resolved", PATIENCE);
    assert!(failed.is_some(), "{}", site.nginx.log().tail(20));
    for number in 0..20 {
        let answer = client.get(&format!("/after/{number}"));
        assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    }
}
