# Methods that are listed are looked up and stored; the others go to the backend
# as they are.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 115;
run_tests();

__DATA__

=== TEST 1: by default POST isn't cached
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["POST /a", "POST /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Status: BYPASS\nX-Reason: method not listed") x 2]
--- response_body eval
["POST\n", "POST\n"]
--- backend_log
POST /a
POST /a
--- redis
EXISTS $KEY/a => 0



=== TEST 2: a record there is worthless once it has succeeded (RFC 9111 4.4)
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a')
--- request eval
["POST /a", "GET /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE"]
--- response_body eval
["POST\n", "GET\n"]



=== TEST 3: every other method reaches the backend under its own name
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["PUT /a", "DELETE /a", "OPTIONS /a", "PATCH /a", "PURGE /a", "REPORT /a", "MKCOL /a"]
--- response_headers eval
[("X-Cache: SKIP") x 7]
--- response_body eval
["PUT\n", "DELETE\n", "OPTIONS\n", "PATCH\n", "PURGE\n", "REPORT\n", "MKCOL\n"]
--- timeout: 10
--- redis
EXISTS $KEY/a => 0



=== TEST 4: a listed POST is stored and found
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_key $TEST_NGINX_KEY$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\none", "POST /a\ntwo", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- response_body eval
["POST\n", "POST\n", "GET\n"]
--- backend_log
POST /a
GET /a



=== TEST 5: a listed PUT or DELETE, too, and it removes nothing
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET PUT DELETE;
        redis_cache_key $TEST_NGINX_KEY$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "PUT /a", "DELETE /a", "PUT /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: HIT"]
--- backend_log
GET /a
PUT /a
DELETE /a



=== TEST 6: GET may be left out
--- config
    location / { redis_cache on; redis_cache_methods POST; proxy_pass http://backend; }
--- request eval
["GET /a", "POST /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 7: $cache_method is a list with blanks, the last one optional
--- config
    location /one {
        set $cache_method "GET POST ";
        redis_cache on;
        proxy_pass http://backend;
    }
    location /two {
        set $cache_method "GET POST";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["POST /one", "POST /one", "POST /two", "POST /two", "PUT /two"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]



=== TEST 8: or with commas, or both
--- config
    location /one {
        set $cache_method "GET,POST";
        redis_cache on;
        proxy_pass http://backend;
    }
    location /two {
        set $cache_method "GET, POST, ";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["POST /one", "GET /one", "POST /two", "GET /two", "PUT /one"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]



=== TEST 9: part of a method's name isn't the method
--- config
    location / {
        set $cache_method "POSTAL";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request
POST /a
--- response_headers
X-Cache: SKIP



=== TEST 10: a request for another protocol is passed on in the client's own request
--- backend_format
$request_method $request_uri $http_upgrade $http_connection
--- config
    location / {
        redis_cache on;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection "upgrade";
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- more_headers
Upgrade: websocket
Connection: upgrade, close
--- response_body eval
["from the backend\n", "from the backend\n"]
--- backend_log
GET /a websocket upgrade
GET /a websocket upgrade
--- redis
EXISTS $KEY/a => 0



=== TEST 11: CONNECT is refused by nginx itself, listed or not
--- skip_nginx: 4: >= 1.29.3
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET CONNECT;
        proxy_pass http://backend;
    }
--- raw_request eval
"CONNECT / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- error_code: 405
--- raw_response_headers_unlike: X-Cache
--- error_log
client sent CONNECT method
--- backend_log



=== TEST 12: CONNECT to an authority as well
--- skip_nginx: 4: >= 1.29.3
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET CONNECT;
        proxy_pass http://backend;
    }
--- raw_request eval
"CONNECT backend:80 HTTP/1.1\r\nHost: backend:80\r\nConnection: close\r\n\r\n"
--- error_code: 400
--- raw_response_headers_unlike: X-Cache
--- error_log
client sent invalid request
--- backend_log



=== TEST 13: from 1.29.3 on nginx knows by the target that CONNECT asks for nothing that it has
--- skip_nginx: 4: < 1.29.3
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET CONNECT;
        proxy_pass http://backend;
    }
--- raw_request eval
"CONNECT / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- error_code: 400
--- raw_response_headers_unlike: X-Cache
--- error_log
client sent invalid request
--- backend_log



=== TEST 14: CONNECT to an authority, from 1.29.3 on
--- skip_nginx: 4: < 1.29.3
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET CONNECT;
        proxy_pass http://backend;
    }
--- raw_request eval
"CONNECT backend:80 HTTP/1.1\r\nHost: backend:80\r\nConnection: close\r\n\r\n"
--- error_code: 405
--- raw_response_headers_unlike: X-Cache
--- error_log
client sent CONNECT method
--- backend_log



=== TEST 15: a tunnel of nginx 1.31 passes
--- skip_nginx: 4: < 1.31.0
--- http_config
    server { listen unix:$TEST_NGINX_SERVER_ROOT/html/far.sock; return 200 "from afar\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET CONNECT;
        add_header X-Reason $redis_cache_reason always;
        tunnel_pass unix:$TEST_NGINX_SERVER_ROOT/html/far.sock;
    }
--- raw_request eval
"CONNECT backend:80 HTTP/1.1\r\nHost: backend:80\r\n\r\nGET / HTTP/1.0\r\n\r\n"
--- error_code: 200
--- response_headers
X-Cache: SKIP
X-Reason: upgrade or tunnel
--- response_body_like: from afar
