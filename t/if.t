# "if in location": each directive may stand there, for the requests that the
# condition chooses; what isn't said there is that of the location around it.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 115;
run_tests();

__DATA__

=== TEST 1: cached where the condition holds, and nowhere else
--- config
    location / {
        if ($arg_cached) { redis_cache on; }
        proxy_pass http://backend;
    }
--- request eval
["GET /a?cached=1", "GET /a?cached=1", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "!X-Cache", "!X-Cache"]
--- response_body eval
[("from the backend\n") x 4]
--- backend_log
GET /a?cached=1
GET /a
GET /a
--- redis
EXISTS $KEY/a?cached=1 => 1
EXISTS $KEY/a => 0



=== TEST 2: not cached where it holds
--- config
    location / {
        redis_cache on;
        if ($http_x_admin) { redis_cache off; }
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["", "X-Admin: 1"]
--- response_headers eval
["X-Cache: HIT", "!X-Cache"]
--- response_body eval
["from the record\n", "from the backend\n"]



=== TEST 3: key, times, statuses, methods
--- backend
    location / { return 404 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        if ($arg_other) {
            redis_cache_key $TEST_NGINX_KEY.other$uri;
            redis_cache_age 10s;
            redis_cache_stale 7s;
            redis_cache_valid 404;
            redis_cache_methods POST;
        }
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "POST /a", "GET /a?other=1", "POST /a?other=1", "POST /a?other=1"]
--- error_code eval
[(404) x 5]
--- response_headers eval
[("X-Cache: SKIP") x 3, "X-Cache: STORE", "X-Cache: HIT"]
--- redis
TTL $KEY.other/a => 17
EXISTS $KEY/a => 0



=== TEST 4: what isn't said there is the location's
--- config
    location / {
        redis_cache on;
        redis_cache_age 10s;
        redis_cache_stale 7s;
        redis_cache_key $TEST_NGINX_KEY.mine$uri;
        if ($arg_other) { redis_cache_stale 0s; }
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b?other=1"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- redis
TTL $KEY.mine/a => 17
TTL $KEY.mine/b => 10



=== TEST 5: the header that says it, and Cache-Status
--- config
    location / {
        redis_cache on;
        if ($arg_other) {
            redis_cache_header X-Other;
            redis_cache_status_header edge;
        }
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a?other=1"]
--- response_headers eval
["X-Cache: STORE\n!X-Other\n!Cache-Status", "!X-Cache\nX-Other: STORE\nCache-Status: edge; fwd=uri-miss; fwd-status=200; ttl=120; stored"]



=== TEST 6: bypass and no_store
--- config
    location / {
        redis_cache on;
        if ($arg_fresh) { redis_cache_bypass 1; }
        if ($arg_secret) { redis_cache_no_store 1; }
        proxy_pass http://backend;
    }
--- request eval
["GET /a?fresh=1", "GET /a?fresh=1", "GET /b?secret=1", "GET /c", "GET /c"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- redis
EXISTS $KEY/a?fresh=1 $KEY/c => 2
EXISTS $KEY/b?secret=1 => 0



=== TEST 7: the backend
--- backend
    location / { return 200 "for $http_x_from\n"; }
--- config
    location / {
        redis_cache on;
        if ($arg_other) { redis_cache_backend @other; }
        proxy_set_header X-From here;
        proxy_pass http://backend;
    }
    location @other { proxy_set_header X-From there; proxy_pass http://backend; }
--- request eval
["GET /a?other=1", "GET /a?other=1", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- response_body eval
["for there\n", "for there\n", "for here\n"]
--- backend_log
GET /a?other=1
GET /a



=== TEST 8: what of a response counts, and how large it may be
--- backend
    location /cookie { add_header Set-Cookie a=1; return 200 "cookie\n"; }
    location /large { return 200 "0123456789012345678901234567890123456789"; }
    location /both { add_header Set-Cookie a=1; return 200 "0123456789012345678901234567890123456789"; }
--- config
    location / {
        redis_cache on;
        if ($arg_all) { redis_cache_ignore_headers Set-Cookie; }
        if ($arg_small) { redis_cache_max_size 10; }
        proxy_pass http://backend;
    }
--- request eval
["GET /cookie", "GET /cookie?all=1", "GET /large", "GET /large?small=1"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP"]



=== TEST 9: stale records, and the method that ends one
--- backend
    location / { return 503; }
    location /put { return 200 "done\n"; }
--- config
    location / {
        redis_cache on;
        if ($arg_strict) { redis_cache_use_stale off; redis_cache_revalidate off; redis_cache_backoff 0; }
        if ($arg_keep) { redis_cache_invalidate off; }
        proxy_pass http://backend;
    }
--- init
main::record($_, ttl => 50) for qw(/a /b?strict=1 /put?keep=1 /put)
--- request eval
["GET /a", "GET /b?strict=1", "PUT /put?keep=1", "PUT /put"]
--- error_code eval
[200, 503, 200, 200]
--- response_headers eval
["X-Cache: STALE", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: SKIP"]
--- redis
EXISTS $KEY/put?keep=1 => 1
EXISTS $KEY/put => 0



=== TEST 10: zone and store
--- http_config
    redis_cache_zone more 64k;
    redis_cache_store down { server unix:/nowhere; }
--- config
    location / {
        redis_cache on;
        redis_cache_pass down;
        if ($arg_other) { redis_cache_lock more; redis_cache_pass main; }
        proxy_pass http://backend;
    }
--- request eval
["GET /a?other=1", "GET /a?other=1", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]



=== TEST 11: all the others are understood there
--- config
    location / {
        redis_cache on;
        if ($arg_other) {
            redis_cache_pass_timeout 1s;
            redis_cache_heuristic 10%;
            redis_cache_lock_timeout 10s;
            redis_cache_lock_age 20s;
            redis_cache_set_cookie public;
            redis_cache_honor_request on;
            redis_cache_capture_memory 1m;
            redis_cache_refills 2;
            redis_cache_lock_queue 3;
            redis_cache_variants 4;
            redis_cache_uncacheable_ttl 1s;
        }
        proxy_pass http://backend;
    }
--- backend
    location / { add_header Cache-Control public; add_header Set-Cookie a=1; return 200 "page\n"; }
--- request eval
["GET /a", "GET /a?other=1", "GET /a?other=1", "GET /a?other=1"]
--- more_headers eval
["", "", "", "Cache-Control: no-cache"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 12: variables that are set there
--- config
    location / {
        redis_cache;
        if ($arg_other) {
            set $cache_key $TEST_NGINX_KEY.set$uri;
            set $cache_age 10;
            set $cache_stale 7;
        }
        proxy_pass http://backend;
    }
--- request eval
["GET /a?other=1", "GET /b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- redis
TTL $KEY.set/a => 17
EXISTS $KEY/b => 1



=== TEST 13: a key of set_md5 there is known for what it is
--- config
    location / {
        redis_cache on;
        if ($arg_other) { set_md5 $cache_key "$TEST_NGINX_KEY $request_method $request_uri"; }
        proxy_pass http://backend;
    }
--- request eval
["GET /a?other=1", "GET /a?other=1", "PUT /a?other=1", "GET /a?other=1"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]
