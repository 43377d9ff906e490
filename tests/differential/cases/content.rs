//! What filters make of a body, conditions, ranges, images.

use super::{CASE, Case};

const GZIP: (&str, &str) = ("Accept-Encoding", "gzip");
const SINCE: (&str, &str) = ("If-Modified-Since", "Mon, 28 Sep 2015 06:00:00 GMT");
const NONE_MATCH: (&str, &str) = ("If-None-Match", "\"v1\"");

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "a page", ..CASE },
    Case { name: "a backend that says nothing of ranges", path: "/no-ranges", ..CASE },
    Case { name: "a large page", path: "/large", ..CASE },
    Case { name: "a large page in chunks", path: "/large/chunked", ..CASE },
    Case { name: "an empty page", path: "/empty", ..CASE },
    Case { name: "HEAD", method: "HEAD", ..CASE },
    Case { name: "HEAD of a large page in chunks", method: "HEAD", path: "/large/chunked", ..CASE },
    Case { name: "If-Modified-Since", fields: &[SINCE], ..CASE },
    Case { name: "If-None-Match", fields: &[NONE_MATCH], ..CASE },
    Case { name: "If-Match that fails", fields: &[("If-Match", "\"v0\"")], ..CASE },
    Case { name: "Range", fields: &[("Range", "bytes=100-199")], path: "/large", ..CASE },
    Case { name: "Range behind the end", fields: &[("Range", "bytes=9000000-")], ..CASE },
    Case { name: "If-Range", fields: &[("Range", "bytes=5-9"), ("If-Range", "\"v1\"")], ..CASE },
    Case { name: "max_ranges 0", location: "max_ranges 0;", fields: &[("Range", "bytes=5-9")], ..CASE },
    Case { name: "ssi", location: "ssi on;", locations: "location /part { CACHE proxy_pass http://backend; }", path: "/ssi", ..CASE },
    Case { name: "ssi and If-Modified-Since", location: "ssi on;", locations: "location /part { proxy_pass http://backend; }",
        path: "/ssi", fields: &[SINCE], ..CASE },
    Case { name: "ssi and If-None-Match", location: "ssi on;", locations: "location /part { proxy_pass http://backend; }",
        path: "/ssi", fields: &[NONE_MATCH], ..CASE },
    Case { name: "ssi_last_modified", location: "ssi on; ssi_last_modified on;",
        locations: "location /part { proxy_pass http://backend; }", path: "/ssi", fields: &[SINCE], ..CASE },
    Case { name: "sub_filter", needs: &["http_sub_module"], location: "sub_filter needle pin; sub_filter_once off;", ..CASE },
    Case { name: "sub_filter and If-Modified-Since", needs: &["http_sub_module"], location: "sub_filter needle pin;", fields: &[SINCE], ..CASE },
    Case { name: "sub_filter and If-None-Match", needs: &["http_sub_module"], location: "sub_filter needle pin;", fields: &[NONE_MATCH], ..CASE },
    Case { name: "sub_filter and Range", needs: &["http_sub_module"], location: "sub_filter needle pin;", fields: &[("Range", "bytes=5-9")], ..CASE },
    Case { name: "sub_filter_last_modified", needs: &["http_sub_module"],
        location: "sub_filter needle pin; sub_filter_last_modified on;", fields: &[SINCE], ..CASE },
    Case { name: "addition", needs: &["http_addition_module"], location: "add_before_body /part/before; add_after_body /part/after;",
        locations: "location /part { proxy_pass http://backend; }", ..CASE },
    Case { name: "addition and If-Modified-Since", needs: &["http_addition_module"], location: "add_after_body /part/after;",
        locations: "location /part { proxy_pass http://backend; }", fields: &[SINCE], ..CASE },
    Case { name: "gzip", location: "gzip on; gzip_min_length 1; gzip_vary on; gzip_proxied any;", fields: &[GZIP], ..CASE },
    Case { name: "gzip and If-None-Match", location: "gzip on; gzip_min_length 1;", fields: &[GZIP, NONE_MATCH], ..CASE },
    Case { name: "gzip and If-Modified-Since", location: "gzip on; gzip_min_length 1;", fields: &[GZIP, SINCE], ..CASE },
    Case { name: "gzip that the client doesn't want", location: "gzip on; gzip_min_length 1; gzip_vary on;", ..CASE },
    Case { name: "gunzip", needs: &["http_gunzip_module"], location: "gunzip on;", path: "/gzip", ..CASE },
    Case { name: "gunzip and If-None-Match", needs: &["http_gunzip_module"], location: "gunzip on;", path: "/gzip", fields: &[NONE_MATCH], ..CASE },
    Case { name: "gunzip where it isn't needed", needs: &["http_gunzip_module"], location: "gunzip on;", path: "/gzip", fields: &[GZIP], ..CASE },
    Case { name: "charset", location: "charset utf-8; override_charset on;", ..CASE },
    Case { name: "charset that changes the body", http: "charset_map koi8-r utf-8 { 80 D0AE; }", location: "charset utf-8; source_charset koi8-r;", ..CASE },
    Case { name: "image type", path: "/pixel.gif", ..CASE },
    Case { name: "a slice of a film", needs: &["http_slice_module"], http: "map $slice_range $part { default $slice_range; }",
        location: "slice 50k; PREFIX_key $host$uri$is_args$args$part; proxy_set_header Range $slice_range; PREFIX_valid 200 206 900s;",
        path: "/large", plain: true, ..CASE },
    Case { name: "a backend's gzip", path: "/gzip", fields: &[GZIP], ..CASE },
    Case { name: "output_buffers and postpone_output", location: "output_buffers 1 1k; postpone_output 0; sendfile off;", path: "/large", ..CASE },
    Case { name: "chunked_transfer_encoding off", location: "chunked_transfer_encoding off; ssi on;", path: "/large/chunked", ..CASE },
    Case { name: "empty_gif", location: "empty_gif;", plain: true, ..CASE },
];
