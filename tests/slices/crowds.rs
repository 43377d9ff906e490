//! Many clients at random ranges: the backend gives each byte once.

use std::thread;

use testbed::{Backend, Client, Http2, Nginx, Port, Redis, Request, Running, Site};

use crate::file::{File, asked};
use crate::{MIB, part, sliced};

/// A number by chance below `end`, and the state of the next.
fn chance(state: &mut u64, end: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state % end as u64).unwrap()
}

/// So many clients ask for so many ranges each, and then for all of it if they are the first.
fn read(connect: &dyn Fn() -> Client, file: &File, (clients, ranges): (u64, usize)) {
    let body = file.body();
    thread::scope(|scope| {
        for number in 0..clients {
            let mut client = connect();
            let body = &body;
            scope.spawn(move || {
                let mut state = number * 7919 + 12_345;
                for _ in 0..ranges {
                    let first = chance(&mut state, body.len());
                    let last = (first + chance(&mut state, 3 * MIB)).min(body.len() - 1);
                    let answer = client.ask(&part("/film", &format!("bytes={first}-{last}")));
                    assert_eq!(answer.status, 206, "{first}-{last}");
                    assert!(answer.body == body[first..=last], "{first}-{last}");
                }
                if number == 0 {
                    let answer = client.ask(&Request::get("/film"));
                    assert!(answer.status == 200 && answer.body == **body);
                }
            });
        }
    });
}

/// Each byte was asked for once.
fn assert_once(backend: &Backend, file: &File) {
    let mut end = 0;
    for (first, last) in asked(backend, "/film") {
        assert_eq!(first, end, "asked for twice, or not at all");
        end = last + 1;
    }
    assert_eq!(end, file.body().len());
}

/// Nobody is to give up because the machine that tests is busy.
fn patient(site: Site) -> Site {
    site.store("read_timeout 10s; send_timeout 10s;")
        .location("redis_cache_lock_timeout 60s;")
}

fn large(site: Site) -> (Running, File) {
    let site = patient(site).start();
    let file = File::new(64 * MIB - 11);
    file.serve(&site.backend, "/film");
    (site, file)
}

#[test]
fn one_worker() {
    let (site, file) = large(sliced().workers(1));
    read(&|| site.client(), &file, (30, 6));
    assert_once(&site.backend, &file);
}

#[test]
fn http2_in_narrow_windows() {
    let (site, file) = large(sliced().workers(2).spread().http2());
    let body = file.body();
    thread::scope(|scope| {
        for number in 0..6_u64 {
            let options = Http2::new()
                .stream_window(60_000)
                .connection_window(1_000_000);
            let mut client = options.connect(site.http2_address());
            let body = &body;
            scope.spawn(move || {
                let mut state = number * 104_729 + 77;
                // Several streams of a connection wait for the same and for other slices.
                let asked: Vec<_> = (0..5)
                    .map(|_| {
                        let first = chance(&mut state, body.len());
                        let last = (first + chance(&mut state, 2 * MIB)).min(body.len() - 1);
                        let request = part("/film", &format!("bytes={first}-{last}"));
                        (client.send(&request).unwrap(), first, last)
                    })
                    .collect();
                for (mut stream, first, last) in asked {
                    let answer = stream.receive().unwrap();
                    assert!(answer.complete && answer.status == 206, "{first}-{last}");
                    assert!(answer.body == body[first..=last], "{first}-{last}");
                }
            });
        }
    });
    let spans = asked(&site.backend, "/film");
    let ends = spans.iter().map(|span| span.1);
    assert!(
        spans
            .iter()
            .skip(1)
            .zip(ends)
            .all(|(span, end)| span.0 > end),
        "{spans:?}"
    );
}

#[test]
fn machines_that_share_their_fills() {
    let site = sliced()
        .workers(1)
        .location("redis_cache_lock_scope store;");
    let site = patient(site);
    let (redis, backend, file) = (Redis::start(), Backend::start(), File::new(40 * MIB - 3));
    file.serve(&backend, "/film");
    let ports = [Port::take(), Port::take()];
    let machines = ports.each_ref().map(|port| {
        let conf = site.conf(port.address(), &redis, &backend);
        Nginx::start(&conf, port.address())
    });
    thread::scope(|scope| {
        for port in &ports {
            let file = &file;
            scope.spawn(move || read(&|| Client::connect(port.address()), file, (10, 4)));
        }
    });
    assert_once(&backend, &file);
    machines.into_iter().for_each(Nginx::finish);
}

/// With `SLICES_MIB=1024` 100 clients share 1 GiB, which takes 3 GB of memory and a minute or two.
#[test]
fn two_workers() {
    let mib = std::env::var("SLICES_MIB").ok();
    let mib = mib.and_then(|mib| mib.parse().ok()).unwrap_or(64);
    let clients = if mib > 64 { (100, 20) } else { (30, 6) };
    let site = patient(sliced().workers(2).spread()).start();
    let file = File::new(mib * MIB - 11);
    file.serve(&site.backend, "/film");
    read(&|| site.client(), &file, clients);
    assert_once(&site.backend, &file);
}
