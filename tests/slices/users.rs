//! Slices whose own header, or whose own request, forbids that others get them.

use testbed::{Answer, Gate, Received, Request, Running, Site, pattern};

use crate::file::span;
use crate::{MIB, part, sliced};

const SIZE: usize = 3 * MIB;

/// A range of the second slice.
const SECOND: (usize, usize) = (MIB + 10, MIB + 29);

/// A user's bytes of the second slice and those behind it.
fn of_user(user: Option<&str>) -> Vec<u8> {
    let seed = match user {
        None => 2,
        Some(user) => 3 + user.len() as u64,
    };
    pattern(SIZE, seed)
}

/// A range of the file of one user. With these fields what isn't the first slice is for that user alone.
fn answer(request: &Received, own: &[(&str, &str)]) -> Answer {
    let body = of_user(request.header("Authorization").as_deref());
    let dress = |answer: Answer, fields: &[(&str, &str)]| {
        fields
            .iter()
            .fold(answer.header("ETag", "\"v1\""), |answer, (name, value)| {
                answer.header(name, value)
            })
    };
    let range = request.header("Range");
    match range.and_then(|range| span(&range, SIZE)) {
        None => dress(Answer::ok(body), own),
        Some((first, last)) => {
            let fields = match first {
                0 => &[("Cache-Control", "max-age=600")],
                _ => own,
            };
            dress(Answer::of(206, &body[first..=last]), fields)
                .header("Content-Range", format!("bytes {first}-{last}/{SIZE}"))
        }
    }
}

fn ask(site: &Running, path: &str, user: Option<&str>) -> testbed::Response {
    let request = part(path, &format!("bytes={}-{}", SECOND.0, SECOND.1));
    site.ask(&match user {
        Some(user) => request.header("Authorization", user),
        None => request,
    })
}

fn assert_own(answer: &testbed::Response, user: Option<&str>, name: &str) {
    let body = of_user(user);
    assert_eq!(answer.status, 206, "{name} {user:?}");
    assert!(
        answer.body == body[SECOND.0..=SECOND.1],
        "{name} {user:?}: another one's bytes"
    );
}

/// How many slices of this number are in Redis.
fn stored(site: &Running, number: u64) -> usize {
    let end = format!(":{number}}}");
    let keys = site.redis.keys();
    let named = keys
        .iter()
        .filter(|key| key.contains(":s:") && key.ends_with(&end));
    // Leases of slices are no slices.
    let has_body = |key: &&String| site.redis.command::<bool>(&["HEXISTS", key, "body"]);
    named.filter(has_body).count()
}

const OWN: [(&str, &[(&str, &str)]); 6] = [
    ("private", &[("Cache-Control", "private, no-store")]),
    (
        "vary",
        &[
            ("Cache-Control", "public, max-age=600"),
            ("Vary", "Authorization"),
        ],
    ),
    (
        "any",
        &[("Cache-Control", "public, max-age=600"), ("Vary", "*")],
    ),
    (
        "cookie",
        &[
            ("Cache-Control", "max-age=600"),
            ("Set-Cookie", "who=alice"),
        ],
    ),
    ("accel", &[("X-Accel-Expires", "0")]),
    ("validated", &[("Cache-Control", "public, no-cache")]),
];

