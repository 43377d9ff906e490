//! No-Vary-Search with several workers and machines: a rule that one learns serves all, and nobody gets a response that its own
//! rule says is for other arguments, whatever the backend says and when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use testbed::{
    Answer, Client, Gate, Nginx, PATIENCE, Port, Position, Received, Request, Response, Running,
    Site, wait_for,
};

const LOCATION: &str = r#"redis_cache_args no_vary_search;
    redis_cache_key "$redis_cache_args $uri";
    redis_cache_purge_style varnish; redis_cache_purge_allow 127.0.0.1;"#;

fn site() -> Site {
    Site::new().spread().location(LOCATION)
}

/// The value of an argument of a request to the backend.
fn argument<'a>(target: &'a str, name: &str) -> &'a str {
    let arguments = target
        .split_once('?')
        .map_or("", |(_, arguments)| arguments);
    let mut found = arguments.split('&').filter_map(|it| it.split_once('='));
    found
        .find_map(|(known, value)| (known == name).then_some(value))
        .unwrap_or_default()
}

/// What matters of a request where the rule leaves `id` and one more argument.
fn page(request: &Received, more: &str) -> String {
    let value = |name| argument(&request.target, name);
    format!("{} {more}={}", value("id"), value(more))
}

/// Waits until a fill of this key has ended so.
#[track_caller]
fn wait_for_fill(site: &Running, key: &str, how: &str) {
    let line = format!("redis_cache: fill of \"{key}\": {how}");
    let log = site.nginx.log();
    let said = log.wait_for(Position::default(), &line, PATIENCE);
    assert!(said.is_some(), "no \"{line}\": {}", log.tail(20));
}

/// Learns a rule for a path.
#[track_caller]
fn learn(site: &Running, target: &str) {
    assert_eq!(site.get(target).word(), "STORE");
    let (path, arguments) = target.split_once('?').unwrap();
    wait_for_fill(site, &format!("{arguments} {path}"), "stored");
}

fn ruled(rule: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::ok(body).header("No-Vary-Search", rule)
}

#[test]
fn workers_know_together_and_a_reload_forgets_nothing() {
    let mut site = site().workers(2).start();
    site.backend.script("/x", |request, _| {
        ruled("params=(\"x\")", page(request, "y"))
    });
    for round in 0..2 {
        let mut clients: Vec<Client> = site.each_worker("/none");
        if round == 0 {
            let first = clients[0].get("/x?id=1&x=1");
            assert_eq!(first.word(), "STORE");
            wait_for_fill(&site, "id=1&x=1 /x", "stored");
            assert_eq!(clients[1].get("/x?id=1&x=2").word(), "STORE");
            wait_for_fill(&site, "id=1#params=x /x", "stored");
        }
        for (number, client) in clients.iter_mut().enumerate() {
            let answer = client.get(&format!("/x?x={round}{number}&id=1"));
            assert_eq!(
                (answer.word().as_str(), answer.text().as_str()),
                ("HIT", "1 y=")
            );
        }
        drop(clients);
        let old = site.nginx.reload();
        site.nginx.wait_for_exit(&old, PATIENCE);
    }
    assert_eq!(site.backend.hits("/x"), 2);
}

/// Those who wait for a response get it only if it is for their arguments, too.
#[test]
fn who_waits_for_another_rule_asks_by_itself() {
    for (rule, field) in [("another rule", Some("params=(\"y\")")), ("none", None)] {
        let site = site().workers(2).start();
        site.backend.script("/x", |request, _| {
            ruled("params=(\"x\")", page(request, "y"))
        });
        learn(&site, "/x?id=1&x=1");
        let gate = Gate::new();
        let held = gate.clone();
        site.backend.script("/x", move |request, nth| {
            let body = page(request, "x");
            let answer = match field {
                Some(field) => ruled(field, body),
                None => Answer::ok(body),
            };
            if nth == 2 { answer.gate(&held) } else { answer }
        });
        let crowd = thread::scope(|scope| {
            let ask = |number| {
                let target = format!("/x?id=1&x={number}");
                let address = site.address();
                scope.spawn(move || Client::connect(address).ask(&Request::get(&target)))
            };
            let mut crowd = vec![ask(0)];
            site.backend.wait_for_hits("/x", 2);
            crowd.extend((1..10).map(ask));
            site.wait_for_waiters(9);
            gate.open();
            let ended = crowd.into_iter().map(|client| client.join().unwrap());
            ended.collect::<Vec<Response>>()
        });
        for (number, answer) in crowd.iter().enumerate() {
            assert_eq!(answer.text(), format!("1 x={number}"), "{rule}");
        }
        wait_for_fill(&site, "id=1#params=x /x", "other no-vary-search");
        // The next request has the key that is right now.
        for number in [3, 4, 3, 4] {
            let answer = site.get(&format!("/x?id=1&x={number}"));
            assert_eq!(answer.text(), format!("1 x={number}"), "{rule}");
        }
        for number in [3, 4] {
            let hit = site.wait_for_hit(&format!("/x?id=1&x={number}"));
            assert_eq!(hit.text(), format!("1 x={number}"), "{rule}");
        }
    }
}

