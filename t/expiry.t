# The Redis expiry of a record is its freshness + how long it may be stale, in
# whole seconds, written with the record.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 54;
run_tests();

__DATA__

=== TEST 1: by default 120 s fresh and 100 s stale
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY/a => 2(?:19|20)



=== TEST 2: redis_cache_age and redis_cache_stale
--- config
    location / {
        redis_cache on;
        redis_cache_age 10m;
        redis_cache_stale 1m;
        proxy_pass http://backend;
    }
--- request
GET /a
--- redis
TTL $KEY/a => 6(?:59|60)



=== TEST 3: they are inherited
--- http_config
    redis_cache_age 1h;
--- config
    redis_cache_stale 2m;
    location /one/ { redis_cache on; proxy_pass http://backend; }
    location /two/ { redis_cache on; redis_cache_age 1m; proxy_pass http://backend; }
--- request eval
["GET /one/", "GET /two/"]
--- redis eval
["TTL \$KEY/one/ => 37(?:19|20)", "TTL \$KEY/two/ => 1(?:79|80)"]



=== TEST 4: $cache_age and $cache_stale, in seconds
--- config
    location / {
        set $cache_age 300;
        set $cache_stale 30;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- redis
TTL $KEY/a => 3(?:29|30)



=== TEST 5: the response's own freshness counts, not redis_cache_age
--- backend
    location / { add_header Cache-Control max-age=1000; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_age 10s; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => 1(?:099|100)



=== TEST 6: a time for a status
--- backend
    location /200 { return 200 "page\n"; }
    location /404 { return 404 "none\n"; }
    location /410 { return 410 "gone\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid 200;
        redis_cache_valid 404 410 10s;
        proxy_pass http://backend;
    }
--- request eval
["GET /200", "GET /404", "GET /410"]
--- error_code eval
[200, 404, 410]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]
--- redis eval
["TTL \$KEY/200 => 2(?:19|20)", "TTL \$KEY/404 => 1(?:09|10)", "TTL \$KEY/410 => 1(?:09|10)"]



=== TEST 7: a fraction of a second is rounded up, never left without expiry
--- config
    location / {
        set $cache_age 6.5;
        set $cache_stale 2.2;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- redis
TTL $KEY/a => (?:9|10)



=== TEST 8: nothing is kept past its freshness
--- config
    location / {
        redis_cache on;
        redis_cache_age 10s;
        redis_cache_stale 0;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
["TTL \$KEY/a => (?:9|10)", undef]



=== TEST 9: no time at all stores nothing
--- config
    location / {
        redis_cache on;
        redis_cache_age 0;
        redis_cache_stale 0;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- backend_log
GET /a
GET /a
--- redis
EXISTS $KEY/a => 0



=== TEST 10: no freshness, but staleness: stored, and stale at once
--- backend
    location / { add_header Cache-Control max-age=0; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_stale 50s; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STALE"]
--- redis eval
["TTL \$KEY/a => (?:49|50)", undef]



=== TEST 11: the sum is capped where Redis and the RFC are
--- backend
    location / { add_header Cache-Control max-age=99999999999; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
TTL $KEY/a => 21474836(?:4\d|3\d)



=== TEST 12: the record of three seconds is gone after them
--- config
    location / {
        redis_cache on;
        redis_cache_age 3s;
        redis_cache_stale 0;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- redis eval
["PTTL \$KEY/a => [12]?\\d{3}|3000", undef]
--- wait: 3.1
--- backend_log
GET /a
GET /a



=== TEST 13: a HIT doesn't prolong a record
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 150)
--- request
GET /a
--- response_headers
X-Cache: HIT
--- redis
TTL $KEY/a => 1(?:49|50|48)
