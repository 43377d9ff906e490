//! The page of `redis_cache_admin` as it is sent, without a browser: `make page-test` has one.

use testbed::{Request, Site, unzipped};

#[test]
fn it_is_sent_to_those_whom_the_rules_let_in() {
    let site = Site::new()
        .locations("location /cache/ { redis_cache_admin; allow 127.0.0.1; deny all; gzip on; gzip_min_length 1; }")
        .locations("location /denied/ { redis_cache_admin; allow 127.0.0.2; deny all; }")
        .locations("location /open/ { redis_cache_admin; }")
        .start();
    let _ = site.fill("/x");
    let page = site.get("/cache/");
    assert_eq!(page.status, 200);
    for (name, wanted) in [
        ("content-type", "text/html; charset=utf-8"),
        ("cache-control", "no-store"),
        ("content-security-policy", cache_core::report::PAGE_POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(page.headers(name), [wanted], "{name}");
    }
    let text = page.text();
    assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
    assert!(text.len() < 60_000, "{} bytes", text.len());
    // What is counted is in it.
    for part in [
        "Zone <span class=\"name\">locks</span>",
        "Store <span class=\"name\">main</span>",
        "<td data-p=\"miss/responses\">1</td>",
        &site.redis.address(),
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // As any response of nginx: HEAD, gzip, other methods.
    let head = site.ask(&Request::head("/cache/"));
    assert_eq!((head.status, head.body.len()), (200, 0));
    let zipped = site.ask(&Request::get("/cache/").header("Accept-Encoding", "gzip"));
    assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
    assert!(String::from_utf8_lossy(&unzipped(&zipped.body)).starts_with("<!DOCTYPE html>"));
    assert!(zipped.body.len() < 20_000, "{} bytes", zipped.body.len());
    let post = site.ask(&Request::post("/cache/", "x"));
    assert_eq!(
        (post.status, post.header("allow").as_deref()),
        (405, Some("GET, HEAD"))
    );
    // Others get nothing.
    for path in ["/denied/", "/open/"] {
        assert_eq!(site.get(path).status, 403, "{path}");
    }
}
