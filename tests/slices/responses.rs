//! What clients get of a file in slices, and what of it is in Redis.

use testbed::{Answer, Gate, PATIENCE, Request, Running, wait_for};

use crate::file::{File, asked};
use crate::{MIB, part, sliced};

/// How many slices of a target are in Redis.
fn stored(site: &Running) -> usize {
    let keys = site.redis.keys();
    keys.iter().filter(|key| key.contains(":s:")).count()
}

#[test]
fn ranges_touch_only_their_slices() {
    let (site, file) = (sliced().workers(1).start(), File::new(10 * MIB + 5));
    file.serve(&site.backend, "/film");
    let body = file.body();
    let answer = site.ask(&part("/film", "bytes=-10"));
    assert_eq!((answer.status, answer.word().as_str()), (206, "STORE"));
    let range = format!(
        "bytes {}-{}/{}",
        body.len() - 10,
        body.len() - 1,
        body.len()
    );
    assert_eq!(answer.header("content-range"), Some(range));
    assert!(answer.body == body[body.len() - 10..]);
    site.wait_for_fills(3);
    // The first one tells what it is; the last ones have the bytes.
    let first = vec![
        (0, MIB - 1),
        (9 * MIB, 10 * MIB - 1),
        (10 * MIB, 10 * MIB + 4),
    ];
    assert_eq!(asked(&site.backend, "/film"), first);
    let range = format!("bytes={}-{}", 3 * MIB - 1, 3 * MIB);
    let answer = site.ask(&part("/film", &range));
    assert_eq!((answer.status, answer.word().as_str()), (206, "HIT"));
    assert!(answer.body == body[3 * MIB - 1..=3 * MIB]);
    site.wait_for_fills(5);
    assert_eq!(asked(&site.backend, "/film").len(), 5);
    let many = site.ask(&part("/film", "bytes=0-1,3145728-3145729,-1"));
    assert_eq!(many.status, 206);
    let kind = many.header("content-type").unwrap();
    assert!(
        kind.starts_with("multipart/byteranges; boundary="),
        "{kind}"
    );
    assert_eq!(
        many.header("content-length"),
        Some(many.body.len().to_string())
    );
    let head = site.ask(&Request::head("/film"));
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(body.len().to_string()))
    );
    assert_eq!(head.header("accept-ranges").as_deref(), Some("bytes"));
    let none = site.ask(&part("/film", "bytes=99999999-"));
    assert_eq!(
        (none.status, none.header("content-range")),
        (416, Some(format!("bytes */{}", body.len())))
    );
    let known = site.ask(&Request::get("/film").header("If-None-Match", "\"v1\""));
    assert_eq!(known.status, 304);
    let other = site.ask(&Request::get("/film").header("If-Match", "\"v0\""));
    assert_eq!(other.status, 412);
    let other = site.ask(&part("/film", "bytes=0-0").header("If-Range", "\"v0\""));
    assert!(other.status == 200 && other.body == *body);
    // The backend has given each byte once.
    let all = asked(&site.backend, "/film");
    assert_eq!(all.len(), 11, "{all:?}");
    wait_for("all slices", PATIENCE, || stored(&site) == 11);
}

#[test]
fn a_small_file_is_one_record() {
    let (site, file) = (sliced().start(), File::new(1000));
    file.serve(&site.backend, "/note");
    let answer = site.fill("/note");
    assert!(answer.status == 200 && answer.body == *file.body());
    assert_eq!(answer.header("content-range"), None);
    let hit = site.ask(&part("/note", "bytes=10-19"));
    assert!(hit.word() == "HIT" && hit.body == file.body()[10..20]);
    assert_eq!(site.backend.hits("/note"), 1);
    assert_eq!(stored(&site), 0);
}

#[test]
fn a_backend_without_ranges_sends_the_whole() {
    let site = sliced().start();
    site.backend.set(
        "/film",
        Answer::ok(vec![b'x'; 3 * MIB]).header("ETag", "\"v1\""),
    );
    let answer = site.fill("/film");
    assert!(answer.status == 200 && answer.body == vec![b'x'; 3 * MIB]);
    assert_eq!(site.get("/film").word(), "HIT");
    assert_eq!(site.backend.hits("/film"), 1);
}

