//! More workers than there are rows of pins.

use tier::{Layout, Tier};

use crate::bed::{Graves, fill, get, hash, is_filled, more_than_rows, put, words};

/// Units of the arena.
const UNITS: u32 = 1024;

#[test]
fn without_a_row_bytes_are_copied() {
    let layout = Layout::with_units(UNITS).unwrap();
    let words = words(&layout);
    let tier = Tier::lay_out(&words[..], layout).unwrap();
    let graves = Graves::default();
    let (workers, rows) = more_than_rows(tier, &graves);
    let (last, reader) = (&workers[63], &workers[64]);
    // It writes and reads all the same.
    assert!(put(tier, reader, 1, 5000));
    let handle = get(tier, 1).unwrap();
    let extents = tier.extents(handle).unwrap();
    fill(&words, &layout, &extents, 7);
    assert!(is_filled(&words, &layout, &extents, 7) && tier.still(handle));
    // What is copied of a record that leaves meanwhile is worth nothing.
    tier.invalidate(hash(1));
    assert!(!tier.still(handle) && tier.extents(handle).is_none());
    assert!(put(tier, reader, 1, 5000));
    assert!(!tier.still(handle) && tier.still(get(tier, 1).unwrap()));
    // One that leaves, and isn't dead, gives its row up.
    assert!(tier.enrol(reader).is_none());
    tier.leave(rows[63]);
    assert!(tier.enrol(reader).is_some() && tier.enrol(last).is_none());
}
