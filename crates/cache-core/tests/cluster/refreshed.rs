//! When maps are asked for, by whom, and whom.

use std::cell::Cell;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::cluster::{Ended, Refresh, Round, SlotMap, order};

use crate::maps::{address, read};

/// A worker asks and ends at once.
#[track_caller]
fn round(refresh: &Refresh, now: u64, ended: Ended) -> Round {
    let round = refresh.begin(1, now, 0).expect("no round is due");
    refresh.end(round, now, ended, 0);
    round
}

#[test]
fn the_first_map_is_asked_for_at_once_and_then_about_every_minute() {
    let refresh = Refresh::default();
    assert_eq!(refresh.due(), 0);
    round(&refresh, 10_000, Ended::Known);
    assert_eq!(refresh.due(), 65_000);
    assert_eq!(refresh.begin(1, 64_999, 0), Err(65_000));
    let late = refresh.begin(1, 65_000, 9_999).unwrap();
    refresh.end(late, 65_000, Ended::Known, 0);
    assert_eq!(refresh.due(), 65_000 + 64_999);
}

#[test]
fn wishes_are_fulfilled_at_once_but_not_more_than_once_a_second() {
    let refresh = Refresh::default();
    round(&refresh, 10_000, Ended::Known);
    // Within the first second.
    assert_eq!(refresh.wish(10_300, 0, 7), 11_007);
    assert_eq!(refresh.begin(1, 10_999, 0), Err(11_000));
    round(&refresh, 11_000, Ended::Known);
    // Long after it.
    assert_eq!(refresh.wish(20_000, 0, 49), 20_049);
    round(&refresh, 20_010, Ended::Known);
    assert!(refresh.due() > 60_000, "the wish is fulfilled");
}

/// Whatever the workers of an nginx meet, and whenever.
#[test]
fn any_number_of_wishes_of_any_worker_is_one_round_a_second() {
    let refresh = Refresh::default();
    let mut begun = Vec::new();
    for now in 10_000..20_000_u64 {
        for who in 1..=4 {
            refresh.wish(now, u64::from(who), now * 7);
            if let Ok(round) = refresh.begin(who, now, now * 31) {
                begun.push(now);
                let ended = [Ended::Known, Ended::Unconfirmed, Ended::Failed];
                refresh.end(round, now, ended[begun.len() % 3], now);
            }
        }
    }
    assert!(
        begun.windows(2).all(|two| two[1] - two[0] >= 1000),
        "{begun:?}"
    );
    assert!(begun.len() >= 9, "{begun:?}");
}

#[test]
fn one_worker_asks_for_all_and_another_takes_over_if_it_dies() {
    let refresh = Refresh::default();
    let first = refresh.begin(1, 10_000, 0).unwrap();
    assert_eq!(first.until(), 12_000);
    assert_eq!(refresh.begin(2, 10_500, 0), Err(11_000));
    assert_eq!(refresh.begin(2, 11_500, 0), Err(12_000));
    // It asks another server.
    let first = refresh.renew(first, 11_900).unwrap();
    assert_eq!(first.until(), 13_900);
    assert_eq!(refresh.begin(2, 12_500, 0), Err(13_900));
    assert!(refresh.is_ours(&first, 13_899));
    assert!(!refresh.is_ours(&first, 13_900));
    let second = refresh.begin(2, 13_900, 0).unwrap();
    // The first was only slow: what it has is worth nothing.
    refresh.end(first, 14_000, Ended::Known, 0);
    assert_eq!(refresh.renew(first, 14_000), None);
    assert!(refresh.is_ours(&second, 14_000));
    assert!(!refresh.is_ours(&first, 14_000));
    refresh.end(second, 14_200, Ended::Known, 0);
    assert!(refresh.due() > 60_000);
}

/// A worker that was stopped while it waited for a reply comes back with a map that is older than the shared one.
#[test]
fn a_map_is_shared_only_by_the_worker_whose_round_it_is() {
    let (refresh, shared) = (Refresh::default(), Cell::new("nothing"));
    let first = refresh.begin(1, 10_000, 0).unwrap();
    // Its time is over, and nobody has taken over: somebody may at any moment.
    assert_eq!(refresh.share(first, 12_000, || shared.set("late")), None);
    let second = refresh.begin(2, 12_000, 0).unwrap();
    assert_eq!(refresh.share(first, 12_001, || shared.set("old")), None);
    assert_eq!(shared.get(), "nothing");
    // Who shares has another 2 s for it.
    let kept = refresh
        .share(second, 13_999, || shared.set("new"))
        .expect("the round is ours");
    assert_eq!((shared.get(), kept.until()), ("new", 15_999));
    assert_eq!(refresh.share(second, 13_999, || shared.set("twice")), None);
    refresh.end(kept, 14_100, Ended::Known, 0);
    // Nobody's round is nobody's right.
    assert_eq!(refresh.share(kept, 14_101, || shared.set("ended")), None);
    assert_eq!(refresh.share(first, 14_101, || shared.set("old")), None);
    assert_eq!(shared.get(), "new");
}

