//! The examples of the documentation: nginx accepts each, in a configuration around it that it fits into.

use testbed::{Conf, Fence, Nginx, fences, page};

/// The words of a fragment's statements at its own level, in their order.
fn statements(text: &str) -> Vec<String> {
    let (mut words, mut depth, mut is_begin) = (Vec::new(), 0, true);
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default();
        for word in line.split_whitespace() {
            if word.starts_with('#') {
                break;
            }
            if is_begin && depth == 0 {
                words.push(word.trim_end_matches(';').to_owned());
            }
            depth += word.matches('{').count();
            // A brace of a regular expression or of JSON would have quotes.
            depth -= word.matches('}').count();
            is_begin = word.ends_with([';', '{', '}']);
        }
    }
    words
}

/// What may stand in an http block alone, or mostly does.
const OF_HTTP: [&str; 9] = [
    "redis_cache_zone",
    "redis_cache_store",
    "upstream",
    "map",
    "server",
    "log_format",
    "proxy_cache_path",
    "resolver",
    "limit_req_zone",
];

/// A configuration with the fragment in it.
fn around(fragment: &str) -> String {
    let words = statements(fragment);
    let has = |word: &str| words.iter().any(|it| it == word);
    let load = "load_module modules/ngx_http_redis_cache_module.so;\n";
    if has("http") {
        let load = if has("load_module") { "" } else { load };
        let events = if has("events") { "" } else { "events {}\n" };
        return format!("{load}{events}{fragment}");
    }
    let mut http = String::new();
    for (known, line) in [
        (
            "redis_cache_zone cache_locks",
            "redis_cache_zone cache_locks 1m;",
        ),
        (
            "redis_cache_store main",
            "redis_cache_store main { server 127.0.0.1:6379; }",
        ),
        ("upstream www", "upstream www { server 127.0.0.1:9999; }"),
    ] {
        if !fragment.contains(known) {
            http.push_str(line);
            http.push('\n');
        }
    }
    for (known, line) in [
        ("redis_cache_lock", "redis_cache_lock cache_locks;"),
        ("redis_cache_pass", "redis_cache_pass main;"),
    ] {
        if !has(known) {
            http.push_str(line);
            http.push('\n');
        }
    }
    let inside = if OF_HTTP.iter().any(|word| has(word)) {
        fragment.to_owned()
    } else if has("location") {
        format!("server {{\n{fragment}}}\n")
    } else {
        let on = if has("redis_cache") {
            ""
        } else {
            "redis_cache on;\n"
        };
        format!("server {{\nlocation / {{\n{on}{fragment}}}\n}}\n")
    };
    format!("{load}events {{}}\nhttp {{\n{http}{inside}}}\n")
}

/// Files that examples name.
const FILES: [(&str, &str); 1] = [("redis.password", "secret\n")];

fn refuses(fence: &Fence) -> Option<String> {
    let text = around(&fence.text).replace("/var/cache/nginx", "temp/cache");
    Nginx::refuses(&Conf::new(text.as_str()), &FILES).map(|said| format!("{said}{text}"))
}

#[test]
fn nginx_accepts_each_example() {
    let (mut count, mut refused) = (0, Vec::new());
    for path in super::pages() {
        for fence in fences(&page(&path)) {
            if fence.language != "nginx" {
                continue;
            }
            count += 1;
            if let Some(said) = refuses(&fence) {
                refused.push(format!("{path}:{}: {said}", fence.line));
            }
        }
    }
    assert!(count > 20, "{count} examples");
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// What is for nginx has the mark of it: nothing else looks like a configuration of the module.
#[test]
fn no_example_is_left_out() {
    for path in super::pages() {
        for fence in fences(&page(&path)) {
            let is_head = fence.text.starts_with("Syntax:");
            let has = fence.text.lines().any(|line| {
                let line = line.trim_start();
                line.starts_with("redis_cache") && line.trim_end().ends_with([';', '{', '}'])
            });
            let is_known = fence.language == "nginx" || is_head || !has;
            assert!(is_known, "{path}:{}: {}", fence.line, fence.text);
        }
    }
}

#[test]
fn an_example_that_is_wrong_is_refused() {
    for (text, said) in [
        ("redis_cache maybe;\n", "it is \"on\" or \"off\""),
        (
            "location / { redis_cache_zone x 1m; }\n",
            "is not allowed here",
        ),
        (
            "redis_cache_store main { server 127.0.0.1:6379; speed 9; }\n",
            "unknown directive",
        ),
    ] {
        let conf = Conf::new(around(text));
        let refused = Nginx::refuses(&conf, &[]).unwrap_or_default();
        assert!(refused.contains(said), "{text}: {refused}");
    }
}
