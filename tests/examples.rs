//! The files of `nginx-conf/` and README's first example run as they are, but for the places of their servers and how long they wait for Redis, and
//! do what they say.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use testbed::{
    Answer, Authority, Backend, Conf, Nginx, PATIENCE, Port, Redis, RedisCluster, Request,
    Sentinels, example, md5_hex, page, readme_example, wait_for,
};

struct Scene {
    nginx: Nginx,
    redis: Redis,
    backend: Backend,
    _port: Port,
}

/// Starts a file with ports of our own in it.
fn start(name: &str, listen: &str) -> Scene {
    start_conf(example(name), listen)
}

/// Starts a configuration with ports of our own in it.
fn start_conf(conf: Conf, listen: &str) -> Scene {
    let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
    let listen_here = listen
        .replace("127.0.0.1:", "")
        .replace("8080", &port.address().to_string());
    let conf = conf
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
fn the_example_of_the_readme_runs_as_it_is() {
    let conf = Conf::new(format!(
        "load_module modules/ngx_http_redis_cache_module.so;\nevents {{}}\nhttp {{\n{}}}\n",
        readme_example()
    ))
    // The example leaves the times to their defaults.
    .replace(
        "6379;",
        "6379; connect_timeout 200ms; send_timeout 200ms; read_timeout 200ms;",
    );
    let scene = start_conf(conf, "listen 8080;");
    let mut client = scene.nginx.client();
    let page = Request::get("/").header("Host", "127.0.0.1:8080");
    let start = Instant::now();
    let first = client.ask(&page);
    assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
    let key = "http:GET:127.0.0.1:8080:/";
    let _ = scene.redis.wait_for_record(key);
    // 2 m fresh and 100 s stale
    scene.redis.assert_left(key, 220, start);
    let hit = client.ask(&page);
    assert_eq!((hit.word().as_str(), hit.text()), ("HIT", first.text()));
    scene.nginx.finish();
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
    assert_eq!(
        names,
        [
            "cluster.conf",
            "demo.conf",
            "log.conf",
            "memory.conf",
            "proxy.conf",
            "purge.conf",
            "seed.conf",
            "sentinel.conf",
            "status.conf",
            "tls.conf"
        ]
    );
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

fn ask(scene: &Scene, method: &str, host: &str, target: &str) -> testbed::Response {
    let request = Request::new(method, target).header("Host", host);
    scene.nginx.client().ask(&request)
}

#[test]
fn purge_conf_runs_as_it_is() {
    let scene = start("purge.conf", "8080;");
    for (host, method, target) in [
        // nginx-helper
        ("blog.example.com", "GET", "/purge/page"),
        ("blog.example.com", "PURGE", "/page"),
        ("shop.example.com", "PURGE", "/page"),
        ("api.example.com", "PURGE", "/page"),
        ("other.example.com", "PURGE", "/page"),
    ] {
        wait_for("the record", PATIENCE, || {
            ask(&scene, "GET", host, "/page").word() == "HIT"
        });
        let answer = ask(&scene, method, host, target);
        let said = "{\"purged\": 1, \"kind\": \"key\", \"mode\": \"hard\"}\n";
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, said),
            "{host}"
        );
        assert_eq!(ask(&scene, "GET", host, "/page").word(), "STORE", "{host}");
    }
    assert_eq!(ask(&scene, "GET", "x", "/cache/purge").status, 405);
    scene.nginx.finish();
}

#[test]
fn purge_conf_purges_all_sites() {
    let scene = start("purge.conf", "8080;");
    let pages = ["blog.example.com", "shop.example.com"].map(|host| (host, "/page"));
    for (host, target) in pages {
        assert_eq!(ask(&scene, "GET", host, target).word(), "STORE", "{host}");
        wait_for("the record", PATIENCE, || {
            ask(&scene, "GET", host, target).word() == "HIT"
        });
    }
    let all = Request::post("/cache/purge", "{\"type\": \"all\"}");
    let answer = scene.nginx.client().ask(&all);
    let said = "{\"purged\": 1, \"kind\": \"all\", \"mode\": \"soft\"}\n";
    assert_eq!((answer.status, answer.text().as_str()), (200, said));
    for (host, target) in pages {
        assert_eq!(ask(&scene, "GET", host, target).word(), "STALE", "{host}");
    }
    scene.nginx.finish();
}

#[test]
fn cluster_conf_runs_as_it_is() {
    let cluster = RedisCluster::options().replicas(0).start();
    let (backend, port) = (Backend::start(), Port::take());
    let mut conf = example("cluster.conf")
        .replace("listen 8080;", &format!("listen {};", port.address()))
        // A test machine may be busy, and that is no trouble of Redis.
        .replace("200ms", "2s")
        .replace("127.0.0.1:9999", &backend.address().to_string());
    for number in 0..3 {
        let place = format!("127.0.0.1:{}", 7001 + number);
        conf = conf.replace(&place, &cluster.node(number).address().to_string());
    }
    let nginx = Nginx::start(&conf, port.address());
    let mut client = nginx.client();
    for number in 0..3 {
        let key = cluster.key_at(number, "http:GET:example.org:/page");
        let path = key.rsplit(':').next().unwrap();
        let page = Request::get(path).header("Host", "example.org");
        let first = client.ask(&page);
        assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
        assert_eq!(cluster.wait_for_record(&key).body, first.body);
        assert_eq!(cluster.node(number).keys(), [key.as_str()]);
        let hit = client.ask(&page);
        assert_eq!((hit.word().as_str(), hit.text()), ("HIT", first.text()));
    }
    nginx.finish();
}

