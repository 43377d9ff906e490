//! Cache-Control of a response. The input is its lines.

use cache_core::cache_control::{CacheControl, parse};
use cache_core::units::MAX_SECONDS;

use super::{lines, shown};

/// What is read is written the same way again; the order of lines doesn't matter to what is decided; no line
/// takes a restriction back that another made.
pub fn holds(input: &[u8]) {
    let read = parse(lines(input));
    let written = print(&read);
    assert_eq!(
        parse([written.as_slice()].into_iter()),
        read,
        "{}",
        shown(&written)
    );

    for time in times(&read).into_iter().flatten() {
        assert!(time <= MAX_SECONDS);
    }
    for line in lines(input) {
        restricts_as_much(&read, &parse([line].into_iter()));
    }
    if !input.contains(&b'"') {
        // RFC 9110 5.3: lines are one list
        let joined: Vec<u8> = lines(input).collect::<Vec<_>>().join(&b", "[..]);
        assert_eq!(parse([joined.as_slice()].into_iter()), read);
    }
}

/// All lines together allow nothing that one of them forbids.
fn restricts_as_much(all: &CacheControl, one: &CacheControl) {
    assert!(all.no_store || !one.no_store);
    assert!(all.must_revalidate || !one.must_revalidate);
    assert!(all.proxy_revalidate || !one.proxy_revalidate);
    assert!(all.must_understand || !one.must_understand);
    let limited = |all: &[Box<[u8]>], one: &[Box<[u8]>]| {
        all.is_empty() || !one.is_empty() && one.iter().all(|field| all.contains(field))
    };
    assert!(!one.private || all.private && limited(&all.private_fields, &one.private_fields));
    assert!(!one.no_cache || all.no_cache && limited(&all.no_cache_fields, &one.no_cache_fields));
    for (all, one) in times(all).into_iter().zip(times(one)) {
        assert!(one.is_none_or(|one| all.is_some_and(|all| all <= one)));
    }
}

fn times(read: &CacheControl) -> [Option<u32>; 4] {
    [
        read.max_age,
        read.s_maxage,
        read.stale_while_revalidate,
        read.stale_if_error,
    ]
}

/// As a list, which is a dictionary of Structured Fields, too.
pub fn print(read: &CacheControl) -> Vec<u8> {
    let mut text = Vec::new();
    let flags: [(&str, bool); 5] = [
        ("no-store", read.no_store),
        ("public", read.public),
        ("must-revalidate", read.must_revalidate),
        ("proxy-revalidate", read.proxy_revalidate),
        ("must-understand", read.must_understand),
    ];
    for (name, present) in flags {
        if present {
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b", ");
        }
    }
    for (name, present, fields) in [
        ("no-cache", read.no_cache, &read.no_cache_fields),
        ("private", read.private, &read.private_fields),
    ] {
        if present {
            text.extend_from_slice(name.as_bytes());
            if !fields.is_empty() {
                text.extend_from_slice(b"=\"");
                text.extend_from_slice(&fields.join(&b", "[..]));
                text.push(b'"');
            }
            text.extend_from_slice(b", ");
        }
    }
    let names = [
        "max-age",
        "s-maxage",
        "stale-while-revalidate",
        "stale-if-error",
    ];
    for (name, time) in names.into_iter().zip(times(read)) {
        if let Some(time) = time {
            text.extend_from_slice(format!("{name}={time}, ").as_bytes());
        }
    }
    // a dictionary doesn't end in a comma
    text.truncate(text.len().saturating_sub(2));
    text
}
