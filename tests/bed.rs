//! The test bed itself, on nginx without the module: what the other tests rely on is checked here first.

use std::thread;

use testbed::{
    Answer, Backend, Client, Gate, PATIENCE, Record, Redis, Request, Site, crowd, holds_for, ms,
    pattern, wait_for,
};

#[test]
fn a_patterns_bytes_differ_by_offset_and_seed() {
    let (one, other) = (pattern(1001, 1), pattern(1001, 2));
    assert_eq!(one.len(), 1001);
    assert_eq!(one, pattern(1001, 1));
    assert_ne!(one, other);
    assert_ne!(one[..64], one[64..128]);
}

#[test]
fn nginx_passes_requests_to_the_backend_and_the_backend_remembers_them() {
    let site = Site::plain().start();
    let mut client = site.client();
    assert_eq!(client.get("/x?y=%20").text(), "GET /x?y=%20 #1\n");
    assert_eq!(client.get("/x?y=1").text(), "GET /x?y=1 #2\n");
    assert_eq!(
        (site.backend.hits("/x"), site.backend.hits("/x?y=1")),
        (2, 1)
    );
    let put = client.ask(
        &Request::new("PUT", "/put")
            .header("X-One", "1")
            .body(pattern(300_000, 1)),
    );
    assert_eq!(put.status, 200);
    let received = site.backend.last("/put");
    assert_eq!(
        (
            received.method.as_str(),
            received.header("x-one").as_deref()
        ),
        ("PUT", Some("1"))
    );
    assert!(received.body == pattern(300_000, 1));
    let head = client.ask(&Request::head("/x"));
    assert!(head.complete && head.body.is_empty());
    let chunked = client.ask(
        &Request::new("PUT", "/put")
            .body(pattern(30_000, 2))
            .chunked(),
    );
    assert_eq!(
        (chunked.status, site.backend.last("/put").body.len()),
        (200, 30_000)
    );
}

#[test]
fn answers_of_every_framing_arrive_whole() {
    let site = Site::plain().start();
    let body = pattern(1_000_000, 3);
    site.backend.set("/length", Answer::ok(body.clone()));
    site.backend
        .set("/chunked", Answer::ok(body.clone()).chunked());
    site.backend
        .set("/close", Answer::ok(body.clone()).until_close());
    let mut client = site.client();
    for path in ["/length", "/chunked", "/close", "/length"] {
        let response = client.get(path);
        assert!(response.body == body && response.complete, "{path}");
    }
    assert_eq!(
        site.ask(&Request::get("/close").http10()).body.len(),
        body.len()
    );
}

#[test]
fn cut_and_hanging_answers_are_seen_as_such() {
    let backend = Backend::start();
    backend.set("/cut", Answer::ok(pattern(100_000, 4)).cut_at(70_000));
    backend.set(
        "/chunks",
        Answer::ok(pattern(100_000, 4)).chunked().cut_at(70_000),
    );
    backend.set("/reset", Answer::ok("").reset());
    backend.set("/hang", Answer::ok(pattern(1000, 4)).hang_at(500));
    for path in ["/cut", "/chunks"] {
        let cut = Client::connect(backend.address())
            .exchange(&Request::get(path))
            .unwrap();
        assert_eq!((cut.complete, cut.body.len()), (false, 70_000), "{path}");
    }
    assert!(
        Client::connect(backend.address())
            .exchange(&Request::get("/reset"))
            .is_err()
    );
    let mut client = Client::connect(backend.address());
    client.send(&Request::get("/hang")).unwrap();
    let mut response = client.receive_header().unwrap();
    client.receive_until(&mut response, 500).unwrap();
    assert!(!response.complete && !client.is_closed_within(ms(50)));
}

#[test]
fn delays_gates_and_pauses_hold() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.set("/delay", Answer::ok("x").delay(ms(120)));
    backend.set("/gate", Answer::ok("0123456789").gate_at(4, &gate));
    backend.set(
        "/pause",
        Answer::ok(pattern(100_000, 5)).pause_at(50_000, ms(1500)),
    );
    let mut client = Client::connect(backend.address());
    assert!(client.get("/delay").first_byte >= ms(120));
    let paused = client.get("/pause");
    assert!(
        paused.last_byte >= ms(1500) && paused.first_byte < ms(1500),
        "{paused:?}"
    );
    client.send(&Request::get("/gate")).unwrap();
    let mut response = client.receive_header().unwrap();
    client.receive_until(&mut response, 4).unwrap();
    assert_eq!(
        (response.body.as_slice(), backend.under_way("/gate")),
        (b"0123".as_slice(), 1)
    );
    gate.open();
    client.receive_rest(&mut response).unwrap();
    assert_eq!(response.text(), "0123456789");
    backend.wait_until_idle("/gate");
}

