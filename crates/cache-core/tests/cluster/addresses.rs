//! Addresses of nodes.

use cache_core::cluster::Address;

#[test]
fn addresses_are_read_in_all_their_forms() {
    for (text, host, port, shown) in [
        ("127.0.0.1:6379", "127.0.0.1", 6379, "127.0.0.1:6379"),
        ("::1:6379", "::1", 6379, "[::1]:6379"),
        ("[::1]:6379", "::1", 6379, "[::1]:6379"),
        ("fe80::1%eth0:1", "fe80::1%eth0", 1, "[fe80::1%eth0]:1"),
        (
            "2001:db8::7:65535",
            "2001:db8::7",
            65_535,
            "[2001:db8::7]:65535",
        ),
        (":6381", "", 6381, ":6381"),
        (
            "Redis-1.Example.com:06379",
            "redis-1.example.com",
            6379,
            "redis-1.example.com:6379",
        ),
    ] {
        let address = Address::parse(text.as_bytes()).expect(text);
        assert_eq!((address.host(), address.port()), (host, port), "{text}");
        assert_eq!(address.to_string(), shown);
        let again = Address::parse(shown.as_bytes());
        assert_eq!(again, Some(address), "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "host",
        ":",
        "host:",
        "host:0",
        "host:65536",
        "host:-1",
        "host:+1",
        "host:1 ",
        "ho st:1",
        "host\n:1",
        "host@2:1",
        "[]:1",
        "[::1:1",
        "?:6379",
        "h\u{f6}st:1",
    ] {
        assert_eq!(Address::parse(text.as_bytes()), None, "{text:?}");
    }
    let long = |length| format!("{}:1", "a".repeat(length));
    assert!(Address::parse(long(253).as_bytes()).is_some());
    assert!(Address::parse(long(254).as_bytes()).is_none());
}

#[test]
fn an_address_without_host_is_that_of_who_was_asked() {
    let asked = Address::parse(b"10.0.0.1:1").unwrap();
    let behind = |text: &str| Address::parse(text.as_bytes()).unwrap().behind(&asked);
    assert_eq!(behind(":7").to_string(), "10.0.0.1:7");
    assert_eq!(behind("10.0.0.2:7").to_string(), "10.0.0.2:7");
}
