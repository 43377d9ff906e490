//! Modules of other makers, whose filters may change a response.

use std::cell::OnceCell;

use ngx::ffi::{NGX_HTTP_MODULE, ngx_uint_t};

use super::module;

/// Ours, each of which has a name of its own.
const OURS: &[u8] = b"ngx_http_redis_cache_";

/// Those of nginx and Angie, without `ngx_http_` and `_module`; all of them are built from one tree.
const OF_NGINX: &[&str] = &[
    "access",
    "acme",
    "addition_filter",
    "api",
    "auth_basic",
    "auth_request",
    "autoindex",
    "browser",
    "charset_filter",
    "chunked_filter",
    "client",
    "copy_filter",
    "core",
    "dav",
    "degradation",
    "docker",
    "doh",
    "empty_gif",
    "fastcgi",
    "flv",
    "geo",
    "geoip",
    "grpc",
    "gunzip_filter",
    "gzip_filter",
    "gzip_static",
    "header_count",
    "header_filter",
    "headers_filter",
    "image_filter",
    "index",
    "limit_conn",
    "limit_req",
    "log",
    "map",
    "memcached",
    "metric",
    "mirror",
    "mp4",
    "not_modified_filter",
    "perl",
    "postpone_filter",
    "prometheus",
    "proxy",
    "proxy_v2",
    "random_index",
    "range_body_filter",
    "range_header_filter",
    "realip",
    "referer",
    "rewrite",
    "scgi",
    "secure_link",
    "slice_filter",
    "split_clients",
    "ssi_filter",
    "ssl",
    "static",
    "stub_status",
    "sub_filter",
    "try_files",
    "tunnel",
    "upstream",
    "upstream_hash",
    "upstream_ip_hash",
    "upstream_keepalive",
    "upstream_least_conn",
    "upstream_least_time",
    "upstream_random",
    "upstream_sticky",
    "upstream_zone",
    "userid_filter",
    "uwsgi",
    "v2",
    "v2_filter",
    "v3",
    "v3_filter",
    "write_filter",
    "xslt_filter",
];

/// Those of other makers that have no filter.
const WITHOUT_FILTER: &[&[u8]] = &[
    b"ndk_http_module",
    b"ngx_http_redis2_module",
    b"ngx_http_set_misc_module",
];

thread_local! {
    /// The modules are the same as long as the worker runs.
    static FOUND: OnceCell<Option<&'static [u8]>> = const { OnceCell::new() };
}

/// The name of a loaded module that may change responses by a filter, and isn't nginx's own: of any that isn't known not to.
pub fn other_filter() -> Option<&'static [u8]> {
    FOUND.with(|found| {
        *found.get_or_init(|| {
            module::loaded()
                .filter(|(_, module)| module.type_ == NGX_HTTP_MODULE as ngx_uint_t)
                .map(|(name, _)| name)
                .find(|name| may_filter(name))
        })
    })
}

fn may_filter(name: &[u8]) -> bool {
    let of_nginx = name
        .strip_prefix(b"ngx_http_")
        .and_then(|name| name.strip_suffix(b"_module"))
        .is_some_and(|name| OF_NGINX.iter().any(|known| known.as_bytes() == name));
    !(of_nginx || name.starts_with(OURS) || WITHOUT_FILTER.contains(&name))
}
