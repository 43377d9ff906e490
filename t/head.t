# HEAD is answered from the record of its key; on a miss the fill runs as GET, so
# that the record is whole.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 73;
run_tests();

__DATA__

=== TEST 1: from a record: its headers, no body
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Content-Type":"text\/html","X-One":"1"}')
--- request
HEAD /a
--- response_headers
X-Cache: HIT
Content-Type: text/html
Content-Length: 16
X-One: 1
--- response_body chomp
--- backend_log



=== TEST 2: on a miss: the whole answer is fetched and stored
--- backend
    location / { add_header X-Method $request_method; return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 4\nX-Method: GET",
 "X-Cache: HIT\nContent-Length: 4\nX-Method: GET",
 "X-Cache: HIT\nContent-Length: 4\nX-Method: GET"]
--- response_body eval
["", "GET\n", ""]
--- backend_log
GET /a



=== TEST 3: after a HEAD the connection is ready for the next request
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a"]
--- response_body eval
["", "GET\n"]
--- timeout: 10



=== TEST 4: where the key holds the method, HEAD has a record of its own
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        set $cache_key $TEST_NGINX_KEY.$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["HEAD /a", "HEAD /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log
GET /a
GET /a
--- redis
HGET $KEY.HEAD/a body => GET\n
HGET $KEY.GET/a body => GET\n



=== TEST 5: but not where redis_cache_key holds it: HEAD finds the record of GET
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY.$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["HEAD /a", "GET /a", "HEAD /b", "HEAD /b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a
GET /b
--- redis
EXISTS $KEY.GET/a $KEY.GET/b => 2
EXISTS $KEY.HEAD/a $KEY.HEAD/b => 0



=== TEST 6: HEAD may be unlisted; then the backend sees it
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: SKIP"]
--- response_body eval
["", "GET\n", ""]
--- backend_log
HEAD /a
GET /a
HEAD /a



=== TEST 7: an error has a header only
--- backend
    location / { return 404 "none\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
HEAD /a
--- error_code: 404
--- response_headers
X-Cache: SKIP
--- response_body chomp



=== TEST 8: a large body isn't sent
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["large.txt" => "0123456789" x 50_000]]
--- request eval
["HEAD /large.txt", "HEAD /large.txt", "GET /large.txt"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 500000", "X-Cache: HIT\nContent-Length: 500000", "X-Cache: HIT\nContent-Length: 500000"]
--- response_body eval
["", "", "0123456789" x 50_000]
--- backend_log
GET /large.txt
