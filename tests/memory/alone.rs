//! While Redis is down the memory tier carries on alone: what it holds is served, fills are kept in it, each for a while, and
//! invalidations of this nginx count at once. When Redis is heard again, nothing of that is left.

use std::thread;
use std::time::Instant;

use testbed::{
    Answer, Client, Gate, PATIENCE, Proxy, Record, Redis, RedisCluster, Request, Running,
    Sentinels, Site, eventually, holds_for, ms, pattern, wait_for,
};

use super::{LEASE, SLACK, put_and_warm, site, source, warm};

/// A server is down at its first timeout, and looked for often.
const QUICK: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms; max_fails 1; fail_timeout 200ms;";

/// How Redis goes.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Killed,
    Frozen,
    Refused,
}

/// Two workers before a Redis behind a door, and a client of each.
struct Scene {
    site: Running,
    door: Proxy,
    clients: Vec<Client>,
    asked: usize,
}

impl Scene {
    fn start(lines: &str) -> Scene {
        Scene::of(&site(lines))
    }

    fn of(site: &Site) -> Scene {
        Scene::before(site, Redis::start())
    }

    fn before(site: &Site, redis: Redis) -> Scene {
        let site = site.clone().workers(2).spread().store(QUICK);
        let (site, door) = site.start_behind_a_proxy_with(redis);
        let clients = Scene::clients_of(&site);
        Scene {
            site,
            door,
            clients,
            asked: 0,
        }
    }

    fn clients_of(site: &Running) -> Vec<Client> {
        let clients = site.each_worker("/probe");
        assert_eq!(clients.len(), 2);
        clients
    }

    /// Redis goes, and the workers know.
    #[track_caller]
    fn begin(&mut self, trouble: Trouble) {
        let before = self.site.nginx.log().end();
        match trouble {
            Trouble::Killed => self.site.redis.stop(),
            Trouble::Frozen => self.site.redis.freeze(),
            Trouble::Refused => {
                self.door.stop_listening();
                self.door.cut();
            }
        }
        wait_for("Redis to be known to be down", PATIENCE, || {
            self.asked += 1;
            let path = format!("/new/{}", self.asked);
            let _ = self.clients[0].get(&path);
            let log = self.site.nginx.log();
            !log.matching(before, " is down: ").is_empty()
        });
    }

    /// Has a record of Redis served from memory.
    #[track_caller]
    fn hold(&mut self, target: &str, text: &str) {
        put_and_warm(&self.site, &mut self.clients[0], target, text);
        warm(&mut self.clients[1], target);
    }

    /// A page as a worker gives it: where it comes from, and its text.
    fn got(&mut self, worker: usize, target: &str) -> (String, String) {
        let answer = self.clients[worker].get(target);
        assert_eq!(answer.status, 200, "{target}");
        (answer.header("x-source").unwrap_or_default(), answer.text())
    }
}

fn from_memory(text: &str) -> (String, String) {
    ("memory".to_owned(), text.to_owned())
}

#[test]
fn what_is_held_is_served_and_for_so_long_only() {
    for trouble in [Trouble::Killed, Trouble::Frozen, Trouble::Refused] {
        let mut scene = Scene::start("alone=2s");
        scene.hold("/held", "held");
        let asked = scene.site.backend.hits("/held");
        let begun = Instant::now();
        scene.begin(trouble);
        for worker in [0, 1] {
            assert_eq!(
                scene.got(worker, "/held"),
                from_memory("held"),
                "{trouble:?}"
            );
        }
        assert_eq!(scene.site.backend.hits("/held"), asked, "{trouble:?}");
        // From then on it is the backend's: one response for both workers.
        let mut last = begun.elapsed();
        while scene.got(0, "/held").1 == "held" {
            last = begun.elapsed();
            assert!(last < PATIENCE, "{trouble:?}");
        }
        println!("{trouble:?}: the last old answer after {last:?}");
        assert!(last < LEASE + ms(2000) + SLACK, "{trouble:?}: {last:?}");
        let (from, text) = scene.got(1, "/held");
        assert_eq!((from.as_str(), text == "held"), ("memory", false));
        assert_eq!(scene.site.backend.hits("/held"), asked + 1, "{trouble:?}");
    }
}

