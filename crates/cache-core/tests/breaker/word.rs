//! One side of a breaker, one step after the other.

use cache_core::breaker::{Change, Pass, Settings, Verdict, Word};
use proptest::prelude::*;

use crate::SETTINGS;

/// Failures at these times, none of them a probe's. Gives back when it opened.
fn fail_at(settings: &Settings, times: &[u64]) -> Option<u64> {
    let mut word = Word::default();
    for &now in times {
        let (next, change) = word.failed(Pass::Go, now, settings);
        if change == Some(Change::Opened) {
            assert!(!next.is_closed());
            return Some(now);
        }
        assert!(next.is_closed());
        word = next;
    }
    None
}

#[test]
fn opens_at_max_fails_within_the_window() {
    let cases: &[(&[u64], Option<u64>)] = &[
        (&[0, 0], None),
        (&[0, 0, 0], Some(0)),
        (&[5000, 5100, 5700], Some(5700)),
        (&[5000, 6001, 7002, 8003], None),
        (&[5000, 5900, 6300, 6600], Some(6600)),
        // A worker whose clock is a little behind counts, too.
        (&[5260, 5249, 5248], Some(5248)),
        // The first two are of long ago.
        (&[5000, 5001, 90_000, 90_001], None),
    ];
    for (times, opened) in cases {
        assert_eq!(fail_at(&SETTINGS, times), *opened, "{times:?}");
    }
    let never = Settings {
        max_fails: 0,
        ..SETTINGS
    };
    assert_eq!(fail_at(&never, &[1; 1000]), None);
    let once = Settings {
        max_fails: 1,
        ..SETTINGS
    };
    assert_eq!(fail_at(&once, &[7]), Some(7));
    let many = Settings {
        max_fails: 63,
        ..SETTINGS
    };
    assert_eq!(fail_at(&many, &[7; 62]), None);
    assert_eq!(fail_at(&many, &[7; 63]), Some(7));
    let more = Settings {
        max_fails: u32::MAX,
        ..SETTINGS
    };
    assert_eq!(fail_at(&more, &[7; 63]), Some(7));
}

fn opened(now: u64) -> Word {
    let mut word = Word::default();
    for _ in 0..SETTINGS.max_fails {
        word = word.failed(Pass::Go, now, &SETTINGS).0;
    }
    word
}

/// The first time from `now` on at which a probe may go, and the probe.
fn probe_after(word: Word, now: u64) -> (u64, Word, Pass) {
    for time in now..now + 5000 {
        if let (next, Verdict::Probe(pass)) = word.may(time, &SETTINGS) {
            return (time, next, pass);
        }
    }
    panic!("no probe within 5 s");
}

#[test]
fn probes_and_closes() {
    let word = opened(10_000);
    assert_eq!(word.may(10_499, &SETTINGS), (word, Verdict::No));
    let (time, probing, pass) = probe_after(word, 10_000);
    assert_eq!(time, 10_500);
    assert_eq!(probing.may(10_501, &SETTINGS), (probing, Verdict::No));
    // What was sent before the breaker opened changes nothing.
    assert_eq!(probing.failed(Pass::Go, 10_501, &SETTINGS), (probing, None));
    assert_eq!(
        probing.succeeded(Pass::Go, 10_501, &SETTINGS),
        (probing, None)
    );
    assert_eq!(word.succeeded(Pass::Go, 10_501, &SETTINGS), (word, None));
    let (closed, change) = probing.succeeded(pass, 10_510, &SETTINGS);
    assert_eq!(change, Some(Change::Closed));
    assert_eq!(closed.may(10_510, &SETTINGS), (closed, Verdict::Go));
    assert_eq!(
        closed.succeeded(Pass::Go, 10_511, &SETTINGS),
        (closed, None),
        "no write"
    );
}

#[test]
fn later_probes_come_within_a_second() {
    for fail_timeout in [0, 10, 500, 1000, 10_000] {
        let settings = Settings {
            fail_timeout,
            ..SETTINGS
        };
        let mut word = Word::default();
        for _ in 0..3 {
            word = word.failed(Pass::Go, 0, &settings).0;
        }
        let mut now = fail_timeout;
        let mut before = 0;
        for nth in 0..20 {
            let (probing, verdict) = word.may(now, &settings);
            let Verdict::Probe(pass) = verdict else {
                panic!("{fail_timeout}: no probe {nth} at {now}");
            };
            let (open, change) = probing.failed(pass, now, &settings);
            assert_eq!(change, None);
            let wait = (0..=500)
                .find(|wait| matches!(open.may(now + wait, &settings).1, Verdict::Probe(_)));
            let wait = wait.unwrap();
            assert!(wait >= before, "{fail_timeout}: {wait} after {before}");
            (before, now, word) = (wait, now + wait, open);
        }
        let least = if fail_timeout == 0 { 128 } else { 500 };
        assert!(before >= least, "{fail_timeout}: {before}");
    }
}

