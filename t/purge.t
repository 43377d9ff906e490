# Requests that ask for a purge: which they are, who may send them, what they are told. None
# reaches the backend.

use lib 't/util';

# A purge concerns all records of its Redis: one for this suite alone.
BEGIN { delete $ENV{TEST_NGINX_REDIS_PORT} }
use Test::Nginx::Socket;
use CacheSuite;
use RefusedConf;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: as proxy_cache_purge: a request for which the value holds purges the record of its URI
--- http_config
    map $request_method $purges { PURGE 1; default 0; }
--- config
    location / {
        redis_cache on;
        redis_cache_purge $purges;
        redis_cache_purge_allow 127.0.0.1;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason "-$redis_cache_reason" always;
        proxy_pass http://backend;
    }
--- init
main::record('/a'); main::record('/b')
--- request eval
["GET /a", "PURGE /a", "PURGE /a", "GET /b"]
--- error_code eval
[200, 200, 200, 200]
--- response_headers eval
["X-Cache: HIT\nX-Status: HIT", ("X-Cache:\nX-Status: PURGE\nX-Reason: -\nContent-Type: application/json\nCache-Control: no-store") x 2, "X-Cache: HIT"]
--- response_body eval
["from the record\n",
 qq({"purged": 1, "kind": "key", "mode": "hard"}\n), qq({"purged": 0, "kind": "key", "mode": "hard"}\n),
 "from the record\n"]
--- redis
EXISTS $KEY/a => 0
EXISTS $KEY/b => 1
--- backend_log



=== TEST 2: a key of its own in a location for purges, as WordPress' nginx-helper has it
--- config
    location ~ ^/purge(/.*) {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$1$is_args$args;
        redis_cache_purge 1;
        redis_cache_purge_allow 127.0.0.1;
    }
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a?b=1'); main::record('/a')
--- request eval
["GET /purge/a?b=1", "GET /a?b=1", "GET /a"]
--- response_body eval
[qq({"purged": 1, "kind": "key", "mode": "hard"}\n), "from the backend\n", "from the record\n"]
--- backend_log
GET /a?b=1