#[test]
fn what_cannot_be_kept_in_slices_is_asked_for_as_a_whole() {
    type Make = fn() -> Answer;
    let answers: [(&str, Make); 3] = [
        ("/weak", || {
            Answer::of(206, vec![b'x'; MIB])
                .header("ETag", "W/\"v1\"")
                .header("Content-Range", "bytes 0-1048575/2097152")
        }),
        ("/unknown", || {
            Answer::of(206, vec![b'x'; MIB])
                .header("ETag", "\"v1\"")
                .header("Content-Range", "bytes 0-1048575/*")
        }),
        ("/empty", || {
            Answer::of(416, "").header("Content-Range", "bytes */0")
        }),
    ];
    for (path, answer) in answers {
        let site = sliced().workers(1).start();
        site.backend
            .script(path, move |request, _| match request.header("Range") {
                Some(range) if range == "bytes=0-1048575" => answer(),
                _ => Answer::ok(vec![b'x'; 2 * MIB]),
            });
        let got = site.get(path);
        assert!(
            got.status == 200 && got.body == vec![b'x'; 2 * MIB],
            "{path}: {}",
            got.status
        );
        wait_for("the record", PATIENCE, || site.get(path).word() == "HIT");
        assert_eq!(site.backend.hits(path), 2, "{path}");
        // The next time it is asked for so at once.
        site.redis.command::<()>(&["FLUSHALL"]);
        site.fill(path);
        assert_eq!(site.backend.hits(path), 3, "{path}");
        assert_eq!(stored(&site), 0, "{path}");
    }
}

#[test]
fn what_is_private_is_passed_in_the_parts_that_are_asked_for() {
    let site = sliced().start();
    let file = File::new(3 * MIB).with("Cache-Control", "private");
    file.serve(&site.backend, "/film");
    for _ in 0..2 {
        let answer = site.ask(&part("/film", "bytes=2097152-2097161"));
        assert_eq!((answer.status, answer.word().as_str()), (206, "SKIP"));
        assert!(answer.body == file.body()[2 * MIB..2 * MIB + 10]);
    }
    let whole = site.get("/film");
    assert!(whole.status == 200 && whole.body == *file.body());
    assert!(site.redis.keys().is_empty());
}

#[test]
fn a_store_in_shared_memory_alone() {
    let site = sliced().memory_alone("memory 32m;").start();
    let file = File::new(5 * MIB + 7);
    file.serve(&site.backend, "/film");
    for _ in 0..2 {
        let answer = site.get("/film");
        assert!(answer.status == 200 && answer.body == *file.body());
        site.wait_for_fills(6);
    }
    let answer = site.ask(&part("/film", "bytes=5242880-"));
    assert!(answer.word() == "HIT" && answer.body == file.body()[5 * MIB..]);
    assert_eq!(asked(&site.backend, "/film").len(), 6);
}

#[test]
fn a_memory_tier_keeps_heads_and_slices() {
    let site = sliced()
        .store("memory 32m min_uses=1 max_object=2m;")
        .start();
    let file = File::new(5 * MIB + 7);
    file.serve(&site.backend, "/film");
    for _ in 0..4 {
        let answer = site.get("/film");
        assert!(answer.status == 200 && answer.body == *file.body());
        site.wait_for_fills(6);
    }
    assert_eq!(asked(&site.backend, "/film").len(), 6);
}

#[test]
fn a_purge_takes_all_of_it() {
    let site = sliced()
        .http("map $request_method $purge { PURGE 1; default 0; }")
        .location("redis_cache_purge $purge; redis_cache_purge_allow 127.0.0.1;")
        .start();
    let file = File::new(3 * MIB);
    file.serve(&site.backend, "/film");
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(3);
    file.change(4 * MIB);
    let purge = site.ask(&Request::new("PURGE", "/film"));
    assert!(purge.status / 100 == 2, "{}", purge.status);
    let answer = site.get("/film");
    assert_eq!(answer.header("etag").as_deref(), Some("\"v2\""));
    assert!(answer.body == *file.body());
}

#[test]
fn bytes_pass_as_they_come_to_all_who_wait() {
    let site = sliced().workers(1).server("proxy_buffering off;").start();
    let (file, gate) = (File::new(4 * MIB), Gate::new());
    let (served, held) = (file.clone(), gate.clone());
    site.backend.script("/film", move |request, _| {
        let answer = served.answer(request);
        match request.header("Range").as_deref() {
            Some("bytes=1048576-2097151") => answer.gate_at(MIB / 2, &held),
            _ => answer,
        }
    });
    let mut clients = [site.client(), site.client(), site.client()];
    let mut answers = Vec::new();
    for client in &mut clients {
        client.send(&Request::get("/film")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, MIB + MIB / 2).unwrap();
        assert!(answer.body == file.body()[..MIB + MIB / 2]);
        answers.push(answer);
    }
    gate.open();
    for (client, answer) in clients.iter_mut().zip(&mut answers) {
        client.receive_rest(answer).unwrap();
        assert!(answer.complete && answer.body == *file.body());
    }
    assert_eq!(site.backend.hits("/film"), 4);
}

