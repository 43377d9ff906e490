# What a record is called in Redis: exactly what redis_cache_key or $cache_key says.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite 'variables';

plan tests => 72;
run_tests();

__DATA__

=== TEST 1: without redis_cache_key it is scheme, host and URI with its arguments
--- config
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /default?key=$$", "GET /default?key=$$"]
--- more_headers eval
["Host: default-$$.test", "Host: Default-$$.Test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
[undef, "DEL http://default-$$.test/default?key=$$ => 1"]



=== TEST 2: a key has no prefix, no digest, and may hold any byte
--- config
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key "$TEST_NGINX_KEY $request_method {$arg_q} %é";
        proxy_pass http://backend;
    }
--- request eval
["GET /a?q=x", "GET /b?q=x", "GET /b?q=y"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- redis eval
["KEYS \$KEY* => \$KEY GET \\{x\\} %\xc3\xa9", undef, undef]



=== TEST 3: a key of 7 kB
--- config
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key $TEST_NGINX_KEY$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["GET /" . "a" x 7000, "GET /" . "a" x 7000, "GET /" . "a" x 6999 . "b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 4: $cache_key wins over redis_cache_key
--- config
    location / {
        set $cache_key $TEST_NGINX_KEY.variable;
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key $TEST_NGINX_KEY.directive;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
EXISTS $KEY.variable => 1
EXISTS $KEY.directive => 0



=== TEST 5: an empty $cache_key leaves it to redis_cache_key
--- config
    location / {
        set $cache_key "";
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key $TEST_NGINX_KEY.directive;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
EXISTS $KEY.directive => 1



=== TEST 6: set_md5 makes a key of fixed length, as the Lua script's users do
--- config
    location / {
        set $cache_lock locks;
        set $cache_pass main;
        set $cache_header X-Cache;
        set_md5 $cache_key $request_method:$http_user_agent:$request_uri;
        redis_cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /md5?$$", "GET /md5?$$"]
--- more_headers
User-Agent: suite
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
use Digest::MD5;
[undef, "DEL " . Digest::MD5::md5_hex("GET:suite:/md5?$$") . " => 1"]



=== TEST 7: where variables name zone or store, the default is the Lua script's: md5 of the URI
--- config
    location / {
        set $cache_lock locks;
        set $cache_pass main;
        set $cache_header X-Cache;
        redis_cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /script?$$", "GET /script?$$"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
use Digest::MD5;
[undef, "DEL " . Digest::MD5::md5_hex("/script?$$") . " => 1"]



=== TEST 8: a raw URI is its key as the client wrote it
--- config
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key $TEST_NGINX_KEY$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["GET /a%20b%25%3F%C3%A9//c", "GET /a%20b%25%3F%C3%A9//c", "GET /a%20b%25%3F%C3%A9/c"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log
GET /a%20b%25%3F%C3%A9//c
GET /a%20b%25%3F%C3%A9/c
--- redis
EXISTS $KEY/a%20b%25%3F%C3%A9//c => 1



=== TEST 9: $redis_cache_key tells it
--- config
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_key $TEST_NGINX_KEY$uri;
        add_header X-Key $redis_cache_key;
        proxy_pass http://backend;
    }
--- request
GET /a%20b
--- response_headers_like
X-Key: t\.\d+\.\d+\.\d+/a b



=== TEST 10: what has no value in a key yet is warned of
--- config
    location /never { set_md5 $cache_key "$proxy_port$uri"; }
    location / {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        redis_cache_key "$TEST_NGINX_KEY$proxy_host$request_uri";
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- error_log
"$proxy_host" in "redis_cache_key" has no value
"$proxy_port" in "set_md5" has no value



=== TEST 11: a cached location to which X-Accel-Redirect of another one leads: its default key is the URI to which it leads
--- backend
    location /my     { add_header X-Accel-Redirect /store/$cookie_user?of=$request_method; return 204; }
    location /store/ { return 200 "$request_uri\n"; }
--- config
    location /my { proxy_pass http://backend; }
    location /store/ {
        internal;
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /my", "GET /my", "GET /my", "POST /my\nbody"]
--- more_headers eval
[map { "Host: accel-$$.test\nCookie: user=$_" } qw(alice bob alice bob)]
--- response_body eval
["/store/alice?of=GET\n", "/store/bob?of=GET\n", "/store/alice?of=GET\n", "/store/bob?of=POST\n"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT SKIP)]



=== TEST 12: the same where variables configure it
--- backend
    location /my     { add_header X-Accel-Redirect /store/$cookie_user; return 204; }
    location /store/ { return 200 "$request_uri\n"; }
--- config
    location /my { proxy_pass http://backend; }
    location /store/ {
        internal;
        set $cache_lock locks;
        set $cache_pass main;
        redis_cache on;
        redis_cache_header X-Cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /my", "GET /my", "GET /my"]
--- more_headers eval
[map { "Host: accel-variables-$$.test\nCookie: user=$_" } qw(alice bob alice)]
--- response_body eval
["/store/alice\n", "/store/bob\n", "/store/alice\n"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT)]
