//! limit_rate, limit_req, limit_conn, mirror, bodies of requests, buffering and timeouts.

use super::{CASE, Case};

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "limit_rate below the size of the header", location: "limit_rate 2k;", path: "/long-header", single: true, ..CASE },
    Case { name: "limit_rate", location: "limit_rate 1m; limit_rate_after 10k;", path: "/large", single: true, ..CASE },
    Case { name: "limit_rate by a variable", location: "set $limit_rate 500k;", path: "/large", single: true, ..CASE },
    Case { name: "limit_req", http: "limit_req_zone $host$arg_p$http_x_side zone=once:1m rate=1r/m;", location: "limit_req zone=once burst=2 nodelay; limit_req_status 429;",
        single: true, not_http10: true, ..CASE },
    Case { name: "limit_req with a delay in the backend's location", http: "limit_req_zone $host$arg_p$http_x_side zone=delayed:1m rate=1r/s;",
        locations: "location / { CACHE try_files /none @app; } location @app { limit_req zone=delayed burst=50; proxy_pass http://backend; }", single: true, plain: true, ..CASE },
    Case { name: "limit_req of passed requests", http: "limit_req_zone $host$arg_p$arg_s$http_x_side zone=posts:1m rate=1r/m;",
        locations: "location / { CACHE try_files /none @app; } location @app { limit_req zone=posts burst=1 nodelay; limit_req_status 429; proxy_pass http://backend; }",
        method: "POST", body: Some("x"), single: true, plain: true, ..CASE },
    Case { name: "limit_conn", http: "limit_conn_zone $host zone=conns:1m;", location: "limit_conn conns 1000;", ..CASE },
    Case { name: "mirror", location: "mirror /mirror;", locations: "location = /mirror { internal; proxy_pass http://backend/mirrored; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }", ..CASE },
    Case { name: "POST", method: "POST", body: Some("a=b"), path: "/echo", ..CASE },
    Case { name: "PUT", method: "PUT", body: Some("a=b"), path: "/echo", ..CASE },
    Case { name: "OPTIONS", method: "OPTIONS", path: "/echo", ..CASE },
    Case { name: "POST that is cached, by its body", method: "POST", body: Some("a=b"), path: "/echo",
        location: "PREFIX_methods GET HEAD POST; PREFIX_key $host$request_uri$request_body;", ..CASE },
    Case { name: "set of what $request_body has before the body is read", method: "POST", body: Some("a=b"), path: "/echo",
        location: "set $sent $request_body; proxy_set_header X-Own \"<$sent>\"; PREFIX_methods GET HEAD POST; PREFIX_key $host$request_uri$request_body;", plain: true, ..CASE },
    Case { name: "client_body_in_file_only", location: "client_body_in_file_only clean;", method: "POST", body: Some("a=b"), path: "/echo", ..CASE },
    Case { name: "proxy_request_buffering off", location: "proxy_request_buffering off; proxy_http_version 1.1;", method: "POST", body: Some("a=b"), path: "/echo", ..CASE },
    Case { name: "proxy_buffering off", location: "proxy_buffering off;", path: "/large", plain: true, ..CASE },
    Case { name: "proxy_buffers", location: "proxy_buffer_size 4k; proxy_buffers 2 4k; proxy_busy_buffers_size 4k;", path: "/large", ..CASE },
    Case { name: "proxy_max_temp_file_size 0", location: "proxy_max_temp_file_size 0;", path: "/large", ..CASE },
    Case { name: "proxy_buffer_size below the header", location: "proxy_buffer_size 1k;", path: "/long-header", ..CASE },
    Case { name: "proxy_read_timeout", location: "proxy_read_timeout 100ms;", path: "/slow", single: true, ..CASE },
    Case { name: "proxy_next_upstream", location: "proxy_pass http://failing;", ..CASE },
    Case { name: "a backend that refuses", location: "proxy_pass http://127.0.0.1:1;", ..CASE },
    Case { name: "a backend that resets", path: "/reset", ..CASE },
    Case { name: "an answer larger than may be stored, in part", path: "/large", location: "LIMIT", fields: &[("Range", "bytes=200000-200099")], plain: true, ..CASE },
    Case { name: "lingering_close, tcp_nodelay, keepalive_timeout", location: "lingering_close off; tcp_nodelay off; keepalive_timeout 0;", ..CASE },
];
