//! Moved sites, which do what they did before: with real nginx, Redis and backend.

use testbed::{Answer, Backend, Conf, Nginx, PATIENCE, Port, Redis, Request, Response, wait_for};

use crate::program::Folder;

struct Scene {
    nginx: Nginx,
    redis: Redis,
    backend: Backend,
    _port: Port,
}

impl Scene {
    /// Moves a configuration and starts the result. PORT and BACKEND stand for the addresses.
    fn start(text: &str) -> Scene {
        let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
        let text = text
            .replace("PORT", &port.address().to_string())
            .replace("REDIS", &redis.address())
            .replace("BACKEND", &backend.address().to_string());
        let folder = Folder::with(&[("nginx.conf", &text)]);
        let run = folder.migrate(&["nginx.conf", "--write", ".", "--redis", &redis.address()]);
        assert_eq!(run.code, 0, "{}", run.said);
        let moved = std::fs::read_to_string(folder.path().join("nginx.conf")).unwrap();
        // A test machine may be busy, and that is no trouble of Redis.
        let patient = "connect_timeout 10s; send_timeout 10s; read_timeout 10s;";
        let server = format!("server {};", redis.address());
        let conf = Conf::new(moved.replace("read_timeout 200ms;", "read_timeout 10s;"));
        let conf = if conf.text().contains("connect_timeout") {
            conf
        } else {
            conf.replace(&server, &format!("{server} {patient}"))
        };
        Scene {
            nginx: Nginx::start(&conf, port.address()),
            redis,
            backend,
            _port: port,
        }
    }

    fn get(&self, target: &str) -> Response {
        self.nginx.client().get(target)
    }

    /// Asks until a response has this status of the cache: another request's store may be on its way.
    fn wait_for(&self, target: &str, status: &str) -> Response {
        let mut last = self.get(target);
        wait_for(&format!("{status} of {target}"), PATIENCE, || {
            let is_it = happened(&last) == status;
            if !is_it {
                last = self.get(target);
            }
            is_it
        });
        last
    }
}

/// What the site itself says of it, by `$upstream_cache_status`.
fn happened(response: &Response) -> String {
    response.header("X-Cache-Status").unwrap_or_default()
}

const SITE: &str = r#"
events {}
http {
    proxy_cache_path cache/pages levels=1:2 keys_zone=pages:1m inactive=10m;
    proxy_cache_path cache/other keys_zone=other:1m;
    add_header X-Cache-Status $upstream_cache_status always;

    # Nothing listens at the first address, so each response has two statuses in $upstream_status.
    upstream second {
        server 127.0.0.1:1 max_fails=0;
        server BACKEND backup;
    }

    server {
        listen PORT;

        location / {
            proxy_pass http://BACKEND;
            proxy_cache pages;
            proxy_cache_key $host$uri$is_args$args;
            proxy_cache_valid 200 1h;
            proxy_cache_use_stale error timeout http_503;
            proxy_cache_bypass $http_x_fresh;
            proxy_no_cache $http_x_private;
        }

        location /stated/ {
            proxy_pass http://BACKEND;
            proxy_cache pages;
            proxy_cache_use_stale error updating;
        }

        location /plain/ {
            proxy_pass http://BACKEND;
            proxy_cache pages;
        }

        location /other/ {
            proxy_pass http://BACKEND;
            proxy_cache other;
            proxy_cache_key $host/page;
            proxy_cache_valid any 1h;
        }

        location /zero/ {
            proxy_pass http://BACKEND;
            proxy_cache pages;
            proxy_cache_valid 500 503 0;
            proxy_cache_valid any 1h;
        }

        location /ignored/ {
            proxy_pass http://BACKEND;
            proxy_cache pages;
            proxy_cache_use_stale error;
            proxy_ignore_headers X-Accel-Expires Expires Cache-Control;
        }

        location /partly/ {
            proxy_pass http://BACKEND;
            proxy_cache pages;
            proxy_cache_use_stale error;
            proxy_ignore_headers Cache-Control;
        }

        location /second/ {
            proxy_pass http://second;
            proxy_cache pages;
            proxy_cache_use_stale error;
        }

        location /unbuffered/ {
            proxy_pass http://BACKEND;
            proxy_buffering off;
            proxy_cache pages;
            proxy_cache_valid 200 1h;
        }

        location ~ ^/purge(/.*)$ {
            allow 127.0.0.1;
            deny all;
            proxy_cache_purge pages $host$1$is_args$args;
        }
    }
}
"#;

