//! `redis_cache_slice`: large files in parts, under load, while they change and while things fail.

mod changes;
mod crowds;
mod faults;
mod file;
mod filters;
mod gather;
mod responses;
mod users;

use testbed::{Request, Site};

const MIB: usize = 1 << 20;

/// A location with slices of 1 MiB.
fn sliced() -> Site {
    Site::new().location("redis_cache_slice 1m;")
}

fn part(target: &str, range: &str) -> Request {
    Request::get(target).header("Range", range)
}

/// A request for one of several parts, or for the whole, by turns; and its Range.
fn in_turn(target: &str, turn: usize) -> (Request, Option<String>) {
    let range = (!turn.is_multiple_of(3))
        .then(|| format!("bytes={}-{}", turn % 5 * MIB, (turn % 5 + 2) * MIB));
    let request = match &range {
        Some(range) => part(target, range),
        None => Request::get(target),
    };
    (request, range)
}
