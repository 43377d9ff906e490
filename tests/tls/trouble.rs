//! Servers that aren't those expected: each is one line in the log, with the reason and what would help, and clients have
//! their responses from the backend.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use testbed::{Position, Proxy, Rule, Way, ms};

use super::*;

/// Clients go without the store, and the log says why, once.
#[track_caller]
fn complains(site: &Running, needle: &str) {
    for number in 0..5 {
        let path = format!("/{number}");
        let answer = site.get(&path);
        assert_eq!(
            (answer.status, answer.text()),
            (200, format!("GET {path} #1\n"))
        );
        assert_eq!(
            answer.word(),
            "SKIP",
            "{number}: {}",
            site.nginx.log().tail(5)
        );
    }
    let lines = site.nginx.log().serious(Position::default());
    let [line] = lines.as_slice() else {
        panic!("{} lines:\n{}", lines.len(), lines.join("\n"));
    };
    let expected = format!(") is down: {needle}; requests go to the backend until it is back");
    // OpenSSL's words depend on what the server sends of its chain.
    for part in expected.split("...") {
        assert!(line.contains(part), "{line}\nlacks\n{part}");
    }
    assert!(line.contains("[error]"), "{line}");
}

#[test]
fn certificates_that_do_not_fit() {
    let (authority, foreign) = (Authority::make(), Authority::make());
    let trusted = trust(&authority);
    let good = authority.issue("good", "DNS:localhost");
    let revoked = authority.issue("revoked", "DNS:localhost");
    let list = format!(
        "{trusted} tls_crl {};",
        authority.revoke(&[&revoked]).display()
    );
    let foreign_list = format!("{trusted} tls_crl {};", foreign.revoke(&[]).display());
    let cases = [
        (
            authority.issue_expired("expired", "DNS:localhost"),
            trusted.clone(),
            "the server's certificate has expired; renew it",
        ),
        (
            authority.issue("wrong", "DNS:other.example,IP:192.0.2.1"),
            trusted.clone(),
            "the server's certificate is for \"other.example, 192.0.2.1\", not for \"localhost\"; give the server a \
             certificate for this name, or set \"tls_name\" to one that it has",
        ),
        (
            authority.issue("wild", "DNS:*.redis.example"),
            format!("{trusted} tls_name a.b.redis.example;"),
            "the server's certificate is for \"*.redis.example\", not for \"a.b.redis.example\"; give the server a \
             certificate for this name, or set \"tls_name\" to one that it has",
        ),
        (
            foreign.issue("foreign", "DNS:localhost"),
            trusted.clone(),
            "no known authority has signed the server's certificate (...); name its \
             authority's file in \"tls_trusted_certificate\"",
        ),
        (
            good.clone(),
            String::new(),
            "no known authority has signed the server's certificate (...); name its \
             authority's file in \"tls_trusted_certificate\"",
        ),
        (
            revoked.clone(),
            list,
            "the server's certificate has been revoked, as \"tls_crl\" says; give the server a new one",
        ),
        (
            good.clone(),
            foreign_list,
            "no revocation list of the authority that signed the server's certificate; add it to the file of \"tls_crl\"",
        ),
    ];
    for (pair, lines, needle) in cases {
        let (site, _port) = Secured::start(&authority, &pair).site("localhost", &lines);
        complains(&site, needle);
        site.nginx.finish();
    }
}

/// An address fits no name, even where the name is that of the address.
#[test]
fn an_address_needs_a_certificate_for_it() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let (site, _port) = Secured::start(&authority, &pair).site("127.0.0.1", &trust(&authority));
    complains(
        &site,
        "the server's certificate is for \"localhost\", not for \"127.0.0.1\"; give the server a certificate for this \
         name, or set \"tls_name\" to one that it has",
    );
    site.nginx.finish();
}

#[test]
fn a_server_that_speaks_no_tls() {
    // Redis itself waits for the end of what it takes for a line.
    let redis = Redis::start();
    let store = format!("server {}; tls on; connect_timeout 400ms;", redis.address());
    let site_of_redis = site(&store).start_with(redis);
    complains(
        &site_of_redis,
        "the TLS handshake timed out; if the server speaks no TLS at this port, use its \"tls-port\", or take \"tls\" out",
    );
    site_of_redis.nginx.finish();
    // Others answer in their own way.
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("server {}; tls on;", talker.local_addr().unwrap());
    thread::spawn(move || {
        for client in talker.incoming() {
            let _ = client.and_then(|mut client| {
                client.write_all(b"-ERR unknown command\r\n")?;
                client.read_to_end(&mut Vec::new())
            });
        }
    });
    let site = site(&store).start();
    complains(
        &site,
        "the server doesn't speak TLS at this port (wrong version number); use its \"tls-port\", or take \"tls\" out",
    );
    site.nginx.finish();
}

#[test]
fn a_server_that_speaks_only_tls() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::start(&authority, &pair);
    let store = server("localhost", secured.port.address());
    let site = site(&store).start_with(secured.redis);
    complains(
        &site,
        "the server closed the connection; if it speaks TLS at this port, add \"tls on\"",
    );
    site.nginx.finish();
    // Others send an alert of TLS's: its type, version, length, level and reason.
    let talker = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!("server {};", talker.local_addr().unwrap());
    thread::spawn(move || {
        for client in talker.incoming() {
            let _ = client.and_then(|mut client| {
                client.write_all(&[21, 3, 3, 0, 2, 2, 70])?;
                client.read_to_end(&mut Vec::new())
            });
        }
    });
    let site = super::site(&store).start();
    complains(
        &site,
        "the server speaks TLS at this port; add \"tls on\", or use a port without TLS",
    );
    site.nginx.finish();
}

