//! Claims: names, replies, outcomes and times.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use cache_core::claim::{
    Channel, Claimed, Pace, Token, Told, extension, lease, message, name, parse, parse_verdict,
    remembered, told, verdict_text,
};
use cache_core::cluster::slot_of;
use cache_core::fence;
use cache_core::resp::Reply;
use cache_core::use_stale::Failure;
use cache_core::vary::VariantId;
use cache_core::verdict::Verdict;
use proptest::prelude::*;

const ID: VariantId = VariantId([0xa5; 16]);
const HEX: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";

fn bulk(text: &[u8]) -> Reply {
    Reply::Bulk(Some(Bytes::copy_from_slice(text)))
}

fn array(elements: &[Reply]) -> Reply {
    Reply::Array(Some(elements.to_vec()))
}

#[test]
fn names() {
    let cases: [(&str, &str, String); 4] = [
        ("/x", "{/x}:l", format!("{{/x}}:l{HEX}")),
        ("a{b", "{a{b}:l", format!("{{a{{b}}:l{HEX}")),
        (
            "{site}/x",
            "{site}:l:{site}/x",
            format!("{{site}}:l{HEX}:{{site}}/x"),
        ),
        (
            "/x{tag}y{other}",
            "{tag}:l:/x{tag}y{other}",
            format!("{{tag}}:l{HEX}:/x{{tag}}y{{other}}"),
        ),
    ];
    for (key, of_key, of_variant) in cases {
        assert_eq!(name(key.as_bytes(), None), of_key.as_bytes(), "{key}");
        assert_eq!(
            name(key.as_bytes(), Some(ID)),
            of_variant.as_bytes(),
            "{key}"
        );
    }
}

#[test]
fn what_replies_to_a_claim_mean() {
    let token = Token::new(0x1f);
    let held = |left| {
        array(&[
            bulk(b"held"),
            bulk(token.to_string().as_bytes()),
            Reply::Integer(left),
            Reply::Integer(1),
        ])
    };
    let mine = |fence: &'static [u8], changed| Claimed::Mine {
        fence: Bytes::from_static(fence),
        changed,
    };
    let by = |left| Claimed::Held {
        by: token,
        left,
        changed: true,
    };
    let cases = [
        (
            array(&[bulk(b"mine"), Reply::Bulk(None), Reply::Integer(0)]),
            mine(b"", false),
        ),
        (
            array(&[bulk(b"mine"), bulk(b"abc"), Reply::Integer(1)]),
            mine(b"abc", true),
        ),
        (held(1234), by(1234)),
        // A lease without an end, and one that lasts longer than anybody takes it for.
        (held(-1), by(0)),
        (held(i64::MAX), by(3000)),
        (
            array(&[bulk(b"known"), bulk(b"uncacheable"), Reply::Integer(7)]),
            Claimed::Unneeded { left: 7 },
        ),
        (
            array(&[bulk(b"known"), bulk(b"uncacheable"), Reply::Integer(-1)]),
            Claimed::Unneeded { left: 0 },
        ),
    ];
    for (reply, claimed) in cases {
        assert_eq!(parse(&reply), Some(claimed), "{reply:?}");
    }
}

#[test]
fn what_is_no_reply_to_a_claim() {
    let cases = [
        Reply::Integer(1),
        Reply::Array(None),
        array(&[]),
        array(&[bulk(b"mine")]),
        array(&[bulk(b"mine"), bulk(b""), Reply::Integer(2)]),
        array(&[bulk(b"mine"), Reply::Integer(0), Reply::Integer(0)]),
        array(&[
            bulk(b"held"),
            bulk(b"1f"),
            Reply::Integer(9),
            Reply::Integer(0),
        ]),
        array(&[bulk(b"held"), bulk(b"000000000000001f"), Reply::Integer(9)]),
        array(&[
            bulk(b"held"),
            bulk(b"000000000000001f"),
            Reply::Integer(9),
            Reply::Integer(2),
        ]),
        array(&[
            bulk(b"held"),
            Reply::Bulk(None),
            Reply::Integer(9),
            Reply::Integer(0),
        ]),
        // These would let nobody fill.
        array(&[bulk(b"known"), bulk(b"stored"), Reply::Integer(9)]),
        array(&[bulk(b"known"), bulk(b"failing 503"), Reply::Integer(9)]),
        array(&[bulk(b"known"), bulk(b"nonsense"), Reply::Integer(9)]),
        array(&[bulk(b"known"), bulk(b"uncacheable")]),
        array(&[bulk(b"other"), bulk(b"uncacheable"), Reply::Integer(9)]),
    ];
    for reply in cases {
        assert_eq!(parse(&reply), None, "{reply:?}");
    }
}

