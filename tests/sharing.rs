//! Requests for one key at one time share a lookup, and each has the answer that it would have had alone.

use testbed::{
    Answer, Client, Gate, PATIENCE, Proxy, Record, Request, Response, Rule, Running, Site, Way, ms,
    pattern, wait_for,
};

const TIMEOUTS: &str = "connect_timeout 20s; send_timeout 20s; read_timeout 20s;";

/// One worker, and a proxy before its Redis.
fn behind(site: Site) -> (Running, Proxy) {
    site.workers(1)
        .store(TIMEOUTS)
        .locations("location = /ping { return 200 pong; }")
        .start_behind_a_proxy()
}

/// All that was sent before is with the cache: a worker reads in the order in which things come.
fn settled(site: &Running) {
    assert_eq!(site.get("/ping").body, b"pong");
}

/// Clients whose requests have come while no connection to Redis was ready: their lookups are still to be sent until
/// the gate is open.
fn gathered(site: &Running, proxy: &Proxy, requests: &[Request]) -> (Vec<Client>, Gate) {
    let clients = requests.iter().map(|_| site.client());
    let mut clients: Vec<Client> = clients.collect();
    for client in &mut clients {
        assert_eq!(client.get("/ping").body, b"pong");
    }
    let gate = Gate::new();
    proxy.set(Way::Replies, Rule::hold(&gate));
    proxy.cut();
    for (client, request) in clients.iter_mut().zip(requests) {
        client.send(request).unwrap();
    }
    settled(site);
    (clients, gate)
}

fn answers(clients: &mut [Client]) -> Vec<Response> {
    let receive = |client: &mut Client| client.receive().unwrap();
    clients.iter_mut().map(receive).collect()
}

#[test]
fn requests_of_one_key_at_one_time_cost_one_lookup() {
    let (site, proxy) = behind(Site::new());
    let bodies = [pattern(100_000, 1), pattern(100_000, 2)];
    for (path, body) in ["/x", "/y"].iter().zip(&bodies) {
        let record = Record::lua("200", "{}", body.clone());
        site.redis.put(path, &record, 600);
    }
    let paths = (0..40).map(|number| ["/x", "/x", "/x", "/y"][number % 4]);
    let requests: Vec<Request> = paths.map(Request::get).collect();
    let (mut clients, gate) = gathered(&site, &proxy, &requests);
    assert_eq!(site.redis.calls("hmget"), 0);
    gate.open();
    for (number, answer) in answers(&mut clients).into_iter().enumerate() {
        assert_eq!(answer.word(), "HIT", "{number}");
        let body = &bodies[usize::from(number % 4 == 3)];
        assert!(answer.complete && answer.body == *body, "{number}");
    }
    assert_eq!(site.redis.calls("hmget"), 2);
    assert_eq!(site.backend.requests("/x").len(), 0);
    // The same one after the other: each looks for itself.
    for _ in 0..3 {
        assert_eq!(clients[0].get("/x").word(), "HIT");
    }
    assert_eq!(site.redis.calls("hmget"), 5);
    site.nginx.finish();
}

#[test]
fn a_missing_record_is_missing_for_all_and_filled_once() {
    let (site, proxy) = behind(Site::new());
    let requests = vec![Request::get("/x"); 20];
    let (mut clients, gate) = gathered(&site, &proxy, &requests);
    gate.open();
    let mut words: Vec<String> = answers(&mut clients).iter().map(Response::word).collect();
    words.sort();
    assert_eq!(words.iter().filter(|word| *word == "STORE").count(), 1);
    assert_eq!(words.iter().filter(|word| *word == "HIT").count(), 19);
    assert_eq!(site.backend.hits("/x"), 1);
    site.nginx.finish();
}