#[test]
fn a_second_request_is_a_hit() {
    let scene = Scene::start(SITE);
    scene.backend.set("/page", Answer::ok("page"));
    let first = scene.get("/page");
    assert_eq!((first.status, happened(&first).as_str()), (200, "MISS"));
    let hit = scene.wait_for("/page", "HIT");
    assert_eq!(hit.text(), "page");
    // Equal keys of two caches don't meet.
    scene.backend.set("/other/page", Answer::ok("other"));
    let other = scene.get("/other/page");
    assert_eq!(
        (happened(&other).as_str(), other.text().as_str()),
        ("MISS", "other")
    );
    assert_eq!(scene.wait_for("/other/page", "HIT").text(), "other");
    assert_eq!(scene.get("/page").text(), "page");
    scene.nginx.finish();
}

#[test]
fn bypass_and_no_cache() {
    let scene = Scene::start(SITE);
    let answers = ["one", "two", "three"].map(Answer::ok);
    scene.backend.set_each("/page", answers.to_vec());
    assert_eq!(scene.get("/page").text(), "one");
    scene.wait_for("/page", "HIT");
    // A bypass is stored ...
    let fresh = Request::get("/page").header("X-Fresh", "1");
    let fresh = scene.nginx.client().ask(&fresh);
    assert_eq!(
        (happened(&fresh).as_str(), fresh.text().as_str()),
        ("BYPASS", "two")
    );
    wait_for("the new page", PATIENCE, || {
        scene.get("/page").text() == "two"
    });
    // ... but not what proxy_no_cache keeps out.
    let private = Request::get("/page")
        .header("X-Fresh", "1")
        .header("X-Private", "1");
    assert_eq!(scene.nginx.client().ask(&private).text(), "three");
    assert_eq!(scene.get("/page").text(), "two");
    scene.nginx.finish();
}

#[test]
fn a_stale_record_stands_in_for_a_failing_backend() {
    let scene = Scene::start(SITE);
    let page = Answer::ok("page").header("Cache-Control", "max-age=1");
    scene.backend.set("/page", page);
    assert_eq!(scene.get("/page").text(), "page");
    scene.wait_for("/page", "HIT");
    scene.backend.set("/page", Answer::of(503, "busy"));
    let stale = scene.wait_for("/page", "STALE");
    assert_eq!((stale.status, stale.text().as_str()), (200, "page"));
    // What proxy_cache_use_stale doesn't name is the answer.
    scene.backend.set("/page", Answer::of(500, "broken"));
    wait_for("the backend to be asked again", PATIENCE, || {
        scene.get("/page").status == 500
    });
    scene.nginx.finish();
}

#[test]
fn only_what_states_its_lifetime_is_stored_without_proxy_cache_valid() {
    let scene = Scene::start(SITE);
    for folder in ["stated", "plain"] {
        let [silent, public, stated] =
            ["silent", "public", "stated"].map(|name| format!("/{folder}/{name}"));
        scene.backend.set(&silent, Answer::ok("silent"));
        let answer = Answer::ok("public").header("Cache-Control", "public");
        scene.backend.set(&public, answer);
        let answer = Answer::of(404, "stated").header("Cache-Control", "max-age=60");
        scene.backend.set(&stated, answer);
        scene.get(&stated);
        assert_eq!(scene.wait_for(&stated, "HIT").status, 404);
        for target in [&silent, &public] {
            for hits in 1..=3 {
                let response = scene.get(target);
                assert_eq!(happened(&response), "MISS", "{target}");
                assert_eq!(scene.backend.hits(target), hits, "{target}");
            }
        }
        let keys = scene.redis.keys();
        let keys = keys
            .iter()
            .filter(|key| key.contains(&format!("/{folder}/")));
        assert_eq!(keys.count(), 1, "{folder}");
    }
    scene.nginx.finish();
}

