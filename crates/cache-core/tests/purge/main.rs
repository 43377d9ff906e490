//! Purges: what requests ask for, what the log says of a record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod entries;
mod fields;
mod forms;
mod json;
mod judged;
mod labels;
mod numbers;

use cache_core::purge::{Asked, Digest, Entry, Labels, Mode, Selector, Site};

fn site(host: &str) -> Site {
    Site::new(false, host.as_bytes(), None).unwrap()
}

fn labels(host: &str, target: &str, tags: &[&str]) -> Labels {
    let digests = tags.iter().map(|tag| tag_digest(tag)).collect();
    Labels::new(site(host), target.as_bytes(), digests).unwrap()
}

fn tag_digest(tag: &str) -> Digest {
    Digest::of_tag(tag.as_bytes())
}

fn tag(tag: &str) -> Selector {
    Selector::Label(tag_digest(tag))
}

fn host(host: &str) -> Selector {
    Selector::Host(host.into())
}

fn prefix(host: &str, uri: &str) -> Selector {
    Selector::Prefix {
        host: host.into(),
        uri: uri.into(),
    }
}

fn entry(mode: Mode, selector: Selector) -> Entry {
    Entry { selector, mode }
}

/// A request with these fields to `www.example.com`.
fn asked<T>(line: &str, fields: &[(&str, &str)], read: impl FnOnce(&Asked<'_>) -> T) -> T {
    let (method, target) = line.split_once(' ').unwrap();
    let field = |name: &str| {
        let named = fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes().to_vec())
    };
    read(&Asked {
        method: method.as_bytes(),
        site: &site("www.example.com"),
        target: target.as_bytes(),
        field: &field,
    })
}
