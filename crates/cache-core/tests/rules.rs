//! The lists of directives: which statuses and methods they name, and what is wrong in them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;

use cache_core::freshness::Heuristic;
use cache_core::ignore::Ignore;
use cache_core::rules::{BadList, MethodList, Rules, SetCookie, StatusList};
use cache_core::use_stale::UseStale;

#[test]
fn status_lists() {
    for text in ["200 405 ", "200 405", "200,405", " 200 ,\t405,, "] {
        let list = StatusList::parse(text.as_bytes()).unwrap();
        assert!(
            list.contains(200) && list.contains(405) && !list.contains(404),
            "{text:?}"
        );
    }
    let bad = |item: &str| Err(BadList::Status(item.to_owned()));
    for (text, wanted) in [
        ("", Err(BadList::Empty)),
        (" , ", Err(BadList::Empty)),
        ("200 abc", bad("abc")),
        ("199", bad("199")),
        ("600", bad("600")),
        ("20", bad("20")),
        ("0200", bad("0200")),
        ("2xx", bad("2xx")),
        ("200;405", bad("200;405")),
        ("-200", bad("-200")),
        ("65736", bad("65736")),
    ] {
        assert_eq!(StatusList::parse(text.as_bytes()), wanted, "{text:?}");
    }
    assert!(StatusList::parse(b"ANY").unwrap().contains(503));
    assert!(StatusList::default().contains(200) && !StatusList::default().contains(204));
    assert_eq!(
        StatusList::parse(b"2\xff0").unwrap_err().to_string(),
        "invalid status \"2\u{fffd}0\", expected 200 to 599 or \"any\""
    );
}

#[test]
fn status_directives() {
    let with = |arguments: &[&[u8]]| StatusList::empty().with_directive(arguments);
    let bad = |item: &str| Err(BadList::Status(item.to_owned()));
    assert_eq!(with(&[]), Err(BadList::Empty));
    assert_eq!(with(&[b"5m"]), bad("5m"), "a time alone lists no status");
    assert_eq!(with(&[b"200", b"60"]), bad("60"), "a time has a unit");
    assert_eq!(with(&[b"200", b"5x"]), bad("5x"));
    assert_eq!(with(&[b"5m", b"200"]), bad("5m"));
    let list = with(&[b"200", b"302", b"5m"]).unwrap();
    assert_eq!(
        (list.age(200), list.age(302), list.age(404)),
        (Some(300), Some(300), None)
    );
    // The first that lists a status counts, as with proxy_cache_valid.
    let list = list.with_directive(&[b"200", b"1s"]).unwrap();
    assert_eq!(list.age(200), Some(300));
}

#[test]
fn method_lists() {
    for text in ["GET POST ", "GET,POST", " GET , POST"] {
        let list = MethodList::parse(text.as_bytes()).unwrap();
        assert!(
            list.contains(b"GET") && list.contains(b"POST") && !list.contains(b"HEAD"),
            "{text:?}"
        );
    }
    let default = MethodList::default();
    assert!(default.contains(b"GET") && default.contains(b"HEAD") && !default.contains(b"POST"));
    // 9110 9.1: case-sensitive, any token.
    assert!(!default.contains(b"get") && !default.contains(b""));
    assert!(MethodList::parse(b"REPORT").unwrap().contains(b"REPORT"));
    assert_eq!(MethodList::parse(b" "), Err(BadList::Empty));
    assert_eq!(
        MethodList::parse(b"GET P/T"),
        Err(BadList::Method("P/T".to_owned()))
    );
    assert_eq!(
        BadList::Method("P/T".to_owned()).to_string(),
        "invalid method \"P/T\""
    );
}

/// Locations whose rules are equal share what was made of a record, each of which has rules of its own.
#[test]
fn rules_are_equal_if_all_of_them_are() {
    let own = Rc::new(Rules::default());
    assert_eq!(own, Rc::new(Rules::default()));
    let changes: [fn(&mut Rules); 11] = [
        |rules| rules.statuses = StatusList::parse(b"any").unwrap(),
        |rules| rules.age += 1,
        |rules| {
            rules.heuristic = Some(Heuristic {
                percent: 10,
                max: 60,
            })
        },
        |rules| rules.stale += 1,
        |rules| rules.stale_on_error = Some(1),
        |rules| {
            rules.ignore = Ignore {
                vary: true,
                ..Ignore::NONE
            }
        },
        |rules| rules.set_cookie = SetCookie::Public,
        |rules| rules.max_size += 1,
        |rules| rules.use_stale = UseStale::HTTP_403,
        |rules| rules.revalidate = false,
        |rules| rules.variants += 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = Rules::default();
        change(&mut other);
        assert_ne!(*own, other, "{number}");
    }
}
