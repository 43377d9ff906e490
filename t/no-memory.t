# Without memory for the value of a predicate the safe answer is taken: what the predicate forbids isn't done. A module
# that is built with assertions (BUILD=debug) can be told that there is no memory; for others these are skipped.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 17;
run_tests();

__DATA__

=== TEST 1: a record isn't used where nobody knows whether redis_cache_bypass holds
--- main_config
    env REDIS_CACHE_NO_MEMORY=predicate;
--- config
    location / { redis_cache on; redis_cache_bypass $arg_bypass; proxy_pass http://backend; }
--- init
main::record('/a');
--- request
GET /a
--- response_headers
X-Cache: STORE
--- response_body_like: from the backend
--- skip_eval: 3: main::without_assertions()



=== TEST 2: nothing is stored where nobody knows whether redis_cache_no_store holds
--- main_config
    env REDIS_CACHE_NO_MEMORY=predicate;
--- config
    location / { redis_cache on; redis_cache_no_store $arg_none; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- response_body_like eval
["from the backend", "from the backend"]
--- skip_eval: 6: main::without_assertions()



=== TEST 3: the request passes by the cache where nobody knows either
--- main_config
    env REDIS_CACHE_NO_MEMORY=predicate;
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_bypass;
        redis_cache_no_store $arg_none;
        add_header X-Reason $redis_cache_reason;
        proxy_pass http://backend;
    }
--- init
main::record('/a');
--- request
GET /a
--- response_headers
X-Cache: SKIP
X-Reason: bypass
--- response_body_like: from the backend
--- skip_eval: 4: main::without_assertions()



=== TEST 4: with memory the record answers
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_bypass;
        redis_cache_no_store $arg_none;
        proxy_pass http://backend;
    }
--- init
main::record('/a');
--- request eval
["GET /a", "GET /a?bypass=0&none=0"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STORE"]
