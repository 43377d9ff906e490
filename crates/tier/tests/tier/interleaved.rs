//! One worker stops at any of its reads and writes, another does something, and the first one goes on.

use std::cell::{Cell, RefCell};
use std::sync::atomic::AtomicU64;

use tier::{Handle, Layout, Node, Tier, Words};

use crate::bed::{Graves, Hasty, Watched, Worker, fill, free, is_filled, words};

/// Hashes of one bucket, but of several generations.
fn hash(bucket: u64, key: u64) -> u128 {
    u128::from(key) << 64 | u128::from(key << 32 | (key % 8) << 6 | bucket)
}

fn store<W: Words + ?Sized>(tier: Tier<'_, W>, hash: u128, meta: u64) -> Option<Handle> {
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let ticket = tier.ticket(hash, Node::NONE);
    let reservation = tier.reserve(&env, hash, 0, 600)?;
    tier.publish(&env, reservation, ticket, free(meta))
        .then(|| tier.find(hash).unwrap())
}

/// Runs `first` with `other` done at each of its uses of the words, on a tier as `before` left it; then `check`.
fn interleave(
    before: impl Fn(Tier<'_>),
    first: impl Fn(Tier<'_, Watched<'_>>) -> u64,
    other: impl Fn(Tier<'_>),
    check: impl Fn(Tier<'_>, u64, &[AtomicU64]),
) {
    let layout = Layout::with_units(256).unwrap();
    for number in 0.. {
        let words = words(&layout);
        let tier = Tier::lay_out(&words[..], layout).unwrap();
        before(tier);
        let other = RefCell::new(Some(|| other(tier)));
        let left = Cell::new(None);
        let watched = Watched {
            words: &words,
            before: &|_| {
                let uses: Option<u64> = left.get();
                left.set(uses.and_then(|uses| uses.checked_sub(1)));
                if uses == Some(0)
                    && let Some(other) = other.take()
                {
                    other();
                }
            },
        };
        let first_tier = Tier::attach(&watched, layout).unwrap();
        left.set(Some(number));
        let result = first(first_tier);
        if other.take().is_some() {
            assert!(number > 5, "never interrupted");
            return;
        }
        check(tier, result, &words);
    }
}

/// Fills a chain, the record of key 0 at its end, and takes all other entries but one.
fn chain(tier: Tier<'_>) {
    (0..57).for_each(|key| assert!(store(tier, hash(20 + key % 8, 50 + key), 1).is_some()));
    (0..6).for_each(|key| assert!(store(tier, hash(5, key), 1).is_some()));
}

/// Frees entries of the chain and puts them into another one.
fn move_away(tier: Tier<'_>) {
    for key in [5, 4, 3, 2, 1] {
        tier.invalidate(hash(5, key));
        assert!(store(tier, hash(9, 100 + key), 1).is_some());
    }
}

#[test]
fn an_invalidation_finds_its_record_whatever_moves() {
    interleave(
        chain,
        |tier| u64::from(tier.invalidate(hash(5, 0))),
        move_away,
        |tier, _, _| {
            let left = tier.find(hash(5, 0));
            assert!(left.is_none_or(|found| !tier.is_current(found, 0)));
            assert_eq!(tier.statistics().repaired, 0);
        },
    );
}

#[test]
fn a_record_that_is_invalidated_while_it_is_published_is_gone() {
    interleave(
        |tier| {
            CHANGED.set(false);
            chain(tier);
        },
        |tier| u64::from(store_once(tier, hash(5, 7))),
        |tier| {
            CHANGED.set(true);
            tier.invalidate(hash(5, 7));
        },
        |tier, published, _| {
            // Published before, and gone; or looked up anew behind it.
            let found = tier
                .find(hash(5, 7))
                .filter(|found| tier.is_current(*found, 0));
            assert!(published == 1 || found.is_none());
            if let Some(found) = found {
                assert_eq!(
                    tier.look(found).unwrap().meta,
                    1,
                    "looked up after the change"
                );
            }
        },
    );
}

thread_local! {
    /// Whether the record has changed in the store.
    static CHANGED: Cell<bool> = const { Cell::new(false) };
}

/// Publishes what the store has: with a `meta` of 1 what it has since the change.
fn store_once<W: Words + ?Sized>(tier: Tier<'_, W>, hash: u128) -> bool {
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let ticket = tier.ticket(hash, Node::NONE);
    let meta = u64::from(CHANGED.get());
    let Some(reservation) = tier.reserve(&env, hash, 0, 600) else {
        return false;
    };
    tier.publish(&env, reservation, ticket, free(meta))
}

#[test]
fn pinned_bytes_stay_whatever_is_stored_meanwhile() {
    let layout = Layout::with_units(256).unwrap();
    let seed = 3;
    interleave(
        chain,
        |tier| {
            let graves = Graves::default();
            let row = tier.enrol(&Worker::new(2, &graves)).unwrap();
            let Some(found) = tier.find(hash(5, 0)) else {
                return 0;
            };
            // Kept: nobody takes it back.
            match tier.pin(&row, found) {
                Ok(_) => 1 + u64::from(found.entry()),
                Err(_) => 0,
            }
        },
        |tier| {
            tier.invalidate(hash(5, 0));
            // Space is taken as it becomes free.
            (0..300).for_each(|key| {
                store(tier, hash(11, 1000 + key), 1);
            });
        },
        |tier, pinned, words| {
            let Some(entry) = pinned.checked_sub(1) else {
                return;
            };
            // Another record never has the entry: none that was there before the pin, or is now.
            let others = (0..300).filter_map(|key| tier.find(hash(11, 1000 + key)));
            assert!(
                others
                    .into_iter()
                    .all(|other| u64::from(other.entry()) != entry)
            );
            let graves = Graves::default();
            let env = Hasty(Worker::new(3, &graves));
            for key in 0..300 {
                let at = hash(13, 2000 + key);
                let ticket = tier.ticket(at, Node::NONE);
                let Some(reservation) = tier.reserve(&env, at, 0, 600) else {
                    continue;
                };
                let extents = tier.extents(&reservation).unwrap();
                fill(words, &layout, &extents, seed);
                assert_ne!(u64::from(Handle::from(&reservation).entry()), entry);
                assert!(is_filled(words, &layout, &extents, seed));
                tier.publish(&env, reservation, ticket, free(1));
            }
        },
    );
}
