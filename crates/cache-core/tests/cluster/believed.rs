//! Which maps are believed.

use cache_core::cluster::{Acceptance, Judged};

use crate::maps::{address, read};

const KNOWN: &str = "0-5 a:1/1 r:1/2, 6-9 b:1/3, 10-19 c:1/4";

/// Maps that are offered one after the other: `who asked; map`, and what is made of the last.
#[track_caller]
fn judged(known: &str, offers: &[(&str, &str)]) -> Judged {
    let known = (!known.is_empty()).then(|| read(known).unwrap());
    let mut acceptance = Acceptance::default();
    let judge = |(asked, said): &(&str, &str)| {
        let offered = read(said).unwrap();
        acceptance.judge(known.as_ref(), &offered, &address(asked))
    };
    offers.iter().map(judge).last().unwrap()
}

#[test]
fn changes_are_taken_over() {
    for said in [
        // Another order, one node more, slots moved, a replica promoted.
        "0-5 r:1/2 a:1/1, 6-9 b:1/3, 10-19 c:1/4",
        "0-5 a:1/1, 6-9 b:1/3, 10-19 c:1/4, 20-29 d:1/5",
        "0-9 a:1/1, 10-19 c:1/4",
        // All addresses are new, the nodes aren't.
        "0-5 a:2/1 r:2/2, 6-9 b:2/3, 10-19 c:2/4",
    ] {
        assert_eq!(judged(KNOWN, &[("a:1", said)]), Judged::Taken, "{said}");
    }
    assert_eq!(judged(KNOWN, &[("a:1", KNOWN)]), Judged::Same);
    assert_eq!(judged("", &[("seed:1", "3-3 x:1/9")]), Judged::Taken);
}

#[test]
fn fewer_slots_need_a_second_node() {
    let fewer = "0-5 a:1/1 r:1/2, 6-9 b:1/3";
    let less = "0-5 a:1/1 r:1/2, 6-9 b:1/3, 15-19 c:1/4";
    let other = "0-5 a:1/1 r:1/2, 10-19 c:1/4";
    for (offers, expected) in [
        (&[("a:1", fewer)][..], Judged::Unconfirmed),
        (&[("a:1", fewer), ("a:1", fewer)], Judged::Unconfirmed),
        (&[("a:1", fewer), ("b:1", fewer)], Judged::Taken),
        (&[("a:1", fewer), ("r:1", fewer)], Judged::Taken),
        // The second has lost a part of what the first has lost: that part is confirmed.
        (&[("a:1", fewer), ("b:1", less)], Judged::Taken),
        (&[("a:1", less), ("b:1", fewer)], Judged::Unconfirmed),
        (
            &[("a:1", less), ("b:1", fewer), ("a:1", fewer)],
            Judged::Taken,
        ),
        (&[("a:1", fewer), ("b:1", other)], Judged::Unconfirmed),
        // The second still knows all.
        (&[("a:1", fewer), ("b:1", KNOWN)], Judged::Same),
        (
            &[("a:1", fewer), ("b:1", KNOWN), ("b:1", fewer)],
            Judged::Unconfirmed,
        ),
        // A name of no map may be that of the first.
        (&[("a:1", fewer), ("seed:1", fewer)], Judged::Unconfirmed),
        (&[("seed:1", fewer), ("a:1", fewer)], Judged::Unconfirmed),
    ] {
        assert_eq!(judged(KNOWN, offers), expected, "{offers:?}");
    }
    // As many slots, but not the same.
    let others = "0-5 a:1/1 r:1/2, 6-9 b:1/3, 20-29 c:1/4";
    assert_eq!(judged(KNOWN, &[("a:1", others)]), Judged::Unconfirmed);
    // There is nobody else to ask.
    assert_eq!(judged("0-9 a:1/1", &[("a:1", "0-8 a:1/1")]), Judged::Taken);
}

#[test]
fn a_map_of_another_cluster_is_never_taken_over() {
    for said in [
        "0-5 x:1/7, 6-19 y:1/8",
        "0-16383 x:1/7",
        // The address belongs to another node by now.
        "0-19 a:1/9",
    ] {
        let offers = [("a:1", said), ("b:1", said), ("x:1", said)];
        assert_eq!(judged(KNOWN, &offers), Judged::Foreign, "{said}");
    }
    // Without ids addresses decide.
    assert_eq!(
        judged("0-9 a:1 b:1", &[("a:1", "0-9 b:1/7")]),
        Judged::Taken
    );
    assert_eq!(judged("0-9 a:1", &[("a:1", "0-9 b:1")]), Judged::Foreign);
}
