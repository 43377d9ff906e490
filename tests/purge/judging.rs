//! What purges cost those records that they don't concern, and what is known of them where an nginx has only hits.

use testbed::{
    Answer, Client, Nginx, PATIENCE, Port, Redis, Request, Response, Running, Site, crowd, wait_for,
};

use crate::{fill, get, request, site};

const LOG: &str = "redis_cache:purges";

fn page(target: &str) -> (&str, &str) {
    ("example.com", target)
}

fn of_example(target: &str) -> Request {
    Request::get(target).header("Host", "example.com")
}

#[track_caller]
fn purge_prefix(site: &Running, prefix: &str, fields: &[&str]) {
    let line = format!("PURGE {prefix}*");
    let lines = [&[line.as_str(), "Host: example.com"], fields].concat();
    let answer = site.ask(&request(&lines));
    assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
}

/// A site of one worker with a memory tier; its answers say in X-Source where they come from.
fn site_with_memory() -> Site {
    site("varnish")
        .workers(1)
        .store("memory 16m min_uses=1;")
        .location("add_header X-Source $redis_cache_source always; redis_cache_age 100s; redis_cache_stale 100s;")
}

/// Asks until the answer comes from memory.
#[track_caller]
fn warm(client: &mut Client, target: &str) {
    wait_for("a hit from memory", PATIENCE, || {
        is_from_memory(&client.ask(&of_example(target)))
    });
}

fn is_from_memory(answer: &Response) -> bool {
    answer.header("x-source").as_deref() == Some("memory")
}

/// A record that is older than a purge of others is read by one command, as before.
#[test]
fn a_hit_costs_one_round_trip_after_purges_of_others() {
    let site = site("varnish").workers(1).start();
    for target in ["/a", "/v"] {
        site.backend.set(
            target,
            Answer::ok("whole").header("Vary", "Accept-Language"),
        );
        fill(&site, page(target));
    }
    fill(&site, page("/b"));
    purge_prefix(&site, "/other", &[]);
    for target in ["/a", "/b", "/v"] {
        assert_eq!(get(&site, page(target)).word(), "HIT");
        let before = site.redis.calls("hmget");
        for _ in 0..20 {
            assert_eq!(get(&site, page(target)).word(), "HIT");
        }
        assert_eq!(site.redis.calls("hmget") - before, 20, "{target}");
    }
}

#[test]
fn memory_keeps_what_purges_do_not_concern() {
    let site = site_with_memory().start();
    let mut client = site.client();
    for target in ["/a", "/soft", "/hard"] {
        fill(&site, page(target));
        warm(&mut client, target);
    }
    for prefix in ["/other/1", "/other/2", "/hard"] {
        purge_prefix(&site, prefix, &[]);
        let answer = client.ask(&of_example("/a"));
        assert!(is_from_memory(&answer), "{prefix}: {}", answer.word());
    }
    purge_prefix(&site, "/soft", &["Fastly-Soft-Purge: 1"]);
    assert!(is_from_memory(&client.ask(&of_example("/a"))));
    assert_eq!(client.ask(&of_example("/hard")).word(), "STORE");
    let stale = client.ask(&of_example("/soft"));
    assert_eq!(stale.word(), "STALE");
    assert_eq!(stale.text(), "GET /soft #1\n");
    wait_for("the record", PATIENCE, || {
        let answer = client.ask(&of_example("/soft"));
        answer.word() == "HIT" && answer.text() == "GET /soft #2\n"
    });
}

/// The Lua script writes over a record and leaves its labels, which say nothing of the new one.
#[test]
fn labels_of_another_record_count_in_memory_no_more_than_elsewhere() {
    let site = site_with_memory().start();
    let mut client = site.client();
    fill(&site, page("/a"));
    let _: i64 = site.redis.command(&[
        "HSET",
        "http://example.com/a",
        "status",
        "200",
        "headers",
        "{}",
        "body",
        "of lua",
    ]);
    warm(&mut client, "/a");
    assert_eq!(client.ask(&of_example("/a")).text(), "of lua");
    purge_prefix(&site, "/other", &[]);
    assert_eq!(client.ask(&of_example("/a")).word(), "STORE");
}

/// Redis goes after a purge of others: what memory has is served on.
#[test]
fn a_purge_of_others_leaves_what_is_served_while_redis_is_down() {
    let mut site = site_with_memory()
        .store("connect_timeout 500ms; read_timeout 500ms; max_fails 1; fail_timeout 200ms;")
        .start();
    let mut client = site.client();
    fill(&site, page("/a"));
    warm(&mut client, "/a");
    purge_prefix(&site, "/other", &[]);
    site.redis.stop();
    wait_for("Redis to be known to be down", PATIENCE, || {
        let _ = client.ask(&of_example("/new"));
        let log = site.nginx.log();
        !log.matching(testbed::Position::default(), " is down: ")
            .is_empty()
    });
    for _ in 0..20 {
        let answer = client.ask(&of_example("/a"));
        assert_eq!(answer.text(), "GET /a #1\n");
    }
    assert_eq!(site.backend.hits("/a"), 1);
}

