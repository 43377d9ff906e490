//! Headers of requests and answers: headers, expires, proxy_hide_header, proxy_redirect, cookies; access logs.

use super::{CASE, Case};

/// What the backend has behind its bodies can be read by variables; that it isn't passed on is a limit that `docs/operating.md` names.
const TRAILERS: &str = "proxy_pass_trailers";

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "add_header", location: "add_header X-Mine \"$uri $request_method\"; add_header X-Always y always;", ..CASE },
    Case { name: "add_header always on an error", location: "add_header X-Mine x; add_header X-Always y always;", path: "/status/404", ..CASE },
    Case { name: "add_trailer", location: "add_trailer X-End $uri;", path: "/large/chunked", ..CASE },
    Case { name: "expires", location: "expires 1h;", ..CASE },
    Case { name: "expires off and Cache-Control", location: "expires epoch;", ..CASE },
    Case { name: "expires by the type", http: "map $sent_http_content_type $of_type { default off; text/html 2h; }", location: "expires $of_type;", ..CASE },
    Case { name: "proxy_hide_header", location: "proxy_hide_header X-Own;", ..CASE },
    Case { name: "proxy_hide_header of Cache-Control", location: "proxy_hide_header Cache-Control;", path: "/private/200", ..CASE },
    Case { name: "proxy_hide_header of Set-Cookie", location: "proxy_hide_header Set-Cookie;", path: "/cookie", ..CASE },
    Case { name: "proxy_pass_header", location: "proxy_pass_header Server; proxy_pass_header X-Accel-Expires;", path: "/accel/expires", ..CASE },
    Case { name: "proxy_ignore_headers", location: "proxy_ignore_headers X-Accel-Redirect;", path: "/accel/redirect", ..CASE },
    Case { name: "proxy_set_header", location: "proxy_set_header Host $host; proxy_set_header X-Own \"$scheme $request_method $uri $args\"; proxy_set_header Accept-Encoding \"\";", path: "/echo", ..CASE },
    Case { name: "proxy_set_body", location: "proxy_set_body \"$uri is it\";", path: "/echo", ..CASE },
    Case { name: "proxy_method", location: "proxy_method POST;", path: "/echo", plain: true, ..CASE },
    Case { name: "proxy_pass_request_headers off", location: "proxy_pass_request_headers off;", path: "/echo", plain: true, ..CASE },
    Case { name: "proxy_redirect", location: "proxy_redirect http://elsewhere/ /there/; PREFIX_valid 200 301 900s;", path: "/moved", ..CASE },
    Case { name: "proxy_cookie_domain and proxy_cookie_path", location: "proxy_cookie_domain a.example b.example; proxy_cookie_path / /sub;", path: "/cookie", ..CASE },
    Case { name: "proxy_http_version 1.1 and keepalive", location: "proxy_http_version 1.1; proxy_set_header Connection \"\";", ..CASE },
    Case { name: "a phrase of the backend's own", path: "/phrase/200/own", ..CASE },
    Case { name: "an empty phrase", path: "/phrase/200/empty", ..CASE },
    Case { name: "a status line without a phrase", path: "/phrase/200/none", ..CASE },
    Case { name: "a long phrase", path: "/phrase/200/long", ..CASE },
    Case { name: "a phrase of odd bytes", path: "/phrase/200/odd", ..CASE },
    Case { name: "a phrase and Range", path: "/phrase/200/own", fields: &[("Range", "bytes=5-9")], ..CASE },
    Case { name: "a phrase and Range behind the end", path: "/phrase/200/own", fields: &[("Range", "bytes=9000000-")], ..CASE },
    Case { name: "a phrase and If-None-Match", path: "/phrase/200/own", fields: &[("If-None-Match", "\"v1\"")], ..CASE },
    Case { name: "a phrase and HEAD", path: "/phrase/200/own", method: "HEAD", ..CASE },
    Case { name: "a 204 with Content-Type", location: "PREFIX_valid 204 900s;", path: "/phrase/204/usual", ..CASE },
    Case { name: "a 204 with a phrase of its own", location: "PREFIX_valid 204 900s;", path: "/phrase/204/own", ..CASE },
    Case { name: "a 404 with a phrase of its own", location: "PREFIX_valid 404 900s;", path: "/phrase/404/own", ..CASE },
    Case { name: "a 422 with a phrase of its own", location: "PREFIX_valid 422 900s;", path: "/phrase/422/own", ..CASE },
    Case { name: "a phrase and error_page", location: "proxy_intercept_errors on; error_page 403 /sorry;", locations: "location = /sorry { return 200 sorry; }", path: "/status/403", ..CASE },
    Case { name: "server_tokens off", location: "server_tokens off;", ..CASE },
    Case { name: "default_type and types", location: "types { } default_type application/x-own;", path: "/no-type", ..CASE },
    Case { name: "no_store by a header of the answer", location: "NO_STORE $upstream_http_x_nostore;", path: "/nostore", ..CASE },
    Case { name: "$upstream_http_ in add_header", location: "add_header X-Of-Backend $upstream_http_x_own always;", ..CASE },
    Case { name: "$upstream_status in add_header", location: "add_header X-Of-Backend $upstream_status always;", ..CASE },
    Case { name: "proxy_pass_trailers that aren't asked for", location: "proxy_http_version 1.1;", path: "/trailers", upstream_log: true, ..CASE },
    Case { name: "$upstream_trailer_ in add_trailer", needs: &[TRAILERS], location: "proxy_http_version 1.1; proxy_set_header TE trailers; proxy_pass_trailers on; proxy_hide_header X-Sum; proxy_hide_header X-Other; add_trailer X-Sum-Of-Backend $upstream_trailer_x_sum;", path: "/trailers", ..CASE },
    Case { name: "$upstream_trailer_ in the access log", needs: &[TRAILERS], location: "proxy_http_version 1.1; proxy_set_header TE trailers; proxy_pass_trailers on; proxy_hide_header X-Sum; proxy_hide_header X-Other;", path: "/trailers", upstream_log: true, ..CASE },
    Case { name: "$upstream_* in the access log", upstream_log: true, ..CASE },
    Case { name: "$upstream_* in the access log of an error", path: "/status/404", upstream_log: true, ..CASE },
    Case { name: "$upstream_cookie_ in the access log", path: "/cookie", upstream_log: true, ..CASE },
    Case { name: "$upstream_* in the access log of a POST", method: "POST", body: Some("x"), upstream_log: true, ..CASE },
];
