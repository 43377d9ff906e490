//! The memory tier of a store: hot records in shared memory, before its servers.
//!
//! A record is kept under its key in Redis, as Redis gave it. Nobody gets it from there unless the servers' pushes are
//! proven to come: see [`cache_core::feed`].

mod config;
mod entry;
mod log;
mod own;
mod recent;
mod usable;

use std::cell::{OnceCell, RefCell};
use std::hash::Hasher;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::feed::LEASE;
use cache_core::purge::Verdict;
use cache_core::record::{self, Kept, RawRecord};
use cache_core::report::MemoryReport;
use cache_core::vary;
use siphasher::sip128::{Hasher128, SipHasher13};
use tier::{Facts, Handle, Node, Ticket, Tier};

pub use self::config::MemoryConfig;
pub use self::entry::{Entry, Seen};
pub use self::log::{OwnLog, ROOM as LOG_ROOM};
pub use self::own::{Expected, Own, Written};
use self::recent::Recent;
pub use self::usable::Usable;
use crate::ngx::event::exact_msec;
use crate::shm::StoreState;
use crate::shm::tier::Records;

/// What the channel begins with on which changes are told. The prefix of the tier's keys follows.
const CHANNEL: &[u8] = b"redis_cache:";

/// Without a listener no node has a lease. So these names have those of keys that may still change, each of a share of all keys.
const LATE: u64 = 0x4c41_5445_0000_0000;

/// In so many shares.
const SHARES: u128 = 64;

/// The name of a key's share.
fn late(hash: u128) -> u64 {
    LATE + (hash % SHARES) as u64
}

/// The log of purges of the store that a tier is before, as a worker knows it.
pub trait Judge {
    /// What the purges mean for a record with this number and this field `labels`. `None`: the log must be read on first.
    fn judge_now(&self, number: u64, labels: Option<&[u8]>) -> Option<Verdict>;
}

/// The tier of a store, as one worker uses it.
pub struct Memory {
    config: MemoryConfig,
    channel: Bytes,
    records: Rc<Records>,
    recent: RefCell<Recent>,
    /// The purges of a store that is this memory alone.
    log: Option<OwnLog>,
    /// Those of any other.
    judge: OnceCell<Weak<dyn Judge>>,
}

/// A lookup that may become a record of the tier.
#[derive(Debug)]
pub struct Offer {
    hash: u128,
    /// The server that is asked.
    server: u64,
    ticket: Ticket,
    /// When the lookup began, in milliseconds.
    since: u64,
}

impl Memory {
    /// A tier. `None` before its memory is there.
    pub fn of(config: &MemoryConfig) -> Option<Rc<Memory>> {
        let records = Records::of(config.memory?)?;
        Some(Rc::new(Memory {
            config: config.clone(),
            channel: [CHANNEL, &config.prefix].concat().into(),
            records,
            recent: RefCell::default(),
            log: None,
            judge: OnceCell::new(),
        }))
    }

    /// The memory of a store that is nothing else. `state`: what its workers share beside it.
    pub fn of_store_alone(config: &MemoryConfig, state: &'static StoreState) -> Option<Rc<Memory>> {
        let memory = Rc::into_inner(Memory::of(config)?)?;
        Some(Rc::new(Memory {
            log: Some(OwnLog::new(state)),
            ..memory
        }))
    }

    /// The purges of a store that is this memory alone.
    pub fn log(&self) -> Option<&OwnLog> {
        self.log.as_ref()
    }

    /// By this log it is judged what is kept.
    pub fn set_judge(&self, judge: Weak<dyn Judge>) {
        let _ = self.judge.set(judge);
    }

    /// The last number of purges that is known.
    fn purged(&self) -> u64 {
        match &self.log {
            Some(log) => log.last(),
            None => self.records.header().purged(),
        }
    }

    /// Whether the log of purges was read not long ago: a server that has it may be frozen while others push the changes of their
    /// keys.
    fn knows_purges(&self, now: u64) -> bool {
        self.log.is_some() || now < self.records.header().confirmed().saturating_add(LEASE)
    }

    /// The store's log of purges was read, all of it, as it was then (milliseconds) at the earliest.
    pub fn confirm_purges(&self, began: u64) {
        self.records.header().confirm(began);
    }