#[test]
fn what_is_held_is_served_where_messages_must_do() {
    for trouble in [Trouble::Killed, Trouble::Frozen, Trouble::Refused] {
        // What there is becomes void with each reply to PING: one may come between the lookup and the trouble.
        let held = (0..5).find_map(|_| {
            let redis = Redis::with_options(&["--rename-command", "CLIENT", ""]);
            let mut scene = Scene::before(&site("alone=30s"), redis);
            scene.hold("/held", "held");
            scene.begin(trouble);
            (scene.got(0, "/held") == from_memory("held")).then_some(scene)
        });
        let mut scene = held.expect("a record that is held");
        let asked = scene.site.backend.hits("/held");
        assert!(
            holds_for(ms(4000), || {
                (0..2).all(|worker| scene.got(worker, "/held") == from_memory("held"))
            }),
            "{trouble:?}"
        );
        assert_eq!(scene.site.backend.hits("/held"), asked, "{trouble:?}");
    }
}

#[test]
fn many_clients_of_two_workers_make_one_request_to_the_backend() {
    for trouble in [Trouble::Killed, Trouble::Frozen, Trouble::Refused] {
        let mut scene = Scene::start("alone=30s");
        scene.hold("/first", "first");
        scene.begin(trouble);
        let site = &scene.site;
        for round in 0..3 {
            let (target, gate) = (format!("/crowd/{round}"), Gate::new());
            site.backend
                .set(&target, Answer::ok(pattern(20_000, 1)).gate(&gate));
            let crowd = thread::scope(|scope| {
                let crowd = scope.spawn(|| site.crowd(100, &target));
                site.backend.wait_for_hits(&target, 1);
                gate.open();
                crowd.join().unwrap()
            });
            let answers = crowd.answers();
            assert_eq!(answers.len(), 100);
            for answer in answers {
                assert_eq!(answer.status, 200);
                assert!(answer.body == pattern(20_000, 1));
            }
            assert_eq!(site.backend.hits(&target), 1, "{trouble:?} {target}");
        }
    }
}

#[test]
fn a_fill_is_kept_for_all_workers_and_for_so_long_only() {
    let mut scene = Scene::start("alone=1500ms");
    scene.hold("/first", "first");
    scene.begin(Trouble::Killed);
    let begun = Instant::now();
    let answer = scene.clients[0].get("/filled");
    assert_eq!(answer.word(), "STORE");
    let text = answer.text();
    scene.site.wait_for_fill("/filled");
    for worker in [1, 0] {
        assert_eq!(scene.got(worker, "/filled"), from_memory(&text));
    }
    let mut last = begun.elapsed();
    while scene.got(1, "/filled").1 == text {
        last = begun.elapsed();
        assert!(last < PATIENCE);
    }
    println!("the last old answer after {last:?}");
    assert!(last < ms(1500) + SLACK, "{last:?}");
    assert_eq!(scene.site.backend.hits("/filled"), 2);
}

#[test]
fn an_invalidation_here_counts_at_once_for_all_workers() {
    let site = site("alone=60s").location("redis_cache_invalidate on;");
    let mut scene = Scene::of(&site);
    for round in 0..2 {
        scene.hold(&format!("/held/{round}"), "held");
    }
    scene.begin(Trouble::Killed);
    let filled = scene.clients[0].get("/filled").text();
    scene.site.wait_for_fill("/filled");
    assert_eq!(scene.got(1, "/filled"), from_memory(&filled));
    for (worker, target, old) in [
        (0, "/held/0", "held"),
        (1, "/held/1", "held"),
        (0, "/filled", filled.as_str()),
    ] {
        for each in [0, 1] {
            assert_eq!(scene.got(each, target), from_memory(old));
        }
        let answer = scene.clients[worker].ask(&Request::post(target, "x"));
        assert_eq!(answer.status, 200);
        for each in [1 - worker, worker] {
            assert_ne!(scene.got(each, target).1, old, "{target}");
        }
    }
}

