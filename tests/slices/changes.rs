//! A file that changes in the middle: no response has bytes of two of its versions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use testbed::{PATIENCE, Request, Running, ms, wait_for};

use crate::file::{File, span};
use crate::{MIB, in_turn, part, sliced};

const SIZE: usize = 6 * MIB + 100;

/// A response is that of the version that its ETag names, whole or cut off.
fn assert_unmixed(answer: &testbed::Response, range: Option<&str>) {
    assert!(matches!(answer.status, 200 | 206), "{}", answer.status);
    let body = File::of(&answer.header("etag").unwrap(), SIZE);
    let (first, last) = range.map_or((0, SIZE - 1), |range| span(range, SIZE).unwrap());
    let wanted = &body[first..=last];
    assert!(answer.body.len() <= wanted.len());
    assert!(answer.body == wanted[..answer.body.len()], "a mixture");
    assert_eq!(answer.complete, answer.body.len() == wanted.len());
}

#[test]
fn who_has_nothing_yet_begins_anew() {
    let (site, file) = (sliced().workers(1).start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    file.change(SIZE);
    let range = format!("bytes={}-{}", 4 * MIB, 4 * MIB + 9);
    let answer = site.ask(&part("/film", &range));
    assert_eq!(answer.header("etag").as_deref(), Some("\"v2\""));
    assert!(answer.status == 206 && answer.body == file.body()[4 * MIB..4 * MIB + 10]);
    let whole = site.get("/film");
    assert!(whole.body == *file.body());
}

#[test]
fn who_has_bytes_already_is_cut_off() {
    let (site, file) = (sliced().workers(1).start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    file.change(SIZE);
    // The first slice is in the store.
    let mut client = site.client();
    let answer = client.exchange(&Request::get("/film")).unwrap();
    assert_eq!((answer.status, answer.complete), (200, false));
    assert_unmixed(&answer, None);
    assert_eq!(answer.body.len(), MIB);
    // It goes on by If-Range, and gets all of the new one.
    let rest = format!("bytes={MIB}-");
    let etag = answer.header("etag").unwrap();
    let next = site.ask(&part("/film", &rest).header("If-Range", etag));
    assert!(next.status == 200 && next.body == *file.body());
}

#[test]
fn clients_while_it_changes() {
    for workers in [1, 2] {
        let site = sliced().workers(workers).spread().start();
        let file = File::new(SIZE);
        file.serve(&site.backend, "/film");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (site, over): (&Running, _) = (&site, &over);
            for number in 0..8_usize {
                scope.spawn(move || {
                    let mut turn = number;
                    while !over.load(Ordering::Relaxed) {
                        turn += 1;
                        let (request, range) = in_turn("/film", turn);
                        let mut client = site.client();
                        if let Ok(answer) = client.exchange(&request) {
                            assert_unmixed(&answer, range.as_deref());
                        }
                    }
                });
            }
            for _ in 0..12 {
                thread::sleep(ms(100));
                file.change(SIZE);
            }
            over.store(true, Ordering::Relaxed);
        });
        // It comes to rest: with the last version, or one of which all slices were stored.
        wait_for("a whole response", PATIENCE, || {
            let answer = site.client().exchange(&Request::get("/film"));
            answer.is_ok_and(|answer| {
                assert_unmixed(&answer, None);
                answer.complete
            })
        });
    }
}

#[test]
fn a_lost_head_costs_the_file() {
    let (site, file) = (sliced().workers(1).start(), File::new(SIZE));
    file.serve(&site.backend, "/film");
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(7);
    let before = site.backend.hits("/film");
    site.redis
        .command::<()>(&["EXPIRE", &site.key("/film"), "0"]);
    // It is lost: all of it is another object.
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(14);
    assert_eq!(site.backend.hits("/film"), before + 7);
}

#[test]
fn a_stale_head_is_renewed_and_its_slices_go_on() {
    let site = sliced().workers(1).location("redis_cache_stale 60s;");
    let site = site.http("proxy_next_upstream off;").start();
    let file = File::new(SIZE).with("X-Cache-For", "the default time");
    file.serve(&site.backend, "/film");
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(7);
    site.make_stale("/film");
    let stale = site.get("/film");
    assert!(stale.word() == "STALE" && stale.body == *file.body());
    site.wait_for_fills(8);
    let conditional = site.backend.last("/film");
    assert_eq!(
        conditional.header("If-None-Match").as_deref(),
        Some("\"v1\"")
    );
    assert_eq!(
        conditional.header("Range").as_deref(),
        Some("bytes=0-1048575")
    );
    let hit = site.get("/film");
    assert!(hit.word() == "HIT" && hit.body == *file.body());
    assert_eq!(site.backend.hits("/film"), 8);
    // Slices that would go before their head stay as long as it does.
    for key in site.redis.keys() {
        site.redis.command::<()>(&["PEXPIRE", &key, "90000"]);
    }
    site.redis
        .command::<()>(&["PEXPIRE", &site.key("/film"), "119000"]);
    assert!(site.get("/film").body == *file.body());
    let slices = || {
        site.redis
            .keys()
            .into_iter()
            .filter(|key| key.contains(":s:"))
    };
    wait_for("a longer life of the slices", PATIENCE, || {
        slices().all(|key| site.redis.pttl(&key) > 119_000)
    });
    // A backend that takes no notice of conditions.
    let served = file.clone();
    site.backend.script("/film", move |request, _| {
        let mut request = request.clone();
        request
            .fields
            .retain(|(name, _)| !name.eq_ignore_ascii_case("If-None-Match"));
        served.answer(&request)
    });
    site.redis
        .command::<()>(&["PEXPIRE", &site.key("/film"), "50000"]);
    assert_eq!(site.get("/film").word(), "STALE");
    site.wait_for_fills(9);
    let hit = site.get("/film");
    assert!(hit.word() == "HIT" && hit.body == *file.body());
    assert_eq!(site.backend.hits("/film"), 9);
    // It has another one: all of it is fetched.
    file.change(SIZE);
    site.redis
        .command::<()>(&["PEXPIRE", &site.key("/film"), "50000"]);
    assert_eq!(site.get("/film").word(), "STALE");
    site.wait_for_fills(10);
    assert!(site.get("/film").body == *file.body());
    assert_eq!(site.backend.hits("/film"), 16);
}
