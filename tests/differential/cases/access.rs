//! Who may: access, auth_basic, auth_request, satisfy, secure links, the method.

use super::{CASE, Case};

const USER: (&str, &str) = ("Authorization", "Basic dXNlcjpwYXNz");

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "deny", location: "deny all;", ..CASE },
    Case { name: "allow", location: "allow 127.0.0.1; deny all;", ..CASE },
    Case { name: "auth_basic without a password", location: "auth_basic m; auth_basic_user_file HTML/users;", ..CASE },
    Case { name: "auth_basic with one", location: "auth_basic m; auth_basic_user_file HTML/users; proxy_set_header Authorization \"\";", fields: &[USER], plain: true, ..CASE },
    Case { name: "satisfy any", location: "satisfy any; deny all; auth_basic m; auth_basic_user_file HTML/users;", ..CASE },
    Case { name: "auth_request", needs: &["http_auth_request_module"], location: "auth_request /auth;",
        locations: "location = /auth { internal; proxy_pass http://backend/status/204; }", ..CASE },
    Case { name: "auth_request that refuses", needs: &["http_auth_request_module"], location: "auth_request /auth; error_page 401 /sorry;",
        locations: "location = /auth { internal; proxy_pass http://backend/status/401; } location = /sorry { return 200 sorry; }", ..CASE },
    Case { name: "auth_request_set", needs: &["http_auth_request_module"],
        location: "auth_request /auth; auth_request_set $user_of_auth $upstream_http_x_own; add_header X-User $user_of_auth; proxy_set_header X-Own $user_of_auth;",
        locations: "location = /auth { internal; proxy_pass http://backend/status/204; }", path: "/echo", ..CASE },
    Case { name: "auth_request to a cached location", needs: &["http_auth_request_module"],
        location: "auth_request /auth; auth_request_set $user_of_cache $upstream_http_x_own; add_header X-User $user_of_cache;",
        locations: "location = /auth { internal; CACHE PREFIX_key auth$host$request_uri; proxy_pass http://backend/page; proxy_pass_request_body off; }", ..CASE },
    Case { name: "limit_except", location: "limit_except GET { deny all; }", method: "POST", body: Some("x"), ..CASE },
    Case { name: "secure_link", needs: &["http_secure_link_module"], location: "secure_link $arg_md5; secure_link_md5 x$uri; if ($secure_link = \"\") { return 403; }", ..CASE },
    Case { name: "client_max_body_size", location: "client_max_body_size 10;", method: "POST", body: Some("more than ten bytes"), ..CASE },
    Case { name: "internal", location: "internal;", ..CASE },
    Case { name: "disable_symlinks and root", locations: "location / { CACHE root HTML; disable_symlinks on; }", path: "/file.html", plain: true, ..CASE },
    Case { name: "a file under a condition", locations: "location / { CACHE root HTML; expires 1h; etag on; }", path: "/file.html",
        fields: &[("If-Modified-Since", "Mon, 28 Sep 2099 06:00:00 GMT")], plain: true, ..CASE },
];
