//! Where a server doesn't push changes, or not to this user: the module's own messages tell of what it changes itself, and no
//! record is used for longer than a second.

use std::time::{Duration, Instant};

use testbed::{
    Answer, Client, Gate, PATIENCE, Position, Proxy, Record, Redis, RedisCluster, Request, Rule,
    Running, Site, Way, ms, wait_for,
};

use super::{SLACK, put_and_warm, site, source, warm};

/// How long a record may be served that changed unheard.
const SECOND: Duration = Duration::from_secs(1);

/// A message comes sooner than a second is over, on a busy machine too.
const TOLD: Duration = Duration::from_millis(700);

/// The user that may not track, and the one that may.
const USERS: &str = "username dumb; password word;";
const TRACKING: &str = "username cache; password word;";

/// A server with both.
fn redis() -> Redis {
    let redis = Redis::start();
    for (name, but) in [("dumb", "-client"), ("cache", "+ping")] {
        let words = [
            "ACL", "SETUSER", name, "on", ">word", "~*", "&*", "+@all", but,
        ];
        let _: () = redis.command(&words);
    }
    redis
}

/// A site whose user may not track.
fn dumb(lines: &str) -> Site {
    site(lines).location("redis_cache_invalidate on;")
}

/// Another nginx before the same Redis.
fn beside(site: &Running, lines: &str, user: &str) -> Running {
    dumb(lines)
        .store(&format!("server {}; {user}", site.redis.address()))
        .start()
}

/// Asks again and again until the old text is gone; gives how long that took.
#[track_caller]
fn until_gone(client: &mut Client, target: &str, old: &str, begun: Instant) -> Duration {
    let mut last = Duration::ZERO;
    while client.get(target).text() == old {
        last = begun.elapsed();
        assert!(last < PATIENCE, "{target} is never gone");
    }
    last
}

/// Waits for the line that says how records are used.
#[track_caller]
fn wait_for_messages(site: &Running) {
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "for 1000 ms at most", PATIENCE);
    assert!(line.is_some(), "{}", log.tail(20));
}

/// What was told was heard of by that: more often than not in less time than what is unheard is used for. A busy machine delays
/// some of it.
#[track_caller]
fn assert_told(mut times: Vec<Duration>) {
    times.sort();
    assert!(times[times.len() / 2] < TOLD, "{times:?}");
    assert!(times.iter().all(|took| *took < SECOND + SLACK), "{times:?}");
}

/// What others change is unheard, and yet used for a second at most.
#[track_caller]
fn assert_used_for_a_second(site: &Running, client: &mut Client) {
    for round in 0..3 {
        let text = format!("round {round}");
        put_and_warm(site, client, "/unheard", &text);
        let _: i64 = site.redis.command(&["DEL", &site.key("/unheard")]);
        let took = until_gone(client, "/unheard", &text, Instant::now());
        println!("the last old answer after {took:?}");
        assert!(took < SECOND + SLACK, "{took:?}");
    }
}

#[test]
fn a_user_that_may_not_track_is_told_by_all_machines() {
    let one = dumb("").store(USERS).start_with(redis());
    wait_for_messages(&one);
    for user in [TRACKING, USERS] {
        let other = beside(&one, "", user);
        let (mut here, mut there) = (one.client(), other.client());
        // Both listen.
        put_and_warm(&one, &mut here, "/both", "both");
        warm(&mut there, "/both");
        let mut times = Vec::new();
        for round in 0..10 {
            let text = format!("{user} {round}");
            put_and_warm(&one, &mut here, "/told", &text);
            let begun = Instant::now();
            assert_eq!(there.ask(&Request::post("/told", "x")).status, 200);
            let took = until_gone(&mut here, "/told", &text, begun);
            times.push(took);
        }
        assert_told(times);
    }
}

#[test]
fn a_refill_elsewhere_is_told() {
    let one = dumb("").store(USERS).start_with(redis());
    wait_for_messages(&one);
    let other = beside(&one, "", TRACKING);
    let (mut here, mut there) = (one.client(), other.client());
    let key = one.key("/refilled");
    let mut times = Vec::new();
    for round in 0..10 {
        let text = format!("new {round}");
        other.backend.set("/refilled", Answer::ok(text.clone()));
        one.redis.put(&key, &Record::lua_text("old"), 600);
        warm(&mut here, "/refilled");
        // It is gone, and nobody here hears of that; the other machine does, and fills it anew.
        let begun = Instant::now();
        let _: i64 = one.redis.command(&["DEL", &key]);
        wait_for("the other machine to fill it", PATIENCE, || {
            there.get("/refilled").text() == text
        });
        let took = until_gone(&mut here, "/refilled", "old", begun);
        times.push(took);
    }
    assert_told(times);
}