#[test]
fn nobody_gets_it_once_redis_is_heard_again() {
    for trouble in [Trouble::Killed, Trouble::Frozen] {
        let mut scene = Scene::start("alone=60s");
        scene.hold("/held", "held");
        scene.begin(trouble);
        let filled = scene.clients[0].get("/filled").text();
        scene.site.wait_for_fill("/filled");
        assert_eq!(scene.got(1, "/filled"), from_memory(&filled));
        assert_eq!(scene.got(1, "/held"), from_memory("held"));
        match trouble {
            Trouble::Killed => scene.site.redis.run(),
            Trouble::Frozen | Trouble::Refused => scene.site.redis.thaw(),
        }
        for target in ["/held", "/filled"] {
            let key = scene.site.key(target);
            scene.site.redis.put(&key, &Record::lua_text("new"), 600);
        }
        let begun = Instant::now();
        for target in ["/held", "/filled"] {
            for worker in [0, 1] {
                wait_for("what Redis has", PATIENCE, || {
                    scene.got(worker, target).1 == "new"
                });
            }
        }
        let took = begun.elapsed();
        println!("{trouble:?}: what Redis has is served after {took:?}");
        assert!(took < LEASE + SLACK, "{trouble:?}: {took:?}");
        assert!(holds_for(ms(1500), || {
            ["/held", "/filled"]
                .iter()
                .all(|target| (0..2).all(|worker| scene.got(worker, target).1 == "new"))
        }));
        for target in ["/held", "/filled"] {
            warm(&mut scene.clients[0], target);
        }
    }
}

#[test]
fn what_is_stale_is_served_with_one_refill_that_is_kept() {
    let site = site("alone=60s").location("redis_cache_age 1s;");
    let mut scene = Scene::of(&site);
    scene.hold("/first", "first");
    scene.begin(Trouble::Killed);
    let first = scene.clients[0].get("/stale").text();
    scene.site.wait_for_fill("/stale");
    let gate = Gate::new();
    scene
        .site
        .backend
        .set("/stale", Answer::ok("new").gate(&gate));
    wait_for("a stale answer", PATIENCE, || {
        scene.clients[1].get("/stale").word() == "STALE"
    });
    for answer in scene.site.crowd(40, "/stale").answers() {
        assert_eq!((answer.status, answer.text()), (200, first.clone()));
    }
    scene.site.backend.wait_for_hits("/stale", 2);
    assert_eq!(scene.site.backend.hits("/stale"), 2);
    gate.open();
    wait_for("the new record", PATIENCE, || {
        scene.got(0, "/stale").1 == "new"
    });
}

#[test]
fn variants_are_kept() {
    let mut scene = Scene::start("alone=60s");
    scene.hold("/first", "first");
    scene.site.backend.script("/varied", |received, _| {
        let language = received.header("accept-language").unwrap_or_default();
        Answer::ok(format!("in {language}")).header("Vary", "Accept-Language")
    });
    scene.begin(Trouble::Killed);
    for language in ["de", "fr", "en"] {
        for worker in [0, 1] {
            let request = Request::get("/varied").header("Accept-Language", language);
            let answer = scene.clients[worker].ask(&request);
            assert_eq!(
                (answer.status, answer.text()),
                (200, format!("in {language}"))
            );
            wait_for("its end", PATIENCE, || {
                let answer = scene.clients[worker].ask(&request);
                answer.header("x-source").as_deref() == Some("memory")
            });
        }
    }
    assert_eq!(scene.site.backend.hits("/varied"), 3);
}