#[test]
fn who_reads_nothing_has_little_fetched() {
    let site = sliced().workers(1).start();
    let file = File::new(64 * MIB);
    file.serve(&site.backend, "/film");
    let mut idle = site.client();
    idle.send(&Request::get("/film")).unwrap();
    let mut answer = idle.receive_header().unwrap();
    // The kernel's buffers take some MB.
    site.wait_for_fills(3);
    for number in 0..20 {
        let range = format!("bytes={}-{}", number * 3 * MIB, number * 3 * MIB + 9);
        assert_eq!(site.ask(&part("/film", &range)).status, 206);
    }
    let fetched = site.backend.hits("/film");
    assert!(fetched < 45, "{fetched} slices");
    idle.receive_rest(&mut answer).unwrap();
    assert!(answer.complete && answer.body == *file.body());
    assert_eq!(site.backend.hits("/film"), 64);
}

#[test]
fn a_slice_is_no_response_by_itself() {
    let site = sliced()
        .locations("location /raw { redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_key $arg_key; redis_cache_header X-Cache; proxy_pass http://backend; }")
        .store("memory 32m min_uses=1 max_object=2m;")
        .start();
    let file = File::new(2 * MIB);
    file.serve(&site.backend, "/film");
    let _ = site.get("/film");
    site.wait_for_fills(2);
    let keys = site.redis.keys();
    for key in keys.iter().filter(|key| key.contains(":s:")) {
        for _ in 0..2 {
            let answer = site.get(&format!("/raw?key={key}"));
            assert!(answer.body.len() < 1000, "{key}");
        }
    }
}

#[test]
fn a_part_of_a_page_and_a_compressed_response() {
    let site = sliced()
        .server("gzip on; gzip_types text/plain; gzip_proxied any;")
        .locations("location = /page { ssi on; ssi_types *; return 200 '[<!--#include virtual=\"/film\" -->]'; }")
        .start();
    let file = File::new(2 * MIB + 10);
    file.serve(&site.backend, "/film");
    for _ in 0..2 {
        let page = site.ask(&part("/page", "bytes=0-5"));
        assert_eq!(page.body, [b"[", &file.body()[..], b"]"].concat());
    }
    let packed = site.ask(&Request::get("/film").header("Accept-Encoding", "gzip"));
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    // As with other records: a part of it would be one of other bytes.
    let packed = site.ask(&part("/film", "bytes=5-9").header("Accept-Encoding", "gzip"));
    assert_eq!(packed.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(packed.status, 200);
    let plain = site.ask(&part("/film", "bytes=5-9"));
    assert!(plain.status == 206 && plain.body == file.body()[5..10]);
}

/// However many ranges a request has, and though nothing can be stored.
#[test]
fn a_request_needs_each_slice_once() {
    let site = sliced().workers(1).start();
    let file = File::new(4 * MIB + 5);
    file.serve(&site.backend, "/film");
    site.redis
        .command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let some = ["0-0,3145728-3145728,1048576-1048576,-1"; 50].join(",");
    let answer = site.ask(&part("/film", &format!("bytes={some}")));
    assert_eq!(answer.status, 206);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("multipart/byteranges"), "{kind}");
    let spans = asked(&site.backend, "/film");
    let mut once = spans.clone();
    once.dedup();
    assert_eq!(spans, once);
    site.redis
        .command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
}

#[test]
fn only_if_cached_is_all_of_it_or_nothing() {
    let site = sliced()
        .workers(1)
        .location("redis_cache_honor_request on;")
        .start();
    let file = File::new(3 * MIB);
    file.serve(&site.backend, "/film");
    let _ = site.ask(&part("/film", "bytes=0-0"));
    site.wait_for_fills(1);
    let cached = |range: Option<&str>| {
        let request = Request::get("/film").header("Cache-Control", "only-if-cached");
        site.ask(&match range {
            Some(range) => request.header("Range", range),
            None => request,
        })
    };
    assert_eq!(cached(Some("bytes=0-9")).status, 206);
    for range in [None, Some("bytes=1048570-1048580"), Some("bytes=-1")] {
        assert_eq!(cached(range).status, 504, "{range:?}");
    }
    assert_eq!(site.backend.hits("/film"), 1);
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(3);
    let whole = cached(None);
    assert!(whole.status == 200 && whole.body == *file.body());
}

#[test]
fn a_head_request_past_the_cache_confirms_the_file() {
    let site = sliced().location("redis_cache_methods GET;").start();
    let file = File::new(3 * MIB);
    file.serve(&site.backend, "/film");
    assert!(site.get("/film").body == *file.body());
    site.wait_for_fills(3);
    let head = site.ask(&Request::head("/film"));
    assert_eq!(head.word(), "SKIP");
    assert_eq!(head.header("content-length"), Some((3 * MIB).to_string()));
    let whole = site.get("/film");
    assert!(whole.word() == "HIT" && whole.body == *file.body());
    // One that contradicts it takes it away.
    file.change(4 * MIB);
    assert_eq!(site.ask(&Request::head("/film")).status, 200);
    wait_for("the new file", PATIENCE, || {
        site.get("/film").body == *file.body()
    });
}
