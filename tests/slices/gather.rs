//! Backends that send more than they are asked for, or fewer bytes, or are cut off: slices are put together of several
//! answers, and never of two versions.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use testbed::{
    Answer, Client, PATIENCE, Received, Request, Running, Vitals, ms, pattern, wait_for,
};

use crate::file::{File, asked, span};
use crate::{MIB, in_turn, part, sliced};

const SIZE: usize = 6 * MIB + 100;

/// A response has bytes of the version that its ETag names alone, those that its Content-Range names, as far as it goes.
fn assert_unmixed(answer: &testbed::Response) {
    let body = File::of(&answer.header("etag").unwrap(), SIZE);
    let range = answer.header("content-range");
    let range = range.map(|range| range.replace("bytes ", "bytes="));
    let range = range.as_deref().and_then(|range| range.split('/').next());
    let first = range.map_or(0, |range| span(range, SIZE).unwrap().0);
    let end = first + answer.body.len();
    assert!(answer.body == body[first..end], "a mixture");
}

/// The answer to another range than the one that was asked for; its bytes from the first to the last, and how many there are.
fn shaped(
    file: &File,
    request: &Received,
    shape: impl Fn((usize, usize), usize) -> (usize, usize),
) -> Answer {
    let mut request = request.clone();
    let total = file.body().len();
    for (name, value) in &mut request.fields {
        if name.eq_ignore_ascii_case("range")
            && let Some(wanted) = span(&String::from_utf8_lossy(value), total)
        {
            let (first, last) = shape(wanted, total);
            *value = format!("bytes={first}-{last}").into();
        }
    }
    file.answer(&request)
}

/// All of it, and parts that begin and end anywhere, are right, from a cold cache and from a warm one.
fn assert_right(site: &Running, file: &File, path: &str) {
    let body = file.body();
    for (first, last) in [
        (0, 0),
        (3 * MIB - 5, 3 * MIB + 5),
        (MIB, 4 * MIB - 1),
        (17, SIZE - 1),
    ] {
        let answer = site.ask(&part(path, &format!("bytes={first}-{last}")));
        assert_eq!(answer.status, 206, "{path} {first}-{last}");
        assert!(answer.body == body[first..=last], "{path} {first}-{last}");
    }
    for _ in 0..2 {
        let whole = site.get(path);
        assert!(whole.complete && whole.body == *body, "{path}");
    }
}

#[test]
fn a_backend_with_slices_of_its_own() {
    let site = sliced().workers(1).start();
    for own in [2 * MIB, 3 * MIB / 2, 5 * MIB, 64 * MIB] {
        let (path, file) = (format!("/{own}"), File::new(SIZE));
        site.backend.script(&path, {
            let file = file.clone();
            move |request, _| {
                shaped(&file, request, |(first, last), total| {
                    (first / own * own, ((last / own + 1) * own).min(total) - 1)
                })
            }
        });
        assert_right(&site, &file, &path);
        // Each slice takes one request.
        assert_eq!(site.backend.hits(&path), 7, "{path}");
    }
}

#[test]
fn a_backend_that_sends_little_at_once() {
    let site = sliced().workers(1).start();
    let (file, sent) = (File::new(SIZE), std::sync::Arc::new(AtomicUsize::new(0)));
    site.backend.script("/film", {
        let (file, sent) = (file.clone(), std::sync::Arc::clone(&sent));
        move |request, _| {
            shaped(&file, request, |(first, last), _| {
                let last = last.min(first + 299_999);
                sent.fetch_add(last - first + 1, Ordering::Relaxed);
                (first, last)
            })
        }
    });
    assert_right(&site, &file, "/film");
    assert_eq!(sent.load(Ordering::Relaxed), SIZE, "each byte once");
    // Four for each of the six long slices, and one for the last.
    assert_eq!(site.backend.hits("/film"), 25);
    let requests = site.backend.requests("/film");
    let rest = requests.iter().skip(1);
    assert!(
        rest.clone()
            .all(|it| it.header("If-Match").as_deref() == Some("\"v1\""))
    );
    assert!(rest.clone().all(|it| it.header("Range").is_some()));
}

/// It is ended as soon as it has sent what was asked for, whether the client reads or not.
#[test]
fn an_answer_without_end() {
    for endless in [0, MIB] {
        let site = sliced().workers(1).start();
        let file = File::new(SIZE);
        site.backend.script("/film", {
            let file = file.clone();
            move |request, _| {
                let answer = file.answer(request);
                let wanted = request.header("Range").and_then(|range| span(&range, SIZE));
                if wanted.is_some_and(|(first, _)| first == endless) {
                    answer.until_close().endless(ms(0))
                } else {
                    answer
                }
            }
        });
        let worker = site.nginx.workers()[0];
        let before = Vitals::of(worker).unwrap();
        let mut client = Client::connect_narrow(site.address(), 4096).unwrap();
        client.send(&Request::get("/film")).unwrap();
        site.backend.wait_for_hits("/film", 2);
        site.backend.wait_until_idle("/film");
        Vitals::of(worker)
            .unwrap()
            .assert_grown_less(&before, 30 << 10);
        let mut answer = client.receive_header().unwrap();
        client.receive_rest(&mut answer).unwrap();
        assert!(answer.complete && answer.body == *file.body(), "{endless}");
    }
}

