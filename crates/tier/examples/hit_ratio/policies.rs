//! What a cache of so many bytes serves of a trace, by policy.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;

use tier::{Env, Facts, Layout, Node, Tier, UNIT};

use crate::hash::hash;
use crate::traces::{Request, Trace};

/// Requests and bytes: how many there were, and how many were served from the cache.
#[derive(Default)]
pub struct Ratio {
    requests: u64,
    bytes: u64,
    hits: u64,
    hit_bytes: u64,
}

impl Ratio {
    fn count(&mut self, request: &Request, hit: bool) {
        self.requests += 1;
        self.bytes += request.size;
        if hit {
            self.hits += 1;
            self.hit_bytes += request.size;
        }
    }

    /// Of the requests and of their bytes.
    pub fn percent(&self) -> (f64, f64) {
        let percent = |part: u64, all: u64| part as f64 * 100.0 / all.max(1) as f64;
        (
            percent(self.hits, self.requests),
            percent(self.hit_bytes, self.bytes),
        )
    }
}

/// Lets go what wasn't used for longest.
pub fn lru(trace: &Trace, cache: u64) -> Ratio {
    let uses = (0..trace.requests.len() as u64).map(|number| u64::MAX - number);
    let ranked = trace.requests.iter().zip(uses);
    by_rank(ranked, cache, false)
}

/// Lets go what is wanted last, also at once.
pub fn optimum(trace: &Trace, cache: u64) -> Ratio {
    let mut next = HashMap::new();
    let mut uses: Vec<u64> = trace
        .requests
        .iter()
        .enumerate()
        .rev()
        .map(|(number, request)| next.insert(request.key, number as u64).unwrap_or(u64::MAX))
        .collect();
    uses.reverse();
    by_rank(trace.requests.iter().zip(uses), cache, true)
}

/// Lets go what has the highest rank: each request gives its object a new one. An object that is larger than the cache isn't
/// stored; with `bypass` none that has a rank higher than all others, either.
fn by_rank<'a>(
    requests: impl Iterator<Item = (&'a Request, u64)>,
    cache: u64,
    bypass: bool,
) -> Ratio {
    let mut ratio = Ratio::default();
    let mut ranks: HashMap<u64, u64> = HashMap::new();
    let mut order: BTreeSet<(u64, u64, u64)> = BTreeSet::new();
    let mut used = 0;
    for (request, rank) in requests {
        let (key, size) = (request.key, request.size);
        let known = ranks.remove(&key);
        ratio.count(request, known.is_some());
        if let Some(known) = known {
            order.remove(&(known, key, size));
            used -= size;
        }
        if size > cache || (bypass && rank == u64::MAX) {
            continue;
        }
        ranks.insert(key, rank);
        order.insert((rank, key, size));
        used += size;
        while used > cache {
            let Some((_, key, size)) = order.pop_last() else {
                break;
            };
            ranks.remove(&key);
            used -= size;
        }
    }
    ratio
}

/// The one worker there is.
struct Alone;

impl Env for Alone {
    fn pid(&self) -> u32 {
        1
    }

    fn is_alive(&self, _pid: u32) -> bool {
        true
    }

    fn pause(&self, _tries: u32) -> bool {
        false
    }

    fn now(&self) -> u64 {
        1
    }
}

/// The code of this crate, with an arena of so many bytes. `None` if that is less than it can be.
pub fn tier(trace: &Trace, cache: u64, min_uses: u32) -> Option<Ratio> {
    let layout = Layout::with_units(u32::try_from(cache / UNIT as u64).ok()?)?;
    let words: Vec<AtomicU64> = (0..layout.control_words())
        .map(|_| AtomicU64::new(0))
        .collect();
    let tier = Tier::lay_out(words.as_slice(), layout)?;
    let mut ratio = Ratio::default();
    for request in &trace.requests {
        let hash = hash(request.key);
        let found = tier.find(hash);
        ratio.count(request, found.is_some());
        match found {
            Some(found) => tier.touch(found),
            None if tier.admit(hash, min_uses) => store(tier, hash, request.size),
            None => (),
        }
    }
    Some(ratio)
}

/// Stores a record, if there is room.
fn store(tier: Tier<'_>, hash: u128, size: u64) {
    let ticket = tier.ticket(hash, Node::NONE);
    let bytes = usize::try_from(size).unwrap_or(usize::MAX);
    let facts = Facts {
        expiry: u64::MAX,
        free: true,
        alone: false,
        meta: 0,
    };
    if let Some(reservation) = tier.reserve(&Alone, hash, 0, bytes) {
        tier.publish(&Alone, reservation, ticket, facts);
    }
}
