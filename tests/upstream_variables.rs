//! nginx's `$upstream_*` variables for those who share a fill, and while many come and go.

use testbed::{Answer, Request, Site, ms, pattern};

const SAYS: &str = "add_header V-Said $upstream_http_x_said; add_header V-Status $upstream_status;
    add_header V-Addr $upstream_addr; add_header V-Cache $upstream_cache_status; add_header V-Key $upstream_http_x_key;";

/// One asks the backend, the others share what it said.
#[test]
fn those_who_share_a_fill() {
    for workers in [1, 2] {
        let site = Site::new().spread().workers(workers).location(SAYS).start();
        let answer = Answer::ok(pattern(300_000, 1))
            .header("X-Said", "it")
            .header("X-Key", "secret")
            .header("Cache-Control", "max-age=60, private=\"X-Key\"")
            .delay(ms(300));
        site.backend.set("/x", answer);
        let crowd = site.crowd(20, "/x");
        let mut misses = 0;
        for answer in crowd.answers() {
            assert_eq!(answer.header("v-said").as_deref(), Some("it"));
            let cache = answer.header("v-cache").unwrap();
            let (status, addr) = (answer.header("v-status"), answer.header("v-addr"));
            if cache == "MISS" {
                misses += 1;
                assert_eq!(status.as_deref(), Some("200"));
                assert!(addr.unwrap().starts_with("127.0.0.1:"));
                assert_eq!(answer.header("v-key").as_deref(), Some("secret"));
            } else {
                assert_eq!((cache.as_str(), status, addr), ("HIT", None, None));
                assert_eq!(answer.header("v-key"), None, "a field for one client");
            }
        }
        assert_eq!(misses, 1);
    }
}

/// Logs and headers of many requests, some of whose clients are gone before the fill's end.
#[test]
fn a_log_is_written_whatever_becomes_of_the_fill() {
    let format = "log_format said '$upstream_addr $upstream_status $upstream_response_time $upstream_cache_status $upstream_http_x_said';";
    let site = Site::new()
        .workers(1)
        .http(format)
        .location(&format!("{SAYS} access_log logs/said.log said;"))
        .start();
    let body = pattern(2_000_000, 1);
    site.backend.set(
        "/x",
        Answer::ok(body.clone())
            .header("X-Said", "it")
            .delay(ms(50)),
    );
    for round in 0..20 {
        let target = format!("/x?{round}");
        let part = site.ask(&Request::get(&target).header("Range", "bytes=0-9"));
        assert_eq!(part.status, 206);
        assert_eq!(part.header("v-status").as_deref(), Some("200"));
        let whole = site.get(&target);
        assert_eq!(whole.body.len(), body.len());
        assert_eq!(whole.header("v-said").as_deref(), Some("it"));
    }
}
