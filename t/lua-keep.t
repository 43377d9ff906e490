# What a user of lua-resty-cache relies on, in the configuration of its README with
# the lines changed that migrating changes.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite 'variables';

plan tests => 187;

our $Seed = <<'END';
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_status  "200 405 ";
        set $cache_method  "GET POST ";
        set $cache_age     120;
        set $cache_stale   100;
        set $cache_header  "X-Cache";
        set $cache_key     $TEST_NGINX_KEY:$request_method:$request_uri;
        redis_cache;
    }
    location /fallback {
        rewrite ^/fallback/(.*) /$1 break;
        proxy_set_header Host $http_host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_redirect off;
        proxy_pass http://backend;
    }
END

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(config => $Seed) unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: the first GET stores, the second finds it; the backend is asked once
--- backend
    location / { add_header X-One 1; return 200 "page $request_uri\n"; }
--- request eval
["GET /a?x=1", "GET /a?x=1"]
--- response_headers eval
[map { "X-Cache: $_\nX-One: 1\nContent-Type: text/plain\nContent-Length: 12" } qw(STORE HIT)]
--- response_body eval
["page /a?x=1\n", "page /a?x=1\n"]
--- backend_log
GET /a?x=1



=== TEST 2: the record: a hash of three fields with an expiry
--- backend
    location / { add_header Link "</a>"; add_header Link "</b>"; return 200 "page\n"; }
--- request
GET /a
--- redis
TYPE $KEY:GET:/a => hash
HMGET $KEY:GET:/a status body => 200 page\n
HGET $KEY:GET:/a headers => (?!.*"(?:Date|Server|Connection)")\{.*"Link": ?\["<\\?/a>", ?"<\\?/b>"\].*\}
TTL $KEY:GET:/a => 2(?:19|20)



=== TEST 3: a record of the script is found
--- init
main::record(':GET:/a', headers => '{"Content-Type":"text\/plain","Content-Length":16,"Link":["<\/a>","<\/b>"]}')
--- request
GET /a
--- response_headers
X-Cache: HIT
Content-Type: text/plain
Content-Length: 16
Link: </a>, </b>
--- response_body
from the record
--- backend_log



