//! What a server of the store holds.

use std::collections::HashMap;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::cache_control;
use cache_core::headers::Headers;
use cache_core::record::{Meta, Record, Tie};
use cache_core::rules::Ahead;
use cache_core::terms::Terms;
use cache_core::token::Token;
use cache_core::units::MAX_SECONDS;
use cache_core::vary::{Family, VariantId};

use super::config::Key;
use super::leasing::{Kept, StoredLease};
use super::purge_log::Server;
use super::variants::{self, FieldValues, Variants, key_of};
use super::world::World;

/// A Redis key: that of a record, or of a variant in a slot beside it.
pub type Place = (Key, usize);

/// A record as it is stored.
#[derive(Clone)]
pub struct Stored {
    pub status: u16,
    pub headers: Headers,
    pub body: Bytes,
    pub expires: u64,
    /// Milliseconds from its writing, or its confirmation, to that.
    pub lasts: u64,
    /// What it says of the seconds that it is kept past its freshness.
    pub kept: Option<u32>,
    /// Names the write, or the confirmation, that it comes from.
    pub generation: u64,
    /// A 304 was the last that wrote it.
    pub confirmed: bool,
    /// The number of the fill that wrote it.
    pub fill: usize,
    /// Which variant of the key it is.
    pub tie: Option<Tie>,
    /// The last purge that was known when the backend was asked.
    pub log: u64,
    /// By what purges select it.
    pub labels: Bytes,
}

/// What is known of one cache key: what a master tells its replicas after each change.
#[derive(Clone, Default)]
pub struct KeyState {
    records: Vec<(usize, Stored)>,
    variants: Option<Bytes>,
}

/// The records of a server.
#[derive(Clone, Default)]
pub struct Data {
    records: HashMap<Place, Stored>,
    variants: HashMap<Key, Bytes>,
    fences: HashMap<Key, Bytes>,
    /// By lock. Replicas don't get them in time: who follows a master has none.
    leases: HashMap<Key, StoredLease>,
    /// The log of purges.
    pub log: Server,
}

impl Stored {
    pub fn read(&self, now: u64) -> Option<Record> {
        let left = self.expires.checked_sub(now).filter(|left| *left > 0)?;
        Some(Record {
            status: self.status,
            headers: self.headers.clone().into(),
            body: self.body.clone(),
            ttl_ms: i64::try_from(left).unwrap(),
            age: u32::try_from(self.lasts.saturating_sub(left) / 1000).unwrap(),
            terms: Terms::of(&cache_control::parse(self.headers.get_all("Cache-Control"))),
            meta: Some(Rc::new(Meta {
                age: 0,
                expiry: MAX_SECONDS,
                kept: self.kept,
                generation: self.generation.to_string().into(),
                sum: 0,
                date: None,
                own_location: false,
                accel_expires: false,
                log: self.log,
                tie: self.tie.clone(),
                coded: None,
                slices: None,
                unsent: cache_core::record::Unsent::default(),
            })),
            stored_headers: Bytes::new(),
        })
    }
}

impl Stored {
    /// Whether so little is left of its freshness that it is refilled.
    pub fn is_due(&self, world: &World) -> bool {
        let Some(Ahead::Share(percent)) = world.config.rules.ahead else {
            return false;
        };
        let stale = u64::from(world.config.rules.kept()) * 1000;
        let left = (self.expires - world.now()).saturating_sub(stale);
        left * 100 < self.lasts.saturating_sub(stale) * u64::from(percent)
    }

    /// Whether its own Vary selects it for a request.
    pub fn is_for(&self, fields: FieldValues) -> bool {
        let on = variants::names(&self.headers);
        let id = VariantId::of(&on, &fields);
        on.is_empty() || self.tie.as_ref().is_some_and(|tie| tie.id == id)
    }
}

impl Data {
    /// What there is of a key, or in a slot of it.
    pub fn peek_at(&self, key: Key, slot: usize, now: u64) -> Option<Stored> {
        let stored = self.records.get(&(key, slot));
        stored.filter(|stored| stored.expires > now).cloned()
    }

    /// What there is of a key for a request.
    pub fn peek_for(&self, key: Key, fields: FieldValues, now: u64) -> Option<Stored> {
        let slot = match self.variants(key, now).family {
            Some(family) => family.slot_of(VariantId::of(&family.on, &fields)),
            None => Some(0),
        };
        self.peek_at(key, slot?, now).filter(|s| s.is_for(fields))
    }