/// What has come before a cut is kept.
#[test]
fn answers_that_are_cut() {
    let site = sliced().workers(1).start();
    for chunked in [false, true] {
        let (path, file) = (format!("/{chunked}"), File::new(SIZE));
        site.backend.script(&path, {
            let file = file.clone();
            move |request, _| {
                let answer = file.answer(request).cut_at(400_000);
                if chunked { answer.chunked() } else { answer }
            }
        });
        assert_right(&site, &file, &path);
        let mut spans = asked(&site.backend, &path);
        spans.dedup_by_key(|span| span.0);
        assert_eq!(
            spans.len(),
            site.backend.hits(&path),
            "no byte is asked for twice"
        );
        assert_eq!(site.backend.hits(&path), 19, "{path}");
    }
}

#[test]
fn more_before_and_less_behind() {
    let site = sliced().workers(1).start();
    let file = File::new(SIZE);
    site.backend.script("/film", {
        let file = file.clone();
        move |request, nth| {
            let answer = shaped(&file, request, |(first, last), _| {
                (first - first.min(1000 * nth), last.min(first + 700_000))
            });
            if nth % 3 == 0 {
                answer.cut_at(500_000)
            } else {
                answer
            }
        }
    });
    assert_right(&site, &file, "/film");
}

/// Nobody asks for ever: each request must bring something, and there are no more than eight for a slice.
#[test]
fn requests_are_bounded() {
    for least in [0, 1] {
        let site = sliced().workers(1).start();
        let file = File::new(SIZE);
        site.backend.script("/film", {
            let file = file.clone();
            move |request, _| match request.header("Range") {
                None => file.answer(request),
                Some(_) if least == 0 => file.answer(request).cut_at(0),
                Some(_) => shaped(&file, request, |(first, _), _| (first, first)),
            }
        });
        let mut client = site.client();
        let _ = client.exchange(&Request::get("/film"));
        let hits = site.backend.hits("/film");
        // Two slices are fetched ahead, and each is tried three times.
        assert!(hits <= 8 + 8 * 3 * 3 + 1, "{least}: {hits}");
        assert!(
            site.redis.keys().iter().all(|key| !key.contains(":s:")),
            "{least}"
        );
    }
}

#[test]
fn several_parts_in_answer_to_one_range_are_not_used() {
    let site = sliced().workers(1).start();
    let body = pattern(3 * MIB, 1);
    site.backend.script("/film", {
        let body = body.clone();
        move |request, _| {
            let dress = |answer: Answer| {
                answer
                    .header("ETag", "\"v1\"")
                    .header("Cache-Control", "max-age=600")
            };
            match request.header("Range") {
                None => dress(Answer::ok(body.clone())),
                Some(_) => dress(Answer::of(
                    206,
                    "--B\r\nContent-Range: bytes 0-0/3145728\r\n\r\nx\r\n--B--\r\n",
                ))
                .content_type("multipart/byteranges; boundary=B"),
            }
        }
    });
    for _ in 0..2 {
        let answer = site.get("/film");
        assert!(answer.status == 200 && answer.body == body);
    }
    assert!(site.redis.keys().iter().all(|key| !key.contains(":s:")));
}

/// The file changes between two answers that make one slice.
#[test]
fn a_change_within_a_slice() {
    for beginning in [0, 3 * MIB] {
        let site = sliced().workers(1).start();
        let (file, changed) = (File::new(SIZE), AtomicBool::new(false));
        site.backend.script("/film", {
            let file = file.clone();
            move |request, _| {
                let wanted = request.header("Range").and_then(|range| span(&range, SIZE));
                let is_rest = wanted.is_some_and(|(first, _)| first == beginning + 300_000);
                if is_rest && !changed.swap(true, Ordering::Relaxed) {
                    file.change(SIZE);
                }
                shaped(&file, request, |(first, last), _| {
                    (first, last.min(first + 299_999))
                })
            }
        });
        let mut client = site.client();
        let answer = client.exchange(&Request::get("/film")).unwrap();
        assert_unmixed(&answer);
        wait_for("all of the new one", PATIENCE, || {
            let answer = site.client().exchange(&Request::get("/film")).unwrap();
            assert_unmixed(&answer);
            answer.complete && answer.body == *file.body()
        });
    }
}

/// Many clients, while the backend sends whatever it likes of a file that changes.
#[test]
fn clients_while_it_changes() {
    for workers in [1, 2] {
        let site = sliced().workers(workers).spread().start();
        let file = File::new(SIZE);
        site.backend.script("/film", {
            let file = file.clone();
            move |request, nth| {
                let answer = shaped(&file, request, |(first, last), total| match nth % 4 {
                    0 => (first, last.min(first + 350_000)),
                    1 => (first.saturating_sub(70_000), (last + 70_000).min(total - 1)),
                    2 => (first - first.min(9), last.min(first + 600_000)),
                    _ => (first, last),
                });
                if nth % 5 == 0 {
                    answer.cut_at(200_000)
                } else {
                    answer
                }
            }
        });
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (site, over): (&Running, _) = (&site, &over);
            for number in 0..6_usize {
                scope.spawn(move || {
                    let mut turn = number;
                    while !over.load(Ordering::Relaxed) {
                        turn += 1;
                        let (request, _) = in_turn("/film", turn);
                        if let Ok(answer) = site.client().exchange(&request)
                            && answer.status < 400
                        {
                            assert_unmixed(&answer);
                        }
                    }
                });
            }
            for _ in 0..10 {
                thread::sleep(ms(100));
                file.change(SIZE);
            }
            over.store(true, Ordering::Relaxed);
        });
        wait_for("a whole response", PATIENCE, || {
            let answer = site.client().exchange(&Request::get("/film"));
            answer.is_ok_and(|answer| {
                answer.status == 200 && {
                    assert_unmixed(&answer);
                    answer.complete
                }
            })
        });
    }
}