#[test]
fn scripts_and_sequences_answer_by_turn() {
    let backend = Backend::start();
    backend.set_each("/each", vec![Answer::ok("one"), Answer::of(500, "two")]);
    backend.script("/script", |request, nth| {
        Answer::ok(format!("{} {nth}", request.target))
    });
    let mut client = Client::connect(backend.address());
    let turns: Vec<_> = (0..3).map(|_| client.get("/each").status).collect();
    assert_eq!(turns, [200, 500, 500]);
    backend.set("/each", Answer::ok("again"));
    assert_eq!(client.get("/each").text(), "again");
    assert_eq!(client.get("/script?x").text(), "/script?x 1");
}

#[test]
fn a_stopped_backend_refuses_and_comes_back_on_its_port() {
    let mut backend = Backend::start();
    let mut client = Client::connect(backend.address());
    client.get("/");
    backend.stop();
    assert!(client.is_closed_within(PATIENCE));
    assert!(Client::try_connect(backend.address()).is_err());
    backend.run();
    assert_eq!(
        Client::connect(backend.address()).get("/").text(),
        "GET / #2\n"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let site = Site::plain().start();
    let mut client = site.client();
    let requests = [Request::get("/1"), Request::head("/2"), Request::get("/3")];
    client.pipeline(&requests).unwrap();
    let bodies: Vec<_> = (0..3).map(|_| client.receive().unwrap().text()).collect();
    assert_eq!(bodies, ["GET /1 #1\n", "", "GET /3 #1\n"]);
}

#[test]
fn a_crowd_is_counted_by_status_and_time() {
    let site = Site::plain().spread().start();
    let gate = Gate::new();
    site.backend
        .set("/slow", Answer::ok("slow").delay(ms(200)).gate(&gate));
    let crowd = thread::scope(|scope| {
        let crowd = scope.spawn(|| crowd(site.address(), 100, |_| Request::get("/slow")));
        wait_for("all of them at the backend", PATIENCE, || {
            site.backend.under_way("/slow") == 100
        });
        gate.open();
        crowd.join().unwrap()
    });
    assert_eq!(crowd.statuses(), [(200, 100)].into());
    assert_eq!(crowd.workers().len(), 2, "{:?}", crowd.workers());
    assert!(crowd.times()[0] >= ms(200) && crowd.took < PATIENCE);
    assert_eq!(
        (
            site.backend.hits("/slow"),
            site.backend.most_at_once("/slow")
        ),
        (100, 100)
    );
}

#[test]
fn a_client_that_resets_is_gone_at_once() {
    let site = Site::plain().start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("x").gate(&gate));
    let mut client = site.client();
    client.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    let position = site.nginx.log().end();
    client.reset();
    let line = site
        .nginx
        .log()
        .wait_for(position, "prematurely closed connection", PATIENCE);
    assert!(line.is_some(), "{}", site.nginx.log().tail(10));
    gate.open();
}

#[test]
fn records_are_written_and_read_as_the_script_does() {
    let redis = Redis::start();
    let record = Record::lua(
        "200",
        r#"{"Content-Type":"text\/plain","X":["1","2"]}"#,
        b"a\0b\xff".as_slice(),
    );
    redis.put("key", &record, 100);
    assert_eq!(redis.get("key").unwrap(), record);
    assert_eq!(record.header("x"), ["1", "2"]);
    assert_eq!(record.header("content-type"), ["text/plain"]);
    assert!((99_000..=100_000).contains(&redis.pttl("key")));
    redis.expire_in("key", 1500);
    assert!(redis.pttl("key") <= 1500 && redis.keys_without_expiry().is_empty());
    assert_eq!((redis.pttl("none"), redis.get("none")), (-2, None));
}

#[test]
fn redis_stops_starts_and_hangs() {
    let mut redis = Redis::with_password("secret");
    let _: () = redis.command(&["SET", "x", "1"]);
    assert!(redis.socket().exists());
    redis.freeze();
    assert!(redis.try_command::<String>(&["PING"]).is_err());
    redis.thaw();
    wait_for("Redis to answer again", PATIENCE, || {
        redis.try_command::<String>(&["PING"]).is_ok()
    });
    redis.stop();
    assert!(redis.connect().is_err());
    redis.run();
    assert!(redis.keys().is_empty());
}

#[test]
fn nginx_reloads_and_a_killed_worker_is_replaced() {
    let mut site = Site::plain().start();
    let old = site.nginx.reload();
    assert_eq!(old.len(), 2);
    site.nginx.wait_for_exit(&old, PATIENCE);
    let workers = site.nginx.workers();
    site.nginx.kill_worker(workers[0]);
    wait_for("a new worker", PATIENCE, || {
        let now = site.nginx.workers();
        now.len() == 2 && now != workers
    });
    assert_eq!(site.get("/x").status, 200);
    assert!(holds_for(ms(20), || site.nginx.workers().len() == 2));
}

#[test]
fn a_configuration_that_nginx_refuses_is_reported() {
    let conf = testbed::Conf::new("events {}\nhttp { nonsense; }\n");
    let port = testbed::Port::take();
    let log = testbed::Nginx::try_start(&conf, port.address())
        .map(|_| ())
        .unwrap_err();
    assert!(log.contains("unknown directive \"nonsense\""), "{log}");
}
