//! What works with `proxy_pass` alone works the same behind the cache: access, limits, rewriting, error pages, upstreams,
//! files, filters, variables, protocols.

mod access;
mod elsewhere;
mod filters;
mod gateways;
mod inside;
mod install;
mod post;
mod protocols;
mod redirects;
mod routing;
mod set_misc;
mod variables;

use std::process::Command;

use testbed::{
    Answer, PATIENCE, Received, Request, Response, Running, Site, nginx_binary, wait_for,
};

/// Whether the nginx under test was built with this module; tests of others run with Debian's.
fn nginx_has(module: &str) -> bool {
    let output = Command::new(nginx_binary()).arg("-V").output().unwrap();
    let has = String::from_utf8_lossy(&output.stderr).contains(module);
    if !has {
        println!("this nginx is built without {module}");
    }
    has
}

/// What a request looked like at the backend.
fn seen(request: &Received) -> String {
    let mut text = format!(
        "{} {} {}\n",
        request.method, request.target, request.version
    );
    for (name, value) in &request.fields {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value));
    }
    text + "\n" + &String::from_utf8_lossy(&request.body)
}

/// A backend that answers by what it saw.
fn telling(site: &Site) -> Running {
    let site = site.start();
    site.backend.script("(otherwise)", |request, _| {
        let answer = Answer::of(
            if request.path().contains("404") {
                404
            } else {
                200
            },
            seen(request),
        );
        if request.path().contains("moved") {
            return Answer::of(302, "moved").header("Location", "http://backend/there");
        }
        answer
    });
    site
}

/// Asks twice with the cache and once without: status and body are those of `proxy_pass` alone, and the backend saw the
/// same request, once if it can be stored.
#[track_caller]
fn same_as_plain(what: &str, shape: impl Fn(Site) -> Site, request: &Request, stored: bool) {
    let plain = telling(&shape(Site::plain()));
    let expected = plain.ask(request);
    let site = telling(&shape(Site::new()));
    let first = site.ask(request);
    if stored {
        wait_for(&format!("{what}: a record"), PATIENCE, || {
            !site.redis.keys().is_empty()
        });
    }
    let second = site.ask(request);
    // Each has a backend of its own.
    let text = |site: &Running, answer: &Response| {
        let own = site.backend.address().to_string();
        answer.text().replace(&own, "BACKEND")
    };
    let told = text(&plain, &expected);
    for (turn, answer) in [("miss", &first), ("hit", &second)] {
        assert_eq!(answer.status, expected.status, "{what}, {turn}");
        assert_eq!(text(&site, answer), told, "{what}, {turn}");
        for name in ["content-type", "location", "content-encoding", "x-own"] {
            assert_eq!(
                answer.headers(name),
                expected.headers(name),
                "{what}, {turn}"
            );
        }
    }
    let words = (first.word(), second.word());
    if stored {
        assert_eq!(words, ("STORE".to_owned(), "HIT".to_owned()), "{what}");
        assert_eq!(site.backend.all_hits(), plain.backend.all_hits(), "{what}");
    } else {
        assert!(
            site.redis.keys().is_empty(),
            "{what}: {:?}",
            site.redis.keys()
        );
        assert_eq!(
            site.backend.all_hits(),
            2 * plain.backend.all_hits(),
            "{what}"
        );
    }
    site.nginx.finish();
}
