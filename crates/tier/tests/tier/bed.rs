//! What the tests share: words on the heap, workers that live or are dead, and bytes in the arena.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use crate::hash::hash;
use tier::{Env, Facts, Handle, Layout, Node, Row, Tier, UNIT, Words};

/// Zeroed words for a layout, with its arena.
pub fn words(layout: &Layout) -> Vec<AtomicU64> {
    (0..layout.bytes().div_ceil(8))
        .map(|_| AtomicU64::new(0))
        .collect()
}

/// A use of a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Read,
    Write,
}

/// Words that call something before each use of them.
pub struct Watched<'a> {
    pub words: &'a [AtomicU64],
    pub before: &'a dyn Fn(Use),
}

impl Words for Watched<'_> {
    fn count(&self) -> usize {
        self.words.len()
    }

    fn load(&self, at: usize) -> u64 {
        (self.before)(Use::Read);
        self.words.load(at)
    }

    fn set(&self, at: usize, value: u64) {
        (self.before)(Use::Write);
        self.words.set(at, value);
    }

    fn store(&self, at: usize, value: u64) {
        (self.before)(Use::Write);
        self.words.store(at, value);
    }

    fn replace(&self, at: usize, old: u64, new: u64) -> bool {
        (self.before)(Use::Write);
        self.words.replace(at, old, new)
    }

    fn add(&self, at: usize, by: u64) -> u64 {
        (self.before)(Use::Write);
        self.words.add(at, by)
    }
}

/// Which processes are dead.
#[derive(Default)]
pub struct Graves(Mutex<HashSet<u32>>);

impl Graves {
    pub fn dig(&self, pid: u32) {
        self.0.lock().unwrap().insert(pid);
    }
}

/// A worker.
pub struct Worker<'a> {
    pub pid: u32,
    pub now: Cell<u64>,
    pub turn: Cell<u32>,
    graves: &'a Graves,
}

impl<'a> Worker<'a> {
    pub fn new(pid: u32, graves: &'a Graves) -> Self {
        Worker {
            pid,
            now: Cell::new(0),
            turn: Cell::new(512),
            graves,
        }
    }
}

impl Env for Worker<'_> {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn is_alive(&self, pid: u32) -> bool {
        !self.graves.0.lock().unwrap().contains(&pid)
    }

    fn pause(&self, tries: u32) -> bool {
        std::thread::yield_now();
        tries < 10_000
    }

    fn turn(&self) -> u32 {
        self.turn.get()
    }

    fn now(&self) -> u64 {
        self.now.get()
    }
}

/// A worker that waits for nothing.
pub struct Hasty<'a>(pub Worker<'a>);

impl Env for Hasty<'_> {
    fn pid(&self) -> u32 {
        self.0.pid
    }

    fn is_alive(&self, pid: u32) -> bool {
        self.0.is_alive(pid)
    }

    fn pause(&self, _tries: u32) -> bool {
        false
    }
}

/// One worker more than there are rows of pins, and the rows of all others.
pub fn more_than_rows<'a, W: Words + ?Sized>(
    tier: Tier<'_, W>,
    graves: &'a Graves,
) -> (Vec<Worker<'a>>, Vec<Row>) {
    let workers: Vec<_> = (1..=65).map(|pid| Worker::new(pid, graves)).collect();
    let rows: Vec<_> = workers.iter().map_while(|env| tier.enrol(env)).collect();
    assert_eq!(rows.len(), 64);
    (workers, rows)
}

/// Has the workers take turns until the index is whole. How many turns that took.
pub fn mend<W: Words + ?Sized>(tier: Tier<'_, W>, env: &impl Env) -> u32 {
    let mut turns = 1;
    while tier.tend(env) {
        turns += 1;
        assert!(turns < 1_000_000, "no end");
    }
    turns
}

/// Facts of a record that needs no lease and never expires.
pub fn free(meta: u64) -> Facts {
    Facts {
        expiry: u64::MAX,
        free: true,
        alone: false,
        meta,
    }
}

/// Publishes a record of no node. Whether that went.
pub fn put<W: Words + ?Sized>(tier: Tier<'_, W>, env: &impl Env, key: u64, bytes: usize) -> bool {
    let ticket = tier.ticket(hash(key), Node::NONE);
    match tier.reserve(env, hash(key), 0, bytes) {
        Some(reservation) => tier.publish(env, reservation, ticket, free(key)),
        None => false,
    }
}

/// The record of a key, if it may be served.
pub fn get<W: Words + ?Sized>(tier: Tier<'_, W>, key: u64) -> Option<Handle> {
    tier.find(hash(key))
        .filter(|handle| tier.is_current(*handle, 0))
}

/// Words of the arena that a record has.
fn places(layout: &Layout, tier_extents: &tier::Extents) -> Vec<usize> {
    let start = layout.arena_offset() / 8;
    tier_extents
        .runs()
        .iter()
        .flat_map(|run| {
            let first = start + run.unit as usize * UNIT / 8;
            first..first + run.units as usize * UNIT / 8
        })
        .collect()
}

/// Writes words into a record's bytes that tell a seed.
pub fn fill(words: &[AtomicU64], layout: &Layout, extents: &tier::Extents, seed: u64) {
    for (index, place) in places(layout, extents).into_iter().enumerate() {
        let word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index as u64;
        words[place].store(word, Ordering::Relaxed);
    }
}

/// Whether a record's bytes are what [`fill`] wrote with this seed.
pub fn is_filled(words: &[AtomicU64], layout: &Layout, extents: &tier::Extents, seed: u64) -> bool {
    let mut places = places(layout, extents).into_iter().enumerate();
    places.all(|(index, place)| {
        words[place].load(Ordering::Relaxed)
            == seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index as u64
    })
}
