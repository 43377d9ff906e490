//! Cache-Control and Pragma of requests: RFC 9111 5.2.1 and 5.4 as tables, each row with its section.

use cache_core::request_directives::RequestDirectives;
use proptest::prelude::*;

const MAX: u32 = 0x7fff_ffff;

fn read(lines: &[&str], pragma: &[&str]) -> RequestDirectives {
    RequestDirectives::parse(
        lines.iter().map(|line| line.as_bytes()),
        pragma.iter().map(|line| line.as_bytes()),
    )
}

/// (section, Cache-Control, Pragma, what a `RequestDirectives` is with)
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    fn(&mut RequestDirectives),
);

#[test]
#[rustfmt::skip]
fn directives() {
    let cases: &[Case] = &[
        ("5.2.1 nothing asked", &[], &[], |_| {}),
        ("5.2.1.1", &["max-age=0"], &[], |d| d.max_age = Some(0)),
        ("5.2.1.1", &["max-age=60"], &[], |d| d.max_age = Some(60)),
        ("5.2.1.2 any staleness", &["max-stale"], &[], |d| d.max_stale = Some(MAX)),
        ("5.2.1.2", &["max-stale=60"], &[], |d| d.max_stale = Some(60)),
        ("5.2.1.3", &["min-fresh=60"], &[], |d| d.min_fresh = Some(60)),
        ("5.2.1.4", &["no-cache"], &[], |d| d.no_cache = true),
        ("5.2.1.5", &["no-store"], &[], |d| d.no_store = true),
        ("5.2.1.6", &["no-transform"], &[], |d| d.no_transform = true),
        ("5.2.1.6 beside others", &["max-age=5", "No-Transform"], &[], |d| { d.max_age = Some(5); d.no_transform = true; }),
        ("5.2.1.6 is none of Pragma's", &[], &["no-transform"], |_| {}),
        ("5.2.1.7", &["only-if-cached"], &[], |d| d.only_if_cached = true),
        ("5.2.3 unknown ones are skipped", &["immutable, x=\"no-store\""], &[], |_| {}),
        ("5.2 directives of responses ask nothing", &["private, s-maxage=5, must-revalidate"], &[], |_| {}),
        ("5.2 names ignore case", &["Max-Age=5, NO-CACHE"], &[], |d| { d.max_age = Some(5); d.no_cache = true; }),
        ("5.2 quoted form", &["max-age=\"5\""], &[], |d| d.max_age = Some(5)),
        ("9110 5.3 several lines", &["max-age=5", "only-if-cached"], &[], |d| { d.max_age = Some(5); d.only_if_cached = true; }),
        ("9110 5.6.1 empty members", &[" ,, max-age=5 ,"], &[], |d| d.max_age = Some(5)),
        ("1.2.2 overflow", &["max-age=99999999999"], &[], |d| d.max_age = Some(MAX)),
        // In doubt less of a record is usable.
        ("1.2.2 no number", &["max-age=x"], &[], |d| d.max_age = Some(0)),
        ("1.2.2 missing", &["max-age"], &[], |d| d.max_age = Some(0)),
        ("1.2.2 negative", &["max-age=-1"], &[], |d| d.max_age = Some(0)),
        ("1.2.2 no number", &["min-fresh=x"], &[], |d| d.min_fresh = Some(MAX)),
        ("1.2.2 missing", &["min-fresh"], &[], |d| d.min_fresh = Some(MAX)),
        ("1.2.2 no number", &["max-stale=x"], &[], |d| d.max_stale = Some(0)),
        ("1.2.2 empty", &["max-stale="], &[], |d| d.max_stale = Some(0)),
        ("5.2 several", &["max-age=5, max-age=9"], &[], |d| d.max_age = Some(5)),
        ("5.2 several", &["min-fresh=5, min-fresh=9"], &[], |d| d.min_fresh = Some(9)),
        ("5.2 several", &["max-stale, max-stale=9"], &[], |d| d.max_stale = Some(9)),
        ("5.4", &[], &["no-cache"], |d| d.no_cache = true),
        ("5.4 in a list", &[], &["x=1, No-Cache"], |d| d.no_cache = true),
        ("5.4 another word", &[], &["no-caches"], |_| {}),
        ("5.4 Cache-Control counts", &["max-age=5"], &["no-cache"], |d| d.max_age = Some(5)),
        ("5.4 an empty one says nothing", &[""], &["no-cache"], |d| d.no_cache = true),
    ];
    for (section, lines, pragma, set) in cases {
        let mut wanted = RequestDirectives::default();
        set(&mut wanted);
        assert_eq!(read(lines, pragma), wanted, "{section}: {lines:?} {pragma:?}");
    }
}

