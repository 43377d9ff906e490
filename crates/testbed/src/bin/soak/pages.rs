//! The backend's pages. Each body names its path and ends with a checksum of itself.

use std::sync::Mutex;

use testbed::{Answer, Received, Request, Running, ms, pattern};

use crate::rng::Rng;

/// A kind of page: its folder, how many there are, how many of a hundred requests are for it.
pub struct Kind {
    pub name: &'static str,
    pub count: u64,
    pub share: u64,
    /// Whether the backend's own script cuts, resets or fails it.
    pub fails: bool,
}

const fn kind(name: &'static str, count: u64, share: u64, fails: bool) -> Kind {
    Kind {
        name,
        count,
        share,
        fails,
    }
}

pub const KINDS: [Kind; 9] = [
    kind("page", 60, 40, false),
    kind("stale", 20, 20, false),
    kind("big", 4, 4, false),
    kind("huge", 2, 1, false),
    kind("private", 5, 5, false),
    kind("post", 10, 10, false),
    kind("cut", 6, 8, true),
    kind("reset", 4, 4, true),
    kind("error", 4, 8, true),
];

/// All paths there are.
pub fn all() -> impl Iterator<Item = String> {
    KINDS
        .iter()
        .flat_map(|kind| (0..kind.count).map(|number| format!("/{}/{number}", kind.name)))
}

/// A path by chance, and its kind.
pub fn any(rng: &mut Rng) -> (&'static Kind, String) {
    let mut at = rng.below(100);
    for kind in &KINDS {
        if at < kind.share {
            return (kind, format!("/{}/{}", kind.name, rng.below(kind.count)));
        }
        at -= kind.share;
    }
    (&KINDS[0], "/page/0".to_owned())
}

/// The request for a path.
pub fn request(kind: &Kind, path: &str) -> Request {
    if kind.name == "post" {
        Request::post(path, pattern(path.len() * 997, path.len() as u64))
    } else {
        Request::get(path)
    }
}

/// Whether this is a whole body of `path`.
pub fn is_whole(path: &str, body: &[u8]) -> bool {
    let Some(at) = body.len().checked_sub(16) else {
        return false;
    };
    let (page, sum) = body.split_at(at);
    page.starts_with(format!("{path}\n").as_bytes()) && sum == checksum(page).as_bytes()
}

/// 16 hex digits; cheap, since the clients' time is what the load is made of.
fn checksum(page: &[u8]) -> String {
    let sum = page.chunks(8).fold(page.len() as u64, |sum, bytes| {
        let word = bytes
            .iter()
            .fold(0, |word, &byte| word << 8 | u64::from(byte));
        (sum.rotate_left(5) ^ word).wrapping_mul(0x517C_C1B7_2722_0A95)
    });
    format!("{sum:016x}")
}

/// Sets what the backend does from now on; without `seed` it does nothing but answer.
pub fn script(site: &Running, seed: Option<u64>) {
    let chance = Mutex::new(Rng::new(seed.unwrap_or(1)));
    site.backend.script("(otherwise)", move |request, _| {
        let mut rng = chance.lock().expect("chance").clone();
        let number = rng.next();
        *chance.lock().expect("chance") = rng.clone();
        let mut rng = Rng::new(number);
        answer(request, &mut rng, seed.is_some())
    });
}

fn answer(request: &Received, rng: &mut Rng, wild: bool) -> Answer {
    let path = request.path();
    let kind = path.split('/').nth(1).unwrap_or_default();
    let size = match kind {
        "huge" => 9_000_000,
        "big" => 300_000 + rng.below(600_000),
        _ => rng.below(30_000),
    };
    let mut page = format!("{path}\n{}\n", rng.next()).into_bytes();
    if kind == "post" {
        let whole = request.body == pattern(path.len() * 997, path.len() as u64);
        page.extend_from_slice(if whole { b"post" } else { b"POST BODY WRONG" });
    }
    page.extend(pattern(size as usize, rng.next()));
    page.extend_from_slice(checksum(&page).as_bytes());
    let length = page.len() as u64;
    let mut answer = Answer::ok(page);
    if kind == "stale" {
        answer = answer.header("Cache-Control", "max-age=1");
    }
    if kind == "private" {
        answer = answer.header("Cache-Control", "private");
    }
    if !wild {
        return answer;
    }
    if rng.percent(40) || kind == "huge" {
        answer = answer.chunked();
    }
    if rng.percent(50) {
        answer = answer.delay(ms(rng.below(60)));
    }
    if rng.percent(20) {
        answer = answer.pause_at(rng.below(length) as usize, ms(rng.below(100)));
    }
    match kind {
        "cut" if rng.percent(50) => answer.cut_at(rng.below(length) as usize),
        "reset" if rng.percent(50) => answer.reset_at(rng.below(length) as usize),
        "reset" if rng.percent(50) => answer.reset(),
        "error" if rng.percent(50) => Answer::of(503, "out of order"),
        _ => answer,
    }
}
