//! Parts of what is too large, or isn't stored: the backend is asked for these parts.

use testbed::{Answer, Faucet, Request, Response, Running};

use crate::{BUFFERED, BUFFERS, UNBUFFERED, with_faucet};

const SIZE: usize = 1_000_000_000;
const PART: usize = 1_000_000;

#[track_caller]
fn part(site: &Running, first: usize) -> Response {
    let range = format!("bytes={first}-{}", first + PART - 1);
    let answer = site.ask(&Request::get("/x").header("Range", range));
    assert_eq!(answer.status, 206);
    let expected = format!("bytes {first}-{}/{SIZE}", first + PART - 1);
    assert_eq!(answer.header("content-range").as_deref(), Some(&*expected));
    assert!(answer.body.len() == PART && Faucet::is_right(first, &answer.body));
    answer
}

#[test]
fn a_part_of_what_is_too_large_costs_the_backend_that_part() {
    for (buffering, header, reason) in [
        (UNBUFFERED, "", "too large"),
        (BUFFERED, "", "too large"),
        (UNBUFFERED, "Cache-Control: private\r\n", "private"),
    ] {
        let faucet = Faucet::start(SIZE, header);
        let settings = format!("{buffering} add_header X-Reason $redis_cache_reason always;");
        let site = with_faucet(&settings, &faucet).start();
        // Nothing is known yet: its header says that it isn't stored.
        let answer = part(&site, 500_000_000);
        assert_eq!(answer.word(), "SKIP", "{reason}");
        assert_eq!(answer.header("x-reason").as_deref(), Some(reason));
        let poured = faucet.poured();
        assert!(
            poured < BUFFERS + PART,
            "{reason}: {poured} bytes for {PART}"
        );
        // Known: the backend is asked for what is wanted.
        for (number, first) in [999_000_000, 0, 123_456_789].into_iter().enumerate() {
            let before = faucet.poured();
            let answer = part(&site, first);
            assert_eq!(answer.word(), "SKIP", "{reason}");
            let why = answer.header("x-reason");
            assert_eq!(why.as_deref(), Some("range of what isn't stored"));
            assert_eq!(faucet.poured() - before, PART, "{reason}");
            assert_eq!(faucet.requests(), 3 + number, "{reason}");
        }
        site.nginx.finish();
    }
}

#[test]
fn a_part_of_what_is_stored_is_cut_from_it() {
    let faucet = Faucet::start(3_000_000, "");
    let site = with_faucet(UNBUFFERED, &faucet).start();
    let range = |range: &str| {
        let answer = site.ask(&Request::get("/x").header("Range", range));
        assert_eq!(answer.status, 206, "{range}");
        (answer.word(), answer.body.len())
    };
    assert_eq!(range("bytes=2000000-2000009"), ("STORE".to_owned(), 10));
    site.redis.wait_for_record("/x");
    assert_eq!(range("bytes=-5"), ("HIT".to_owned(), 5));
    assert_eq!(faucet.requests(), 1);
}

#[test]
fn a_near_part_of_what_is_not_stored_is_cut_from_the_answer_that_is_here() {
    let site = testbed::Site::new().start();
    let private = Answer::ok("0123456789").header("Cache-Control", "private");
    site.backend.set("/x", private);
    let answer = site.ask(&Request::get("/x").header("Range", "bytes=2-4"));
    assert_eq!((answer.status, answer.text()), (206, "234".into()));
    assert_eq!(site.backend.hits("/x"), 1);
}
