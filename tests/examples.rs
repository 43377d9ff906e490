//! The files of `nginx-conf/` run as they are, but for the places of their servers and how long they wait for Redis, and
//! do what they say.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use testbed::{
    Answer, Authority, Backend, Conf, Nginx, PATIENCE, Port, Redis, Request, example, md5_hex,
    wait_for,
};

struct Scene {
    nginx: Nginx,
    redis: Redis,
    backend: Backend,
    _port: Port,
}

/// Starts a file with ports of our own in it.
fn start(name: &str, listen: &str) -> Scene {
    let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
    let listen_here = listen
        .replace("127.0.0.1:", "")
        .replace("8080", &port.address().to_string());
    let conf: Conf = example(name)
        .replace(listen, &listen_here)
        // A test machine may be busy, and that is no trouble of Redis.
        .replace("200ms", "2s")
        .replace("127.0.0.1:6379", &redis.address())
        .replace("127.0.0.1:9999", &backend.address().to_string());
    Scene {
        nginx: Nginx::start(&conf, port.address()),
        redis,
        backend,
        _port: port,
    }
}

#[test]
fn every_file_is_covered_here() {
    let folder = testbed::workspace().join("nginx-conf");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".conf"))
        .collect();
    names.sort();
    assert_eq!(names, ["demo.conf", "proxy.conf", "seed.conf", "tls.conf"]);
}

#[test]
fn seed_conf_runs_as_it_is() {
    let scene = start("seed.conf", "listen 8080;");
    let mut client = scene.nginx.client();
    let page = Request::get("/page").header("User-Agent", "test");
    let start = Instant::now();
    let first = client.ask(&page);
    assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
    let key = md5_hex("GET:test:/page");
    assert_eq!(scene.redis.wait_for_record(&key).body, first.body);
    // 120 s fresh and 100 s stale
    scene.redis.assert_left(&key, 220, start);
    let hit = client.ask(&page);
    assert_eq!((hit.word().as_str(), hit.text()), ("HIT", first.text()));
    assert_eq!(
        client.ask(&Request::new("PUT", "/page").body("x")).word(),
        "SKIP"
    );
    assert_eq!(client.ask(&Request::post("/post", "x")).word(), "STORE");
    scene.backend.set("/405", Answer::of(405, "no"));
    assert_eq!(client.get("/405").word(), "STORE");
    scene.backend.set("/404", Answer::of(404, "gone"));
    assert_eq!(client.get("/404").word(), "SKIP");
    scene.redis.expire_in(&key, 50_000);
    assert_eq!(client.ask(&page).word(), "STALE");
    wait_for("the refill", PATIENCE, || client.ask(&page).word() == "HIT");
    let real_ip = scene.backend.last("/page").header("x-real-ip");
    assert_eq!(real_ip.as_deref(), Some("127.0.0.1"));
    // What passes by the cache is not for clients: /fallback/x is 404 there, whatever the backend has.
    let before = scene.backend.all_hits();
    let _ = client.get("/fallback/x");
    assert_eq!(
        (client.get("/fallback/x").status, scene.backend.all_hits()),
        (404, before)
    );
    scene.nginx.finish();
}

#[test]
fn tls_conf_runs_as_it_is() {
    let authority = Authority::make();
    let server = authority.issue("redis", "IP:127.0.0.1");
    let client = authority.issue("nginx", "DNS:nginx.example");
    let (secured, backend, port) = (Port::take(), Backend::start(), Port::take());
    let options = authority.redis_options(secured.number(), &server, true);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let redis = Redis::with_options(&options);
    let file = |path: PathBuf| path.display().to_string();
    let conf = example("tls.conf")
        .replace("listen 8080;", &format!("listen {};", port.address()))
        .replace("200ms", "2s")
        .replace("127.0.0.1:6379", &secured.address().to_string())
        .replace("127.0.0.1:9999", &backend.address().to_string())
        .replace("/etc/nginx/redis/ca.pem", &file(authority.certificate()))
        .replace("/etc/nginx/redis/nginx.pem", &file(client.certificate))
        .replace("/etc/nginx/redis/nginx.key", &file(client.key));
    let nginx = Nginx::start(&conf, port.address());
    let mut client = nginx.client();
    let first = client.get("/page");
    assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
    wait_for("the record", PATIENCE, || {
        client.get("/page").word() == "HIT"
    });
    assert_eq!(client.get("/page").text(), first.text());
    assert_eq!(backend.hits("/page"), 1);
    assert_eq!(redis.command::<usize>(&["DBSIZE"]), 1);
    nginx.finish();
}

#[test]
fn proxy_conf_runs_as_it_is() {
    let scene = start("proxy.conf", "listen 8080;");
    let mut client = scene.nginx.client();
    let page = Request::get("/page").header("Host", "example.org");
    let start = Instant::now();
    let first = client.ask(&page);
    assert_eq!(
        (first.status, first.word().as_str(), first.age()),
        (200, "STORE", None)
    );
    let key = "http:GET:example.org:/page";
    assert_eq!(scene.redis.wait_for_record(key).body, first.body);
    // 2 m fresh and 100 s stale
    scene.redis.assert_left(key, 220, start);
    let hit = client.ask(&page);
    assert_eq!((hit.word().as_str(), hit.text()), ("HIT", first.text()));
    assert!(hit.age().is_some());
    scene.redis.expire_in(key, 50_000);
    assert_eq!(client.ask(&page).word(), "STALE");
    wait_for("the refill", PATIENCE, || client.ask(&page).word() == "HIT");
    // The key of the GET, though it holds $request_method.
    let head = client.ask(&Request::head("/page").header("Host", "example.org"));
    assert_eq!((head.word().as_str(), head.body.len()), ("HIT", 0));
    assert_eq!(scene.redis.keys(), [key]);
    assert_eq!(client.ask(&Request::post("/page", "x")).word(), "SKIP");
    scene.nginx.finish();
}

#[test]
fn demo_conf_runs_as_it_is() {
    let scene = start("demo.conf", "listen 127.0.0.1:8080 reuseport;");
    let mut client = scene.nginx.client();
    scene.backend.set(
        "/news.html",
        Answer::ok("news").header("Cache-Control", "max-age=1"),
    );
    scene.backend.set("/none", Answer::of(404, "gone"));
    for (path, seconds) in [("/page", 360), ("/news.html", 301), ("/none", 360)] {
        let start = Instant::now();
        assert_eq!(client.get(path).word(), "STORE", "{path}");
        let key = format!("http://localhost{path}");
        scene.redis.wait_for_record(&key);
        scene.redis.assert_left(&key, seconds, start);
    }
    assert_eq!(client.get("/page").word(), "HIT");
    wait_for("the news to be old", PATIENCE, || {
        client.get("/news.html").word() == "STALE"
    });
    assert_eq!(client.get("/news.html").status, 200);
    scene.nginx.finish();
}
