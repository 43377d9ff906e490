# What lua-resty-cache gets wrong, and what happens instead. Bugs that show with
# many clients at once are shown by the Rust tests: empty answers after a wait,
# waiters handed on one by one, answers that aren't storable asked for in series,
# more than one refill of a stale key.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite 'variables';

plan tests => 152;

our $Seed = <<'END';
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_status  "200 405 ";
        set $cache_method  "GET HEAD POST ";
        set $cache_age     120;
        set $cache_stale   100;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ {
        internal;
        proxy_pass http://backend/;
    }
END

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => $Seed) unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: the next request on the connection waits for the refill: it doesn't
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
[["slow.txt" => "x" x 4500]]
--- init
main::record(':/slow.txt', ttl => 50);
main::record(':/other');
--- pipelined_requests eval
["GET /slow.txt", "GET /other"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
[("from the record\n") x 2]
--- timeout: 2



=== TEST 2: a wrong type, a hash without headers, bad JSON: 500; now an answer
--- init
main::redis('SET', '$KEY:/type', 'text', 'EX', 100);
main::record(':/field');
main::redis('HDEL', '$KEY:/field', 'headers');
main::record(':/json', headers => '{"X-One"');
--- request eval
["GET /type", "GET /field", "GET /json"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE"]
--- response_body eval
[("from the backend\n") x 3]



=== TEST 3: a key of the wrong type gets an expiry: it keeps what it had
--- init
main::redis('RPUSH', '$KEY:/a', 'one');
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- wait: 0.1
--- redis
LRANGE $KEY:/a 0 -1 => one
TTL $KEY:/a => -1



=== TEST 4: a fractional time leaves a key without expiry: it is rounded up
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_age     10.5;
        set $cache_stale   0.7;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ { internal; proxy_pass http://backend/; }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY:/a => 1[12]



=== TEST 5: Cache-Control never works: it does
--- backend
    location / { add_header Cache-Control "max-age=300"; return 200 "page\n"; }
--- request
GET /a
--- redis
TTL $KEY:/a => (?:399|400)



=== TEST 6: Expires never works: it does
--- backend eval
'    location / { add_header Expires "' . main::http_date(3600) . '"; return 200 "page\n"; }'
--- request
GET /a
--- redis
TTL $KEY:/a => 36[4-9]\d|3700



=== TEST 7: two Cache-Control headers leave the lock held: they are one list
--- backend
    location / { add_header Cache-Control public; add_header Cache-Control max-age=300; return 200 "page\n"; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["page\n", "page\n"]
--- timeout: 10



=== TEST 8: one user's answer goes to everybody: it isn't stored, or for those alone who ask for the same
--- backend
    location /no-store   { add_header Cache-Control no-store; return 200 "$http_x_user\n"; }
    location /private    { add_header Cache-Control private; return 200 "$http_x_user\n"; }
    location /set-cookie { add_header Set-Cookie id=1; return 200 "$http_x_user\n"; }
    location /vary       { add_header Vary X-User; return 200 "$http_x_user\n"; }
--- request eval
[map { ("GET /$_", "GET /$_") } qw(no-store private set-cookie vary)]
--- more_headers eval
[map { ("X-User: one", "X-User: two") } 1 .. 4]
--- response_headers eval
[("X-Cache: SKIP") x 6, ("X-Cache: STORE") x 2]
--- response_body eval
[("one\n", "two\n") x 4]



=== TEST 9: an answer to credentials goes to everybody: it isn't stored
--- backend
    location / { return 200 "for $http_authorization.\n"; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["Authorization: one", ""]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE"]
--- response_body eval
["for one.\n", "for .\n"]



=== TEST 10: Content-Encoding is ignored: it is stored and sent with the body
--- backend
    location / { add_header Content-Encoding x-rot13; return 200 "cntr\n"; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_\nContent-Encoding: x-rot13" } qw(STORE HIT)]
--- response_body eval
["cntr\n", "cntr\n"]



=== TEST 11: a refill with its client's condition or range never refreshes: it does
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files
>>> cond.txt 201001020304.05
from the disk
>>> range.txt
from the disk
--- init
main::record(":/$_.txt", ttl => 50) for qw(cond range);
--- request eval
["GET /cond.txt", "GET /range.txt", "GET /cond.txt", "GET /range.txt"]
--- more_headers eval
["If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT", "Range: bytes=0-3", "", ""]
--- error_code_like eval
["^200\$", "^20[06]\$", "^200\$", "^200\$"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: STALE", "X-Cache: HIT", "X-Cache: HIT"]
--- redis eval
["HGET \$KEY:/cond.txt body => from the disk\\n", "HGET \$KEY:/range.txt body => from the disk\\n", undef, undef]



=== TEST 12: a body that is cut is stored and replayed: it isn't
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ { internal; proxy_read_timeout 300ms; proxy_pass http://backend/; }
--- user_files eval
[["slow.txt" => "x" x 3000]]
--- request
GET /slow.txt
--- response_body_like: ^x{0,2999}$
--- timeout: 10
--- redis
EXISTS $KEY:/slow.txt => 0



=== TEST 13: above 2 MB it says STORE and stores nothing: it does
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
[["large.txt" => "0123456789" x 300_000]]
--- request eval
["GET /large.txt", "GET /large.txt"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["0123456789" x 300_000, "0123456789" x 300_000]
--- timeout: 10



=== TEST 14: DELETE, PATCH, OPTIONS or GET with a body: 504 after 60 s; now at once
--- backend
    location / {
        client_body_in_single_buffer on;
        proxy_set_header X-Body $request_body;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { return 200 "$request_method $http_x_body\n"; }
--- request eval
[map { "$_ /a\nname=value" } qw(DELETE PATCH OPTIONS GET)]
--- response_headers eval
[("X-Cache: SKIP") x 4]
--- response_body eval
["DELETE name=value\n", "PATCH name=value\n", "OPTIONS name=value\n", "GET name=value\n"]
--- timeout: 10



=== TEST 15: PURGE and REPORT reach the backend as GET: as themselves
--- backend
    location / { return 200 "$request_method\n"; }
--- request eval
["PURGE /a", "REPORT /a", "FROBNICATE /a"]
--- response_headers eval
[("X-Cache: SKIP") x 3]
--- response_body eval
["PURGE\n", "REPORT\n", "FROBNICATE\n"]



=== TEST 16: the refill of a POST waits for a body that never comes: it has it
--- backend
    location / {
        client_body_in_single_buffer on;
        proxy_set_header X-Body $request_body;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { return 200 "$http_x_body\n"; }
--- init
main::record(':/a', ttl => 50)
--- request
POST /a
name=value
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- redis
HGET $KEY:/a body => name=value\n



=== TEST 17: a GET after a HEAD of the same key hangs: it has the whole
--- request eval
["HEAD /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 17", "X-Cache: HIT\nContent-Length: 17"]
--- response_body eval
["", "from the backend\n"]
--- timeout: 10



=== TEST 18: a TTL exactly equal to stale says STALE, but isn't refilled: it is
--- init
main::record(':/a', ttl => 100)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- redis
HGET $KEY:/a body => from the backend\n



=== TEST 19: dots in the path give 500: they are resolved
--- backend
    location / { return 200 "page $request_uri\n"; }
--- request eval
["GET /a/../b", "GET /a/./b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- response_body_like eval
["^page ", "^page "]



=== TEST 20: a raw path is decoded on its way: it isn't where the location doesn't rewrite
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /a%2Fb%20c//d", "GET /a%2Fb%20c//d"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a%2Fb%20c//d



=== TEST 21: X-Accel-Redirect works as in nginx and is never stored
--- backend
    location / { add_header X-Accel-Redirect /protected/file.txt; return 200 "unseen\n"; }
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ { internal; proxy_pass http://backend/; }
    location /protected/ { internal; alias $TEST_NGINX_SERVER_ROOT/html/; }
--- user_files
>>> file.txt
protected
--- request eval
["GET /a", "GET /a", "GET /protected/file.txt"]
--- error_code eval
[200, 200, 404]
--- response_body_like eval
["^protected\n\$", "^protected\n\$", "404 Not Found"]
--- redis
EXISTS $KEY:/a => 0



=== TEST 22: anyone may fetch /fallback/: not where it is internal
--- request
GET /fallback/a
--- error_code: 404
--- redis
EXISTS $KEY:/a => 0



=== TEST 23: the backend down on a miss gives an empty 502: it is nginx's page
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ {
        internal;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock:/;
    }
--- request
GET /a
--- error_code: 502
--- response_headers
X-Cache: SKIP
--- response_body_like: 502 Bad Gateway



=== TEST 24: or the user's error page
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_uri;
        redis_cache;
    }
    location /fallback/ {
        internal;
        error_page 502 =503 @sorry;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock:/;
    }
    location @sorry { return 503 "sorry\n"; }
--- request
GET /a
--- error_code: 503
--- response_body
sorry
--- redis
EXISTS $KEY:/a => 0