=== TEST 3: nobody may purge but those who are allowed
--- config
    location /nobody/ { redis_cache on; redis_cache_purge 1; proxy_pass http://backend; }
    location /others/ {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow 192.0.2.0/24 ::1 unix:;
        proxy_pass http://backend;
    }
    location /net/ {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow 192.0.2.1;
        redis_cache_purge_allow 127.0.0.0/8;
        proxy_pass http://backend;
    }
    location /all/ {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- init
main::record("/$_/a") for qw(nobody others net all)
--- request eval
["GET /nobody/a", "PURGE /nobody/a", "PURGE /others/a", "BAN /others/a", "PURGE /net/a", "PURGE /all/a"]
--- error_code eval
[403, 403, 403, 403, 200, 200]
--- response_body eval
[(qq({"error": "purges aren't allowed from this address (redis_cache_purge_allow)"}\n)) x 4,
 (qq({"purged": 1, "kind": "key", "mode": "hard"}\n)) x 2]
--- redis
EXISTS $KEY/nobody/a $KEY/others/a => 2
EXISTS $KEY/net/a $KEY/all/a => 0
--- backend_log



=== TEST 4: access rules come first, for each method
--- config
    redis_cache_purge_style varnish;
    redis_cache_purge_allow all;
    location /closed/ { deny all; redis_cache on; proxy_pass http://backend; }
    location /excepted/ { redis_cache on; limit_except GET POST { deny all; } proxy_pass http://backend; }
    location /open/ { redis_cache on; limit_except GET { allow all; } proxy_pass http://backend; }
--- init
main::record("/$_/a") for qw(closed excepted open)
--- request eval
["PURGE /closed/a", "PURGE /excepted/a", "PURGE /open/a"]
--- error_code eval
[403, 403, 200]
--- response_body_like eval
["403 Forbidden", "403 Forbidden", qr/"purged": 1/]
--- redis
EXISTS $KEY/closed/a $KEY/excepted/a => 2
EXISTS $KEY/open/a => 0



=== TEST 5: a method of purges never reaches the backend where purges are on
--- config
    location /condition/ {
        redis_cache on;
        redis_cache_purge $arg_really;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
    location /style/ {
        redis_cache on;
        redis_cache_methods GET HEAD POST;
        redis_cache_purge_style wordpress;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
    location /off/ {
        redis_cache on;
        redis_cache_purge 0 "";
        redis_cache_purge_style off;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- request eval
["PURGE /condition/a", "BAN /style/a", "PURGETAGS /style/a", "PURGE /off/a", "BAN /off/a"]
--- error_code eval
[405, 405, 405, 200, 200]
--- response_headers eval
["Allow: GET, HEAD", ("Allow: GET, HEAD, POST, PURGE") x 2, ("Allow:\nX-Cache: SKIP") x 2]
--- response_body eval
[qq({"error": "the method isn't one of GET, HEAD"}\n), (qq({"error": "the method isn't one of GET, HEAD, POST, PURGE"}\n)) x 2,
 ("from the backend\n") x 2]
--- backend_log
PURGE /off/a
BAN /off/a



=== TEST 6: what isn't understood
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish fos drupal;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["BAN /a", "PURGEKEYS /", "PURGETAGS /", "BAN /a*b", "PURGE /a"]
--- more_headers eval
["", "", "", "", "X-Magento-Tags-Pattern: .*"]
--- error_code eval
[(400) x 5]
--- response_body_like eval
[qr/^\{"error": "BAN needs a field that says what is banned, such as X-Url, X-Cache-Tags or Cache-Tags"\}$/,
 qr/"PURGEKEYS needs xkey-purge or xkey-softpurge"/, qr/"PURGETAGS needs X-Cache-Tags"/,
 qr/"of patterns only a \\"\*\\" at the end of a path is understood"/,
 qr/"X-Magento-Tags-Pattern isn't read here: it belongs to another method, or to \\"redis_cache_purge_style magento\\""/]
--- redis
EXISTS $KEY/a => 1
--- backend_log



=== TEST 7: neither a condition nor a range changes the answer, and a body is thrown away
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- request eval
["PURGE /a", "PURGE /a", "PURGE /a", "PURGE /a", "PURGE /a\nbody", "GET /b"]
--- more_headers eval
["If-Match: \"x\"", "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:01 GMT", "If-None-Match: *", "Range: bytes=0-1", "", ""]
--- error_code eval
[(200) x 6]
--- response_body eval
[(qq({"purged": 0, "kind": "key", "mode": "hard"}\n)) x 5, "from the backend\n"]



=== TEST 8: several purges and pages on one connection
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- pipelined_requests eval
["GET /a", "PURGE /a\nsome body", "GET /a", "PURGE /none"]
--- response_body eval
["from the record\n", qq({"purged": 1, "kind": "key", "mode": "hard"}\n), "from the backend\n", qq({"purged": 0, "kind": "key", "mode": "hard"}\n)]



=== TEST 9: HEAD has no body
--- config
    location / {
        redis_cache on;
        redis_cache_purge $arg_purge;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
    location /closed { redis_cache on; redis_cache_purge 1; }
--- init
main::record('/a?purge=1')
--- request eval
["HEAD /a?purge=1", "HEAD /closed"]
--- error_code eval
[200, 403]
--- response_headers eval
["Content-Type: application/json", "Content-Type: application/json"]
--- response_body eval
["", ""]
--- redis
EXISTS $KEY/a?purge=1 => 0



=== TEST 10: the record of each scheme, where the key begins with it
--- config
    location / {
        redis_cache on;
        redis_cache_key $scheme:$TEST_NGINX_KEY:$request_method:$host$request_uri;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- init
main::redis('HSET', "$_:\$KEY:GET:example.org/a", status => 200, headers => '{}', body => 'x'),
main::redis('EXPIRE', "$_:\$KEY:GET:example.org/a", 220) for qw(http https)
--- request
PURGE /a
--- more_headers
Host: example.org
--- response_body
{"purged": 2, "kind": "key", "mode": "hard"}
--- error_log
a" in store "main" was purged by PURGE
--- redis
EXISTS http:$KEY:GET:example.org/a https:$KEY:GET:example.org/a => 0



=== TEST 11: a refresh fetches the response anew and stores it; of others the field means nothing
--- config
    location /in/ {
        redis_cache on;
        redis_cache_purge_style fos;
        redis_cache_purge_allow 127.0.0.1;
        proxy_pass http://backend;
    }
    location /out/ { redis_cache on; redis_cache_purge_style fos; proxy_pass http://backend; }
--- init
main::record('/in/a'); main::record('/out/a')
--- request eval
["GET /in/a", "GET /out/a"]
--- more_headers eval
["X-Refresh: 1", "X-Refresh: 1"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["from the backend\n", "from the record\n"]
--- redis
HGET $KEY/in/a body => from the backend\n?
HGET $KEY/out/a body => from the record\n?
--- backend_log
GET /in/a



=== TEST 12: a path for purges is one of pages where the style isn't asked for
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- request eval
["GET /purge/a", "GET /purgeall"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- backend_log
GET /purge/a
GET /purgeall



=== TEST 13: a location for operators: what it refuses
--- config
    location /cache/ { redis_cache_admin; redis_cache_purge_allow 127.0.0.1; }
    location /closed/ { redis_cache_admin; }
    location /refused/ { redis_cache_admin; deny all; }
--- request eval
["POST /closed/purge\n{}", "POST /refused/purge\n{}", "GET /cache/purge", "PURGE /cache/purge", "GET /cache/", "POST /cache/other\n{}", "POST /cache/purge",
 "POST /cache/purge\n[]", "POST /cache/purge\n{\"type\": \"tag\"}"]
--- error_code eval
[403, 403, 405, 405, 403, 404, 400, 400, 400]
--- response_headers eval
["", "", "Allow: POST", "Allow: POST", ("") x 5]
--- response_body_like eval
["purges aren't allowed", "403 Forbidden", ("isn't one of POST") x 2, "403 Forbidden", "404 Not Found", ("the body is no JSON object") x 2, qr/"\\"selectors\\" is missing, or no array"/]
--- no_error_log
[alert]



=== TEST 14: a body of more than 64 kB
--- config
    location /cache/ { redis_cache_admin; redis_cache_purge_allow all; client_body_buffer_size 1k; }
--- request eval
["POST /cache/purge\n" . "x" x 65537, "POST /cache/purge\n" . "x" x 65536]
--- error_code eval
[413, 400]
--- response_body_like eval
# A client that is still sending may see the status alone.
[qr/^(?:.*the body is longer than 65536 bytes.*|)\s*$/, "the body is no JSON object"]



=== TEST 15: styles in a location that doesn't cache
--- config
    location / {
        redis_cache_purge_style varnish;    # <--
    }
--- emerg
"redis_cache_purge_style" is in a location that doesn't cache: add "redis_cache on"



=== TEST 16: a condition in a location that doesn't cache
--- config
    location / {
        redis_cache_purge $arg_purge;    # <--
    }
--- emerg
"redis_cache_purge" is in a location that doesn't cache: add "redis_cache on"



=== TEST 17: a style that nobody knows
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish typo3;    # <--
    }
--- emerg
unknown style "typo3" in "redis_cache_purge_style"; it is one of varnish, fos, magento, drupal, wordpress, api-platform, or "off"



=== TEST 18: styles twice
--- config
    redis_cache_purge_style varnish;
    redis_cache_purge_style fos;    # <--
--- emerg
"redis_cache_purge_style" directive is duplicate



=== TEST 19: what is no address
--- config
    redis_cache_purge_allow 127.0.0.1 localhost;    # <--
--- emerg
invalid address "localhost" in "redis_cache_purge_allow"; use one such as 127.0.0.1, 10.0.0.0/8 or fd00::/8, "unix:" or "all"



=== TEST 20: directives without arguments
--- config
    redis_cache_purge_allow;    # <--
--- emerg
invalid number of arguments in "redis_cache_purge_allow" directive



=== TEST 21: a location for operators is a location
--- config
    redis_cache_admin;    # <--
--- emerg
"redis_cache_admin" directive is not allowed here



=== TEST 22: bits of an address that its mask takes away
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow 127.1.2.3/8;
        proxy_pass http://backend;
    }
--- request
PURGE /a
--- response_body
{"purged": 0, "kind": "key", "mode": "hard"}
--- error_log
low address bits of 127.1.2.3/8 are meaningless



=== TEST 23: a path for purges isn't a page for those who may not purge
--- config
    location / { redis_cache on; redis_cache_purge_style wordpress; proxy_pass http://backend; }
--- request eval
["GET /purge/a", "GET /purge", "GET /purged", "HEAD /purge/a"]
--- error_code eval
[403, 403, 200, 200]
--- backend_log
GET /purged
GET /purge/a



=== TEST 24: who comes by a socket in the file system
--- http_config
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/html/purges.sock;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_key $TEST_NGINX_KEY$request_uri;
        redis_cache_purge_style varnish;
        location /in { redis_cache on; redis_cache_purge_allow unix:; }
        location /out { redis_cache on; redis_cache_purge_allow 0.0.0.0/0 ::/0; }
    }
--- config
    location / { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/purges.sock; }
--- init
main::record('/in'); main::record('/out')
--- request eval
["PURGE /in", "PURGE /out"]
--- error_code eval
[200, 403]
--- redis
EXISTS $KEY/in => 0
EXISTS $KEY/out => 1



=== TEST 25: a location says by itself who may, and in which style
--- config
    redis_cache_purge_style varnish;
    redis_cache_purge_allow all;
    location /same/ { redis_cache on; proxy_pass http://backend; }
    location /own/ { redis_cache on; redis_cache_purge_allow 192.0.2.1; proxy_pass http://backend; }
    location /off/ { redis_cache on; redis_cache_purge_style off; proxy_pass http://backend; }
    location /plain/ { proxy_pass http://backend; }
    location /nested/ {
        redis_cache on;
        proxy_pass http://backend;
        if ($arg_closed) { redis_cache_purge_allow 192.0.2.1; proxy_pass http://backend; }
    }
--- request eval
["PURGE /same/a", "PURGE /own/a", "PURGE /off/a", "PURGE /plain/a", "PURGE /nested/a", "PURGE /nested/a?closed=1"]
--- error_code eval
[200, 403, 200, 200, 200, 403]
--- backend_log
PURGE /off/a
PURGE /plain/a



=== TEST 26: a location for operators caches nothing, whatever is inherited
--- config
    redis_cache on;
    redis_cache_purge_style varnish wordpress;
    redis_cache_purge_allow all;
    location /cache/ { redis_cache_admin; }
    location / { proxy_pass http://backend; }
--- request eval
["PURGE /cache/a", "GET /cache/a", "POST /cache/purge\n{\"type\": \"x\"}"]
--- error_code eval
[404, 404, 400]
--- backend_log



=== TEST 27: a store that isn't there
--- http_config
    redis_cache_store gone { server 127.0.0.1:1; }
--- config
    location / {
        redis_cache on;
        redis_cache_pass gone;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- request
PURGE /a
--- error_code: 503
--- response_headers
Retry-After: 1
Content-Type: application/json
--- response_body_like: ^\{"error": "the store \\"gone\\" says: .*"\}$
--- backend_log
