# A panic of the module costs the request that it happens to, no more: the client is answered with 500, or its
# connection ends where a header has gone, and the worker serves the next. A module that is built with assertions
# (BUILD=debug) can be told to panic; for others these are skipped.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 42;
run_tests();

__DATA__

=== TEST 1: before an answer is carried out
--- main_config
    env REDIS_CACHE_PANIC=deliver;
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[500, 500]
--- error_log
[alert]
panic in answer
--- skip_eval: 6: main::without_assertions()



=== TEST 2: behind the answer of a stale record, before its refill
--- main_config
    env REDIS_CACHE_PANIC=refill;
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50);
main::record('/b', ttl => 50);
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[200, 200]
--- error_log
[alert]
panic in answer
--- skip_eval: 6: main::without_assertions()



=== TEST 3: behind an answer that was streamed
--- main_config
    env REDIS_CACHE_PANIC=streamed;
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[200, 200]
--- error_log
[alert]
panic in answer
--- skip_eval: 6: main::without_assertions()



=== TEST 4: when the body of a request is there
--- main_config
    env REDIS_CACHE_PANIC=body;
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- request eval
["POST /a\nbody", "POST /b\nbody"]
--- error_code eval
[500, 500]
--- error_log
[alert]
panic in handler
--- skip_eval: 6: main::without_assertions()



=== TEST 5: at the end of a fill: nobody waits for what doesn't come
--- main_config
    env 'REDIS_CACHE_PANIC=fill end';
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[200, 200]
--- error_log
[alert]
panic in fill
--- skip_eval: 6: main::without_assertions()



=== TEST 6: at the beginning of a fill
--- main_config
    env 'REDIS_CACHE_PANIC=fill begin';
--- config
    location / { redis_cache on; redis_cache_backend @backend; }
    location @backend { proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[502, 502]
--- error_log
[alert]
panic in fill
--- skip_eval: 6: main::without_assertions()



=== TEST 7: while it holds the zone's mutex, which is free again for the next
--- main_config
    env 'REDIS_CACHE_PANIC=zone held';
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- error_code eval
[500, 500]
--- error_log
[alert]
panic in task
--- skip_eval: 6: main::without_assertions()