#[test]
fn verdicts_are_read_as_they_are_written() {
    let verdicts = [
        (Verdict::Stored, "stored"),
        (Verdict::NotStorable, "not-storable"),
        (Verdict::Uncacheable, "uncacheable"),
        (Verdict::Failed, "failed"),
        (Verdict::Failing(Failure::Error), "failing 1"),
        (Verdict::Failing(Failure::Timeout), "failing 2"),
        (Verdict::Failing(Failure::Status(503)), "failing 503"),
        (Verdict::Unavailable, "unavailable"),
        (Verdict::DoesNotFit, "does-not-fit"),
    ];
    for (verdict, text) in verdicts {
        assert_eq!(verdict_text(verdict), text);
        assert_eq!(parse_verdict(text.as_bytes()), Some(verdict));
    }
    let wrong = [
        "",
        "Stored",
        "stored ",
        "failing",
        "failing ",
        "failing 0",
        "failing 01",
        "failing 200",
        "failing +1",
        "failing 66036",
        "failing 99999999999",
        "failing 503 ",
    ];
    for text in wrong {
        assert_eq!(parse_verdict(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn only_what_is_uncacheable_is_remembered() {
    assert_eq!(remembered(Verdict::Uncacheable, 5000), Some(5000));
    assert_eq!(remembered(Verdict::Uncacheable, 0), None);
    for verdict in [Verdict::Stored, Verdict::NotStorable, Verdict::Failed] {
        assert_eq!(remembered(verdict, 5000), None, "{verdict:?}");
    }
}

#[test]
fn outcomes_are_heard_as_they_are_told() {
    let channel = Channel::of(b"{/x}:l");
    let name = channel.to_string();
    assert_eq!(name, "redis_cache:lock:884757f0c109efa09dbfe3fdcf4f2453");
    let (token, verdict) = (Token::new(7), Verdict::Failing(Failure::Status(500)));
    let text = message(token, verdict);
    assert_eq!(text, "0000000000000007 failing 500");
    let said = |kind: &[u8], name: &[u8], text: &[u8]| told(&[bulk(kind), bulk(name), bulk(text)]);
    let heard = Told {
        channel,
        token,
        verdict,
    };
    let (name, text) = (name.as_bytes(), text.as_bytes());
    assert_eq!(said(b"message", name, text), Some(heard));
    assert_eq!(said(b"subscribe", name, text), None);
    assert_eq!(said(b"message", fence::CHANNEL.as_bytes(), text), None);
    assert_eq!(said(b"message", name, b"0000000000000000 stored"), None);
    assert_eq!(said(b"message", name, b"0000000000000007stored"), None);
    assert_eq!(told(&[bulk(b"message"), bulk(name)]), None);
}

#[test]
fn times() {
    let cases = [(0, 1), (1, 1), (2000, 2000), (3000, 3000), (30_000, 3000)];
    for (age, time) in cases {
        assert_eq!(lease(age), time, "{age}");
    }
    assert_eq!(extension(3000), 1000);
    assert_eq!(extension(1), 1);
}

#[test]
fn a_waiter_looks_more_rarely_as_it_goes_on() {
    let pauses = |random: u64| {
        let mut pace = Pace::default();
        [0; 6].map(|_| pace.pause(3000, random))
    };
    assert_eq!(pauses(0), [25, 50, 100, 125, 125, 125]);
    // The longest that chance gives.
    let mut pace = Pace::default();
    let longest = [25, 50, 100, 125, 125].map(|random| pace.pause(3000, random));
    assert_eq!(longest, [50, 100, 200, 250, 250]);
    // It looks when the lease has ended.
    assert_eq!(pace.pause(60, 100), 61);
    assert_eq!(pace.pause(0, 100), 25);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn a_lease_is_in_the_slot_of_its_key_and_of_no_other(
        one in "[a-z/{}]{0,12}",
        other in "[a-z/{}]{0,12}",
    ) {
        let key = one.as_bytes();
        let names = [name(key, None), name(key, Some(ID)), fence::name(key)];
        for lease in &names {
            prop_assert_eq!(lease.first(), Some(&b'{'));
            prop_assert_eq!(slot_of(lease), slot_of(key));
        }
        prop_assert!(names[0] != names[1] && names[0] != names[2] && names[1] != names[2]);
        prop_assert_eq!(names[0] == name(other.as_bytes(), None), one == other);
    }

    #[test]
    fn a_pause_is_within_its_bounds(left in any::<u64>(), randoms in proptest::collection::vec(any::<u64>(), 1..20)) {
        let mut pace = Pace::default();
        for random in randoms {
            prop_assert!((25..=250).contains(&pace.pause(left, random)));
        }
    }

    #[test]
    fn whatever_comes_is_read_without_harm(text in proptest::collection::vec(any::<u8>(), 0..60)) {
        if let Some(verdict) = parse_verdict(&text) {
            prop_assert_eq!(verdict_text(verdict).into_bytes(), text.clone());
        }
        let name = Channel::of(b"x").to_string();
        if let Some(Told { token, verdict, .. }) = told(&[bulk(b"message"), bulk(name.as_bytes()), bulk(&text)]) {
            prop_assert_eq!(message(token, verdict).into_bytes(), text);
        }
    }
}