    /// Whether an entry may be used in spite of the purges up to this number. What is gone leaves the tier.
    fn survives(&self, hash: u128, entry: &Entry, purged: u64) -> bool {
        // What has left the tier meanwhile isn't used.
        let Ok(kept) = entry.kept() else { return false };
        let labels = kept.labels.as_deref();
        let verdict = match (&self.log, self.judge.get().and_then(Weak::upgrade)) {
            (Some(log), _) => Some(log.judge(entry.log(), labels)),
            (None, Some(judge)) => {
                // The Lua script leaves a field when it writes over the others.
                let raw = kept.record(entry.left(exact_msec()), None);
                let labels = labels.filter(|_| record::is_own(&raw, entry.length()));
                judge.judge_now(entry.log(), labels)
            }
            (None, None) => None,
        };
        match verdict {
            Some(Verdict::Kept) => entry.set_judged(purged, false),
            Some(Verdict::Soft) => entry.set_judged(purged, true),
            Some(Verdict::Hard) => {
                self.records.index().invalidate(hash);
                return false;
            }
            // The store is asked for it, and reads its log for that.
            None => return false,
        }
        true
    }

    /// Its configuration.
    pub fn config(&self) -> &MemoryConfig {
        &self.config
    }

    /// Its records.
    pub fn records(&self) -> &Rc<Records> {
        &self.records
    }

    /// The channel on which all machines that share the store tell of changes.
    pub fn channel(&self) -> &Bytes {
        &self.channel
    }

    /// Changes of this machine are to be told until then, in milliseconds, or later.
    pub fn tell_until(&self, until: u64) {
        self.records.header().tell_until(until);
    }

    /// Where a change of a key is to be told, if it is.
    pub fn tells(&self, key: &[u8]) -> Option<&Bytes> {
        let tells = self.records.header().tells_until() > exact_msec();
        (tells && self.is_of_prefix(key)).then_some(&self.channel)
    }

    /// Whether a key is one of those that are kept: it begins as the operator says, or is that of a variant of such a key.
    pub fn is_of_prefix(&self, key: &[u8]) -> bool {
        vary::begins_with(key, &self.config.prefix)
    }

    /// Nothing counts any more that is kept of the server of this name in shared memory.
    pub fn void(&self, server: u64) {
        let index = self.records.index();
        index.raise_epoch(index.node_at(server, exact_msec()));
    }

    /// What operators see of it. `servers`: their names in shared memory.
    pub fn report(&self, servers: &[u64]) -> MemoryReport {
        let (index, now) = (self.records.index(), exact_msec());
        let statistics = index.statistics();
        let is_leased = |server: &u64| index.leased_until(index.node_at(*server, now)) > now;
        let is_heard = servers.iter().any(is_leased);
        MemoryReport {
            size: statistics.bytes.saturating_add(statistics.free_bytes),
            bytes: statistics.bytes,
            objects: statistics.records,
            evictions: statistics.evicted,
            is_fed: is_heard || !self.config.feed || self.log.is_some(),
            feed_lag: self.feed_lag(servers, now).filter(|_| is_heard),
        }
    }

    /// How long ago it was proven that these servers push changes, at the one for which it is longest, in milliseconds.
    fn feed_lag(&self, servers: &[u64], now: u64) -> Option<u64> {
        let index = self.records.index();
        let lag = |server: &u64| {
            let until = index.leased_until(index.node_at(*server, now));
            now.saturating_add(LEASE)
                .checked_sub(until)
                .filter(|lag| *lag <= LEASE)
        };
        let all: Option<Vec<u64>> = servers.iter().map(lag).collect();
        all?.into_iter().max()
    }

    /// Gives up, for this worker's exit, what it has.
    pub fn leave(&self) {
        self.recent.take();
        self.records.leave();
    }

    /// The hash by which a key is found. Nobody outside can choose keys whose hashes meet.
    fn hash(&self, key: &[u8]) -> u128 {
        let [one, other] = self.records.header().secret;
        let mut hasher = SipHasher13::new_with_keys(one, other);
        hasher.write(key);
        hasher.finish128().as_u128()
    }