/// The backend changes its mind all the time, with two workers, two machines and one Redis: each response is one that was
/// right for these arguments by its own rule.
#[test]
fn a_backend_that_changes_its_rule() {
    let site = site().workers(2);
    let a = site.start();
    let port = Port::take();
    let conf = site.conf(port.address(), &a.redis, &a.backend);
    let b = Nginx::start(&conf, port.address());
    let asked = Arc::new(AtomicUsize::new(0));
    let so_far = Arc::clone(&asked);
    a.backend
        .script("/x", move |request, _| match so_far.load(SeqCst) / 40 % 4 {
            0 => ruled("params=(\"x\")", format!("0 {}", page(request, "y"))),
            1 => ruled("params=(\"y\")", format!("1 {}", page(request, "x"))),
            2 => ruled(
                "params, except=(\"id\")",
                format!("2 {}", page(request, "-")),
            ),
            _ => Answer::ok(format!("3 {}", request.target)),
        });
    let addresses = [a.address(), port.address()];
    let ask = |client: usize| {
        let mut seen = [0; 4];
        let mut connection = Client::connect(addresses[client % 2]);
        for number in 0..150 {
            // New pages come all the time, and each is asked for with many arguments.
            let (id, x, y) = (number / 10, (number + client) % 4, number % 2);
            let target = format!("/x?id={id}&x={x}&y={y}");
            let text = connection.get(&target).text();
            asked.fetch_add(1, SeqCst);
            let wanted = [
                format!("0 {id} y={y}"),
                format!("1 {id} x={x}"),
                format!("2 {id} -="),
                format!("3 {target}"),
            ];
            let which = wanted.iter().position(|wanted| *wanted == text);
            let which = which.unwrap_or_else(|| panic!("{target}: {text}"));
            seen[which] += 1;
        }
        seen
    };
    let seen = thread::scope(|scope| {
        let ask = &ask;
        let clients: Vec<_> = (0..8)
            .map(|client| scope.spawn(move || ask(client)))
            .collect();
        let mut seen = [0; 4];
        for client in clients {
            for (all, own) in seen.iter_mut().zip(client.join().unwrap()) {
                *all += own;
            }
        }
        seen
    });
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    drop(b);
}

/// A machine that doesn't know the rule purges the record that another one has stored by it.
#[test]
fn a_purge_by_a_machine_without_the_rule() {
    let site = site().workers(2);
    let a = site.start();
    let port = Port::take();
    let conf = site.conf(port.address(), &a.redis, &a.backend);
    let b = Nginx::start(&conf, port.address());
    a.backend.script("/x", |request, _| {
        ruled("params=(\"x\")", page(request, "y"))
    });
    learn(&a, "/x?id=1&x=1");
    for (method, target) in [("PURGE", "/x?x=7&id=1"), ("PURGE", "/x?id=1&x=1")] {
        assert_eq!(a.get("/x?id=1&x=2").word(), "STORE", "{target}");
        wait_for("a hit", PATIENCE, || a.get("/x?id=1&x=3").word() == "HIT");
        let answer = Client::connect(port.address()).ask(&Request::new(method, target));
        assert_eq!(answer.status, 200, "{}", answer.text());
        wait_for("the purge is known", PATIENCE, || {
            a.get("/x?id=1&x=4").word() != "HIT"
        });
        wait_for("a hit", PATIENCE, || a.get("/x?id=1&x=3").word() == "HIT");
        let answer = a.ask(&Request::new(method, target));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    drop(b);
}

/// A 304 that says something else of arguments takes the record away; one that says nothing leaves it.
#[test]
fn a_304_with_another_rule() {
    let site = site().workers(2).start();
    let confirming = |rule: Option<&'static str>| {
        move |request: &Received, _: usize| {
            let answer = match request.header("if-none-match") {
                Some(_) => Answer::of(304, ""),
                None => Answer::ok(page(request, "y")),
            };
            let answer = answer.header("ETag", "\"1\"");
            let rule = rule.or(request
                .header("if-none-match")
                .is_none()
                .then_some("params=(\"x\")"));
            match rule {
                Some(rule) => answer.header("No-Vary-Search", rule),
                None => answer,
            }
        }
    };
    site.backend.script("/x", confirming(None));
    learn(&site, "/x?id=1&x=1");
    let key = "id=1#params=x /x";
    assert_eq!(site.get("/x?id=1&x=2").word(), "STORE");
    wait_for_fill(&site, key, "stored");
    site.expire_in(key, 50_000);
    assert_eq!(site.get("/x?id=1&x=3").word(), "STALE");
    wait_for_fill(&site, key, "revalidated");
    assert_eq!(site.wait_for_hit("/x?id=1&x=4").text(), "1 y=");
    site.backend
        .script("/x", confirming(Some("params=(\"y\")")));
    site.expire_in(key, 50_000);
    assert_eq!(site.get("/x?id=1&x=3").word(), "STALE");
    wait_for_fill(&site, key, "other no-vary-search");
    assert_eq!(site.redis.get(key), None);
    assert_eq!(site.get("/x?id=1&x=3&y=1").word(), "STORE");
    wait_for_fill(&site, "id=1&x=3#params=y /x", "stored");
}

