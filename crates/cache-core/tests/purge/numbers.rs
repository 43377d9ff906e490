use cache_core::purge::{LARGEST, SPAN, next_number};

#[test]
fn numbers_grow() {
    assert_eq!(next_number(0, 0, 0, true), 1);
    assert_eq!(next_number(7, 0, 0, true), 8);
    assert_eq!(next_number(7, 20, 0, true), 21);
    assert_eq!(next_number(7, 20, 1, true), SPAN);
}

#[test]
fn a_new_master_leaves_out_what_the_one_before_may_have_given() {
    assert_eq!(next_number(7, 0, 0, false), 7 + SPAN);
    // The first of a log is no failover.
    assert_eq!(next_number(0, 0, 0, false), 1);
}

#[test]
fn a_log_that_was_lost_goes_on_behind_what_it_gave() {
    let seconds = 1_800_000_000;
    let before = (0..1000).fold(0, |last, _| next_number(last, 0, seconds, true));
    assert!(next_number(0, 0, seconds + 1, true) > before);
    // A clock that leaps back by an hour: those who know the log say so.
    assert!(next_number(0, before, seconds - 3600, true) > before);
    assert!(next_number(before, 0, seconds - 3600, true) > before);
}

#[test]
fn numbers_are_exact_in_a_sorted_set() {
    assert_eq!(next_number(LARGEST, 0, 0, true), LARGEST);
    assert_eq!(next_number(0, 0, u64::MAX, false), LARGEST);
    // Time counts until the year 2242.
    assert_eq!(next_number(0, 0, 8_589_000_000, true), 8_589_000_000 * SPAN);
}
