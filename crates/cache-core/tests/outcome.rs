//! What becomes of a request: its word, status, reason and source, for each reason there is.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::rc::Rc;

use cache_core::flow::{Answer, Behind, Finding, Head, Held, Refill, Turn, turn};
use cache_core::outcome::{CacheStatus, Outcome, Reason, Source, Word};
use cache_core::record::{RawRecord, Record, decode};
use cache_core::rules::Rules;
use cache_core::use_stale::{Failure, UseStale};

fn record() -> Rc<Record> {
    let raw = RawRecord {
        pttl: 150_000,
        status: Some("200".into()),
        headers: Some("{}".into()),
        body: Some("x".into()),
        meta: None,
    };
    let decoded = decode(&raw, &Rules::default()).unwrap().unwrap();
    Rc::clone(decoded.record())
}

fn held(on_failure: UseStale) -> Held {
    Held {
        record: record(),
        on_failure,
    }
}

type Of = (Option<Word>, CacheStatus, Option<Reason>, Option<Source>);

fn parts(outcome: Outcome) -> Of {
    (
        outcome.word(),
        outcome.status(),
        outcome.reason(),
        outcome.source(),
    )
}

fn of(word: Word, status: CacheStatus, reason: Reason, source: Source) -> Of {
    let by_the_cache = matches!(reason, Reason::OnlyIfCached | Reason::StoreRequired);
    let source = (!by_the_cache).then_some(source);
    (Some(word), status, Some(reason), source)
}

/// What the cache answers itself comes from nowhere else.
#[test]
fn its_own_responses_have_no_source() {
    for reason in [Reason::OnlyIfCached, Reason::StoreRequired] {
        assert_eq!(Outcome::passed(reason).source(), None);
    }
    let source = Outcome::passed(Reason::Bypass).source();
    assert_eq!(source, Some(Source::Backend));
}

#[test]
fn each_reason_has_a_place_and_words_of_its_own() {
    let texts: HashSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(texts.len(), Reason::ALL.len());
    for (place, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(reason.place(), place, "{reason}");
    }
}

#[test]
fn what_passes_by_the_cache_is_a_bypass_if_nobody_looked() {
    let unseen = [
        Reason::MethodNotListed,
        Reason::Content,
        Reason::ContentUnknown,
        Reason::Slice,
        Reason::Bypass,
        Reason::Upgrade,
    ];
    for reason in Reason::ALL {
        let status = if unseen.contains(reason) {
            CacheStatus::Bypass
        } else {
            CacheStatus::Miss
        };
        let wanted = of(Word::Skip, status, *reason, Source::Backend);
        assert_eq!(parts(Outcome::passed(*reason)), wanted);
    }
}

#[test]
fn what_is_known_not_to_be_stored_is_skipped() {
    for reason in Reason::ALL {
        for status in [CacheStatus::Miss, CacheStatus::Expired, CacheStatus::Bypass] {
            let wanted = of(Word::Skip, status, *reason, Source::Backend);
            assert_eq!(parts(Outcome::filled(status, Some(*reason))), wanted);
            assert_eq!(
                parts(Outcome::filled(status, None).not_stored(*reason)),
                wanted
            );
        }
    }
}

/// What becomes of a fill says more than what was expected of it.
#[test]
fn the_end_of_a_fill_tells_why() {
    for reason in Reason::ALL {
        let expected = Outcome::filled(CacheStatus::Miss, None);
        assert_eq!(expected.reason_after(Some(*reason)), Some(*reason));
        assert_eq!(expected.reason_after(None), Some(Reason::Storing));
        let known = Outcome::passed(*reason);
        assert_eq!(known.reason_after(None), Some(*reason));
    }
}

/// Before the header goes: what it says agrees with the reason.
#[test]
fn a_response_whose_fill_has_failed_is_not_being_stored() {
    let storing = Outcome::filled(CacheStatus::Expired, None);
    let known = Outcome::filled(CacheStatus::Miss, Some(Reason::StoreUnavailable));
    let others = [Outcome::fresh(Source::Store), Outcome::joined(true), known];
    for reason in Reason::ALL {
        let wanted = match reason {
            Reason::Truncated
            | Reason::TooLarge
            | Reason::CaptureMemory
            | Reason::CaptureTimeout => storing.not_stored(*reason),
            // What the store says of it comes later than most headers.
            _ => storing,
        };
        assert_eq!(storing.after_fill(Some(*reason)), wanted);
        for other in others {
            assert_eq!(other.after_fill(Some(*reason)), other);
        }
    }
    assert_eq!(storing.after_fill(None), storing);
}

/// Why a store can't take a response says more than that it has not taken it.
#[test]
fn a_fill_that_fails_as_was_known_ends_for_that_reason() {
    for known in Reason::ALL {
        let failed = Reason::StoreFailed;
        let wanted = match known {
            Reason::StoreUnavailable | Reason::WrongType => *known,
            _ => failed,
        };
        assert_eq!(failed.of_fill(Some(*known)), wanted);
        for ended in Reason::ALL.iter().filter(|ended| **ended != failed) {
            assert_eq!(ended.of_fill(Some(*known)), *ended, "after {known}");
        }
        assert_eq!(known.of_fill(None), *known);
    }
}

#[test]
fn a_purge_has_no_word_no_reason_and_no_source() {
    let wanted = (None, CacheStatus::Purge, None, None);
    assert_eq!(parts(Outcome::purge()), wanted);
}

type Decided = Answer<(), (), ()>;

