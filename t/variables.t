# $cache_* variables win over directives where they are set and not empty; a bad
# one is logged once and leaves it to the directive. $redis_cache_* tell what was
# done.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 165;
run_tests();

__DATA__

=== TEST 1: $cache_age and $cache_stale win
--- config
    location / {
        set $cache_age 7;
        set $cache_stale 3;
        redis_cache on;
        redis_cache_age 1h;
        redis_cache_stale 1h;
        proxy_pass http://backend;
    }
--- request
GET /a
--- redis
TTL $KEY/a => (?:9|10)



=== TEST 2: they may have units
--- config
    location / {
        set $cache_age 2m;
        set $cache_stale 1m30s;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- redis
TTL $KEY/a => 2(?:09|10)



=== TEST 3: empty ones leave it to the directives
--- config
    location / {
        set $cache_age "";
        set $cache_stale "";
        set $cache_status "";
        set $cache_method "";
        set $cache_header "";
        redis_cache on;
        redis_cache_age 30s;
        redis_cache_stale 30s;
        redis_cache_valid 404;
        redis_cache_methods POST;
        proxy_pass http://backend;
    }
--- backend
    location / { return 404 "none\n"; }
--- request eval
["POST /a", "POST /a", "GET /a"]
--- error_code eval
[404, 404, 404]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]
--- redis eval
["TTL \$KEY/a => (?:59|60)", undef, undef]



=== TEST 4: they may be computed, request by request
--- http_config
    map $arg_age $age { default 30; ~^\d+$ $arg_age; }