/// A lookup that is on its way may have an answer that is older than the question: those who ask meanwhile share the next.
#[test]
fn a_lookup_that_was_sent_is_shared_no_more() {
    let (site, proxy) = behind(Site::new());
    let put = |body: &str| site.redis.put("/x", &Record::lua_text(body), 600);
    let mut first = site.client();
    // On a busy machine a round trip may take so long on average that nobody gathers: then it is tried anew.
    for _ in 0..10 {
        put("old");
        // So often that a round trip takes less than a millisecond on average, whatever the first has taken.
        for _ in 0..40 {
            assert_eq!(first.get("/x").text(), "old");
        }
        let before = site.redis.calls("hmget");
        let lookups = || site.redis.calls("hmget") - before;
        let gate = Gate::new();
        proxy.set(Way::Replies, Rule::hold(&gate));
        first.send(&Request::get("/x")).unwrap();
        wait_for("the first lookup", PATIENCE, || lookups() == 1);
        put("new");
        let mut others: Vec<Client> = (0..10).map(|_| site.client()).collect();
        for client in &mut others {
            client.send(&Request::get("/x")).unwrap();
        }
        settled(&site);
        let gathered = lookups() == 1;
        gate.open();
        assert_eq!(first.receive().unwrap().text(), "old");
        for answer in answers(&mut others) {
            assert_eq!(answer.text(), "new");
        }
        if gathered {
            assert_eq!(lookups(), 2);
            // And so on: nothing is left behind.
            assert_eq!(first.get("/x").text(), "new");
            assert_eq!(lookups(), 3);
            return;
        }
    }
    panic!("they never gather behind it");
}

/// Where a round trip takes long, nobody waits for that of others.
#[test]
fn nobody_gathers_behind_a_slow_lookup() {
    let (site, proxy) = behind(Site::new());
    site.redis.put("/x", &Record::lua_text("x"), 600);
    proxy.set(Way::Replies, Rule::delay(ms(30)));
    let (mut first, mut second) = (site.client(), site.client());
    assert_eq!(first.get("/x").text(), "x");
    let gate = Gate::new();
    proxy.set(Way::Replies, Rule::hold(&gate));
    first.send(&Request::get("/x")).unwrap();
    wait_for("the first lookup", PATIENCE, || {
        site.redis.calls("hmget") == 2
    });
    second.send(&Request::get("/x")).unwrap();
    wait_for("the second lookup", PATIENCE, || {
        site.redis.calls("hmget") == 3
    });
    gate.open();
    assert_eq!(first.receive().unwrap().text(), "x");
    assert_eq!(second.receive().unwrap().text(), "x");
}

/// Those who have gathered behind a lookup that fails look for themselves.
#[test]
fn who_has_gathered_behind_a_lookup_that_is_lost_is_served() {
    let (site, proxy) = behind(Site::new());
    site.redis.put("/x", &Record::lua_text("kept"), 600);
    let mut first = site.client();
    assert_eq!(first.get("/x").text(), "kept");
    let gate = Gate::new();
    proxy.set(Way::Replies, Rule::hold(&gate));
    first.send(&Request::get("/x")).unwrap();
    wait_for("the first lookup", PATIENCE, || {
        site.redis.calls("hmget") == 2
    });
    let mut others: Vec<Client> = (0..10).map(|_| site.client()).collect();
    for client in &mut others {
        client.send(&Request::get("/x")).unwrap();
    }
    // One of them doesn't wait for it.
    others.remove(0).reset();
    settled(&site);
    proxy.heal();
    proxy.cut();
    gate.open();
    assert_eq!(first.receive().unwrap().text(), "kept");
    for answer in answers(&mut others) {
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", "kept")
        );
    }
    // The first and those behind it meet again.
    assert_eq!(site.redis.calls("hmget"), 3);
    assert_eq!(site.backend.hits("/x"), 0);
    site.nginx.finish();
}

#[test]
fn who_asks_after_a_change_shares_no_lookup_from_before() {
    let (site, proxy) = behind(Site::new());
    site.redis.put("/x", &Record::lua_text("old"), 600);
    site.backend.set("/x", Answer::ok("new"));
    let (mut clients, gate) = gathered(&site, &proxy, &[Request::get("/x")]);
    // Nobody waits for ever for a store that doesn't answer.
    let changed = site.ask(&Request::post("/x", "change"));
    assert_eq!((changed.status, changed.word().as_str()), (200, "SKIP"));
    let mut later = site.client();
    later.send(&Request::get("/x")).unwrap();
    settled(&site);
    gate.open();
    assert_eq!(answers(&mut clients)[0].text(), "old");
    assert_eq!(later.receive().unwrap().text(), "new");
}

