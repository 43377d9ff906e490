//! Readers, writers and invalidators at the same time, each a thread: no torn record is seen, and none that was
//! invalidated before the reader asked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tier::{Facts, Handle, Layout, Refusal, Row, Tier, UNIT, Words};

use crate::bed::{Graves, Worker, fill, hash, is_filled, mend, words};

const KEYS: usize = 60;

/// How long the threads run at least.
const TIME: Duration = Duration::from_millis(1500);

/// How long they run at most, where a busy machine lets them do less than [`ENOUGH`].
const PATIENCE: Duration = Duration::from_secs(60);

/// How many records are to be read, and written; a tenth as often a writer is to die.
const ENOUGH: u64 = 100;

/// What the store has: a number for each key, that goes up.
struct Store {
    values: Vec<AtomicU64>,
    /// Up to which number the tier was told.
    told: Vec<AtomicU64>,
}

struct Bench<'a> {
    words: &'a [AtomicU64],
    tier: Tier<'a>,
    store: &'a Store,
    graves: &'a Graves,
    over: &'a AtomicBool,
    read: &'a AtomicU64,
    written: &'a AtomicU64,
}

/// Numbers that look drawn by lot.
struct Lot(u64);

impl Lot {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % below
    }
}

fn seed(key: u64, value: u64) -> u64 {
    key << 40 | value
}

