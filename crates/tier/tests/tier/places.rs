//! Places of servers: there are 512, and those of servers that nobody hears any more go to others.

use tier::{Facts, Layout, Node, Tier};

use crate::bed::{Graves, Worker, hash, words};

const UNITS: u32 = 1024;
const PLACES: u64 = 512;

/// A place is kept for so long behind its last lease, in milliseconds.
const IDLE: u64 = 60_000;

/// The name of the server whose place goes to another.
const OLD: u64 = 77;
const NEW: u64 = 1 << 40;

/// Gives all places but that of [`OLD`] away, to servers that are heard for long.
fn crowd(tier: Tier<'_>, now: u64) {
    tier.node_at(OLD, now);
    for name in 1000..1000 + PLACES - 1 {
        assert!(tier.lease(tier.node_at(name, now), now + 100 * IDLE));
    }
}

#[test]
fn a_server_that_nobody_hears_any_more_leaves_its_place() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let (graves, now) = (Graves::default(), 5000);
    let env = Worker::new(1, &graves);
    crowd(tier, now);
    let old = tier.node_at(OLD, now);
    assert_eq!(tier.node_at(NEW, now), Node::NONE);
    let facts = Facts {
        expiry: 100 * IDLE,
        free: false,
        alone: false,
        meta: 0,
    };
    tier.lease(old, now + 3000);
    let reservation = tier.reserve(&env, hash(1), 10, 10).unwrap();
    assert!(tier.publish(&env, reservation, tier.ticket(hash(1), old), facts));
    let record = tier.find(hash(1)).unwrap();
    let late = tier.reserve(&env, hash(2), 10, 10).unwrap();
    let ticket = tier.ticket(hash(2), old);
    // A lease that was revoked counts, too.
    tier.revoke(old);
    assert_eq!(tier.node_at(NEW, now + 3000 + IDLE), Node::NONE);
    assert!(tier.is_current_alone(record, now + 4000, 2000));
    let then = now + 3001 + IDLE;
    assert_eq!(tier.node_at(NEW, then), old);
    assert!(tier.is_node_of(old, NEW) && !tier.is_node_of(old, OLD));
    // It is no longer the former server's, and has no lease yet.
    assert_eq!(tier.leased_until(old), 0);
    assert_eq!(tier.node_at(NEW, then), old);
    assert_eq!(tier.node_at(OLD, then + IDLE), Node::NONE, "it is new");
    // Nothing of the former server is used under the new one's lease, or without.
    assert!(tier.lease(old, then + 3000));
    assert!(!tier.is_current(record, then));
    assert!(!tier.is_current_alone(record, then, 1000 * IDLE));
    assert!(!tier.publish(&env, late, ticket, facts));
}

#[test]
fn a_new_server_has_a_minute_to_be_heard() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let now = 10 * IDLE;
    crowd(tier, now);
    let node = tier.node_at(OLD, now);
    assert_eq!(tier.node_at(NEW, now + IDLE), Node::NONE);
    assert_eq!(tier.node_at(NEW, now + IDLE + 1), node);
    assert_eq!(tier.node_at(OLD, now + 2 * IDLE + 1), Node::NONE);
    assert_eq!(tier.node_at(OLD, now + 2 * IDLE + 2), node);
}

#[test]
fn the_place_that_was_heard_longest_ago_goes_first() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    for name in 1..=PLACES {
        let until = 1000 + (name * 37) % PLACES;
        assert!(tier.lease(tier.node_at(name, 0), until));
    }
    let longest = (1..=PLACES).min_by_key(|name| (name * 37) % PLACES);
    let place = tier.node_at(longest.unwrap(), 0);
    assert_eq!(tier.node_at(NEW, 10 * IDLE), place);
    // All are found by their names, each in a place of its own.
    let names = (1..=PLACES).filter(|name| Some(*name) != longest);
    let mut places: Vec<Node> = names.map(|name| tier.node_at(name, 1000)).collect();
    assert!(!places.contains(&Node::NONE) && !places.contains(&place));
    places.sort_by_key(|node| format!("{node:?}"));
    places.dedup();
    assert_eq!(places.len() as u64, PLACES - 1);
}
