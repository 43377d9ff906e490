//! Backends that aren't HTTP/1.1: `fastcgi_pass`, `uwsgi_pass`, `scgi_pass`, `grpc_pass`, in both forms of configuration.

mod fastcgi;
mod grpc;
mod scgi;
mod server;
mod uwsgi;

use testbed::{
    Answer, Gate, PATIENCE, Request, Response, Running, Site, holds_for, ms, pattern, wait_for,
};

use server::{Gateway, Protocol};

const PROTOCOLS: [Protocol; 4] = [
    Protocol::FastCgi,
    Protocol::Uwsgi,
    Protocol::Scgi,
    Protocol::Grpc,
];

/// The directives of a location that passes to `gateway`. What comes is passed on at once, as grpc always has it.
fn pass(protocol: Protocol, gateway: &Gateway) -> String {
    let address = gateway.address();
    let cgi = |name: &str| {
        // SCGI has the length of itself.
        let length = if name == "scgi" {
            String::new()
        } else {
            format!("{name}_param CONTENT_LENGTH $content_length;")
        };
        format!(
            "{name}_param REQUEST_METHOD $request_method; {name}_param REQUEST_URI $request_uri;
             {length} {name}_buffering off; {name}_pass {address};
             {name}_hide_header X-Hidden; {name}_hide_header CDN-Cache-Control;"
        )
    };
    match protocol {
        Protocol::FastCgi => cgi("fastcgi"),
        Protocol::Uwsgi => cgi("uwsgi"),
        Protocol::Scgi => cgi("scgi"),
        Protocol::Grpc => format!(
            "grpc_pass grpc://{address}; grpc_hide_header X-Hidden;
             grpc_hide_header CDN-Cache-Control;"
        ),
    }
}

/// Each protocol in both forms: what it is, the gateway, nginx.
fn scenes() -> impl Iterator<Item = (String, Gateway, Running)> {
    PROTOCOLS.into_iter().flat_map(|protocol| {
        Site::forms().into_iter().map(move |(form, site)| {
            let gateway = Gateway::start(protocol);
            let pass = pass(protocol, &gateway);
            let site = if form == "own handler" {
                site.location(&format!("{pass} # no proxy_pass\n"))
            } else {
                site.location("set $cache_backend /gateway;")
                    .locations(&format!(
                        "location /gateway {{ internal; rewrite ^/gateway(/.*) $1 break; {pass} }}"
                    ))
            };
            (
                format!("{protocol:?}, {form}"),
                gateway,
                site.locations("location = /inside { internal; return 200 page; }")
                    .workers(1)
                    .start(),
            )
        })
    })
}

#[test]
fn a_miss_is_stored_and_hits_are_the_same() {
    for (what, gateway, site) in scenes() {
        let body = pattern(200_000, 7);
        let answer = Answer::ok(body.clone())
            .content_type("text/x-own; charset=utf-8")
            .header("X-Own", "one")
            .header("X-Own", "two")
            .header("ETag", "\"tag\"");
        gateway.backend.set("/x", answer);
        let first = site.fill("/x?y=%20z");
        let hit = site.get("/x?y=%20z");
        assert_eq!(hit.word(), "HIT", "{what}");
        for answer in [&first, &hit] {
            let word = answer.word();
            assert!(
                answer.status == 200 && answer.body == body,
                "{what}, {word}"
            );
            assert_eq!(answer.headers("x-own"), ["one", "two"], "{what}, {word}");
            assert_eq!(
                answer.header("content-type").as_deref(),
                Some("text/x-own; charset=utf-8"),
                "{what}, {word}"
            );
        }
        let conditional = Request::get("/x?y=%20z").header("If-None-Match", "\"tag\"");
        assert_eq!(site.ask(&conditional).status, 304, "{what}");
        let part = Request::get("/x?y=%20z").header("Range", "bytes=10-19");
        assert!(site.ask(&part).body == body[10..20], "{what}");
        assert_eq!(gateway.backend.all_hits(), 1, "{what}");
        assert_eq!(gateway.backend.last("/x").target, "/x?y=%20z", "{what}");
        site.nginx.finish();
    }
}

/// Status, phrase, body, names and values.
type Shown = (u16, String, Vec<u8>, Vec<(String, Vec<u8>)>);

