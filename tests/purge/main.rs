//! Requests for purges, exactly as those send them who purge: the record is gone, or stale, others aren't, and the sender is
//! told what it wants to hear.

mod admin;
mod fleet;
mod judging;
mod keys;
mod log;
mod logged;
mod size;
mod trouble;

use testbed::{Answer, Request, Response, Running, Site};

/// Pages are kept by scheme, host and URI.
const KEY: &str = "redis_cache_key $scheme://$host$request_uri;";

/// A site that takes requests of these styles.
fn site(styles: &str) -> Site {
    Site::new()
        .spread()
        .server("redis_cache_purge_allow 127.0.0.1;")
        .location(&format!("{KEY} redis_cache_purge_style {styles};"))
}

/// A request of these lines: method and target, and fields.
fn request(lines: &[&str]) -> Request {
    let (first, fields) = lines.split_first().unwrap();
    let (method, target) = first.split_once(' ').unwrap();
    fields
        .iter()
        .fold(Request::new(method, target), |request, line| {
            let (name, value) = line.split_once(": ").unwrap();
            request.header(name, value)
        })
}

/// What the sender of a purge is told.
fn told(purged: usize, kind: &str, mode: &str) -> String {
    format!("{{\"purged\": {purged}, \"kind\": \"{kind}\", \"mode\": \"{mode}\"}}\n")
}

/// A page: its host, and path and arguments.
type Page<'a> = (&'a str, &'a str);

fn get(site: &Running, (host, target): Page<'_>) -> Response {
    site.ask(&Request::get(target).header("Host", host))
}

/// Fills a page.
fn fill(site: &Running, (host, target): Page<'_>) {
    let request = Request::get(target).header("Host", host);
    site.fill_by(&request, &format!("http://{host}{target}"));
}

/// Fills a page that has these tags in this field.
fn fill_tagged(site: &Running, page: Page<'_>, (field, tags): (&str, &str)) {
    let path = page.1.split('?').next().unwrap();
    site.backend
        .set(path, Answer::ok("tagged").header(field, tags));
    fill(site, page);
}

/// Sends the request, which purges the first pages and leaves the others.
fn purges(site: &Running, lines: &[&str], gone: &[Page<'_>], left: &[Page<'_>]) -> Response {
    for page in gone.iter().chain(left) {
        fill(site, *page);
    }
    let answer = site.ask(&request(lines));
    assert_eq!(answer.status, 200, "{lines:?}: {}", answer.text());
    for page in left {
        assert_eq!(get(site, *page).word(), "HIT", "{lines:?}: {page:?}");
    }
    for page in gone {
        assert_eq!(get(site, *page).word(), "STORE", "{lines:?}: {page:?}");
    }
    answer
}
