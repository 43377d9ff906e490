# redis_cache_on_error: whether requests go to the backend while Redis is down, or fail for its sake.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 29;

run_tests();

__DATA__

=== TEST 1: fail: 503 with Retry-After, and the backend isn't asked
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    location / {
        redis_cache on;
        redis_cache_pass down;
        redis_cache_on_error fail;
        redis_cache_status_header edge;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "HEAD /a"]
--- error_code eval
[503, 503, 503]
--- response_headers eval
["Retry-After: 1\nX-Cache: SKIP\nX-Status: MISS\nX-Reason: store unavailable, backend spared\nCache-Status: edge; detail=\"store unavailable, backend spared\"",
 ("Retry-After: 1\nX-Cache: SKIP") x 2]
--- backend_log



=== TEST 2: what isn't cached goes to the backend as always
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    redis_cache_on_error fail;
    location / {
        redis_cache on;
        redis_cache_pass down;
        redis_cache_bypass $arg_bypass;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\nbody", "GET /b?bypass=1"]
--- error_code eval
[200, 200]
--- backend_log
POST /a
GET /b?bypass=1



=== TEST 3: error_page has a page for it
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    location / {
        redis_cache on;
        redis_cache_pass down;
        redis_cache_on_error fail;
        error_page 503 /later;
        proxy_pass http://backend;
    }
    location = /later {
        return 503 "later\n";
    }
--- request
GET /a
--- error_code: 503
--- response_headers
Retry-After: 1
--- response_body
later
--- backend_log



=== TEST 4: pass is the default, and takes an outer fail back
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
    redis_cache_on_error fail;
--- config
    location / {
        redis_cache on;
        redis_cache_pass down;
        redis_cache_on_error pass;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
!Retry-After
--- backend_log
GET /a



=== TEST 5: a store that serves is no error: misses are filled
--- config
    location / {
        redis_cache on;
        redis_cache_on_error fail;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a
