//! The usual scene of a test: nginx with the module, its Redis and its backend.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::backend::Backend;
use crate::client::{Client, Request, Response};
use crate::conf::Conf;
use crate::crowd::{Crowd, crowd};
use crate::log::Position;
use crate::nginx::Nginx;
use crate::ports::Port;
use crate::record::md5_hex;
use crate::redis_server::Redis;
use crate::wait::{PATIENCE, eventually, wait_for};
use crate::zone::Zone;

/// A description of nginx's configuration, built from directives that matter to the test.
///
/// `/` is cached under the key `$request_uri`, fresh for 60 s and stale for 100 s more; the answer says what happened in
/// X-Cache, X-Status (`$redis_cache_status`) and X-Worker (process id).
#[derive(Debug, Clone, Default)]
pub struct Site {
    seed: bool,
    plain: bool,
    reuseport: bool,
    workers: usize,
    connections: usize,
    modules: String,
    main: String,
    http: String,
    store: String,
    server: String,
    location: String,
    locations: String,
}

/// A [`Site`] that runs. nginx ends first.
#[derive(Debug)]
pub struct Running {
    /// nginx.
    pub nginx: Nginx,
    /// Redis.
    pub redis: Redis,
    /// The backend.
    pub backend: Backend,
    seed: bool,
    _port: Port,
}

impl Site {
    /// The form of a new user: the location's own handler is the backend. Two workers.
    #[must_use]
    pub fn new() -> Site {
        Site {
            workers: 2,
            connections: 2048,
            ..Site::default()
        }
    }

    /// The form of a migrating user: `$cache_*` variables, `/fallback` is the backend.
    #[must_use]
    pub fn seed() -> Site {
        Site {
            seed: true,
            ..Site::new()
        }
    }

    /// Both forms, with their names: what holds for one holds for the other.
    #[must_use]
    pub fn forms() -> [(&'static str, Site); 2] {
        [
            ("own handler", Site::new()),
            ("$cache_backend", Site::seed()),
        ]
    }

    /// Without the module: `proxy_pass` alone.
    #[must_use]
    pub fn plain() -> Site {
        Site {
            plain: true,
            ..Site::new()
        }
    }

    /// How many workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Site {
        self.workers = workers;
        self
    }

