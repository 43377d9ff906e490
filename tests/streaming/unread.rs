//! Responses from files that nobody reads: a file is there as a whole, so that nothing but the module ends its reading.

use std::fs::{self, File};

use testbed::{PATIENCE, Site, Vitals, ms};

#[test]
fn a_file_that_is_too_large_for_a_refill_is_not_read() {
    // nginx gives it to its filters piece by piece, or as a whole.
    for sendfile in ["off", "on"] {
        is_not_read(&format!("sendfile {sendfile};"));
    }
}

fn is_not_read(sendfile: &str) {
    let site = Site::new()
        .workers(1)
        .server(sendfile)
        .location("redis_cache_backend @files;")
        .locations("location @files { root html; }")
        .start();
    let html = site.nginx.prefix().join("html");
    fs::create_dir(&html).unwrap();
    fs::write(html.join("x"), "small").unwrap();
    site.fill_and_age("/x");
    site.wait_for_quiet_zone();
    File::create(html.join("x"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    let pid = site.nginx.workers()[0];
    let (before, position) = (Vitals::of(pid).unwrap(), site.nginx.log().end());
    let answer = site.get("/x");
    assert_eq!(
        (answer.text().as_str(), answer.word().as_str()),
        ("small", "STALE")
    );
    let log = site.nginx.log();
    let line = log.wait_for(position, "fill of \"/x\"", PATIENCE).unwrap();
    assert!(line.ends_with("too large"), "{line}");
    site.wait_for_quiet_zone();
    let answer = site.get("/x");
    assert!(answer.last_byte < ms(5000), "{:?}", answer.last_byte);
    let after = Vitals::of(pid).unwrap();
    assert!(
        after.read < before.read + 20_000_000,
        "{before:?} {after:?}"
    );
}
