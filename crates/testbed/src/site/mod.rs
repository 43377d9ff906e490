//! The usual scene of a test: nginx with the module, its Redis and its backend. This file is its configuration.

mod connections;
mod defaults;
mod running;

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::backend::Backend;
use crate::client;
use crate::conf::Conf;
use crate::http2::Certificate;
use crate::nginx::Nginx;
use crate::places::nginx_is_at_least;
use crate::ports::Port;
use crate::proxy::Proxy;
use crate::redis_server::Redis;
use defaults::{FALLBACK, OWN, PROXY, SEED, SEED_SERVER, STORE, with_defaults};

pub use running::Running;

/// A description of nginx's configuration, built from directives that matter to the test.
///
/// `/` is cached under the key `$request_uri`, fresh for 60 s and stale for 100 s more; the answer says what happened in
/// X-Cache, X-Status (`$redis_cache_status`) and X-Worker (process id).
#[derive(Debug, Clone, Default)]
pub struct Site {
    seed: bool,
    plain: bool,
    reuseport: bool,
    http2: bool,
    http3: bool,
    alone: bool,
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

    /// HTTP/2 in clear text, at a port of its own: [`Running::http2_address`].
    #[must_use]
    pub fn http2(mut self) -> Site {
        self.http2 = true;
        self
    }

    /// HTTP/3, at a port of its own with a certificate of its own: [`Running::http3`].
    #[must_use]
    pub fn http3(mut self) -> Site {
        self.http3 = true;
        self
    }

    /// The store is in shared memory alone: this `memory` line is all that its block has, unless the test gives more. Redis is
    /// started nonetheless, and nobody asks it.
    #[must_use]
    pub fn memory_alone(mut self, line: &str) -> Site {
        self.alone = true;
        self.store(line)
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
        let http2 = (self.http2 || client::is_wanted()).then(Port::take);
        let http3 = self.http3.then(|| (Port::take(), Certificate::make()));
        let mut site = self.clone();
        if let Some(port) = &http2 {
            let reuseport = if self.reuseport { " reuseport" } else { "" };
            let address = port.address();
            // Newer ones warn of the older form.
            site = site.server(&if nginx_is_at_least([1, 25, 1]) {
                format!("listen {address}{reuseport}; http2 on;\n")
            } else {
                format!("listen {address} http2{reuseport};\n")
            });
        }
        let http2_port = http2.as_ref().filter(|_| client::is_wanted());
        let offer = http2_port.map(|http2| client::offer(port.address(), http2.address()));
        if let Some((port, certificate)) = &http3 {
            // Without reuseport nginx doesn't give a worker the packets of its own connections.
            let listen = format!("listen {} quic reuseport;\n", port.udp_address());
            site = site.server(&format!("{listen}{}", certificate.directives()));
        }
        let conf = site.conf(port.address(), &redis, &backend);
        Running {
            nginx: Nginx::start(&conf, port.address()),
            redis,
            backend,
            workers: self.workers,
            connections: self.connections,
            seed: self.seed,
            http2,
            http3,
            _offer: offer,
            _port: port,
        }
    }

    /// Starts Redis, backend and nginx, which reaches Redis through a proxy: the only server of its store.
    #[must_use]
    #[track_caller]
    pub fn start_behind_a_proxy(&self) -> (Running, Proxy) {
        self.start_behind_a_proxy_with(Redis::start())
    }

    /// The same before a Redis that runs already.
    #[must_use]
    pub fn start_behind_a_proxy_with(&self, redis: Redis) -> (Running, Proxy) {
        let proxy = Proxy::start(&redis.address());
        let server = format!("server {};", proxy.address());
        (self.clone().store(&server).start_with(redis), proxy)
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
        let defaults = if self.alone { &[] } else { &STORE[..] };
        let store = with_defaults(&self.store, defaults);
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
