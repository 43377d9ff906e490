# Answers that no other client may get, or that aren't whole, pass and are not
# stored: SKIP. What the operator ignores is stored all the same.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 220;
run_tests();

__DATA__

=== TEST 1: Cache-Control: no-store
--- backend
    location / { add_header Cache-Control no-store; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Status: MISS\nX-Reason: no-store\nCache-Control: no-store") x 2]
--- response_body eval
["page\n", "page\n"]
--- backend_log
GET /a
GET /a
--- redis
EXISTS $KEY/a => 0



=== TEST 2: Cache-Control: private
--- backend
    location / { add_header Cache-Control "private, max-age=60"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: private") x 2]
--- redis
EXISTS $KEY/a => 0



=== TEST 3: Cache-Control: no-cache
--- backend
    location / { add_header Cache-Control "no-cache"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: no-cache") x 2]
--- redis
EXISTS $KEY/a => 0



=== TEST 4: whatever the case, the place in the list and the header that it stands in
--- backend
    location /case  { add_header Cache-Control "No-Store"; return 200 "page\n"; }
    location /last  { add_header Cache-Control "max-age=60 , NO-STORE"; return 200 "page\n"; }
    location /other { add_header Cache-Control "max-age=60"; add_header Cache-Control "no-store"; return 200 "page\n"; }
    location /name  { add_header Cache-Control "max-age=60, x-no-store, private-ish=1"; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /case", "GET /last", "GET /other", "GET /name"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE"]
--- redis
EXISTS $KEY/case $KEY/last $KEY/other => 0



=== TEST 5: Set-Cookie
--- backend
    location / { add_header Set-Cookie "id=1"; add_header Set-Cookie "theme=dark"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: set-cookie\nSet-Cookie: id=1, theme=dark") x 2]
--- backend_log
GET /a
GET /a
--- redis
EXISTS $KEY/a => 0



=== TEST 6: Vary: *
--- backend
    location / { add_header Vary "*"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: vary *\nVary: *") x 2]
--- redis
EXISTS $KEY/a => 0



=== TEST 7: a request with credentials
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- more_headers
Authorization: Basic dXNlcjpwYXNz
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: authorization") x 2]
--- backend_log
GET /a
GET /a
--- redis
EXISTS $KEY/a => 0



=== TEST 8: 206
--- backend
    location / { add_header Content-Range "bytes 0-3/100"; return 206 "part"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- error_code eval
[206, 206]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: partial content") x 2]
--- response_body eval
["part", "part"]
--- redis
EXISTS $KEY/a => 0



=== TEST 9: a status that isn't listed: by default all but 200
--- backend
    location /204 { return 204; }
    location /301 { return 301 http://elsewhere.test/; }
    location /302 { return 302 http://elsewhere.test/; }
    location /404 { return 404 "none\n"; }
    location /405 { return 405 "not so\n"; }
    location /500 { return 500 "broken\n"; }
--- config
    location / {
        redis_cache on;
        proxy_redirect off;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /204", "GET /301", "GET /302", "GET /404", "GET /405", "GET /500"]
--- error_code eval
[204, 301, 302, 404, 405, 500]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: status not listed") x 6]
--- response_body_like eval
["^\$", "301 Moved", "302 Found", "^none\n\$", "^not so\n\$", "^broken\n\$"]
--- redis
EXISTS $KEY/204 $KEY/301 $KEY/302 $KEY/404 $KEY/405 $KEY/500 => 0



=== TEST 10: statuses that are listed
--- backend
    location /200 { return 200 "page\n"; }
    location /301 { return 301 http://elsewhere.test/; }
    location /404 { return 404 "none\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid 301 404;
        proxy_redirect off;
        proxy_pass http://backend;
    }
--- request eval
["GET /200", "GET /200", "GET /301", "GET /301", "GET /404", "GET /404"]
--- error_code eval
[200, 200, 301, 301, 404, 404]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP",
 "X-Cache: STORE\nLocation: http://elsewhere.test/", "X-Cache: HIT\nLocation: http://elsewhere.test/",
 "X-Cache: STORE", "X-Cache: HIT"]
--- redis
HGET $KEY/301 status => 301
HGET $KEY/404 status => 404



=== TEST 11: any status
--- backend
    location /204 { return 204; }
    location /404 { return 404 "none\n"; }
    location /503 { return 503 "later\n"; }
--- config
    location / { redis_cache on; redis_cache_valid any 10s; proxy_pass http://backend; }
--- request eval
["GET /204", "GET /204", "GET /404", "GET /404", "GET /503", "GET /503"]
--- error_code eval
[204, 204, 404, 404, 503, 503]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["", "", "none\n", "none\n", "later\n", "later\n"]



=== TEST 12: $cache_status is a list with blanks, commas or both
--- backend
    location /a { return 404 "none\n"; }
    location /b { return 405 "not so\n"; }
    location /c { return 200 "page\n"; }
--- config
    location / {
        set $cache_status "200 404, 405";
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /b", "GET /b", "GET /c", "GET /c"]
--- error_code eval
[404, 404, 405, 405, 200, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 13: larger than redis_cache_max_size, by its Content-Length
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        redis_cache on;
        redis_cache_max_size 1k;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- user_files eval
[["1024.txt" => "x" x 1024], ["1025.txt" => "y" x 1025]]
--- request eval
["GET /1024.txt", "GET /1024.txt", "GET /1025.txt", "GET /1025.txt"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", ("X-Cache: SKIP\nX-Reason: too large") x 2]
--- response_body eval
["x" x 1024, "x" x 1024, "y" x 1025, "y" x 1025]
--- redis
EXISTS $KEY/1025.txt => 0



=== TEST 14: larger than redis_cache_max_size, as it turns out
--- backend
    location / { ssi on; ssi_types text/plain; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        redis_cache on;
        redis_cache_max_size 100k;
        proxy_http_version 1.1;
        proxy_pass http://backend;
    }
--- user_files eval
[["large.txt" => "0123456789" x 30_000]]
--- request eval
["GET /large.txt", "GET /large.txt"]
--- response_body eval
["0123456789" x 30_000, "0123456789" x 30_000]
--- redis
EXISTS $KEY/large.txt => 0
--- backend_log
GET /large.txt
GET /large.txt



=== TEST 15: X-Accel-Redirect works as in nginx, is never stored
--- backend
    location / { add_header X-Accel-Redirect /protected/file.txt; return 200 "unseen\n"; }
--- config
    location / {
        redis_cache on;
        proxy_pass http://backend;
    }
    location /protected/ {
        internal;
        alias $TEST_NGINX_SERVER_ROOT/html/;
    }
--- user_files
>>> file.txt
protected
--- request eval
["GET /a", "GET /a"]
--- response_body eval
["protected\n", "protected\n"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- backend_log
GET /a
GET /a
--- redis
EXISTS $KEY/a => 0



=== TEST 16: a body that the backend cuts off: the client has what came, Redis has nothing
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        redis_cache on;
        proxy_read_timeout 300ms;
        proxy_buffering off;
        proxy_pass http://backend;
    }
--- user_files eval
[["slow.txt" => "x" x 3000]]
--- request
GET /slow.txt
--- response_headers
Content-Length: 3000
--- response_body_like: ^x{1,2999}$
--- timeout: 10
--- redis
EXISTS $KEY/slow.txt => 0



=== TEST 17: Cache-Control may be ignored
--- backend
    location / { add_header Cache-Control "no-store, private, max-age=10"; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_ignore_headers Cache-Control; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_\nCache-Control: no-store, private, max-age=10" } qw(STORE HIT)]
--- redis
TTL $KEY/a => 2(?:19|20)



=== TEST 18: Set-Cookie may be ignored
--- backend
    location / { add_header Set-Cookie "id=1"; add_header Set-Cookie "theme=dark"; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_ignore_headers Set-Cookie; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_\nSet-Cookie: id=1, theme=dark" } qw(STORE HIT)]



=== TEST 19: Vary may be ignored
--- backend
    location / { add_header Vary Accept-Language; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_ignore_headers Vary; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_\nVary: Accept-Language" } qw(STORE HIT)]



=== TEST 20: Authorization may be ignored
--- config
    location / { redis_cache on; redis_cache_ignore_headers Authorization; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers
Authorization: Basic dXNlcjpwYXNz
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 21: several may be, and none is ignored for being near another
--- backend
    location /both { add_header Cache-Control no-store; add_header Vary "*"; return 200 "page\n"; }
    location /more { add_header Cache-Control no-store; add_header Set-Cookie "a=1"; return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_ignore_headers Vary Cache-Control; proxy_pass http://backend; }
--- request eval
["GET /both", "GET /both", "GET /more", "GET /more"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: SKIP"]



=== TEST 22: the backend is down: nginx's own error page
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock;
    }
--- request
GET /a
--- error_code: 502
--- response_headers
X-Cache: SKIP
--- response_body_like: 502 Bad Gateway
--- redis
EXISTS $KEY/a => 0



=== TEST 23: the backend is down: the user's error page
--- config
    location / {
        redis_cache on;
        error_page 502 =503 /sorry;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock;
    }
    location = /sorry { internal; return 503 "sorry\n"; }
--- request
GET /a
--- error_code: 503
--- response_body
sorry
--- redis
EXISTS $KEY/a => 0



=== TEST 24: what the backend is asked for once an answer is known not to be storable
--- backend
    location / {
        add_header Cache-Control private;
        add_header ETag '"v1"';
        return 200 "for one client\n";
    }
--- backend_format: $request_method [$http_if_none_match] [$http_range]
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "HEAD /a", "GET /a", "GET /a"]
--- more_headers eval
['', '', 'If-None-Match: "v1"', "If-None-Match: \"v0\"\nRange: bytes=4-6"]
--- error_code eval
[200, 200, 304, 200]
--- backend_log
GET [] []
GET [] []
GET [] []
GET ["v0"] [bytes=4-6]
