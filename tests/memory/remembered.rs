//! What a worker remembers of records that it has used lately takes so much of its own memory, and no more.

use std::ops::Range;

use testbed::{Answer, Client, PATIENCE, Port, Request, Running, Site, Vitals, wait_for};

/// What a worker remembers, in kB: 16 MB of headers, and what the allocator adds to that.
const REMEMBERED: u64 = 24 << 10;

/// Buffers for headers of 60 kB.
const WIDE: &str = "proxy_buffer_size 128k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k; \
                    keepalive_requests 1000000;";

/// What its worker uses.
fn vitals(site: &Running) -> Vitals {
    Vitals::of(site.nginx.workers()[0]).unwrap()
}

/// A site whose only store is in memory, and that hides a line of the backend's.
fn site(size: &str) -> Site {
    Site::new()
        .workers(1)
        .http(WIDE)
        .memory_alone(&format!("memory {size};"))
        .location("proxy_hide_header X-Hidden;")
}

/// What the pages of `/wide` have, beside their targets.
#[derive(Clone, Copy)]
struct Wide {
    /// A line of the header,
    name: &'static str,
    /// of so many bytes.
    line: usize,
    /// Bytes of the body.
    body: usize,
    /// Whether they vary.
    varies: bool,
}

impl Wide {
    fn set(self, site: &Running) {
        site.backend.script("/wide", move |request, _| {
            let text = format!("{} {}", request.target, "b".repeat(self.body));
            let answer = Answer::ok(text)
                .header("Cache-Control", "max-age=600")
                .header(self.name, "w".repeat(self.line));
            if self.varies {
                answer.header("Vary", "Accept-Language")
            } else {
                answer
            }
        });
    }
}

fn page(number: usize) -> Request {
    Request::get(&format!("/wide?{number}")).header("Accept-Language", "de")
}

/// Has these pages kept.
#[track_caller]
fn keep(client: &mut Client, pages: Range<usize>) {
    for number in pages.clone() {
        assert_eq!(client.ask(&page(number)).word(), "STORE", "{number}");
    }
    for number in pages {
        wait_for("its record", PATIENCE, || {
            client.ask(&page(number)).word() == "HIT"
        });
    }
}

/// Checks how much memory a worker takes for hits of many records with 30 kB of headers each.
#[track_caller]
fn assert_bounded(name: &'static str, varies: bool) {
    const PAGES: usize = 1000;
    let site = site("128m").start();
    let wide = Wide {
        name,
        line: 30_000,
        body: 0,
        varies,
    };
    wide.set(&site);
    let mut client = site.client();
    let before = vitals(&site);
    keep(&mut client, 0..PAGES);
    for number in 0..PAGES {
        let answer = client.ask(&page(number));
        assert_eq!(answer.word(), "HIT", "{number}");
        assert!(answer.text().starts_with(&format!("/wide?{number} ")));
    }
    vitals(&site).assert_own_grown_less(&before, REMEMBERED);
}

#[test]
fn headers_that_clients_arent_sent_count() {
    assert_bounded("X-Hidden", false);
}

#[test]
fn a_varying_record_takes_no_more_than_its_headers() {
    assert_bounded("X-Shown", true);
}

#[test]
fn slow_responses_of_many_records_leave_the_others_known() {
    const SLOW: usize = 350;
    let narrow = Port::take();
    let site = site("64m")
        .server(&format!("listen {} sndbuf=4k;", narrow.address()))
        .start();
    // Of such a body a part is left for later if the client reads none of it.
    let shown = Wide {
        name: "X-Shown",
        line: 60_000,
        body: 40_000,
        varies: false,
    };
    shown.set(&site);
    let mut client = site.client();
    keep(&mut client, 0..SLOW);
    // A response takes no memory for what its client isn't sent.
    let hidden = Wide {
        name: "X-Hidden",
        ..shown
    };
    hidden.set(&site);
    let hot = [SLOW, SLOW + 1];
    keep(&mut client, SLOW..SLOW + 2);
    let slow = |number: usize| {
        let mut client = Client::connect_narrow(narrow.address(), 2048).unwrap();
        client.send(&page(number)).unwrap();
        let answer = client.receive_header().unwrap();
        assert_eq!(answer.word(), "HIT", "{number}");
        client
    };
    // More than a worker remembers is in use.
    let _held: Vec<Client> = (0..SLOW).map(slow).collect();
    let _hot: Vec<Client> = hot.into_iter().map(slow).collect();
    let before = vitals(&site);
    // Each of these is sent what is known already of its record.
    let _more: Vec<Client> = (0..200).map(|turn| slow(hot[turn % 2])).collect();
    vitals(&site).assert_own_grown_less(&before, 6 << 10);
}
