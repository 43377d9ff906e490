//! What is compressed takes room in `redis_cache_capture_memory`, and gives it to bodies that come in.

use testbed::{Gate, PATIENCE, Request, Site, wait_for};

use crate::{accepting, assert_plain, page, site, text};

/// Bytes of a body that has room beside no compressor, and half of which has room beside one.
const BODY: usize = 215_000;

/// A site that has room to compress a body of half that length.
fn narrow(coding: &str) -> Site {
    let compressor = if coding == "gzip" { 404 } else { 1520 };
    let room = compressor + 130;
    site(coding)
        .workers(1)
        .location(&format!("redis_cache_capture_memory {room}k;"))
}

pub fn a_body_that_needs_the_room_of_its_compressor_is_stored_as_it_is(coding: &str) {
    let site = narrow(coding).start();
    for (target, is_chunked) in [("/length", false), ("/chunked", true)] {
        let body = text(BODY);
        let answer = page(&body);
        let answer = if is_chunked { answer.chunked() } else { answer };
        site.backend.set(target, answer);
        assert_plain(&site.fill(target), &body, target);
        let record = site.redis.wait_for_record(target);
        assert!(record.body == body, "{target}");
        let hit = site.ask(&accepting(coding, target));
        assert_eq!(hit.word(), "HIT");
        assert_eq!(hit.header("content-encoding"), None);
        assert!(hit.complete && hit.body == body);
        assert_eq!(site.backend.hits(target), 1);
    }
    // There is room for a shorter one, again.
    let short = text(BODY / 4);
    site.backend.set("/short", page(&short));
    site.fill("/short");
    let record = site.redis.wait_for_record("/short");
    assert_eq!(record.header("Content-Encoding"), [coding]);
}

pub fn a_body_that_needs_the_room_of_another_ones_compressor_is_stored(coding: &str) {
    let site = narrow(coding).start();
    let (slow, body, gate) = (text(BODY / 2), text(BODY), Gate::new());
    site.backend
        .set("/slow", page(&slow).chunked().gate_at(100_000, &gate));
    let mut client = site.client();
    client.send(&Request::get("/slow")).unwrap();
    let mut answer = client.receive_header().unwrap();
    // From 64 kB on it is being compressed.
    client.receive_until(&mut answer, 70_000).unwrap();
    site.backend.set("/x", page(&body));
    assert_plain(&site.fill("/x"), &body, "beside it");
    assert!(site.redis.wait_for_record("/x").body == body);
    gate.open();
    client.receive_rest(&mut answer).unwrap();
    assert_plain(&answer, &slow, "the other one");
    wait_for("its record", PATIENCE, || {
        site.redis
            .get("/slow")
            .is_some_and(|record| record.body == slow)
    });
    assert_eq!(site.backend.hits("/x") + site.backend.hits("/slow"), 2);
}
