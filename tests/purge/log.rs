//! The log of purges in the store: its numbers, its bound, what becomes of it in trouble, and what of records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Gate, Nginx, PATIENCE, Port, Position, Record, Redis, RedisCluster, Request, Response,
    Running, Site, wait_for,
};

use crate::{fill, fill_tagged, get, request, site};

const LOG: &str = "redis_cache:purges";

/// Numbers in a second.
const SECOND: u64 = 1 << 20;

/// How much higher the first number of another server is.
const OTHER: u64 = SECOND << 12;

/// The members of the log with their numbers.
fn members(redis: &Redis) -> BTreeMap<String, u64> {
    let listed: Vec<(String, u64)> = redis.command(&["ZRANGE", LOG, "0", "-1", "WITHSCORES"]);
    listed.into_iter().collect()
}

#[track_caller]
fn purge(site: &Running, lines: &[&str]) {
    let answer = site.ask(&request(lines));
    assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
}

#[track_caller]
fn purge_prefix(site: &Running, prefix: &str) {
    let line = format!("PURGE {prefix}*");
    purge(site, &[&line, "Host: example.com"]);
}

fn page(target: &str) -> (&str, &str) {
    ("example.com", target)
}

fn of_example(target: &str) -> Request {
    Request::get(target).header("Host", "example.com")
}

#[test]
fn a_purge_is_one_member_with_a_number_that_grows() {
    let site = site("varnish").start();
    let number = |members: &BTreeMap<String, u64>| members["prefix hard example.com/a"];
    purge_prefix(&site, "/a");
    let first = members(&site.redis);
    assert_eq!(first.len(), 2, "{first:?}");
    assert!(
        first
            .iter()
            .any(|(member, number)| member.starts_with("server ")
                && *number == first["prefix hard example.com/a"])
    );
    let time: (u64, u64) = site.redis.command(&["TIME"]);
    assert!(number(&first) >= (time.0 - 60) * SECOND, "{first:?}");
    assert!(number(&first) <= (time.0 + 1) * SECOND, "{first:?}");
    purge_prefix(&site, "/a");
    let second = members(&site.redis);
    assert!(second.keys().eq(first.keys()), "{second:?}");
    assert!(number(&second) > number(&first));
    let expiry = site.redis.pttl(LOG);
    assert!(expiry > 2_000_000_000_000, "{expiry}");
}

/// Another server, with a clock that is behind: what its master may have given it never gives.
#[test]
fn a_replica_that_takes_over_gives_higher_numbers() {
    let site = site("varnish").start();
    purge_prefix(&site, "/a");
    let time: (u64, u64) = site.redis.command(&["TIME"]);
    let ahead = (time.0 + 1000) * SECOND;
    let _: i64 = site
        .redis
        .command(&["ZADD", LOG, &ahead.to_string(), "host hard example.org"]);
    let ahead_text = ahead.to_string();
    let other = ["ZADD", LOG, &ahead_text, "server 0123456789abcdef"];
    let _: i64 = site.redis.command(&other);
    purge_prefix(&site, "/a");
    let now = members(&site.redis);
    assert_eq!(now["prefix hard example.com/a"], ahead + OTHER, "{now:?}");
    purge_prefix(&site, "/b");
    assert_eq!(
        members(&site.redis)["prefix hard example.com/b"],
        ahead + OTHER + 1
    );
}

#[test]
fn no_number_is_given_that_redis_cannot_hold() {
    let site = site("varnish").start();
    fill(&site, page("/a"));
    let last = (1_u64 << 53) - 1;
    let _: i64 = site
        .redis
        .command(&["ZADD", LOG, &last.to_string(), "host hard example.org"]);
    let answer = site.ask(&request(&["PURGE /a*", "Host: example.com"]));
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(
        answer.text().contains("no number is left"),
        "{}",
        answer.text()
    );
    assert_eq!(get(&site, page("/a")).word(), "HIT");
}