/// Where the log can't be read for long, memory gives nothing: a purge of another machine may be there. The store has the records.
#[test]
fn memory_is_not_used_while_the_log_cannot_be_read() {
    let site = site_with_memory().start();
    let mut client = site.client();
    fill(&site, page("/a"));
    warm(&mut client, "/a");
    let _: () = site.redis.command(&["SET", LOG, "something else"]);
    wait_for("the store to be asked", PATIENCE, || {
        let answer = client.ask(&of_example("/a"));
        assert_eq!(answer.word(), "HIT");
        !is_from_memory(&answer)
    });
    let log = site.nginx.log();
    let line = "purges aren't known: ";
    assert_eq!(log.matching(testbed::Position::default(), line).len(), 1);
    let _: i64 = site.redis.command(&["DEL", LOG]);
    warm(&mut client, "/a");
    assert_eq!(site.backend.hits("/a"), 1);
}

/// An nginx that is started later knows the purges from before at each of its first requests.
#[test]
fn none_of_many_first_requests_gets_what_was_purged_before() {
    let first = site("varnish").start();
    fill(&first, page("/b"));
    for turn in 0..3 {
        let target = format!("/a/{turn}");
        fill(&first, page(&target));
        let before = get(&first, page(&target)).text();
        purge_prefix(&first, "/a", &[]);
        let port = Port::take();
        let conf = site("varnish").conf(port.address(), &first.redis, &first.backend);
        let second = Nginx::start(&conf, port.address());
        let clients = crowd(port.address(), 40, |_| of_example(&target));
        for answer in clients.answers() {
            assert_ne!(answer.text(), before, "{turn}");
        }
        let answer = second.client().ask(&of_example("/b"));
        assert_eq!(answer.word(), "HIT", "{turn}");
        second.finish();
    }
}

/// An nginx that fills nothing hears of purges, too.
#[test]
fn an_nginx_with_hits_alone_is_told_of_purges() {
    let listeners = |redis: &Redis| {
        let (_, number): (String, usize) = redis.command(&["PUBSUB", "NUMSUB", LOG]);
        number
    };
    let first = site("varnish").start();
    fill(&first, page("/a"));
    wait_for("the first listener", PATIENCE, || {
        listeners(&first.redis) == 1
    });
    let port = Port::take();
    let conf = site("varnish").conf(port.address(), &first.redis, &first.backend);
    let second = Nginx::start(&conf, port.address());
    assert_eq!(second.client().ask(&of_example("/a")).word(), "HIT");
    wait_for("the second listener", PATIENCE, || {
        listeners(&first.redis) == 2
    });
    second.finish();
}

/// The workers share nothing of a store whose address comes from a variable, and yet what one purges holds for all.
#[test]
fn a_store_at_an_address_of_a_variable() {
    let site = site("varnish")
        .workers(2)
        .spread()
        .location("set $cache_pass redis://127.0.0.1:$http_x_port;")
        .start();
    let port = site.redis.port().to_string();
    let page = of_example("/a").header("X-Port", &port);
    let purge = Request::new("PURGE", "/a*")
        .header("Host", "example.com")
        .header("X-Port", &port);
    let (mut one, mut other) = (site.client(), site.client());
    for turn in 0..40 {
        // New connections now and then: either worker may have either.
        if turn % 4 == 0 {
            (one, other) = (site.client(), site.client());
        }
        let mut before = String::new();
        for client in [&mut one, &mut other] {
            wait_for("a hit", PATIENCE, || {
                let answer = client.ask(&page);
                before = answer.text();
                answer.word() == "HIT"
            });
        }
        assert_eq!(one.ask(&purge).status, 200);
        for client in [&mut other, &mut one] {
            let answer = client.ask(&page);
            assert_ne!(answer.text(), before, "{turn}: {}", answer.word());
        }
    }
}

/// What SSI includes is a record of its own: it is purged by its own URI, and not by that of the page.
#[test]
fn a_subrequest_is_purged_by_its_own_uri() {
    let site = Site::new()
        .server("redis_cache_purge_allow 127.0.0.1;")
        .location("redis_cache_key $scheme://$host$uri$is_args$args; redis_cache_purge_style varnish; ssi on; ssi_types text/plain;")
        .start();
    let body = "page <!--#include virtual=\"/part/%25a?b=1\" -->";
    site.backend
        .set("/page", Answer::ok(body).content_type("text/plain"));
    let asked = || (site.backend.hits("/page"), site.backend.hits("/part/%25a"));
    let ask = || {
        let answer = get(&site, page("/page"));
        assert_eq!(answer.status, 200);
        assert!(
            answer.text().starts_with("page GET /part/"),
            "{}",
            answer.text()
        );
    };
    let settle = |wanted: (usize, usize)| {
        wait_for("both records", PATIENCE, || {
            let keys: usize = site.redis.command(&["DBSIZE"]);
            ask();
            assert_eq!(asked(), wanted);
            keys >= 2
        });
    };
    settle((1, 1));
    for (prefix, wanted) in [
        ("/other", (1, 1)),
        ("/page", (2, 1)),
        ("/part/", (2, 2)),
        ("/part/%25a?b=1", (2, 3)),
        ("/part/%25a?b=2", (2, 3)),
    ] {
        purge_prefix(&site, prefix, &[]);
        ask();
        assert_eq!(asked(), wanted, "{prefix}");
        // Both are there again before the next purge.
        wait_for("no fill", PATIENCE, || {
            ask();
            asked() == wanted
        });
    }
}
