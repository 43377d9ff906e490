# Age is on every answer from a record: the age it had when it was stored and the
# time since; no machine's clock is asked.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 44;
run_tests();

__DATA__

=== TEST 1: of a record of the Lua script: what has gone of age + stale
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/new', ttl => 220);
main::record('/old', ttl => 170);
main::record('/stale', ttl => 40);
main::record('/odd', ttl => 500);
--- request eval
["GET /new", "GET /old", "GET /stale", "GET /odd"]
--- response_headers_like eval
["X-Cache: HIT\nAge: [0-9]", "X-Cache: HIT\nAge: 5[0-9]", "X-Cache: STALE\nAge: 18[0-9]", "X-Cache: HIT\nAge: 0"]



=== TEST 2: it goes by the location's age and stale
--- config
    location / {
        redis_cache on;
        redis_cache_age 300s;
        redis_cache_stale 50s;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 250);
--- request
GET /a
--- response_headers_like
X-Cache: HIT
Age: 10[0-9]



=== TEST 3: of a record just stored
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers_like eval
["X-Cache: STORE", "X-Cache: HIT\nAge: [0-9]", "X-Cache: HIT\nAge: [1-9]"]
--- redis eval
["EXISTS \$KEY/a => 1", undef, undef]
--- wait: 0.6



=== TEST 4: the age that the backend's answer had is counted in
--- backend
    location / { add_header Age 200; add_header Cache-Control max-age=500; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers_like eval
["X-Cache: STORE\nAge: 20[0-9]", "X-Cache: HIT\nAge: 20[0-9]"]
--- redis eval
["EXISTS \$KEY/a => 1", undef]



=== TEST 5: the record's own expiry counts, not today's settings
--- backend
    location / { add_header Cache-Control max-age=500; return 200 "page\n"; }
--- config
    location /one { redis_cache on; redis_cache_key $TEST_NGINX_KEY; proxy_pass http://backend; }
    location /two { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_age 1h; redis_cache_stale 10s; proxy_pass http://backend; }
--- request eval
["GET /one", "GET /two"]
--- response_headers_like eval
["X-Cache: STORE", "X-Cache: HIT\nAge: [0-9]"]
--- redis eval
["EXISTS \$KEY => 1", undef]



=== TEST 6: a 304 has it, and a part
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 170, headers => '{"ETag":"\"abc\""}')
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
['If-None-Match: "abc"', "Range: bytes=0-1"]
--- error_code eval
[304, 206]
--- response_headers_like eval
["Age: 5[0-9]", "Age: 5[0-9]"]



=== TEST 7: one Age only
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 170, headers => '{"Age":"7"}')
--- request
GET /a
--- response_headers_like
X-Cache: HIT
Age: \d+
