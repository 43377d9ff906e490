# What a request asks of the cache (RFC 9111 5.2.1, 5.4): heeded only where the operator
# wants it.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 91;
run_tests();

__DATA__

=== TEST 1: by default a client can't make the cache ask the backend
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 6]
--- more_headers eval
["", "Cache-Control: no-cache", "Cache-Control: max-age=0", "Pragma: no-cache", "Cache-Control: no-store", "Cache-Control: min-fresh=9999"]
--- response_headers eval
["X-Cache: STORE", ("X-Cache: HIT") x 5]
--- backend_log
GET /a



=== TEST 2: by default only-if-cached doesn't keep a miss from the backend, nor no-store from being stored
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers
Cache-Control: only-if-cached, no-store
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 3: no-cache and Pragma ask the backend, and the answer is stored
--- backend
    location / { set $a "$request_id"; return 200 "$http_pragma$http_cache_control\n"; }
--- config
    location / { redis_cache on; redis_cache_honor_request on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
["", "Cache-Control: no-cache", "Pragma: no-cache", ""]
--- response_headers eval
[("X-Cache: STORE") x 3, "X-Cache: HIT"]
--- response_body eval
["\n", "no-cache\n", "no-cache\n", "no-cache\n"]
--- backend_log
GET /a
GET /a
GET /a



=== TEST 4: no-cache has the record validated
--- backend
    location / {
        add_header ETag '"one"';
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "page\n";
    }
--- backend_format: $request_uri $status
--- config
    location / {
        redis_cache on;
        redis_cache_honor_request on;
        add_header X-Status $redis_cache_status;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- more_headers
Cache-Control: no-cache
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: HIT\nX-Status: REVALIDATED"]
--- response_body eval
["page\n", "page\n"]
--- backend_log
/a 200
/a 304



=== TEST 5: max-age and min-fresh
--- init
main::record('/a', headers => '{"Cache-Control":"max-age=120"}', ttl => 190);
--- config
    location / { redis_cache on; redis_cache_honor_request on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 5]
--- more_headers eval
["Cache-Control: max-age=60", "Cache-Control: min-fresh=60", "Cache-Control: max-age=10", "Cache-Control: min-fresh=100", "Cache-Control: min-fresh=121"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 6: a stale record: who names an age wants none, who says max-stale takes it
--- init
main::record("/$_", ttl => 90) for qw(plain age stale little);
--- config
    location / { redis_cache on; redis_cache_honor_request on; proxy_pass http://backend; }
--- request eval
["GET /plain", "GET /age", "GET /stale", "GET /little"]
--- more_headers eval
["", "Cache-Control: max-age=9999", "Cache-Control: max-stale=60", "Cache-Control: max-stale=5"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STORE", "X-Cache: STALE", "X-Cache: STORE"]



=== TEST 7: max-stale is the client's own permission, but no match for must-revalidate
--- init
main::record('/a', ttl => 90);
main::record('/must', headers => '{"Cache-Control":"must-revalidate"}', ttl => 90);
main::record('/none', ttl => 90);
--- config
    location / { redis_cache on; redis_cache_honor_request on; redis_cache_use_stale off; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /must", "GET /none"]
--- more_headers eval
["Cache-Control: max-stale", "Cache-Control: max-stale", ""]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 8: only-if-cached: a record, or 504 and no request to the backend
--- init
main::record('/fresh');
main::record('/stale', ttl => 90);
main::record('/must', headers => '{"Cache-Control":"must-revalidate"}', ttl => 90);
--- config
    location / {
        redis_cache on;
        redis_cache_honor_request on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- more_headers
Cache-Control: only-if-cached
--- request eval
["GET /fresh", "GET /none", "GET /must"]
--- error_code eval
[200, 504, 504]
--- response_headers eval
["X-Cache: HIT", ("X-Cache: SKIP\nX-Reason: only-if-cached") x 2]
--- backend_log



=== TEST 9: no-store: the answer is nobody else's, but a record will do
--- config
    location / {
        redis_cache on;
        redis_cache_honor_request on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Cache-Control: no-store", "", "Cache-Control: no-store"]
--- response_headers eval
["X-Cache: SKIP\nX-Reason: no-store of the request", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 10: no-store doesn't keep the refill of a stale record from being stored
--- init
main::record('/a', ttl => 90);
--- config
    location / { redis_cache on; redis_cache_honor_request on; proxy_pass http://backend; }
--- request
GET /a
--- more_headers
Cache-Control: no-store
--- response_headers
X-Cache: STALE
--- redis
HGET $KEY/a body => from the backend\s*
TTL $KEY/a => 21\d|220



=== TEST 11: what can't be understood asks for less of the cache
--- config
    location / { redis_cache on; redis_cache_honor_request on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
["", "Cache-Control: min-fresh=x", "Cache-Control: x=\"no-cache\"", "Cache-Control: max-stale=x"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