    /// How many connections a worker may have.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Site {
        self.connections = connections;
        self
    }

    /// The kernel spreads connections over the workers, evenly and whatever their load.
    #[must_use]
    pub fn spread(mut self) -> Site {
        self.reuseport = true;
        self
    }

    /// `load_module` of other modules. `OURS` stands for this module's, which comes last unless it is said.
    #[must_use]
    pub fn modules(mut self, directives: &str) -> Site {
        self.modules.push_str(directives);
        self
    }

    /// Directives of the main context.
    #[must_use]
    pub fn main(mut self, directives: &str) -> Site {
        self.main.push_str(directives);
        self
    }

    /// Directives of the http block.
    #[must_use]
    pub fn http(mut self, directives: &str) -> Site {
        self.http.push_str(directives);
        self
    }

    /// Directives of the store block; they replace those of the same name.
    #[must_use]
    pub fn store(mut self, directives: &str) -> Site {
        self.store.push_str(directives);
        self
    }

    /// Directives of the server block.
    #[must_use]
    pub fn server(mut self, directives: &str) -> Site {
        self.server.push_str(directives);
        self
    }

    /// Directives of the cached location; they replace those of the same name.
    #[must_use]
    pub fn location(mut self, directives: &str) -> Site {
        self.location.push_str(directives);
        self
    }

    /// Whole locations beside the cached one. `BACKEND` stands for the backend's address.
    #[must_use]
    pub fn locations(mut self, locations: &str) -> Site {
        self.locations.push_str(locations);
        self
    }

    /// Starts Redis, backend and nginx.
    #[must_use]
    #[track_caller]
    pub fn start(&self) -> Running {
        self.start_with(Redis::start())
    }

    /// Starts backend and nginx, with a Redis of the test's own.
    #[must_use]
    #[track_caller]
    pub fn start_with(&self, redis: Redis) -> Running {
        let (port, backend) = (Port::take(), Backend::start());
        let conf = self.conf(port.address(), &redis, &backend);
        Running {
            nginx: Nginx::start(&conf, port.address()),
            redis,
            backend,
            seed: self.seed,
            _port: port,
        }
    }

    /// The whole nginx.conf.
    #[must_use]
    pub fn conf(&self, listen: SocketAddr, redis: &Redis, backend: &Backend) -> Conf {
        let reuseport = if self.reuseport { " reuseport" } else { "" };
        let ours = if self.plain {
            ""
        } else {
            "load_module modules/ngx_http_redis_cache_module.so;\n"
        };
        let mut text = if self.modules.contains("OURS") {
            self.modules.replace("OURS", ours)
        } else {
            format!("{}{ours}", self.modules)
        };
        let _ = write!(
            text,
            "worker_processes {workers};\nworker_shutdown_timeout 20s;\nerror_log logs/error.log info;\n\
             events {{ worker_connections {connections}; }}\n{main}\n\
             http {{\nupstream backend {{ server BACKEND; keepalive 32; }}\n{module}\n{http}\n\
             server {{\nlisten {listen}{reuseport};\n{server}\n{locations}\n\
             location / {{\n{location}\n}}\n{fallback}\n}}\n}}\n",
            workers = self.workers,
            connections = self.connections,
            main = self.main,
            module = self.module_block(),
            http = self.http,
            server = self.server.clone() + if self.seed { SEED_SERVER } else { "" },
            locations = self.locations,
            location = self.location_block(),
            fallback = if self.seed { FALLBACK } else { "" },
        );
        text = text.replace("BACKEND", &backend.address().to_string());
        text = text.replace("REDIS_SOCKET", &redis.socket().display().to_string());
        Conf::new(text.replace("REDIS", &redis.address()))
    }

    fn module_block(&self) -> String {
        if self.plain {
            return String::new();
        }
        let zone = if self.http.contains("redis_cache_zone") {
            ""
        } else {
            "redis_cache_zone locks 1m;"
        };
        let store = with_defaults(&self.store, &STORE);
        format!("{zone}\nredis_cache_store main {{\n{store}\n}}")
    }

    fn location_block(&self) -> String {
        if self.plain {
            with_defaults(&self.location, &PROXY)
        } else if self.seed {
            with_defaults(&self.location, &SEED)
        } else {
            with_defaults(&with_defaults(&self.location, &OWN), &PROXY)
        }
    }
}

const STORE: [(&str, &str); 4] = [
    ("server", "server REDIS;"),
    // Longer than nginx.conf files have it: a test machine may be busy, and that is no trouble of Redis.
    ("connect_timeout", "connect_timeout 10s;"),
    ("send_timeout", "send_timeout 10s;"),
    ("read_timeout", "read_timeout 10s;"),
];