#[test]
fn a_dead_prober_is_replaced() {
    let (time, probing, lost) = probe_after(opened(0), 0);
    let end = time + SETTINGS.lease;
    assert_eq!(probing.may(end - 1, &SETTINGS).1, Verdict::No);
    let (second, verdict) = probing.may(end, &SETTINGS);
    let pass = verdict.pass().unwrap();
    // It comes back from the dead: the probe that replaced it decides.
    assert_eq!(second.failed(lost, end, &SETTINGS), (second, None));
    assert_eq!(second.succeeded(lost, end, &SETTINGS), (second, None));
    assert_eq!(second.unused(lost, end), second);
    assert!(second.succeeded(pass, end, &SETTINGS).0.is_closed());
}

#[test]
fn a_probe_that_was_not_sent_is_replaced_at_once() {
    let (time, probing, pass) = probe_after(opened(0), 0);
    let open = probing.unused(pass, time);
    assert!(matches!(open.may(time, &SETTINGS).1, Verdict::Probe(_)));
}

/// How long it stays open after it has closed for `well` milliseconds and failed again.
fn open_again_after(well: u64) -> u64 {
    let (time, probing, pass) = probe_after(opened(10_000), 10_000);
    let mut word = probing.succeeded(pass, time, &SETTINGS).0;
    let again = time + well;
    for _ in 0..3 {
        word = word.failed(Pass::Go, again, &SETTINGS).0;
    }
    probe_after(word, again).0 - again
}

#[test]
fn one_that_comes_and_goes_is_not_hammered() {
    assert_eq!(open_again_after(0), 1000);
    assert_eq!(open_again_after(3000), 1000);
    assert_eq!(open_again_after(6000), 500);
    assert_eq!(open_again_after(10_000_000), 500);
}

proptest! {
    /// Never below `max_fails` within the window; always with so many within three quarters of it.
    #[test]
    fn opens_neither_early_nor_late(
        start in 0_u64..1 << 41,
        gaps in prop::collection::vec(0_u64..600, 1..40),
        max_fails in 1_u32..8,
    ) {
        let settings = Settings { max_fails, ..SETTINGS };
        let mut now = start;
        let times: Vec<u64> = gaps.iter().map(|gap| { now += gap; now }).collect();
        let within = |last: usize, window: u64| {
            times[..=last].iter().filter(|time| times[last] - **time < window).count() as u32
        };
        let at = fail_at(&settings, &times);
        let opened = at.map(|at| times.iter().position(|time| *time == at).unwrap());
        for (last, time) in times.iter().enumerate() {
            if within(last, 750) >= max_fails {
                prop_assert!(at.is_some_and(|at| at <= *time));
            }
        }
        if let Some(first) = opened {
            let last = times.iter().rposition(|time| *time == times[first]).unwrap();
            prop_assert!(within(last, 1000) >= max_fails);
        }
    }

    /// Whatever is in memory: no panic, and a node isn't shut out for ever.
    #[test]
    fn any_bits(bits: u64, now: u64, time: u64, pass: u64, max_fails: u32, window: u64, fail_timeout: u64, lease: u64) {
        let settings = Settings { max_fails, window, fail_timeout, lease };
        for pass in [Pass::Go, Pass::Probe(pass), Pass::Probe((bits >> 5) & ((1 << 40) - 1))] {
            let _ = Word(bits).failed(pass, now, &settings);
            let _ = Word(bits).succeeded(pass, now, &settings);
            let _ = Word(bits).unused(pass, now);
            let _ = Word(bits).may(now, &settings);
        }
        let later = time.saturating_add(100_000).min(u64::MAX / 2);
        let (word, verdict) = Word(bits).may(later, &SETTINGS);
        if verdict == Verdict::No {
            let (_, verdict) = word.may(later + 62_001, &SETTINGS);
            prop_assert_ne!(verdict, Verdict::No);
        }
    }
}
