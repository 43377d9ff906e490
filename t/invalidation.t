# A request by a method that isn't known to be safe makes the record of its URI
# worthless when it succeeds (RFC 9111 4.4), and those of Location and
# Content-Location where these have the same origin.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 219;
run_tests();

__DATA__

=== TEST 1: unsafe methods, and those nobody knows
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record("/$_") for qw(post put delete patch purge unknown other)
--- request eval
["POST /post", "PUT /put", "DELETE /delete", "PATCH /patch", "PURGE /purge", "FROBNICATE /unknown", "GET /other"]
--- response_headers eval
[("X-Cache: SKIP") x 6, "X-Cache: HIT"]
--- redis
EXISTS $KEY/post $KEY/put $KEY/delete $KEY/patch $KEY/purge $KEY/unknown => 0
EXISTS $KEY/other => 1



=== TEST 2: who asks on the same connection next gets the new answer
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a')
--- pipelined_requests eval
["GET /a", "PUT /a\nbody", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]
--- response_body eval
["from the record\n", "from the backend\n", "from the backend\n"]



=== TEST 3: safe methods change nothing
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- init
main::record('/a')
--- request eval
["OPTIONS /a", "PROPFIND /a", "REPORT /a", "SEARCH /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP") x 4, "X-Cache: HIT"]