/// A record that nginx wouldn't have would be served in place of an error.
#[test]
fn a_lifetime_that_is_ignored_or_missing_leaves_no_record() {
    let scene = Scene::start(SITE);
    let timed = |name: &str, value: &str| Answer::ok("page").header(name, value);
    for target in [
        "/ignored/control",
        "/ignored/silent",
        "/partly/control",
        "/second/silent",
    ] {
        let answer = match target.ends_with("control") {
            true => timed("Cache-Control", "max-age=60"),
            false => Answer::ok("page"),
        };
        scene.backend.set(target, answer);
        for _ in 0..3 {
            assert_eq!(happened(&scene.get(target)), "MISS", "{target}");
        }
        let keys = scene.redis.keys();
        assert!(!keys.iter().any(|key| key.contains(target)), "{keys:?}");
    }
    scene
        .backend
        .set("/partly/accel", timed("X-Accel-Expires", "60"));
    scene
        .backend
        .set("/second/control", timed("Cache-Control", "max-age=60"));
    for target in ["/partly/accel", "/second/control"] {
        scene.get(target);
        scene.wait_for(target, "HIT");
    }
    scene.nginx.finish();
}

#[test]
fn a_location_of_ngx_cache_purge_purges() {
    let scene = Scene::start(SITE);
    scene
        .backend
        .set_each("/a/b?c=d", vec![Answer::ok("old"), Answer::ok("new")]);
    scene.get("/a/b?c=d");
    assert_eq!(scene.wait_for("/a/b?c=d", "HIT").text(), "old");
    let purged = scene.get("/purge/a/b?c=d");
    assert_eq!(
        (purged.status, happened(&purged).as_str()),
        (200, "PURGE"),
        "{}",
        purged.text()
    );
    assert_eq!(scene.get("/a/b?c=d").text(), "new");
    scene.nginx.finish();
}

/// What a backend may say, and where. A name, a folder of the site, a status and fields.
type Said = (
    &'static str,
    &'static str,
    u16,
    &'static [(&'static str, &'static str)],
);

#[rustfmt::skip]
const SAID: [Said; 29] = [
    ("a time for its status", "", 200, &[]),
    ("a time for its status, and public", "", 200, &[("Cache-Control", "public")]),
    ("its own time", "", 200, &[("Cache-Control", "max-age=60")]),
    ("its own time, for shared caches", "", 200, &[("Cache-Control", "s-maxage=60, max-age=0")]),
    ("X-Accel-Expires", "", 200, &[("X-Accel-Expires", "60")]),
    ("X-Accel-Expires 0", "", 200, &[("X-Accel-Expires", "0")]),
    ("X-Accel-Expires beside no-store", "", 200, &[("X-Accel-Expires", "60"), ("Cache-Control", "no-store")]),
    ("no-store", "", 200, &[("Cache-Control", "no-store")]),
    ("private", "", 200, &[("Cache-Control", "private, max-age=60")]),
    ("no-cache without a validator", "", 200, &[("Cache-Control", "no-cache")]),
    ("a cookie", "", 200, &[("Set-Cookie", "a=b")]),
    ("Vary: *", "", 200, &[("Vary", "*")]),
    ("Vary", "", 200, &[("Vary", "Accept-Language")]),
    ("a status without a time", "", 404, &[]),
    ("a redirect without a time", "", 302, &[("Location", "/x")]),
    ("an error without a time", "", 500, &[]),
    ("nothing", "stated/", 200, &[]),
    ("its own time", "stated/", 200, &[("Cache-Control", "max-age=60")]),
    ("its own time, another status", "stated/", 404, &[("Cache-Control", "max-age=60")]),
    ("public", "stated/", 200, &[("Cache-Control", "public")]),
    ("X-Accel-Expires", "stated/", 200, &[("X-Accel-Expires", "60")]),
    ("nothing", "plain/", 200, &[]),
    ("its own time", "plain/", 301, &[("Cache-Control", "max-age=60"), ("Location", "/x")]),
    ("no time left", "plain/", 200, &[("Cache-Control", "max-age=0")]),
    ("Expires in the past", "plain/", 200, &[("Expires", "Thu, 19 Nov 1981 08:52:00 GMT")]),
    ("any, an error", "other/", 500, &[]),
    ("a time of 0", "zero/", 500, &[]),
    ("its own time instead of 0", "zero/", 500, &[("Cache-Control", "max-age=60")]),
    ("any beside a time of 0", "zero/", 404, &[]),
];

