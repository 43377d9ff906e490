//! One worker, one record.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tier::{Facts, Layout, Node, Refusal, Tier, UNIT, Words};

use crate::bed::{
    Graves, Hasty, Worker, fill, free, get, hash, is_filled, more_than_rows, put, words,
};

const UNITS: u32 = 1024;

#[test]
fn layout_fits_its_bytes() {
    assert_eq!(Layout::of(64 * 1024), None);
    for bytes in [256 << 10, 1 << 20, 64 << 20, 5_000_000_001, 100 << 30] {
        let layout = Layout::of(bytes).unwrap();
        assert!(layout.bytes() <= bytes, "{bytes}");
        assert!(layout.arena_bytes() >= bytes / 2, "{bytes}: {layout:?}");
        assert!(layout.bytes() > bytes - bytes / 100 - 4096, "{bytes}");
        assert_eq!(layout.arena_offset() % UNIT, 0);
        assert_eq!(layout.control_words() * 8, layout.arena_offset());
        assert_eq!(layout.arena_offset() + layout.arena_bytes(), layout.bytes());
    }
    let large = Layout::of(1 << 30).unwrap();
    assert!(large.arena_bytes() > (1 << 30) / 100 * 88, "{large:?}");
}

#[test]
fn another_process_attaches_to_what_was_laid_out() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    assert!(Tier::attach(&words[..], layout).is_none(), "nothing there");
    let graves = Graves::default();
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    assert!(put(tier, &Worker::new(1, &graves), 7, 100));
    let other = Tier::attach(&words[..], layout).unwrap();
    assert!(get(other, 7).is_some());
    let smaller = Layout::with_units(UNITS - 8).unwrap();
    assert!(Tier::attach(&words[..], smaller).is_none(), "other layout");
    assert!(Tier::lay_out(&words[..100], layout).is_none(), "too few");
}

#[test]
fn a_record_is_found_with_what_was_said_of_it() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let node = tier.node_at(77, 0);
    assert_eq!(tier.node_at(77, 0), node);
    assert_ne!(tier.node_at(78, 0), node);
    let ticket = tier.ticket(hash(1), node);
    let reservation = tier.reserve(&env, hash(1), 100, 5000).unwrap();
    assert_eq!(tier.find(hash(1)), None, "not yet");
    let extents = tier.extents(&reservation).unwrap();
    assert_eq!(extents.bytes(), 5100);
    assert_eq!(
        extents.ranges().map(|range| range.len()).sum::<usize>(),
        5100
    );
    fill(&words, &layout, &extents, 9);
    let facts = Facts {
        expiry: 1000,
        free: false,
        alone: false,
        meta: 42,
    };
    assert!(tier.publish(&env, reservation, ticket, facts));
    let handle = tier.find(hash(1)).unwrap();
    let view = tier.look(handle).unwrap();
    assert_eq!((view.head_len, view.body_len), (100, 5000));
    assert_eq!((view.expiry, view.meta, view.free), (1000, 42, false));
    assert_eq!((view.node, view.epoch, view.store_epoch), (node, 0, 0));
    let row = tier.enrol(&env).unwrap();
    let pin = tier.pin(&row, handle).unwrap();
    assert!(is_filled(
        &words,
        &layout,
        &tier.extents(handle).unwrap(),
        9
    ));
    tier.unpin(&row, pin);
    assert!(!tier.is_current(handle, 10), "no lease");
    assert!(!tier.is_current_alone(handle, 10, 500), "it never had one");
    assert!(tier.lease(node, 500));
    assert!(tier.is_current(handle, 499));
    assert!(!tier.is_current(handle, 500), "its lease is over");
    tier.revoke(node);
    assert!(!tier.is_current(handle, 499), "its lease is revoked");
    assert!(tier.is_current_alone(handle, 699, 200));
    assert!(!tier.is_current_alone(handle, 700, 200), "for so long");
    assert!(!tier.is_current_alone(handle, 1000, 900), "expired");
}

#[test]
fn leases_end_with_their_epoch() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let (node, other) = (tier.node_at(1, 0), tier.node_at(513, 0));
    let epoch = tier.epoch(node);
    assert!(tier.lease_in(node, epoch, 1000));
    assert!(tier.lease(node, 900));
    assert_eq!(tier.leased_until(node), 1000, "never shorter");
    assert_eq!(tier.leased_until(other), 0);
    tier.raise_epoch(node);
    assert_eq!(tier.leased_until(node), 0);
    assert!(!tier.lease_in(node, epoch, 2000), "of before");
    assert!(tier.lease(node, 800));
    assert_eq!(tier.leased_until(node), 800);
    tier.revoke(node);
    assert_eq!(tier.leased_until(node), 0);
    assert!(!tier.lease(Node::NONE, 800));
    assert!(
        (1000..1600)
            .filter(|name| tier.node_at(*name, 0) == Node::NONE)
            .count()
            > 0
    );
}

