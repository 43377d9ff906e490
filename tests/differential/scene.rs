//! One nginx with two servers for each case: the reference, and the same with the module.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use testbed::{
    Backend, Certificate, Conf, Log, Nginx, Port, Process, Redis, TlsTunnel, nginx_binary,
    nginx_is_at_least,
};

use crate::behind::{self, Seen};
use crate::cases::Case;

const DEBIAN: &str = "/usr/lib/nginx/modules";

/// Debian's modules in the order in which it loads them.
const MODULES: [&str; 8] = [
    "ndk_http_module.so",
    "ngx_http_echo_module.so",
    "ngx_http_image_filter_module.so",
    "ngx_http_js_module.so",
    "ngx_http_lua_module.so",
    "ngx_http_perl_module.so",
    "ngx_http_set_misc_module.so",
    "ngx_http_xslt_filter_module.so",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Reference,
    Module,
}

/// Where one side listens.
pub struct Listeners {
    pub http1: Port,
    pub http2: Port,
    pub tls: Port,
    /// Small send buffers: a client that doesn't read is noticed at once.
    pub narrow: Port,
    pub narrow_http2: Port,
    pub tunnel: TlsTunnel,
}

pub struct Scene {
    // Dropped first: it still asks the others.
    pub nginx: Nginx,
    _redis: Redis,
    _backend: Backend,
    pub seen: Seen,
    pub reference: Listeners,
    pub module: Listeners,
    pub certificate: Certificate,
    pub access_log: Log,
    _php: Option<Process>,
    _folder: tempfile::TempDir,
}

/// What this nginx has.
pub struct Equipment {
    arguments: String,
    debian: bool,
}

impl Equipment {
    pub fn new() -> Equipment {
        let output = Command::new(nginx_binary()).arg("-V").output().unwrap();
        let arguments = String::from_utf8_lossy(&output.stderr).into_owned();
        Equipment {
            debian: arguments.contains("--modules-path=/usr/lib/nginx/modules"),
            arguments,
        }
    }

    pub fn has(&self, what: &str) -> bool {
        match what {
            "php-fpm" => behind::php_program().is_some(),
            "proxy_pass_trailers" => nginx_is_at_least([1, 27, 2]),
            _ if what.ends_with(".so") => self.debian && Path::new(DEBIAN).join(what).exists(),
            _ => self.arguments.contains(what),
        }
    }

    /// The lines that load what the cases need. The module comes first: filters of the others run behind its own.
    fn loading(&self) -> String {
        let mut text = "load_module modules/ngx_http_redis_cache_module.so;\n".to_owned();
        for module in MODULES {
            if self.has(module) {
                let _ = writeln!(text, "load_module {DEBIAN}/{module};");
            }
        }
        text
    }
}

impl Listeners {
    fn new(certificate: &Certificate) -> Listeners {
        let tls = Port::take();
        Listeners {
            tunnel: TlsTunnel::start(tls.address(), certificate),
            http1: Port::take(),
            http2: Port::take(),
            narrow: Port::take(),
            narrow_http2: Port::take(),
            tls,
        }
    }

    fn listen(&self, first: bool) -> String {
        let narrow = if first { " sndbuf=8k" } else { "" };
        // Since 1.25.1 a directive of its own; the parameter is a warning for each server then.
        let (parameter, directive) = if nginx_is_at_least([1, 25, 1]) {
            ("", "http2 on;")
        } else {
            (" http2", "")
        };
        format!(
            "listen {}; listen {}{parameter}; listen {} ssl{parameter}; listen {}{narrow}; listen {}{parameter}{narrow};{directive}\n",
            self.http1.address(),
            self.http2.address(),
            self.tls.address(),
            self.narrow.address(),
            self.narrow_http2.address(),
        )
    }

    /// Every port by one word: the two sides have each their own.
    pub fn neutral(&self, text: &str) -> String {
        let ports = [
            &self.http1,
            &self.http2,
            &self.tls,
            &self.narrow,
            &self.narrow_http2,
        ];
        let mut text = text.to_owned();
        for port in ports {
            text = text.replace(&port.number().to_string(), "PORT");
        }
        text
    }
}

impl Scene {
    pub fn start(cases: &[Case], equipment: &Equipment) -> Scene {
        let certificate = Certificate::make();
        let folder = tempfile::Builder::new()
            .prefix("differential-")
            .tempdir()
            .unwrap();
        let files = folder.path().join("html");
        std::fs::create_dir(&files).unwrap();
        behind::write_files(&files);
        let (backend, seen) = behind::backend();
        let mut scene_conf = Text {
            redis: Redis::start(),
            backend: backend.address(),
            folder: folder.path(),
            reference: Listeners::new(&certificate),
            module: Listeners::new(&certificate),
        };
        let conf = scene_conf.conf(cases, equipment, &certificate);
        let php = behind::start_php(folder.path());
        let mut nginx = Nginx::start(&conf, scene_conf.reference.http1.address());
        // What hangs shows in what is compared; Debian's nginx aborts over its connections in the end.
        nginx.allow("aborting");
        let Text {
            redis,
            reference,
            module,
            ..
        } = scene_conf;
        Scene {
            access_log: Log::new(nginx.prefix().join("logs/access.log")),
            nginx,
            _redis: redis,
            _backend: backend,
            seen,
            reference,
            module,
            certificate,
            _php: php,
            _folder: folder,
        }
    }

    pub fn listeners(&self, side: Side) -> &Listeners {
        match side {
            Side::Reference => &self.reference,
            Side::Module => &self.module,
        }
    }

    pub fn address(&self, side: Side, port: impl Fn(&Listeners) -> &Port) -> SocketAddr {
        port(self.listeners(side)).address()
    }
}

