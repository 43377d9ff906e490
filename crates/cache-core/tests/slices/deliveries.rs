//! What is looked for, fetched and sent, step by step.

use cache_core::slices::{Asked, Delivery, Layout, Refused, Step, ahead, asked};

use super::object;

/// An object of 40 bytes in slices of 10.
fn delivery(range: Option<&str>, ahead: u64) -> Delivery {
    let object = object(10, 40);
    let asked = range.map_or(Asked::Whole, |range| asked(range.as_bytes(), 40));
    Delivery::new(object, Layout::new(object, &asked, None, b"B"), ahead)
}

fn send(slice: u64, from: u64, to: u64) -> Step<'static> {
    Step::Send { slice, from, to }
}

#[test]
fn bounds_ahead() {
    let cases = [
        (64 << 10, 2),
        (1 << 20, 2),
        (4 << 20, 2),
        (5 << 20, 1),
        (8 << 20, 1),
        (9 << 20, 0),
        (32 << 20, 0),
        (0, 0),
    ];
    for (size, wanted) in cases {
        assert_eq!(ahead(size), wanted, "{size}");
    }
}

/// A whole response: two slices are fetched ahead, and sent in order as they come.
#[test]
fn whole() {
    let mut it = delivery(None, 2);
    assert_eq!(it.step(false), Step::Look(0));
    assert_eq!(it.step(false), Step::Look(1));
    assert_eq!(it.step(false), Step::Look(2));
    assert_eq!(it.step(false), Step::Wait);
    it.missing(1);
    assert_eq!(it.step(false), Step::Fill(1));
    it.found(2);
    assert_eq!(it.step(false), Step::Wait);
    it.found(0);
    assert_eq!(it.step(false), send(0, 0, 10));
    // the window has moved on
    assert_eq!(it.step(false), Step::Look(3));
    assert!(!it.needs(0));
    assert_eq!(it.step(false), Step::Wait);
    it.grew(1, 4);
    assert_eq!(it.step(false), send(1, 0, 4));
    assert_eq!(it.step(false), Step::Wait);
    it.grew(1, 5);
    assert_eq!(it.step(false), send(1, 4, 5));
    it.filled(1);
    assert_eq!(it.step(false), send(1, 5, 10));
    assert_eq!(it.step(false), send(2, 0, 10));
    it.found(3);
    assert_eq!(it.step(false), send(3, 0, 10));
    assert_eq!(it.step(false), Step::Done);
}

/// Ranges touch their own slices and no other.
#[test]
fn ranges() {
    let mut it = delivery(Some("bytes=12-14"), 2);
    assert_eq!(it.step(false), Step::Look(1));
    assert_eq!(it.step(false), Step::Wait);
    it.found(1);
    assert_eq!(it.step(false), send(1, 2, 5));
    assert_eq!(it.step(false), Step::Done);
    let mut it = delivery(Some("bytes=18-21"), 2);
    assert_eq!(it.step(false), Step::Look(1));
    assert_eq!(it.step(false), Step::Look(2));
    assert_eq!(it.step(false), Step::Wait);
    it.found(1);
    it.found(2);
    assert_eq!(it.step(false), send(1, 8, 10));
    assert_eq!(it.step(false), send(2, 0, 2));
    assert_eq!(it.step(false), Step::Done);
    // in the order of the request, and one that comes twice in a row once
    let mut it = delivery(Some("bytes=-1,-2,0-0"), 2);
    assert_eq!(it.step(false), Step::Look(3));
    assert_eq!(it.step(false), Step::Look(0));
    assert_eq!(it.step(false), Step::Wait);
}

/// No text leaves before the bytes behind it are there: until then another response is possible.
#[test]
fn multipart_begins_late() {
    let mut it = delivery(Some("bytes=0-0,39-39"), 0);
    assert_eq!(it.step(false), Step::Look(0));
    assert_eq!(it.step(false), Step::Wait);
    it.missing(0);
    assert_eq!(it.step(false), Step::Fill(0));
    assert_eq!(it.step(false), Step::Wait);
    it.refused(0, Refused::Changed);
    assert_eq!(it.step(false), Step::Again(Refused::Changed));
}