/// What is dropped counts as more: all records from before are purged.
#[test]
fn a_full_log_forgets_its_oldest_by_purging_more() {
    let site = site("varnish").start();
    fill(&site, page("/old"));
    let filler = "local t=tonumber(redis.call('TIME')[1])*1048576 \
                  for n=1,16384 do redis.call('ZADD',KEYS[1],t+n,'tag '..(n==7 and 'soft' or 'hard')..string.format(' %016x',n)) end \
                  return string.format('%.0f',t)";
    let before: u64 = site.redis.command(&["EVAL", filler, "1", LOG]);
    let slowlog = |words: &[&str]| -> String { site.redis.command(words) };
    slowlog(&["CONFIG", "SET", "slowlog-log-slower-than", "0"]);
    slowlog(&["SLOWLOG", "RESET"]);
    purge_prefix(&site, "/b");
    println!(
        "the purge took Redis {:?} us",
        crate::size::slow(&site.redis)
    );
    let now = members(&site.redis);
    assert!(now.len() <= 16_384, "{}", now.len());
    assert_eq!(now["floor soft"], before + 7);
    assert_eq!(now["floor hard"], before + 128);
    assert!(now.contains_key(&format!("tag hard {:016x}", 129)));
    assert!(!now.contains_key(&format!("tag hard {:016x}", 128)));
    // No entry selects it, but one might have that is gone.
    assert_eq!(get(&site, page("/old")).word(), "STORE");
}

/// The log is gone: each nginx puts back what it knows.
#[test]
fn a_log_that_is_lost_is_put_back() {
    // Each worker has a copy of its own, of what it has needed.
    let site = site("varnish").workers(1).start();
    for target in ["/a/1", "/b"] {
        fill(&site, page(target));
    }
    purge_prefix(&site, "/a/");
    assert_eq!(get(&site, page("/a/1")).word(), "STORE");
    let name = "prefix hard example.com/a/";
    let before = members(&site.redis)[name];
    let _: i64 = site.redis.command(&["DEL", LOG]);
    wait_for("the purge to be back", PATIENCE, || {
        // By a new number: others may have read on meanwhile.
        members(&site.redis).get(name) > Some(&before)
    });
    let log = site.nginx.log();
    assert!(
        log.wait_for(Position::default(), "had lost purges", PATIENCE)
            .is_some()
    );
    assert_eq!(get(&site, page("/b")).word(), "HIT");
    // A replica that takes the master's place may lack the newest, and give numbers before anybody asks.
    fill(&site, page("/c"));
    let lost = members(&site.redis);
    purge_prefix(&site, "/c");
    let newest = members(&site.redis)["prefix hard example.com/c"];
    // Both at once: nobody reads what is in between.
    let _: i64 = site.redis.command(&[
        "EVAL",
        "redis.call('ZREM',KEYS[1],ARGV[1]) return redis.call('ZADD',KEYS[1],ARGV[2],ARGV[3])",
        "1",
        LOG,
        "prefix hard example.com/c",
        &(newest + SECOND).to_string(),
        "host hard example.org",
    ]);
    wait_for("the newest purge to be back", PATIENCE, || {
        members(&site.redis).get("prefix hard example.com/c") > Some(&(newest + SECOND))
    });
    assert_eq!(
        members(&site.redis)[name],
        lost[name],
        "this one wasn't lost"
    );
}

/// What was begun before a purge and ends after it brings what is purged.
#[test]
fn a_fill_under_way_brings_nothing_that_counts() {
    let site = site("varnish").start();
    let gate = Gate::new();
    site.backend.script("/a", {
        let gate = gate.clone();
        move |_, nth| match nth {
            1 => Answer::ok("old").gate_at(1, &gate),
            _ => Answer::ok("new"),
        }
    });
    let mut client = site.client();
    client.send(&of_example("/a")).unwrap();
    site.backend.wait_for_hits("/a", 1);
    purge_prefix(&site, "/a");
    // Nobody joins it who comes after the purge.
    let mut later: Vec<_> = (0..4).map(|_| site.client()).collect();
    for client in &mut later {
        client.send(&of_example("/a")).unwrap();
    }
    gate.open();
    assert_eq!(client.receive().unwrap().text(), "old");
    for client in &mut later {
        assert_eq!(client.receive().unwrap().text(), "new");
    }
    assert_eq!(site.backend.hits("/a"), 2, "one fill for all of them");
    wait_for("the record", PATIENCE, || {
        get(&site, page("/a")).word() == "HIT"
    });
}

