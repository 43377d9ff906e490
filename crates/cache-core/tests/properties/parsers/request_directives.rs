//! Cache-Control and Pragma of a request. The input: lines of the one, an empty line, lines of the other.

use cache_core::request_directives::RequestDirectives;
use cache_core::units::MAX_SECONDS;

use super::{lines, shown};

/// What is read is written the same way again; who asks for more gets no more records.
pub fn holds(input: &[u8]) {
    let at = input.windows(2).position(|pair| pair == b"\n\n");
    let (control, pragma) = match at {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[][..]),
    };
    let read = RequestDirectives::parse(lines(control), lines(pragma));
    let written = print(&read);
    let again = RequestDirectives::parse([written.as_bytes()].into_iter(), lines(b""));
    assert_eq!(again, read, "{written}: {}", shown(input));

    for time in [read.max_age, read.min_fresh, read.max_stale] {
        assert!(time.is_none_or(|time| time <= MAX_SECONDS));
    }
    let nothing = RequestDirectives::default();
    for age in [0, 1, 60, MAX_SECONDS] {
        for fresh_ms in [i64::MIN, -60_000, -1, 0, 1, 60_000, i64::MAX] {
            let accepted = read.accepts(age, fresh_ms);
            assert!(nothing.accepts(age, fresh_ms) || !accepted);
            assert!(!(read.no_cache && accepted));
        }
    }
}

fn print(read: &RequestDirectives) -> String {
    let flags = [
        ("no-cache", read.no_cache),
        ("no-store", read.no_store),
        ("only-if-cached", read.only_if_cached),
    ];
    let times = [
        ("max-age", read.max_age),
        ("min-fresh", read.min_fresh),
        ("max-stale", read.max_stale),
    ];
    let flags = flags
        .into_iter()
        .filter(|(_, present)| *present)
        .map(|(name, _)| name.to_owned());
    let times = times
        .into_iter()
        .filter_map(|(name, time)| Some(format!("{name}={}", time?)));
    flags.chain(times).collect::<Vec<_>>().join(", ")
}