#[test]
fn what_was_filled_while_its_server_is_down_is_for_that_time() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let node = tier.node_at(1, 0);
    tier.lease(node, 500);
    let ticket = tier.ticket(hash(1), node);
    let reservation = tier.reserve(&env, hash(1), 10, 10).unwrap();
    let facts = Facts {
        expiry: 1000,
        free: false,
        alone: true,
        meta: 0,
    };
    assert!(tier.replace(&env, reservation, ticket, facts));
    let handle = tier.find(hash(1)).unwrap();
    assert!(!tier.is_current(handle, 499), "its server is up");
    tier.revoke(node);
    assert!(tier.is_current_alone(handle, 999, 1));
    assert!(!tier.is_current_alone(handle, 1000, 9000), "expired");
    tier.raise_epoch(node);
    assert!(!tier.is_current_alone(handle, 10, 9000), "void");
}

#[test]
fn a_lease_is_remembered_for_its_epoch() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let node = tier.node_at(1, 0);
    let publish = || {
        let ticket = tier.ticket(hash(1), node);
        let reservation = tier.reserve(&env, hash(1), 10, 10).unwrap();
        let facts = Facts {
            expiry: u64::MAX,
            ..Facts::default()
        };
        assert!(tier.publish(&env, reservation, ticket, facts));
        tier.find(hash(1)).unwrap()
    };
    tier.lease(node, 500);
    let handle = publish();
    assert!(tier.is_current_alone(handle, 599, 100), "nobody revokes it");
    tier.revoke(node);
    tier.revoke(node);
    assert!(tier.is_current_alone(handle, 599, 100));
    assert!(!tier.is_current_alone(handle, 600, 100));
    tier.raise_epoch(node);
    let handle = publish();
    assert!(!tier.is_current_alone(handle, 10, 100), "of before");
    assert!(tier.lease(node, 800));
    assert!(tier.is_current_alone(handle, 899, 100));
}

#[test]
fn what_is_invalidated_is_gone_and_not_published() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let node = tier.node_at(1, 0);
    type Void<'a> = (&'a str, bool, Box<dyn Fn() + 'a>);
    let voids: [Void; 4] = [
        (
            "invalidate",
            true,
            Box::new(|| {
                tier.invalidate(hash(1));
            }),
        ),
        ("raise_epoch", false, Box::new(|| tier.raise_epoch(node))),
        ("wipe", false, Box::new(|| tier.wipe())),
        (
            "kill",
            true,
            Box::new(|| {
                tier.find(hash(1)).map(|found| tier.kill(found));
            }),
        ),
    ];
    for (name, found, void) in &voids {
        let ticket = tier.ticket(hash(1), node);
        let reservation = tier.reserve(&env, hash(1), 10, 10).unwrap();
        assert!(tier.publish(&env, reservation, ticket, free(0)));
        let handle = tier.find(hash(1)).unwrap();
        assert!(tier.is_current(handle, 0));
        let before = tier.ticket(hash(1), node);
        let reservation = tier.reserve(&env, hash(1), 10, 10).unwrap();
        void();
        assert!(!tier.is_current(handle, 0), "{name}");
        assert!(!tier.is_current_alone(handle, 0, 9), "{name}");
        assert_eq!(tier.look(handle).is_none(), *found, "{name}");
        let published = tier.publish(&env, reservation, before, free(0));
        assert_eq!(published, *name == "kill", "{name}");
        tier.invalidate(hash(1));
    }
    assert!(tier.tidy(&env));
    assert_eq!(tier.statistics().records, 0);
    assert_eq!(tier.statistics().free_bytes, u64::from(UNITS) * 512);
}

#[test]
fn a_new_record_takes_the_place_of_an_older_one() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    assert!(put(tier, &env, 1, 10_000));
    let older = get(tier, 1).unwrap();
    assert!(put(tier, &env, 1, 20_000));
    let newer = get(tier, 1).unwrap();
    assert_ne!(older, newer);
    assert_eq!(tier.look(older), None);
    assert!(!tier.still(older));
    assert_eq!(tier.look(newer).unwrap().body_len, 20_000);
    assert_eq!(tier.statistics().records, 1);
    assert_eq!(tier.statistics().bytes, 40 * 512);
}