#[test]
fn sentinel_conf_runs_as_it_is() {
    let all = Sentinels::start();
    let (backend, port) = (Backend::start(), Port::take());
    let mut conf = example("sentinel.conf")
        .replace("listen 8080;", &format!("listen {};", port.address()))
        .replace("mymaster;", &format!("{};", all.name()))
        // A test machine may be busy, and that is no trouble of Redis.
        .replace(
            "mode sentinel",
            "connect_timeout 2s; read_timeout 2s;\nmode sentinel",
        )
        .replace("127.0.0.1:9999", &backend.address().to_string());
    for (number, sentinel) in all.sentinels().enumerate() {
        let place = format!("127.0.0.1:{}", 26379 + number);
        conf = conf.replace(&place, &all.server(sentinel).address().to_string());
    }
    let nginx = Nginx::start(&conf, port.address());
    let mut client = nginx.client();
    wait_for("the master to be known", PATIENCE, || {
        client.get("/first").word() == "HIT"
    });
    let first = client.get("/page");
    assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
    wait_for("the record", PATIENCE, || {
        client.get("/page").word() == "HIT"
    });
    all.wait_until_well();
    let _ = all.failover();
    wait_for("the record in the new master", PATIENCE, || {
        client.get("/page").word() == "HIT"
    });
    nginx.finish();
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

#[test]
fn memory_conf_runs_as_it_is() {
    let (backend, port) = (Backend::start(), Port::take());
    let conf = example("memory.conf")
        .replace("listen 8080;", &format!("listen {};", port.address()))
        .replace("127.0.0.1:9999", &backend.address().to_string());
    let nginx = Nginx::start(&conf, port.address());
    let mut client = nginx.client();
    let first = client.get("/page");
    assert_eq!((first.status, first.word().as_str()), (200, "STORE"));
    wait_for("the record", PATIENCE, || {
        client.get("/page").word() == "HIT"
    });
    assert_eq!(client.get("/page").text(), first.text());
    assert_eq!(backend.hits("/page"), 1);
    nginx.finish();
}

#[test]
fn status_conf() {
    let scene = start("status.conf", "listen 127.0.0.1:8080");
    scene.backend.set("/page", Answer::ok("page"));
    let mut client = scene.nginx.client();
    assert_eq!(
        client.get("/page").header("x-cache").as_deref(),
        Some("STORE")
    );
    wait_for("a response that is counted", PATIENCE, || {
        let status = client.get("/cache/status");
        assert_eq!(status.status, 200);
        status
            .text()
            .contains(r#""miss":{"bytes":4,"bytes_written":4,"responses":1,"responses_written":1}"#)
    });
    let line = "nginx_redis_cache_responses_total{zone=\"cache_locks\",status=\"miss\"} 1";
    assert!(
        client
            .get("/cache/metrics")
            .text()
            .lines()
            .any(|is| is == line)
    );
    scene.nginx.finish();
}

/// The variables that `docs/variables.md` has of those that the module makes.
fn documented_variables() -> Vec<String> {
    let text = page("docs/variables.md");
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("### $redis_cache_"));
    names.map(|name| format!("$redis_cache_{name}")).collect()
}

#[test]
fn log_conf_runs_as_it_is() {
    let conf = example("log.conf");
    let variables = documented_variables();
    assert!(variables.len() >= 8, "{variables:?}");
    for variable in &variables {
        let formats = conf.text().split("log_format ").skip(1);
        for format in formats.map(|rest| rest.split(';').next().unwrap()) {
            let json = variable
                .replace("$redis_cache_", "$json_")
                .replace("_time", "");
            let has = format.contains(variable.as_str()) || format.contains(&json);
            assert!(has, "{variable} in {format}");
        }
    }
    let conf = conf.replace("/var/log/nginx/", "logs/");
    let scene = start_conf(conf, "listen 8080;");
    let mut client = scene.nginx.client();
    let page = Request::get("/page?\"a\"").header("Host", "example.org");
    assert_eq!(client.ask(&page).status, 200);
    let key = "http://example.org/page?\"a\"";
    let _ = scene.redis.wait_for_record(key);
    assert_eq!(client.ask(&page).status, 200);
    assert_eq!(client.ask(&Request::post("/page", "x")).status, 200);

    let lines = |name: &str| {
        let path = scene.nginx.prefix().join("logs").join(name);
        let lines = || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        wait_for("three lines", PATIENCE, || lines().len() == 3);
        lines()
    };
    // Whether a line of the first is written before its fill is over nobody knows.
    let plain = lines("cache.log");
    assert!(
        plain[0].contains(" cache=MISS source=backend age=- "),
        "{plain:?}"
    );
    let hit = &plain[1];
    assert!(hit.contains(" cache=HIT source=store age="), "{hit}");
    let rest = "fill=- authority=example.org reason=\"fresh\" key=\"http://example.org/page?\\x22a\\x22\" args=\"\\x22a\\x22\"";
    assert!(hit.ends_with(rest), "{hit}");
    let post = " cache=BYPASS source=backend age=- ttl=- fill=- ";
    assert!(plain[2].contains(post), "{}", plain[2]);

    let json: Vec<serde_json::Value> = lines("cache.json")
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let words = |field: &str| {
        json.iter()
            .map(|line| line[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(words("cache"), ["MISS", "HIT", "BYPASS"]);
    assert_eq!(words("source"), ["backend", "store", "backend"]);
    assert_eq!(json[1]["key"], key);
    assert_eq!(json[1]["args"], "\"a\"");
    assert_eq!(json[1]["reason"], "fresh");
    assert_eq!(json[2]["reason"], "method not listed");
    assert!(
        json[1]["age"].is_u64() && json[1]["ttl"].is_u64(),
        "{}",
        json[1]
    );
    assert!(json[2]["age"].is_null() && json[1]["fill"].is_null());
    scene.nginx.finish();
}
