use cache_core::purge::{Entry, Judgement, Labels, Log, Mode, Selector};
use proptest::prelude::*;

use super::{entry, host, labels, prefix, site, tag};

#[test]
fn what_began_later_is_kept() {
    let mut log = Log::default();
    log.note(entry(Mode::Hard, tag("news")), 10);
    let record = labels("a", "/", &["news"]);
    assert_eq!(log.judge(9, Some(&record)), Judgement::Hard);
    assert_eq!(log.judge(10, Some(&record)), Judgement::Kept);
    assert_eq!(log.judge(11, Some(&record)), Judgement::Kept);
    assert_eq!(log.last(), 10);
}

#[test]
fn the_harder_of_two_counts() {
    let mut log = Log::default();
    log.note(entry(Mode::Hard, tag("news")), 10);
    log.note(entry(Mode::Soft, tag("news")), 20);
    log.note(entry(Mode::Soft, host("a")), 5);
    let record = labels("a", "/", &["news"]);
    assert_eq!(log.judge(4, Some(&record)), Judgement::Hard);
    assert_eq!(log.judge(15, Some(&record)), Judgement::Soft);
    assert_eq!(log.judge(4, Some(&labels("a", "/", &[]))), Judgement::Soft);
    assert_eq!(log.judge(4, Some(&labels("b", "/", &[]))), Judgement::Kept);
}

#[test]
fn a_record_without_labels_is_meant_by_any() {
    let mut log = Log::default();
    assert_eq!(log.judge(0, None), Judgement::Kept);
    log.note(entry(Mode::Soft, tag("x")), 10);
    assert_eq!(log.judge(0, None), Judgement::Soft);
    log.note(entry(Mode::Hard, prefix("a", "/b")), 11);
    assert_eq!(log.judge(0, None), Judgement::Hard);
    assert_eq!(log.judge(11, None), Judgement::Kept);
}

#[test]
fn what_is_older_than_the_floor_counts_as_purged() {
    let mut log = Log::default();
    assert!(log.take(b"floor", 50));
    assert!(log.take(b"soft label 0123456789abcdef", 60));
    assert!(!log.take(b"nonsense", 70));
    let record = labels("a", "/", &[]);
    assert_eq!(log.judge(49, Some(&record)), Judgement::Hard);
    assert_eq!(log.judge(50, Some(&record)), Judgement::Kept);
    assert_eq!((log.last(), log.floor()), (60, 50));
    // It never sinks.
    assert!(log.take(b"floor", 40));
    assert_eq!(log.floor(), 50);
}

#[test]
fn the_longest_beginning_isnt_the_only_one() {
    let mut log = Log::default();
    log.note(entry(Mode::Hard, prefix("a", "/b")), 10);
    log.note(entry(Mode::Soft, prefix("a", "/b/c")), 20);
    log.note(entry(Mode::Hard, prefix("a", "/b/c/x")), 30);
    log.note(entry(Mode::Hard, prefix("a", "/b/c/a")), 40);
    let record = labels("a", "/b/c/d", &[]);
    assert_eq!(log.judge(5, Some(&record)), Judgement::Hard);
    assert_eq!(log.judge(15, Some(&record)), Judgement::Soft);
    assert_eq!(log.judge(25, Some(&record)), Judgement::Kept);
    assert_eq!(
        log.judge(35, Some(&labels("a", "/b/c/a/", &[]))),
        Judgement::Hard
    );
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![
        Just(Selector::All),
        "[ab]".prop_map(|name| host(&name)),
        "[ab]".prop_map(|name| Selector::Origin(site(&name))),
        ("[ab*]", "/[ab/]{0,5}").prop_map(|(name, path)| prefix(&name, &path)),
        "[abc]".prop_map(|name| tag(&name)),
    ]
}

fn record() -> impl Strategy<Value = Labels> {
    ("[ab]", "/[ab/]{0,6}", prop::collection::vec("[abc]", 0..3)).prop_map(|(host, path, tags)| {
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        labels(&host, &path, &tags)
    })
}

proptest! {
    /// The log says what a look at each entry says.
    #[test]
    fn it_judges_as_each_entry_does(
        purges in prop::collection::vec((selector(), any::<bool>()), 0..40),
        record in record(),
        number in 0_u64..50,
    ) {
        let mut log = Log::default();
        let mut plain = Judgement::Kept;
        for (at, (selector, hard)) in purges.into_iter().enumerate() {
            let at = at as u64 + 1;
            let mode = if hard { Mode::Hard } else { Mode::Soft };
            if at > number && selector.selects(&record) {
                let judged = if hard { Judgement::Hard } else { Judgement::Soft };
                plain = plain.max(judged);
            }
            let member = Entry { selector, mode }.encode();
            prop_assert!(log.take(&member, at));
        }
        prop_assert_eq!(log.judge(number, Some(&record)), plain);
        prop_assert!(log.judge(number, None) >= plain);
    }

    /// A log whose older entries have become the floor purges all that the whole one does.
    #[test]
    fn a_floor_covers_more_never_less(
        purges in prop::collection::vec((selector(), any::<bool>()), 1..40),
        record in record(),
        number in 0_u64..50,
        cut in 0_usize..40,
    ) {
        let (mut whole, mut short) = (Log::default(), Log::default());
        for (at, (selector, hard)) in purges.iter().enumerate() {
            let number = at as u64 + 1;
            let mode = if *hard { Mode::Hard } else { Mode::Soft };
            whole.note(entry(mode, selector.clone()), number);
            if at < cut {
                short.take(b"floor", number);
            } else {
                short.note(entry(mode, selector.clone()), number);
            }
        }
        prop_assert!(short.judge(number, Some(&record)) >= whole.judge(number, Some(&record)));
    }
}
