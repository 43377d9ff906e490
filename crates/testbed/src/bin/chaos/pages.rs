//! The backend's pages. A body follows from its path and its version alone: each byte of an answer can be checked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use testbed::{Answer, Request, Running, ms, pattern};

use crate::rng::Rng;

/// The host of all pages, on whatever machine.
pub const HOST: &str = "example.com";

/// Folder, how many pages, how many of a hundred requests, how many seconds fresh.
struct Kind(&'static str, u64, u64, u64);

const KINDS: [Kind; 4] = [
    Kind("page", 300, 62, 60),
    // Served stale and filled again all the time.
    Kind("short", 100, 30, 1),
    Kind("big", 12, 7, 3),
    Kind("huge", 2, 1, 60),
];

/// All paths there are.
pub fn all() -> impl Iterator<Item = String> {
    let of = |kind: &'static Kind| (0..kind.1).map(move |number| path(kind, number));
    KINDS.iter().flat_map(of)
}

/// A path by chance.
pub fn any(rng: &mut Rng) -> String {
    let mut at = rng.below(100);
    for kind in &KINDS {
        if at < kind.2 {
            return path(kind, rng.below(kind.1));
        }
        at -= kind.2;
    }
    path(&KINDS[0], 0)
}

/// No path is part of another.
fn path(kind: &Kind, number: u64) -> String {
    format!("/{}/{number:04}", kind.0)
}

/// The body of `path` in this version.
fn body(path: &str, version: u64) -> Vec<u8> {
    let mut body = format!("{path}\nversion {version}\n").into_bytes();
    let seed = path.bytes().fold(version, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let size = match path.split('/').nth(1) {
        Some("huge") => 1_000_000,
        Some("big") => 30_000 + seed % 100_000,
        _ => seed % 9000,
    };
    body.extend(pattern(size as usize, seed));
    body
}

/// The version of an answer for `path`; else what is wrong with its bytes.
pub fn version(path: &str, got: &[u8]) -> Result<u64, String> {
    let start = &got[..got.len().min(80)];
    let text = String::from_utf8_lossy(start);
    let mut lines = text.lines();
    let named = lines.next().unwrap_or_default();
    if named != path {
        return Err(format!("the bytes of another page: {named:?}"));
    }
    let line = lines.next().unwrap_or_default();
    let number = line
        .strip_prefix("version ")
        .and_then(|number| number.parse().ok());
    let version: u64 = number.ok_or_else(|| format!("no version: {line:?}"))?;
    let right = body(path, version);
    if right == got {
        return Ok(version);
    }
    let same = right
        .iter()
        .zip(got)
        .take_while(|(one, other)| one == other);
    Err(format!(
        "version {version}: {} bytes of {}, the first wrong one at {}",
        got.len(),
        right.len(),
        same.count()
    ))
}

/// The version in which the backend has sent each page last.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<Mutex<HashMap<String, u64>>>);

impl Sent {
    /// That of `path`; 0 if it was never sent.
    pub fn version(&self, path: &str) -> u64 {
        let sent = self.0.lock().expect("versions");
        sent.get(path).copied().unwrap_or(0)
    }

    fn next(&self, path: &str) -> u64 {
        let mut sent = self.0.lock().expect("versions");
        let version = sent.entry(path.to_owned()).or_default();
        *version += 1;
        *version
    }
}

/// What a purge selects by.
#[derive(Clone, Copy, Debug)]
pub enum Selector {
    Key,
    Prefix,
    Tag,
}

/// The request for a purge by chance, and the pages that it concerns.
pub fn purge(selector: Selector, rng: &mut Rng) -> (Request, Vec<String>) {
    let path = any(rng);
    let request = |target: &str| Request::new("PURGE", target).header("Host", HOST);
    match selector {
        Selector::Key => (request(&path), vec![path]),
        Selector::Prefix => {
            let start = &path[..path.len() - 1];
            let concerned = all().filter(|other| other.starts_with(start)).collect();
            (request(&format!("{start}*")), concerned)
        }
        Selector::Tag => {
            let tag = tag(&path);
            let concerned = all().filter(|other| self::tag(other) == tag).collect();
            (request("/").header("xkey", tag), concerned)
        }
    }
}

/// One of twenty tags by which each page can be purged.
fn tag(path: &str) -> String {
    let number: u64 = path[path.len() - 4..].parse().expect("a number");
    format!("tag-{}", number % 20)
}

/// The backend answers each path with the next version of it. It never fails.
pub fn script(site: &Running, seed: u64) -> Sent {
    let (sent, chance) = (Sent::default(), Mutex::new(Rng::new(seed)));
    let versions = sent.clone();
    site.backend.script("(otherwise)", move |request, _| {
        let path = request.path().to_owned();
        let version = versions.next(&path);
        let number = chance.lock().expect("chance").next();
        let mut rng = Rng::new(number);
        let fresh = KINDS
            .iter()
            .find(|kind| path.split('/').nth(1) == Some(kind.0));
        let fresh = fresh.map_or(60, |kind| kind.3);
        let mut answer = Answer::ok(body(&path, version))
            .header("Cache-Control", format!("max-age={fresh}"))
            .header("xkey", tag(&path));
        if rng.percent(40) {
            answer = answer.chunked();
        }
        if rng.percent(30) {
            answer = answer.delay(ms(rng.below(40)));
        }
        answer
    });
    sent
}
