//! Cache-Control of responses as RFC 9111 5.2 wants it read: one table, each row with its section.

use cache_core::cache_control::{CacheControl, parse};
use proptest::prelude::*;

const MAX: u32 = 0x7fff_ffff;

fn read(lines: &[&str]) -> CacheControl {
    parse(lines.iter().map(|line| line.as_bytes()))
}

fn fields(names: &[&str]) -> Vec<Box<[u8]>> {
    names.iter().map(|name| name.as_bytes().into()).collect()
}

/// (section, lines, what a `CacheControl` is with)
type Case = (&'static str, &'static [&'static str], fn(&mut CacheControl));

fn check(cases: &[Case]) {
    for (section, lines, set) in cases {
        let mut wanted = CacheControl::default();
        set(&mut wanted);
        assert_eq!(read(lines), wanted, "{section}: {lines:?}");
    }
}

#[test]
#[rustfmt::skip]
fn directives() {
    check(&[
        ("5.2.2.1", &["max-age=300"], |c| c.max_age = Some(300)),
        ("5.2.2.2", &["must-revalidate"], |c| c.must_revalidate = true),
        ("5.2.2.3", &["must-understand"], |c| c.must_understand = true),
        ("5.2.2.4", &["no-cache"], |c| c.no_cache = true),
        ("5.2.2.5", &["no-store"], |c| c.no_store = true),
        ("5.2.2.6", &["no-transform"], |_| {}),
        ("5.2.2.7", &["private"], |c| c.private = true),
        ("5.2.2.8", &["proxy-revalidate"], |c| c.proxy_revalidate = true),
        ("5.2.2.9", &["public"], |c| c.public = true),
        ("5.2.2.10", &["s-maxage=60"], |c| c.s_maxage = Some(60)),
        ("5861 3", &["stale-while-revalidate=5"], |c| c.stale_while_revalidate = Some(5)),
        ("5861 4", &["stale-if-error=6"], |c| c.stale_if_error = Some(6)),
        ("5.2.3 unknown ones are skipped", &["immutable, x=1"], |_| {}),
        ("5.2.3", &["stale-while-revalidate-not=5"], |_| {}),
        ("5.2 names ignore case", &["MAX-Age=1, No-Store"], |c| { c.max_age = Some(1); c.no_store = true; }),
        ("5.2 no argument defined", &["no-store=x, public=1"], |c| { c.no_store = true; c.public = true; }),
    ]);
}

#[test]
#[rustfmt::skip]
fn lists() {
    check(&[
        ("9110 5.6.1", &[""], |_| {}),
        ("9110 5.6.1 empty members", &[", ,,max-age=1,\t,"], |c| c.max_age = Some(1)),
        ("9110 5.6.3 no white space", &["public,max-age=1"], |c| { c.public = true; c.max_age = Some(1); }),
        ("9110 5.6.3 much white space", &[" \tpublic \t, max-age=1 "], |c| { c.public = true; c.max_age = Some(1); }),
        ("9110 5.3 several lines", &["public", "max-age=1, no-cache"], |c| { c.public = true; c.max_age = Some(1); c.no_cache = true; }),
        ("9110 5.6.4 comma in quotes", &["x=\"no-store, max-age=9\""], |_| {}),
        ("9110 5.6.4 escaped quote", &["x=\"a\\\", no-store\", public"], |c| c.public = true),
        ("9110 5.6.4 open quote hides nothing", &["x=\"a, no-store"], |c| c.no_store = true),
        ("9110 5.6.4", &["x=\"a\", y=\"b, private, z=\"c"], |c| c.private = true),
        ("9110 5.6.4", &["x=\"a\\\", no-store"], |c| c.no_store = true),
        ("9110 5.6.1 blanks are no separator", &["public max-age=5"], |_| {}),
        ("9110 5.6.1 nor are semicolons", &["public; max-age=5"], |_| {}),
    ]);
}

#[test]
#[rustfmt::skip]
fn lifetimes() {
    check(&[
        ("1.2.2", &["max-age=0"], |c| c.max_age = Some(0)),
        ("1.2.2 leading zeros", &["max-age=0060"], |c| c.max_age = Some(60)),
        ("1.2.2 largest", &["max-age=2147483647"], |c| c.max_age = Some(MAX)),
        ("1.2.2 overflow", &["max-age=2147483648"], |c| c.max_age = Some(MAX)),
        ("1.2.2 overflow", &["max-age=4294967296"], |c| c.max_age = Some(MAX)),
        ("1.2.2 overflow", &["max-age=99999999999999999999999"], |c| c.max_age = Some(MAX)),
        ("5.2 quoted form", &["max-age=\"60\""], |c| c.max_age = Some(60)),
        ("4.2.1 missing", &["max-age"], |c| c.max_age = Some(0)),
        ("4.2.1 empty", &["max-age="], |c| c.max_age = Some(0)),
        ("4.2.1 empty", &["max-age=\"\""], |c| c.max_age = Some(0)),
        ("4.2.1 negative", &["max-age=-5"], |c| c.max_age = Some(0)),
        ("4.2.1 plus", &["max-age=+5"], |c| c.max_age = Some(0)),
        ("4.2.1 decimal", &["max-age=1.5"], |c| c.max_age = Some(0)),
        ("4.2.1 hexadecimal", &["max-age=0x10"], |c| c.max_age = Some(0)),
        ("4.2.1 text", &["max-age=1h"], |c| c.max_age = Some(0)),
        ("4.2.1 single quotes", &["max-age='60'"], |c| c.max_age = Some(0)),
        ("4.2.1 blank before =", &["max-age =60"], |c| c.max_age = Some(0)),
        ("4.2.1 blank after =", &["max-age= 60"], |c| c.max_age = Some(0)),
        ("4.2.1 blank in quotes", &["max-age=\" 60\""], |c| c.max_age = Some(0)),
        ("4.2.1 colon, as the Lua script has it", &["max-age:300"], |_| {}),
        ("4.2.1 least of several", &["max-age=60, max-age=5"], |c| c.max_age = Some(5)),
        ("4.2.1 least of lines", &["max-age=5", "max-age=60"], |c| c.max_age = Some(5)),
        ("4.2.1 a bad one among several", &["max-age=60, max-age=x"], |c| c.max_age = Some(0)),
        ("5.2.2.10", &["s-maxage=x"], |c| c.s_maxage = Some(0)),
        ("5861 3", &["stale-while-revalidate"], |c| c.stale_while_revalidate = Some(0)),
        ("5861 4", &["stale-if-error=9, stale-if-error=3"], |c| c.stale_if_error = Some(3)),
        ("9110 5.6.4 quote never closed", &["max-age=\"60"], |c| c.max_age = Some(0)),
    ]);
}

#[test]
#[rustfmt::skip]
fn restrictions_limited_to_fields() {
    check(&[
        ("5.2.2.7", &["private=\"Set-Cookie\""], |c| { c.private = true; c.private_fields = fields(&["Set-Cookie"]); }),
        ("5.2.2.4", &["no-cache=\"A, b ,,C\""], |c| { c.no_cache = true; c.no_cache_fields = fields(&["A", "b", "C"]); }),
        ("5.2.2.4 token form", &["no-cache=A"], |c| { c.no_cache = true; c.no_cache_fields = fields(&["A"]); }),
        ("5.2.2.7 two lists", &["private=\"A\"", "private=\"B\""], |c| { c.private = true; c.private_fields = fields(&["A", "B"]); }),
        ("5.2.2.7 whole wins", &["private, private=\"A\""], |c| c.private = true),
        ("5.2.2.7 whole wins", &["private=\"A\", private"], |c| c.private = true),
        ("5.2.2.7 and stays", &["private=\"A\", private, private=\"B\""], |c| c.private = true),
        ("4.2.1 empty list", &["private=\"\""], |c| c.private = true),
        ("4.2.1 no argument", &["private="], |c| c.private = true),
        ("4.2.1 no field name", &["private=\"A, b c\""], |c| c.private = true),
        ("4.2.1 open quote", &["private=\"A"], |c| c.private = true),
        ("4.2.1 blank before =", &["private =\"A\""], |c| c.private = true),
    ]);
}

proptest! {
    #[test]
    fn any_bytes_are_read(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..4)) {
        parse(lines.iter().map(Vec::as_slice));
    }

    /// Nothing that stands before, behind or around it takes a restriction away, short of a quoted string
    /// that closes.
    #[test]
    fn a_restriction_is_found_among_anything(before in "[a-z=0-9, ]{0,20}", after in "[a-z=\"0-9, \\\\]{0,20}") {
        let line = format!("{before},no-store,{after}");
        prop_assert!(read(&[&line]).no_store, "{line:?}");
    }

    /// Another line can only restrict further.
    #[test]
    fn more_lines_never_lengthen_a_lifetime(seconds in any::<u32>(), more in "(max-age=[0-9x]{0,12},? ?){0,4}") {
        let first = format!("max-age={seconds}");
        let alone = read(&[&first]).max_age;
        prop_assert!(read(&[&first, &more]).max_age <= alone);
    }
}
