//! What Debian's dynamic modules do.

use super::{CASE, Case};

const LUA: &str = "ngx_http_lua_module.so";
const IMAGE: &str = "ngx_http_image_filter_module.so";
const NJS: &str = "ngx_http_js_module.so";
const PERL: &str = "ngx_http_perl_module.so";
const XSLT: &str = "ngx_http_xslt_filter_module.so";

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "header_filter_by_lua", needs: &[LUA], location: "header_filter_by_lua_block { ngx.header['X-Lua'] = ngx.status }", ..CASE },
    Case { name: "body_filter_by_lua", needs: &[LUA], location: "header_filter_by_lua_block { ngx.header.content_length = nil }
        body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) }", ..CASE },
    Case { name: "rewrite_by_lua and access_by_lua", needs: &[LUA], location: "rewrite_by_lua_block { ngx.req.set_header('X-Own', 'lua') } access_by_lua_block { ngx.ctx.a = 1 }", path: "/echo", ..CASE },
    Case { name: "access_by_lua that refuses", needs: &[LUA], location: "access_by_lua_block { ngx.exit(403) }", ..CASE },
    Case { name: "content_by_lua", needs: &[LUA], locations: "location / { CACHE content_by_lua_block { ngx.say('by lua') } }", plain: true, ..CASE },
    Case { name: "a subrequest of content_by_lua", needs: &[LUA], plain: true, not_http2: true,
        locations: "location / { CACHE content_by_lua_block { local a = ngx.location.capture('/part/a'); ngx.say(a.status, ' ', a.body) } } location /part { proxy_pass http://backend; }", ..CASE },
    Case { name: "a subrequest of rewrite_by_lua", needs: &[LUA], plain: true, not_http2: true,
        locations: "location / { CACHE try_files /none @app; } location @app { rewrite_by_lua_block { local a = ngx.location.capture('/part/a'); ngx.req.set_header('X-Own', a.body) } proxy_pass http://backend; } location /part { proxy_pass http://backend; }",
        path: "/echo", ..CASE },
    Case { name: "a body that Lua reads before the cache", needs: &[LUA], method: "POST", body: Some("a=b"), path: "/echo",
        location: "set $by_lua ''; access_by_lua_block { ngx.req.read_body(); ngx.var.by_lua = ngx.md5(ngx.req.get_body_data() or '') } proxy_set_header X-Own $by_lua;
            PREFIX_methods GET HEAD POST; PREFIX_key $host$request_uri$by_lua;", ..CASE },
    Case { name: "a body that Lua changes before the cache", needs: &[LUA], method: "POST", body: Some("a=b"), path: "/echo",
        location: "access_by_lua_block { ngx.req.read_body(); ngx.req.set_body_data('c=' .. ngx.req.get_body_data()) }
            PREFIX_methods GET HEAD POST; PREFIX_key $host$request_uri$request_body;", ..CASE },
    Case { name: "image_filter", needs: &[IMAGE], location: "image_filter resize 1 1;", path: "/pixel.gif", ..CASE },
    Case { name: "image_filter of what is none", needs: &[IMAGE], location: "image_filter resize 1 1;", ..CASE },
    Case { name: "xslt", needs: &[XSLT], location: "xslt_stylesheet HTML/style.xslt;", path: "/xml", ..CASE },
    Case { name: "perl", needs: &[PERL], http: "perl_set $by_perl 'sub { my $r = shift; return $r->uri; }';", location: "add_header X-Perl $by_perl;", ..CASE },
    Case { name: "njs", needs: &[NJS], http: "js_import own from HTML/own.js; js_set $by_njs own.value;", location: "add_header X-Njs $by_njs; js_header_filter own.header;", ..CASE },
    Case { name: "a body that njs reads for the key", needs: &[NJS], method: "POST", body: Some("a=b"), path: "/echo",
        http: "js_set $body_of_njs own.body;", location: "proxy_set_header X-Own $body_of_njs; PREFIX_methods GET HEAD POST; PREFIX_key $host$request_uri$body_of_njs;", ..CASE },
    Case { name: "a subrequest of njs", needs: &[NJS], plain: true,
        locations: "location / { CACHE js_content own.content; } location /part { proxy_pass http://backend; }", ..CASE },
    Case { name: "echo", needs: &["ngx_http_echo_module.so"], locations: "location / { CACHE echo hello; }", plain: true, ..CASE },
    Case { name: "set_misc", needs: &["ngx_http_set_misc_module.so"], location: "set_md5 $sum $uri; proxy_set_header X-Own $sum;", path: "/echo", ..CASE },
];
