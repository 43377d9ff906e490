//! Whatever stands in the words, every function returns, and nothing it returns is out of bounds.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tier::{Handle, Layout, Node, Tier, UNIT};

use crate::bed::{Graves, Worker, free, hash, put, words};

const UNITS: u32 = 128;

/// Numbers as they stand in words: links and lengths in both halves, and anything.
fn any_word() -> impl Strategy<Value = u64> {
    let half = prop_oneof![
        4 => 0..70u32,
        2 => 0..400u32,
        1 => Just(u32::MAX),
        1 => any::<u32>(),
    ];
    prop_oneof![
        6 => (half.clone(), half).prop_map(|(high, low)| u64::from(high) << 32 | u64::from(low)),
        1 => any::<u64>(),
        1 => Just(u64::MAX),
    ]
}

/// Checks that extents are within the arena.
fn check_extents(tier: Tier<'_>, of: impl Into<Handle>) {
    let Some(extents) = tier.extents(of) else {
        return;
    };
    assert!(extents.runs().len() <= 64);
    for run in extents.runs() {
        assert!(run.unit + run.units <= UNITS, "{extents:?}");
    }
    let mut bytes = 0;
    for range in extents.ranges() {
        assert!(range.end <= UNITS as usize * UNIT);
        bytes += range.len();
    }
    assert_eq!(bytes, extents.bytes());
}

/// Calls every function.
fn call_all(tier: Tier<'_>, key: u64, pid: u32, graves: &Graves) {
    let env = Worker::new(pid, graves);
    env.now.set(key % 3);
    let node = tier.node_at(key, 0);
    tier.lease(node, key);
    tier.lease_in(node, tier.epoch(node), key);
    tier.leased_until(node);
    let row = tier.enrol(&env);
    if let Some(handle) = tier.find(hash(key)) {
        tier.look(handle);
        tier.touch(handle);
        tier.is_current(handle, 5);
        tier.is_current_alone(handle, 5, 5);
        tier.still(handle);
        check_extents(tier, handle);
        if let Some(row) = &row
            && let Ok(pin) = tier.pin(row, handle)
        {
            tier.unpin(row, pin);
        }
        tier.kill(handle);
    }
    let ticket = tier.ticket(hash(key), node);
    tier.admit(hash(key), 2);
    let bytes = key as usize * 977 % 30_000;
    if let Some(reservation) = tier.reserve(&env, hash(key), 0, bytes) {
        check_extents(tier, &reservation);
        tier.publish(&env, reservation, ticket, free(key));
    }
    if let Some(reservation) = tier.reserve(&env, hash(key + 1), 1, bytes) {
        tier.abandon(&env, reservation);
    }
    tier.invalidate(hash(key));
    tier.revoke(node);
    tier.raise_epoch(Node::NONE);
    tier.tidy(&env);
    tier.bury_dead(&env);
    tier.statistics();
    if let Some(row) = row {
        tier.leave(row);
    }
}

/// Puts things in order: afterwards the tier works as ever.
fn check_repaired(words: &[AtomicU64], tier: Tier<'_>, graves: &Graves) {
    let env = Worker::new(1000, graves);
    // A dead holder's mutex.
    graves.dig(999);
    words[2].store(999, Ordering::SeqCst);
    assert!(tier.tidy(&env));
    let before = tier.statistics();
    assert_eq!(before.records, 0);
    // Garbage may say that live workers have everything. What it says of dead records is found out as they are freed.
    let had = before.reserved + before.zombies;
    if before.free_bytes >= 512 && had < u64::from(tier.layout().entries()) {
        let mut tries = 0..100;
        assert!(tries.any(|_| put(tier, &env, 1, 1) && tier.find(hash(1)).is_some()));
    }
}

#[test]
fn a_queue_may_begin_with_a_free_entry() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    (0..4).for_each(|key| assert!(put(tier, &env, key, 32 * UNIT)));
    // The head of the small queue.
    words[32].store(60, Ordering::Relaxed);
    assert!(!put(tier, &env, 10, 32 * UNIT));
    assert_eq!(tier.statistics().repaired, 1);
    assert!(put(tier, &env, 10, 32 * UNIT));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn all_words_are_garbage(
        garbage in prop::collection::vec(any_word(), 1..500),
        keys in prop::collection::vec(0..30u64, 1..20),
    ) {
        let layout = Layout::with_units(UNITS).unwrap();
        let words = words(&layout);
        let tier = Tier::lay_out(&words[..], layout).unwrap();
        let graves = Graves::default();
        for (word, garbage) in words[2..layout.control_words()].iter().zip(garbage.iter().cycle()) {
            word.store(*garbage, Ordering::Relaxed);
        }
        words[2].store(0, Ordering::Relaxed);
        for (index, key) in keys.iter().enumerate() {
            call_all(tier, *key, 1 + index as u32, &graves);
        }
        check_repaired(&words, tier, &graves);
    }

    #[test]
    fn some_words_are_garbage(
        garbage in prop::collection::vec((any::<prop::sample::Index>(), any_word()), 1..40),
        keys in prop::collection::vec(0..30u64, 20..60),
    ) {
        let layout = Layout::with_units(UNITS).unwrap();
        let words = words(&layout);
        let tier = Tier::lay_out(&words[..], layout).unwrap();
        let graves = Graves::default();
        let mut garbage = garbage.iter();
        for (index, key) in keys.iter().enumerate() {
            put(tier, &Worker::new(1, &graves), key + 1, *key as usize * 300);
            if index > 5 && let Some((place, word)) = garbage.next() {
                let control = &words[2..layout.control_words()];
                control[place.index(control.len())].store(*word, Ordering::Relaxed);
            }
            call_all(tier, *key, 1 + index as u32 % 4, &graves);
        }
        check_repaired(&words, tier, &graves);
    }
}

/// Nothing may take the writer for ever that finds a free entry among the records.
#[test]
fn a_free_entry_in_the_queue_of_records_ends_the_search_for_room() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    assert!(put(tier, &env, 1, 10));
    // The record's version says that its entry is free.
    let found = tier.find(hash(1)).unwrap();
    let version = words
        .iter()
        .position(|word| word.load(Ordering::Relaxed) == found.version());
    words[version.unwrap()].fetch_and(!3, Ordering::Relaxed);
    assert!(
        tier.reserve(&env, hash(2), 0, UNITS as usize * UNIT)
            .is_none()
    );
    assert_eq!(tier.statistics().repaired, 1);
    assert!(put(tier, &env, 3, 10));
}