#[test]
fn pinned_bytes_stay_until_they_are_let_go() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let row = tier.enrol(&env).unwrap();
    assert!(put(tier, &env, 1, 50_000));
    let handle = get(tier, 1).unwrap();
    let extents = tier.extents(handle).unwrap();
    fill(&words, &layout, &extents, 5);
    let pins = [(); 2].map(|()| tier.pin(&row, handle).unwrap());
    tier.invalidate(hash(1));
    assert_eq!(tier.pin(&row, handle).unwrap_err(), Refusal::Gone);
    let mut pins = pins.into_iter();
    for key in 2..200 {
        put(tier, &env, key, 5000);
        let found = get(tier, key).unwrap();
        fill(&words, &layout, &tier.extents(found).unwrap(), key);
        if key == 100 {
            assert!(is_filled(&words, &layout, &extents, 5));
            tier.unpin(&row, pins.next().unwrap());
        }
    }
    assert!(is_filled(&words, &layout, &extents, 5));
    assert_eq!(tier.statistics().zombies, 1);
    tier.unpin(&row, pins.next().unwrap());
    assert!(tier.bury_dead(&env));
    assert_eq!(tier.statistics().zombies, 0);
    tier.leave(row);
    assert_eq!(
        tier.pin(&row, get(tier, 199).unwrap()).unwrap_err(),
        Refusal::Crowded
    );
}

#[test]
fn what_is_void_makes_room_first() {
    // Large records: the sweep meets few of them.
    const LARGE: usize = 128 * UNIT;
    let layout = Layout::with_units(1 << 14).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    // Used again and again: all of it is in the main queue.
    for key in 0..400 {
        assert!(put(tier, &env, key, LARGE));
        for _ in 0..3 {
            tier.touch(get(tier, key).unwrap());
        }
    }
    assert!(tier.statistics().main_records > 100);
    tier.wipe();
    // Far more than the small queue's share, and less than all.
    let new = 1000..1060;
    for key in new.clone() {
        assert!(put(tier, &env, key, LARGE));
    }
    let kept = new.filter(|key| get(tier, *key).is_some()).count();
    assert_eq!(kept, 60);
}

#[test]
fn a_row_has_so_many_slots_for_an_entry() {
    let layout = Layout::with_units(4096).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    let row = tier.enrol(&env).unwrap();
    let pinned = (0..1000)
        .filter_map(|key| {
            assert!(put(tier, &env, key, 1));
            let pin = tier.pin(&row, get(tier, key).unwrap());
            pin.inspect_err(|refusal| assert_eq!(*refusal, Refusal::Crowded))
                .ok()
        })
        .count();
    assert!((40..=64).contains(&pinned), "{pinned} of 64 slots");
}

#[test]
fn rows_are_for_the_living() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let (workers, rows) = more_than_rows(tier, &graves);
    assert!(put(tier, &workers[0], 1, 10));
    let pin = tier.pin(&rows[3], get(tier, 1).unwrap()).unwrap();
    tier.invalidate(hash(1));
    assert!(tier.bury_dead(&workers[0]));
    assert_eq!(tier.statistics().zombies, 1);
    graves.dig(4);
    let row = tier.enrol(&workers[64]).unwrap();
    assert_eq!(tier.statistics().zombies, 0, "what the dead had pinned");
    tier.unpin(&rows[3], pin);
    assert!(put(tier, &workers[0], 1, 10));
    assert!(tier.pin(&row, get(tier, 1).unwrap()).is_ok());
}

#[test]
fn a_stopped_writer_costs_the_others_nothing_but_their_insertions() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Hasty(Worker::new(1, &graves));
    let row = tier.enrol(&env).unwrap();
    assert!(put(tier, &env, 1, 10));
    assert!(put(tier, &env, 2, 10));
    let ticket = tier.ticket(hash(3), Node::NONE);
    let reservation = tier.reserve(&env, hash(3), 1, 1).unwrap();
    let stopped = 9;
    words[2].store(stopped, std::sync::atomic::Ordering::SeqCst);
    assert!(!put(tier, &env, 4, 10));
    assert!(!tier.publish(&env, reservation, ticket, free(0)));
    assert!(tier.pin(&row, get(tier, 1).unwrap()).is_ok());
    assert!(tier.invalidate(hash(1)));
    assert!(get(tier, 1).is_none());
    assert!(!tier.tidy(&env));
    assert_eq!(tier.statistics().refused, 1);
    // It dies: the next writer makes the index anew.
    graves.dig(stopped as u32);
    assert!(get(tier, 2).is_some());
    assert!(!put(tier, &env, 4, 10), "looked up before");
    assert!(put(tier, &env, 4, 10));
    assert!(get(tier, 2).is_none());
    assert!(get(tier, 4).is_some());
    let statistics = tier.statistics();
    assert_eq!((statistics.repaired, statistics.records), (1, 1));
    assert_eq!((statistics.zombies, statistics.reserved), (1, 0));
}