    /// The record of a key, if it is kept and may be used now (milliseconds). `is_down` says whether the server of the key is
    /// known to be down; it is asked only if that matters.
    pub fn look(&self, key: &[u8], now: u64, is_down: impl Fn() -> bool) -> Option<Rc<Entry>> {
        if !self.is_of_prefix(key) {
            return None;
        }
        let hash = self.hash(key);
        let index = self.records.index();
        let knows_purges = self.knows_purges(now);
        let usable = |handle| {
            (knows_purges && index.is_current(handle, now))
                || (self.is_usable_alone(handle, now) && is_down())
        };
        let recent = self.recent.borrow();
        let known = recent
            .get(hash)
            .inspect(|known| known.prefetch(hash))
            .filter(|known| known.is_of(key))
            .filter(|known| usable(known.handle()));
        let purged = self.purged();
        if let Some(known) = known {
            if known.judged() < purged && !self.survives(hash, known, purged) {
                return None;
            }
            index.touch(known.handle());
            known.note_use();
            return Some(Rc::clone(known));
        }
        drop(recent);
        let handle = index.find(hash)?;
        let view = index.look(handle).filter(|_| usable(handle))?;
        let head = self.records.copy(handle, 0, view.head_len)?;
        let kept = Kept::decode(&head).filter(|kept| kept.key == key)?;
        index.touch(handle);
        let mut recent = self.recent.borrow_mut();
        let counter = recent.counter();
        let entry = Rc::new(Entry::new(&self.records, handle, &view, &kept, &counter));
        if kept.log < purged && !self.survives(hash, &entry, purged) {
            return None;
        }
        recent.put(hash, Rc::clone(&entry));
        Some(entry)
    }

    /// Whether a record may be used if its server is down.
    fn is_usable_alone(&self, handle: Handle, now: u64) -> bool {
        let alone = self.config.alone;
        alone > 0 && self.records.index().is_current_alone(handle, now, alone)
    }

    /// Asked before a key is looked up in Redis, at the server of this name in shared memory: whether what that gives may be
    /// kept. Counts the use.
    pub fn offer(&self, key: &[u8], server: u64) -> Option<Offer> {
        let (hash, now) = (self.hash(key), exact_msec());
        let index = self.records.index();
        let node = index.node_at(server, now);
        // Before it is asked whether a change may come late: one that is noted from now on makes the ticket worthless.
        let ticket = index.ticket(hash, node);
        let is_heard = match self.config.feed {
            true => index.leased_until(node) > now,
            false => index.leased_until(index.node_at(late(hash), now)) <= now,
        };
        if !is_heard || !index.admit(hash, self.config.min_uses) {
            return None;
        }
        // Without a place it has none that could be another's by now.
        if node != Node::NONE && !index.is_node_of(node, server) {
            return None;
        }
        Some(Offer {
            hash,
            server,
            ticket,
            since: now,
        })
    }

    /// Keeps what a server has given for a key since it was asked. One that wasn't asked at first is none that is known to
    /// push the key's changes. `log`: the number in the store's log of purges up to which none concerns it.
    pub fn keep(
        &self,
        offer: Offer,
        (from, log): (u64, u64),
        key: &Bytes,
        record: &RawRecord,
        (variants, labels): (Option<Bytes>, Option<Bytes>),
    ) {
        if from != offer.server {
            return;
        }
        // Of many requests that share a lookup the first has kept it.
        if self.records.find(offer.hash, exact_msec()).is_some() {
            return;
        }
        let Some(body) = &record.body else { return };
        let Ok(left) = u64::try_from(record.pttl) else {
            return;
        };
        let head = Kept::of(key.clone(), record, (variants, labels), log).encode();
        let Some(head) = head.filter(|head| head.len() + body.len() <= self.config.max_object)
        else {
            return;
        };
        let facts = Facts {
            expiry: offer.since.saturating_add(left.min(self.config.valid)),
            free: !self.config.feed,
            alone: false,
            meta: offer.since.saturating_add(left),
        };
        let pieces = [head.as_slice(), body];
        self.records
            .keep(offer.hash, offer.ticket, facts, &pieces, Tier::publish);
    }

    /// The last number of the store's log of purges is at least this: what is kept under a lower one is judged anew.
    pub fn raise_purged(&self, number: u64) {
        self.records.header().raise_purged(number);
    }

    /// A change of this key by this nginx may still be carried out, and nobody knows when. A listener hears of that. Without one
    /// nothing is kept of such keys for as long as a record might be used.
    pub fn note_late(&self, key: &[u8]) {
        if self.config.feed || !self.is_of_prefix(key) {
            return;
        }
        let (index, now) = (self.records.index(), exact_msec());
        let node = index.node_at(late(self.hash(key)), now);
        index.lease(node, now.saturating_add(self.config.valid));
    }

    /// What is kept of a key is worthless, and what is on its way into the tier.
    pub fn invalidate(&self, key: &[u8]) {
        if self.is_of_prefix(key) {
            self.records.index().invalidate(self.hash(key));
        }
    }
}
