//! The requests of `make memcheck`: every outcome of the cache, again and again, from an nginx that runs under valgrind.
//!
//! `memcheck ROUNDS` sends them ROUNDS times. What valgrind says is compared by build-aux/memcheck; here only whether
//! the answers are right.

use std::process::ExitCode;

use testbed::{Answer, Gate, Redis, Request, Running, Site, ms, pattern, wait_for};

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let Some(rounds) = rounds else {
        eprintln!("usage: memcheck ROUNDS");
        return ExitCode::from(2);
    };
    for (form, site) in Site::forms() {
        // One process: what it leaves behind when it ends is what valgrind counts.
        let mut site = site
            .workers(0)
            .main("master_process off;")
            .store("connect_timeout 20s; send_timeout 20s; read_timeout 20s;")
            .location("redis_cache_max_size 100k;")
            .start_with(Redis::start());
        script(&site);
        for round in 0..rounds {
            one_round(&mut site, round);
        }
        println!(
            "{form}: {rounds} rounds, {} requests at the backend",
            site.backend.all_hits()
        );
        site.nginx.finish();
    }
    ExitCode::SUCCESS
}

/// What the backend answers. Keys are the same in each round, so that what is remembered of them doesn't grow.
fn script(site: &Running) {
    let backend = &site.backend;
    backend.set("/large", Answer::ok(pattern(90_000, 1)));
    backend.set("/chunked", Answer::ok(pattern(50_000, 2)).chunked());
    backend.set("/too-large", Answer::ok(pattern(400_000, 3)).chunked());
    backend.set("/known", Answer::ok(pattern(400_000, 4)));
    backend.set(
        "/private",
        Answer::ok("x").header("Cache-Control", "private"),
    );
    backend.set("/cookie", Answer::ok("x").header("Set-Cookie", "a=b"));
    backend.set("/404", Answer::of(404, "x"));
    backend.set("/500", Answer::of(500, "x"));
    backend.set("/204", Answer::of(204, ""));
    backend.set("/empty", Answer::ok(""));
    backend.set("/cut", Answer::ok(pattern(50_000, 5)).cut_at(20_000));
    backend.set("/reset", Answer::ok("x").reset());
    backend.set("/etag", Answer::ok("x").header("ETag", "\"1\""));
}

const PATHS: [&str; 14] = [
    "/small",
    "/large",
    "/chunked",
    "/too-large",
    "/known",
    "/private",
    "/cookie",
    "/404",
    "/500",
    "/204",
    "/empty",
    "/cut",
    "/reset",
    "/etag",
];

fn one_round(site: &mut Running, round: usize) {
    let _: String = site.redis.command(&["FLUSHALL"]);
    // A miss, a hit, a stale answer with its refill, of each kind.
    for path in PATHS {
        let mut client = site.client();
        for _ in 0..2 {
            let answer = client.exchange(&Request::get(path));
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.complete) || path == "/cut",
                "{path}: {answer:?}"
            );
            if answer.is_ok_and(|answer| answer.word() == "STORE" && path != "/too-large")
                && path != "/cut"
            {
                let _ = site.redis.wait_for_record(&site.key(path));
            }
            if path == "/cut" {
                break;
            }
        }
        if site.redis.get(&site.key(path)).is_some() {
            site.make_stale(path);
            let _ = site.get(path);
            let _ = site.ask(&Request::head(path));
            let _ = site.ask(&Request::get(path).header("Range", "bytes=0-9"));
            let _ = site.ask(&Request::get(path).header("If-None-Match", "\"1\""));
            wait_for("the refill", ms(20_000), || {
                site.backend.under_way(path) == 0
            });
        }
    }
    let _ = site.ask(&Request::post("/post", pattern(30_000, 6)));
    let _ = site.ask(&Request::new("PUT", "/put").body("x"));
    together(site);
    if round % 5 == 4 {
        without_redis(site);
    }
}

/// Waiters, subscribers, and some of each that leave.
fn together(site: &Running) {
    let gate = Gate::new();
    let body = pattern(80_000, 7);
    site.backend
        .set("/wait", Answer::ok(body.clone()).gate_at(40_000, &gate));
    let mut clients: Vec<_> = (0..8).map(|_| site.client()).collect();
    for client in &mut clients {
        client.send(&Request::get("/wait")).expect("a request sent");
    }
    wait_for("the fill", ms(20_000), || {
        site.backend.under_way("/wait") == 1
    });
    let leavers = clients.split_off(5);
    leavers.into_iter().for_each(testbed::Client::reset);
    gate.open();
    for mut client in clients {
        let answer = client.receive().expect("an answer");
        assert!(answer.status == 200 && answer.body == body, "/wait");
    }
    // Stored later than the next round begins it would be a hit there.
    let _ = site.redis.wait_for_record(&site.key("/wait"));
}

fn without_redis(site: &mut Running) {
    site.redis.stop();
    for number in 0..3 {
        let answer = site.get(&format!("/down/{number}"));
        assert_eq!(answer.status, 200, "with Redis down");
    }
    let _ = site.crowd(5, "/down/crowd").answers();
    site.redis.run();
    let mut turn = 0;
    wait_for("Redis to be used again", ms(20_000), || {
        turn += 1;
        site.get(&format!("/back/{}", turn % 2)).word() != "SKIP"
    });
}