=== TEST 4: TTL above stale: HIT; up to stale: STALE; none: no record
--- init
main::record(':GET:/above', ttl => 103);
main::record(':GET:/at', ttl => 100);
main::record(':GET:/below', ttl => 2);
main::record(':GET:/without', ttl => 0);
--- request eval
["GET /above", "GET /at", "GET /below", "GET /without", "GET /absent"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STALE", "X-Cache: STALE", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 5: a stale answer comes at once, then the record is refilled
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
[["slow.txt" => "x" x 4500]]
--- init
main::record(':GET:/slow.txt', ttl => 50)
--- request eval
["GET /slow.txt", "GET /slow.txt"]
--- response_headers eval
["X-Cache: STALE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "x" x 4500]
--- timeout: 2
--- redis eval
["HSTRLEN \$KEY:GET:/slow.txt body => 4500\nTTL \$KEY:GET:/slow.txt => 2(?:19|20)", undef]
--- backend_log
GET /slow.txt



=== TEST 6: a refill that fails leaves the stale record as it was
--- backend
    location /500 { return 500; }
    location /404 { return 404; }
    location /cut { return 444; }
--- init
main::record(":GET:/$_", ttl => 50) for qw(500 404 cut);
--- request eval
[map { ("GET /$_", "GET /$_") } qw(500 404 cut)]
--- response_headers eval
[("X-Cache: STALE") x 6]
--- response_body eval
[("from the record\n") x 6]
--- redis
TTL $KEY:GET:/500 => (?:49|50)
TTL $KEY:GET:/404 => (?:49|50)
TTL $KEY:GET:/cut => (?:49|50)



=== TEST 7: a method that isn't listed goes to the backend with its body: SKIP
--- backend_format
$request_method $request_uri $request_body
--- backend
    location / {
        client_body_in_single_buffer on;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { access_log off; return 200 "from the backend\n"; }
--- request eval
["PUT /a\nname=value", "DELETE /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- backend_log eval
"PUT /a name=value\nDELETE /a \n"
--- redis
EXISTS $KEY:PUT:/a => 0



=== TEST 8: a listed POST is looked up and stored, its body forwarded and no part of the key
--- backend_format
$request_method $request_uri $content_length $request_body
--- backend
    location / {
        client_body_buffer_size 1m;
        client_body_in_single_buffer on;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { access_log off; return 200 "from the backend\n"; }
--- request eval
["POST /a\n" . "x" x 300_000, "POST /a\nother"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("from the backend\n") x 2]
--- backend_log eval
"POST /a 300000 " . "x" x 300_000 . "\n"



=== TEST 9: a status that isn't listed passes with its body
--- backend
    location /204 { return 204; }
    location /206 { return 206 "part\n"; }
    location /301 { return 301 http://elsewhere.test/; }
    location /302 { return 302 http://elsewhere.test/; }
    location /404 { return 404 "none\n"; }
    location /500 { return 500 "broken\n"; }
--- request eval
["GET /204", "GET /206", "GET /301", "GET /302", "GET /404", "GET /500"]
--- error_code eval
[204, 206, 301, 302, 404, 500]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: SKIP\nLocation: http://elsewhere.test/",
 "X-Cache: SKIP\nLocation: http://elsewhere.test/", "X-Cache: SKIP", "X-Cache: SKIP"]
--- response_body_like eval
["^\$", "^part\n\$", "301 Moved", "302 Found", "^none\n\$", "^broken\n\$"]



=== TEST 10: a listed status other than 200 is stored
--- backend
    location / { return 405 "not so\n"; }
--- request eval
["GET /a", "GET /a"]
--- error_code eval
[405, 405]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["not so\n", "not so\n"]



=== TEST 11: a client that leaves during a miss doesn't stop the fill
--- backend
    location / { limit_rate 1000; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
[["slow.txt" => "x" x 4500]]
--- request
GET /slow.txt
--- timeout: 2
--- abort
--- response_headers
X-Cache: STORE
--- redis
HSTRLEN $KEY:GET:/slow.txt body => 4500
TTL $KEY:GET:/slow.txt => 2(?:19|20)



=== TEST 12: conditions of the client on a HIT and on a STALE: 304 with the header
--- init
my $headers = '{"ETag":"\"abc\"","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}';
main::record(':GET:/hit', headers => $headers);
main::record(':GET:/stale', headers => $headers, ttl => 50);
--- request eval
["GET /hit", "GET /hit", "GET /stale"]
--- more_headers eval
['If-None-Match: "abc"', "If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT", 'If-None-Match: "abc"']
--- error_code eval
[304, 304, 304]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: STALE"]



=== TEST 13: lists of statuses and methods, with and without a blank at the end
--- backend
    location / { return 405 "not so\n"; }
--- config
    set $cache_lock    locks;
    set $cache_pass    main;
    set $cache_backend /fallback;
    set $cache_header  "X-Cache";
    location /with {
        set $cache_key $TEST_NGINX_KEY:$request_method:$request_uri;
        set $cache_status "200 405 ";
        set $cache_method "GET POST ";
        redis_cache;
    }
    location /without {
        set $cache_key $TEST_NGINX_KEY:$request_method:$request_uri;
        set $cache_status "200 405";
        set $cache_method "GET POST";
        redis_cache;
    }
    location /fallback {
        rewrite ^/fallback/(.*) /$1 break;
        proxy_pass http://backend;
    }
--- request eval
["POST /with", "POST /with", "POST /without", "POST /without"]
--- error_code eval
[405, 405, 405, 405]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 14: HTTP/1.0
--- request eval
["GET /a HTTP/1.0", "GET /a HTTP/1.0"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("from the backend\n") x 2]



=== TEST 15: pipelining
--- backend
    location / { return 200 "page $request_uri\n"; }
--- pipelined_requests eval
["GET /a", "GET /a", "DELETE /b", "GET /c", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["page /a\n", "page /a\n", "page /b\n", "page /c\n", "page /a\n"]



=== TEST 16: an absolute-form request
--- raw_request eval
"GET http://localhost/a?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
--- response_headers
X-Cache: STORE
--- response_body
from the backend
--- backend_log
GET /a?x=1



=== TEST 17: a URL of 7 kB
--- request eval
["GET /" . "a" x 7000, "GET /" . "a" x 7000]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
"GET /" . "a" x 7000 . "\n"



=== TEST 18: escapes and doubled slashes in the path
--- request eval
[map { ("GET $_", "GET $_") } "/a%20b", "/a%25b", "/a%3Fb", "/%C3%A9", "//a//b"]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT") x 5]
--- response_body eval
[("from the backend\n") x 10]



=== TEST 19: the key as the README makes it
--- config
    location / {
        set $cache_lock    locks;
        set $cache_pass    main;
        set $cache_backend /fallback;
        set $cache_header  "X-Cache";
        set_md5 $cache_key $request_method:$http_user_agent:$request_uri;
        redis_cache;
    }
    location /fallback {
        rewrite ^/fallback/(.*) /$1 break;
        proxy_pass http://backend;
    }
--- request eval
["GET /readme?$$", "GET /readme?$$"]
--- more_headers
User-Agent: suite
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
use Digest::MD5;
[undef, "DEL " . Digest::MD5::md5_hex("GET:suite:/readme?$$") . " => 1"]
