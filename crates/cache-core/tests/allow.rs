//! Lists of addresses that may do something.

use cache_core::allow::{AllowList, Peer, Read};

fn list(items: &[&str]) -> AllowList {
    let mut list = AllowList::default();
    for item in items {
        assert_ne!(list.add(item.as_bytes()), Read::Unknown, "{item}");
    }
    list
}

fn ip(text: &str) -> Peer {
    text.parse().map_or(Peer::Other, Peer::Ip)
}

#[test]
fn nobody_is_allowed_by_an_empty_list() {
    let list = AllowList::default();
    for peer in [ip("127.0.0.1"), ip("::1"), Peer::Unix, Peer::Other] {
        assert!(!list.allows(peer), "{peer:?}");
    }
}

#[test]
fn each_item_allows_what_it_names() {
    let cases = [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("127.0.0.1", "::ffff:127.0.0.1", true),
        ("127.0.0.1", "::1", false),
        ("10.0.0.0/8", "10.255.0.1", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.1.2.3/8", "10.9.9.9", true),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("192.0.2.4/32", "192.0.2.5", false),
        ("::1", "::1", true),
        ("::1", "127.0.0.1", false),
        ("fd00::/8", "fd12::1", true),
        ("fd00::/8", "fe00::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "127.0.0.1", false),
        ("all", "127.0.0.1", true),
        ("all", "::1", true),
        ("unix:", "127.0.0.1", false),
    ];
    for (item, address, allowed) in cases {
        assert_eq!(
            list(&[item]).allows(ip(address)),
            allowed,
            "{item} {address}"
        );
    }
    assert!(list(&["unix:"]).allows(Peer::Unix));
    assert!(list(&["all"]).allows(Peer::Unix));
    assert!(list(&["all"]).allows(Peer::Other));
    assert!(!list(&["127.0.0.1"]).allows(Peer::Unix));
    assert!(list(&["10.0.0.0/8", "::1"]).allows(ip("::1")));
}

#[test]
fn bits_that_a_mask_takes_away_are_reported() {
    let mut list = AllowList::default();
    assert_eq!(list.add(b"10.0.0.1/8"), Read::Masked);
    assert_eq!(list.add(b"fd00::1/8"), Read::Masked);
    assert_eq!(list.add(b"10.0.0.0/8"), Read::Added);
    assert_eq!(list.add(b"10.0.0.1"), Read::Added);
}

#[test]
fn what_is_no_address_is_refused() {
    for item in [
        "",
        "localhost",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/255.0.0.0",
        "10.0.0",
        "::1/129",
        "[::1]",
        "unix:/run/x",
        "ALL",
        "\u{fffd}",
    ] {
        let mut list = AllowList::default();
        assert_eq!(list.add(item.as_bytes()), Read::Unknown, "{item}");
        assert_eq!(list, AllowList::default(), "{item}");
    }
}