#[test]
fn who_wants_none_of_it_gets_what_there_was() {
    let off = "location /off { redis_cache_memory off; redis_cache on; redis_cache_lock locks; redis_cache_pass main; \
               redis_cache_key $request_uri; redis_cache_header X-Cache; add_header X-Source $redis_cache_source always; \
               proxy_pass http://backend; }";
    for (lines, target) in [("alone=off", "/page"), ("alone=60s", "/off")] {
        let mut scene = Scene::of(&site(lines).locations(off));
        scene.hold("/first", "first");
        scene.begin(Trouble::Killed);
        for worker in [0, 1, 0, 1] {
            let answer = scene.clients[worker].get(target);
            assert_eq!(
                (answer.status, answer.word().as_str()),
                (200, "SKIP"),
                "{lines}"
            );
            assert_eq!(answer.header("x-source").as_deref(), Some("backend"));
        }
        assert_eq!(scene.site.backend.hits(target), 4, "{lines}");
    }
}

#[test]
fn a_backend_that_is_spared_is_spared() {
    let site = site("alone=60s").location("redis_cache_on_error fail;");
    let mut scene = Scene::of(&site);
    scene.hold("/held", "held");
    let asked = scene.site.backend.all_hits();
    scene.begin(Trouble::Killed);
    for worker in [0, 1] {
        assert_eq!(scene.got(worker, "/held"), from_memory("held"));
        assert_eq!(scene.clients[worker].get("/missing").status, 503);
    }
    assert_eq!(scene.site.backend.all_hits(), asked);
}

#[test]
fn what_is_too_large_is_for_each_worker_once() {
    let mut scene = Scene::start("alone=60s max_object=64k");
    scene.hold("/first", "first");
    scene.begin(Trouble::Killed);
    let site = &scene.site;
    let gate = Gate::new();
    site.backend
        .set("/large", Answer::ok(pattern(100_000, 1)).gate(&gate));
    let crowd = thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(60, "/large"));
        site.backend.wait_for_hits("/large", 1);
        // One that comes later would find no record.
        site.wait_for_waiters(59);
        gate.open();
        crowd.join().unwrap()
    });
    for answer in crowd.answers() {
        assert_eq!((answer.status, answer.body.len()), (200, 100_000));
    }
    let hits = site.backend.hits("/large");
    assert!(hits <= 2, "{hits}");
}

#[test]
fn no_worker_waits_for_another_where_a_record_was_too_large() {
    let mut scene = Scene::start("alone=60s max_object=64k");
    scene.hold("/first", "first");
    scene.begin(Trouble::Killed);
    let Scene { site, clients, .. } = &mut scene;
    let [one, other] = clients.as_mut_slice() else {
        panic!("a client of each worker");
    };
    let answer = Answer::ok(pattern(100_000, 1));
    let mut round = 0;
    // It is known for a second only.
    let side_by_side = eventually(PATIENCE, || {
        round += 1;
        let (target, gate) = (format!("/large/{round}"), Gate::new());
        site.backend.set(&target, answer.clone());
        assert_eq!(one.get(&target).body.len(), 100_000);
        site.backend.set(&target, answer.clone().gate(&gate));
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(one.get(&target).body.len(), 100_000));
            scope.spawn(|| assert_eq!(other.get(&target).body.len(), 100_000));
            let both = eventually(ms(1000), || {
                (site.backend.under_way(&target) == 2).then_some(())
            });
            gate.open();
            both
        })
    });
    assert!(side_by_side.is_some(), "one worker waits for the other");
}