/// What is stored is the same before and after: nginx's own cache says what it does.
#[test]
fn the_same_is_stored_as_before() {
    let after = Scene::start(SITE);
    let (backend, port) = (Backend::start(), Port::take());
    let (before, _) = SITE.split_once("        location ~ ^/purge").unwrap();
    let before = format!("{before}    }}\n}}\n")
        .replace("PORT", &port.address().to_string())
        .replace("BACKEND", &backend.address().to_string())
        .replace("cache/", "temp/");
    let before = Nginx::start(&Conf::new(before), port.address());
    for (number, (name, folder, status, fields)) in SAID.into_iter().enumerate() {
        // The key of /other/ is one for all.
        let target = format!("/{folder}{number}");
        let mut answer = Answer::of(status, "content");
        for (field, value) in fields {
            answer = answer.header(field, value);
        }
        for backend in [&backend, &after.backend] {
            backend.set(&target, answer.clone());
        }
        let first = before.client().get(&target);
        let is_hit = |response: &Response| happened(response) == "HIT";
        let stored = (0..5).any(|_| is_hit(&before.client().get(&target)));
        let moved = after.get(&target);
        let seen = |response: &Response| (response.status, happened(response), response.text());
        assert_eq!(seen(&moved), seen(&first), "{folder}: {name}");
        if stored {
            after.wait_for(&target, "HIT");
        } else {
            let hit = (0..3).any(|_| is_hit(&after.get(&target)));
            assert!(!hit, "{folder}: {name} is stored");
        }
    }
    // As a note says.
    let unbuffered = "/unbuffered/page";
    backend.set(unbuffered, Answer::ok("page"));
    let mut nginx = before.client();
    assert!((0..5).all(|_| happened(&nginx.get(unbuffered)) == "MISS"));
    before.finish();
    after.nginx.finish();
}

const SEED: &str = r#"
events {}
http {
    lua_shared_dict cache_locks 1m;
    server {
        listen PORT;
        location /v/ {
            set $cache_lock cache_locks;
            set $cache_pass /redis;
            set $cache_backend /fallback;
            set $cache_age 120;
            set $cache_header "X-Cache";
            set_md5 $cache_key $request_method:$request_uri;
            content_by_lua_file /usr/local/openresty/lualib/resty/cache.lua;
        }
        location /a/ {
            content_by_lua '
                require("resty.cache"):new("cache_locks", "/redis", "/fallback", {200, 404}, nil, 10, 10, "X-Cache"):run()
            ';
        }
        location /fallback {
            internal;
            rewrite ^/fallback/(.*) /$1 break;
            proxy_pass http://BACKEND;
        }
        location /redis {
            internal;
            set_unescape_uri $n $arg_n;
            echo_read_request_body;
            redis2_raw_queries $n "$echo_request_body\r\n";
            redis2_connect_timeout 10s;
            redis2_send_timeout 10s;
            redis2_read_timeout 10s;
            redis2_pass REDIS;
        }
    }
}
"#;

#[test]
fn both_forms_of_lua_resty_cache() {
    let scene = Scene::start(SEED);
    for (path, key) in [
        ("/v/page", testbed::md5_hex("GET:/v/page")),
        ("/a/page", testbed::md5_hex("/a/page")),
    ] {
        scene.backend.set(path, Answer::ok("page"));
        let first = scene.get(path);
        assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
        // The key is the script's own: both find what the other has stored.
        assert_eq!(scene.redis.wait_for_record(&key).body, b"page");
        assert_eq!(scene.get(path).word(), "HIT");
    }
    scene.nginx.finish();
}