#[test]
#[rustfmt::skip]
fn answers() {
    let refill = || Refill { permit: (), slot: (), look_again: false, on_failure: UseStale::NONE };
    for found in [Source::Memory, Source::Store] {
        for bypass in [false, true] {
            let missed = if bypass { CacheStatus::Bypass } else { CacheStatus::Miss };
            let expired = if bypass { CacheStatus::Bypass } else { CacheStatus::Expired };
            let cases: Vec<(Decided, Of)> = vec![
                (Answer::Hit(record()), of(Word::Hit, CacheStatus::Hit, Reason::Fresh, found)),
                (Answer::Ahead(record(), refill()), of(Word::Hit, CacheStatus::Hit, Reason::Fresh, found)),
                (Answer::Stale(record(), Behind::Refill(refill())), of(Word::Stale, CacheStatus::Stale, Reason::Stale, found)),
                (Answer::Stale(record(), Behind::Updating), of(Word::Stale, CacheStatus::Updating, Reason::Updating, found)),
                (Answer::Stale(record(), Behind::Failing), of(Word::Stale, CacheStatus::Stale, Reason::BackendFailed, found)),
                (Answer::Fill(Some(()), None, None), of(Word::Store, missed, Reason::Storing, Source::Backend)),
                (Answer::Fill(Some(()), None, Some(held(UseStale::NONE))), of(Word::Store, expired, Reason::Storing, Source::Backend)),
                (Answer::Fill(None, Some(Reason::ZoneFull), None), of(Word::Skip, missed, Reason::ZoneFull, Source::Backend)),
                (Answer::Join(()), of(Word::Hit, CacheStatus::Hit, Reason::Subscribed, Source::Backend)),
                (Answer::Pass(Reason::LockTimeout), of(Word::Skip, CacheStatus::Miss, Reason::LockTimeout, Source::Backend)),
                (Answer::Pass(Reason::OnlyIfCached), of(Word::Skip, CacheStatus::Miss, Reason::OnlyIfCached, Source::Backend)),
            ];
            for (answer, wanted) in cases {
                assert_eq!(parts(answer.outcome(found, bypass)), wanted);
            }
        }
    }
    let lost = of(Word::Skip, CacheStatus::Miss, Reason::StoreUnavailable, Source::Backend);
    assert_eq!(parts(Outcome::joined(false)), lost);
}

/// What the header of a fill's response means, whoever waits for it.
#[test]
#[rustfmt::skip]
fn turns() {
    let before = Outcome::filled(CacheStatus::Expired, None);
    let not_storable = Finding::NotStorable(Reason::SetCookie);
    let failed = Finding::Failed(Failure::Status(500));
    let head = |finding| Head { finding, not_modified: false, generated: false, is_far: false };
    let (lenient, strict) = (held(UseStale::default()), held(UseStale::NONE));
    let never_stale = {
        let mut record = Record::clone(&record());
        record.terms.never_stale = true;
        Held { record: Rc::new(record), on_failure: UseStale::NONE }
    };
    let expired = |word, reason| of(word, CacheStatus::Expired, reason, Source::Backend);
    let instead = of(Word::Stale, CacheStatus::Stale, Reason::BackendFailed, Source::Store);
    let passed = |reason| of(Word::Skip, CacheStatus::Miss, reason, Source::Backend);
    let storing = expired(Word::Store, Reason::Storing);
    let skipped = expired(Word::Skip, Reason::SetCookie);
    let no_response = expired(Word::Skip, Reason::BackendFailed);
    let cases = [
        ("no response", None, None, Turn::BadGateway, no_response),
        ("no response, a record", None, Some(&lenient), Turn::Held, instead),
        ("no response, one for no failure", None, Some(&strict), Turn::BadGateway, no_response),
        ("no response, must-revalidate", None, Some(&never_stale), Turn::GatewayTimeout, no_response),
        ("a failure, a record", Some(head(&failed)), Some(&strict), Turn::Held, instead),
        ("a failure", Some(head(&failed)), None, Turn::Stream, storing),
        ("not storable", Some(head(&not_storable)), None, Turn::Stream, skipped),
        ("a 304 that confirms nothing", Some(Head { not_modified: true, ..head(&not_storable) }), Some(&strict), Turn::Pass, passed(Reason::NotModified)),
        ("a far part", Some(Head { is_far: true, ..head(&not_storable) }), None, Turn::Pass, passed(Reason::SetCookie)),
        ("nginx's own page, must-revalidate", Some(Head { generated: true, ..head(&not_storable) }), Some(&never_stale), Turn::GatewayTimeout, skipped),
        ("nginx's own page", Some(Head { generated: true, ..head(&not_storable) }), Some(&strict), Turn::Stream, skipped),
    ];
    for (name, head, held, wanted, outcome) in cases {
        let (is, after) = turn(before, head, (held, Source::Store));
        assert_eq!((is, parts(after)), (wanted, outcome), "{name}");
    }
    let known = Outcome::filled(CacheStatus::Miss, Some(Reason::StoreUnavailable));
    let (_, after) = turn(known, Some(head(&not_storable)), (None, Source::Store));
    assert_eq!(parts(after), passed(Reason::SetCookie), "its own reason says more");
    for (own, status, reason) in [(true, CacheStatus::Revalidated, Reason::Revalidated), (false, CacheStatus::Hit, Reason::Subscribed)] {
        let wanted = of(Word::Hit, status, reason, Source::Memory);
        assert_eq!(parts(Outcome::confirmed(own, Source::Memory)), wanted);
    }
}
