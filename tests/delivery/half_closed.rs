//! A client that shuts down its sending side and reads on, as `nc -N` does.

use testbed::{Answer, Client, Gate, Request, Response, Site, ms, pattern};

fn ask_and_shut(mut client: Client, target: &str) -> std::io::Result<Response> {
    client.send(&Request::get(target))?;
    client.half_close()?;
    client.receive()
}

#[test]
fn a_record_is_sent_to_a_client_that_has_shut_down_its_side() {
    for (form, site) in Site::forms() {
        let site = site.workers(1).start();
        // What doesn't go out at once is another matter: nginx takes a client whose end comes meanwhile for one that has
        // left (ngx_http_set_write_handler).
        let body = pattern(60_000, 1);
        site.backend.set("/x", Answer::ok(body.clone()));
        site.fill("/x");
        for word in ["HIT", "STALE"] {
            if word == "STALE" {
                site.make_stale("/x");
            }
            let got = ask_and_shut(Client::connect_http1(site.address()), "/x")
                .unwrap_or_else(|error| panic!("{form} {word}: {error}"));
            assert_eq!((got.status, got.word().as_str()), (200, word), "{form}");
            assert!(got.complete && got.body == body, "{form} {word}");
        }
    }
}

/// nginx takes such a client for one that has left, unless `proxy_ignore_client_abort` says otherwise.
#[test]
fn a_miss_is_sent_as_the_proxy_would() {
    for ignores in [false, true] {
        let directive = if ignores {
            "proxy_ignore_client_abort on;"
        } else {
            ""
        };
        let right = is_answered(&Site::plain(), directive);
        assert_eq!(right, ignores, "the proxy itself");
        for (form, site) in Site::forms() {
            assert_eq!(is_answered(&site, directive), right, "{form}: {directive}");
        }
    }
}

fn is_answered(site: &Site, directive: &str) -> bool {
    let site = site.clone().workers(1).server(directive).start();
    site.backend.set("/x", Answer::ok("body").delay(ms(300)));
    ask_and_shut(Client::connect_http1(site.address()), "/x")
        .is_ok_and(|got| got.complete && got.text() == "body")
}

/// While others' fill is waited for, a client that leaves is still noticed.
#[test]
fn a_client_that_leaves_while_it_waits_is_forgotten() {
    let site = Site::new().workers(1).start();
    let gate = Gate::new();
    site.backend.set("/x", Answer::ok("body").gate(&gate));
    let mut first = site.client();
    first.send(&Request::get("/x")).unwrap();
    site.backend.wait_for_hits("/x", 1);
    let mut second = site.client();
    second.send(&Request::get("/x")).unwrap();
    site.wait_for_waiters(1);
    second.reset();
    // Long before it would have waited long enough.
    testbed::wait_for("no waiter", ms(10_000), || site.zone().waiting == 0);
    gate.open();
    assert_eq!(first.receive().unwrap().text(), "body");
}