/// What an answer is in any place: status, body, and fields but for those that tell of the cache and of the framing.
fn shown(answer: &Response) -> Shown {
    const OWN: [&str; 8] = [
        "date",
        "age",
        "accept-ranges",
        "content-length",
        "transfer-encoding",
        "x-cache",
        "x-status",
        "x-worker",
    ];
    let fields = answer
        .fields
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()));
    let mut fields: Vec<_> = fields
        .filter(|(name, _)| !OWN.contains(&name.as_str()))
        .collect();
    fields.sort();
    (
        answer.status,
        answer.reason.clone(),
        answer.body.clone(),
        fields,
    )
}

#[test]
fn a_fill_gives_what_the_directive_alone_gives() {
    for protocol in PROTOCOLS {
        let gateway = Gateway::start(protocol);
        let pass = format!("{} # no proxy_pass\n", pass(protocol, &gateway));
        let [plain, site] = [Site::plain(), Site::new()].map(|site| site.location(&pass).start());
        let answer = Answer::ok(pattern(30_000, 9)).header("X-Own", "one");
        let backend = &gateway.backend;
        backend.set(
            "/page",
            answer
                .clone()
                .header("X-Own", "two")
                .header("Vary", "X-Own"),
        );
        backend.set("/chunked", answer.clone().chunked());
        backend.set("/empty", Answer::ok("").header("ETag", "\"tag\""));
        backend.set("/gone", Answer::of(404, "gone"));
        // With a status line of its backend nginx leaves Content-Type there.
        backend.set("/nothing", Answer::of(204, ""));
        backend.set(
            "/moved",
            Answer::of(301, "moved").header("Location", "/there"),
        );
        backend.set("/cookie", answer.header("Set-Cookie", "a=b"));
        let paths = [
            "/page", "/chunked", "/empty", "/gone", "/nothing", "/moved", "/cookie",
        ];
        for (path, method) in paths
            .iter()
            .flat_map(|path| [(path, "GET"), (path, "HEAD")])
        {
            let request = Request::new(method, &format!("{path}?{method}"));
            let expected = shown(&plain.ask(&request));
            for turn in ["first", "second"] {
                let answer = site.ask(&request);
                let what = format!("{protocol:?}, {method} {path}, {turn}: {}", answer.word());
                let (status, reason, body, fields) = shown(&answer);
                assert_eq!((status, &reason), (expected.0, &expected.1), "{what}");
                assert!(body == expected.2, "{what}");
                assert_eq!(fields, expected.3, "{what}");
                site.wait_for_quiet_zone();
            }
        }
        let words = ["/page?GET", "/chunked?HEAD", "/empty?GET"].map(|path| site.get(path).word());
        assert_eq!(words, ["HIT"; 3], "{protocol:?}");
    }
}

#[test]
fn what_the_backend_says_hidden_decides() {
    for (what, gateway, site) in scenes() {
        let hidden = Answer::ok("page").header("X-Hidden", "1");
        let backend = &gateway.backend;
        let field = "CDN-Cache-Control";
        backend.set("/mine", hidden.clone().header(field, "private"));
        backend.set("/kept", hidden.header(field, "max-age=500"));
        let led = Answer::of(404, "unseen").header("X-Accel-Redirect", "/inside");
        backend.set("/led", led);
        for _ in 0..2 {
            for path in ["/mine", "/led"] {
                let answer = site.get(path);
                assert_eq!(
                    (answer.status, answer.text()),
                    (200, "page".into()),
                    "{what}"
                );
                assert_eq!(answer.word(), "SKIP", "{what} {path}");
                assert_eq!(answer.header(field), None, "{what} {path}");
            }
        }
        site.fill("/kept");
        let ttl: i64 = site.redis.command(&["TTL", &site.key("/kept")]);
        assert!((590..=600).contains(&ttl), "{what}: {ttl}");
        let hit = site.get("/kept");
        assert_eq!(hit.word(), "HIT", "{what}");
        assert_eq!(
            (hit.header("x-hidden"), hit.header(field)),
            (None, None),
            "{what}"
        );
    }
}

