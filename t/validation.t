# A record that isn't fresh is validated at the backend by its ETag and its
# Last-Modified (RFC 9111 4.3). A 304 refreshes it: its headers and its expiry,
# never its body.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 119;
run_tests();

__DATA__

=== TEST 1: must-revalidate: validated before it is served, by ETag and Last-Modified (9111 4.3.1, 5.2.2.2)
--- backend_format: $request_method $request_uri [$http_if_none_match] [$http_if_modified_since]
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT" always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        add_header X-Turn "turn $http_if_none_match" always;
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "the body\n";
    }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef, undef]
--- response_headers_like eval
["X-Cache: STORE\nX-Status: MISS\nX-Turn: turn ?", "X-Cache: HIT\nX-Status: REVALIDATED\nX-Turn: turn \"one\"\nETag: \"one\"\nAge: [0-9]", "X-Cache: HIT\nX-Status: HIT\nX-Turn: turn \"one\""]
--- response_body eval
["the body\n", "the body\n", "the body\n"]
--- redis eval
[undef, "TTL \$KEY/a => 1(?:59|60)\nHGET \$KEY/a body => the body\\n", undef]
--- backend_log
GET /a [] []
GET /a ["one"] [Thu, 01 Jan 2026 00:00:00 GMT]



=== TEST 2: a refill validates, too; the client has had the stale record before
--- backend_format: $request_method $request_uri [$http_if_none_match]
--- backend
    location / {
        add_header ETag 'W/"one"' always;
        add_header Cache-Control "max-age=60" always;
        if ($http_if_none_match = 'W/"one"') { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STALE\nX-Status: STALE", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
["the body\n", "the body\n", "the body\n"]
--- redis eval
[undef, "TTL \$KEY/a => 1(?:59|60)", undef]
--- backend_log
GET /a []
GET /a [W/"one"]



=== TEST 3: another representation replaces the record: EXPIRED, and STORE
--- backend
    location / {
        add_header ETag '"$request_time$msec"' always;
        add_header Cache-Control "max-age=60, proxy-revalidate" always;
        return 200 "$http_if_none_match\n";
    }
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, sub { main::age('/a', 150) }, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: EXPIRED", "X-Cache: HIT\nX-Status: HIT"]
--- response_body_like eval
[qr/^\n$/, qr/^"[\d.]+"\n$/, qr/^"[\d.]+"\n$/]



=== TEST 4: redis_cache_revalidate off: the backend sends it again
--- backend_format: $request_method $request_uri [$http_if_none_match]
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; redis_cache_revalidate off; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- response_body eval
["the body\n", "the body\n"]
--- backend_log
GET /a []
GET /a []



=== TEST 5: a 304 updates the headers that it carries, and only those; what describes the body stays (9111 3.2)
--- backend
    location / {
        set $kept "";
        set $turn "two";
        if ($http_if_none_match = "") { set $kept "kept"; set $turn "one"; }
        add_header ETag '"one"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        add_header X-Kept $kept always;
        add_header X-Changed $turn always;
        add_header Content-Encoding $http_if_none_match always;
        if ($http_if_none_match) { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef, undef]
--- response_headers eval
["X-Kept: kept\nX-Changed: one\n! Content-Encoding", "X-Kept: kept\nX-Changed: two\n! Content-Encoding\nContent-Length: 9", "X-Cache: HIT\nX-Kept: kept\nX-Changed: two\n! Content-Encoding\nContent-Length: 9"]
--- response_body eval
["the body\n", "the body\n", "the body\n"]



=== TEST 6: a 304 that makes the record private takes it away, after this answer
--- backend
    location / {
        set $control "max-age=60, must-revalidate";
        if ($http_if_none_match) { set $control "private"; }
        add_header ETag '"one"' always;
        add_header Cache-Control $control always;
        if ($http_if_none_match) { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\nCache-Control: private"]
--- response_body eval
["the body\n", "the body\n"]
--- redis eval
[undef, "EXISTS \$KEY/a => 0"]



=== TEST 7: a 304 for another ETag than ours confirms nothing: the client gets the backend's whole answer (9111 4.3.4)
--- backend
    location / {
        set $tag '"one"';
        if ($http_if_none_match) { set $tag '"two"'; }
        add_header ETag $tag always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match) { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP"]
--- response_body eval
["the body\n", "the body\n"]



=== TEST 8: a record of the Lua script is refilled, not validated
--- backend_format: $request_method $request_uri [$http_if_none_match]
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50, headers => '{"ETag":"\"one\"","Cache-Control":"max-age=10, must-revalidate"}')
--- request
GET /a
--- response_headers
X-Cache: STORE
--- response_body
from the backend
--- backend_log
GET /a []



=== TEST 9: the client's own conditions don't reach the backend; the record's do
--- backend_format: $request_method $request_uri [$http_if_none_match] [$http_range]
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["If-None-Match: \"zero\"\nRange: bytes=0-1", "If-None-Match: \"zero\"\nRange: bytes=0-1"]
--- error_code eval
[206, 206]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["th", "th"]
--- backend_log
GET /a [] []
GET /a ["one"] []



=== TEST 10: the client's condition is answered from the validated record
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "the body\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["", "If-None-Match: \"one\""]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- error_code eval
[200, 304]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\nETag: \"one\""]
--- response_body eval
["the body\n", ""]
--- redis eval
[undef, "TTL \$KEY/a => 1(?:59|60)"]



=== TEST 11: a listed POST is asked again without conditions: they would say whether it is carried out (9110 13.1.2)
--- backend_format: $request_method $request_uri [$http_if_none_match]
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match) { return 412; }
        return 200 "the body\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\nx=1", "POST /a\nx=1"]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: EXPIRED"]
--- response_body eval
["the body\n", "the body\n"]
--- backend_log
POST /a []
POST /a []



=== TEST 12: so is what isn't a 200: a 304 would say that it were one (9110 15.4.5)
--- backend_format: $request_method $request_uri [$http_if_none_match][$http_if_modified_since]
--- backend
    location / {
        add_header ETag '"one"' always;
        add_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT" always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match) { return 304; }
        return 404 "nothing\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_valid 200 404;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- error_code eval
[404, 404]
--- after eval
[sub { main::age('/a', 50) }, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: EXPIRED"]
--- backend_log
GET /a [][]
GET /a [][]
