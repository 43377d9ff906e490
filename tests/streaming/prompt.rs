//! First bytes, live bytes, answers over the limit.

use std::thread;
use std::time::{Duration, Instant};
use testbed::{Answer, Gate, PATIENCE, Request, Site, ms, pattern, wait_for};

use crate::{PROMPT, unbuffered};

#[test]
fn the_first_byte_comes_when_the_backend_sends_it() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site).start();
        let (mut headers, mut bodies) = (Vec::new(), Vec::new());
        for number in 0..5 {
            let path = format!("/{number}");
            let (header, body) = (Gate::new(), Gate::new());
            let bytes = pattern(5000, number);
            let answer = Answer::ok(bytes.clone()).gate(&header).gate_at(0, &body);
            site.backend.set(&path, answer);
            let (mut first, mut second) = (site.client(), site.client());
            for client in [&mut first, &mut second] {
                client.send(&Request::get(&path)).unwrap();
            }
            site.wait_for_waiters(1);
            site.backend.wait_for_hits(&path, 1);
            let start = Instant::now();
            header.open();
            let mut answers = [
                first.receive_header().unwrap(),
                second.receive_header().unwrap(),
            ];
            headers.push(start.elapsed());
            let start = Instant::now();
            body.open();
            first.receive_until(&mut answers[0], 1).unwrap();
            second.receive_until(&mut answers[1], 1).unwrap();
            bodies.push(start.elapsed());
            first.receive_rest(&mut answers[0]).unwrap();
            second.receive_rest(&mut answers[1]).unwrap();
            assert!(answers.iter().all(|answer| answer.body == bytes), "{form}");
            assert_eq!(site.backend.hits(&path), 1, "{form}");
        }
        for times in [headers, bodies] {
            println!("{form}: {times:?} behind the backend");
            assert!(best(&times) < PROMPT, "{form}: {times:?}");
        }
    }
}

#[test]
fn who_joins_in_the_middle_gets_the_beginning_and_then_the_rest_live() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site).start();
        for (framing, chunked) in [("length", false), ("chunked", true)] {
            let path = format!("/{framing}");
            let gates: Vec<_> = (0..6).map(|_| Gate::new()).collect();
            let body = pattern(300_000, 2);
            let mut answer = Answer::ok(body.clone());
            for (number, gate) in gates.iter().enumerate() {
                answer = answer.gate_at(50_000 * number + 1000, gate);
            }
            site.backend
                .set(&path, if chunked { answer.chunked() } else { answer });
            let mut readers = Vec::new();
            let (mut joined, mut lived) = (Vec::new(), Vec::new());
            for (number, gate) in gates.iter().enumerate() {
                let here = 50_000 * number + 1000;
                let mut client = site.client();
                let start = Instant::now();
                client.send(&Request::get(&path)).unwrap();
                let mut answer = client.receive_header().unwrap();
                client.receive_until(&mut answer, here).unwrap();
                joined.push(start.elapsed());
                readers.push((client, answer));
                let start = Instant::now();
                gate.open();
                let live = (here + 50_000).min(body.len());
                for (client, answer) in &mut readers {
                    client.receive_until(answer, live).unwrap();
                }
                lived.push(start.elapsed());
            }
            for times in [joined, lived] {
                assert!(best(&times) < PROMPT * 2, "{form} {framing}: {times:?}");
            }
            for (number, (client, answer)) in readers.iter_mut().enumerate() {
                client.receive_rest(answer).unwrap();
                assert!(
                    answer.body == body && answer.complete,
                    "{form} {framing} {number}"
                );
                let word = if number == 0 { "STORE" } else { "HIT" };
                assert_eq!(answer.word(), word, "{form} {framing}");
            }
            assert_eq!(site.backend.hits(&path), 1, "{form} {framing}");
            assert!(site.redis.wait_for_record(&site.key(&path)).body == body);
        }
    }
}

#[test]
fn an_answer_over_the_limit_streams_whole_and_is_not_stored() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site)
            .location("redis_cache_max_size 100k;")
            .start();
        let body = pattern(1_000_000, 3);
        for (framing, answer) in [
            ("length", Answer::ok(body.clone())),
            ("chunked", Answer::ok(body.clone()).chunked()),
            ("close", Answer::ok(body.clone()).until_close()),
        ] {
            let path = format!("/{framing}");
            site.backend.set(&path, answer);
            for turn in 1..=2 {
                let answer = site.get(&path);
                assert!(answer.body == body, "{form} {framing}");
                let word = answer.word();
                assert_ne!(word, "HIT", "{form} {framing}");
                if framing == "length" {
                    assert_eq!(word, "SKIP", "{form} {framing}");
                }
                assert_eq!(site.backend.hits(&path), turn, "{form} {framing}");
            }
            let crowd = site.crowd(20, &path);
            assert_eq!(
                crowd.bodies(),
                [(body.clone(), 20)].into(),
                "{form} {framing}"
            );
        }
        assert!(
            site.redis.keys().is_empty(),
            "{form}: {:?}",
            site.redis.keys()
        );
        // At the limit it is stored.
        site.backend
            .set("/limit", Answer::ok(pattern(102_400, 4)).chunked());
        site.fill("/limit");
    }
}

#[test]
fn fifty_waiters_on_what_is_not_storable_are_released_at_its_first_byte() {
    let site = unbuffered(Site::new()).workers(2).spread().start();
    let gate = Gate::new();
    let held = gate.clone();
    site.backend.script("/x", move |_, nth| {
        let answer = Answer::ok(pattern(10_000, 8)).header("Cache-Control", "no-store");
        if nth == 1 {
            answer.delay(ms(400)).gate_at(5000, &held)
        } else {
            answer
        }
    });
    thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(50, "/x"));
        // All but the first have their answers while the first one's still hangs.
        wait_for("the others' requests", PATIENCE, || {
            site.backend.hits("/x") == 50
        });
        wait_for("the others' answers", PATIENCE, || {
            site.backend.under_way("/x") == 1
        });
        gate.open();
        let crowd = crowd.join().unwrap();
        assert!(
            crowd
                .answers()
                .iter()
                .all(|answer| answer.body == pattern(10_000, 8))
        );
        println!("slowest {:?}", crowd.slowest());
    });
}

fn best(times: &[Duration]) -> Duration {
    times.iter().min().copied().unwrap_or_default()
}