impl Bench<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Looks up keys.
    fn read(&self, pid: u32) {
        let env = Worker::new(pid, self.graves);
        let row = self.tier.enrol(&env).unwrap();
        let mut lot = Lot(u64::from(pid));
        while !self.is_over() {
            let key = lot.draw(KEYS as u64);
            let told = self.store.told[key as usize].load(Ordering::SeqCst);
            if let Some(handle) = self.tier.find(hash(key))
                && let Some(value) = self.read_record(&row, handle, lot.draw(4) == 0, key)
            {
                assert!(value >= told, "key {key}: {value}, though {told} was told");
                self.read.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.tier.leave(row);
    }

    /// Reads a record's bytes, pinned or copied. The number that it is of.
    fn read_record(&self, row: &Row, handle: Handle, copy: bool, key: u64) -> Option<u64> {
        let tier = self.tier;
        let pin = match tier.pin(row, handle) {
            Ok(pin) => pin,
            Err(Refusal::Gone | Refusal::Crowded) => return None,
        };
        let Some((view, extents)) = tier.look(handle).zip(tier.extents(handle)) else {
            tier.unpin(row, pin);
            return None;
        };
        let filled = || is_filled(self.words, tier.layout(), &extents, view.meta);
        let right = if copy {
            // As if it was crowded.
            tier.unpin(row, pin);
            let filled = filled();
            if !tier.still(handle) {
                return None;
            }
            filled
        } else {
            let current = tier.is_current(handle, 1);
            std::thread::yield_now();
            let filled = filled();
            tier.touch(handle);
            tier.unpin(row, pin);
            if !current {
                assert!(filled, "pinned bytes changed");
                return None;
            }
            filled
        };
        assert!(right, "torn");
        assert_eq!(view.meta >> 40, key);
        tier.is_current(handle, 1)
            .then_some(view.meta & 0xff_ffff_ffff)
    }

    /// Is a writer that dies with the mutex, again and again. How often.
    fn die(&self) -> u64 {
        let mut deaths = 0;
        while !self.is_over() {
            let pid = 1000 + deaths as u32;
            // Dead before anybody can ask.
            self.graves.dig(pid);
            deaths += u64::from(self.words.replace(2, 0, u64::from(pid)));
            std::thread::sleep(Duration::from_millis(3));
        }
        deaths
    }

    /// Publishes what the store has.
    fn write(&self, pid: u32) {
        let env = Worker::new(pid, self.graves);
        // An index that is made anew is so in many turns.
        env.turn.set(4);
        let mut lot = Lot(u64::from(pid));
        while !self.is_over() {
            let key = lot.draw(KEYS as u64);
            let node = self.tier.node_at(1 + key % 2, 0);
            let ticket = self.tier.ticket(hash(key), node);
            let value = self.store.values[key as usize].load(Ordering::SeqCst);
            let bytes = lot.draw(20 * UNIT as u64) as usize;
            let Some(reservation) = self.tier.reserve(&env, hash(key), 0, bytes) else {
                continue;
            };
            let extents = self.tier.extents(&reservation).unwrap();
            let meta = seed(key, value);
            fill(self.words, self.tier.layout(), &extents, meta);
            if lot.draw(16) == 0 {
                self.tier.abandon(&env, reservation);
                continue;
            }
            let facts = Facts {
                expiry: u64::MAX,
                free: true,
                alone: false,
                meta,
            };
            let published = self.tier.publish(&env, reservation, ticket, facts);
            self.written.fetch_add(published.into(), Ordering::Relaxed);
        }
    }

    /// Changes keys in the store, and tells the tier.
    fn change(&self, pid: u32) {
        let mut lot = Lot(u64::from(pid));
        while !self.is_over() {
            let draw = lot.draw(500);
            let keys: Vec<usize> = match draw {
                0 => (0..KEYS).collect(),
                1 | 2 => (0..KEYS)
                    .filter(|key| *key as u64 % 2 == draw - 1)
                    .collect(),
                _ => vec![lot.draw(KEYS as u64) as usize],
            };
            let values: Vec<_> = keys
                .iter()
                .map(|key| 1 + self.store.values[*key].fetch_add(1, Ordering::SeqCst))
                .collect();
            match draw {
                0 => self.tier.wipe(),
                1 | 2 => self.tier.raise_epoch(self.tier.node_at(draw, 0)),
                _ => {
                    self.tier.invalidate(hash(keys[0] as u64));
                }
            }
            for (key, value) in keys.iter().zip(values) {
                self.store.told[*key].fetch_max(value, Ordering::SeqCst);
            }
            std::thread::sleep(Duration::from_micros(lot.draw(50)));
        }
    }
}

/// Has threads use a tier; one of them dies with the mutex now and then if that is `deadly`.
fn run(deadly: bool) {
    let layout = Layout::with_units(300).unwrap();
    let words = words(&layout);
    let graves = Graves::default();
    let numbers = || (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let store = Store {
        values: numbers(),
        told: numbers(),
    };
    let bench = Bench {
        words: &words,
        tier: Tier::lay_out(&words[..], layout).unwrap(),
        store: &store,
        graves: &graves,
        over: &AtomicBool::new(false),
        read: &AtomicU64::new(0),
        written: &AtomicU64::new(0),
    };
    let done = || [bench.read, bench.written].map(|count| count.load(Ordering::Relaxed));
    let is_enough = || {
        let is_mended = !deadly || bench.tier.statistics().repaired > ENOUGH / 10;
        is_mended && done().iter().all(|count| *count > ENOUGH)
    };
    let deaths = std::thread::scope(|scope| {
        let bench = &bench;
        let readers: Vec<_> = (1..4)
            .map(|pid| scope.spawn(move || bench.read(pid)))
            .collect();
        for pid in 4..6 {
            scope.spawn(move || bench.write(pid));
        }
        scope.spawn(move || bench.change(6));
        let dying = deadly.then(|| scope.spawn(move || bench.die()));
        let start = Instant::now();
        let failed = || readers.iter().any(|reader| reader.is_finished());
        let is_short = |time: Duration| time < TIME || (time < PATIENCE && !is_enough());
        while is_short(start.elapsed()) && !failed() {
            std::thread::sleep(Duration::from_millis(10));
        }
        bench.over.store(true, Ordering::Relaxed);
        readers
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        dying.map_or(0, |thread| thread.join().unwrap())
    });
    let [read, written] = done();
    assert!(
        read > ENOUGH && written > ENOUGH,
        "{read} read, {written} written"
    );
    let env = Worker::new(7, &graves);
    mend(bench.tier, &env);
    (0..KEYS as u64).for_each(|key| {
        bench.tier.invalidate(hash(key));
    });
    assert!(bench.tier.bury_dead(&env));
    let statistics = bench.tier.statistics();
    println!("{read} read, {written} written, {deaths} deaths, {statistics:?}");
    assert_eq!(statistics.repaired > ENOUGH / 10, deadly, "{statistics:?}");
    assert!(deadly || statistics.repaired == 0, "{statistics:?}");
    assert_eq!(statistics.zombies, 0);
    assert_eq!((statistics.records, statistics.reserved), (0, 0));
    assert_eq!(statistics.free_bytes, 300 * UNIT as u64);
}

#[test]
fn no_reader_sees_a_torn_or_an_invalidated_record() {
    run(false);
}

#[test]
fn nor_does_one_while_writers_die() {
    run(true);
}
