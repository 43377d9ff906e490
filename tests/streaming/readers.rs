//! Slow readers, readers that leave, readers of what outgrows the limit.

use std::thread;
use std::time::Instant;
use testbed::{Answer, Client, Faucet, Gate, PATIENCE, Request, Site, ms, pattern, wait_for};

use crate::{UNBUFFERED, sip, unbuffered, with_faucet};

#[test]
fn readers_of_an_answer_that_outgrows_the_limit_share_it_to_its_end() {
    let site = unbuffered(Site::new())
        .location("redis_cache_max_size 100k;")
        .start();
    let (body, gate) = (pattern(3_000_000, 5), Gate::new());
    let answer = Answer::ok(body.clone()).chunked().gate_at(50_000, &gate);
    site.backend.set("/x", answer);
    let mut readers = Vec::new();
    for _ in 0..3 {
        let mut client = site.client();
        client.send(&Request::get("/x")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, 40_000).unwrap();
        readers.push((client, answer));
    }
    gate.open();
    thread::scope(|scope| {
        for (number, (client, answer)) in readers.iter_mut().enumerate() {
            let body = &body;
            scope.spawn(move || {
                while client.receive_piece(answer).unwrap() {
                    // One of them is slow.
                    thread::sleep(ms(if number == 1 { 2 } else { 0 }));
                }
                assert!(answer.complete && answer.body == *body, "reader {number}");
            });
        }
    });
    assert_eq!(site.backend.hits("/x"), 1);
    // Who comes now is told, or finds out, that it isn't stored; and isn't kept waiting.
    let later = site.get("/x");
    assert!(later.body == body && later.word() != "HIT");
    assert!(site.redis.keys().is_empty());
}

#[test]
fn a_slow_first_reader_does_not_slow_down_the_fill() {
    for (form, site) in Site::forms() {
        let site = unbuffered(site).start();
        let body = pattern(7_500_000, 6);
        site.backend.set("/x", Answer::ok(body.clone()));
        let mut slow = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
        slow.send(&Request::get("/x")).unwrap();
        let mut answer = slow.receive_header().unwrap();
        let start = Instant::now();
        let other = site.get("/x");
        let took = start.elapsed();
        assert!(
            other.body == body && other.word() == "HIT",
            "{form}: {}",
            other.word()
        );
        assert!(took < ms(10_000), "{form}: another reader took {took:?}");
        assert!(
            site.redis.wait_for_record(&site.key("/x")).body == body,
            "{form}"
        );
        site.backend.wait_until_idle("/x");
        // Half a second at less than 1 MB/s, and then the rest.
        for _ in 0..5 {
            slow.receive_piece(&mut answer).unwrap();
            thread::sleep(ms(100));
        }
        slow.receive_rest(&mut answer).unwrap();
        assert!(answer.body == body && answer.complete, "{form}");
        assert_eq!(site.backend.hits("/x"), 1, "{form}");
    }
}

#[test]
fn a_reader_that_leaves_an_uncaptured_answer_ends_it() {
    for (form, header) in [
        ("no-store", "Cache-Control: no-store\r\n"),
        ("too large", ""),
    ] {
        let faucet = Faucet::start(200_000_000, header);
        let site = with_faucet(UNBUFFERED, &faucet).start();
        for reset in [true, false] {
            let mut client = Client::connect_narrow(site.address(), 64 * 1024).unwrap();
            client.send(&Request::get("/x")).unwrap();
            let mut answer = client.receive_header().unwrap();
            sip(&mut client, &mut answer, 0, 1_000_000, 1 << 40);
            assert_eq!(faucet.open(), 1, "{form}");
            if reset {
                client.reset();
            } else {
                drop(client);
            }
            let took = wait_for("the end of the backend's connection", PATIENCE, || {
                faucet.open() == 0
            });
            println!("{form}: ended after {took:?}");
        }
        site.nginx.finish();
    }
}

#[test]
fn of_two_readers_one_may_leave() {
    let site = unbuffered(Site::new())
        .location("redis_cache_max_size 100k;")
        .start();
    let body = pattern(5_000_000, 7);
    for leaver in [0, 1] {
        let path = format!("/{leaver}");
        let mut readers = Vec::new();
        let late = Gate::new();
        let answer = Answer::ok(body.clone()).chunked().gate_at(50_000, &late);
        site.backend.set(&path, answer);
        for _ in 0..2 {
            let mut client = Client::connect_narrow(site.address(), 16 * 1024).unwrap();
            client.send(&Request::get(&path)).unwrap();
            let mut answer = client.receive_header().unwrap();
            client.receive_until(&mut answer, 40_000).unwrap();
            readers.push((client, answer));
        }
        late.open();
        // One leaves unread what the other must have.
        let (client, _) = readers.remove(leaver);
        thread::sleep(ms(50));
        client.reset();
        let (mut client, mut answer) = readers.remove(0);
        client.receive_rest(&mut answer).unwrap();
        assert!(
            answer.body == body && answer.complete,
            "reader {leaver} left"
        );
        assert_eq!(site.backend.hits(&path), 1);
    }
}
