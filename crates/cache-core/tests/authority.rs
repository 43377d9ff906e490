//! Host and port in keys, and hosts that requests name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use cache_core::uri::{
    Target, authority_of_request_line, destination, key_authority, port_behind, port_of,
};

#[test]
fn a_key_names_a_port_that_is_not_the_schemes_own() {
    let cases: [(bool, &str, &str, &str); 12] = [
        (false, "localhost", "", "localhost"),
        (false, "localhost", "80", "localhost"),
        (false, "localhost", "0080", "localhost"),
        (false, "localhost", "8080", "localhost:8080"),
        (false, "localhost", "08080", "localhost:8080"),
        (false, "localhost", "443", "localhost:443"),
        (true, "localhost", "443", "localhost"),
        (true, "localhost", "80", "localhost:80"),
        (true, "[::1]", "8443", "[::1]:8443"),
        (false, "localhost", "99999", "localhost:99999"),
        (false, "localhost", "x", "localhost:x"),
        (false, "localhost", "+80", "localhost:+80"),
    ];
    for (https, host, port, expected) in cases {
        let authority = key_authority(https, host.as_bytes(), port.as_bytes());
        assert_eq!(authority, expected.as_bytes(), "{https} {host} {port}");
    }
}

#[test]
fn a_key_has_nothing_that_no_host_and_port_have() {
    let cases: [(&str, &str, &str); 20] = [
        ("a.test?q=what", "", "a.test%3Fq=what"),
        ("a.test#x", "", "a.test%23x"),
        ("a.test x", "", "a.test%20x"),
        ("a.test/x\\y", "", "a.test%2Fx%5Cy"),
        ("a\"b<c>d|e^f`g{h}", "", "a%22b%3Cc%3Ed%7Ce%5Ef%60g%7Bh%7D"),
        ("a@b", "", "a%40b"),
        ("a\r\n\0\u{7f}", "", "a%0D%0A%00%7F"),
        ("\u{e9}.test", "80", "%C3%A9.test"),
        ("\u{e9}.test", "81", "%C3%A9.test:81"),
        ("a.test", "8080?q=what", "a.test:8080%3Fq=what"),
        ("a.test", "?q", "a.test:%3Fq"),
        ("a[b]c", "", "a%5Bb%5Dc"),
        ("[::1]]", "", "[::1%5D]"),
        ("[[::1]", "", "[%5B::1]"),
        ("[", "", "%5B"),
        // these are valid
        ("a%3fb%C3", "", "a%3fb%C3"),
        ("a%3", "", "a%253"),
        ("a%zz", "", "a%25zz"),
        ("aZ09-._~!$&'()*+,;=", "", "aZ09-._~!$&'()*+,;="),
        ("[fe80::1%25eth0]", "", "[fe80::1%25eth0]"),
    ];
    for (host, port, expected) in cases {
        let authority = key_authority(false, host.as_bytes(), port.as_bytes());
        let authority = String::from_utf8_lossy(&authority).into_owned();
        assert_eq!(authority, expected, "{host} {port}");
        let again = key_authority(false, authority.as_bytes(), b"");
        assert_eq!(again, authority.as_bytes());
    }
}

#[test]
fn the_port_behind_a_host() {
    let cases = [
        ("a.test", ""),
        ("A.test:8080", "8080"),
        ("a.test.:8080", "8080"),
        ("a.test:", ""),
        // that of the whole is another one
        ("a.test:x:80", "x:80"),
        ("a.test:80?x:81", "80?x:81"),
        ("b:82", "82"),
    ];
    for (authority, port) in cases {
        let found = port_behind(authority.as_bytes(), b"a.test");
        assert_eq!(found, port.as_bytes(), "{authority}");
    }
    assert_eq!(port_behind(b"[::1]:81", b"[::1]"), b"81");
}

#[test]
fn the_port_of_an_authority() {
    let cases = [
        ("localhost", ""),
        ("localhost:", ""),
        ("localhost:8080", "8080"),
        ("[::1]", ""),
        ("[::1]:8080", "8080"),
        ("", ""),
    ];
    for (authority, port) in cases {
        assert_eq!(
            port_of(authority.as_bytes()),
            port.as_bytes(),
            "{authority}"
        );
    }
}

#[test]
fn the_authority_of_a_request_line() {
    let cases = [
        ("GET / HTTP/1.1", None),
        ("GET /http://x/ HTTP/1.1", None),
        ("GET http://a:81/x HTTP/1.1", Some("a:81")),
        ("GET http://a HTTP/1.1", Some("a")),
        ("GET HTTPS://a?x HTTP/1.1", Some("a")),
        ("OPTIONS * HTTP/1.1", None),
        ("GET", None),
        ("", None),
    ];
    for (line, expected) in cases {
        let found = authority_of_request_line(line.as_bytes());
        assert_eq!(found, expected.map(str::as_bytes), "{line}");
    }
}

#[test]
fn the_destination_of_a_move() {
    let cases = [
        ("http://dav.test/b", Some("/b")),
        ("https://DAV.test/b", Some("/b")),
        ("http://dav.test:8080/b?c=1#d", Some("/b?c=1")),
        ("//dav.test/b", Some("/b")),
        ("/b", Some("/b")),
        ("/a/../b", Some("/b")),
        ("http://dav.test//b", Some("//b")),
        ("http://dav.test", Some("/")),
        ("http://dav.test/\u{e9}", Some("/%C3%A9")),
        ("http://dav.test.evil/b", None),
        ("http://evil@dav.test/b", None),
        ("http://other/b", None),
        ("http://dav.test/b c", None),
    ];
    let own = Target::of_request(b"/a").unwrap();
    for (text, expected) in cases {
        let found = destination(text.as_bytes(), &own, b"dav.test");
        let found = found.map(|target| String::from_utf8(target.in_origin_form()).unwrap());
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}
