//! Answers that outgrow the limit while they stream, and who waits for them in another worker.

use testbed::{Answer, Client, Gate, PATIENCE, Request, Running, Site, Vitals, pattern, wait_for};

use crate::{unbuffered, worker};

/// Connects until there are clients of both workers: one of the first, `count` of the other.
#[track_caller]
fn apart(site: &Running, count: usize) -> (Client, Vec<Client>) {
    let owner = worker(site).to_string();
    let (mut ours, mut theirs) = (None, Vec::new());
    wait_for("clients of both workers", PATIENCE, || {
        let mut client = site.client();
        if client.get("/probe").header("x-worker") == Some(owner.clone()) {
            ours = Some(client);
        } else if theirs.len() < count {
            theirs.push(client);
        }
        ours.is_some() && theirs.len() == count
    });
    (ours.unwrap(), theirs)
}

#[test]
fn who_waits_in_another_worker_is_released_when_the_limit_is_passed() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site)
            .workers(2)
            .spread()
            .location("redis_cache_max_size 100k;")
            .start();
        let body = pattern(1_000_000, 1);
        let (within, beyond) = (Gate::new(), Gate::new());
        let first = Answer::ok(body.clone()).chunked();
        let first = first.gate_at(50_000, &within).gate_at(900_000, &beyond);
        site.backend
            .set_each("/x", vec![first, Answer::ok(body.clone())]);
        let (mut filler, mut theirs) = apart(&site, 5);
        filler.send(&Request::get("/x")).unwrap();
        let mut answer = filler.receive_header().unwrap();
        for client in &mut theirs {
            client.send(&Request::get("/x")).unwrap();
        }
        site.wait_for_waiters(5);
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
        within.open();
        // The first answer hasn't ended, and won't before the others have all of theirs.
        for client in &mut theirs {
            let answer = client.receive().unwrap();
            assert!(answer.complete && answer.body == body, "{form}");
        }
        // Who comes now is told at once that it isn't stored.
        let later = site.get("/x");
        assert!(later.body == body && later.word() != "HIT", "{form}");
        assert_eq!(site.backend.under_way("/x"), 1, "{form}");
        beyond.open();
        filler.receive_rest(&mut answer).unwrap();
        assert!(answer.complete && answer.body == body, "{form}");
        assert_eq!(site.backend.hits("/x"), 7, "{form}");
        site.wait_for_quiet_zone();
        assert!(site.redis.get(&site.key("/x")).is_none(), "{form}");
    }
}

#[test]
fn what_was_captured_is_given_back_when_the_limit_is_passed() {
    let site = unbuffered(Site::new())
        .location("redis_cache_max_size 20m; redis_cache_capture_memory 25m;")
        .store("read_timeout 10s; send_timeout 10s;")
        .start();
    let pid = worker(&site);
    let rss = || Vitals::of(pid).unwrap().rss;
    let (body, gate) = (pattern(24_000_000, 2), Gate::new());
    let answer = Answer::ok(body.clone()).chunked();
    site.backend
        .set("/large", answer.gate_at(23_000_000, &gate));
    let mut client = site.client();
    client.send(&Request::get("/large")).unwrap();
    let mut large = client.receive_header().unwrap();
    client.receive_until(&mut large, 22_000_000).unwrap();
    // What was captured goes back to the system once its reader has caught up.
    let captured = Vitals::of(pid).unwrap().peak;
    wait_for("the memory of the capture", PATIENCE, || {
        rss() + 15_000 < captured
    });
    // It counts no more, and its memory is used for the next one, which has room beside it.
    for number in 0..2 {
        let path = format!("/next/{number}");
        let next = pattern(19_000_000, 3);
        site.backend.set(&path, Answer::ok(next.clone()).chunked());
        assert!(site.get(&path).body == next, "{path}");
        wait_for("its record", PATIENCE, || {
            site.redis.pttl(&site.key(&path)) > 0
        });
    }
    let after = rss();
    println!("{captured} kB with one that was captured, {after} kB after two more");
    assert!(captured > 20_000, "{captured} kB");
    assert!(after < captured + 5000, "{captured} kB, {after} kB");
    gate.open();
    client.receive_rest(&mut large).unwrap();
    assert!(large.complete && large.body == body);
}