#[test]
#[rustfmt::skip]
fn records_that_will_do() {
    // (section, Cache-Control, age in s, fresh for another so many ms, accepted)
    let cases: &[(&str, &str, u32, i64, bool)] = &[
        ("5.2.1 nothing asked", "", 500, 1, true),
        ("5.2.1 stale is for others to permit", "", 500, -9_000, true),
        ("5.2.1.1", "max-age=10", 10, 5_000, true),
        ("5.2.1.1", "max-age=10", 11, 5_000, false),
        ("5.2.1.1", "max-age=0", 0, 5_000, true),
        ("5.2.1.1 nothing stale", "max-age=10", 5, 0, false),
        ("5.2.1.1 unless max-stale", "max-age=10, max-stale", 5, -1, true),
        ("5.2.1.2", "max-stale=5", 50, -5_000, true),
        ("5.2.1.2", "max-stale=5", 50, -5_001, false),
        ("5.2.1.2", "max-stale", 50, -999_999, true),
        ("5.2.1.2 fresh", "max-stale=5", 50, 1, true),
        ("5.2.1.3", "min-fresh=5", 50, 5_000, true),
        ("5.2.1.3", "min-fresh=5", 50, 4_999, false),
        ("5.2.1.3", "min-fresh=0", 50, 0, false),
        ("5.2.1.3 with max-stale", "min-fresh=5, max-stale", 50, -1, false),
        ("5.2.1.4", "no-cache", 0, 9_000, false),
        ("5.2.1.5 is not about records", "no-store", 0, 9_000, true),
        ("5.2.1.7 a record is what it wants", "only-if-cached", 0, 9_000, true),
    ];
    for (section, line, age, fresh_ms, wanted) in cases {
        let found = read(&[line], &[]).accepts(*age, *fresh_ms);
        assert_eq!(found, *wanted, "{section}: {line:?}, age {age}, fresh {fresh_ms}");
    }
    for (section, line, stale_ms, wanted) in [
        ("4.2.4 nothing said permits nothing", "max-age=5", 0, false),
        ("5.2.1.2", "max-stale=5", 5_000, true),
        ("5.2.1.2", "max-stale=5", 5_001, false),
        ("5.2.1.2", "max-stale", i64::from(MAX) * 1000, true),
    ] {
        assert_eq!(read(&[line], &[]).permits_stale(stale_ms), wanted, "{section}: {line:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4), age: u32, fresh: i64) {
        let found = RequestDirectives::parse(lines.iter().map(Vec::as_slice), lines.iter().map(Vec::as_slice));
        let _ = found.accepts(age, fresh);
    }

    /// Another line can only ask for more.
    #[test]
    fn more_lines_never_make_more_records_usable(
        first in "(max-age|min-fresh)=[0-9x]{0,4}", more in "((max-age|min-fresh)=[0-9x]{0,4},? ?){0,4}",
        age in 0..9999u32, fresh in -999_999..999_999i64,
    ) {
        prop_assert!(read(&[&first], &[]).accepts(age, fresh) || !read(&[&first, &more], &[]).accepts(age, fresh));
    }
}