#[test]
fn a_client_certificate_that_is_missing() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let cases = [
        (
            "TLSv1.3",
            "the server demands a client certificate; set \"tls_certificate\" and \"tls_certificate_key\"",
        ),
        (
            "TLSv1.2",
            "the server refuses the TLS handshake (sslv3 alert handshake failure); it may demand a client certificate \
             (\"tls_certificate\"), or other ciphers (\"tls_ciphers\")",
        ),
    ];
    for (version, needle) in cases {
        let secured = Secured::with(&authority, &pair, true, &["--tls-protocols", version]);
        let (site, _port) = secured.site("localhost", &trust(&authority));
        complains(&site, needle);
        site.nginx.finish();
    }
}

#[test]
fn a_client_certificate_that_is_refused() {
    let (authority, foreign) = (Authority::make(), Authority::make());
    let pair = authority.issue("redis", "DNS:localhost");
    let client = foreign.issue("nginx", "DNS:nginx.example");
    let lines = format!(
        "{} tls_certificate {}; tls_certificate_key {};",
        trust(&authority),
        client.certificate.display(),
        client.key.display()
    );
    let (site, _port) = Secured::with(&authority, &pair, true, &[]).site("localhost", &lines);
    complains(
        &site,
        "the server refuses the client certificate (tlsv1 alert unknown ca); see \"tls_certificate\"",
    );
    site.nginx.finish();
}

#[test]
fn no_version_in_common() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::with(&authority, &pair, false, &["--tls-protocols", "TLSv1.2"]);
    let lines = format!("{} tls_protocols TLSv1.3;", trust(&authority));
    let (site, _port) = secured.site("localhost", &lines);
    complains(
        &site,
        "the server speaks none of the versions of TLS that nginx may use (tlsv1 alert protocol version); see \
         \"tls_protocols\"",
    );
    site.nginx.finish();
}

/// A handshake has as long as connecting has, and the worker does other things meanwhile.
#[test]
fn a_handshake_that_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = format!(
        "server {}; tls on; connect_timeout 400ms;",
        silent.local_addr().unwrap()
    );
    let site = site(&store).start();
    let answer = site.get("/first");
    assert!(answer.last_byte < ms(3000), "{:?}", answer.last_byte);
    assert_eq!(answer.word(), "SKIP");
    assert_eq!(site.backend.hits("/first"), 1);
    let needle = "the TLS handshake timed out; if the server speaks no TLS at this port, use its \"tls-port\", or take \"tls\" out";
    assert_eq!(
        site.nginx.log().matching(Position::default(), needle).len(),
        1
    );
    site.nginx.finish();
}

/// One whose server goes away in the middle, at any byte; then all is well again.
#[test]
fn a_handshake_that_is_cut() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::start(&authority, &pair);
    let proxy = Proxy::start(&secured.port.address().to_string());
    let store = format!(
        "{} tls on; connect_timeout 2s; {}",
        server("localhost", proxy.address()),
        trust(&authority)
    );
    let site = site(&store).start_with(secured.redis);
    for (number, bytes) in [1, 5, 80, 200, 700, 900].into_iter().enumerate() {
        proxy.cut();
        proxy.set(Way::Replies, Rule::cut_each(bytes));
        let path = format!("/{number}");
        wait_for("the store to be down", PATIENCE, || {
            let answer = site.get(&path);
            assert_eq!(answer.status, 200);
            answer.word() == "SKIP"
        });
        proxy.set(Way::Replies, Rule::pass());
        let path = format!("/back/{number}");
        wait_for("the store to be back", PATIENCE, || {
            site.get(&path).word() == "HIT"
        });
    }
    site.nginx.finish();
}

/// Ended without a close_notify, as many servers do, a connection is one that was closed: the next takes its place.
#[test]
fn a_connection_that_is_cut_is_made_again() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::start(&authority, &pair);
    let proxy = Proxy::start(&secured.port.address().to_string());
    let store = format!(
        "{} tls on; {}",
        server("localhost", proxy.address()),
        trust(&authority)
    );
    let site = site(&store).start_with(secured.redis);
    serves(&site, "/page");
    for _ in 0..10 {
        proxy.cut();
        wait_for("the connections to be gone", PATIENCE, || proxy.open() == 0);
        assert_eq!(site.get("/page").word(), "HIT");
    }
    let lines = site.nginx.log().serious(Position::default());
    assert_eq!(lines, Vec::<String>::new());
    site.nginx.finish();
}

/// What comes instead of a record that OpenSSL can read is no reply.
#[test]
fn bytes_that_were_changed_on_the_way_are_not_taken() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::start(&authority, &pair);
    let proxy = Proxy::start(&secured.port.address().to_string());
    let store = format!(
        "{} tls on; {}",
        server("localhost", proxy.address()),
        trust(&authority)
    );
    let site = site(&store).start_with(secured.redis);
    serves(&site, "/page");
    let position = site.nginx.log().end();
    proxy.set(
        Way::Replies,
        Rule::change(|bytes| bytes.iter().map(|byte| byte ^ 1).collect()),
    );
    let answer = site.get("/page");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    assert!(!site.nginx.log().matching(position, " is down: ").is_empty());
    proxy.heal();
    wait_for("the store to be back", PATIENCE, || {
        site.get("/page").word() == "HIT"
    });
    site.nginx.finish();
}
