# redis_cache_refresh_ahead: a fresh record that will soon be stale is answered as
# the hit that it is, and then refilled. A record of the Lua script is fresh for the
# location's redis_cache_age, here 120 s, and stale for 100 s more.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 67;
run_tests();

__DATA__

=== TEST 1: in the last part of its time a record is a hit, and refilled
--- config
    location / {
        redis_cache on;
        redis_cache_refresh_ahead 20%;
        add_header X-Status "$redis_cache_status $redis_cache_reason" always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 110)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT\nX-Status: HIT fresh", "X-Cache: HIT\nX-Status: HIT fresh"]
--- response_body eval
["from the record\n", "from the backend\n"]
--- redis eval
["HGET \$KEY/a body => from the backend\\n\nTTL \$KEY/a => 2(?:19|20)", undef]
--- backend_log
GET /a
--- no_error_log
[error]



=== TEST 2: before that it isn't refilled
--- config
    location / { redis_cache on; redis_cache_refresh_ahead 20%; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 130)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log



=== TEST 3: off, by default and below a level where it is on
--- config
    redis_cache_refresh_ahead 50%;
    location /off/ { redis_cache on; redis_cache_refresh_ahead off; proxy_pass http://backend; }
--- init
main::record('/off/', ttl => 103)
--- request eval
["GET /off/", "GET /off/"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log



=== TEST 4: a time instead of a share
--- config
    location /short/ { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_refresh_ahead 5s;  proxy_pass http://backend; }
    location /long/  { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_refresh_ahead 30s; proxy_pass http://backend; }
--- init
main::record('', ttl => 115)
--- request eval
["GET /short/", "GET /long/", "GET /long/"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n", "from the backend\n"]
--- redis eval
[undef, "HGET \$KEY body => from the backend\\n", undef]
--- backend_log
GET /long/



=== TEST 5: a time never counts for more than half of the record's
--- config
    location / { redis_cache on; redis_cache_refresh_ahead 1h; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 165)
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n"]
--- backend_log



=== TEST 6: a refill ahead that fails leaves the record, and the backend alone for a while
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_refresh_ahead 20%;
        redis_cache_backoff 1h;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 115)
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n", "from the record\n"]
--- backend_log
GET /a



=== TEST 7: a 304 renews the record
--- backend_format: $request_method $request_uri [$http_if_none_match]
--- backend
    location / {
        add_header ETag '"one"' always;
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "the body\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_refresh_ahead 20%;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 110) }, undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: HIT\nX-Status: HIT", "X-Cache: HIT\nX-Status: HIT"]
--- redis eval
[undef, "TTL \$KEY/a => 2(?:19|20)\nHGET \$KEY/a body => the body\\n", undef]
--- backend_log
GET /a []
GET /a ["one"]