#[test]
fn nothing_ahead() {
    let mut it = delivery(None, 2);
    assert_eq!(it.step(true), Step::Look(0));
    assert_eq!(it.step(true), Step::Wait);
    it.found(0);
    assert_eq!(it.step(true), send(0, 0, 10));
    assert_eq!(it.step(true), Step::Look(1));
    // memory is there again
    assert_eq!(it.step(false), Step::Look(2));
}

/// The first slice of a new object is on its way already.
#[test]
fn head_brings_the_first() {
    let mut it = delivery(None, 1);
    it.grew(0, 0);
    assert_eq!(it.step(false), Step::Look(1));
    assert_eq!(it.step(false), Step::Wait);
    it.grew(0, 3);
    assert_eq!(it.step(false), send(0, 0, 3));
    // of no use to a range elsewhere
    let mut it = delivery(Some("bytes=25-25"), 1);
    it.grew(0, 0);
    assert_eq!(it.step(false), Step::Look(2));
    assert_eq!(it.step(false), Step::Wait);
}

#[test]
fn changed_before_anything_was_sent() {
    let mut it = delivery(None, 2);
    assert_eq!(it.step(false), Step::Look(0));
    it.missing(0);
    it.refused(0, Refused::Changed);
    assert_eq!(it.step(false), Step::Again(Refused::Changed));
    assert_eq!(it.step(false), Step::Again(Refused::Changed));
}

/// What is there is of the old generation and could be sent, but never be completed.
#[test]
fn changed_in_the_middle() {
    let mut it = delivery(None, 2);
    while let Step::Look(slice) = it.step(false) {
        it.found(slice);
        if slice == 2 {
            break;
        }
    }
    assert_eq!(it.step(false), send(0, 0, 10));
    assert_eq!(it.step(false), Step::Look(3));
    it.missing(3);
    assert_eq!(it.step(false), Step::Fill(3));
    it.refused(3, Refused::Changed);
    assert_eq!(it.step(false), Step::Cut(Refused::Changed));
}

/// All was sent before: nobody minds.
#[test]
fn changed_afterwards() {
    let mut it = delivery(Some("bytes=0-3"), 2);
    assert_eq!(it.step(false), Step::Look(0));
    it.found(0);
    assert_eq!(it.step(false), send(0, 0, 4));
    it.refused(1, Refused::Changed);
    assert_eq!(it.step(false), Step::Done);
}

#[test]
fn failures() {
    let mut it = delivery(None, 1);
    assert_eq!(it.step(false), Step::Look(0));
    assert_eq!(it.step(false), Step::Look(1));
    // one that isn't to be sent yet waits until it is
    it.missing(1);
    assert_eq!(it.step(false), Step::Fill(1));
    it.refused(1, Refused::Failed);
    assert_eq!(it.step(false), Step::Wait);
    it.found(0);
    assert_eq!(it.step(false), send(0, 0, 10));
    assert_eq!(it.step(false), Step::Look(1));
    assert_eq!(it.step(false), Step::Look(2));
    // what has come of it so far is sent, and what comes later goes on there
    it.missing(1);
    assert_eq!(it.step(false), Step::Fill(1));
    it.grew(1, 4);
    assert_eq!(it.step(false), send(1, 0, 4));
    it.refused(1, Refused::Failed);
    assert_eq!(it.step(false), Step::Look(1));
    it.found(1);
    assert_eq!(it.step(false), send(1, 4, 10));
    // three in a row end it
    assert_eq!(it.step(false), Step::Look(3));
    for _ in 0..3 {
        it.missing(2);
        assert_eq!(it.step(false), Step::Fill(2));
        it.refused(2, Refused::Failed);
        if it.step(false) != Step::Look(2) {
            break;
        }
    }
    assert_eq!(it.step(false), Step::Cut(Refused::Failed));
}

/// What comes late, twice or unasked changes nothing.
#[test]
fn late_and_twice() {
    let mut it = delivery(None, 0);
    it.found(3);
    it.refused(3, Refused::Failed);
    assert_eq!(it.step(false), Step::Look(0));
    it.found(0);
    it.grew(0, 2);
    it.missing(0);
    assert_eq!(it.step(false), send(0, 0, 10));
    it.found(0);
    assert_eq!(it.step(false), Step::Look(1));
}
