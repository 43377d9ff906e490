//! S3-FIFO: what stays, and how records find room.

use std::sync::atomic::AtomicU64;

use tier::{Facts, Layout, Node, Tier, UNIT};

use crate::bed::{Graves, Worker, free, get, hash, put, words};

/// Looks a key up as a request does: a hit counts, a miss stores it. Whether it was a hit.
fn request(tier: Tier<'_>, env: &Worker<'_>, key: u64, bytes: usize, min_uses: u32) -> bool {
    if let Some(found) = get(tier, key) {
        tier.touch(found);
        return true;
    }
    if tier.admit(hash(key), min_uses) {
        put(tier, env, key, bytes);
    }
    false
}

struct Bench {
    words: Vec<AtomicU64>,
    layout: Layout,
    graves: Graves,
}

impl Bench {
    fn new(units: u32) -> Self {
        let layout = Layout::with_units(units).unwrap();
        Bench {
            words: words(&layout),
            layout,
            graves: Graves::default(),
        }
    }

    fn tier(&self) -> (Tier<'_>, Worker<'_>) {
        let tier = Tier::lay_out(&self.words[..], self.layout).unwrap();
        (tier, Worker::new(1, &self.graves))
    }
}

#[test]
fn a_scan_leaves_what_is_used() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    for _ in 0..4 {
        for key in 0..100 {
            request(tier, &env, key, 4000, 1);
        }
    }
    for key in 1000..3000 {
        request(tier, &env, key, 4000, 1);
    }
    let left = (0..100).filter(|key| get(tier, *key).is_some()).count();
    // The turn of the first ones comes before the scan fills the small queue again.
    assert!(left >= 98, "{left}");
    let statistics = tier.statistics();
    assert_eq!(statistics.main_records, left as u64);
    assert!(statistics.free_bytes < 16 * 4096, "{statistics:?}");
}

#[test]
fn what_comes_back_goes_to_the_main_queue() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    // Fills the main queue, so that there are ghosts.
    for _ in 0..4 {
        (0..100).for_each(|key| {
            request(tier, &env, key, 4000, 1);
        });
    }
    (1000..1200).for_each(|key| {
        request(tier, &env, key, 4000, 1);
    });
    let gone = (1000..1200)
        .rev()
        .find(|key| get(tier, *key).is_none())
        .unwrap();
    assert!(tier.admit(hash(gone), 200), "a ghost");
    let before = tier.statistics().main_records;
    assert!(!request(tier, &env, gone, 4000, 1));
    assert_eq!(tier.statistics().main_records, before + 1);
    // A ghost is forgotten after as many others as the main queue has records.
    let forgotten = 1000;
    (2000..2300).for_each(|key| {
        request(tier, &env, key, 4000, 1);
    });
    assert!(!tier.admit(hash(forgotten), 200));
}

#[test]
fn a_new_record_of_a_key_keeps_its_place() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    for _ in 0..4 {
        (0..100).for_each(|key| {
            request(tier, &env, key, 4000, 1);
        });
    }
    (1000..1100).for_each(|key| {
        request(tier, &env, key, 4000, 1);
    });
    let before = tier.statistics().main_records;
    assert!(before >= 98 && get(tier, 50).is_some());
    assert!(put(tier, &env, 50, 3000));
    assert_eq!(tier.statistics().main_records, before);
}

#[test]
fn uses_are_counted_before_a_key_is_stored() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    assert!(tier.admit(hash(1), 0));
    assert!(tier.admit(hash(1), 1));
    assert!(!tier.admit(hash(1), 3));
    assert!(!tier.admit(hash(1), 3));
    assert!(tier.admit(hash(1), 3));
    assert!(!request(tier, &env, 2, 100, 2));
    assert!(!request(tier, &env, 2, 100, 2));
    assert!(request(tier, &env, 2, 100, 2));
    for _ in 0..300 {
        tier.seen(hash(3));
    }
    assert_eq!(tier.seen(hash(3)), 255);
    // Those of long ago are forgotten.
    (1000..3000).for_each(|key| {
        tier.seen(hash(key));
    });
    assert_eq!(tier.seen(hash(3)), 1);
}