=== TEST 4: nor does a GET that isn't listed
--- config
    location / { redis_cache on; redis_cache_methods POST; proxy_pass http://backend; }
--- init
main::record('/a')
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- redis
EXISTS $KEY/a => 1



=== TEST 5: an error has changed nothing
--- backend
    location /400 { return 400; }
    location /404 { return 404; }
    location /412 { return 412; }
    location /500 { return 500; }
    location /503 { return 503; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record("/$_") for qw(400 404 412 500 503)
--- request eval
["PUT /400", "DELETE /404", "PUT /412", "POST /500", "POST /503", "GET /404"]
--- error_code eval
[400, 404, 412, 500, 503, 200]
--- response_headers eval
[("X-Cache: SKIP") x 5, "X-Cache: HIT"]
--- redis
EXISTS $KEY/400 $KEY/404 $KEY/412 $KEY/500 $KEY/503 => 5



=== TEST 6: any 2xx and 3xx is a success
--- backend
    location /201 { return 201; }
    location /204 { return 204; }
    location /299 { return 299 "fine\n"; }
    location /302 { return 302 /elsewhere; }
    location /303 { return 303 /elsewhere; }
    location /307 { return 307 /elsewhere; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record("/$_") for qw(201 204 299 302 303 307)
--- request eval
["PUT /201", "PUT /204", "PUT /299", "POST /302", "POST /303", "POST /307"]
--- error_code eval
[201, 204, 299, 302, 303, 307]
--- response_headers eval
[("X-Cache: SKIP") x 6]
--- redis
EXISTS $KEY/201 $KEY/204 $KEY/299 $KEY/302 $KEY/303 $KEY/307 => 0



=== TEST 7: a listed method is cached, and invalidates nothing
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_key $TEST_NGINX_KEY$request_method$request_uri;
        proxy_pass http://backend;
    }
--- init
main::record('GET/a')
--- request eval
["POST /a", "POST /a", "GET /a", "PUT /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 8: the key is that of the GET
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$request_method:$http_host$uri$is_args$args;
        add_header X-Key $redis_cache_key;
        proxy_pass http://backend;
    }
--- init
main::record(':GET:localhost/a?b=c')
--- request eval
["GET /a?b=c", "PUT /a?b=c", "GET /a?b=c"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]
--- response_headers_like eval
["X-Key: .*:GET:localhost/a\\?b=c", "X-Key: .*:GET:localhost/a\\?b=c", "X-Key: .*:GET:localhost/a\\?b=c"]



=== TEST 9: Location and Content-Location
--- backend
    location / {
        add_header Location "http://localhost/items/7";
        add_header Content-Location "../data/./x?y=1#part";
        return 200 "done\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record($_) for qw(/items /items/7 /data/x?y=1 /data/x /x)
--- request
POST /items/
--- response_headers
X-Cache: SKIP
--- redis
EXISTS $KEY/items/7 $KEY/data/x?y=1 => 0
EXISTS $KEY/items $KEY/data/x $KEY/x => 3



=== TEST 10: not those of another origin
--- backend
    location /a { add_header Location "http://other/x"; add_header Content-Location "https://localhost/x"; return 200; }
    location /b { add_header Location "//other/x"; add_header Content-Location "http://localhost:8080/x"; return 200; }
    location /c { add_header Location "http://localhost.evil/x"; add_header Content-Location "http://localhost@evil/x"; return 200; }
    location /d { add_header Location "ftp://localhost/x"; add_header Content-Location "/y z"; return 200; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/x')
--- request eval
["POST /a", "POST /b", "POST /c", "POST /d", "GET /x"]
--- response_headers eval
[("X-Cache: SKIP") x 4, "X-Cache: HIT"]



=== TEST 11: host and port are those that the client has asked
--- backend
    location /a { add_header Location "http://Example.com:8080/x"; return 201; }
    location / { return 200; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/x')
--- request eval
["POST /a", "POST /a", "GET /x", "POST /a", "GET /x"]
--- more_headers eval
["Host: example.com", "Host: example.org:8080", "Host: a", "Host: example.COM:8080", "Host: a"]
--- error_code eval
[201, 201, 200, 201, 200]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]
--- redis eval
[undef, undef, "EXISTS \$KEY/x => 1", "EXISTS \$KEY/x => 0", undef]



=== TEST 12: nor what an error names
--- backend
    location / { add_header Location /x always; return 409 "no\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/x')
--- request eval
["POST /a", "GET /x"]
--- error_code eval
[409, 200]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: HIT"]



=== TEST 13: keys of $uri and $args for other URIs
--- backend
    location / { add_header Content-Location "//localhost/b%20c//%64?e=%66"; return 200; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$scheme:$uri:$arg_e;
        proxy_pass http://backend;
    }
--- request eval
["GET /b%20c/d?e=%66", "GET /b%20c/d?e=%66", "POST /a", "GET /b%20c/d?e=%66"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 14: the request itself is as before when it is logged
--- backend
    location / { add_header Location /x; return 200; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$request_method:$request_uri:$uri:$args;
        add_header X-Seen "$request_method $request_uri $uri $args" always;
        proxy_pass http://backend;
    }
--- init
main::record(':GET:/x:/x:')
--- request
POST /a%20b?c=d
--- response_headers
X-Seen: POST /a%20b?c=d /a b c=d
--- redis
EXISTS $KEY:GET:/x:/x: => 0



=== TEST 15: a key that holds what other URIs may have otherwise is derived for the request's own only
--- http_config
    map $request_uri $kind { default plain; ~x$ special; }
--- backend
    location / { add_header Location /x; return 200; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$kind:$request_method:$request_uri;
        proxy_pass http://backend;
    }
--- init
main::record(":$_") for qw(plain:GET:/a plain:GET:/x special:GET:/x)
--- request
POST /a
--- redis
EXISTS $KEY:plain:GET:/a => 0
EXISTS $KEY:plain:GET:/x $KEY:special:GET:/x => 2



=== TEST 16: $cache_key stands as it is
--- backend
    location / { add_header Location /x; return 200; }
--- config
    location / {
        set $cache_key $TEST_NGINX_KEY.$request_uri;
        redis_cache on;
        proxy_pass http://backend;
    }
    location /method/ {
        set $cache_key $TEST_NGINX_KEY.$request_method.$request_uri;
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record($_) for qw(./a ./x .GET./method/a .POST./method/a)
--- request eval
["POST /a", "POST /method/a"]
--- redis eval
["EXISTS \$KEY./a => 0\nEXISTS \$KEY./x => 1", "EXISTS \$KEY.GET./method/a => 1"]



=== TEST 17: unless set_md5 has made it, which can be asked again
--- backend
    location / { add_header Location /x; return 201 "new\n"; }
--- config
    location / {
        set $cache_backend @backend;
        set_md5 $cache_key $TEST_NGINX_KEY:$request_method:$http_user_agent:$request_uri;
        redis_cache on;
        redis_cache_valid 200 201;
    }
    location @backend { proxy_pass http://backend; }
--- request eval
["GET /a", "GET /x", "GET /a", "GET /x", "POST /a", "GET /a", "GET /x"]
--- more_headers
User-Agent: me
--- error_code eval
[(201) x 7]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 18: the backend elsewhere: a prefix, a named location
--- backend
    location / { return 200 "$request_method $request_uri\n"; }
--- config
    location / { redis_cache on; redis_cache_backend /internal; }
    location /internal/ { internal; rewrite ^/internal(/.*) $1 break; proxy_pass http://backend; }
    location /named/ { redis_cache on; redis_cache_backend @named; }
    location @named { proxy_pass http://backend; }
--- init
main::record($_) for qw(/a /named/a)
--- request eval
["GET /a", "PUT /a", "GET /a", "GET /named/a", "PUT /named/a", "GET /named/a"]
--- response_headers eval
[("X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE") x 2]
--- response_body eval
["from the record\n", "PUT /a\n", "GET /a\n", "from the record\n", "PUT /named/a\n", "GET /named/a\n"]



=== TEST 19: an error page in place of an error is what the client gets: a success
--- backend
    location / { return 404; }
--- config
    location / {
        redis_cache on;
        error_page 404 =200 /made-up;
        proxy_intercept_errors on;
        proxy_pass http://backend;
    }
    location /made-up { return 200 "made up\n"; }
--- init
main::record('/a')
--- request
DELETE /a
--- response_body
made up
--- redis
EXISTS $KEY/a => 0



=== TEST 20: answers of all kinds arrive whole behind the wait
--- backend
    location /large.txt { root $TEST_NGINX_SERVER_ROOT/html; error_page 405 =200 $uri; }
    location / { return 200 "small\n"; }
--- config
    location /unbuffered/ { redis_cache on; proxy_buffering off; proxy_pass http://backend/; }
    location /buffered/ { redis_cache on; proxy_buffers 4 4k; proxy_buffer_size 4k; proxy_pass http://backend/; }
    location /own { redis_cache on; try_files /none @own; }
    location @own { return 200 "own\n"; }
    location /empty { redis_cache on; try_files /none @empty; }
    location @empty { return 204; }
--- user_files eval
[["large.txt" => "0123456789" x 50_000]]
--- request eval
["POST /buffered/large.txt", "POST /unbuffered/large.txt", "POST /buffered/a", "POST /unbuffered/a", "POST /own", "POST /empty"]
--- error_code eval
[200, 200, 200, 200, 200, 204]
--- response_body eval
["0123456789" x 50_000, "0123456789" x 50_000, "small\n", "small\n", "own\n", ""]
--- no_error_log
[error]
[alert]



=== TEST 21: without a zone or a store nothing is invalidated, and nothing goes wrong
--- config
    location / {
        set $cache_pass nowhere;
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request
PUT /a
--- response_headers
X-Cache: SKIP
--- redis
EXISTS $KEY/a => 1



=== TEST 22: the log says it
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
PATCH /a
--- error_log eval
qr/\[info\].*"t\.[^"]+\/a" in store "main" was invalidated by PATCH/



=== TEST 23: switched off, inherited, and on again
--- backend
    location / { add_header ETag '"other"'; add_header Location /off/c; return 200 "from the backend\n"; }
--- config
    redis_cache on;
    redis_cache_invalidate off;
    location /off/ { proxy_pass http://backend; }
    location /on/ { redis_cache_invalidate on; proxy_pass http://backend; }
--- init
main::record($_, headers => '{"ETag":"\"one\""}') for qw(/off/a /off/b /off/c /on/a)
--- request eval
["PUT /off/a", "DELETE /off/b", "PUT /on/a", "GET /off/a", "GET /off/b"]
--- response_headers eval
[("X-Cache: SKIP") x 3, ("X-Cache: HIT") x 2]
--- redis
EXISTS $KEY/off/a $KEY/off/b => 2
EXISTS $KEY/off/c $KEY/on/a => 0



=== TEST 24: switched off, a HEAD that goes to the backend ends no record either
--- backend
    location / { add_header ETag '"other"'; return 200 "from the backend\n"; }
--- config
    redis_cache on;
    redis_cache_methods GET;
    location /off { redis_cache_invalidate off; proxy_pass http://backend; }
    location /on { proxy_pass http://backend; }
--- init
main::record($_, headers => '{"ETag":"\"one\""}') for qw(/off /on)
--- request eval
["HEAD /off", "HEAD /on"]
--- response_headers eval
[("X-Cache: SKIP") x 2]
--- redis
EXISTS $KEY/off => 1
EXISTS $KEY/on => 0



=== TEST 25: Location and Content-Location that clients don't get, and a Location that proxy_redirect has made
--- backend
    location / {
        add_header Location "/items/7";
        add_header Content-Location "/data";
        return 201 "done\n";
    }
    location /moved { add_header Location "http://inner/items/8"; return 201 "done\n"; }
--- config
    redis_cache on;
    location / { proxy_hide_header Location; proxy_hide_header Content-Location; proxy_pass http://backend; }
    location /moved { proxy_redirect http://inner/ /; proxy_pass http://backend; }
--- init
main::record($_) for qw(/items/7 /items/8 /data /other)
--- request eval
["POST /", "POST /moved"]
--- error_code eval
[201, 201]
--- response_headers eval
["X-Cache: SKIP\n!Location\n!Content-Location", "X-Cache: SKIP"]
--- redis
EXISTS $KEY/items/7 $KEY/items/8 $KEY/data => 0
EXISTS $KEY/other => 1