#[test]
fn a_stale_record_is_refilled_without_conditions() {
    for (what, gateway, site) in scenes() {
        site.fill_and_age("/x");
        let gate = Gate::new();
        gateway.backend.set("/x", Answer::ok("new").gate(&gate));
        let request = Request::get("/x")
            .header("If-None-Match", "\"none\"")
            .header("Range", "bytes=0-1");
        assert_eq!(site.ask(&request).word(), "STALE", "{what}");
        gateway.backend.wait_for_hits("/x", 2);
        assert_eq!(site.get("/x").text(), "GET /x #1\n", "{what}");
        let refill = gateway.backend.last("/x");
        for name in ["if-none-match", "range"] {
            assert_eq!(refill.header(name), None, "{what}: {name}");
        }
        gate.open();
        assert_eq!(site.wait_for_hit("/x").text(), "new", "{what}");
        assert_eq!(gateway.backend.hits("/x"), 2, "{what}");
    }
}

#[test]
fn answers_stream_as_they_come() {
    for (what, gateway, site) in scenes() {
        let (start, middle) = (Gate::new(), Gate::new());
        let body = pattern(90_000, 3);
        let answer = Answer::ok(body.clone()).gate_at(0, &start);
        gateway.backend.set("/x", answer.gate_at(40_000, &middle));
        let mut clients = [site.client(), site.client()];
        clients[0].send(&Request::get("/x")).unwrap();
        // The header comes alone, the second client reads along.
        let first = clients[0].receive_header().unwrap();
        clients[1].send(&Request::get("/x")).unwrap();
        let second = clients[1].receive_header().unwrap();
        let mut answers = [first, second];
        start.open();
        for (client, answer) in clients.iter_mut().zip(&mut answers) {
            client.receive_until(answer, 40_000).unwrap();
        }
        middle.open();
        for (client, answer) in clients.iter_mut().zip(&mut answers) {
            client.receive_rest(answer).unwrap();
            assert!(answer.complete && answer.body == body, "{what}");
        }
        assert_eq!(answers.map(|a| a.word()), ["STORE", "HIT"], "{what}");
        assert_eq!(gateway.backend.hits("/x"), 1, "{what}");
        let record = site.redis.wait_for_record(&site.key("/x"));
        assert!(record.body == body, "{what}");
    }
}

#[test]
fn errors_and_cut_answers_are_not_stored() {
    for (what, gateway, site) in scenes() {
        let backend = &gateway.backend;
        backend.set("/error", Answer::of(500, "broken"));
        backend.set("/reset", Answer::ok("x").reset());
        let gate = Gate::new();
        let cut = Answer::ok(pattern(50_000, 1)).gate_at(10_000, &gate);
        backend.set("/cut", cut.cut_at(20_000));
        for (path, status) in [("/error", 500), ("/reset", 502)] {
            for turn in 1..=2 {
                let answer = site.get(path);
                assert_eq!(answer.status, status, "{what} {path}");
                assert_eq!(answer.word(), "SKIP", "{what} {path}");
                assert_eq!(backend.hits(path), turn, "{what} {path}");
            }
        }
        // An HTTP/2 server that gives up may take back what hasn't gone yet: not before a part is here.
        let mut client = site.client();
        client.send(&Request::get("/cut")).unwrap();
        let mut answer = client.receive_header().unwrap();
        client.receive_until(&mut answer, 10_000).unwrap();
        gate.open();
        let rest = client.receive_rest(&mut answer);
        assert!(rest.is_err() || !answer.complete, "{what}");
        let log = site.nginx.log();
        wait_for("the fill's end", PATIENCE, || {
            let key = site.key("/cut");
            let line = format!("fill of \"{key}\": ");
            !log.matching(testbed::Position::default(), &line).is_empty()
        });
        assert!(site.redis.keys().is_empty(), "{what}");
        // A stale record stays when its refill fails.
        let first = site.fill_and_age("/x");
        backend.set("/x", Answer::of(500, "broken"));
        assert_eq!(site.get("/x").word(), "STALE", "{what}");
        backend.wait_for_hits("/x", 2);
        backend.wait_until_idle("/x");
        let still = || site.get("/x").body == first.body;
        assert!(holds_for(ms(100), still), "{what}");
    }
}

#[test]
fn bodies_reach_the_backend() {
    for (what, gateway, site) in scenes() {
        let sent = pattern(100_000, 4);
        let posted = site.ask(&Request::post("/x", sent.clone()));
        // Listed in one form, passed in the other.
        let word = if what.ends_with("$cache_backend") {
            "STORE"
        } else {
            "SKIP"
        };
        assert_eq!(
            (posted.status, posted.word().as_str()),
            (200, word),
            "{what}"
        );
        let got = gateway.backend.last("/x");
        assert!(got.method == "POST" && got.body == sent, "{what}");
    }
}
