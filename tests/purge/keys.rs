//! Purges of one URI: its record is deleted at once, with its variants.

use testbed::{Answer, Client, Http2, PATIENCE, Request, Site, wait_for};

use crate::{KEY, get, purges, request, site, told};

const HOST: &str = "example.com";

#[test]
fn wordpress() {
    const FIELD: &str = "Host: example.com";
    let site = site("wordpress").start();
    // nginx-helper
    let (page, other) = ((HOST, "/a/b/?c=d"), (HOST, "/a/b/"));
    let answer = purges(&site, &["GET /purge/a/b/?c=d", FIELD], &[page], &[other]);
    assert_eq!(answer.text(), told(1, "key", "hard"));
    let (page, other) = ((HOST, "/x"), ("example.org", "/x"));
    // proxy-cache-purge
    let lines = ["PURGE /x", FIELD, "X-Purge-Method: default"];
    assert_eq!(
        purges(&site, &lines, &[page], &[other]).text(),
        told(1, "key", "hard")
    );
    assert_eq!(
        site.ask(&request(&["PURGE /y", FIELD])).text(),
        told(0, "key", "hard")
    );
    // W3 Total Cache: 200, whether there is a record or not
    let (page, other) = ((HOST, "/z"), (HOST, "/z/"));
    let _ = purges(&site, &["PURGE /z", FIELD], &[page], &[other]);
    assert_eq!(site.ask(&request(&["PURGE /z/none", FIELD])).status, 200);
    for path in ["/purge/a/b/", "/z/none", "/y"] {
        assert_eq!(site.backend.hits(path), 0, "{path}");
    }
}

#[test]
fn drupal_magento_and_api_platform() {
    const FIELD: &str = "Host: example.com";
    for style in ["drupal", "magento", "varnish", "api-platform"] {
        let site = site(style).start();
        let (page, other) = ((HOST, "/node/1?a"), (HOST, "/node/1"));
        let answer = purges(&site, &["PURGE /node/1?a", FIELD], &[page], &[other]);
        assert_eq!(answer.text(), told(1, "key", "hard"), "{style}");
    }
}

#[test]
fn fos_http_cache() {
    const FIELD: &str = "Host: example.com";
    let site = site("fos").start();
    // Varnish, Symfony
    let (page, other) = ((HOST, "/a?b"), (HOST, "/a"));
    let answer = purges(&site, &["PURGE /a?b", FIELD], &[page], &[other]);
    assert_eq!(answer.text(), told(1, "key", "hard"));
    // nginx, with a location for purges
    let (page, other) = ((HOST, "/c?b"), (HOST, "/c"));
    let answer = purges(&site, &["PURGE /purge/c?b", FIELD], &[page], &[other]);
    assert_eq!(answer.text(), told(1, "key", "hard"));
    // nginx, refresh: the record is there, and new
    crate::fill(&site, (HOST, "/d"));
    site.backend.set("/d", Answer::ok("new"));
    let refresh = request(&["GET /d", FIELD, "X-Refresh: 1"]);
    let answer = site.ask(&refresh);
    assert_eq!(
        (answer.status, answer.word().as_str(), answer.text()),
        (200, "STORE", "new".to_owned())
    );
    wait_for("the new record", PATIENCE, || {
        get(&site, (HOST, "/d")).text() == "new"
    });
    assert_eq!(get(&site, (HOST, "/d")).word(), "HIT");
}

#[test]
fn all_variants_go() {
    let site = site("varnish").start();
    site.backend.script("/v", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    let ask = |language: &str| {
        site.ask(
            &Request::get("/v")
                .header("Host", HOST)
                .header("Accept-Language", language),
        )
    };
    for language in ["de", "en", "fr"] {
        assert_eq!(ask(language).word(), "STORE");
        wait_for("the record", PATIENCE, || ask(language).word() == "HIT");
    }
    let _ = purges(&site, &["PURGE /v", "Host: example.com"], &[], &[]);
    for language in ["fr", "en", "de"] {
        assert_eq!(ask(language).word(), "STORE", "{language}");
    }
}

#[test]
fn a_page_of_https_is_purged_by_plain_http() {
    let site = site("varnish").start();
    let key = "https://example.com/s";
    let record = testbed::Record::lua_text("old");
    site.redis.put(key, &record, 160);
    let answer = site.ask(&request(&["PURGE /s", "Host: example.com"]));
    assert_eq!(answer.text(), told(1, "key", "hard"));
    assert_eq!(site.redis.get(key), None);
}

#[test]
fn over_http2() {
    let site = site("wordpress").http2().start();
    let page = ("localhost", "/a");
    crate::fill(&site, page);
    let mut client = Http2::new().connect(site.http2_address());
    for (purged, body) in [(1, None), (0, Some("a body"))] {
        let mut purge = Request::new("PURGE", "/a");
        if let Some(body) = body {
            purge = purge.body(body);
        }
        let answer = client.ask(&purge);
        assert_eq!((answer.status, answer.version.as_str()), (200, "HTTP/2.0"));
        assert_eq!(answer.text(), told(purged, "key", "hard"));
    }
    assert_eq!(client.ask(&Request::new("BAN", "/a")).status, 405);
}

#[test]
fn every_worker_and_its_memory_obeys() {
    let site = site("varnish").store("memory 16m;").start();
    let page = ("localhost", "/m");
    let mut clients: Vec<Client> = site.each_worker("/m");
    for turn in 0..20 {
        for client in &mut clients {
            wait_for("a hit", PATIENCE, || client.get("/m").word() == "HIT");
        }
        // A hit may be the answer of a fill whose record isn't there yet.
        site.redis.wait_for_record("http://localhost/m");
        let answer = site.ask(&request(&["PURGE /m", "Host: localhost"]));
        assert_eq!(answer.text(), told(1, "key", "hard"), "{turn}");
        for client in &mut clients {
            let answer = client.get("/m");
            assert_eq!(site.backend.hits("/m"), turn + 2, "{}", answer.word());
        }
        wait_for("the record", PATIENCE, || get(&site, page).word() == "HIT");
    }
}

#[test]
fn a_store_in_shared_memory_alone() {
    let site = Site::new()
        .spread()
        .memory_alone("memory 16m;")
        .server("redis_cache_purge_allow 127.0.0.1;")
        .location(&format!("{KEY} redis_cache_purge_style varnish;"))
        .start();
    let page = (HOST, "/a");
    for purged in [0, 1] {
        let answer = site.ask(&request(&["PURGE /a", "Host: example.com"]));
        assert_eq!(answer.text(), told(purged, "key", "hard"));
        assert_eq!(get(&site, page).word(), "STORE");
        wait_for("the record", PATIENCE, || get(&site, page).word() == "HIT");
    }
}