fn forms() -> [(&'static str, Site); 4] {
    [
        ("Redis", sliced()),
        (
            "memory tier",
            sliced().store("memory 32m min_uses=1 max_object=2m;"),
        ),
        ("memory alone", sliced().memory_alone("memory 32m;")),
        (
            "scope store",
            sliced().location("redis_cache_lock_scope store;"),
        ),
    ]
}

#[test]
fn a_slice_that_is_for_one_user_is_for_no_other() {
    for (form, site) in forms() {
        let site = site.workers(1).start();
        for (name, own) in OWN {
            let (path, name) = (format!("/{name}"), format!("{form}, {name}"));
            site.backend
                .script(&path, move |request, _| answer(request, own));
            assert_eq!(site.ask(&part(&path, "bytes=0-9")).status, 206, "{name}");
            for user in [Some("alice"), None, Some("bob"), Some("alice")] {
                assert_own(&ask(&site, &path, user), user, &name);
            }
            if form != "memory alone" {
                assert_eq!(stored(&site, 1), 0, "{name}");
            }
        }
    }
}

/// The object isn't fit for slices: later requests go without them.
#[test]
fn later_requests_go_without_slices() {
    let site = sliced().workers(1).start();
    let own = OWN[0].1;
    site.backend
        .script("/film", move |request, _| answer(request, own));
    let _ = site.ask(&part("/film", "bytes=0-9"));
    site.wait_for_fill("/film");
    assert_own(&ask(&site, "/film", Some("alice")), Some("alice"), "");
    site.backend.forget();
    for user in [None, Some("bob")] {
        assert_own(&ask(&site, "/film", user), user, "");
        let last = site.backend.last("/film").header("Range");
        assert_eq!(
            last.as_deref(),
            Some(&*format!("bytes={}-{}", SECOND.0, SECOND.1))
        );
    }
    let requests = site.backend.requests("/film");
    let of_slices = |it: &&Received| it.header("Range").as_deref() == Some("bytes=0-1048575");
    assert_eq!(requests.iter().filter(of_slices).count(), 0);
}

/// Clients that wait for the same slice get their own.
#[test]
fn a_crowd_of_users() {
    for workers in [1, 2] {
        let site = sliced().workers(workers).spread().start();
        let gate = Gate::new();
        let held = gate.clone();
        site.backend.script("/film", move |request, _| {
            let answer = answer(request, OWN[0].1);
            match request.header("Range").as_deref() {
                Some("bytes=1048576-2097151") => answer.gate(&held),
                _ => answer,
            }
        });
        let _ = site.ask(&part("/film", "bytes=0-9"));
        site.wait_for_fill("/film");
        std::thread::scope(|scope| {
            let site = &site;
            for user in [Some("alice"), None, Some("bob"), Some("mallory")] {
                scope.spawn(move || assert_own(&ask(site, "/film", user), user, ""));
            }
            site.backend.wait_for_hits("/film", 2);
            gate.open();
        });
        assert_eq!(stored(&site, 1), 0);
    }
}

/// A slice that comes in several answers: each counts.
#[test]
fn the_rest_of_a_slice_that_is_for_one_user() {
    for beginning in [0, MIB] {
        let site = sliced().workers(1).start();
        site.backend.script("/film", move |request, _| {
            let wanted = request.header("Range");
            let Some((first, last)) = wanted.and_then(|range| span(&range, SIZE)) else {
                return answer(request, OWN[0].1);
            };
            let is_rest = first % MIB != 0 && first / MIB == beginning / MIB;
            let last = if first == beginning {
                first + 299_999
            } else {
                last
            };
            // Up to there all users have the same bytes.
            let user = request.header("Authorization").filter(|_| is_rest);
            let kind = if is_rest { "private" } else { "max-age=600" };
            Answer::of(206, &of_user(user.as_deref())[first..=last])
                .header("ETag", "\"v1\"")
                .header("Cache-Control", kind)
                .header("Content-Range", format!("bytes {first}-{last}/{SIZE}"))
        });
        let _ = site.client().exchange(&part("/film", "bytes=0-9"));
        for user in [Some("alice"), None, Some("bob")] {
            let from = beginning + 400_000;
            let request = part("/film", &format!("bytes={from}-{}", from + 9));
            let request = match user {
                Some(user) => request.header("Authorization", user),
                None => request,
            };
            let answer = site.ask(&request);
            assert_eq!(answer.status, 206);
            assert!(answer.body == of_user(user)[from..from + 10], "{user:?}");
        }
        let number = (beginning / MIB) as u64;
        assert_eq!(stored(&site, number), 0);
    }
}

/// What a request wants for itself holds for the slices that it brings.
#[test]
fn requests_whose_responses_are_not_stored() {
    let cases = [
        (
            "redis_cache_no_store $http_x_secret;",
            ("X-Secret", "1"),
            "max-age=600",
        ),
        (
            "redis_cache_honor_request on;",
            ("Cache-Control", "no-store"),
            "max-age=600",
        ),
        ("", ("Authorization", "alice"), "max-age=600"),
    ];
    for (directive, (name, value), kind) in cases {
        let site = sliced().location(directive).workers(1).start();
        let kind = [("Cache-Control", kind)];
        site.backend.script("/film", move |request, _| {
            let mut request = request.clone();
            request
                .fields
                .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
            answer(&request, &kind)
        });
        let _ = site.ask(&part("/film", "bytes=0-9"));
        site.wait_for_fill("/film");
        let range = format!("bytes={}-{}", SECOND.0, SECOND.1);
        let own = part("/film", &range).header(name, value);
        assert_own(&site.ask(&own), None, name);
        assert_eq!(stored(&site, 1), 0, "{name}");
        // The head stays, and so does what others bring.
        assert_own(&ask(&site, "/film", None), None, name);
        testbed::wait_for("the slice", testbed::PATIENCE, || stored(&site, 1) == 1);
        let hits = site.backend.hits("/film");
        assert_own(&site.ask(&own), None, name);
        assert_eq!(site.backend.hits("/film"), hits, "{name}");
    }
}

/// What the location ignores counts for nothing.
#[test]
fn a_location_that_ignores_what_slices_say() {
    let directive = "proxy_ignore_headers Vary; redis_cache_ignore_headers Cache-Control;";
    let site = sliced().location(directive).workers(1).start();
    let own = [("Cache-Control", "private"), ("Vary", "Authorization")];
    site.backend
        .script("/film", move |request, _| answer(request, &own));
    let _ = site.ask(&part("/film", "bytes=0-9"));
    site.wait_for_fill("/film");
    assert_own(&ask(&site, "/film", None), None, "");
    testbed::wait_for("the slice", testbed::PATIENCE, || stored(&site, 1) == 1);
}

/// A request with credentials, of which the response isn't public, asks once.
#[test]
fn a_request_with_credentials_asks_once() {
    let site = sliced().workers(1).start();
    let own = [("Cache-Control", "max-age=600")];
    site.backend
        .script("/film", move |request, _| answer(request, &own));
    for _ in 0..3 {
        let alice = Some("alice");
        assert_own(&ask(&site, "/film", alice), alice, "");
    }
    // The first request has found it out.
    assert_eq!(site.backend.hits("/film"), 4);
    assert_eq!(
        site.ask(&Request::get("/film").header("Authorization", "alice"))
            .body,
        of_user(Some("alice"))
    );
    assert_eq!(site.backend.hits("/film"), 5);
    // It says nothing of those without.
    let _ = site.ask(&part("/film", "bytes=0-9"));
    testbed::wait_for("the slice", testbed::PATIENCE, || stored(&site, 0) == 1);
}

#[test]
fn another_coding_is_another_representation() {
    let site = sliced().workers(1).start();
    let own = [
        ("Cache-Control", "max-age=600"),
        ("Content-Encoding", "gzip"),
    ];
    site.backend
        .script("/film", move |request, _| answer(request, &own));
    let _ = site.ask(&part("/film", "bytes=0-9"));
    site.wait_for_fill("/film");
    let _ = site.client().exchange(&Request::get("/film"));
    assert_eq!(stored(&site, 1), 0);
}

/// Slices are had by GET alone.
#[test]
fn a_post_fetches_no_slices() {
    let site = sliced()
        .location("redis_cache_methods GET HEAD POST; redis_cache_key $uri;")
        .workers(1)
        .start();
    let own = [("Cache-Control", "max-age=600")];
    site.backend
        .script("/film", move |request, _| answer(request, &own));
    let _ = site.ask(&part("/film", "bytes=0-9"));
    site.wait_for_fills(1);
    let post = site.ask(&Request::new("POST", "/film"));
    assert!(post.status == 200 && post.body == of_user(None));
    assert_eq!(site.backend.last("/film").header("Range"), None);
    assert_eq!(site.backend.hits("/film"), 2);
}
