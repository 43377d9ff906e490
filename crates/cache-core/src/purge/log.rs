//! The log of purges as one worker knows it.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use super::digest::Digest;
use super::entry::{Entry, Mode, Selector};
use super::labels::{Labels, Site};

/// Members that a log has at most. One more takes the place of the older half, which becomes the floor.
pub const MOST: usize = 16_384;

/// The member whose number is the floor.
const FLOOR: &[u8] = b"floor";

/// What is to become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judgement {
    /// No purge concerns it.
    Kept,
    /// It is stale.
    Soft,
    /// It is gone.
    Hard,
}

/// The last numbers of a selector, by mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Last {
    soft: u64,
    hard: u64,
}

impl Last {
    fn note(&mut self, mode: Mode, number: u64) {
        let last = match mode {
            Mode::Soft => &mut self.soft,
            Mode::Hard => &mut self.hard,
        };
        *last = number.max(*last);
    }

    fn judge(self, number: u64) -> Judgement {
        if self.hard > number {
            Judgement::Hard
        } else if self.soft > number {
            Judgement::Soft
        } else {
            Judgement::Kept
        }
    }
}

/// The purges that are known, by what they select. It takes as long to judge a record as it has tags, and as its URI has bytes.
#[derive(Clone, Debug, Default)]
pub struct Log {
    last: u64,
    floor: u64,
    /// Of any selector.
    any: Last,
    all: Last,
    hosts: HashMap<Vec<u8>, Last>,
    origins: HashMap<Site, Last>,
    prefixes: HashMap<Vec<u8>, BTreeMap<Vec<u8>, Last>>,
    labels: HashMap<Digest, Last>,
}

impl Log {
    /// The highest number that is known.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// A record with a lower number counts as purged: what concerned it may be forgotten.
    #[must_use]
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// Takes a member of the store's log, and its number. False for what isn't one: it is passed over.
    pub fn take(&mut self, member: &[u8], number: u64) -> bool {
        if member == FLOOR {
            self.floor = self.floor.max(number);
            self.last = self.last.max(number);
            return true;
        }
        let Some(entry) = Entry::parse(member) else {
            return false;
        };
        self.note(entry, number);
        true
    }

    /// Takes a purge.
    pub fn note(&mut self, entry: Entry, number: u64) {
        let Entry { selector, mode } = entry;
        self.last = self.last.max(number);
        self.any.note(mode, number);
        let last = match selector {
            Selector::All => &mut self.all,
            Selector::Host(host) => self.hosts.entry(host).or_default(),
            Selector::Origin(site) => self.origins.entry(site).or_default(),
            Selector::Prefix { host, uri } => self
                .prefixes
                .entry(host)
                .or_default()
                .entry(uri)
                .or_default(),
            Selector::Label(digest) => self.labels.entry(digest).or_default(),
        };
        last.note(mode, number);
    }

    /// What is to become of a record whose fill began when `number` was the last that its nginx knew. A record without labels is
    /// one of the Lua script, or of an earlier version: any later purge may mean it.
    #[must_use]
    pub fn judge(&self, number: u64, labels: Option<&Labels>) -> Judgement {
        if number >= self.last {
            return Judgement::Kept;
        }
        if number < self.floor {
            return Judgement::Hard;
        }
        let Some(labels) = labels else {
            return self.any.judge(number);
        };
        let site = &labels.site;
        let of_site = [self.hosts.get(&site.host), self.origins.get(site)];
        let of_labels = labels.digests.iter().map(|digest| self.labels.get(digest));
        let known = of_site.into_iter().chain(of_labels).flatten().copied();
        let judged = known.chain([self.all]).map(|last| last.judge(number));
        judged
            .chain([self.judge_prefixes(number, labels)])
            .max()
            .unwrap_or(Judgement::Kept)
    }

    fn judge_prefixes(&self, number: u64, labels: &Labels) -> Judgement {
        let hosts = [labels.site.host.as_slice(), Selector::ANY_HOST];
        let known = hosts.iter().filter_map(|host| self.prefixes.get(*host));
        let judged = known.map(|known| judge_beginnings(known, &labels.uri, number));
        judged.max().unwrap_or(Judgement::Kept)
    }
}

/// By each of the URI's beginnings that is known.
fn judge_beginnings(known: &BTreeMap<Vec<u8>, Last>, uri: &[u8], number: u64) -> Judgement {
    let mut judgement = Judgement::Kept;
    let mut most = uri;
    // The longest beginning that is left lies at `most` or before it in order. What isn't one shows how long one may be at most.
    while let Some((prefix, last)) = known
        .range::<[u8], _>((Bound::Unbounded, Bound::Included(most)))
        .next_back()
    {
        let shorter = if uri.starts_with(prefix) {
            judgement = judgement.max(last.judge(number));
            prefix.len().saturating_sub(1)
        } else {
            let same = prefix.iter().zip(most).take_while(|(a, b)| a == b);
            same.count()
        };
        most = uri.get(..shorter).unwrap_or_default();
        if most.is_empty() {
            break;
        }
    }
    judgement
}
