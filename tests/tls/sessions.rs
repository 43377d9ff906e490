//! Sessions, and what stays behind of many connections.

use testbed::{TlsFront, Vitals, ms};

use super::*;

/// Lets the worker connect `count` times: its connection is closed after each hit.
#[track_caller]
fn reconnect(site: &Running, count: usize) {
    let mut client = site.client();
    wait_for("a record", PATIENCE, || client.get("/page").word() == "HIT");
    for number in 0..count {
        let _: usize = site
            .redis
            .command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert_eq!(client.get("/page").word(), "HIT", "{number}");
    }
}

/// A store whose handshakes are counted.
fn counted(tls13: bool, lines: &str) -> (Running, TlsFront, Authority) {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let redis = Redis::start();
    let front = TlsFront::start(redis.address().parse().unwrap(), &pair, tls13);
    let store = format!(
        "{} tls on; connections 1; {} {lines}",
        server("localhost", front.address()),
        trust(&authority)
    );
    (site(&store).start_with(redis), front, authority)
}

#[test]
fn a_worker_takes_up_its_session() {
    for tls13 in [false, true] {
        let (site, front, _authority) = counted(tls13, "");
        reconnect(&site, 0);
        wait_for("one that hears of invalidations", PATIENCE, || {
            let clients: String = site.redis.command(&["CLIENT", "LIST", "TYPE", "pubsub"]);
            clients.lines().count() == 1
        });
        reconnect(&site, 5);
        let (full, resumed) = (front.full(), front.resumed());
        assert_eq!(full, 2, "TLS 1.3: {tls13}; {resumed} resumed");
        assert!(resumed >= 4, "TLS 1.3: {tls13}; {resumed} resumed");
        assert_eq!(front.name().as_deref(), Some("localhost"));
        site.nginx.finish();
    }
}

#[test]
fn sessions_are_left_alone_where_that_is_asked_for() {
    for tls13 in [false, true] {
        let (site, front, _authority) = counted(tls13, "tls_session_reuse off;");
        reconnect(&site, 3);
        assert_eq!(front.resumed(), 0);
        assert!(front.full() >= 3);
        site.nginx.finish();
    }
}

/// An address is no server name (RFC 6066, section 3).
#[test]
fn an_address_is_not_told_as_a_name() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "IP:127.0.0.1");
    let redis = Redis::start();
    let front = TlsFront::start(redis.address().parse().unwrap(), &pair, true);
    let store = format!(
        "{} tls on; {}",
        server("127.0.0.1", front.address()),
        trust(&authority)
    );
    let site = site(&store).start_with(redis);
    serves(&site, "/page");
    assert_eq!(front.name(), None);
    site.nginx.finish();
}

/// Neither memory nor descriptors stay behind of many handshakes.
#[test]
fn many_handshakes_leave_nothing_behind() {
    for lines in ["", "tls_session_reuse off;"] {
        let (site, front, _authority) = counted(true, lines);
        reconnect(&site, 30);
        let worker = site.nginx.workers()[0];
        let before = Vitals::of(worker).unwrap();
        reconnect(&site, 200);
        wait_for("the old connections to be gone", PATIENCE, || {
            Vitals::of(worker).unwrap().descriptors <= before.descriptors
        });
        let after = Vitals::of(worker).unwrap();
        // A connection has some 40 kB in OpenSSL: 200 lost ones would be 8 MB.
        after.assert_grown_less(&before, 2 << 10);
        assert!(front.full() + front.resumed() >= 200);
        site.nginx.finish();
    }
}

/// A worker that leaves waits for what is owed, and for nothing else, through TLS as without it.
#[test]
fn a_worker_leaves_with_its_connections() {
    let (mut site, _front, _authority) = counted(true, "");
    serves(&site, "/page");
    let old = site.nginx.reload();
    let took = site.nginx.wait_for_exit(&old, PATIENCE);
    assert!(took < ms(3000), "{took:?}");
    serves(&site, "/other");
    site.nginx.finish();
}
