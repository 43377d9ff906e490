//! A worker without memory: the request that needs it fails cleanly, and the worker lives.

use std::thread;
use testbed::{Answer, Client, PATIENCE, Request, Running, Site, ms, pattern, wait_for};

use crate::LOCKS;

const SIZE: usize = 4_000_000;

/// A record that answers, and backends' answers that are to be captured.
fn site() -> Running {
    let limits = "redis_cache_max_size 64m; redis_cache_capture_memory 512m;";
    let site = Site::new()
        .workers(1)
        .location(LOCKS)
        .location(limits)
        .store("read_timeout 5s;")
        .start();
    let large = Answer::ok(pattern(SIZE, 1)).chunked();
    for number in 0..8 {
        site.backend.set(&format!("/large/{number}"), large.clone());
    }
    for number in 0..300 {
        let small = Answer::ok(format!("{number}")).delay(ms(100));
        site.backend.set(&format!("/small/{number}"), small);
    }
    site.fill("/small");
    site.backend.set("/record", large);
    site.fill("/record");
    site
}

/// Asks for `paths`, all at once, again and again, while the worker has only so much memory.
fn starved(site: &mut Running, kilobytes: u64, paths: &[String]) {
    let worker = site.nginx.workers();
    let address = site.address();
    site.nginx.starve(worker[0], Some(kilobytes));
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        thread::scope(|scope| {
            let clients = paths.iter().map(|path| {
                scope.spawn(move || Client::try_connect(address)?.exchange(&Request::get(path)))
            });
            let clients: Vec<_> = clients.collect();
            for client in clients {
                outcomes.push(match client.join().unwrap() {
                    Ok(answer) if !answer.complete => "cut".to_owned(),
                    Ok(answer) => {
                        let (status, size) = (answer.status, answer.body.len());
                        assert!(status != 200 || size < 10 || size == SIZE, "{size}");
                        format!("{status}")
                    }
                    Err(error) => format!("{:?}", error.kind()),
                });
            }
        });
    }
    outcomes.sort();
    let mut counts: Vec<(String, usize)> = Vec::new();
    for outcome in outcomes {
        match counts.last_mut() {
            Some((last, count)) if *last == outcome => *count += 1,
            _ => counts.push((outcome, 1)),
        }
    }
    println!("{kilobytes} kB, {} at once: {counts:?}", paths.len());
    assert_eq!(
        site.nginx.workers(),
        worker,
        "{kilobytes} kB: the worker died"
    );
    site.nginx.starve(worker[0], None);
    // With memory again all is as before.
    site.wait_for_quiet_zone();
    for path in paths.iter().step_by(paths.len().div_ceil(30)) {
        let answer = site.get(path);
        assert!(answer.status == 200 && answer.complete, "{kilobytes} kB");
        assert!(answer.last_byte < ms(5000), "{:?}", answer.last_byte);
    }
    wait_for("the small record", PATIENCE, || {
        site.get("/small").word() == "HIT"
    });
    for path in paths.iter().filter(|path| *path != "/record") {
        let _: i64 = site.redis.command(&["DEL", path]);
    }
    assert_eq!(
        site.nginx.workers(),
        worker,
        "{kilobytes} kB: the worker died"
    );
}

/// Each time a fresh worker: memory that was once had stays with it.
fn starve_with(kilobytes: [u64; 2], paths: &[String]) {
    for kilobytes in kilobytes {
        starved(&mut site(), kilobytes, paths);
    }
}

#[test]
fn large_answers_find_no_memory_and_the_worker_lives() {
    let paths: Vec<_> = (0..8).map(|number| format!("/large/{number}")).collect();
    starve_with([3000, 0], &paths);
}

#[test]
fn large_records_find_no_memory_and_the_worker_lives() {
    let paths = vec!["/record".to_owned(); 6];
    starve_with([3000, 0], &paths);
}

#[test]
fn small_requests_find_no_memory_and_the_worker_lives() {
    let paths: Vec<_> = (0..300).map(|number| format!("/small/{number}")).collect();
    starve_with([1000, 0], &paths);
}
