# A record past its freshness is answered whole and at once; then one refill runs
# that no client waits for. A record is stale while its expiry is at most
# redis_cache_stale away.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 131;
run_tests();

__DATA__

=== TEST 1: STALE, then the refilled record
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE\nX-Status: STALE", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
["from the record\n", "from the backend\n"]
--- redis eval
["HGET \$KEY/a body => from the backend\\n\nTTL \$KEY/a => 2(?:19|20)", undef]
--- backend_log
GET /a
--- no_error_log
[error]



=== TEST 2: still fresh while the expiry is further away than staleness lasts
--- config
    location / { redis_cache on; redis_cache_stale 100s; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 103)
--- request
GET /a
--- response_headers
X-Cache: HIT
--- response_body
from the record
--- backend_log



=== TEST 3: stale, and refilled, from the very moment that staleness begins
--- config
    location / { redis_cache on; redis_cache_stale 100s; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 100)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- redis
HGET $KEY/a body => from the backend\n
TTL $KEY/a => 2(?:19|20)



=== TEST 4: staleness is the location's word, so one record can be both
--- config
    location /short/ { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_stale 10s; proxy_pass http://backend; }
    location /long/  { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_stale 1h; proxy_pass http://backend; }
--- init
main::record('', ttl => 60)
--- request eval
["GET /short/", "GET /long/"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]



=== TEST 5: the client doesn't wait for a slow backend, nor does its connection's next request
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location = /slow.txt { redis_cache on; proxy_pass http://backend; }
    location = /other    { return 200 "other\n"; }
--- user_files eval
[["slow.txt" => "x" x 4500]]
--- init
main::record('/slow.txt', ttl => 50)
--- pipelined_requests eval
["GET /slow.txt", "GET /other", "GET /slow.txt", "GET /other"]
--- response_headers eval
["X-Cache: STALE", "! X-Cache", "X-Cache: STALE", "! X-Cache"]
--- response_body eval
["from the record\n", "other\n", "from the record\n", "other\n"]
--- timeout: 2
--- redis
HSTRLEN $KEY/slow.txt body => 4500
--- backend_log
GET /slow.txt



=== TEST 6: who comes while the refill runs gets the record, too, and starts none
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- user_files eval
[["slow.txt" => "x" x 4500]]
--- init
main::record('/slow.txt', ttl => 50)
--- request eval
["GET /slow.txt", "GET /slow.txt", "GET /slow.txt", "GET /slow.txt"]
--- response_headers eval
["X-Cache: STALE\nX-Status: STALE", "X-Cache: STALE\nX-Status: UPDATING", "X-Cache: STALE\nX-Status: UPDATING", "X-Cache: HIT\nX-Status: HIT"]
--- timeout: 2
--- redis eval
[undef, undef, "HSTRLEN \$KEY/slow.txt body => 4500", undef]
--- response_body eval
["from the record\n", "from the record\n", "from the record\n", "x" x 4500]
--- backend_log
GET /slow.txt



=== TEST 7: a refill that ends in an error leaves the record as it was
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / { redis_cache on; redis_cache_age 1h; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log eval
["GET /a\n", undef]
--- redis
HGET $KEY/a body => from the record\n
TTL $KEY/a => (?:49|50)



=== TEST 8: so does one that finds nothing there
--- backend
    location / { return 404 "gone\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log eval
["GET /a\n", undef]
--- redis
HGET $KEY/a status => 200
TTL $KEY/a => (?:49|50)



=== TEST 9: and one that finds no backend
--- config
    location / {
        redis_cache on;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock;
    }
--- init
main::record('/a', ttl => 50)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]
--- redis
HGET $KEY/a body => from the record\n
TTL $KEY/a => (?:49|50)



=== TEST 10: and one whose answer is cut off
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_read_timeout 300ms; proxy_pass http://backend; }
--- user_files eval
[["slow.txt" => "x" x 3000]]
--- init
main::record('/slow.txt', ttl => 50)
--- request eval
["GET /slow.txt", "GET /slow.txt"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE"]
--- response_body eval
["from the record\n", "from the record\n"]
--- wait: 0.6
--- redis
HGET $KEY/slow.txt body => from the record\n
TTL $KEY/slow.txt => (?:49|50)



=== TEST 11: the refill has none of its client's conditions and ranges
--- backend_format
$request_method $request_uri [$http_if_none_match$http_if_modified_since$http_if_match$http_range$http_if_range] $http_x_forwarded_proto
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files
>>> page.txt 201001020304.05
from the disk
--- init
main::record('/page.txt', ttl => 50)
--- request
GET /page.txt
--- more_headers
If-None-Match: "some"
If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT
If-Match: *
Range: bytes=0-3
If-Range: "some"
X-Forwarded-Proto: kept
--- error_code_like: ^(?:200|206|412)$
--- response_headers
X-Cache: STALE
--- redis
HGET $KEY/page.txt body => from the disk\n
--- backend_log
GET /page.txt [] kept



=== TEST 12: a stale answer to HEAD has the record's header; the refill fetches the whole
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
["HEAD /a", "GET /a"]
--- response_headers eval
["X-Cache: STALE\nContent-Length: 16", "X-Cache: HIT\nContent-Length: 17"]
--- response_body eval
["", "from the backend\n"]
--- redis eval
["HGET \$KEY/a body => from the backend\\n", undef]
--- backend_log
GET /a



=== TEST 13: a stale POST is refilled with its body
--- backend_format
$request_method $request_uri $request_body
--- backend
    location / {
        client_body_in_single_buffer on;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { access_log off; return 200 "from the backend\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 50)
--- request
POST /a
name=value
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- timeout: 2
--- redis
HGET $KEY/a body => from the backend\n
--- backend_log
POST /a name=value



=== TEST 14: a record without staleness is fresh until it is gone
--- config
    location / { redis_cache on; redis_cache_stale 0; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 3)
--- request
GET /a
--- response_headers
X-Cache: HIT
--- response_body
from the record



=== TEST 15: a stale record through $cache_backend
--- config
    location /cached {
        set $cache_backend /fallback;
        redis_cache on;
    }
    location /fallback { internal; proxy_pass http://backend; }
--- init
main::record('/cached/a', ttl => 50)
--- request eval
["GET /cached/a", "GET /cached/a"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the backend\n"]
--- redis eval
["HGET \$KEY/cached/a body => from the backend\\n", undef]
--- backend_log
GET /fallback/cached/a



=== TEST 16: a connection that ends with the answer doesn't stop the refill
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["slow.txt" => "x" x 2000]]
--- init
main::record('/slow.txt', ttl => 50)
--- request eval
["GET /slow.txt HTTP/1.0", "GET /slow.txt"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "x" x 2000]
--- redis eval
["HSTRLEN \$KEY/slow.txt body => 2000", undef]