#[test]
fn the_void_and_the_expired_go_first() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    let node = tier.node_at(1, 0);
    let store = |key: u64, node: Node, expiry: u64| {
        let ticket = tier.ticket(hash(key), node);
        let reservation = tier.reserve(&env, hash(key), 0, 4000).unwrap();
        let facts = Facts {
            expiry,
            free: true,
            alone: false,
            meta: 0,
        };
        assert!(tier.publish(&env, reservation, ticket, facts));
        // Used often: by itself it would stay.
        let found = tier.find(hash(key)).unwrap();
        (0..3).for_each(|_| tier.touch(found));
    };
    (0..40).for_each(|key| store(key, node, u64::MAX));
    (100..140).for_each(|key| store(key, Node::NONE, 50));
    (200..240).for_each(|key| store(key, Node::NONE, u64::MAX));
    tier.raise_epoch(node);
    env.now.set(50);
    for key in 1000..1088 {
        assert!(put(tier, &env, key, 4000));
    }
    let left =
        |keys: std::ops::Range<u64>| keys.filter(|key| tier.find(hash(*key)).is_some()).count();
    assert_eq!((left(0..40), left(100..140), left(200..240)), (0, 0, 40));
}

#[test]
fn a_large_record_lies_in_pieces_and_a_small_one_in_one() {
    let bench = Bench::new(1024);
    let (tier, env) = bench.tier();
    let row = tier.enrol(&env).unwrap();
    (0..100).for_each(|key| assert!(put(tier, &env, key, 10 * UNIT)));
    // Every second place of ten units is pinned; the rest is free.
    let pins: Vec<_> = (0..100)
        .step_by(2)
        .filter_map(|key| tier.pin(&row, get(tier, key).unwrap()).ok())
        .collect();
    (0..100).for_each(|key| {
        tier.invalidate(hash(key));
    });
    assert!(pins.len() > 30, "{}", pins.len());
    assert!(tier.bury_dead(&env));
    let ticket = tier.ticket(hash(1000), Node::NONE);
    let large = tier
        .reserve(&env, hash(1000), 100, 400 * UNIT - 100)
        .unwrap();
    let extents = tier.extents(&large).unwrap();
    let runs = extents.runs();
    assert!(runs.len() > 1);
    assert_eq!(runs.iter().map(|run| run.units).sum::<u32>(), 400);
    let (_, but_last) = runs.split_last().unwrap();
    assert!(but_last.iter().all(|run| run.units >= 8), "{runs:?}");
    assert!(tier.publish(&env, large, ticket, free(0)));
    let small = tier.reserve(&env, hash(1001), 0, 4096).unwrap();
    assert_eq!(tier.extents(&small).unwrap().runs().len(), 1);
    tier.abandon(&env, small);
    // What can't be had, whatever goes.
    assert!(tier.reserve(&env, hash(1002), 0, 900 * UNIT).is_none());
    assert!(tier.reserve(&env, hash(1002), 0, 2000 * UNIT).is_none());
    assert!(tier.reserve(&env, hash(1002), usize::MAX, 1).is_none());
    assert_eq!(tier.statistics().refused, 3);
    pins.into_iter().for_each(|pin| tier.unpin(&row, pin));
    let large = tier.reserve(&env, hash(1002), 0, 900 * UNIT);
    tier.abandon(&env, large.unwrap());
}

#[test]
fn free_space_far_away_is_found() {
    let bench = Bench::new(1 << 19);
    let (tier, env) = bench.tier();
    let keys = 0..4096u64;
    keys.clone()
        .for_each(|key| assert!(put(tier, &env, key, 100 * UNIT)));
    // Half of all is free, all of it in the second half.
    (2048..4096).for_each(|key| {
        tier.invalidate(hash(key));
        tier.tidy(&env);
    });
    (4096..6144).for_each(|key| assert!(put(tier, &env, key, 100 * UNIT)));
    assert_eq!(tier.statistics().evicted, 0);
    assert!((0..2048).all(|key| get(tier, key).is_some()));
}
