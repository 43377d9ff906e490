# redis_cache_bypass: no lookup, the answer is stored. redis_cache_no_store: a
# lookup, the answer isn't stored. A string is true unless empty or "0".

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 70;
run_tests();

__DATA__

=== TEST 1: bypass: the record is passed over and replaced
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_fresh;
        redis_cache_key $TEST_NGINX_KEY$uri;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a?fresh=1", "GET /a"]
--- response_headers eval
["X-Cache: HIT\nX-Status: HIT", "X-Cache: STORE\nX-Status: BYPASS", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
["from the record\n", "from the backend\n", "from the backend\n"]
--- redis eval
[undef, "HGET \$KEY/a body => from the backend\\n", undef]
--- backend_log
GET /a?fresh=1



=== TEST 2: bypass: an empty string and "0" are false, everything else is true
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_x;
        redis_cache_key $TEST_NGINX_KEY$uri;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a?x=", "GET /a?x=0", "GET /a?x=00", "GET /a?x=no", "GET /a?x=%20"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 3: bypass: one true string is enough
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_x $http_x_fresh $cookie_nocache;
        redis_cache_key $TEST_NGINX_KEY$uri;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["GET /a?x=0", "GET /a?x=1", "GET /a", "GET /a?x=0"]
--- more_headers eval
["Cookie: nocache=0", "X-Fresh: 0", "X-Fresh: yes", "Cookie: nocache=1"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 4: no_store: a miss isn't stored
--- config
    location / {
        redis_cache on;
        redis_cache_no_store $arg_private;
        redis_cache_key $TEST_NGINX_KEY$uri;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a?private=1", "GET /a?private=1", "GET /a?private=0", "GET /a"]
--- response_headers eval
["X-Cache: SKIP\nX-Status: MISS\nX-Reason: redis_cache_no_store",
 "X-Cache: SKIP\nX-Status: MISS\nX-Reason: redis_cache_no_store",
 "X-Cache: STORE\nX-Status: MISS",
 "X-Cache: HIT\nX-Status: HIT"]
--- backend_log
GET /a?private=1
GET /a?private=1
GET /a?private=0



=== TEST 5: no_store: a record is still found
--- config
    location / { redis_cache on; redis_cache_no_store 1; proxy_pass http://backend; }
--- init
main::record('/a')
--- request
GET /a
--- response_headers
X-Cache: HIT
--- response_body
from the record
--- backend_log



=== TEST 6: both: neither looked up nor stored
--- config
    location / {
        redis_cache on;
        redis_cache_bypass 1;
        redis_cache_no_store 1;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP\nX-Status: BYPASS", "X-Cache: SKIP\nX-Status: BYPASS"]
--- response_body eval
["from the backend\n", "from the backend\n"]
--- redis
HGET $KEY/a body => from the record\n



=== TEST 7: they are inherited, and replaced where they stand anew
--- config
    redis_cache_bypass 1;
    location /inherits { redis_cache on; proxy_pass http://backend; }
    location /replaces { redis_cache on; redis_cache_bypass 0; proxy_pass http://backend; }
--- init
main::record('/inherits');
main::record('/replaces');
--- request eval
["GET /inherits", "GET /replaces"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 8: a bypass that finds nothing to store keeps the record
--- backend
    location / { return 500 "broken\n"; }
--- config
    location / { redis_cache on; redis_cache_bypass 1; proxy_pass http://backend; }
--- init
main::record('/a')
--- request
GET /a
--- error_code: 500
--- response_headers
X-Cache: SKIP
--- response_body
broken
--- redis
HGET $KEY/a body => from the record\n
