# How long an answer is fresh: s-maxage, else max-age, else Expires minus Date,
# else the time of redis_cache_valid or redis_cache_age. (A record's expiry is that
# and the 100 s of staleness.)

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 39;
run_tests();

__DATA__

=== TEST 1: max-age
--- backend
    location / { add_header Cache-Control "max-age=500"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:599|600)



=== TEST 2: s-maxage goes before max-age, wherever it stands
--- backend
    location /after  { add_header Cache-Control "max-age=500, s-maxage=300"; return 200 "page\n"; }
    location /before { add_header Cache-Control "s-maxage=300,max-age=500"; return 200 "page\n"; }
    location /apart  { add_header Cache-Control "max-age=500"; add_header Cache-Control "public, s-maxage=300"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /after", "GET /before", "GET /apart"]
--- redis eval
[map { "TTL \$KEY/$_ => (?:399|400)" } qw(after before apart)]



=== TEST 3: names have no case
--- backend
    location / { add_header Cache-Control "Public, Max-Age=500"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:599|600)



=== TEST 4: Expires counts from the backend's Date
--- backend eval
'    location / { add_header Expires "' . main::http_date(3600) . '"; return 200 "page\n"; }'
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => 36[4-9]\d|3700



=== TEST 5: max-age goes before Expires
--- backend eval
'    location / { add_header Cache-Control "max-age=500"; add_header Expires "' . main::http_date(3600) . '"; return 200 "page\n"; }'
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:599|600)



=== TEST 6: Expires in the past, or no date at all, means stale already
--- backend
    location /past { add_header Expires "Thu, 01 Jan 1970 00:00:01 GMT"; return 200 "page\n"; }
    location /zero { add_header Expires "0"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /past", "GET /zero"]
--- redis eval
["TTL \$KEY/past => (?:99|100)", "TTL \$KEY/zero => (?:99|100)"]



=== TEST 7: nginx's own "expires" says both, and is understood
--- backend
    location / { expires 10m; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:699|700)



=== TEST 8: nothing stated: redis_cache_age
--- backend
    location / { add_header Cache-Control "public"; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_age 300s; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:399|400)



=== TEST 9: the time of redis_cache_valid is for answers that state none
--- backend
    location /says   { add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /silent { return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_valid 200 30s; proxy_pass http://backend; }
--- request eval
["GET /says", "GET /silent"]
--- redis eval
["TTL \$KEY/says => (?:599|600)", "TTL \$KEY/silent => 1(?:29|30)"]



=== TEST 10: the age that an answer has already is time it hasn't left
--- backend
    location / { add_header Cache-Control "max-age=500"; add_header Age 200; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
TTL $KEY/a => (?:399|400)



=== TEST 11: Cache-Control ignored leaves it to Expires, both ignored to redis_cache_age
--- backend eval
'    location / { add_header Cache-Control "max-age=500"; add_header Expires "' . main::http_date(3600) . '"; return 200 "page\n"; }'
--- config
    location /one { redis_cache on; redis_cache_ignore_headers Cache-Control; proxy_pass http://backend; }
    location /two { redis_cache on; redis_cache_ignore_headers Cache-Control Expires; proxy_pass http://backend; }
--- request eval
["GET /one", "GET /two"]
--- redis eval
["TTL \$KEY/one => 36[4-9]\\d|3700", "TTL \$KEY/two => 2(?:19|20)"]



=== TEST 12: two Cache-Control headers are one list
--- backend
    location / {
        add_header Cache-Control "public";
        add_header Cache-Control "max-age=500";
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_\nCache-Control: public, max-age=500" } qw(STORE HIT)]
--- redis
TTL $KEY/a => (?:599|600)
