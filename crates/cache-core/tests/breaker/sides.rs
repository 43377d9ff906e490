//! Reads and writes of a node.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use cache_core::breaker::{Access, Blame, Breaker, Change, Changes, Pass, Settings, Verdict};

use crate::SETTINGS;

const ACCESSES: [Access; 2] = [Access::Read, Access::Write];

fn fail(breaker: &Breaker, access: Access, blame: Blame) -> Changes {
    let mut last = Changes::default();
    for _ in 0..SETTINGS.max_fails {
        assert_eq!(last, Changes::default());
        last = breaker.finished(access, Pass::Go, blame, 100, &SETTINGS);
    }
    last
}

fn open(breaker: &Breaker) -> [bool; 2] {
    ACCESSES.map(|access| breaker.is_open(access))
}

#[test]
fn what_each_blame_trips() {
    for access in ACCESSES {
        let breaker = Breaker::default();
        assert_eq!(fail(&breaker, access, Blame::Nobody), Changes::default());
        assert_eq!(open(&breaker), [false, false], "{access:?}");
        let changes = fail(&breaker, access, Blame::Writes);
        assert_eq!(
            (changes.reads, changes.writes),
            (None, Some(Change::Opened))
        );
        assert_eq!(open(&breaker), [false, true], "{access:?}");
        assert_eq!(breaker.may(Access::Read, 100, &SETTINGS), Verdict::Go);
        assert_eq!(breaker.may(Access::Write, 100, &SETTINGS), Verdict::No);
        let breaker = Breaker::default();
        let changes = fail(&breaker, access, Blame::Node);
        assert_eq!(
            (changes.reads, changes.writes),
            (Some(Change::Opened), Some(Change::Opened))
        );
        assert_eq!(open(&breaker), [true, true], "{access:?}");
    }
}

#[test]
fn each_side_is_probed_by_its_own() {
    let breaker = Breaker::default();
    fail(&breaker, Access::Read, Blame::Node);
    let read = breaker.may(Access::Read, 600, &SETTINGS).pass().unwrap();
    let write = breaker.may(Access::Write, 600, &SETTINGS).pass().unwrap();
    let changes = breaker.finished(Access::Read, read, Blame::Nobody, 601, &SETTINGS);
    assert_eq!(
        (changes.reads, changes.writes),
        (Some(Change::Closed), None)
    );
    // The node is full: reads go on.
    let changes = breaker.finished(Access::Write, write, Blame::Writes, 602, &SETTINGS);
    assert_eq!(changes, Changes::default());
    assert_eq!(open(&breaker), [false, true]);
    let write = breaker.may(Access::Write, 1602, &SETTINGS).pass().unwrap();
    breaker.unused(Access::Write, write, 1603);
    let write = breaker.may(Access::Write, 1603, &SETTINGS).pass().unwrap();
    let changes = breaker.finished(Access::Write, write, Blame::Nobody, 1604, &SETTINGS);
    assert_eq!(changes.writes, Some(Change::Closed));
    assert_eq!(open(&breaker), [false, false]);
}

/// Real threads at one breaker: no probe beside another, one line for each change.
#[test]
fn threads() {
    let settings = Settings {
        fail_timeout: 0,
        lease: 1 << 30,
        ..SETTINGS
    };
    let breaker = Breaker::default();
    let (probing, changes) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for worker in 0..4_u32 {
            let (breaker, probing, changes) = (&breaker, &probing, &changes);
            scope.spawn(move || {
                for step in 0..20_000_u32 {
                    // One thread may be ahead of another by all steps: by less than clocks of workers may differ.
                    let now = u64::from(step) * 2;
                    let verdict = breaker.may(Access::Write, now, &settings);
                    let Some(pass) = verdict.pass() else { continue };
                    if pass != Pass::Go {
                        assert_eq!(probing.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        probing.fetch_sub(1, Ordering::SeqCst);
                    }
                    let blame = if (step + worker) % 5 < 3 {
                        Blame::Writes
                    } else {
                        Blame::Nobody
                    };
                    let changed = breaker.finished(Access::Write, pass, blame, now, &settings);
                    match changed.writes {
                        Some(Change::Opened) => {
                            changes.fetch_add(1, Ordering::SeqCst);
                        }
                        Some(Change::Closed) => {
                            changes.fetch_add(1 << 16, Ordering::SeqCst);
                        }
                        None => {}
                    }
                }
            });
        }
    });
    let changes = changes.into_inner();
    let (opened, closed) = (changes & 0xffff, changes >> 16);
    assert!(opened > 0, "it never opened");
    assert_eq!(opened - closed, u32::from(breaker.is_open(Access::Write)));
}
