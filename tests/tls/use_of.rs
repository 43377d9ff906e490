//! Records through TLS.

use testbed::{Answer, Backend, Nginx, Proxy, Rule, Way, ms, pattern};

use super::*;

#[test]
fn records_are_stored_and_served_through_tls() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let (site, _port) = Secured::start(&authority, &pair).site("localhost", &trust(&authority));
    serves(&site, "/page");
    // The test's own connections are at the other port.
    let clients: String = site.redis.command(&["CLIENT", "LIST"]);
    assert!(clients.contains("name="), "{clients}");
    site.nginx.finish();
}

/// Each name that a certificate may be for, and how the store calls the server.
#[test]
fn names_of_every_kind_fit() {
    let authority = Authority::make();
    let cases = [
        ("host", "DNS:localhost", "localhost", ""),
        ("address", "IP:127.0.0.1", "127.0.0.1", ""),
        (
            "override",
            "DNS:redis.example",
            "127.0.0.1",
            "tls_name redis.example;",
        ),
        (
            "wildcard",
            "DNS:*.redis.example",
            "127.0.0.1",
            "tls_name a.redis.example;",
        ),
        (
            "address-override",
            "IP:192.0.2.7",
            "localhost",
            "tls_name 192.0.2.7;",
        ),
        (
            "ipv6-override",
            "IP:2001:db8::7",
            "localhost",
            "tls_name [2001:db8::7];",
        ),
        (
            "unverified",
            "DNS:other.example",
            "localhost",
            "tls_verify off;",
        ),
    ];
    for (label, names, host, lines) in cases {
        let pair = authority.issue(label, names);
        let lines = format!("{} {lines}", trust(&authority));
        let (site, _port) = Secured::start(&authority, &pair).site(host, &lines);
        serves(&site, &format!("/{label}"));
        site.nginx.finish();
    }
}

/// Who isn't verified may be signed by anybody.
#[test]
fn nobody_is_verified_where_that_is_off() {
    let (authority, foreign) = (Authority::make(), Authority::make());
    let pair = foreign.issue_expired("redis", "DNS:other.example");
    let lines = format!("{} tls_verify off;", trust(&authority));
    let (site, _port) = Secured::start(&foreign, &pair).site("localhost", &lines);
    serves(&site, "/page");
    site.nginx.finish();
}

#[test]
fn large_records_pass_in_both_directions() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let secured = Secured::start(&authority, &pair);
    let store = format!(
        "{} tls on; {}",
        server("localhost", secured.port.address()),
        trust(&authority)
    );
    let site = site(&store).location("redis_cache_max_size 64m;");
    let site = site.start_with(secured.redis);
    for (path, size) in [("/16k", 16 << 10), ("/1m", 1 << 20), ("/20m", 20 << 20)] {
        let body = pattern(size, size as u64);
        site.backend.set(path, Answer::ok(body.clone()));
        assert_eq!(site.get(path).body, body);
        assert_eq!(site.redis.wait_for_record(&site.key(path)).body, body);
        for _ in 0..2 {
            let hit = site.get(path);
            assert_eq!(hit.word(), "HIT", "{path}");
            assert!(hit.body == body, "{path}: the body differs");
        }
        assert_eq!(site.backend.hits(path), 1);
    }
    // Small ones beside large ones, on the same connections.
    let crowd = site.crowd(4, "/20m");
    assert_eq!(crowd.statuses(), [(200, 4)].into());
    serves(&site, "/small");
    site.nginx.finish();
}

#[test]
fn a_slow_network_splits_and_delays_what_passes() {
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
    proxy.set(Way::Replies, Rule::trickle(97, ms(1)));
    proxy.set(Way::Commands, Rule::trickle(53, ms(1)));
    let body = pattern(30_000, 1);
    site.backend.set("/slow", Answer::ok(body.clone()));
    assert_eq!(site.get("/slow").word(), "STORE");
    assert_eq!(site.redis.wait_for_record(&site.key("/slow")).body, body);
    let hit = site.get("/slow");
    assert_eq!((hit.word().as_str(), hit.body == body), ("HIT", true));
    proxy.heal();
    // The server takes nothing for a while: what OpenSSL couldn't send is sent again as it was.
    let body = pattern(6 << 20, 2);
    site.backend.set("/blocked", Answer::ok(body.clone()));
    proxy.set(Way::Commands, Rule::delay(ms(20)));
    assert_eq!(site.get("/blocked").word(), "STORE");
    assert_eq!(site.redis.wait_for_record(&site.key("/blocked")).body, body);
    proxy.heal();
    assert!(site.get("/blocked").body == body);
    site.nginx.finish();
}