/// A record that is found purged goes from Redis, and no other.
#[test]
fn what_is_found_purged_is_deleted() {
    let site = site("varnish")
        .location("redis_cache_no_store $arg_no;")
        .start();
    let key = "http://example.com/a";
    fill(&site, page("/a"));
    purge_prefix(&site, "/a");
    assert!(site.redis.get(key).is_some());
    site.backend.set(
        "/a",
        Answer::ok("private").header("Cache-Control", "private"),
    );
    assert_eq!(get(&site, page("/a")).text(), "private");
    wait_for("the end of the record", PATIENCE, || {
        site.redis.get(key).is_none()
    });
}

/// The Lua script writes no labels: nobody knows whose record it is.
#[test]
fn a_record_without_labels_is_selected_by_each_purge() {
    let site = site("varnish").start();
    let key = "http://example.com/lua";
    site.redis.put(key, &Record::lua_text("old"), 160);
    assert_eq!(get(&site, page("/lua")).word(), "HIT");
    purge_prefix(&site, "/other");
    assert_eq!(get(&site, page("/lua")).word(), "STORE");
    wait_for("the record", PATIENCE, || {
        get(&site, page("/lua")).word() == "HIT"
    });
    purge_prefix(&site, "/other");
    assert_eq!(get(&site, page("/lua")).word(), "HIT", "it has labels now");
    // The script writes over a record and leaves what it doesn't know: the labels are those of another record.
    let _: i64 = site.redis.command(&[
        "HSET", key, "status", "200", "headers", "{}", "body", "of lua",
    ]);
    assert_eq!(get(&site, page("/lua")).word(), "STORE");
}

/// A 304 that was asked for after a purge says that the record is right.
#[test]
fn what_is_confirmed_since_is_fresh() {
    let site = site("varnish")
        .location("redis_cache_age 100s; redis_cache_stale 100s;")
        .start();
    site.backend.script("/a", |request, _| {
        let answer = match request.header("if-none-match") {
            Some(_) => Answer::of(304, ""),
            None => Answer::ok("whole"),
        };
        answer.header("ETag", "\"1\"")
    });
    fill(&site, page("/a"));
    let soft = ["PURGE /a*", "Host: example.com", "Fastly-Soft-Purge: 1"];
    purge(&site, &soft);
    assert_eq!(get(&site, page("/a")).word(), "STALE");
    wait_for("the validation", PATIENCE, || {
        get(&site, page("/a")).word() == "HIT"
    });
    let counts: Vec<_> = site
        .backend
        .requests("/a")
        .iter()
        .map(|r| r.header("if-none-match").is_some())
        .collect();
    assert_eq!(counts, [false, true]);
    purge(&site, &soft);
    assert_eq!(
        get(&site, page("/a")).word(),
        "STALE",
        "a later purge counts again"
    );
}

/// How long a record may be served stale counts from when it was first found purged, and its age goes on.
#[test]
fn a_soft_purge_leaves_no_more_than_the_time_of_stale_records() {
    let form = |memory: bool| {
        let site = if memory {
            Site::new()
                .memory_alone("memory 16m;")
                .server("redis_cache_purge_allow 127.0.0.1;")
                .location(&format!("{} redis_cache_purge_style varnish;", crate::KEY))
        } else {
            site("varnish")
        };
        site.location("redis_cache_age 1000s; redis_cache_stale 2s; redis_cache_use_stale updating error http_500;").start()
    };
    for memory in [false, true] {
        let site = form(memory);
        site.backend.script("/a", |_, nth| match nth {
            1 => Answer::ok("old").header("Age", "50"),
            2..6 => Answer::of(500, "failed"),
            _ => Answer::ok("new"),
        });
        assert_eq!(get(&site, page("/a")).word(), "STORE");
        wait_for("the record", PATIENCE, || {
            get(&site, page("/a")).word() == "HIT"
        });
        purge(
            &site,
            &["PURGE /a*", "Host: example.com", "Fastly-Soft-Purge: 1"],
        );
        let stale = get(&site, page("/a"));
        assert_eq!(
            (stale.word().as_str(), stale.text().as_str()),
            ("STALE", "old")
        );
        if !memory {
            // It is shortened behind the client's back.
            wait_for("the shorter expiry", PATIENCE, || {
                let left: i64 = site.redis.command(&["PTTL", "http://example.com/a"]);
                left <= 2000
            });
        }
        let mut ages = Vec::new();
        wait_for("the end of the stale record", PATIENCE, || {
            let answer = get(&site, page("/a"));
            ages.extend(
                answer
                    .header("age")
                    .filter(|_| answer.text() == "old")
                    .map(|age| age.parse::<u64>().unwrap()),
            );
            answer.text() == "new"
        });
        assert!(
            ages.iter().all(|age| (50..100).contains(age)),
            "{memory}: {ages:?}"
        );
    }
}

