//! The breaker of a server, which two workers share: their failures count together, nobody sends anything while it is open,
//! one probe at a time of the whole nginx looks for the server, and all use it once it is back.

use std::time::{Duration, Instant};

use testbed::{
    Client, Gate, PATIENCE, Position, Proxy, Record, Redis, Rule, Running, Site, Way, holds_for,
    ms, wait_for,
};

/// A record that both workers have found before the trouble.
const THERE: &str = "/there";

/// Longer than any test takes while it looks at an open breaker.
const LONG: &str = "fail_timeout 60s;";

/// Two workers with a connection each to a Redis behind a door, and a client of each.
struct Scene {
    site: Running,
    door: Proxy,
    clients: Vec<Client>,
    asked: usize,
}

impl Scene {
    fn start(lines: &str) -> Scene {
        let (site, door) = Site::new()
            .spread()
            .http("keepalive_requests 1000000;")
            .store(&format!("connections 1; {lines}"))
            .start_behind_a_proxy();
        // A line of its own on which one would listen looks for a server, too.
        let _: () = site
            .redis
            .command(&["ACL", "SETUSER", "default", "-subscribe"]);
        site.redis.put(THERE, &Record::lua_text("there"), 10_000);
        let clients = site.each_worker(THERE);
        let mut scene = Scene {
            site,
            door,
            clients,
            asked: 0,
        };
        for worker in 0..2 {
            assert_eq!(scene.clients[worker].get(THERE).word(), "HIT");
        }
        scene
    }

    /// Asks a worker for a page that was never asked for; gives the word of the cache.
    #[track_caller]
    fn new_page(&mut self, worker: usize) -> String {
        self.asked += 1;
        let path = format!("/new/{}", self.asked);
        let answer = self.clients[worker].get(&path);
        let text = format!("GET {path} #1\n");
        assert_eq!((answer.status, answer.text()), (200, text));
        answer.word()
    }

    /// Connections and bytes that have come to the door.
    fn come(&self) -> (usize, usize) {
        (self.door.accepted(), self.door.passed(Way::Commands))
    }

    /// Many requests at both workers, and nothing comes to the door.
    #[track_caller]
    fn assert_left_alone(&mut self) {
        let before = self.come();
        for number in 0..40 {
            assert_eq!(self.new_page(number % 2), "SKIP", "{number}");
            let answer = self.clients[number % 2].get(THERE);
            assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
        }
        assert_eq!(self.come(), before);
    }

    fn is_said_to_be_down(&self) -> bool {
        let log = self.site.nginx.log();
        !log.matching(Position::default(), " is down: ").is_empty()
    }

    /// Waits until one worker uses the store; the other does at its next request.
    #[track_caller]
    fn assert_used_by_both(&mut self) {
        let mut worker = 0;
        wait_for("the store to be used again", PATIENCE, || {
            worker = 1 - worker;
            self.new_page(worker) == "STORE"
        });
        assert_eq!(self.new_page(1 - worker), "STORE");
        assert_eq!(self.clients[worker].get(THERE).word(), "HIT");
        assert_eq!(self.clients[1 - worker].get(THERE).word(), "HIT");
    }
}

#[test]
fn timeouts_of_both_workers_count_together() {
    let mut scene = Scene::start(&format!("read_timeout 1s; max_fails 3; {LONG}"));
    scene.door.set(Way::Replies, Rule::hold(&Gate::new()));
    // A lookup and a write of one worker, and a lookup of the other.
    assert_eq!(scene.new_page(0), "SKIP");
    scene.site.wait_for_fills(1);
    assert!(!scene.is_said_to_be_down());
    assert_eq!(scene.new_page(1), "SKIP");
    assert!(scene.is_said_to_be_down());
    scene.site.wait_for_fills(2);
    scene.assert_left_alone();
    let said = scene.site.nginx.log().serious(Position::default());
    assert_eq!(said.len(), 1, "{said:#?}");
    scene.site.nginx.finish();
}

#[test]
fn a_server_that_one_worker_cannot_reach_is_left_alone_by_the_other() {
    // Refused by the kernel, and closed as soon as it is made.
    for refused in [true, false] {
        let mut scene = Scene::start(&format!("max_fails 60; {LONG}"));
        if refused {
            scene.door.stop_listening();
            wait_for("the connections to be gone", PATIENCE, || {
                scene.door.open() == 0
            });
        } else {
            scene.door.refuse();
        }
        assert_eq!(scene.new_page(0), "SKIP", "refused: {refused}");
        assert!(scene.is_said_to_be_down());
        // From now on it would be seen.
        scene.door.refuse();
        scene.door.listen();
        scene.assert_left_alone();
        scene.site.nginx.finish();
    }
}

/// How long a probe of a silent server takes.
const PROBE: Duration = ms(700);