/// What is one variant's isn't another's, and each variant costs one lookup more.
#[test]
fn who_shares_a_lookup_gets_its_own_variant() {
    let (site, proxy) = behind(Site::new());
    site.backend.script("/x", |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(language).header("Vary", "Accept-Language")
    });
    let request = |language| Request::get("/x").header("Accept-Language", language);
    let languages = ["en", "de", "en", "fr", "de", "en"];
    for (number, language) in ["en", "de", "fr"].into_iter().enumerate() {
        assert_eq!(site.ask(&request(language)).word(), "STORE", "{language}");
        site.wait_for_fills(number + 1);
    }
    let before = site.redis.calls("hmget");
    let (mut clients, gate) = gathered(&site, &proxy, &languages.map(request));
    gate.open();
    for (language, answer) in languages.iter().zip(answers(&mut clients)) {
        assert_eq!(
            (answer.word(), answer.text()),
            ("HIT".into(), language.to_string())
        );
    }
    assert_eq!(site.redis.calls("hmget") - before, 3);
}

/// One reply, read by each location's own rules.
#[test]
fn locations_that_share_a_key_keep_their_rules() {
    let shares =
        "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_key shared;
        redis_cache_age 60s; redis_cache_header X-Cache;";
    let locations = format!(
        "location /strict {{ {shares} redis_cache_stale 0s; proxy_pass http://backend; }}
         location /lax {{ {shares} redis_cache_stale 0s; redis_cache_ignore_headers Vary;
            proxy_pass http://backend; }}
         location /long {{ {shares} redis_cache_stale 30s; redis_cache_ignore_headers Vary; proxy_pass http://backend; }}"
    );
    let (site, proxy) = behind(Site::new().locations(&locations));
    let record = Record::lua("200", r#"{"Vary":"X"}"#, "shared");
    site.redis.put("shared", &record, 20);
    let paths = ["/strict", "/lax", "/long", "/lax", "/strict"];
    let (mut clients, gate) = gathered(&site, &proxy, &paths.map(Request::get));
    gate.open();
    let words: Vec<String> = answers(&mut clients).iter().map(Response::word).collect();
    // The long one has been stale for 10 s.
    assert_eq!(words[1..4], ["HIT", "STALE", "HIT"], "{words:?}");
    // The strict one takes it for none. Whichever of the two comes first fills, and the other may be given what that has stored.
    let strict = [words[0].as_str(), words[4].as_str()];
    assert!(
        strict.iter().any(|word| ["STORE", "SKIP"].contains(word)),
        "{words:?}"
    );
    assert!(!strict.contains(&"STALE"), "{words:?}");
}

#[test]
fn who_leaves_takes_nothing_from_the_others() {
    let (site, proxy) = behind(Site::new());
    site.redis.put("/x", &Record::lua_text("kept"), 600);
    let requests = vec![Request::get("/x"); 6];
    let (mut clients, gate) = gathered(&site, &proxy, &requests);
    // The first has asked for the lookup; the last is the last that waits.
    let (first, last) = (clients.remove(0), clients.pop().unwrap());
    first.reset();
    last.reset();
    settled(&site);
    gate.open();
    for answer in answers(&mut clients) {
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", "kept")
        );
    }
    assert_eq!(site.redis.calls("hmget"), 1);
    // Should all of them leave, the reply is nobody's.
    let (clients, gate) = gathered(&site, &proxy, &requests);
    clients.into_iter().for_each(Client::reset);
    settled(&site);
    gate.open();
    wait_for("the lookup", PATIENCE, || site.redis.calls("hmget") == 2);
    assert_eq!(site.get("/x").text(), "kept");
    site.nginx.finish();
}

#[test]
fn a_connection_that_is_cut_is_replaced_for_all_of_them() {
    let (site, proxy) = behind(Site::new());
    site.redis.put("/x", &Record::lua_text("kept"), 600);
    let requests = vec![Request::get("/x"); 20];
    let (mut clients, gate) = gathered(&site, &proxy, &requests);
    // The lookup itself falls into a connection that ends.
    proxy.set(Way::Commands, Rule::cut_once(200));
    gate.open();
    for answer in answers(&mut clients) {
        assert_eq!(
            (answer.word().as_str(), answer.text().as_str()),
            ("HIT", "kept")
        );
    }
    assert!(site.redis.calls("hmget") <= 2);
    assert_eq!(site.backend.hits("/x"), 0);
    site.nginx.finish();
}
