//! Pins keep the bytes of records in their place while they are sent. Where a worker has none left, hits from memory go on.

use testbed::{Answer, Client, Port, Request, Running, Site, pattern};

/// Rows of pins that a memory has: one for each worker.
const ROWS: usize = 64;

/// Pins that a worker has for a memory of 2 MB.
const PINS: usize = 64;

/// A site whose store is in shared memory alone.
fn alone(size: &str) -> Site {
    Site::new()
        .memory_alone(&format!("memory {size};"))
        .location("add_header X-Source $redis_cache_source always;")
}

/// Has a page of so many bytes kept.
#[track_caller]
fn keep(site: &Running, target: &str, size: usize) {
    site.backend.set(target, Answer::ok(pattern(size, 1)));
    assert_eq!(site.get(target).word(), "STORE", "{target}");
    let _ = site.wait_for_hit(target);
}

#[test]
fn more_workers_than_rows_of_pins_have_hits() {
    let pages = [("/copied", 100), ("/shared", 30_000), ("/large", 700_000)];
    let site = alone("8m")
        .workers(ROWS + 3)
        .connections(256)
        .spread()
        .start();
    for (target, size) in pages {
        keep(&site, target, size);
    }
    // Each worker that has had a hit has a row, if there was one.
    let mut clients = site.client_of_each("/copied");
    assert_eq!(clients.len(), ROWS + 3);
    for (worker, client) in &mut clients {
        for (target, size) in pages {
            let answer = client.get(target);
            assert_eq!(answer.word(), "HIT", "{worker} {target}");
            let source = answer.header("x-source");
            assert_eq!(source.as_deref(), Some("memory"), "{worker} {target}");
            assert!(answer.body == pattern(size, 1), "{worker} {target}");
        }
    }
    for (target, _) in pages {
        assert_eq!(site.backend.hits(target), 1, "{target}");
    }
}

#[test]
fn more_records_than_a_worker_has_pins_are_sent_at_once() {
    const SIZE: usize = 20_000;
    let narrow = Port::take();
    let site = alone("2m")
        .workers(1)
        .server(&format!("listen {} sndbuf=4k;", narrow.address()))
        .start();
    let pages: Vec<String> = (0..PINS + 8).map(|number| format!("/{number}")).collect();
    for page in &pages {
        keep(&site, page, SIZE);
    }
    let mut clients = Vec::new();
    for page in &pages {
        let mut client = Client::connect_narrow(narrow.address(), 2048).unwrap();
        client.send(&Request::get(page)).unwrap();
        let answer = client.receive_header().unwrap();
        assert_eq!(answer.word(), "HIT", "{page}");
        clients.push((client, answer));
    }
    for (client, answer) in &mut clients {
        client.receive_rest(answer).unwrap();
        assert!(answer.body == pattern(SIZE, 1));
    }
    assert_eq!(site.backend.all_hits(), pages.len());
}
