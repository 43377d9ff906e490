//! Which slices an object has, what they are called, how long they are kept.

use cache_core::cluster::slot_of;
use cache_core::slices::lifetime::{MARGIN, expiry, extension};
use cache_core::slices::{LARGEST, SMALLEST, Sliced, Span};
use cache_core::units::MAX_SECONDS;

use super::{object, span, token};

const MIB: u64 = 1 << 20;
/// The longest object, in bytes: nginx's numbers have a sign.
const LONGEST: u64 = (1 << 63) - 1;

#[test]
fn spans() {
    let cases = [
        // (size, total, slice, its bytes)
        (10, 95, 0, Some((0, 9))),
        (10, 95, 8, Some((80, 89))),
        (10, 95, 9, Some((90, 94))),
        (10, 95, 10, None),
        (10, 100, 9, Some((90, 99))),
        (10, 100, 10, None),
        (10, 1, 0, Some((0, 0))),
        (MIB, LONGEST, u64::MAX, None),
    ];
    for (size, total, slice, wanted) in cases {
        let found = object(size, total).span(slice);
        let wanted = wanted.map(|(first, last)| span(first, last));
        assert_eq!(found, wanted, "{slice} of {total} in {size}");
    }
    assert_eq!(object(10, 95).count(), 10);
    assert_eq!(object(10, 100).count(), 10);
    assert_eq!(object(10, 101).count(), 11);
    assert_eq!(object(10, 95).slice_of(89), 8);
    assert_eq!(object(10, 95).all(), span(0, 94));
    assert_eq!(Sliced::new(0, 1, token()), None);
    assert_eq!(Sliced::new(1, 0, token()), None);
    assert!(Sliced::new(1, LONGEST, token()).is_some());
    assert_eq!(Sliced::new(1, LONGEST + 1, token()), None);
    assert_eq!(Sliced::new(1, u64::MAX, token()), None);
    assert_eq!(Span::new(1, 0), None);
    assert_eq!(Span::new(0, u64::MAX), None);
}

#[test]
fn texts() {
    let whole = object(MIB, 1 << 30);
    let text = "1048576/1073741824/000000000000feed";
    assert_eq!(whole.encode(), text);
    assert_eq!(Sliced::parse(text.as_bytes()), Some(whole));
    let refused = [
        "",
        "1048576/1073741824",
        "1048576/1073741824/feed",
        "1048576/1073741824/000000000000feed/",
        "1048576/1073741824/000000000000FEED",
        "1048576/1073741824/0000000000000000",
        "1048576/0/000000000000feed",
        "+1048576/1/000000000000feed",
        "1048576/-1/000000000000feed",
        "1048576/18446744073709551615/000000000000feed",
        "1048576/18446744073709551616/000000000000feed",
    ];
    for text in refused {
        assert_eq!(Sliced::parse(text.as_bytes()), None, "{text}");
    }
    for (size, fits) in [
        (SMALLEST - 1, false),
        (SMALLEST, true),
        (LARGEST, true),
        (LARGEST + 1, false),
    ] {
        let text = format!("{size}/1/000000000000feed");
        assert_eq!(Sliced::parse(text.as_bytes()).is_some(), fits, "{text}");
    }
}

#[test]
fn names() {
    let cases = [
        ("http://a/film", "{http://a/film:s:000000000000feed:7}"),
        ("", "{:s:000000000000feed:7}"),
        ("a{b", "{a{b:s:000000000000feed:7}"),
        // what is hashed ends at the first brace that closes
        ("a}b", "{s:000000000000feed:7}:s:a}b"),
        ("{tag}a", "{s:000000000000feed:7}:s:{tag}a"),
    ];
    for (key, wanted) in cases {
        let name = object(MIB, 1 << 30).name(key.as_bytes(), 7);
        assert_eq!(String::from_utf8_lossy(&name), wanted);
    }
}

/// The slices of an object are spread over the servers of a cluster, whatever its key is: of 1 GiB in slices of 1 MiB none of
/// them has a fifth more or less than its share.
#[test]
fn spread() {
    let whole = object(MIB, 1 << 30);
    for key in ["http://a/film", "{tag}film", "a}b"] {
        for servers in [3_usize, 6, 12] {
            let mut count = vec![0_usize; servers];
            for slice in 0..whole.count() {
                let slot = slot_of(&whole.name(key.as_bytes(), slice)).index();
                count[slot * servers / 16384] += 1;
            }
            let share = 1024 / servers;
            println!("{key}: {count:?}");
            let near = |n: &usize| n.abs_diff(share) * 5 <= share + 4;
            assert!(count.iter().all(near), "{key}: {count:?}");
        }
    }
}

#[test]
fn lifetimes() {
    assert_eq!(expiry(0), None);
    assert_eq!(expiry(-2), None);
    assert_eq!(expiry(1), Some(1 + MARGIN));
    assert_eq!(expiry(1000), Some(1 + MARGIN));
    assert_eq!(expiry(1001), Some(2 + MARGIN));
    assert_eq!(expiry(i64::MAX), Some(MAX_SECONDS));
    // (left of the slice, left of the head, its new expiry)
    let cases = [
        (220_000, 220_000, None),
        (280_000, 220_000, None),
        (219_999, 220_000, Some(220 + MARGIN)),
        (1, 220_001, Some(221 + MARGIN)),
        (-2, 0, None),
    ];
    for (slice, head, wanted) in cases {
        assert_eq!(extension(slice, head), wanted, "{slice} {head}");
    }
}