    /// A record as a lookup reads it.
    pub fn read(&self, key: Key, slot: usize, now: u64) -> Option<(Rc<Record>, Stored)> {
        let stored = self.records.get(&(key, slot))?;
        Some((Rc::new(stored.read(now)?), stored.clone()))
    }

    /// What a key says of its variants.
    pub fn variants(&self, key: Key, now: u64) -> Variants {
        let base = self.peek_at(key, 0, now);
        let text = self.variants.get(&key).filter(|_| base.is_some()).cloned();
        let text = text.unwrap_or_default();
        let tie = base.and_then(|base| base.tie);
        let family = Family::parse(&text)
            .filter(|f| tie.is_some_and(|t| t.family == f.token && f.ids[0] == t.id));
        Variants { text, family }
    }

    /// Takes all of a key away, as DEL of it does.
    pub fn purge(&mut self, key: Key) {
        self.records.remove(&(key, 0));
        self.variants.remove(&key);
    }

    /// What the fence of a key holds, empty if there is none. No world lasts as long as a fence.
    pub fn fence(&self, key: Key) -> Bytes {
        self.fences.get(&key).cloned().unwrap_or_default()
    }

    pub fn set_fence(&mut self, key: Key, token: Bytes) {
        self.fences.insert(key, token);
    }

    /// What there is in the place of a lease, unless the key was invalidated since.
    pub fn lease(&self, lock: Key, now: u64) -> Option<StoredLease> {
        let lease = self.leases.get(&lock)?;
        let current = lease.until > now && lease.fence == self.fence(key_of(lock));
        current.then(|| lease.clone())
    }

    /// The lease, if it has this token.
    pub fn holds(&self, lock: Key, token: Token, now: u64) -> Option<StoredLease> {
        let lease = self.lease(lock, now);
        lease.filter(|lease| lease.kept == Kept::Held(token))
    }

    pub fn put_lease(&mut self, lock: Key, lease: Option<StoredLease>) {
        match lease {
            Some(lease) => self.leases.insert(lock, lease),
            None => self.leases.remove(&lock),
        };
    }

    /// When the last lease ends that is held.
    pub fn last_lease(&self) -> u64 {
        let held = self.leases.values();
        let held = held.filter(|lease| matches!(lease.kept, Kept::Held(_)));
        held.map(|lease| lease.until).max().unwrap_or(0)
    }

    /// A replica has taken the master's place.
    pub fn lose_leases(&mut self) {
        self.leases.clear();
    }

    pub fn put(&mut self, (key, slot): Place, stored: Stored) {
        self.records.insert((key, slot), stored);
    }

    pub fn put_variants(&mut self, key: Key, text: Option<Bytes>) {
        match text {
            Some(text) => self.variants.insert(key, text),
            None => self.variants.remove(&key),
        };
    }

    /// All places that hold something.
    pub fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self.records.keys().copied().collect();
        places.sort_unstable();
        places
    }

    /// The name of the write that a place comes from.
    pub fn generation(&self, place: Place) -> Option<(u64, u64)> {
        let stored = self.records.get(&place)?;
        Some((stored.generation, stored.expires))
    }

    /// Takes one place away, as MIGRATE does.
    pub fn take(&mut self, (key, slot): Place) -> (Option<Stored>, Option<Bytes>) {
        let stored = self.records.remove(&(key, slot));
        let text = if slot == 0 {
            self.variants.remove(&key)
        } else {
            None
        };
        (stored, text)
    }

    /// All of one key.
    pub fn state(&self, key: Key) -> KeyState {
        let own = self.records.iter().filter(|((k, _), _)| *k == key);
        KeyState {
            records: own.map(|((_, slot), s)| (*slot, s.clone())).collect(),
            variants: self.variants.get(&key).cloned(),
        }
    }

    /// Makes a key what it is elsewhere.
    pub fn apply(&mut self, key: Key, state: KeyState) {
        self.records.retain(|(k, _), _| *k != key);
        for (slot, stored) in state.records {
            self.records.insert((key, slot), stored);
        }
        self.put_variants(key, state.variants);
    }
}