#[test]
fn one_probe_of_all_workers_looks_for_a_silent_server() {
    let mut scene = Scene::start("read_timeout 700ms; max_fails 1; fail_timeout 300ms;");
    scene.door.cut();
    wait_for("no connection", PATIENCE, || scene.door.open() == 0);
    scene.door.forget_most_open();
    scene.door.set(Way::Replies, Rule::hold(&Gate::new()));
    assert_eq!(scene.new_page(0), "SKIP");
    assert!(scene.is_said_to_be_down());
    let (mut known, mut probes) = (scene.door.accepted(), Vec::new());
    wait_for("probes", PATIENCE, || {
        assert_eq!(scene.new_page(0), "SKIP");
        assert_eq!(scene.new_page(1), "SKIP");
        let now = scene.door.accepted();
        assert!(now <= known + 1, "{} at once", now - known);
        if now > known {
            probes.push(Instant::now());
            known = now;
        }
        probes.len() == 5
    });
    assert_eq!(scene.door.most_open_for(&testbed::Peers::All), 1);
    let gaps: Vec<_> = probes.windows(2).map(|two| two[1] - two[0]).collect();
    println!("{gaps:?}");
    // A busy machine makes a gap longer, and nothing makes it shorter.
    assert!(gaps.iter().min() < Some(&(PROBE + ms(1000))), "{gaps:?}");
    scene.door.heal();
    scene.assert_used_by_both();
    scene.site.nginx.finish();
}

/// Nobody asks for the server meanwhile, and it is looked for all the same.
#[test]
fn one_probe_of_all_workers_looks_for_a_server_that_refuses() {
    let mut scene = Scene::start("max_fails 1; fail_timeout 500ms;");
    scene.door.refuse();
    assert_eq!(scene.new_page(0), "SKIP");
    assert_eq!(scene.new_page(1), "SKIP");
    let (before, begin) = (scene.door.accepted(), Instant::now());
    wait_for("probes", PATIENCE, || scene.door.accepted() >= before + 6);
    // The first may come at once. Each worker for itself would have taken half as long.
    let took = begin.elapsed();
    assert!(took > ms(5 * 500 - 50), "{took:?}");
    assert!(took < ms(6 * 1000 + 2000), "{took:?}");
    scene.door.heal();
    scene.assert_used_by_both();
    scene.site.nginx.finish();
}

/// The time to the first probe of a server that refuses writes.
const FAIL_TIMEOUT: Duration = ms(3000);

/// How often writes were refused.
fn refused(redis: &Redis) -> usize {
    let errors: String = redis.command(&["INFO", "errorstats"]);
    let counts = errors.lines().filter_map(|line| {
        let (name, count) = line.split_once(":count=")?;
        let is_meant = ["errorstat_OOM", "errorstat_READONLY"].contains(&name);
        is_meant.then(|| count.trim().parse::<usize>().ok())?
    });
    counts.sum()
}

#[test]
fn a_server_that_refuses_writes_is_left_alone_by_writes() {
    type Commands = &'static [&'static [&'static str]];
    let cases: [(&str, Commands, Commands); 2] = [
        (
            "OOM",
            &[
                &["CONFIG", "SET", "maxmemory-policy", "noeviction"],
                &["CONFIG", "SET", "maxmemory", "1"],
            ],
            &[&["CONFIG", "SET", "maxmemory", "0"]],
        ),
        (
            "READONLY",
            &[&["REPLICAOF", "127.0.0.1", "1"]],
            &[&["REPLICAOF", "NO", "ONE"]],
        ),
    ];
    for (name, begin, end) in cases {
        let mut scene = Scene::start("max_fails 2; fail_timeout 3s;");
        for command in begin {
            let _: () = scene.site.redis.command(command);
        }
        // One of each worker.
        assert_eq!(scene.new_page(0), "STORE");
        wait_for("a refused write", PATIENCE, || {
            refused(&scene.site.redis) == 1
        });
        let open = Instant::now();
        assert_eq!(scene.new_page(1), "STORE");
        wait_for("another", PATIENCE, || refused(&scene.site.redis) == 2);
        let mut rounds = 0;
        loop {
            for worker in 0..2 {
                scene.new_page(worker);
                let hit = scene.clients[worker].get(THERE);
                assert_eq!(hit.word(), "HIT", "{name}: lookups go on");
            }
            let count = refused(&scene.site.redis);
            if open.elapsed() >= FAIL_TIMEOUT {
                break;
            }
            assert_eq!(count, 2, "{name}: after {:?}", open.elapsed());
            rounds += 1;
        }
        assert!(rounds > 2, "{rounds} rounds");
        // Many writes at both workers, of which one is the probe.
        wait_for("a probe", PATIENCE, || {
            scene.new_page(0);
            scene.new_page(1);
            refused(&scene.site.redis) > 2
        });
        assert_eq!(refused(&scene.site.redis), 3, "{name}");
        for command in end {
            let _: () = scene.site.redis.command(command);
        }
        let stored = |scene: &mut Scene, worker: usize| {
            scene.new_page(worker);
            let path = format!("/new/{}", scene.asked);
            !holds_for(ms(300), || scene.site.redis.get(&path).is_none())
        };
        let mut worker = 0;
        wait_for("a write", PATIENCE, || {
            worker = 1 - worker;
            stored(&mut scene, worker)
        });
        // Redis has the record before the worker has the reply.
        wait_for("the worker to know", PATIENCE, || {
            let log = scene.site.nginx.log();
            !log.matching(Position::default(), "accepts writes again")
                .is_empty()
        });
        assert!(stored(&mut scene, 1 - worker), "{name}: the other worker");
        let said = scene.site.nginx.log();
        assert!(said.matching(Position::default(), " is down: ").is_empty());
        scene.site.nginx.finish();
    }
}
