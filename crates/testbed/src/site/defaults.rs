//! The directives that a site has unless the test gives its own.

/// The store block.
pub(super) const STORE: [(&str, &str); 4] = [
    ("server", "server REDIS;"),
    // Longer than nginx.conf files have it: a test machine may be busy, and that is no trouble of Redis.
    ("connect_timeout", "connect_timeout 10s;"),
    ("send_timeout", "send_timeout 10s;"),
    ("read_timeout", "read_timeout 10s;"),
];

/// The cached location, whatever the form: its backend.
pub(super) const PROXY: [(&str, &str); 4] = [
    ("add_header X-Worker", "add_header X-Worker $pid always;"),
    ("proxy_http_version", "proxy_http_version 1.1;"),
    (
        "proxy_set_header Connection",
        "proxy_set_header Connection \"\";",
    ),
    ("proxy_pass", "proxy_pass http://backend;"),
];

/// Longer than the module's own: on a busy machine a fill may take seconds, and nobody's turn to go has come for that.
const LOCK_TIMEOUT: (&str, &str) = ("redis_cache_lock_timeout ", "redis_cache_lock_timeout 20s;");

/// The cached location of [`super::Site::new`].
pub(super) const OWN: [(&str, &str); 9] = [
    (
        "add_header X-Status",
        "add_header X-Status $redis_cache_status always;",
    ),
    ("redis_cache ", "redis_cache on;"),
    ("redis_cache_lock ", "redis_cache_lock locks;"),
    ("redis_cache_pass ", "redis_cache_pass main;"),
    ("redis_cache_key ", "redis_cache_key $request_uri;"),
    ("redis_cache_age ", "redis_cache_age 60s;"),
    ("redis_cache_stale ", "redis_cache_stale 100s;"),
    ("redis_cache_header ", "redis_cache_header X-Cache;"),
    LOCK_TIMEOUT,
];

/// The cached location of [`super::Site::seed`].
pub(super) const SEED: [(&str, &str); 11] = [
    ("set $cache_lock ", "set $cache_lock locks;"),
    ("set $cache_pass ", "set $cache_pass main;"),
    ("set $cache_backend ", "set $cache_backend /fallback;"),
    ("set $cache_status ", "set $cache_status \"200 405 \";"),
    ("set $cache_method ", "set $cache_method \"GET POST \";"),
    ("set $cache_age ", "set $cache_age 60;"),
    ("set $cache_stale ", "set $cache_stale 100;"),
    ("set $cache_header ", "set $cache_header \"X-Cache\";"),
    (
        "$cache_key ",
        "set_md5 $cache_key $request_method:$http_user_agent:$request_uri;",
    ),
    ("redis_cache;", "redis_cache;"),
    LOCK_TIMEOUT,
];

/// At the server: what passes by the cache is answered by /fallback, where the location's own don't apply.
pub(super) const SEED_SERVER: &str =
    "add_header X-Status $redis_cache_status always;\nadd_header X-Worker $pid always;\n";

/// The backend of [`super::Site::seed`].
pub(super) const FALLBACK: &str = r"location /fallback {
    rewrite ^/fallback/(.*) /$1 break;
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_redirect off;
    proxy_pass http://BACKEND;
}";

/// What a test gives, and the defaults for all it says nothing of.
pub(super) fn with_defaults(given: &str, defaults: &[(&str, &str)]) -> String {
    let missing = defaults
        .iter()
        .filter(|(directive, _)| !given.contains(directive));
    missing.fold(given.to_owned(), |text, (_, line)| text + "\n" + line)
}
