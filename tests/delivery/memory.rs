//! What a worker keeps in memory for clients that ask and don't read.

use std::fs;

use testbed::{Answer, Client, Record, Request, Running, Site, Vitals};

const BODY: usize = 4_000_000;
const CLIENTS: usize = 50;

/// What the module may keep beside what plain nginx keeps, in kB: its limit of 32 MB, and what malloc does with replies
/// on their way.
const ALLOWED: u64 = 48_000;

/// Asks without reading more than the header.
fn ask(site: &Running, target: &str) -> (Client, testbed::Response) {
    let mut client = Client::connect_narrow(site.address(), 8 * 1024).unwrap();
    client.send(&Request::get(target)).unwrap();
    let response = client.receive_header().unwrap();
    (client, response)
}

/// The body of `/n`: cheap to make and to tell from others.
fn body(n: usize) -> Vec<u8> {
    let mut body = vec![b'x'; BODY];
    body[BODY - 1] = u8::try_from(n).unwrap();
    body
}

/// How much more memory the worker has while clients ask for these and don't read, in kB. Then some of them read all,
/// from memory and from files.
fn grown(site: &Running, which: impl Fn(usize) -> usize) -> u64 {
    let worker = site.nginx.workers()[0];
    let memory = || Vitals::of(worker).unwrap().rss;
    let before = memory();
    let mut unread: Vec<_> = (0..CLIENTS)
        .map(|n| ask(site, &format!("/{}", which(n))))
        .collect();
    let grown = memory().saturating_sub(before);
    for n in [0, CLIENTS / 2, CLIENTS - 1] {
        let (client, response) = &mut unread[n];
        client.receive_rest(response).unwrap();
        assert!(response.body == body(which(n)), "/{}", which(n));
    }
    grown
}

fn cached_by_nginx() -> Running {
    let folder = tempfile_folder();
    Site::plain()
        .workers(1)
        .http(&format!("proxy_cache_path {folder} keys_zone=disk:1m;"))
        .location("proxy_cache disk; proxy_cache_valid 200 1h; proxy_cache_key $uri;")
        .start()
}

fn tempfile_folder() -> String {
    let folder = std::env::temp_dir().join(format!("delivery-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder.display().to_string()
}

#[test]
fn unread_records_are_bounded() {
    let plain = cached_by_nginx();
    let site = Site::new()
        .workers(1)
        .location("redis_cache_max_size 16m; redis_cache_age 1h;")
        .start();
    for n in 0..CLIENTS {
        let target = format!("/{n}");
        plain.backend.set(&target, Answer::ok(body(n)));
        let _ = plain.get(&target);
        let record = Record::lua("200", "{}", body(n));
        site.redis.put(&target, &record, 3700);
    }
    type Case = (&'static str, fn(usize) -> usize);
    let cases: [Case; 2] = [("one record", |_| 7), ("many records", |n| n)];
    for (what, which) in cases {
        let (theirs, ours) = (grown(&plain, which), grown(&site, which));
        println!("{what}: {ours} kB, proxy_cache {theirs} kB");
        assert!(ours <= theirs + ALLOWED, "{what}: {ours} kB, {theirs} kB");
    }
    assert_eq!(site.backend.all_hits(), 0, "all came from records");
    let _ = fs::remove_dir_all(tempfile_folder());
}

/// Filters work on a body that waits in a file as on one in memory.
#[test]
fn a_record_from_a_file_is_cut_and_changed_by_filters() {
    let site = Site::new()
        .workers(1)
        .location("redis_cache_max_size 32m; sub_filter_types text/plain; sub_filter_once off;")
        .locations(
            "location /sub/ { redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_key $uri; \
             redis_cache_age 60s; redis_cache_header X-Cache; proxy_pass http://backend; proxy_http_version 1.1; \
             sub_filter_types text/plain; sub_filter_once off; sub_filter needle pin; }",
        )
        .start();
    // Enough to fill the memory: what comes then waits in files.
    site.backend
        .set("/large", Answer::ok(vec![b'x'; 30_000_000]));
    let text = "needle in a haystack. ".repeat(200_000);
    let plain = || Answer::ok(text.clone()).content_type("text/plain");
    site.backend.set("/text", plain());
    site.backend.set("/sub/text", plain());
    for target in ["/large", "/text", "/sub/text"] {
        let _ = site.get(target);
        let _ = site.redis.wait_for_record(target);
        site.wait_for_hit(target);
    }
    let (mut slow, mut unread) = ask(&site, "/large");
    assert_eq!(unread.word(), "HIT");
    let whole = site.get("/text");
    assert!(whole.word() == "HIT" && whole.text() == text);
    let part = site.ask(&Request::get("/text").header("Range", "bytes=1000000-1000099"));
    assert_eq!(part.status, 206);
    assert_eq!(part.text(), text[1_000_000..1_000_100]);
    let parts = site.ask(&Request::get("/text").header("Range", "bytes=10-19,3000000-3000009"));
    assert!(parts.status == 206 && parts.text().contains(&text[3_000_000..3_000_010]));
    let changed = site.get("/sub/text");
    assert!(changed.word() == "HIT" && changed.text() == text.replace("needle", "pin"));
    slow.receive_until(&mut unread, 100_000).unwrap();
    slow.reset();
}
