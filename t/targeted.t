# Fields that are meant for this cache: CDN-Cache-Control (RFC 9213), Surrogate-Control
# and X-Accel-Expires. (A record's expiry is its freshness and the 100 s of staleness.)

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 125;
run_tests();

__DATA__

=== TEST 1: CDN-Cache-Control takes the place of Cache-Control and Expires, and is passed on
--- backend
    location /longer  { add_header CDN-Cache-Control "max-age=500"; add_header Cache-Control "max-age=5"; return 200 "page\n"; }
    location /shorter { add_header CDN-Cache-Control "max-age=5"; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /allowed { add_header CDN-Cache-Control "max-age=500"; add_header Cache-Control "no-store, private"; return 200 "page\n"; }
    location /expires { add_header CDN-Cache-Control "public"; add_header Expires "0"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[map { ("GET /$_") x 2 } qw(longer shorter allowed expires)]
--- response_headers eval
[map { ("X-Cache: STORE\nCDN-Cache-Control: $_", "X-Cache: HIT\nCDN-Cache-Control: $_") } qw(max-age=500 max-age=5 max-age=500 public)]
--- redis
TTL $KEY/longer => 59\d|600
TTL $KEY/shorter => 10[0-5]
TTL $KEY/allowed => 59\d|600
TTL $KEY/expires => 21\d|220



=== TEST 2: CDN-Cache-Control forbids what Cache-Control allows
--- backend
    location /no-store { add_header CDN-Cache-Control "no-store"; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /private  { add_header CDN-Cache-Control "private"; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /no-cache { add_header CDN-Cache-Control "no-cache"; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /lines    { add_header CDN-Cache-Control "max-age=60"; add_header CDN-Cache-Control "no-store"; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- request eval
["GET /no-store", "GET /private", "GET /no-cache", "GET /lines"]
--- response_headers eval
[map { "X-Cache: SKIP\nX-Reason: $_" } qw(no-store private no-cache no-store)]



=== TEST 3: an invalid or empty CDN-Cache-Control is as none
--- backend
    location /junk  { add_header CDN-Cache-Control "max-age=500, &&&"; add_header Cache-Control "no-store"; return 200 "page\n"; }
    location /type  { add_header CDN-Cache-Control 'max-age="500"'; add_header Cache-Control "no-store"; return 200 "page\n"; }
    location /case  { add_header CDN-Cache-Control "Max-Age=500"; add_header Cache-Control "no-store"; return 200 "page\n"; }
    location /blank { add_header CDN-Cache-Control "max-age =500"; add_header Cache-Control "no-store"; return 200 "page\n"; }
    location /empty { add_header CDN-Cache-Control " "; add_header Cache-Control "no-store"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[map { "GET /$_" } qw(junk type case blank empty)]
--- response_headers eval
[("X-Cache: SKIP") x 5]
--- redis
EXISTS $KEY/junk $KEY/type $KEY/case $KEY/blank $KEY/empty => 0



=== TEST 4: fields that CDN-Cache-Control makes private
--- backend
    location / {
        add_header CDN-Cache-Control 'max-age=60, private="X-Who"';
        add_header Cache-Control "no-store";
        add_header X-Who you;
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nX-Who: you", "X-Cache: HIT\n!X-Who\nCache-Control: no-store"]



=== TEST 5: Surrogate-Control, if it says something on storing
--- backend
    location /max-age  { add_header Surrogate-Control 'max-age=500, content="ESI/1.0"'; add_header Cache-Control "no-store, max-age=0"; return 200 "page\n"; }
    location /stale    { add_header Surrogate-Control "max-age=500+30"; return 200 "page\n"; }
    location /content  { add_header Surrogate-Control 'content="ESI/1.0"'; add_header Cache-Control "max-age=400"; return 200 "page\n"; }
    location /other    { add_header Surrogate-Control 'max-age=5;akamai'; add_header Cache-Control "max-age=400"; return 200 "page\n"; }
    location /no-store { add_header Surrogate-Control "no-store"; add_header Cache-Control "max-age=400"; return 200 "page\n"; }
    location /cdn      { add_header Surrogate-Control "max-age=5"; add_header CDN-Cache-Control "max-age=400"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[map { "GET /$_" } qw(max-age stale content other no-store cdn max-age)]
--- response_headers eval
[("X-Cache: STORE") x 4, "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- redis
TTL $KEY/max-age => 59\d|600
TTL $KEY/stale => 59\d|600
TTL $KEY/content => 49\d|500
TTL $KEY/other => 49\d|500
EXISTS $KEY/no-store => 0
TTL $KEY/cdn => 49\d|500



=== TEST 6: X-Accel-Expires, as nginx's own cache takes it; clients don't see it
--- backend
    location /seconds { add_header X-Accel-Expires 500; add_header Cache-Control "private, max-age=5"; return 200 "page\n"; }
    location /aged    { add_header X-Accel-Expires 500; add_header Age 400; return 200 "page\n"; }
    location /zero    { add_header X-Accel-Expires 0; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
    location /bad     { add_header X-Accel-Expires soon; add_header Cache-Control "max-age=400"; return 200 "page\n"; }
    location /cdn     { add_header X-Accel-Expires 500; add_header CDN-Cache-Control "no-store"; return 200 "page\n"; }
    location /past    { add_header X-Accel-Expires @1000000; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- request eval
[map { "GET /$_" } qw(seconds seconds aged zero bad cdn past)]
--- response_headers eval
["X-Cache: STORE\n!X-Accel-Expires", "X-Cache: HIT\n!X-Accel-Expires\nCache-Control: private, max-age=5", "X-Cache: STORE",
 "X-Cache: SKIP\nX-Reason: x-accel-expires", ("X-Cache: STORE") x 3]
--- redis
TTL $KEY/seconds => 59\d|600
TTL $KEY/aged => 59\d|600
EXISTS $KEY/zero => 0
TTL $KEY/bad => 49\d|500
TTL $KEY/cdn => 59\d|600
TTL $KEY/past => 99|100



=== TEST 7: X-Accel-Expires as a time of day
--- backend eval
'    location / { add_header X-Accel-Expires @' . (time + 500) . '; return 200 "page\n"; }'
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY/a => 5[89]\d|600



=== TEST 8: no cookie is stored for X-Accel-Expires
--- backend
    location / { add_header X-Accel-Expires 500; add_header Set-Cookie "a=1"; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: SKIP
X-Reason: set-cookie



=== TEST 9: each can be ignored
--- backend
    location /accel     { add_header X-Accel-Expires 0; return 200 "page\n"; }
    location /cdn       { add_header CDN-Cache-Control no-store; return 200 "page\n"; }
    location /surrogate { add_header Surrogate-Control no-store; return 200 "page\n"; }
    location /cc        { add_header CDN-Cache-Control no-store; add_header Cache-Control "max-age=500"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_ignore_headers X-Accel-Expires CDN-Cache-Control Surrogate-Control;
        proxy_pass http://backend;
    }
--- request eval
["GET /accel", "GET /cdn", "GET /surrogate", "GET /cc"]
--- response_headers eval
[("X-Cache: STORE") x 4]
--- redis
TTL $KEY/accel => 21\d|220
TTL $KEY/cc => 59\d|600



=== TEST 10: a record that X-Accel-Expires let in is validated like any other once it is stale
--- backend
    location / {
        add_header X-Accel-Expires @1000000;
        add_header Cache-Control "private";
        add_header ETag '"one"';
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "page\n";
    }
--- backend_format: $request_uri $status
--- config
    location / { redis_cache on; redis_cache_use_stale error; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- error_code eval
[200, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["page\n", "page\n"]
--- backend_log
/a 200
/a 304
