//! What is known of keys that a purge request doesn't have itself.

use cache_core::complex_value::{is_of_uri, with_other_scheme};

#[test]
fn a_key_of_the_uri_alone_is_known() {
    for (template, wanted) in [
        ("$request_uri", true),
        ("$scheme://$redis_cache_authority$request_uri", true),
        ("$scheme:$request_method:$http_host:$request_uri", true),
        ("v1:${host}$uri$is_args$args", true),
        ("$host$redis_cache_args $uri", true),
        ("$host$arg_page", true),
        ("$scheme://$host$1", true),
        ("constant", true),
        ("$request_method:$http_user_agent:$request_uri", false),
        ("$cookie_lang$request_uri", false),
        ("$remote_addr$request_uri", false),
        ("$server_port$request_uri", false),
        ("$hostname$request_uri", false),
        ("$my$request_uri", false),
        ("$https$request_uri", false),
    ] {
        assert_eq!(is_of_uri(template.as_bytes()), wanted, "{template}");
    }
}

#[test]
fn a_key_that_begins_with_the_scheme_is_known_for_the_other() {
    let other = |template: &str, key: &str, https: bool| {
        with_other_scheme(template.as_bytes(), key.as_bytes(), https)
            .map(|key| String::from_utf8(key).unwrap())
    };
    let found = |key: &str| Some(key.to_owned());
    let template = "$scheme://$host$request_uri";
    assert_eq!(other(template, "http://a/b", false), found("https://a/b"));
    assert_eq!(other(template, "https://a/b", true), found("http://a/b"));
    assert_eq!(other("${scheme}GET", "httpGET", false), found("httpsGET"));
    for (template, key) in [
        ("x$scheme", "xhttp"),
        ("$host$scheme", "ahttp"),
        ("$scheme$host$scheme", "httpahttp"),
        ("$request_uri", "http"),
        ("$schemes", "http"),
    ] {
        assert_eq!(other(template, key, false), None, "{template}");
    }
}