#[test]
fn what_nobody_tells_of_is_used_for_a_second() {
    let site = dumb("").store(USERS).start_with(redis());
    wait_for_messages(&site);
    let mut client = site.client();
    assert_used_for_a_second(&site, &mut client);
    assert_eq!(
        site.nginx
            .log()
            .matching(Position::default(), "memory")
            .len(),
        1
    );
}

#[test]
fn a_listener_that_is_frozen_is_believed_for_a_second() {
    let site = dumb("").workers(2).spread().store(USERS);
    let site = site.start_with(redis());
    wait_for_messages(&site);
    let mut clients = site.client_of_each("/frozen");
    // Whoever of the two listens: each is frozen once.
    for frozen in 0..2 {
        let other = 1 - frozen;
        let text = format!("round {frozen}");
        put_and_warm(&site, &mut clients[other].1, "/frozen", &text);
        let worker = site.nginx.freeze_worker(clients[frozen].0);
        let begun = Instant::now();
        let _: i64 = site.redis.command(&["DEL", &site.key("/frozen")]);
        let took = until_gone(&mut clients[other].1, "/frozen", &text, begun);
        println!("the last old answer after {took:?}");
        assert!(took < SECOND + SLACK, "{took:?}");
        drop(worker);
    }
}

#[test]
fn a_server_without_tracking_does_with_messages() {
    for command in ["CLIENT", "HELLO"] {
        let redis = Redis::with_options(&["--rename-command", command, ""]);
        let one = dumb("").start_with(redis);
        wait_for_messages(&one);
        let mut here = one.client();
        assert_used_for_a_second(&one, &mut here);
        let other = beside(&one, "", "");
        let mut there = other.client();
        let mut times = Vec::new();
        for round in 0..5 {
            let text = format!("{command} {round}");
            put_and_warm(&one, &mut here, "/told", &text);
            let begun = Instant::now();
            assert_eq!(there.ask(&Request::post("/told", "x")).status, 200);
            let took = until_gone(&mut here, "/told", &text, begun);
            times.push(took);
        }
        assert_told(times);
    }
}

#[test]
fn without_tracking_and_messages_nothing_is_kept_and_the_log_says_why() {
    let redis = redis();
    let rights = ["ACL", "SETUSER", "dumb", "resetchannels"];
    let _: () = redis.command(&rights);
    let site = dumb("").store(USERS).start_with(redis);
    let log = site.nginx.log();
    let line = log.wait_for(Position::default(), "memory isn't used", PATIENCE);
    let line = line.unwrap_or_else(|| panic!("{}", log.tail(20)));
    for word in ["+client|tracking", "&redis_cache:", "+subscribe"] {
        assert!(line.contains(word), "{line}");
    }
    let mut client = site.client();
    site.redis
        .put(&site.key("/none"), &Record::lua_text("none"), 600);
    for _ in 0..20 {
        assert_eq!(source(&mut client, "/none"), "store");
    }
    // Writes go on without the right to publish.
    assert_eq!(client.get("/filled").status, 200);
    let _ = site.redis.wait_for_record(&site.key("/filled"));
    assert_eq!(client.ask(&Request::post("/filled", "x")).status, 200);
    wait_for("the record to be gone", PATIENCE, || {
        site.redis.get(&site.key("/filled")).is_none()
    });
    assert_eq!(log.matching(Position::default(), "memory").len(), 1);
    // Nobody's log of refusals is filled by that.
    let refused: Vec<redis::Value> = site.redis.command(&["ACL", "LOG"]);
    let shown = format!("{refused:?}");
    assert!(!shown.contains("publish"), "{shown}");
}

