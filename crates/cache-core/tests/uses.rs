//! The count of requests for keys without a record, in the memory that workers share.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../../../src/shm/uses.rs"]
mod uses;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cache_core::key::LockKey;
use uses::{MOST, ROW, Uses};

fn table(rows: usize) -> Vec<AtomicU64> {
    (0..rows * ROW).map(|_| AtomicU64::new(0)).collect()
}

/// A key of that name, in the row that the second number gives.
fn key(name: u32, row: u64) -> LockKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(u64::from(name) << 32).to_ne_bytes());
    bytes[8..].copy_from_slice(&row.to_ne_bytes());
    LockKey(bytes)
}

#[test]
fn requests_are_counted_by_key() {
    let words = table(4);
    let uses = Uses(&words);
    let mut counts = HashMap::new();
    for round in 1..=5 {
        for number in 0..16 {
            let count = uses.count(&key(number, u64::from(number)), u64::from(round));
            counts.insert(number, count);
        }
        assert!(counts.values().all(|count| *count == round), "{counts:?}");
    }
}

/// A key whose name is zero, at a time of zero.
#[test]
fn zeroes_are_a_key_like_others() {
    let words = table(1);
    let uses = Uses(&words);
    for count in 1..=3 {
        assert_eq!(uses.count(&key(0, 0), 0), count);
    }
}

#[test]
fn no_more_is_counted_than_there_is_room_for() {
    let words = table(1);
    for count in 1..=MOST + 5 {
        assert_eq!(Uses(&words).count(&key(7, 0), 1), count.min(MOST));
    }
    assert_eq!(Uses(&words).count(&key(8, 0), 1), 1);
}

#[test]
fn the_key_of_longest_ago_makes_room() {
    let words = table(1);
    let uses = Uses(&words);
    let last = u32::try_from(ROW).unwrap();
    for name in 1..=last {
        uses.count(&key(name, 0), u64::from(name));
    }
    // The first is asked for again: the second is the oldest now.
    assert_eq!(uses.count(&key(1, 0), 100), 2);
    assert_eq!(uses.count(&key(99, 0), 101), 1);
    assert_eq!(uses.count(&key(1, 0), 102), 3);
    assert_eq!(uses.count(&key(3, 0), 103), 2);
    assert_eq!(uses.count(&key(2, 0), 104), 1);
}

/// What the word has of the time begins anew after 48 days.
#[test]
fn time_goes_round() {
    let words = table(1);
    let uses = Uses(&words);
    let end = 1 << 22;
    let last = u32::try_from(ROW).unwrap();
    uses.count(&key(1, 0), end - 100);
    for name in 2..=last {
        uses.count(&key(name, 0), end + 5);
    }
    assert_eq!(uses.count(&key(99, 0), end + 6), 1);
    for name in 2..=last {
        assert_eq!(uses.count(&key(name, 0), end + 7), 2);
    }
}

/// Two keys that can't be told apart count together.
#[test]
fn keys_of_one_name_count_more_not_less() {
    let words = table(4);
    let uses = Uses(&words);
    assert_eq!(uses.count(&key(5, 1), 1), 1);
    assert_eq!(uses.count(&key(5, 5), 1), 2);
}

/// What can't be counted is taken for asked for often enough.
#[test]
fn without_a_table_all_are_asked_for_often() {
    for words in [
        Vec::new(),
        table(1)[..ROW - 1]
            .iter()
            .map(|_| AtomicU64::new(0))
            .collect(),
    ] {
        assert_eq!(Uses(&words).count(&key(1, 1), 1), MOST);
    }
}

/// Whatever lies there.
#[test]
fn garbage_is_counted_on() {
    let words = table(2);
    for (number, word) in words.iter().enumerate() {
        word.store(
            u64::MAX - number as u64 * 0x0123_4567_89ab,
            Ordering::Relaxed,
        );
    }
    for name in 0..100 {
        let count = Uses(&words).count(&key(name, u64::from(name)), 5);
        assert!((1..=MOST).contains(&count));
    }
}

#[test]
fn workers_lose_no_count() {
    let words = table(1);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    Uses(&words).count(&key(3, 0), 1);
                }
            });
        }
    });
    // A count that others got between is answered as enough, and isn't there then.
    let count = Uses(&words).count(&key(3, 0), 1);
    assert!((150..=201).contains(&count), "{count}");
}
