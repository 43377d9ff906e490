//! An answer that waits until the store knows what it means.

use testbed::{Answer, Request, Site, ms};

fn sites() -> [(&'static str, Site); 2] {
    Site::forms()
}

/// A range that can't be had is found out when the wait is over: the answer is nginx's own, as without the module.
#[test]
fn an_answer_that_is_refused_after_the_wait_is_nginx_s_own() {
    let whole = usize::MAX;
    for (size, chunked, sent) in [
        (4, false, whole),
        (4, true, whole),
        (300_000, false, whole),
        (300, false, 100),
        (300_000, false, 100_000),
    ] {
        let answer = || {
            let answer = Answer::ok("x".repeat(size));
            let answer = if chunked { answer.chunked() } else { answer };
            if sent == whole {
                answer
            } else {
                answer.cut_at(sent)
            }
        };
        let range = format!("bytes={}-", size + 10);
        let delete = Request::new("DELETE", "/x").header("Range", &range);
        let plain = Site::plain().location("proxy_force_ranges on;").start();
        plain.backend.set("/x", answer());
        let right = plain.ask(&delete);
        for (form, site) in sites() {
            let site = site.server("proxy_force_ranges on;").start();
            site.backend.set("/x", answer());
            let what = format!("{form}: {size} bytes, chunked {chunked}, cut at {sent}");
            for _ in 0..3 {
                let mut client = site.client();
                let got = client.ask(&delete);
                assert_eq!(
                    (got.status, got.header("content-range")),
                    (right.status, right.header("content-range")),
                    "{what}"
                );
                assert_eq!(got.body, right.body, "{what}");
            }
            site.backend.set("/x", Answer::ok("whole"));
            // A client's connection that goes on is as good as new.
            let mut client = site.client();
            assert_eq!(
                client.ask(&Request::new("DELETE", "/x")).status,
                200,
                "{what}"
            );
            assert_eq!(client.get("/x").status, 200, "{what}");
            site.nginx.finish();
        }
    }
}

/// The wait for the store isn't the client's: `send_timeout` doesn't count it.
#[test]
fn a_change_that_waits_longer_than_send_timeout_is_answered() {
    for (form, site) in sites() {
        for body in [String::from("done"), "x".repeat(200_000)] {
            let mut site = site
                .clone()
                .store("read_timeout 10s;")
                .location("send_timeout 300ms;")
                .server("send_timeout 300ms;")
                .start();
            site.backend.set("/x", Answer::ok(body.clone()));
            site.fill("/x");
            site.redis.freeze();
            let mut client = site.client();
            client.send(&Request::new("DELETE", "/x")).unwrap();
            let answer = client.receive();
            site.redis.thaw();
            let answer = answer.unwrap_or_else(|error| panic!("{form}: {error}"));
            assert_eq!(answer.status, 200, "{form}");
            assert!(answer.complete && answer.text() == body, "{form}");
            assert!(answer.first_byte >= ms(2000), "{form}: it waited");
            // The connection isn't left waiting.
            let next = client.ask(&Request::new("DELETE", "/x"));
            assert_eq!(next.text(), body, "{form}");
        }
    }
}