#[test]
fn each_change_is_told_with_all_its_keys() {
    let site = dumb("prefix=/in/").start();
    let client = redis::Client::open(format!("redis://{}/", site.redis.address())).unwrap();
    let mut connection = client.get_connection().unwrap();
    let mut heard = connection.as_pubsub();
    heard.subscribe("redis_cache:/in/").unwrap();
    heard.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = || {
        let message = heard.get_message().unwrap();
        message.get_payload::<String>().unwrap()
    };
    site.backend.script("/in/varies", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    site.backend.script("/in/checked", |request, _| {
        let answer = match request.header("if-none-match") {
            Some(_) => Answer::of(304, ""),
            None => Answer::ok("checked"),
        };
        answer
            .header("ETag", "\"1\"")
            .header("Cache-Control", "max-age=60, must-revalidate")
    });
    let mut client = site.client();
    // A key that isn't of the prefix is none that anybody keeps.
    assert_eq!(client.get("/out").status, 200);
    let _ = site.redis.wait_for_record(&site.key("/out"));
    // A record is written, confirmed, and deleted.
    let key = site.key("/in/checked");
    assert_eq!(client.get("/in/checked").status, 200);
    assert_eq!(told(), key);
    site.make_stale("/in/checked");
    assert_eq!(client.get("/in/checked").status, 200);
    assert_eq!(told(), key);
    assert_eq!(client.ask(&Request::post("/in/checked", "x")).status, 200);
    assert_eq!(told(), key);
    // The second variant has a key of its own.
    let key = site.key("/in/varies");
    let ask = |language| Request::get("/in/varies").header("Accept-Language", language);
    assert_eq!(client.ask(&ask("de")).text(), "de");
    assert_eq!(told(), key);
    assert_eq!(client.ask(&ask("fr")).text(), "fr");
    assert_eq!(told(), key);
    let slot = told();
    assert!(slot.contains(&key) && slot != key, "{slot}");
    assert!(site.redis.keys().contains(&slot), "{slot}");
}

#[test]
fn in_a_cluster_messages_do_too() {
    let cluster = RedisCluster::options()
        .line("rename-command CLIENT \"\"")
        .start();
    let store = format!("{} read_timeout 800ms;", cluster.directives());
    let one = dumb("").store(&store).start();
    let other = dumb("").store(&store).start();
    wait_for_messages(&one);
    wait_for_messages(&other);
    let (mut here, mut there) = (one.client(), other.client());
    for master in cluster.masters() {
        let path = cluster.key_at(master, "/told/");
        let mut times = Vec::new();
        for round in 0..5 {
            let text = format!("{master} {round}");
            wait_for("the record in memory", PATIENCE, || {
                cluster.put(&path, &Record::lua_text(&text), 600);
                warm(&mut here, &path);
                here.get(&path).text() == text
            });
            let begun = Instant::now();
            assert_eq!(there.ask(&Request::post(&path, "x")).status, 200);
            let took = until_gone(&mut here, &path, &text, begun);
            times.push(took);
        }
        assert_told(times);
    }
}

#[test]
fn without_a_feed_a_change_that_may_come_late_keeps_nothing_old() {
    let redis = Redis::start();
    let door = Proxy::start(&redis.address());
    let store = format!(
        "server {}; read_timeout 500ms; max_fails 60;",
        door.address()
    );
    let site = dumb("valid=30s feed=off").store(&store).start_with(redis);
    let mut client = site.client();
    for round in 0..2 {
        let (path, gate) = (format!("/late/{round}"), Gate::new());
        put_and_warm(&site, &mut client, &path, "old");
        // The deletion is sent, and comes to Redis long after its time is over.
        door.set(Way::Commands, Rule::hold(&gate));
        assert_eq!(client.ask(&Request::post(&path, "x")).status, 200);
        door.heal();
        for _ in 0..5 {
            assert_eq!(client.get(&path).text(), "old");
        }
        gate.open();
        wait_for("the deletion", PATIENCE, || {
            site.redis.get(&site.key(&path)).is_none()
        });
        assert_ne!(client.get(&path).text(), "old");
    }
}

#[test]
fn valid_alone_may_do_without_a_feed() {
    let redis = redis();
    let rights = ["ACL", "SETUSER", "dumb", "resetchannels"];
    let _: () = redis.command(&rights);
    let site = dumb("valid=1500ms feed=off").store(USERS).start_with(redis);
    let mut client = site.client();
    for round in 0..3 {
        let text = format!("round {round}");
        put_and_warm(&site, &mut client, "/alone", &text);
        let begun = Instant::now();
        let _: i64 = site.redis.command(&["DEL", &site.key("/alone")]);
        let took = until_gone(&mut client, "/alone", &text, begun);
        println!("the last old answer after {took:?}");
        assert!(took < ms(1500) + SLACK, "{took:?}");
    }
    // A change of its own counts at once.
    for round in 0..5 {
        let text = format!("own {round}");
        put_and_warm(&site, &mut client, "/alone", &text);
        assert_eq!(client.ask(&Request::post("/alone", "x")).status, 200);
        assert_ne!(client.get("/alone").text(), text);
    }
    // Nobody listens.
    let clients: String = site.redis.command(&["CLIENT", "LIST"]);
    assert!(!clients.contains("cmd=subscribe"), "{clients}");
    assert!(site.nginx.log().serious(Position::default()).is_empty());
}