#[test]
fn variants_go_by_their_own_tags() {
    let site = site("varnish").start();
    site.backend.script("/v", |request, nth| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(format!("{language} {nth}"))
            .header("Vary", "Accept-Language")
            .header("Surrogate-Key", language)
    });
    let ask = |language: &str| site.ask(&of_example("/v").header("Accept-Language", language));
    for language in ["de", "en", "fr"] {
        assert_eq!(ask(language).word(), "STORE");
        wait_for("the variant", PATIENCE, || ask(language).word() == "HIT");
    }
    purge(&site, &["PURGE /", "Host: example.com", "xkey: en"]);
    assert_eq!([ask("fr").word(), ask("de").word()], ["HIT", "HIT"]);
    assert_eq!(ask("en").word(), "STORE");
    wait_for("the variant", PATIENCE, || ask("en").word() == "HIT");
    // This one is where the key says which variants there are.
    purge(&site, &["PURGE /", "Host: example.com", "xkey: de"]);
    assert_eq!(ask("de").word(), "STORE");
    wait_for("the variant", PATIENCE, || ask("de").word() == "HIT");
    assert_eq!([ask("fr").word(), ask("en").word()], ["HIT", "HIT"]);
    purge(&site, &["PURGE /v*", "Host: example.com"]);
    for language in ["fr", "en", "de"] {
        assert_eq!(ask(language).word(), "STORE", "{language}");
    }
}

/// Tags aren't for clients, whether the answer comes from the backend or from the cache.
#[test]
fn clients_get_no_tags_but_groups() {
    let site = site("varnish").start();
    let names = ["Surrogate-Key", "Cache-Tag", "xkey"];
    let mut answer = Answer::ok("tagged").header("Cache-Groups", "\"g\"");
    for name in names {
        answer = answer.header(name, "t");
    }
    site.backend.set("/t", answer);
    let check = |response: &Response| {
        assert_eq!(
            response.header("cache-groups"),
            Some("\"g\"".to_owned()),
            "{}",
            response.word()
        );
        for name in names {
            assert_eq!(response.header(name), None, "{}: {name}", response.word());
        }
    };
    let first = get(&site, page("/t"));
    check(&first);
    assert_eq!(first.word(), "STORE");
    wait_for("the record", PATIENCE, || {
        get(&site, page("/t")).word() == "HIT"
    });
    check(&get(&site, page("/t")));
}

/// Two nginx: what one purges holds on the other, which may have the record in its memory.
struct Two {
    a: Running,
    b: Nginx,
    _port: Port,
}

impl Two {
    #[track_caller]
    fn start(site: &Site, redis: Redis) -> Two {
        let a = site.start_with(redis);
        let port = Port::take();
        let conf = site.conf(port.address(), &a.redis, &a.backend);
        Two {
            b: Nginx::start(&conf, port.address()),
            a,
            _port: port,
        }
    }

    fn at_b(&self, target: &str) -> Response {
        self.b.client().ask(&of_example(target))
    }

