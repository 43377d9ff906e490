//! What a client gets, and what it costs, beside what proxy_pass alone does.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use testbed::{
    Answer, Client, Faucet, Gate, PATIENCE, Request, Running, Site, Vitals, ms, pattern,
};

use crate::{BUFFERED, UNBUFFERED, sip, with_faucet, worker};

/// The backend's header shares a buffer with the beginning of the body, and isn't equally long for all.
const HEADERS: usize = 64;

/// How many bytes of the body arrive: until there are `enough`, or until none has come for `silence`.
fn arriving(site: &Running, path: &str, enough: usize, silence: Duration) -> usize {
    let mut stream = TcpStream::connect(site.address()).unwrap();
    stream.set_read_timeout(Some(silence)).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 65536]);
    let body = |seen: &[u8]| {
        let head = seen.windows(4).position(|end| end == b"\r\n\r\n");
        head.map(|at| seen.len() - at - 4)
    };
    loop {
        if let Some(arrived) = body(&seen).filter(|arrived| *arrived >= enough) {
            return arrived;
        }
        match stream.read(&mut piece) {
            Ok(0) => return body(&seen).unwrap_or(0),
            Ok(count) => seen.extend_from_slice(&piece[..count]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return body(&seen).unwrap_or(0);
            }
        }
    }
}

#[test]
fn buffered_answers_come_as_promptly_as_through_proxy_pass() {
    let gate = Gate::new();
    let script = |site: &Running| {
        for (number, bytes) in [0, 100, 5000, 20_000, 70_000].into_iter().enumerate() {
            let answer = Answer::ok(pattern(150_000, 1)).gate_at(bytes, &gate);
            site.backend
                .set(&format!("/length/{number}"), answer.clone());
            site.backend
                .set(&format!("/chunked/{number}"), answer.chunked());
        }
    };
    let plain = Site::plain().start();
    script(&plain);
    for (form, site) in Site::forms() {
        let site = site.start();
        script(&site);
        for number in 0..5 {
            for framing in ["length", "chunked"] {
                let path = format!("/{framing}/{number}");
                let due = arriving(&plain, &path, usize::MAX, ms(200));
                let enough = due.saturating_sub(HEADERS);
                let arrived = arriving(&site, &path, enough, PATIENCE);
                println!("{form} {path}: {arrived} bytes, {due} through proxy_pass");
                assert!(arrived >= enough, "{form} {path}: {arrived} of {due} bytes");
            }
        }
    }
    gate.open();
}

/// How much the worker grows, at most, while a reader takes a large answer, slowly at first; in kB.
#[track_caller]
fn growth(site: &Running, size: usize) -> u64 {
    let pid = worker(site);
    // A worker that hasn't answered yet shares its memory with the master.
    assert_eq!(site.get("/warm").status, 200);
    // Pages of code count as its memory when they run for the first time: a quick reader of another answer is first.
    let mut quick = Client::connect(site.address());
    quick.send(&Request::get("/quick")).unwrap();
    let mut answer = quick.receive_header().unwrap();
    assert_eq!(sip(&mut quick, &mut answer, 0, size, 1 << 40), size);
    drop(quick);
    let before = Vitals::of(pid).unwrap();
    Vitals::reset_peak(pid);
    let mut client = Client::connect_narrow(site.address(), 64 * 1024).unwrap();
    client.send(&Request::get("/x")).unwrap();
    let mut answer = client.receive_header().unwrap();
    let start = Instant::now();
    let at = sip(&mut client, &mut answer, 0, 1_000_000, 1_000_000);
    assert!(start.elapsed() >= ms(900), "a slow reader");
    assert_eq!(sip(&mut client, &mut answer, at, size, 1 << 40), size);
    Vitals::of(pid).unwrap().peak.saturating_sub(before.rss)
}

#[test]
fn a_slow_reader_costs_little_more_than_through_proxy_pass() {
    let size = 100_000_000;
    for buffering in [UNBUFFERED, BUFFERED] {
        let faucet = Faucet::start(size, "Cache-Control: no-store\r\n");
        let pass = format!("proxy_pass http://{}; {buffering}", faucet.address());
        let warm = "location /warm { return 200 warm; }";
        let plain = Site::plain().workers(1).location(&pass).locations(warm);
        let plain = growth(&plain.start(), size);
        let module = growth(&with_faucet(buffering, &faucet).start(), size);
        println!("{buffering} {module} kB, {plain} kB through proxy_pass");
        // What is under way, and what the allocator keeps of what was freed.
        assert!(
            module < plain + 1024,
            "{buffering} {module} kB, {plain} kB through proxy_pass"
        );
    }
}