#[test]
fn clients_show_their_certificate() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    let client = authority.issue("nginx", "DNS:nginx.example");
    let locked = authority.encrypt(&client, "open sesame");
    let passwords = authority.file("passwords", "wrong\nopen sesame\n");
    let forms = [
        (&client, String::new()),
        (
            &locked,
            format!("tls_password_file {};", passwords.display()),
        ),
    ];
    for (number, (client, more)) in forms.into_iter().enumerate() {
        let lines = format!(
            "{} tls_certificate {}; tls_certificate_key {}; {more}",
            trust(&authority),
            client.certificate.display(),
            client.key.display()
        );
        let secured = Secured::with(&authority, &pair, true, &[]);
        let (site, _port) = secured.site("localhost", &lines);
        serves(&site, &format!("/{number}"));
        site.nginx.finish();
    }
}

#[test]
fn either_version_alone_will_do() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost");
    for version in ["TLSv1.2", "TLSv1.3"] {
        let secured = Secured::with(&authority, &pair, false, &["--tls-protocols", version]);
        let (site, _port) = secured.site("localhost", &trust(&authority));
        serves(&site, "/server");
        site.nginx.finish();
        let lines = format!("{} tls_protocols {version};", trust(&authority));
        let (site, _port) = Secured::start(&authority, &pair).site("localhost", &lines);
        serves(&site, "/client");
        site.nginx.finish();
    }
    let lines = format!(
        "{} tls_protocols TLSv1.2; tls_ciphers ECDHE-ECDSA-CHACHA20-POLY1305;",
        trust(&authority)
    );
    let (site, _port) = Secured::start(&authority, &pair).site("localhost", &lines);
    serves(&site, "/cipher");
    site.nginx.finish();
}

/// `rediss://` in every place: as the server of a block, in `redis_cache_pass`, in `$cache_pass`. The last two trust whom
/// the system trusts.
#[test]
fn addresses_ask_for_tls() {
    let authority = Authority::make();
    let pair = authority.issue("redis", "DNS:localhost,IP:127.0.0.1");
    let secured = Secured::with(
        &authority,
        &pair,
        false,
        &["--user", "nginx", "on", ">sesame", "~*", "+@all"],
    );
    let port = secured.port.number();
    let plain = Redis::start();
    let backend = Backend::start();
    let block = format!(
        "server rediss://nginx:sesame@localhost:{port}/3; {}",
        trust(&authority)
    );
    let by_pass = format!("location: redis_cache_pass rediss://nginx:sesame@localhost:{port}/4;");
    let by_variable =
        format!("location: set $cache_pass rediss://nginx:sesame@127.0.0.1:{port}/5;");
    for (number, lines) in [block, by_pass, by_variable].into_iter().enumerate() {
        let site = match lines.strip_prefix("location: ") {
            Some(lines) => Site::new().workers(1).location(lines),
            None => site(&lines),
        };
        let listen = Port::take();
        let conf = site.conf(listen.address(), &plain, &backend);
        let trusted = authority.certificate();
        let nginx = Nginx::start_in(&[("SSL_CERT_FILE", &trusted)], &conf, listen.address());
        let path = format!("/{number}");
        let mut client = nginx.client();
        assert_eq!(client.get(&path).word(), "STORE", "{}", nginx.log().tail(5));
        wait_for("the record", PATIENCE, || client.get(&path).word() == "HIT");
        assert_eq!(backend.hits(&path), 1);
        let log = nginx.log().lines().join("\n");
        assert!(!log.contains("sesame"), "{log}");
        nginx.finish();
    }
    // Each in its database.
    let spaces = secured.info("keyspace");
    for database in ["db3:keys=1,", "db4:keys=1,", "db5:keys=1,"] {
        assert!(spaces.contains(database), "{spaces}");
    }
}

/// A reload reads the files again: here an authority that was missing.
#[test]
fn a_reload_reads_the_files_again() {
    let (authority, other) = (Authority::make(), Authority::make());
    let pair = authority.issue("redis", "DNS:localhost");
    let file = other.file("trusted.pem", "");
    std::fs::copy(other.certificate(), &file).unwrap();
    let lines = format!("tls_trusted_certificate {};", file.display());
    let (mut site, _port) = Secured::start(&authority, &pair).site("localhost", &lines);
    assert_eq!(site.get("/before").word(), "SKIP");
    let fresh = other.file("fresh.pem", "");
    std::fs::copy(authority.certificate(), &fresh).unwrap();
    // By another file of this name: nginx takes one that was written twice in a second for unchanged.
    std::fs::rename(&fresh, &file).unwrap();
    let old = site.nginx.reload();
    site.nginx.wait_for_exit(&old, PATIENCE);
    // It was down: the next probe shows that it isn't any more.
    wait_for("the store to be tried again", PATIENCE, || {
        site.get("/tried").word() != "SKIP"
    });
    serves(&site, "/after");
    site.nginx.finish();
}