#[test]
fn workers_may_be_killed_or_reloaded_meanwhile() {
    let mut scene = Scene::start("alone=60s");
    scene.hold("/held", "held");
    scene.begin(Trouble::Killed);
    let filled = scene.clients[0].get("/filled").text();
    scene.site.wait_for_fill("/filled");
    let asked = |scene: &Scene| {
        let backend = &scene.site.backend;
        (backend.hits("/held"), backend.hits("/filled"))
    };
    let before = asked(&scene);
    for round in 0..3 {
        match round {
            0 | 1 => {
                let pid = scene.site.nginx.workers()[round];
                scene.site.nginx.kill_worker(pid);
            }
            _ => {
                let old = scene.site.nginx.reload();
                scene.site.nginx.wait_for_exit(&old, PATIENCE);
            }
        }
        scene.clients = Scene::clients_of(&scene.site);
        for worker in [0, 1] {
            assert_eq!(scene.got(worker, "/held"), from_memory("held"), "{round}");
            assert_eq!(scene.got(worker, "/filled"), from_memory(&filled));
        }
    }
    assert_eq!(asked(&scene), before);
    scene.site.redis.run();
    // It is empty.
    wait_for("Redis to be used again", PATIENCE, || {
        scene.got(0, "/held").1 != "held" && scene.got(1, "/held").1 != "held"
    });
}

/// Asks for pages that nobody has asked for until one of them is kept in memory at once: its server is known to be down.
#[track_caller]
fn wait_until_alone(client: &mut Client, pages: &[String]) {
    let is_kept = pages.iter().any(|page| {
        let _ = client.get(page);
        thread::sleep(ms(30));
        source(client, page) == "memory"
    });
    assert!(is_kept, "no page is kept");
}