/// A POST, and what the backend says after it.
fn change(address: std::net::SocketAddr, target: &str) {
    let answer = Client::connect(address).ask(&Request::post(target, "what is changed"));
    assert_eq!(answer.status, 200, "{target}");
}

/// A site whose pages say "old" until they are changed, and have a rule.
fn changing(site: &Running) {
    let is_changed = Arc::new(AtomicBool::new(false));
    site.backend.script("/x", move |request, _| {
        if request.method == "POST" {
            is_changed.store(true, SeqCst);
            return Answer::ok("changed");
        }
        let body = if is_changed.load(SeqCst) {
            "new"
        } else {
            "old"
        };
        ruled("params=(\"x\")", body)
    });
}

/// The rule becomes known while the backend carries the change out.
#[test]
fn a_change_while_the_rule_is_learnt() {
    for key in [
        "",
        "redis_cache_key \"$redis_cache_authority $redis_cache_args $uri\";",
    ] {
        let site = Site::new()
            .spread()
            .workers(2)
            .location("redis_cache_args no_vary_search;")
            .location(if key.is_empty() {
                "redis_cache_key \"$redis_cache_args $uri\";"
            } else {
                key
            })
            .start();
        let (gate, is_changed) = (Gate::new(), Arc::new(AtomicBool::new(false)));
        let (held, changed) = (gate.clone(), Arc::clone(&is_changed));
        site.backend.script("/x", move |request, _| {
            let body = if changed.load(SeqCst) { "new" } else { "old" };
            match request.method.as_str() {
                "POST" => Answer::ok("changed").gate(&held),
                _ => ruled("params=(\"x\")", body),
            }
        });
        let mut client = site.client();
        client.send(&Request::post("/x?id=1", "")).unwrap();
        site.backend.wait_for_hits("/x", 1);
        for (number, text) in ["old", "old"].into_iter().enumerate() {
            assert_eq!(site.get(&format!("/x?id=1&x={number}")).text(), text);
            site.wait_for_fills(number + 1);
        }
        assert_eq!(site.wait_for_hit("/x?id=1&x=3").text(), "old");
        is_changed.store(true, SeqCst);
        gate.open();
        assert_eq!(client.receive().unwrap().status, 200);
        for mut client in site.each_worker("/none") {
            assert_eq!(client.get("/x?id=1&x=4").text(), "new", "{key}");
        }
    }
}

/// A machine that doesn't know the rule, since it has learnt nothing or was started again, carries a change out.
#[test]
fn a_change_on_a_machine_without_the_rule() {
    let site = site().workers(2);
    let a = site.start();
    let port = Port::take();
    let conf = site.conf(port.address(), &a.redis, &a.backend);
    let b = Nginx::start(&conf, port.address());
    changing(&a);
    learn(&a, "/x?id=1&x=1");
    assert_eq!(a.get("/x?id=1&x=2").text(), "old");
    assert_eq!(a.wait_for_hit("/x?id=1&x=3").text(), "old");
    change(port.address(), "/x?id=1");
    // On this machine it holds at once.
    for number in 0..3 {
        let answer = Client::connect(port.address()).get(&format!("/x?id=1&x={number}"));
        assert_eq!(answer.text(), "new");
    }
    wait_for("the change is known", PATIENCE, || {
        a.get("/x?id=1&x=4").text() == "new"
    });
    drop(b);
}

/// Without the rights for purges, and where a location is the store, a change removes what it did before. The log says it once.
#[test]
fn a_store_that_takes_no_purges() {
    let site = site().workers(1).start();
    let user = ["ACL", "SETUSER", "default", "-zadd", "-zcard", "-zrevrange"];
    let _: () = site.redis.command(&user);
    changing(&site);
    learn(&site, "/x?id=1&x=1");
    assert_eq!(site.get("/x?id=1&x=2").text(), "old");
    assert_eq!(site.wait_for_hit("/x?id=1&x=3").text(), "old");
    for number in 0..3 {
        change(site.address(), "/x?id=1&x=4");
        assert_eq!(site.get(&format!("/x?id=1&x={number}")).text(), "new");
    }
    let said = |line: &String| line.contains("takes no purges: changes may leave records");
    let lines = site.nginx.log().lines();
    assert_eq!(
        lines.iter().filter(|line| said(line)).count(),
        1,
        "{lines:?}"
    );
}
