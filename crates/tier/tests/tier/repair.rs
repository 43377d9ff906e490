//! An index that is made anew in many turns: no turn is long, and whoever reads, pins and invalidates meanwhile is right.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use tier::{Handle, Layout, Node, Pin, Row, Tier};

use crate::bed::{Graves, Watched, Worker, fill, free, get, hash, is_filled, mend, put, words};

/// The process that holds the mutex.
const MUTEX: usize = 2;

/// How far the index has been made anew.
const REPAIR: usize = 19;

/// A worker dies with the mutex.
fn die(words: &[AtomicU64], graves: &Graves, pid: u32) {
    graves.dig(pid);
    words[MUTEX].store(u64::from(pid), Ordering::SeqCst);
}

#[test]
fn no_turn_is_long() {
    // 64 MiB.
    let layout = Layout::with_units(1 << 17).unwrap();
    let words = words(&layout);
    let uses = Cell::new(0);
    let counted = Watched {
        words: &words,
        before: &|_| uses.set(uses.get() + 1),
    };
    let tier = Tier::lay_out(&counted, layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    (0..10_000).for_each(|key| assert!(put(tier, &env, key, 1000)));
    assert!(tier.statistics().repaired == 0 && get(tier, 9999).is_some());
    die(&words, &graves, 9);
    let (mut turns, mut longest) = (0, 0);
    let stored = loop {
        uses.set(0);
        let stored = put(tier, &env, 10_000, 1000);
        longest = longest.max(uses.get());
        turns += 1;
        assert!(get(tier, 9999).is_none());
        if stored {
            break tier.statistics();
        }
        assert!(turns < 1000);
    };
    println!("{turns} turns, the longest of {longest} words");
    assert!(longest < 50_000 && turns > 20, "{longest} in {turns} turns");
    assert_eq!((stored.repaired, stored.records), (1, 1));
}

#[test]
fn a_new_tier_takes_no_time_and_all_its_entries() {
    let layout = Layout::with_units(1 << 16).unwrap();
    let words = words(&layout);
    let uses = Cell::new(0);
    let counted = Watched {
        words: &words,
        before: &|_| uses.set(uses.get() + 1),
    };
    let tier = Tier::lay_out_zeroed(&counted, layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    assert!(uses.get() < 100);
    let mut longest = 0;
    for key in 0..u64::from(layout.entries()) {
        uses.set(0);
        assert!(put(tier, &env, key, 1));
        longest = longest.max(uses.get());
    }
    assert!(longest < 5000, "{longest}");
    let all = (0..u64::from(layout.entries())).all(|key| get(tier, key).is_some());
    assert!(all);
    let statistics = tier.statistics();
    assert_eq!((statistics.evicted, statistics.repaired), (0, 0));
    assert_eq!(statistics.records, u64::from(layout.entries()));
}

/// Records, one of which is pinned, and one reserved; then a worker dies with the mutex.
struct Scene<'a> {
    words: &'a [AtomicU64],
    graves: &'a Graves,
    tier: Tier<'a>,
    env: Worker<'a>,
    row: Row,
}

const RECORDS: u64 = 20;

impl<'a> Scene<'a> {
    fn set(words: &'a [AtomicU64], layout: Layout, graves: &'a Graves) -> Self {
        let tier = Tier::lay_out(words, layout).unwrap();
        let env = Worker::new(1, graves);
        env.turn.set(1);
        for key in 0..RECORDS {
            assert!(put(tier, &env, key, 1000));
            let extents = tier.extents(get(tier, key).unwrap()).unwrap();
            fill(words, &layout, &extents, key);
        }
        Scene {
            row: tier.enrol(&env).unwrap(),
            words,
            graves,
            tier,
            env,
        }
    }

    fn pin(&self, key: u64) -> Option<(Handle, tier::Extents, Pin)> {
        let handle = self.tier.find(hash(key))?;
        let extents = self.tier.extents(handle)?;
        let pin = self.tier.pin(&self.row, handle).ok()?;
        Some((handle, extents, pin))
    }

    fn is_intact(&self, extents: &tier::Extents, seed: u64) -> bool {
        is_filled(self.words, self.tier.layout(), extents, seed)
    }

    /// Stores records until no space is left that nobody has.
    fn overwrite(&self) {
        let tier = self.tier;
        for key in 1000..1300 {
            let ticket = tier.ticket(hash(key), Node::NONE);
            if let Some(reservation) = tier.reserve(&self.env, hash(key), 0, 1000) {
                let extents = tier.extents(&reservation).unwrap();
                fill(self.words, tier.layout(), &extents, key);
                tier.publish(&self.env, reservation, ticket, free(key));
            }
        }
        assert!(get(tier, 1299).is_some());
    }
}

#[test]
fn whatever_readers_do_between_two_turns_is_right() {
    let layout = Layout::with_units(256).unwrap();
    for turn in 0.. {
        let words = words(&layout);
        let graves = Graves::default();
        let scene = Scene::set(&words, layout, &graves);
        let (tier, env) = (scene.tier, &scene.env);
        let before = scene.pin(0).unwrap();
        let ticket = tier.ticket(hash(500), Node::NONE);
        let held = tier.reserve(env, hash(500), 0, 1000).unwrap();
        let reserved = tier.extents(&held).unwrap();
        fill(&words, &layout, &reserved, 500);
        let known: Vec<Handle> = (0..RECORDS)
            .map(|key| tier.find(hash(key)).unwrap())
            .collect();
        die(&words, &graves, 9);
        let more = (0..turn).all(|_| tier.tend(env));
        // At some point in between: nothing is served, and what is pinned now stays, too.
        if turn > 0 {
            assert!(known.iter().all(|handle| !tier.is_current(*handle, 0)));
        }
        let between = scene.pin(1);
        tier.invalidate(hash(2));
        tier.kill(known[3]);
        if more {
            let stored = turn > 0 && put(tier, env, 501, 10);
            assert!(!stored || tier.statistics().repaired == 1, "it isn't whole");
            mend(tier, env);
        }
        if turn % 2 == 0 {
            tier.abandon(env, held);
        } else {
            assert!(scene.is_intact(&reserved, 500));
            assert!(!tier.publish(env, held, ticket, free(0)), "of before");
        }
        scene.overwrite();
        for (pinned, key) in [(Some(&before), 0), (between.as_ref(), 1)] {
            let intact = pinned.is_none_or(|(_, extents, _)| scene.is_intact(extents, key));
            assert!(intact, "turn {turn}: the bytes of {key} are another's");
        }
        assert!(known.iter().all(|handle| !tier.is_current(*handle, 0)));
        let pins = [Some(before), between].into_iter().flatten();
        pins.for_each(|(_, _, pin)| tier.unpin(&scene.row, pin));
        tier.wipe();
        (0..layout.entries()).for_each(|_| assert!(put(tier, env, 7, 1)));
        tier.invalidate(hash(7));
        assert!(tier.bury_dead(env));
        let statistics = tier.statistics();
        assert_eq!((statistics.zombies, statistics.reserved), (0, 0));
        assert_eq!((statistics.repaired, statistics.records), (1, 0));
        assert_eq!(statistics.free_bytes, layout.arena_bytes() as u64);
        if !more {
            assert!(turn > 60, "{turn}");
            return;
        }
    }
}

#[test]
fn whoever_dies_in_a_turn_leaves_it_to_another() {
    let layout = Layout::with_units(256).unwrap();
    for turn in 0..60 {
        let words = words(&layout);
        let graves = Graves::default();
        let scene = Scene::set(&words, layout, &graves);
        let pinned = scene.pin(0).unwrap();
        for pid in 9..13 {
            die(&words, scene.graves, pid);
            (0..turn).for_each(|_| assert!(scene.tier.tend(&scene.env)));
        }
        mend(scene.tier, &scene.env);
        scene.overwrite();
        assert!(scene.is_intact(&pinned.1, 0));
        assert_eq!(scene.tier.statistics().repaired, 1);
    }
}

#[test]
fn a_contradiction_that_is_found_meanwhile_doesnt_begin_it_again() {
    let layout = Layout::with_units(256).unwrap();
    let words = words(&layout);
    let graves = Graves::default();
    let scene = Scene::set(&words, layout, &graves);
    die(&words, &graves, 9);
    let mut turns = 0;
    while scene.tier.tend(&scene.env) {
        // As an invalidation does that finds a chain without an end.
        words[3].store(1, Ordering::SeqCst);
        turns += 1;
        assert!(turns < 10_000, "no end");
    }
    assert_eq!(scene.tier.statistics().repaired, 1);
    assert!(put(scene.tier, &scene.env, 1, 1));
}

#[test]
fn a_damaged_place_is_none() {
    let layout = Layout::with_units(256).unwrap();
    for garbage in [u64::MAX, 5 << 32 | 7, 3 << 32 | 0xffff_ffff, 1 << 32 | 60] {
        let words = words(&layout);
        let graves = Graves::default();
        let scene = Scene::set(&words, layout, &graves);
        words[REPAIR].store(garbage, Ordering::SeqCst);
        scene.env.turn.set(1024);
        mend(scene.tier, &scene.env);
        // What contradicts itself now is found out.
        (0..300).for_each(|key| {
            put(scene.tier, &scene.env, key, 1000);
        });
        scene.overwrite();
    }
}
