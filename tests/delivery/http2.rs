//! Many streams on one connection whose window, or whose socket, a stream that isn't read has used up.

use testbed::{Answer, Gate, Http2, Record, Request, Response, Running, Site, Vitals, ms, pattern};

const MODIFIED: &str = "Sat, 02 Jan 2010 03:04:05 GMT";
/// More than the kernel's buffers take.
const BIG: usize = 7_000_000;

/// Names and values.
type Fields = &'static [(&'static str, &'static str)];

/// What is asked, the status, and how long the body is (if it isn't nginx's own page).
const REQUESTS: [(&str, Fields, u16, Option<usize>); 6] = [
    ("GET", &[], 200, Some(600)),
    ("HEAD", &[], 200, Some(0)),
    ("GET", &[("range", "bytes=100-199")], 206, Some(100)),
    ("GET", &[("if-none-match", "\"v1\"")], 304, Some(0)),
    ("GET", &[("if-modified-since", MODIFIED)], 304, Some(0)),
    ("GET", &[("if-match", "\"v2\"")], 412, None),
];

fn small() -> Answer {
    Answer::ok(pattern(600, 1))
        .header("ETag", "\"v1\"")
        .header("Last-Modified", MODIFIED)
}

fn site() -> Running {
    let site = Site::new()
        .workers(1)
        .http2()
        .location("redis_cache_max_size 16m; redis_cache_age 1h;")
        .start();
    site.backend.set("/big", Answer::ok(pattern(BIG, 2)));
    site.fill("/big");
    site
}

fn check(what: &str, got: &Response, status: u16, length: Option<usize>) {
    assert_eq!(got.status, status, "{what}");
    assert!(got.complete, "{what}: {} bytes", got.body.len());
    if let Some(length) = length {
        assert_eq!(got.body.len(), length, "{what}");
    }
}

/// What a stream that isn't read has used up.
#[derive(Clone, Copy, Debug)]
enum UsedUp {
    /// The connection's window: bodies wait, headers don't.
    Window,
    /// The kernel's buffers: headers wait, too.
    Socket,
}

/// Asks for all of these behind such a stream; then that one is read, and all must be whole.
fn ask_behind_big(site: &Running, word: &str, target: impl Fn(usize) -> String, then: impl Fn()) {
    for used_up in [UsedUp::Window, UsedUp::Socket] {
        let target = |n: usize| format!("{}?{used_up:?}", target(n));
        ask_behind(site, used_up, word, &target, &then);
    }
}

fn ask_behind(
    site: &Running,
    used_up: UsedUp,
    word: &str,
    target: &dyn Fn(usize) -> String,
    then: &dyn Fn(),
) {
    let options = Http2::new().stream_window(8_000_000).receive_buffer(16_384);
    let mut client = match used_up {
        UsedUp::Window => options,
        UsedUp::Socket => options.connection_window(16_000_000),
    }
    .connect(site.http2_address());
    let mut big = client.send(&Request::get("/big")).unwrap();
    let mut unread = big.receive_header().unwrap();
    if matches!(used_up, UsedUp::Socket) {
        client.pause();
    }
    // It is used up as soon as the body is on its way; a moment for that.
    std::thread::sleep(ms(300));
    let mut streams: Vec<_> = REQUESTS
        .iter()
        .enumerate()
        .map(|(n, (method, fields, ..))| {
            let request = Request::new(method, &target(n));
            let with = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
            client.send(&fields.iter().fold(request, with)).unwrap()
        })
        .collect();
    std::thread::sleep(ms(100));
    then();
    std::thread::sleep(ms(100));
    client.resume();
    big.receive_rest(&mut unread).unwrap();
    assert!(unread.complete && unread.body == pattern(BIG, 2), "{word}");
    for (stream, (method, fields, status, length)) in streams.iter_mut().zip(REQUESTS) {
        let what = format!("{used_up:?}, {word}: {method} {fields:?}");
        let got = stream
            .receive()
            .unwrap_or_else(|failure| panic!("{what}: {failure:?}"));
        check(&what, &got, status, length);
        assert_eq!(got.word(), word, "{what}");
    }
}

#[test]
fn answers_behind_a_used_up_window_are_whole() {
    let site = site();
    site.backend.set_otherwise(small());
    ask_behind_big(&site, "STORE", |n| format!("/fill{n}"), || ());
    for used_up in [UsedUp::Window, UsedUp::Socket] {
        site.fill(&format!("/hit?{used_up:?}"));
    }
    ask_behind_big(&site, "HIT", |_| "/hit".to_owned(), || ());
    let headers = format!("{{\"ETag\":\"\\\"v1\\\"\",\"Last-Modified\":\"{MODIFIED}\"}}");
    for n in 0..REQUESTS.len() {
        for used_up in [UsedUp::Window, UsedUp::Socket] {
            let record = Record::lua("200", headers.clone(), pattern(600, 1));
            site.redis
                .put(&format!("/stale{n}?{used_up:?}"), &record, 50);
        }
    }
    ask_behind_big(&site, "STALE", |n| format!("/stale{n}"), || ());
}

#[test]
fn joined_answers_behind_a_used_up_window_are_whole() {
    let site = site();
    for used_up in [UsedUp::Window, UsedUp::Socket] {
        let gate = Gate::new();
        let target = format!("/{used_up:?}");
        site.backend.set(&target, small().gate_at(300, &gate));
        let mut first = site.client();
        first.send(&Request::get(&target)).unwrap();
        let mut response = first.receive_header().unwrap();
        ask_behind(&site, used_up, "HIT", &|_| target.clone(), &|| gate.open());
        first.receive_rest(&mut response).unwrap();
        check("the first", &response, 200, Some(600));
        assert_eq!(site.backend.hits(&target), 1);
    }
}

/// A page of images, read slowly.
#[test]
fn a_page_of_many_images_comes_whole() {
    let site = site();
    let mut client = Http2::new()
        .connection_window(16_000_000)
        .stream_window(1_000_000)
        .receive_buffer(16_384)
        .connect(site.http2_address());
    client.slow_down(4_000_000);
    for turn in 0..2 {
        let mut streams: Vec<_> = (0..60_u8)
            .map(|n| {
                let target = format!("/image{n}");
                site.backend.set(&target, Answer::ok(vec![n; 100_000]));
                client.send(&Request::get(&target)).unwrap()
            })
            .collect();
        for (n, stream) in (0..60_u8).zip(&mut streams) {
            let got = stream
                .receive()
                .unwrap_or_else(|failure| panic!("{turn} {n}: {failure:?}"));
            check(&format!("{turn} {n}"), &got, 200, Some(100_000));
            assert!(got.body == vec![n; 100_000], "{turn} {n}");
        }
    }
}

/// A connection without a window asks a hundred times for a large record.
#[test]
fn streams_without_a_window_take_no_memory() {
    let site = site();
    let record = Record::lua("200", "{}", vec![b'x'; 8_000_000]);
    site.redis.put("/8m", &record, 3700);
    let worker = site.nginx.workers()[0];
    let before = Vitals::of(worker).unwrap().rss;
    let mut client = Http2::new().stream_window(0).connect(site.http2_address());
    let mut streams = Vec::new();
    for _ in 0..100 {
        let mut stream = client.send(&Request::get("/8m")).unwrap();
        let response = stream.receive_header().unwrap();
        assert_eq!((response.status, response.word().as_str()), (200, "HIT"));
        streams.push(stream);
    }
    let grown = Vitals::of(worker).unwrap().rss.saturating_sub(before);
    assert!(grown < 48_000, "{grown} kB");
}