#[test]
fn of_two_who_replace_what_both_have_read_one_fails() {
    let layout = Layout::with_units(64).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    assert!(put(tier, &env, 1, 100));
    let tickets = [(); 2].map(|()| tier.ticket(hash(1), Node::NONE));
    let [first, second] = tickets.map(|ticket| {
        let reservation = tier.reserve(&env, hash(1), 0, 200).unwrap();
        tier.replace(&env, reservation, ticket, free(7))
    });
    assert_eq!((first, second), (true, false));
    // The record is the first one's, and it needs no ticket of its own to stay.
    let handle = get(tier, 1).unwrap();
    assert_eq!(tier.look(handle).unwrap().body_len, 200);
    // What was looked up before it came is worthless, too.
    let reservation = tier.reserve(&env, hash(1), 0, 300).unwrap();
    assert!(!tier.publish(&env, reservation, tickets[0], free(0)));
    tier.invalidate(hash(1));
    assert!(get(tier, 1).is_none());
}

#[test]
fn a_record_that_is_replaced_can_be_found_meanwhile() {
    let layout = Layout::with_units(64).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let env = Worker::new(1, &graves);
    assert!(put(tier, &env, 1, 100));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut looks, mut missed) = (0u32, 0u32);
            while !over.load(Ordering::SeqCst) {
                looks += 1;
                missed += u32::from(tier.find(hash(1)).is_none());
            }
            (looks, missed)
        });
        for _ in 0..50_000 {
            assert!(put(tier, &env, 1, 100));
        }
        over.store(true, Ordering::SeqCst);
        let (looks, missed) = reader.join().unwrap();
        assert!(looks > 1000, "{looks}");
        // A reader that is interrupted in the middle, while the record is replaced again and again, may miss it.
        assert!(missed <= looks / 100_000, "{missed} of {looks}");
    });
}

#[test]
fn what_the_dead_had_is_free_without_a_writer() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let [env, other] = [1, 2].map(|pid| Worker::new(pid, &graves));
    let row = tier.enrol(&other).unwrap();
    assert!(put(tier, &env, 1, 50_000));
    let _pin = tier.pin(&row, get(tier, 1).unwrap()).unwrap();
    tier.invalidate(hash(1));
    let _reservation = tier.reserve(&other, hash(2), 0, 50_000).unwrap();
    assert!(!tier.tend(&env));
    let statistics = tier.statistics();
    assert_eq!((statistics.zombies, statistics.reserved), (1, 1));
    graves.dig(2);
    assert!(!tier.tend(&env));
    let statistics = tier.statistics();
    assert_eq!((statistics.zombies, statistics.reserved), (0, 0));
    assert_eq!(statistics.free_bytes, u64::from(UNITS) * 512);
}

/// Words that know which of them were read.
struct Listed<'a> {
    words: &'a [AtomicU64],
    read: RefCell<Vec<usize>>,
}

impl Words for Listed<'_> {
    fn count(&self) -> usize {
        self.words.len()
    }

    fn load(&self, at: usize) -> u64 {
        self.read.borrow_mut().push(at);
        self.words.load(at)
    }

    fn set(&self, at: usize, value: u64) {
        self.words.set(at, value);
    }

    fn store(&self, at: usize, value: u64) {
        self.words.store(at, value);
    }

    fn replace(&self, at: usize, old: u64, new: u64) -> bool {
        self.words.replace(at, old, new)
    }

    fn add(&self, at: usize, by: u64) -> u64 {
        self.words.add(at, by)
    }
}

#[test]
fn the_words_of_a_record_are_all_that_its_hit_reads_of_it_alone() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let graves = Graves::default();
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    for key in 1..=20 {
        assert!(put(tier, &Worker::new(1, &graves), key, 100));
    }
    let listed = Listed {
        words: &words,
        read: RefCell::default(),
    };
    let tier = Tier::attach(&listed, layout).unwrap();
    let read_by_hit = |key: u64| {
        let handle = tier.find(hash(key)).unwrap();
        listed.read.take();
        tier.is_current(handle, 1);
        tier.touch(handle);
        let read: BTreeSet<usize> = listed.read.take().into_iter().collect();
        (read, tier.words_of(handle, hash(key)))
    };
    let (first, of_first) = read_by_hit(1);
    let (other, of_other) = read_by_hit(20);
    // The rest is the store's and the node's.
    let alone: Vec<usize> = first.difference(&other).copied().collect();
    assert!(alone.len() > 5, "{alone:?}");
    for at in alone {
        assert!(of_first.iter().any(|words| words.contains(&at)), "{at}");
        assert!(!of_other.iter().any(|words| words.contains(&at)), "{at}");
    }
    // In whole lines of the processor's cache.
    assert_eq!(of_first[0].start % 8, 0);
    assert_eq!(of_first[0].len() % 8, 0);
}