struct Text<'a> {
    redis: Redis,
    backend: SocketAddr,
    folder: &'a Path,
    reference: Listeners,
    module: Listeners,
}

/// In the order that [`crate::compare`] reads.
const LOG: &str = "log_format line escape=json '$http_x_id\\t$redis_cache_status\\t$upstream_cache_status\\t'
    '$status \"$request_method $uri $args\" $server_protocol $sent_http_content_type $limit_rate\\t'
    '$sent_http_content_length $body_bytes_sent\\t'
    'addr=$upstream_addr status=$upstream_status own=$upstream_http_x_own type=$upstream_http_content_type '
    'cookie=$upstream_cookie_c cache=$upstream_cache_status time=$upstream_response_time header=$upstream_header_time '
    'connect=$upstream_connect_time length=$upstream_response_length trailer=$upstream_trailer_x_sum';\n";

impl Text<'_> {
    fn conf(&mut self, cases: &[Case], equipment: &Equipment, certificate: &Certificate) -> Conf {
        let mut text = equipment.loading();
        let _ = write!(
            text,
            "worker_processes 2;\nworker_shutdown_timeout 20s;\nerror_log logs/error.log info;\n\
             events {{ worker_connections 4096; }}\nhttp {{\n{LOG}access_log logs/access.log line;\n\
             upstream backend {{ server {backend}; keepalive 32; }}\n\
             upstream failing {{ server 127.0.0.1:1; server {backend} backup; }}\n\
             proxy_cache_path temp/cache levels=1 keys_zone=ref:4m inactive=10m use_temp_path=off;\n\
             fastcgi_cache_path temp/php levels=1 keys_zone=php:1m inactive=10m use_temp_path=off;\n\
             proxy_cache_background_update on; fastcgi_cache_background_update on;\n\
             redis_cache_zone locks 4m;\nredis_cache_uncacheable_ttl 900s;\nredis_cache_store main {{ server {redis}; connect_timeout 10s; send_timeout 10s; read_timeout 10s; }}\n\
             server_names_hash_max_size 4096; server_names_hash_bucket_size 128; variables_hash_max_size 4096; map_hash_bucket_size 128;\n\
             keepalive_requests 100000; types_hash_max_size 2048; port_in_redirect off;\n\
             {certificate}",
            backend = self.backend,
            redis = self.redis.address(),
            certificate = certificate.directives(),
        );
        for case in cases {
            let files = self.folder.join("html").display().to_string();
            let _ = writeln!(text, "{}", case.http.replace("HTML", &files));
        }
        for (side, listeners) in [
            (Side::Reference, &self.reference),
            (Side::Module, &self.module),
        ] {
            let first = listeners.listen(true);
            let _ = writeln!(text, "server {{ {first} server_name none; return 421; }}");
            for (number, case) in cases.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "# {}\nserver {{ {} server_name c{number}.test;\n{}\n}}",
                    case.name,
                    listeners.listen(false),
                    self.server(case, side)
                );
            }
        }
        Conf::new(text + "}\n")
    }

    fn server(&self, case: &Case, side: Side) -> String {
        let mut text = format!("{}\n{}\n", case.server, case.locations);
        if !text.contains("location / {") {
            let pass = if case.location.contains("_pass ") || case.location.contains("empty_gif") {
                ""
            } else {
                "proxy_pass http://backend;"
            };
            let _ = writeln!(text, "location / {{ CACHE {} {pass} }}", case.location);
        }
        let keyed = text.contains("PREFIX_key");
        let gateway = if text.contains("fastcgi_pass") {
            "fastcgi"
        } else {
            "proxy"
        };
        let (cache, prefix) = match side {
            Side::Module => (MODULE.to_owned(), "redis_cache".to_owned()),
            Side::Reference if case.plain => (String::new(), format!("{gateway}_cache")),
            Side::Reference => (
                REFERENCE
                    .replace("ref;", if gateway == "proxy" { "ref;" } else { "php;" })
                    .replace("proxy", gateway),
                format!("{gateway}_cache"),
            ),
        };
        let mut cache = cache;
        for word in ["key", "valid"] {
            if text.contains(&format!("PREFIX_{word}")) {
                cache = without(&cache, &format!("_{word} "));
            }
        }
        if !keyed && !cache.is_empty() {
            cache += " PREFIX_key $host$request_uri;";
        }
        let (no_store, limit) = match side {
            Side::Module => (
                "redis_cache_no_store".to_owned(),
                "redis_cache_max_size 100k;",
            ),
            Side::Reference => (format!("{gateway}_no_cache"), ""),
        };
        text.replace("CACHE", &cache)
            .replace("PREFIX", &prefix)
            .replace("NO_STORE", &no_store)
            .replace("LIMIT", limit)
            .replace("BACKEND", &self.backend.to_string())
            .replace("HTML", &self.folder.join("html").display().to_string())
            .replace(
                "unix:PHP",
                &format!("unix:{}", self.folder.join("php.sock").display()),
            )
    }
}

/// `directives` without those that have `word` in their name.
fn without(directives: &str, word: &str) -> String {
    let kept = directives
        .split_inclusive(';')
        .filter(|directive| !directive.contains(word));
    kept.collect()
}

const REFERENCE: &str = "proxy_cache ref; proxy_cache_valid 200 900s; proxy_cache_use_stale updating; proxy_cache_lock on;";

const MODULE: &str = "redis_cache on; redis_cache_lock locks; redis_cache_pass main; redis_cache_valid 200; redis_cache_age 900s; redis_cache_stale 1000s; redis_cache_lock_timeout 20s;";
