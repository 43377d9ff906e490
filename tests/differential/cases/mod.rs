//! The table: location features, each as a piece of configuration that stands in two servers of one nginx.

mod access;
mod content;
mod debian;
mod gateways;
mod headers;
mod limits;
mod rewriting;

/// One feature. The same text is configured on both sides; these words in it stand for something else on each:
///
/// * `CACHE`: the directives of the cache (the reference: `proxy_cache` or, where [`Case::plain`], nothing);
/// * `PREFIX_key`, `PREFIX_bypass`, `PREFIX_methods`, `PREFIX_valid`: `proxy_cache_...` or `redis_cache_...`;
/// * `NO_STORE`: `proxy_no_cache` or `redis_cache_no_store`;
/// * `BACKEND`, `PHP`, `HTML`: the backend's address, PHP's socket, a folder of files.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    /// Words that `nginx -V` must have, or files of Debian's dynamic modules.
    pub needs: &'static [&'static str],
    pub http: &'static str,
    pub server: &'static str,
    /// Directives of `location /`, which is cached and passes to the backend unless they say otherwise.
    pub location: &'static str,
    /// Whole locations. With a `location / {` among them, nothing else is configured.
    pub locations: &'static str,
    pub path: &'static str,
    pub method: &'static str,
    pub fields: &'static [(&'static str, &'static str)],
    pub body: Option<&'static str>,
    /// The reference is `proxy_pass` without a cache.
    pub plain: bool,
    /// Over HTTP/1.0 it is another thing, or nothing.
    pub not_http10: bool,
    /// The reference can't do it over HTTP/2.
    pub not_http2: bool,
    /// Asked for once a state, not in a pipeline or by several at once: what happens depends on how many ask.
    pub single: bool,
    /// Compare what the access log says of `$upstream_*`, too.
    pub upstream_log: bool,
}

pub const CASE: Case = Case {
    name: "",
    needs: &[],
    http: "",
    server: "",
    location: "",
    locations: "",
    path: "/page",
    method: "GET",
    fields: &[],
    body: None,
    plain: false,
    not_http10: false,
    not_http2: false,
    single: false,
    upstream_log: false,
};

pub fn all() -> Vec<Case> {
    [
        content::CASES,
        rewriting::CASES,
        access::CASES,
        limits::CASES,
        headers::CASES,
        gateways::CASES,
        debian::CASES,
    ]
    .concat()
}