    #[track_caller]
    fn obeys(&self, name: &str, bound: Duration) {
        for turn in 0..5 {
            wait_for("a hit at B", PATIENCE, || self.at_b("/p").word() == "HIT");
            wait_for("a hit at B", PATIENCE, || self.at_b("/q").word() == "HIT");
            let before = self.a.backend.hits("/p");
            purge_prefix(&self.a, "/p");
            let acknowledged = Instant::now();
            wait_for("the purge at B", PATIENCE, || {
                let asked = acknowledged.elapsed();
                let body = self.at_b("/p").text();
                let is_new = body.parse::<usize>().is_ok_and(|nth| nth > before);
                assert!(is_new || asked < bound, "{name}, {turn}: {asked:?}");
                is_new
            });
            assert_eq!(self.at_b("/q").word(), "HIT", "{name}, {turn}");
        }
    }
}

#[test]
fn it_holds_on_other_machines() {
    let cluster = RedisCluster::options().replicas(0).start();
    let unheard = ["ACL", "SETUSER", "default", "resetchannels"];
    for (name, store, commands) in [
        ("pushed", String::new(), None),
        ("in memory", String::from("memory 16m;"), None),
        ("asked for", String::new(), Some(unheard)),
        ("cluster", cluster.directives(), None),
        (
            "cluster with memory",
            format!("{} memory 16m;", cluster.directives()),
            None,
        ),
    ] {
        let site = site("varnish").store(&store);
        let redis = Redis::start();
        if let Some(words) = commands {
            let _: () = redis.command(&words);
        }
        let two = Two::start(&site, redis);
        for target in ["/p", "/q"] {
            two.a
                .backend
                .script(target, |_, nth| Answer::ok(nth.to_string()));
        }
        // A lookup knows what is a second old, however busy the machine is. So does memory, unless a worker is stopped just then.
        let bound = if name.contains("memory") { 3 } else { 1 };
        two.obeys(name, Duration::from_secs(bound));
        two.b.finish();
    }
}

/// A nginx that is started later knows the purges from before.
#[test]
fn it_holds_where_nginx_is_started_since() {
    let first = site("varnish").start();
    fill(&first, page("/a"));
    fill(&first, page("/b"));
    purge_prefix(&first, "/a");
    let port = Port::take();
    let conf = site("varnish").conf(port.address(), &first.redis, &first.backend);
    let second = Nginx::start(&conf, port.address());
    assert_eq!(second.client().ask(&of_example("/a")).word(), "STORE");
    assert_eq!(second.client().ask(&of_example("/b")).word(), "HIT");
    second.finish();
}

/// Without the right to read the log its purges aren't known, and all else goes on.
#[test]
fn where_the_log_may_not_be_read_the_log_of_nginx_says_so_once() {
    let redis = Redis::start();
    let _: () = redis.command(&["ACL", "SETUSER", "default", "-zrangebyscore"]);
    let site = site("varnish").start_with(redis);
    fill(&site, page("/a"));
    fill_tagged(&site, page("/b"), ("xkey", "t"));
    let log = site.nginx.log();
    let line = "purges aren't known: ";
    assert!(
        log.wait_for(Position::default(), line, PATIENCE).is_some(),
        "{}",
        log.tail(10)
    );
    assert_eq!(get(&site, page("/a")).word(), "HIT");
    // Whoever may write it and can't read it takes each purge for one of everything.
    purge_prefix(&site, "/a");
    assert_eq!(get(&site, page("/b")).word(), "STORE");
    assert!(log.matching(Position::default(), line).len() <= 2);
}

/// More tags than are read at once.
#[test]
fn each_of_many_tags_is_purged() {
    let site = site("varnish")
        .server("large_client_header_buffers 4 64k;\n")
        .start();
    let tags: Vec<String> = (0..1500).map(|number| format!("t{number}")).collect();
    for number in [0, 700, 1100, 1499] {
        fill_tagged(&site, page(&format!("/{number}")), ("xkey", &tags[number]));
    }
    fill_tagged(&site, page("/other"), ("xkey", "u"));
    let field = format!("xkey: {}", tags.join(" "));
    purge(&site, &["PURGE /", "Host: example.com", &field]);
    for number in [0, 700, 1100, 1499] {
        let answer = get(&site, page(&format!("/{number}")));
        assert_eq!(answer.word(), "STORE", "{number}");
    }
    assert_eq!(get(&site, page("/other")).word(), "HIT");
}
