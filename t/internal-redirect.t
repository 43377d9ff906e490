# An internal redirect leads from one cached location to another one whose backend is elsewhere: the content is what that
# backend gives, as with a location that has it itself.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 58;
run_tests();

__DATA__

=== TEST 1: by try_files, error_page, X-Accel-Redirect and rewrite, in a fill and in a request that passes
--- backend
    location /gone/ { return 404; }
    location /accel/ { add_header X-Accel-Redirect /other/accel; return 200; }
    location / { return 200 "$request_method $uri\n"; }
--- config
    location /try/ { redis_cache on; try_files /none /other/try; }
    location /gone/ { redis_cache on; proxy_intercept_errors on; error_page 404 = /other/gone; proxy_pass http://backend; }
    location /accel/ { redis_cache on; proxy_pass http://backend; }
    location /raw/ { redis_cache on; redis_cache_backend /rewriting; }
    location /rewriting/ { rewrite ^ /named/raw last; }
    location /other/ { redis_cache on; redis_cache_backend /fallback; }
    location /named/ { redis_cache on; redis_cache_backend @named; }
    location /fallback/ { internal; rewrite ^/fallback(.*) $1 break; proxy_pass http://backend; }
    location @named { proxy_pass http://backend; }
--- request eval
[map { ("GET $_", "GET $_", "POST $_\nbody") } qw(/try/a /gone/a /accel/a /raw/a)]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE HIT SKIP), qw(SKIP SKIP SKIP), qw(SKIP SKIP SKIP), qw(STORE HIT SKIP)]
--- response_body eval
["GET /other/try\n", "GET /other/try\n", "POST /other/try\n",
 "GET /other/gone\n", "GET /other/gone\n", "GET /other/gone\n",
 "GET /other/accel\n", "GET /other/accel\n", "GET /other/accel\n",
 "GET /named/raw\n", "GET /named/raw\n", "POST /named/raw\n"]
--- error_code eval
[(200) x 12]



=== TEST 2: a backend's location that caches by a word of its own is entered once
--- backend
    location / { return 200 "$request_method $uri\n"; }
--- config
    location /a/ { redis_cache on; redis_cache_backend /inner; }
    location ~ ^/inner/ { redis_cache on; redis_cache_backend /inner; proxy_pass http://backend; }
    location /b/ { redis_cache on; redis_cache_backend @inner; }
    location @inner { redis_cache on; redis_cache_backend @inner; proxy_pass http://backend; }
--- request eval
["GET /a/x", "GET /a/x", "POST /a/x\nbody", "GET /b/x", "GET /b/x", "POST /b/x\nbody"]
--- response_headers eval
[map { "X-Cache: $_" } (qw(STORE HIT SKIP)) x 2]
--- response_body eval
["GET /inner/a/x\n", "GET /inner/a/x\n", "POST /inner/a/x\n", "GET /b/x\n", "GET /b/x\n", "POST /b/x\n"]
--- error_code eval
[(200) x 6]



=== TEST 3: two locations that lead to each other end like other circles
--- config
    location /a/ { redis_cache on; redis_cache_backend /inner; }
    location /b/ { redis_cache on; redis_cache_backend /inner; }
    location /inner/ { rewrite ^ /b/x last; }
--- request eval
["GET /a/x", "POST /a/x\nbody"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- error_code eval
[500, 500]