#[test]
fn a_wish_that_comes_during_a_round_is_not_lost() {
    let refresh = Refresh::default();
    let first = refresh.begin(1, 10_000, 0).unwrap();
    refresh.wish(10_001, 0, 0);
    refresh.end(first, 10_002, Ended::Known, 0);
    assert_eq!(refresh.due(), 11_000);
}

#[test]
fn a_map_to_be_confirmed_is_asked_for_again() {
    let refresh = Refresh::default();
    round(&refresh, 10_000, Ended::Unconfirmed);
    assert_eq!(refresh.due(), 11_000);
}

#[test]
fn while_nobody_has_a_map_the_time_between_rounds_grows() {
    let refresh = Refresh::default();
    let mut now = 10_000;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        round(&refresh, now, Ended::Failed);
        pauses.push(refresh.due() - now);
        now = refresh.due();
    }
    assert_eq!(pauses[..5], [1000, 2000, 4000, 8000, 8000]);
    assert_eq!(pauses[11], 8000);
    // MOVED: somebody is there again.
    assert_eq!(refresh.wish(now - 7000, 5, 0), now - 6000);
    assert_eq!(refresh.wish(now - 7000, 0, 0), now - 6000);
    round(&refresh, now - 6000, Ended::Failed);
    assert_eq!(refresh.due(), now - 5000);
    // A map ends it, too.
    round(&refresh, now, Ended::Known);
    round(&refresh, now + 65_000, Ended::Failed);
    assert_eq!(refresh.due(), now + 66_000);
}

#[test]
fn who_said_moved_is_asked_first_then_the_others_by_chance_then_the_configured() {
    let map: SlotMap = read("0-5 a:1 b:1, 6-9 c:1 d:1").unwrap();
    let configured = [address("seed:1"), address("c:1")];
    let asked = |hint: &str, random: &mut dyn FnMut(usize) -> usize| {
        let hint = if hint.is_empty() {
            0
        } else {
            address(hint).tag()
        };
        let order = order(Some(&map), &configured, hint, random);
        order
            .iter()
            .map(|a| a.host().to_owned())
            .collect::<Vec<_>>()
    };
    let mut firsts = Vec::new();
    let mut seed = 1_usize;
    let mut chance = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..100 {
        let mut order = asked("d:1", &mut chance);
        assert_eq!((order.len(), &*order[0], &*order[4]), (5, "d", "seed"));
        order.sort();
        assert_eq!(order, ["a", "b", "c", "d", "seed"]);
        firsts.push(asked("", &mut chance)[0].clone());
        firsts.push(asked("gone:1", &mut chance)[0].clone());
    }
    firsts.sort();
    firsts.dedup();
    assert_eq!(firsts, ["a", "b", "c", "d"]);
    assert_eq!(asked("", &mut |_| usize::MAX).len(), 5);
    assert_eq!(order(None, &configured, 7, |_| 0), configured);
}

#[test]
fn fresh_shared_memory_is_a_state() {
    // All words are zero: the poll is due, nobody has the lease, nobody has wished.
    let refresh = Refresh::default();
    let round = refresh.begin(3, 0, 0).unwrap();
    assert_eq!((round.hint, refresh.is_ours(&round, 0)), (0, true));
}

#[test]
fn the_hint_is_that_of_the_last_wish_and_counts_once() {
    let refresh = Refresh::default();
    refresh.wish(10_000, 5, 0);
    refresh.wish(10_000, 0, 0);
    refresh.wish(10_000, 6, 0);
    assert_eq!(round(&refresh, 10_000, Ended::Known).hint, 6);
    refresh.wish(12_000, 0, 0);
    assert_eq!(round(&refresh, 12_000, Ended::Known).hint, 0);
}

/// Workers that ask at the very same time: one begins, and who comes when it has ended sees that.
#[test]
fn of_workers_that_ask_at_once_one_begins_a_round() {
    for turn in 1..1000_u64 {
        let (refresh, now) = (Refresh::default(), turn * 100_000);
        let begun = AtomicUsize::new(0);
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            for who in 1..=3 {
                let (refresh, begun, barrier) = (&refresh, &begun, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    if let Ok(round) = refresh.begin(who, now, 0) {
                        begun.fetch_add(1, Ordering::Relaxed);
                        refresh.end(round, now, Ended::Known, 0);
                    }
                });
            }
        });
        assert_eq!(begun.into_inner(), 1, "turn {turn}");
    }
}
