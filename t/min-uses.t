# redis_cache_min_uses: a response is stored from the Nth request for its key on that finds no record, as
# proxy_cache_min_uses has it. The requests before go to the backend by themselves, and nothing is remembered of
# their responses.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 114;
run_tests();

__DATA__

=== TEST 1: stored from the second request on
--- config
    location / {
        redis_cache on;
        redis_cache_min_uses 2;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP\nX-Status: MISS\nX-Reason: too few uses", "X-Cache: STORE\nX-Status: MISS", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
["from the backend\n", "from the backend\n", "from the backend\n"]
--- redis eval
["EXISTS \$KEY/a => 0", "EXISTS \$KEY/a => 1", undef]
--- backend_log
GET /a
GET /a
--- no_error_log
[error]



=== TEST 2: nginx's own cache does the same
--- http_config
    proxy_cache_path $TEST_NGINX_SERVER_ROOT/html/twin keys_zone=twin:1m;
--- config
    location / {
        proxy_cache twin;
        proxy_cache_key $TEST_NGINX_KEY$uri;
        proxy_cache_valid 1m;
        proxy_cache_min_uses 2;
        add_header X-Status $upstream_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Status: MISS", "X-Status: MISS", "X-Status: HIT"]
--- backend_log
GET /a
GET /a



=== TEST 3: stored at the first request by default, and below a level that waits for more
--- config
    redis_cache_min_uses 3;
    location /own/ { redis_cache on; redis_cache_min_uses 1; proxy_pass http://backend; }
    location /     { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /own/", "GET /own/", "GET /", "GET /", "GET /", "GET /"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 4: each key has a count of its own
--- config
    location / { redis_cache on; redis_cache_min_uses 2; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b", "GET /a?1", "GET /b", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 5: a record is used whoever has stored it, and a stale one is refilled
--- config
    location / { redis_cache on; redis_cache_min_uses 5; proxy_pass http://backend; }
--- init
main::record('/fresh', ttl => 150);
main::record('/stale', ttl => 50);
--- request eval
["GET /fresh", "GET /stale", "GET /stale"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n", "from the backend\n"]
--- redis eval
[undef, "HGET \$KEY/stale body => from the backend\\n", undef]



=== TEST 6: what a request wants goes to the backend, and no more
--- backend_format: $request_method $request_uri [$http_range] [$http_if_none_match]
--- backend
    location / { return 200 "0123456789\n"; }
--- config
    location / { redis_cache on; redis_cache_min_uses 9; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "GET /a"]
--- more_headers eval
["", "Range: bytes=2-4", "If-None-Match: \"x\""]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: SKIP"]
--- error_code eval
[200, 200, 200]
--- backend_log
HEAD /a [] []
GET /a [bytes=2-4] []
GET /a [] ["x"]



=== TEST 7: they count for the response that is stored then
--- config
    location / { redis_cache on; redis_cache_min_uses 3; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
HEAD /a
GET /a
GET /a



=== TEST 8: a bypass is stored, and isn't counted
--- config
    location / { redis_cache on; redis_cache_min_uses 2; redis_cache_bypass $http_x_fresh; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /b", "GET /b"]
--- more_headers eval
["X-Fresh: 1", "", "", "X-Fresh: 1"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 9: what isn't storable is said from then on
--- backend
    location / { add_header Cache-Control private; return 200 "for one\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_min_uses 2;
        add_header X-Status "$redis_cache_reason" always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP\nX-Status: too few uses", "X-Cache: SKIP\nX-Status: private", "X-Cache: SKIP"]



=== TEST 10: variants of a key count together
--- backend
    location / { add_header Vary Accept-Language; return 200 "$http_accept_language\n"; }
--- config
    location / { redis_cache on; redis_cache_min_uses 2; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Accept-Language: de", "Accept-Language: fr", "Accept-Language: de", "Accept-Language: de"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["de\n", "fr\n", "de\n", "de\n"]



=== TEST 11: Cache-Status says why
--- config
    location / {
        redis_cache on;
        redis_cache_min_uses 2;
        redis_cache_status_header Edge;
        redis_cache_debug_header X-Debug all;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
Cache-Status: Edge; fwd=uri-miss; fwd-status=200; detail="too few uses"
--- response_headers_like
X-Debug: status=MISS; source=backend; reason="too few uses"; fill=none;.*



=== TEST 12: a backend of its own gets the requests before, too
--- config
    location / { redis_cache on; redis_cache_min_uses 2; redis_cache_backend /inside; }
    location /inside/ { internal; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["from the backend\n", "from the backend\n", "from the backend\n"]
--- backend_log
GET /inside/a
GET /inside/a
