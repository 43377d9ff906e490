//! 103 (Early Hints, RFC 8297) from nginx 1.29 on: it reaches the client of a fill, and those who wait for the fill, before
//! the response does, and isn't stored. See `t/interim.t` for its fields.

use testbed::{Answer, Exchange, Gate, Protocol, Request, Running, Site, nginx_is_at_least};

/// However busy the machine is, nobody goes for having waited too long.
const LOCATION: &str = "redis_cache_lock_timeout 60s; early_hints 1;";

const LINK: &str = "</style.css>; rel=preload; as=style";

/// All protocols, each with a site of its own of one worker. None, and the reason is printed, where nginx has no
/// `early_hints`.
fn scenes() -> Vec<(Protocol, Running)> {
    if !nginx_is_at_least([1, 29, 0]) {
        println!("skipped: early_hints came with nginx 1.29.0");
        return Vec::new();
    }
    let start = |protocol| {
        let site = Site::new().workers(1).http2().http3();
        (protocol, site.location(LOCATION).start())
    };
    Protocol::ALL.into_iter().map(start).collect()
}

/// A response that is held back behind its hint.
fn held(gate: &Gate) -> Answer {
    Answer::ok("page").hint("Link", LINK).gate(gate)
}

#[track_caller]
fn gets_hint(what: Protocol, exchange: &mut Exchange) {
    let hint = exchange
        .receive_interim()
        .unwrap_or_else(|error| panic!("{what:?}: {error}"));
    assert_eq!(hint.status, 103, "{what:?}");
    assert_eq!(hint.headers("link"), [LINK], "{what:?}");
    assert_eq!(hint.headers("x-cache"), [""; 0], "{what:?}");
}

#[track_caller]
fn gets_page(what: Protocol, exchange: Exchange) -> String {
    let answer = exchange
        .receive()
        .unwrap_or_else(|error| panic!("{what:?}: {error}"));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "page"),
        "{what:?}"
    );
    assert_eq!(answer.header("link"), None, "{what:?}");
    answer.word()
}

#[test]
fn a_fill_hands_the_hint_to_all_who_wait_for_it() {
    for (protocol, site) in scenes() {
        let gate = Gate::new();
        site.backend.set("/x", held(&gate));
        let mut exchanges = protocol.send(&site, &vec![Request::get("/x"); 4]);
        for exchange in &mut exchanges {
            gets_hint(protocol, exchange);
        }
        // One that comes later has missed nothing.
        let mut late = protocol.begin(&site, &Request::get("/x"));
        gets_hint(protocol, &mut late);
        exchanges.push(late);
        gate.open();
        let words = exchanges.into_iter().map(|one| gets_page(protocol, one));
        let filled = words.filter(|word| word == "STORE").count();
        assert_eq!((filled, site.backend.hits("/x")), (1, 1), "{protocol:?}");
        let record = site.redis.wait_for_record("/x");
        let headers = String::from_utf8_lossy(&record.headers);
        assert!(!headers.contains("Link"), "{headers}");
        let hit = gets_page(protocol, protocol.begin(&site, &Request::get("/x")));
        assert_eq!(hit, "HIT", "{protocol:?}");
        site.wait_for_quiet_zone();
        site.nginx.finish();
    }
}

/// What the backend says before its header may be for the one that asks: whether the response is for others, too, isn't
/// known by then.
#[test]
fn a_hint_that_may_be_for_one_alone_reaches_that_one() {
    let cookie = || Request::get("/x").header("Cookie", "user=1");
    for (protocol, site) in scenes() {
        let gate = Gate::new();
        site.backend.set("/x", held(&gate));
        let mut first = protocol.begin(&site, &cookie());
        gets_hint(protocol, &mut first);
        let second = protocol.begin(&site, &Request::get("/x"));
        site.wait_for_waiters(1);
        gate.open();
        assert_eq!(gets_page(protocol, first), "STORE", "{protocol:?}");
        gets_page(protocol, second);
        site.nginx.finish();
    }
}

#[test]
fn a_response_that_is_not_stored_comes_behind_its_hint() {
    for (protocol, site) in scenes() {
        let gate = Gate::new();
        let answer = held(&gate).header("Cache-Control", "private");
        site.backend.set("/x", answer);
        let mut first = protocol.begin(&site, &Request::get("/x"));
        gets_hint(protocol, &mut first);
        gate.open();
        assert_eq!(gets_page(protocol, first), "SKIP", "{protocol:?}");
        // It is known not to be storable, and passed in the client's own request.
        let mut second = protocol.begin(&site, &Request::get("/x"));
        gets_hint(protocol, &mut second);
        assert_eq!(gets_page(protocol, second), "SKIP", "{protocol:?}");
        site.wait_for_quiet_zone();
        assert!(site.redis.keys().is_empty(), "{protocol:?}: stored");
        site.nginx.finish();
    }
}

#[test]
fn a_client_that_leaves_behind_the_hint_takes_nobody_with_it() {
    for (protocol, site) in scenes() {
        let gate = Gate::new();
        site.backend.set("/x", held(&gate));
        let mut exchanges = protocol.send(&site, &vec![Request::get("/x"); 3]);
        for exchange in &mut exchanges {
            gets_hint(protocol, exchange);
        }
        let stays = exchanges.pop().unwrap();
        for exchange in exchanges {
            exchange.leave();
        }
        gate.open();
        gets_page(protocol, stays);
        site.redis.wait_for_record("/x");
        assert_eq!(site.backend.hits("/x"), 1, "{protocol:?}");
        site.wait_for_quiet_zone();
        site.nginx.finish();
    }
}
