# What a record past its freshness is good for: what redis_cache_use_stale permits
# (out of band in the sense of RFC 9111 4.2.4), what the response itself permits or
# forbids (RFC 9111 5.2.2, RFC 5861), and how a backend that fails is spared.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 85;
run_tests();

__DATA__

=== TEST 1: by default a refill's 500 leaves the record in use, and the backend alone for a while
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::backend_has(1); main::log_has("/a\": backend failed") }, undef, undef]
--- response_headers eval
["X-Cache: STALE\nX-Status: STALE", "X-Cache: STALE", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n", "from the record\n"]
--- backend_log
GET /a



=== TEST 2: after the back-off the backend is asked again
--- backend
    location / { return 503; }
--- config
    location / { redis_cache on; redis_cache_backoff 1ms max=2ms; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::log_has("/a\": backend failed"); select undef, undef, undef, 0.05 }, undef]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- backend_log
GET /a
GET /a



=== TEST 3: without "updating" the backend is asked first, and its answer is the client's
--- config
    location / {
        redis_cache on;
        redis_cache_use_stale error timeout;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- response_headers
X-Cache: STORE
X-Status: EXPIRED
--- response_body
from the backend
--- backend_log
GET /a



=== TEST 4: without "updating" a failure that is named gives the record
--- backend
    location / { return 503; }
--- config
    location / {
        redis_cache on;
        redis_cache_use_stale http_503;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE\nX-Status: STALE", "X-Cache: STALE\nX-Status: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log
GET /a



=== TEST 5: a failure that isn't named is the client's answer
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_use_stale http_503;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- error_code: 500
--- response_headers
X-Cache: SKIP
X-Status: EXPIRED
--- response_body
broken



=== TEST 6: no connection to the backend: "error"
--- config
    location / {
        redis_cache on;
        redis_cache_use_stale error;
        proxy_pass http://127.0.0.1:1;
    }
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record



=== TEST 7: off: the operator permits nothing, a stale record is kept to be validated
--- backend
    location / { return 503; }
--- config
    location / { redis_cache on; redis_cache_use_stale off; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- error_code: 503
--- response_headers
X-Cache: SKIP
--- redis
EXISTS $KEY/a => 1



=== TEST 8: off: stale-while-revalidate permits what it says (5861 3)
--- config
    location / { redis_cache on; redis_cache_use_stale off; proxy_pass http://backend; }
--- init
main::record('/in',   ttl => 95, headers => '{"Cache-Control":"max-age=60, stale-while-revalidate=10"}');
main::record('/past', ttl => 85, headers => '{"Cache-Control":"max-age=60, stale-while-revalidate=10"}');
--- request eval
["GET /in", "GET /past"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STORE"]
--- response_body eval
["from the record\n", "from the backend\n"]



=== TEST 9: off: stale-if-error permits what it says (5861 4)
--- backend
    location / { return 502; }
--- config
    location / { redis_cache on; redis_cache_use_stale off; proxy_pass http://backend; }
--- init
main::record('/in',   ttl => 95, headers => '{"Cache-Control":"max-age=60, stale-if-error=10"}');
main::record('/past', ttl => 85, headers => '{"Cache-Control":"max-age=60, stale-if-error=10"}');
--- request eval
["GET /in", "GET /past"]
--- error_code eval
[200, 502]
--- response_headers eval
["X-Cache: STALE", "X-Cache: SKIP"]



=== TEST 10: both can only shorten what the operator permits
--- backend
    location / { return 502; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/while', ttl => 85, headers => '{"Cache-Control":"max-age=60, stale-while-revalidate=10"}');
main::record('/error', ttl => 85, headers => '{"Cache-Control":"max-age=60, stale-while-revalidate=10, stale-if-error=10"}');
--- request eval
["GET /while", "GET /error"]
--- error_code eval
[200, 502]
--- response_headers eval
["X-Cache: STALE", "X-Cache: SKIP"]



=== TEST 11: nothing lasts longer than redis_cache_stale, after which there is no record
--- config
    location / { redis_cache on; redis_cache_stale 1s; redis_cache_age 0; redis_cache_use_stale off; proxy_pass http://backend; }
--- backend
    location / { add_header Cache-Control "stale-while-revalidate=1000"; return 200 "from the backend\n"; }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY/a => [01]



=== TEST 12: must-revalidate, proxy-revalidate and s-maxage are never served stale, whatever is permitted (9111 5.2.2)
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/must',  ttl => 99, headers => '{"Cache-Control":"max-age=60, must-revalidate"}');
main::record('/proxy', ttl => 99, headers => '{"Cache-Control":"max-age=60, proxy-revalidate, stale-while-revalidate=50"}');
main::record('/s',     ttl => 99, headers => '{"Cache-Control":"s-maxage=60"}');
--- request eval
["GET /must", "GET /proxy", "GET /s"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]
--- response_body eval
["from the backend\n", "from the backend\n", "from the backend\n"]



=== TEST 13: with the backend down they give 504 (9111 5.2.2.2)
--- config
    location / { redis_cache on; proxy_pass http://127.0.0.1:1; }
--- init
main::record('/a', ttl => 99, headers => '{"Cache-Control":"max-age=60, must-revalidate, stale-if-error=50"}');
--- request
GET /a
--- error_code: 504
--- response_headers
X-Cache: SKIP



=== TEST 14: an error of the backend itself is passed on
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 99, headers => '{"Cache-Control":"max-age=60, must-revalidate"}');
--- request
GET /a
--- error_code: 500
--- response_headers
X-Cache: SKIP
--- response_body
broken
--- redis
EXISTS $KEY/a => 1



=== TEST 15: ignored Cache-Control forbids nothing
--- config
    location / { redis_cache on; redis_cache_ignore_headers Cache-Control; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 99, headers => '{"Cache-Control":"max-age=60, must-revalidate"}');
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record



=== TEST 16: a status that is stored doesn't replace a record that it leaves in use
--- backend
    location / { return 404 "gone\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid 200 404;
        redis_cache_use_stale updating http_404;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- after eval
sub { main::backend_has(1) }
--- response_headers
X-Cache: STALE
--- redis
HGET $KEY/a body => from the record\n
--- backend_log
GET /a



=== TEST 17: without a back-off the next request sets the next refill off
--- backend
    location / { return 503; }
--- config
    location / { redis_cache on; redis_cache_backoff 0; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::log_has("/a\": backend failed") }, undef]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- backend_log eval
["GET /a\n", "GET /a\nGET /a\n"]
