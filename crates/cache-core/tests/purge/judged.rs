//! What becomes of a record.

use cache_core::purge::{
    Entry, Labels, Log, MAX_ENTRIES, Member, Mode, Scope, Selector, TagId, Tags, Verdict,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::naive::Naive;
use crate::origin;

const TAGS: [&str; 3] = ["a", "b", "c"];
const PATHS: [&str; 8] = ["/", "/a", "/a/", "/a/b", "/ab", "/a?b", "/a?", "/a?bc"];
const AUTHORITIES: [(bool, &str); 4] = [
    (true, "x.com"),
    (false, "x.com"),
    (true, "x.com:8443"),
    (true, "y.com"),
];

/// A record at https://x.com/a/b with the tag a and the group g.
fn record() -> Vec<u8> {
    let origin = origin(true, "x.com");
    let tags = vec![TagId::of_tag(b"a"), TagId::of_group(&origin, b"g")];
    Labels::encode(&origin, b"/a/b", &Tags::from(tags)).unwrap()
}

#[test]
fn a_later_purge_that_selects_it() {
    let text = record();
    let labels = Labels::parse(&text).unwrap();
    let group = |authority, name: &[u8]| {
        let id = TagId::of_group(&origin(true, authority), name);
        Entry {
            mode: Mode::Hard,
            selector: Selector::Group(id),
        }
        .encode()
    };
    let tag = |name: &[u8]| {
        let selector = Selector::Tag(TagId::of_tag(name));
        Entry {
            mode: Mode::Hard,
            selector,
        }
        .encode()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    let cases = [
        (text("all hard"), true),
        (text("floor hard"), true),
        (text("something new"), true),
        (text("server hard"), false),
        (tag(b"a"), true),
        (tag(b"A"), false),
        (tag(b"g"), false),
        (group("x.com", b"g"), true),
        (group("x.com", b"a"), false),
        (group("y.com", b"g"), false),
        (text("host hard x.com"), true),
        (text("host hard com"), false),
        (text("host hard y.com"), false),
        (text("origin hard https://x.com:443"), true),
        (text("origin hard http://x.com:80"), false),
        (text("origin hard https://x.com:8443"), false),
        (text("prefix hard x.com/a"), true),
        (text("prefix hard x.com/a/"), true),
        (text("prefix hard x.com/a/b"), true),
        (text("prefix hard x.com/a/bc"), false),
        (text("prefix hard x.com/A"), false),
        (text("prefix hard y.com/a"), false),
        (text("prefix hard */a"), true),
        (text("prefix hard */b"), false),
        (text("prefix hard https://x.com:443/a"), true),
        (text("prefix hard http://x.com:80/a"), false),
        (text("uri hard x.com/a/b"), true),
        (text("uri hard x.com/a"), false),
        (text("uri hard x.com/a/b?"), false),
        (text("uri hard */a/b"), true),
        (text("uri hard https://x.com:443/a/b"), true),
        (text("uri hard http://x.com:80/a/b"), false),
    ];
    for (member, selects) in cases {
        let shown = String::from_utf8(member.clone()).unwrap();
        let (wanted, wanted_soft) = if selects {
            (Verdict::Hard, Verdict::Soft)
        } else {
            (Verdict::Kept, Verdict::Kept)
        };
        let mut log = Log::default();
        log.apply(&member, 10);
        assert_eq!(log.judge(9, Some(&labels)), wanted, "{shown}");
        assert_eq!(log.judge(10, Some(&labels)), Verdict::Kept, "{shown}");
        let is_entry = !shown.starts_with("server");
        let unlabelled = if is_entry {
            Verdict::Hard
        } else {
            Verdict::Kept
        };
        assert_eq!(log.judge(9, None), unlabelled, "{shown}");
        assert_eq!(log.judge(10, None), Verdict::Kept, "{shown}");
        if shown == "something new" {
            continue;
        }
        let mut log = Log::default();
        log.apply(shown.replace(" hard", " soft").as_bytes(), 10);
        assert_eq!(log.judge(9, Some(&labels)), wanted_soft, "{shown}, soft");
    }
}

#[test]
fn the_harder_one_counts_and_the_later_one() {
    let text = record();
    let labels = Labels::parse(&text).unwrap();
    let mut log = Log::default();
    log.apply(b"host soft x.com", 20);
    log.apply(b"host hard x.com", 10);
    log.apply(b"prefix soft x.com/a", 30);
    let judged = |number| log.judge(number, Some(&labels));
    assert_eq!(judged(9), Verdict::Hard);
    assert_eq!(judged(10), Verdict::Soft);
    assert_eq!(judged(29), Verdict::Soft);
    assert_eq!(judged(30), Verdict::Kept);
    log.complete(0);
    assert_eq!(log.last(), 30);
    // out of order: an older number changes nothing
    log.apply(b"prefix soft x.com/a", 5);
    assert_eq!(log.judge(29, Some(&labels)), Verdict::Soft);
    assert_eq!((log.last(), log.len()), (30, 3));
}

/// What is put back by a new number: all others see it. A floor keeps its own, which others have passed.
#[test]
fn what_a_store_has_lost_is_put_back_by_those_that_know_it() {
    let mut log = Log::default();
    for (member, number) in [
        (&b"server 1"[..], 12),
        (b"all hard", 10),
        (b"tag soft 1234567890abcdef", 12),
    ] {
        log.apply(member, number);
    }
    log.complete(12);
    let lost = |all: &[(&[u8], u64)]| {
        let mut lost = log.lost(all.iter().copied());
        lost.sort();
        lost
    };
    let (all, tag) = (
        (b"all hard".to_vec(), 10),
        (b"tag soft 1234567890abcdef".to_vec(), 12),
    );
    assert_eq!(lost(&[]), [all.clone(), tag.clone()]);
    assert_eq!(lost(&[(b"tag soft 1234567890abcdef", 12)]), [all]);
    let whole: [(&[u8], u64); 3] = [
        (b"server 2", 12),
        (b"all hard", 10),
        (b"tag soft 1234567890abcdef", 12),
    ];
    assert_eq!(lost(&whole), [], "nothing is purged a second time");
    // The purge of all includes it. What is behind that others may have read past.
    let with = |member| [whole.as_slice(), &[member]].concat();
    assert_eq!(lost(&with((b"tag soft fedcba0987654321", 9))), []);
    let behind = (b"tag soft fedcba0987654321".to_vec(), 13);
    assert_eq!(lost(&with((b"tag soft fedcba0987654321", 11))), [behind]);
    // There was a purge 14 that this worker hasn't read. If nobody else knows it, it concerned all.
    log.complete(14);
    assert_eq!(log.judge(13, None), Verdict::Hard);
    let lost = log.lost([(&b"all hard"[..], 10)].into_iter());
    assert!(lost.contains(&(b"all hard".to_vec(), 14)), "{lost:?}");
    assert!(lost.contains(&tag), "{lost:?}");
}

/// The log is read in pages. What is added again meanwhile moves behind what was read.
#[test]
fn a_part_of_the_log_says_nothing() {
    let mut log = Log::default();
    log.apply(b"host hard a.com", 10);
    log.complete(10);
    assert_eq!(log.last(), 10);
    // "host hard x.com" was 11 until it was added again, as 13.
    log.apply(b"host hard b.com", 12);
    assert_eq!(log.last(), 10, "it is read again from there");
    log.apply(b"host hard x.com", 13);
    log.complete(12);
    assert_eq!(log.last(), 13);
    // Another reading of a part, and then the end: what was purged last is gone from the store.
    log.apply(b"host hard c.com", 14);
    log.complete(15);
    assert_eq!((log.last(), log.judge(14, None)), (15, Verdict::Hard));
    let nothing: [(&[u8], u64); 0] = [];
    assert!(!log.is_lost(nothing.into_iter()), "there is none to miss");
}

#[test]
fn an_entry_that_adds_nothing_takes_no_room() {
    let mut log = Log::default();
    log.apply(b"all hard", 10);
    log.apply(b"host hard x.com", 9);
    log.apply(b"host soft x.com", 10);
    assert!(log.is_empty());
    log.apply(b"host soft x.com", 11);
    assert_eq!(log.len(), 1);
    log.apply(b"server 0123", 99);
    log.complete(0);
    assert_eq!(log.last(), 11);
}

#[test]
fn a_full_log_forgets_its_older_half() {
    let mut log = Log::default();
    for number in 1..=MAX_ENTRIES as u64 {
        log.apply(format!("host hard h{number}").as_bytes(), number);
    }
    assert_eq!(log.len(), MAX_ENTRIES);
    let text = record();
    let labels = Labels::parse(&text).unwrap();
    assert_eq!(log.judge(0, Some(&labels)), Verdict::Kept);
    log.apply(b"host soft another", MAX_ENTRIES as u64 + 1);
    let half = MAX_ENTRIES as u64 / 2 + 1;
    assert_eq!(log.len() as u64, MAX_ENTRIES as u64 + 1 - half);
    // records from before the purges that were forgotten
    assert_eq!(log.judge(half - 1, Some(&labels)), Verdict::Hard);
    assert_eq!(log.judge(half, Some(&labels)), Verdict::Kept);
}

#[test]
fn soft_purges_that_were_forgotten_stay_soft() {
    let mut log = Log::bounded(4);
    for number in 1..=5 {
        log.apply(format!("host soft h{number}").as_bytes(), number);
    }
    let text = record();
    let labels = Labels::parse(&text).unwrap();
    assert_eq!(log.judge(0, Some(&labels)), Verdict::Soft);
    assert_eq!(log.judge(3, Some(&labels)), Verdict::Kept);
}

#[test]
fn long_entries_are_bounded_by_their_bytes() {
    let mut log = Log::default();
    let long = "x".repeat(2000);
    for number in 1..=5000 {
        log.apply(format!("uri hard x.com/{long}{number}").as_bytes(), number);
    }
    assert!((500..3000).contains(&log.len()), "{}", log.len());
}

/// Many prefixes of one host cost a hit no more than a few searches.
#[test]
fn prefixes_are_searched_not_tried() {
    let mut log = Log::default();
    for number in 1..MAX_ENTRIES as u64 {
        log.apply(format!("prefix hard x.com/{number:05}/").as_bytes(), number);
    }
    let origin = origin(true, "x.com");
    let text = Labels::encode(&origin, b"/00100/a", &Tags::default()).unwrap();
    let labels = Labels::parse(&text).unwrap();
    // 16,384 comparisons each time would take minutes in a debug build
    for _ in 0..100_000 {
        assert_eq!(log.judge(99, Some(&labels)), Verdict::Hard);
        assert_eq!(log.judge(100, Some(&labels)), Verdict::Kept);
    }
}

fn scopes() -> impl Strategy<Value = Scope> {
    let of = |(https, authority): (bool, &str)| {
        let origin = origin(https, authority);
        [Scope::host(origin.host()).unwrap(), Scope::Origin(origin)]
    };
    let all: Vec<_> = AUTHORITIES
        .into_iter()
        .flat_map(of)
        .chain([Scope::Any])
        .collect();
    select(all)
}

fn entries() -> impl Strategy<Value = Entry> {
    let path = || select(&PATHS[..]);
    let selector = prop_oneof![
        scopes().prop_map(Selector::Within),
        (scopes(), path())
            .prop_map(|(scope, path)| Selector::prefix(scope, path.as_bytes()).unwrap()),
        (scopes(), path()).prop_map(|(scope, path)| Selector::uri(scope, path.as_bytes()).unwrap()),
        select(&TAGS[..]).prop_map(|tag| Selector::Tag(TagId::of_tag(tag.as_bytes()))),
        (select(&AUTHORITIES[..]), select(&TAGS[..])).prop_map(|((https, at), group)| {
            Selector::Group(TagId::of_group(&origin(https, at), group.as_bytes()))
        }),
    ];
    let mode = prop_oneof![Just(Mode::Soft), Just(Mode::Hard)];
    (mode, selector).prop_map(|(mode, selector)| Entry { mode, selector })
}

/// The labels of a record, and its number.
fn records() -> impl Strategy<Value = (Option<Vec<u8>>, u64)> {
    let tags = proptest::collection::vec((any::<bool>(), select(&TAGS[..])), 0..3);
    let has_more = proptest::bool::weighted(0.1);
    let at = (select(&AUTHORITIES[..]), select(&PATHS[..]), any::<bool>());
    let labels = (at, tags, has_more).prop_map(
        |(((https, authority), path, any_arguments), tags, has_more)| {
            let origin = origin(https, authority);
            let ids = tags.iter().map(|(is_group, tag)| {
                if *is_group {
                    TagId::of_group(&origin, tag.as_bytes())
                } else {
                    TagId::of_tag(tag.as_bytes())
                }
            });
            let tags = Tags::from(ids.collect::<Vec<_>>());
            let encode = match any_arguments {
                true => Labels::encode_path,
                false => Labels::encode,
            };
            let mut text = encode(&origin, path.as_bytes(), &tags).unwrap();
            if has_more {
                text.extend_from_slice(b" +");
            }
            text
        },
    );
    (proptest::option::weighted(0.9, labels), 0_u64..40)
}

/// Entries with their numbers, which need not come in order: a worker reads again what it has.
fn history() -> impl Strategy<Value = Vec<(Entry, u64)>> {
    proptest::collection::vec((entries(), 1_u64..40), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_if_each_entry_were_asked(history in history(), records in proptest::collection::vec(records(), 8)) {
        let (mut log, mut naive) = (Log::default(), Naive::default());
        for (entry, number) in history {
            log.apply(&entry.encode(), number);
            naive.add(entry, number);
        }
        for (text, number) in records {
            let labels = text.as_deref().map(|text| Labels::parse(text).unwrap());
            let judged = log.judge(number, labels.as_ref());
            prop_assert_eq!(judged, naive.judge(number, labels.as_ref()), "{:?} {}", labels, number);
        }
    }

    #[test]
    fn a_bounded_log_covers_more_never_less(
        history in history(),
        bound in 2_usize..12,
        records in proptest::collection::vec(records(), 8),
    ) {
        let (mut log, mut naive) = (Log::bounded(bound), Naive::default());
        for (entry, number) in history {
            log.add(&entry, number);
            prop_assert!(log.len() <= bound);
            naive.add(entry, number);
        }
        for (text, number) in &records {
            let labels = text.as_deref().map(|text| Labels::parse(text).unwrap());
            let judged = log.judge(*number, labels.as_ref());
            prop_assert!(judged >= naive.judge(*number, labels.as_ref()));
            log.complete(0);
            if *number >= log.last() {
                prop_assert_eq!(judged, Verdict::Kept);
            }
        }
    }

    #[test]
    fn a_log_that_is_added_again_says_the_same(
        history in history(),
        bound in 2_usize..50,
        records in proptest::collection::vec(records(), 8),
    ) {
        let mut log = Log::bounded(bound);
        for (entry, number) in history {
            log.add(&entry, number);
        }
        let mut again = Log::bounded(1000);
        let members = log.members();
        for (text, number) in &members {
            prop_assert!(!matches!(Member::parse(text), Member::Unknown));
            again.apply(text, *number);
        }
        for (text, number) in records {
            let labels = text.as_deref().map(|text| Labels::parse(text).unwrap());
            // what a record without labels was purged by may have been dropped beside a later floor
            let (first, second) = (log.judge(number, labels.as_ref()), again.judge(number, labels.as_ref()));
            prop_assert_eq!(first, second);
        }
        log.complete(0);
        again.complete(0);
        prop_assert_eq!(again.last(), log.last());
    }
}

/// What a change of a path removes: what is for several arguments, at any spelling of it.
#[test]
fn a_path_whatever_its_arguments() {
    let origin = origin(true, "x.com");
    let host = Scope::host(b"x.com").unwrap();
    let whole = |target: &[u8]| Labels::encode_path(&origin, target, &Tags::default()).unwrap();
    let one = |target: &[u8]| Labels::encode(&origin, target, &Tags::default()).unwrap();
    let long = [b"/", "x".repeat(3000).as_bytes()].concat();
    let cases = [
        (&b"/a"[..], whole(b"/a?b=1"), true),
        (b"/a?c", whole(b"/a"), true),
        (b"/%61", whole(b"/a?b"), true),
        (b"/a", whole(b"//%61"), true),
        (&long, whole(&long), true),
        (b"/a", one(b"/a?b=1"), false),
        (b"/a", one(b"/a"), false),
        (b"/a", whole(b"/ab"), false),
        (b"/a", whole(b"/a/"), false),
    ];
    for scope in [host, Scope::Any, Scope::Origin(origin.clone())] {
        for (target, labels, expected) in &cases {
            let selector = Selector::of_path(scope.clone(), target).unwrap();
            let labels = Labels::parse(labels).unwrap();
            assert_eq!(selector.selects(Some(&labels)), *expected, "{selector:?}");
            let entry = Entry {
                mode: Mode::Hard,
                selector,
            };
            let mut log = Log::default();
            log.apply(&entry.encode(), 7);
            log.complete(7);
            let is_gone = log.judge(6, Some(&labels)) == Verdict::Hard;
            assert_eq!(is_gone, *expected, "{entry:?}");
            assert_eq!(log.judge(7, Some(&labels)), Verdict::Kept);
        }
    }
    assert_eq!(Selector::of_path(Scope::Any, b"*"), None);
}
