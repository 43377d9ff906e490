# redis_cache_debug_header: why an answer came as it came, for those who may know.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: a miss, a hit, a stale record
--- config
    location / { redis_cache on; redis_cache_age 60s; redis_cache_debug_header X-Debug 127.0.0.1; proxy_pass http://backend; }
--- init
main::record('/stale', ttl => 60)
--- request eval
["GET /a", "GET /a", "GET /stale"]
--- response_headers_like eval
['X-Debug: status=MISS; source=backend; reason="being stored"; fill=own; ttl=60; zone="[^"]+"; store="[^"]+"; node="[^"]+"; key="[^"]*/a"',
 'X-Debug: status=HIT; source=store; reason="fresh"; fill=none; age=[01]; ttl=(?:59|60); zone="[^"]+"; store="[^"]+"; node="[^"]+"; key="[^"]*/a"',
 'X-Debug: status=STALE; source=store; reason="stale"; fill=none; age=\d+; ttl=-[34]\d; zone=.*']



=== TEST 2: what isn't stored, and what passes by the cache
--- backend
    location /private { add_header Cache-Control private; return 200; }
    location / { return 200; }
--- config
    location / { redis_cache on; redis_cache_debug_header X-Debug all; proxy_pass http://backend; }
    location /nowhere { redis_cache on; set $cache_pass nowhere; redis_cache_debug_header X-Debug all; proxy_pass http://backend; }
--- request eval
["GET /private", "POST /a", "GET /nowhere"]
--- response_headers_like eval
['X-Debug: status=MISS; source=backend; reason="private"; fill=own; zone=.*',
 'X-Debug: status=BYPASS; source=backend; reason="method not listed"; fill=passed; zone="[^"]+".*',
 'X-Debug: status=MISS; source=backend; reason="zone, store or key missing"; fill=passed; zone="[^"]+".*']



=== TEST 3: a variant, and a key with odd bytes
--- backend
    location / { add_header Vary X-A; return 200; }
--- config
    location / { redis_cache on; redis_cache_key "$TEST_NGINX_KEY$uri\"\\"; redis_cache_debug_header X-Debug all; proxy_pass http://backend; }
--- more_headers
X-A: 1
--- request eval
["GET /a%22b", "GET /a%22b"]
--- response_headers_like eval
['X-Debug: status=MISS; .*key="[^ ]*/a."b."..".*',
 'X-Debug: status=HIT; .*; variant="[0-9a-f]{32}"; .*key="[^ ]*/a."b."..".*']



=== TEST 4: others don't see it, nor where it is off, and the backend's own is replaced
--- backend
    location / { add_header X-Debug "of the backend"; return 200; }
--- config
    redis_cache_debug_header X-Debug 192.0.2.1;
    location / { redis_cache on; proxy_pass http://backend; proxy_hide_header X-Debug; }
    location /off { redis_cache on; redis_cache_debug_header off; proxy_pass http://backend; }
    location /seen { redis_cache on; redis_cache_debug_header X-Debug 127.0.0.1; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /off", "GET /seen"]
--- response_headers_like eval
["X-Cache: STORE", "X-Debug: of the backend", "X-Debug: status=MISS; .*"]