#[test]
fn a_master_of_a_cluster_is_down_and_the_others_go_on() {
    let cluster = RedisCluster::options().node_timeout(ms(3000)).start();
    let site = site("alone=60s")
        .store(&format!("{}{QUICK}", cluster.directives()))
        .start();
    let mut client = site.client();
    let masters = cluster.masters();
    let paths: Vec<String> = masters
        .iter()
        .map(|number| cluster.key_at(*number, "/page/"))
        .collect();
    for path in &paths {
        wait_for("the record in memory", PATIENCE, || {
            cluster.put(path, &Record::lua_text("as it was"), 600);
            warm(&mut client, path);
            client.get(path).text() == "as it was"
        });
    }
    // What the nodes of a young cluster say makes all void once more: they are asked each second.
    wait_for("all of them in memory", PATIENCE, || {
        paths.iter().for_each(|path| warm(&mut client, path));
        holds_for(ms(1200), || {
            let mut paths = paths.iter();
            paths.all(|path| source(&mut client, path) == "memory")
        })
    });
    let news: Vec<String> = (0..40)
        .map(|number| cluster.key_at(masters[0], &format!("/new/{number}/")))
        .collect();
    let heirs = cluster.replicas_of(masters[0]);
    cluster.node(masters[0]).kill();
    wait_until_alone(&mut client, &news);
    for path in &paths {
        let answer = client.get(path);
        let log = site.nginx.log();
        let fields = &answer.fields;
        assert_eq!(
            answer.text(),
            "as it was",
            "{path}: {fields:?} {}",
            log.tail(40)
        );
    }
    // An heir takes over, and is heard.
    wait_for("an heir", PATIENCE, || {
        let masters = cluster.masters();
        heirs.iter().any(|heir| masters.contains(heir))
    });
    cluster.wait_until_agreed();
    cluster.put(&paths[0], &Record::lua_text("new"), 600);
    let begun = Instant::now();
    wait_for("what the heir has", PATIENCE, || {
        client.get(&paths[0]).text() == "new"
    });
    let took = begun.elapsed();
    println!("what the heir has is served after {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
    for path in &paths[1..] {
        assert_eq!(client.get(path).text(), "as it was", "{path}");
        warm(&mut client, path);
    }
}

#[test]
fn a_cluster_is_down_as_a_whole_with_one_of_its_masters() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = site("alone=60s")
        .workers(2)
        .spread()
        .store(&format!("{}{QUICK}", cluster.directives()))
        .start();
    let mut clients = Scene::clients_of(&site);
    let [dead, other, ..] = cluster.masters()[..] else {
        panic!("masters");
    };
    let held = [dead, other].map(|master| cluster.key_at(master, "/held/"));
    let is_held = |clients: &mut [Client]| {
        clients.iter_mut().all(|client| {
            held.iter().all(|path| {
                let answer = client.get(path);
                let is_ours = answer.text() == "as it was";
                is_ours && answer.header("x-source").as_deref() == Some("memory")
            })
        })
    };
    // What the nodes of a young cluster say makes all void once more: they are asked each second.
    wait_for("both of them in memory", PATIENCE, || {
        for path in &held {
            cluster.put(path, &Record::lua_text("as it was"), 600);
            clients.iter_mut().for_each(|client| warm(client, path));
        }
        holds_for(ms(1200), || is_held(&mut clients))
    });
    cluster.node(dead).kill();
    wait_for("the other to refuse all keys", PATIENCE, || {
        let info: String = cluster.node(other).command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:fail")
    });
    let news: Vec<String> = (0..40)
        .map(|number| cluster.key_at(other, &format!("/new/{number}/")))
        .collect();
    wait_until_alone(&mut clients[0], &news);
    // Longer than any lease.
    assert!(holds_for(LEASE + ms(1000), || is_held(&mut clients)));
    let filled = cluster.key_at(other, "/filled/");
    let old = clients[1].get(&filled).text();
    for client in [1, 0] {
        wait_for("its end", PATIENCE, || {
            source(&mut clients[client], &filled) == "memory"
        });
        assert_eq!(clients[client].get(&filled).text(), old);
    }
    assert_eq!(site.backend.hits(&filled), 1);
    // Nothing of that is left when the cluster serves again.
    cluster.restart(dead);
    let all = [&held[0], &held[1], &filled];
    for path in all {
        cluster.put(path, &Record::lua_text("new"), 600);
    }
    let begun = Instant::now();
    for path in all {
        for client in &mut clients {
            wait_for("what the cluster has", PATIENCE, || {
                client.get(path).text() == "new"
            });
        }
    }
    let took = begun.elapsed();
    println!("what the cluster has is served after {took:?}");
    assert!(took < LEASE + SLACK, "{took:?}");
    for path in all {
        warm(&mut clients[0], path);
        assert_eq!(clients[0].get(path).text(), "new");
    }
}

#[test]
fn sentinels_choose_another_master_meanwhile() {
    let all = Sentinels::options().down_after(ms(3000)).start();
    let site = site("alone=60s")
        .store(&format!("{}{QUICK}", all.directives()))
        .start();
    let mut client = site.client();
    let key = site.key("/page");
    let put = |master: usize, text: &str| {
        let mut connection = all.server(master).connect().unwrap();
        let _ = Record::lua_text(text).write(&mut connection, &key, 600);
    };
    let old = all.wait_for_master();
    wait_for("the record in memory", PATIENCE, || {
        put(old, "as it was");
        warm(&mut client, "/page");
        client.get("/page").text() == "as it was"
    });
    all.server(old).kill();
    let news: Vec<String> = (0..40).map(|number| format!("/new/{number}")).collect();
    wait_until_alone(&mut client, &news);
    let answer = client.get("/page");
    assert_eq!(answer.text(), "as it was");
    assert_eq!(answer.header("x-source").as_deref(), Some("memory"));
    let (new, _) = all.wait_for_another(old);
    put(new, "new");
    let begun = Instant::now();
    wait_for("what the new master has", PATIENCE, || {
        client.get("/page").text() == "new"
    });
    println!("after {:?}", begun.elapsed());
    assert!(holds_for(ms(1500), || client.get("/page").text() == "new"));
    warm(&mut client, "/page");
}