--- config
    location / {
        set $cache_age $age;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b?age=50"]
--- redis eval
["TTL \$KEY/a => 1(?:29|30)", "TTL \$KEY/b?age=50 => 1(?:49|50)"]



=== TEST 5: a $cache_age that is no time
--- config
    location / {
        set $cache_age abc;
        redis_cache on;
        redis_cache_age 50s;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*cache_age/
--- redis
TTL $KEY/a => 1(?:49|50)



=== TEST 6: it is logged once, not with every request
--- config
    location / {
        set $cache_stale -5;
        redis_cache on;
        proxy_pass http://backend;
    }
--- pipelined_requests eval
["GET /a", "GET /b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- after eval
sub {
    open my $in, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log" or die $!;
    Test::More::is(scalar(grep { /\[error\].*cache_stale/ } <$in>), 1, 'one line about cache_stale');
}



=== TEST 7: a $cache_pass that is no store: the backend answers
--- config
    location / {
        set $cache_pass nowhere;
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
X-Reason: zone, store or key missing
--- response_body
from the backend
--- error_log eval
qr/\[error\].*nowhere/



=== TEST 8: a $cache_lock that is no zone: the backend answers
--- config
    location / {
        set $cache_lock nowhere;
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
X-Reason: zone, store or key missing
--- response_body
from the backend
--- error_log eval
qr/\[error\].*nowhere/



=== TEST 9: $cache_lock and $cache_pass win
--- http_config
    redis_cache_zone others 1m;
    redis_cache_store other { server 127.0.0.1:$TEST_NGINX_REDIS_PORT; database 1; }
--- config
    location / {
        set $cache_lock others;
        set $cache_pass other;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
EXISTS $KEY/a => 0



=== TEST 10: $cache_pass may be an address
--- config
    location / {
        set $cache_pass redis://127.0.0.1:$TEST_NGINX_REDIS_PORT;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
EXISTS $KEY/a => 1



=== TEST 11: $cache_header wins
--- config
    location / {
        set $cache_header X-From-Cache;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-From-Cache: STORE\n! X-Cache", "X-From-Cache: HIT\n! X-Cache"]



=== TEST 12: $cache_status and $cache_method win
--- backend
    location / { return 404 "none\n"; }
--- config
    location / {
        set $cache_status 404;
        set $cache_method POST;
        redis_cache on;
        redis_cache_valid 200;
        redis_cache_methods GET;
        proxy_pass http://backend;
    }
--- request eval
["POST /a", "POST /a", "GET /a"]
--- error_code eval
[404, 404, 404]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]



=== TEST 13: $cache_backend wins
--- config
    location /cached {
        set $cache_backend /variable;
        redis_cache on;
        redis_cache_backend /directive;
    }
    location /variable  { proxy_pass http://backend; }
    location /directive { proxy_pass http://backend; }
--- request eval
["GET /cached/a", "GET /cached/a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /variable/cached/a



=== TEST 14: $cache_backend may be a named location
--- config
    location /cached {
        set $cache_backend @origin;
        redis_cache on;
    }
    location @origin { proxy_pass http://backend; }
--- request eval
["GET /cached/a", "GET /cached/a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /cached/a



=== TEST 15: none needs to be set: the module knows their names
--- config
    location / {
        return 200 "[$cache_lock$cache_pass$cache_backend$cache_key$cache_status$cache_method$cache_age$cache_stale$cache_header$cache_lock_timeout$cache_lock_exptime]\n";
    }
--- request
GET /a
--- response_body
[]



=== TEST 16: without "set" the whole location is directives
--- config
    location / {
        redis_cache on;
        add_header X-Pass "$cache_pass" always;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- no_error_log
[error]



=== TEST 17: $redis_cache_status and $redis_cache_reason
--- config
    location / {
        redis_cache on;
        redis_cache_bypass $arg_bypass;
        redis_cache_key $TEST_NGINX_KEY$uri;
        add_header X-Said "$redis_cache_status, $redis_cache_reason" always;
        proxy_pass http://backend;
    }
    location /uncached {
        add_header X-Said "[$redis_cache_status$redis_cache_reason]" always;
        return 200 "page\n";
    }
--- init
main::record('/fresh');
main::record('/stale', ttl => 50);
--- request eval
["GET /fresh", "GET /stale", "GET /none", "GET /fresh?bypass=1", "DELETE /fresh", "GET /uncached"]
--- response_headers eval
["X-Said: HIT, fresh", "X-Said: STALE, stale", "X-Said: MISS, being stored", "X-Said: BYPASS, being stored",
 "X-Said: BYPASS, method not listed", "X-Said: []"]



=== TEST 18: they are there for the access log
--- http_config
    log_format said '$request_uri $redis_cache_status $redis_cache_reason.';
--- config
    access_log $TEST_NGINX_SERVER_ROOT/logs/access.log said;
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a')
--- request
GET /a
--- access_log
/a HIT fresh.



=== TEST 19: a $cache_status that is no list of statuses
--- config
    location / {
        set $cache_status "200 fine";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*cache_status/



=== TEST 20: a $cache_header that is no name
--- config
    location / {
        set $cache_header "X Cache";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*cache_header/



=== TEST 21: a $cache_backend that is neither a URI nor a name
--- config
    location / {
        set $cache_backend fallback;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*cache_backend/



=== TEST 22: a $cache_lock_timeout that is no time
--- config
    location / {
        set $cache_lock_timeout soon;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*cache_lock_timeout/



=== TEST 23: a $cache_pass that is a location
--- config
    location /redis { internal; return 200; }
    location / {
        set $cache_pass /redis;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- error_log eval
qr{\[error\].*redis store "/redis" \(location of \S+\) is down: the location's answer is empty}



=== TEST 24: a $cache_pass whose host would have to be looked up, while clients wait
--- config
    location / {
        set $cache_pass redis://nosuch.invalid:$TEST_NGINX_REDIS_PORT;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- error_log eval
qr{\[error\].*nosuch\.invalid}



=== TEST 25: sixteen addresses at run time, not more
--- config
    location / {
        set $cache_pass redis://127.0.0.1:$TEST_NGINX_REDIS_PORT/$arg_db;
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$uri;
        add_header X-Reason $redis_cache_reason;
        proxy_pass http://backend;
    }
--- pipelined_requests eval
[(map { "GET /a?db=$_" } 0 .. 15), "GET /a?db=00", "GET /a?db=7"]
--- response_headers eval
[("X-Cache: STORE\nX-Reason: being stored") x 16, "X-Cache: SKIP\nX-Reason: zone, store or key missing", "X-Cache: HIT\nX-Reason: fresh"]



=== TEST 26: a $cache_lock_exptime that is no time
--- config
    location / {
        set $cache_lock_exptime never;
        redis_cache on;
        redis_cache_lock_age 40s;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*"never" in \$cache_lock_exptime: invalid time.*; 40000ms is used/



=== TEST 27: a $cache_method that is no list of methods leaves it to the directive
--- config
    location / {
        set $cache_method "GET (POST)";
        redis_cache on;
        redis_cache_methods POST;
        proxy_pass http://backend;
    }
--- request
POST /a
--- response_headers
X-Cache: STORE
--- error_log eval
qr/\[error\].*"GET \(POST\)" in \$cache_method: invalid method/
