# redis_cache_stale TIME error=TIME: a record is served at once for the first time past its freshness, and
# for the longer one where the backend fails. What the module stores says so itself; a record that says nothing,
# such as one of the Lua script, is fresh while more than the first time is left.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 84;
run_tests();

__DATA__

=== TEST 1: a record is kept for the longer time, and says so
--- config
    location / { redis_cache on; redis_cache_stale 10s error=1000s; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY/a => 11(?:19|20)
HGET $KEY/a meta => .* kept=1000( .*)?



=== TEST 2: without it the record says nothing, below a level that has it, too
--- config
    redis_cache_stale 10s error=1000s;
    location /own/ { redis_cache on; redis_cache_stale 20s; proxy_pass http://backend; }
    location /     { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /own/", "GET /"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- redis eval
["TTL \$KEY/own/ => 1(?:39|40)\nHGET \$KEY/own/ meta => ((?! kept=).)*", "TTL \$KEY/ => 11(?:19|20)"]



=== TEST 3: within the first time it is served at once, and refilled
--- config
    location / {
        redis_cache on;
        redis_cache_stale 10s error=1000s;
        add_header X-Status "$redis_cache_status $redis_cache_reason" always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 995) }, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS being stored", "X-Cache: STALE\nX-Status: STALE stale"]
--- redis eval
[undef, "TTL \$KEY/a => 11(?:19|20)"]
--- backend_log
GET /a
GET /a



=== TEST 4: past it the backend is asked
--- config
    location / {
        redis_cache on;
        redis_cache_stale 10s error=1000s;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 900) }, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: EXPIRED"]
--- redis eval
[undef, "TTL \$KEY/a => 11(?:19|20)"]
--- backend_log
GET /a
GET /a



=== TEST 5: past it a failure of the backend leaves the record in use
--- backend
    location / {
        if ($http_x_fail) { return 503 "broken\n"; }
        return 200 "the body\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_stale 10s error=1000s;
        redis_cache_backoff 1h;
        add_header X-Status "$redis_cache_status $redis_cache_reason" always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["", "X-Fail: 1", "X-Fail: 1"]
--- after eval
[sub { main::age('/a', 900) }, undef, undef]
--- error_code eval
[200, 200, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STALE\nX-Status: STALE backend failed", "X-Cache: STALE\nX-Status: STALE backend failed"]
--- response_body eval
["the body\n", "the body\n", "the body\n"]
--- backend_log
GET /a
GET /a



=== TEST 6: not where the response forbids it
--- backend
    location / {
        if ($http_x_fail) { return 503 "broken\n"; }
        add_header Cache-Control "max-age=120, must-revalidate";
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; redis_cache_stale 10s error=1000s; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["", "X-Fail: 1"]
--- after eval
[sub { main::age('/a', 900) }, undef]
--- error_code eval
[200, 503]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP"]



=== TEST 7: the response's stale-if-error shortens it, and its stale-while-revalidate doesn't exceed the first time
--- backend
    location / {
        if ($http_x_fail) { return 503 "broken\n"; }
        add_header Cache-Control "max-age=120, stale-while-revalidate=500, stale-if-error=200";
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; redis_cache_stale 10s error=1000s; redis_cache_backoff 0; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["", "X-Fail: 1", "X-Fail: 1"]
--- after eval
[sub { main::age('/a', 900) }, sub { main::age('/a', 700) }, undef]
--- error_code eval
[200, 200, 503]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STALE", "X-Cache: SKIP"]
--- backend_log
GET /a
GET /a
GET /a



=== TEST 8: a record that says nothing is counted by the first time
--- config
    location / { redis_cache on; redis_cache_stale 100s error=1000s; proxy_pass http://backend; }
--- init
main::record('/fresh', ttl => 110);
main::record('/stale', ttl => 90);
--- request eval
["GET /fresh", "GET /stale", "GET /stale"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n", "from the backend\n"]
--- redis eval
[undef, "TTL \$KEY/stale => 11(?:19|20)", undef]



=== TEST 9: a record of a location with it is counted right where there is none
--- config
    location /longer/ { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_stale 10s error=1000s; proxy_pass http://backend; }
    location /        { redis_cache on; redis_cache_key $TEST_NGINX_KEY; redis_cache_stale 10s; add_header X-TTL $redis_cache_ttl; proxy_pass http://backend; }
--- request eval
["GET /longer/", "GET /", "GET /"]
--- after eval
[sub { main::age('', 1060) }, sub { main::age('', 995) }, undef]
--- response_headers_like eval
["X-Cache: STORE", "X-Cache: HIT\nX-TTL: (?:59|60)", "X-Cache: STALE\nX-TTL: -[56]"]



=== TEST 10: a variable is the first time, and may be longer than the other
--- config
    location /less/ { set $cache_stale 20;   redis_cache on; redis_cache_stale 10s error=1000s; proxy_pass http://backend; }
    location /more/ { set $cache_stale 2000; redis_cache on; redis_cache_stale 10s error=1000s; proxy_pass http://backend; }
--- request eval
["GET /less/", "GET /less/", "GET /more/", "GET /more/"]
--- after eval
[sub { main::age('/less/', 985) }, undef, sub { main::age('/more/', 5) }, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STALE", "X-Cache: STORE", "X-Cache: STALE"]
--- redis eval
[undef, "TTL \$KEY/less/ => 11(?:19|20)", undef, "TTL \$KEY/more/ => 21(?:19|20)"]



=== TEST 11: a client that takes stale records gets none from the time for failures
--- config
    location / {
        redis_cache on;
        redis_cache_honor_request on;
        redis_cache_stale 10s error=1000s;
        redis_cache_use_stale off;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["", "Cache-Control: only-if-cached, max-stale", "Cache-Control: only-if-cached, max-stale"]
--- after eval
[sub { main::age('/a', 985) }, sub { main::age('/a', 995) }, undef]
--- error_code eval
[200, 504, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STALE"]
