//! Purges: what records can be selected by, who asks for what, and what becomes of a record.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod entries;
mod json;
mod judged;
mod keys;
mod labels;
mod machines;
mod naive;
mod plain;
#[path = "../simulation/purge_log.rs"]
mod purge_log;
#[path = "../../../../src/shm/mapping/purge_words.rs"]
#[allow(dead_code, reason = "the tests use a part of it")]
mod purge_words;
#[path = "../simulation/purges.rs"]
mod purges;
#[path = "../simulation/rng.rs"]
mod rng;
mod senders;

use cache_core::headers::Headers;
use cache_core::purge::request::{Purge, Request, Uri};
use cache_core::purge::{Entry, Selector, TagId};
use cache_core::uri::{Origin, Target};

fn origin(https: bool, authority: &str) -> Origin {
    Origin::new(https, authority.as_bytes()).unwrap()
}

/// A header of lines `Name: value`.
fn headers(lines: &[&str]) -> Headers {
    let mut headers = Headers::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.push(name.to_owned(), value.trim().to_owned());
    }
    headers
}

/// Runs `then` with the request of these lines: `METHOD target`, then the header, Host among it.
fn with_request<T>(lines: &[&str], then: impl FnOnce(&Request<'_>) -> T) -> T {
    let (method, target) = lines[0].split_once(' ').unwrap();
    let fields = headers(&lines[1..]);
    let origin = fields.get("Host").and_then(|host| Origin::new(false, host));
    then(&Request {
        method: method.as_bytes(),
        target: target.as_bytes(),
        origin: origin.as_ref(),
        fields: &fields,
    })
}

/// A purge in words: kind and mode, its keys, the members of the log that it writes without their mode. A tag's digest
/// is shown as the tag, if it is one of `tags`.
fn words(purge: &Purge, tags: &[&str]) -> Vec<String> {
    let mut words = vec![format!("{} {}", purge.kind.as_str(), purge.mode.as_str())];
    words.extend(purge.keys.iter().map(|uri| match uri {
        Uri::Own => "own".to_owned(),
        Uri::Here(target) => format!("here {}", shown(target)),
        Uri::At(origin, target) => format!(
            "at {}{}",
            String::from_utf8(origin.in_full()).unwrap(),
            shown(target)
        ),
    }));
    let known = |selector: &Selector| {
        tags.iter()
            .find(|tag| *selector == Selector::Tag(TagId::of_tag(tag.as_bytes())))
            .map(|tag| format!("tag {tag}"))
    };
    let mut selectors: Vec<_> = purge
        .selectors
        .iter()
        .map(|selector| {
            let entry = Entry {
                mode: purge.mode,
                selector: selector.clone(),
            };
            let text = String::from_utf8(entry.encode()).unwrap();
            let mode = format!(" {}", purge.mode.as_str());
            known(selector).unwrap_or_else(|| text.replacen(&mode, "", 1))
        })
        .collect();
    selectors.sort();
    words.extend(selectors);
    words
}

fn shown(target: &Target) -> String {
    String::from_utf8(target.in_origin_form()).unwrap()
}
