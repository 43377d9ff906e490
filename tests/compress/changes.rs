//! Records in one coding where the configuration says another, and where files are kept in slices.

use testbed::{Answer, Nginx, PATIENCE, Port, Request, Running, decoded, wait_for};

use crate::{accepting, assert_coded, assert_plain, page, site, text};

const CODINGS: [&str; 3] = ["gzip", "zstd", "off"];

/// Each client gets what it should of a record in this coding, from the server at this address.
#[track_caller]
fn assert_served(ask: impl Fn(&Request) -> testbed::Response, coding: &str, body: &[u8]) {
    for accepted in ["gzip", "zstd", "gzip, zstd", "br"] {
        let answer = ask(&accepting(accepted, "/x"));
        let what = format!("stored in {coding}, accepted {accepted}");
        assert_eq!(answer.word(), "HIT", "{what}");
        if accepted.contains(coding) {
            assert_coded(coding, &answer, body, &what);
        } else if coding == "off" {
            assert!(answer.complete && answer.body == body, "{what}");
            assert_eq!(answer.header("content-encoding"), None, "{what}");
        } else {
            assert_plain(&answer, body, &what);
        }
    }
    let part = ask(&accepting("gzip, zstd", "/x").header("Range", "bytes=1000-1999"));
    assert!(part.status == 206 && part.body == body[1000..2000]);
}

fn stored_in(site: &Running, target: &str) -> String {
    let coding = site
        .redis
        .wait_for_record(target)
        .header("Content-Encoding");
    coding.first().cloned().unwrap_or("off".to_owned())
}

#[test]
fn a_reload_with_another_coding_leaves_the_records_readable() {
    for before in CODINGS {
        for after in CODINGS.into_iter().filter(|&after| after != before) {
            let mut running = site(before).workers(1).start();
            let bodies = [text(3000), text(300_000)];
            for body in &bodies {
                running.backend.set("/x", page(body));
                running.fill("/x");
                assert_eq!(stored_in(&running, "/x"), before);
                let conf = |coding| {
                    let site = site(coding).workers(1);
                    site.conf(running.address(), &running.redis, &running.backend)
                };
                let (before_conf, after_conf) = (conf(before), conf(after));
                running.nginx.rewrite(&after_conf);
                let old = running.nginx.reload();
                running.nginx.wait_for_exit(&old, PATIENCE);
                assert_served(|request| running.ask(request), before, body);
                // The next fill is in the other one.
                running.make_stale("/x");
                assert_eq!(running.get("/x").word(), "STALE");
                wait_for("the refill", PATIENCE, || {
                    stored_in(&running, "/x") == after
                });
                running.wait_for_hit("/x");
                assert_served(|request| running.ask(request), after, body);
                running.nginx.rewrite(&before_conf);
                let old = running.nginx.reload();
                running.nginx.wait_for_exit(&old, PATIENCE);
                let _: i64 = running.redis.command(&["DEL", "/x"]);
            }
        }
    }
}

#[test]
fn machines_with_other_codings_read_the_records_of_each_other() {
    for coding in CODINGS {
        let a = site(coding).start();
        let body = text(100_000);
        a.backend.set("/x", page(&body));
        a.fill("/x");
        for other in CODINGS {
            let port = Port::take();
            let conf = site(other).conf(port.address(), &a.redis, &a.backend);
            let b = Nginx::start(&conf, port.address());
            assert_served(|request| b.client().ask(request), coding, &body);
            // A damaged one is a miss there, too, and is stored as that one stores.
            if coding != "off" {
                let script = "local body = redis.call('HGET', KEYS[1], 'body') \
                    return redis.call('HSET', KEYS[1], 'body', body:sub(1, 20) .. ('x'):rep(60) .. body:sub(81))";
                let _: i64 = a.redis.command(&["EVAL", script, "1", "/x"]);
                let answer = b.client().ask(&Request::get("/x"));
                assert_eq!(answer.word(), "STORE", "{coding} {other}");
                assert!(answer.body == body);
                wait_for("the record", PATIENCE, || {
                    b.client().ask(&Request::get("/x")).word() == "HIT"
                });
                assert_eq!(stored_in(&a, "/x"), other);
                let _: i64 = a.redis.command(&["DEL", "/x"]);
                a.fill("/x");
            }
        }
    }
}

/// Slices are stored as they come, and so is the head of a file; what is one record is compressed as everywhere.
#[test]
fn slices_are_not_compressed_but_what_is_one_record_is() {
    const SLICE: usize = 64 << 10;
    for coding in ["gzip", "zstd"] {
        let site = site(coding).location("redis_cache_slice 64k;").start();
        let (large, small) = (text(3 * SLICE + 10), text(5000));
        for (target, body) in [("/large", &large), ("/small", &small)] {
            let body = body.clone();
            site.backend.script(target, move |request, _| {
                let range = request.header("Range");
                let dress = |answer: Answer| {
                    answer
                        .content_type("text/html")
                        .header("ETag", "\"abc\"")
                        .header("Cache-Control", "max-age=600")
                };
                let span = range.as_deref().and_then(|range| {
                    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
                    Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
                });
                match span {
                    None => dress(Answer::ok(body.clone())),
                    Some((first, last)) => {
                        let last = last.min(body.len() - 1);
                        dress(Answer::of(206, &body[first..=last])).header(
                            "Content-Range",
                            format!("bytes {first}-{last}/{}", body.len()),
                        )
                    }
                }
            });
        }
        for _ in 0..2 {
            for request in [Request::get("/large"), accepting(coding, "/large")] {
                let answer = site.ask(&request);
                assert!(answer.complete && answer.body == large, "{coding}");
                assert_eq!(answer.header("content-encoding"), None, "{coding}");
                assert_eq!(answer.header("etag").as_deref(), Some("\"abc\""));
                let part =
                    site.ask(&accepting(coding, "/large").header("Range", "bytes=65000-66000"));
                assert!(part.status == 206 && part.body == large[65000..=66000]);
            }
            site.wait_for_fills(4);
        }
        let keys = site.redis.keys();
        let slices: Vec<_> = keys.iter().filter(|key| key.contains(":s:")).collect();
        assert_eq!(slices.len(), 4, "{keys:?}");
        for key in slices {
            let record = site.redis.get(key).unwrap();
            assert!(
                large
                    .windows(record.body.len())
                    .step_by(SLICE)
                    .any(|part| part == record.body)
            );
        }
        site.fill("/small");
        let record = site.redis.wait_for_record("/small");
        assert_eq!(record.header("Content-Encoding"), [coding]);
        assert!(decoded(coding, &record.body) == small);
        assert_coded(
            coding,
            &site.ask(&accepting(coding, "/small")),
            &small,
            "one record",
        );
        assert_plain(&site.get("/small"), &small, "one record");
        let part = site.ask(&accepting(coding, "/small").header("Range", "bytes=10-19"));
        assert!(part.status == 206 && part.body == small[10..20]);
    }
}