const PROXY: [(&str, &str); 4] = [
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

const OWN: [(&str, &str); 9] = [
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

const SEED: [(&str, &str); 11] = [
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
const SEED_SERVER: &str =
    "add_header X-Status $redis_cache_status always;\nadd_header X-Worker $pid always;\n";

const FALLBACK: &str = r"location /fallback {
    rewrite ^/fallback/(.*) /$1 break;
    proxy_set_header Host $http_host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_redirect off;
    proxy_pass http://BACKEND;
}";

fn with_defaults(given: &str, defaults: &[(&str, &str)]) -> String {
    let missing = defaults
        .iter()
        .filter(|(directive, _)| !given.contains(directive));
    missing.fold(given.to_owned(), |text, (_, line)| text + "\n" + line)
}

impl Running {
    /// Where nginx listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    /// The module's zone as it is now.
    ///
    /// # Panics
    ///
    /// If no worker has one that can be read.
    #[must_use]
    #[track_caller]
    pub fn zone(&self) -> Zone {
        let zone = eventually(PATIENCE, || {
            self.nginx.workers().into_iter().find_map(Zone::of)
        });
        zone.expect("the zone in a worker's memory")
    }

    /// Waits until nobody holds a lock, waits or refills, as the zone has it; gives the zone.
    #[track_caller]
    pub fn wait_for_quiet_zone(&self) -> Zone {
        let mut zone = Zone::default();
        wait_for("a zone without locks, waiters, refills", PATIENCE, || {
            zone = self.zone();
            zone.is_quiet()
        });
        zone
    }

    /// Waits until so many requests wait for a lock, as the zone has it: they have looked into the store. (Lookups can't
    /// be counted: those of one key at one time are shared.)
    #[track_caller]
    pub fn wait_for_waiters(&self, count: u32) {
        wait_for("requests that wait for a lock", PATIENCE, || {
            self.zone().waiting >= count
        });
    }

    /// A new connection to nginx.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        self.nginx.client()
    }

    /// GET of `target` on a new connection.
    #[must_use]
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// `request` on a new connection.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }

    /// GETs of `target` by `count` clients at once.
    #[must_use]
    pub fn crowd(&self, count: usize, target: &str) -> Crowd {
        crowd(self.address(), count, |_| Request::get(target))
    }

    /// The key of a GET of `target` without User-Agent.
    #[must_use]
    pub fn key(&self, target: &str) -> String {
        self.key_of("GET", target)
    }

    /// The key of a request without User-Agent.
    #[must_use]
    pub fn key_of(&self, method: &str, target: &str) -> String {
        if self.seed {
            md5_hex(&format!("{method}::{target}"))
        } else {
            target.to_owned()
        }
    }

    /// Fills `target` and waits until its record is in Redis and its lock is free.
    #[track_caller]
    pub fn fill(&self, target: &str) -> Response {
        self.fill_by(&Request::get(target), &self.key(target))
    }

    /// Sends `request`, which fills `key`, and waits until its record is in Redis and its lock is free.
    #[track_caller]
    pub fn fill_by(&self, request: &Request, key: &str) -> Response {
        let mut client = self.client();
        let response = client.ask(request);
        assert_eq!(response.word(), "STORE", "{key}: {:?}", response.fields);
        let _ = self.redis.wait_for_record(key);
        // The record is there before its worker knows. When that worker has looked it up, it does.
        let _ = client.ask(request);
        response
    }

    /// Fills `target` and lets its record become stale, without waiting for it.
    #[track_caller]
    pub fn fill_and_age(&self, target: &str) -> Response {
        let response = self.fill(target);
        self.make_stale(target);
        response
    }

    /// Asks for `target` until a record answers: the refill, or the store of a miss, is done by then.
    ///
    /// # Panics
    ///
    /// If it never does.
    #[track_caller]
    pub fn wait_for_hit(&self, target: &str) -> Response {
        let hit = eventually(PATIENCE, || {
            let response = self.get(target);
            (response.word() == "HIT").then_some(response)
        });
        hit.unwrap_or_else(|| panic!("no HIT for {target}"))
    }

    /// Waits until `count` fills are over: the record is in Redis before its worker knows, and lets go of the key.
    #[track_caller]
    pub fn wait_for_fills(&self, count: usize) {
        wait_for(&format!("the end of {count} fills"), PATIENCE, || {
            let log = self.nginx.log();
            log.matching(Position::default(), "redis_cache: fill of \"")
                .len()
                >= count
        });
    }

    /// Lets the record of `target` become stale: 50 s of its 100 s are left.
    #[track_caller]
    pub fn make_stale(&self, target: &str) {
        self.redis.expire_in(&self.key(target), 50_000);
    }
}
