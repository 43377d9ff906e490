# The first request for a key stores the backend's answer, the next one gets it
# from Redis, byte for byte, and the backend isn't asked again.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

our $Bytes = join '', map { chr } 0 .. 255, 13, 10, 0, 0;
our $Large = join '', map { "line $_ of the large file\n" } 1 .. 110_000;

plan tests => 197;
run_tests();

__DATA__

=== TEST 1: STORE, then HIT
--- backend
    location / { return 200 "page $request_uri\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: HIT\nX-Status: HIT", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
["page /a\n", "page /a\n", "page /a\n"]
--- backend_log
GET /a
--- redis
TYPE $KEY/a => hash
HGET $KEY/a status => 200
HGET $KEY/a body => page /a\n
TTL $KEY/a => 2(?:19|20)
--- no_error_log
[error]



=== TEST 2: "redis_cache;" means on
--- config
    location / {
        redis_cache;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a



=== TEST 3: off, and never switched on
--- config
    location /off {
        redis_cache off;
        proxy_pass http://backend;
    }
    location /unset {
        proxy_pass http://backend;
    }
--- request eval
["GET /off", "GET /off", "GET /unset", "GET /unset"]
--- response_headers eval
["! X-Cache", "! X-Cache", "! X-Cache", "! X-Cache"]
--- backend_log
GET /off
GET /off
GET /unset
GET /unset
--- redis
EXISTS $KEY/off $KEY/unset => 0



=== TEST 4: on for the server, off for a location in it
--- config
    redis_cache on;
    location /cached { proxy_pass http://backend; }
    location /plain  { redis_cache off; proxy_pass http://backend; }
--- request eval
["GET /cached", "GET /cached", "GET /plain"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "! X-Cache"]
--- backend_log
GET /cached
GET /plain



=== TEST 5: the arguments belong to the key
--- backend
    location / { return 200 "args $args\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a?x=1", "GET /a?x=2", "GET /a?x=1", "GET /a?x=2", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: STORE"]
--- response_body eval
["args x=1\n", "args x=2\n", "args x=1\n", "args x=2\n", "args \n"]



=== TEST 6: locations with the same key share a record
--- config
    location /one { redis_cache on; redis_cache_key $TEST_NGINX_KEY.shared; proxy_pass http://backend; }
    location /two { redis_cache on; redis_cache_key $TEST_NGINX_KEY.shared; return 404; }
--- request eval
["GET /one", "GET /one"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
HGET $KEY.shared status => 200



=== TEST 7: headers come back as the backend sent them, Date, Server and Connection apart
--- backend
    location / {
        add_header X-One 1;
        add_header Link "</a>; rel=preload";
        add_header Link "</b>; rel=preload";
        add_header X-Quoted 'say "yes" \\ /slash';
        add_header Content-Language de;
        default_type text/html;
        charset utf-8;
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map { "X-Cache: $_
X-One: 1
Link: </a>; rel=preload, </b>; rel=preload
X-Quoted: say \"yes\" \\ /slash
Content-Language: de
Content-Type: text/html; charset=utf-8
Content-Length: 5" } qw(STORE HIT)]
--- redis
HGET $KEY/a headers => (?!.*"(?:Date|Server|Connection)")\{.*"Link": ?\["<\\?/a>; rel=preload", ?"<\\?/b>; rel=preload"\].*\}



=== TEST 8: every byte of a body is kept
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["bytes.bin" => $main::Bytes]]
--- request eval
["GET /bytes.bin", "GET /bytes.bin"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[$main::Bytes, $main::Bytes]
--- redis
HSTRLEN $KEY/bytes.bin body => 260



=== TEST 9: an empty body is a body
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["empty.txt" => ""]]
--- request eval
["GET /empty.txt", "GET /empty.txt"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 0", "X-Cache: HIT\nContent-Length: 0"]
--- response_body eval
["", ""]
--- redis
HEXISTS $KEY/empty.txt body => 1



=== TEST 10: a body of 3 MB
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["large.txt" => $main::Large]]
--- request eval
["GET /large.txt", "GET /large.txt"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[$main::Large, $main::Large]
--- redis eval
["HSTRLEN \$KEY/large.txt body => 3188895", undef]
--- timeout: 10



=== TEST 11: a body without length, chunked
--- backend
    location / {
        ssi on;
        ssi_types text/plain;
        return 200 "part <!--#echo var=\"arg_x\" --> end\n";
    }
--- config
    location / {
        redis_cache on;
        proxy_http_version 1.1;
        proxy_pass http://backend;
    }
--- request eval
["GET /a?x=one", "GET /a?x=one"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["part one end\n", "part one end\n"]
--- redis
HGET $KEY/a?x=one headers => (?!.*(?i:transfer-encoding)).*



=== TEST 12: a body without length, ended by the connection
--- backend
    location / {
        ssi on;
        ssi_types text/plain;
        return 200 "part <!--#echo var=\"arg_x\" --> end\n";
    }
--- config
    location / {
        redis_cache on;
        proxy_http_version 1.0;
        proxy_pass http://backend;
    }
--- request eval
["GET /a?x=one", "GET /a?x=one"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["part one end\n", "part one end\n"]



=== TEST 13: the location's own handler may be any: a static file
--- config
    location / {
        redis_cache on;
        root $TEST_NGINX_SERVER_ROOT/html;
    }
--- user_files
>>> page.txt 201001020304.05
from the disk
--- request eval
["GET /page.txt", "GET /page.txt"]
--- response_headers eval
[map { "X-Cache: $_\nLast-Modified: Sat, 02 Jan 2010 03:04:05 GMT" } qw(STORE HIT)]
--- response_body eval
["from the disk\n", "from the disk\n"]
--- redis
HGET $KEY/page.txt body => from the disk\n



=== TEST 14: the location's captures, variables and named upstream are there for the fill
--- backend
    location / { return 200 "$request_uri by $http_x_by\n"; }
--- config
    location ~ ^/deep/(\w+)/(\w+)$ {
        set $by "a $1";
        redis_cache on;
        proxy_set_header X-By "$by $http_x_from";
        proxy_pass http://backend/$2/$1;
    }
--- request eval
["GET /deep/one/two", "GET /deep/one/two"]
--- more_headers
X-From: client
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["/two/one by a one client\n", "/two/one by a one client\n"]



=== TEST 15: a URI as the backend: it is put before the request's own
--- config
    location /cached {
        redis_cache on;
        redis_cache_backend /fallback;
    }
    location /fallback {
        internal;
        proxy_pass http://backend;
    }
--- request eval
["GET /cached/a?x=1", "GET /cached/a?x=1", "GET /fallback/cached/a?x=1"]
--- error_code eval
[200, 200, 404]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "! X-Cache"]
--- backend_log
GET /fallback/cached/a?x=1
--- redis
HGET $KEY/cached/a?x=1 body => from the backend\n



=== TEST 16: a named location as the backend
--- config
    location /cached {
        redis_cache on;
        redis_cache_backend @origin;
    }
    location @origin {
        proxy_pass http://backend;
    }
--- request eval
["GET /cached/a?x=1", "GET /cached/a?x=1"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["from the backend\n", "from the backend\n"]
--- backend_log
GET /cached/a?x=1



=== TEST 17: on one connection
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- pipelined_requests eval
["GET /a", "GET /a", "GET /b", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("from the backend\n") x 4]
--- backend_log
GET /a
GET /b



=== TEST 18: no header is asked for, none is sent
--- config
    location / {
        redis_cache on;
        redis_cache_header X-Other;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Other: STORE\n! X-Cache", "X-Other: HIT\n! X-Cache"]



=== TEST 19: the backend's own header of that name doesn't go into the record
--- backend
    location / {
        add_header X-Cache "from the origin";
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 20: the rest of nginx works on a record: gzip, add_header
--- config
    location / {
        redis_cache on;
        gzip on;
        gzip_min_length 1;
        gzip_types text/plain;
        add_header X-Added yes;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Accept-Encoding: gzip", "", "Accept-Encoding: gzip"]
--- response_headers eval
["X-Cache: STORE\nX-Added: yes\nContent-Encoding: gzip",
 "X-Cache: HIT\nX-Added: yes\n! Content-Encoding",
 "X-Cache: HIT\nX-Added: yes\nContent-Encoding: gzip"]
--- redis
HGET $KEY/a body => from the backend\n
HGET $KEY/a headers => (?!.*X-Added)(?!.*gzip).*



=== TEST 21: a record is served over HTTP/1.0
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a HTTP/1.0", "GET /a HTTP/1.0"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 17", "X-Cache: HIT\nContent-Length: 17"]
--- response_body eval
["from the backend\n", "from the backend\n"]



=== TEST 22: a fill never enters the cache, whatever its location says
--- config
    location /outer {
        redis_cache on;
        redis_cache_backend /inner;
    }
    location /inner {
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /outer", "GET /outer", "GET /inner/outer"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log
GET /inner/outer
GET /inner/outer
