# What is stored though it says "but": any status with a lifetime, must-understand,
# no-cache, fields that are for one client alone, cookies for everybody
# (RFC 9111 3, 5.2.2, 7.3).

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 195;
run_tests();

__DATA__

=== TEST 1: any status, if the response says for how long
--- backend
    location /299 { add_header Cache-Control "max-age=60" always; return 299 "two\n"; }
    location /302 { add_header Cache-Control "max-age=60" always; return 302 http://elsewhere.test/; }
    location /499 { add_header Cache-Control "s-maxage=60" always; return 499 "four\n"; }
    location /503 { add_header Cache-Control "max-age=60" always; return 503 "five\n"; }
    location /599 { add_header Expires "Thu, 31 Dec 2037 23:55:55 GMT" always; return 599 "end\n"; }
--- config
    location / { redis_cache on; redis_cache_valid any; proxy_redirect off; proxy_pass http://backend; }
--- request eval
[map { ("GET /$_") x 2 } qw(299 302 499 503 599)]
--- error_code eval
[map { ($_) x 2 } qw(299 302 499 503 599)]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT") x 5]
--- backend_log
GET /299
GET /302
GET /499
GET /503
GET /599



=== TEST 2: any status that says nothing: only those that are cacheable by themselves
--- backend
    location /203 { return 203 "a\n"; }
    location /410 { return 410 "b\n"; }
    location /302 { return 302 http://elsewhere.test/; }
    location /403 { return 403 "c\n"; }
    location /599 { return 599 "d\n"; }
    location /public { add_header Cache-Control public always; return 599 "e\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        add_header X-Reason $redis_cache_reason always;
        proxy_redirect off;
        proxy_pass http://backend;
    }
--- request eval
[map { ("GET /$_") x 2 } qw(203 410 302 403 599 public)]
--- error_code eval
[map { ($_) x 2 } qw(203 410 302 403 599 599)]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT") x 2, ("X-Cache: SKIP\nX-Reason: no explicit freshness") x 6, "X-Cache: STORE", "X-Cache: HIT"]
--- redis
EXISTS $KEY/302 $KEY/403 $KEY/599 => 0



=== TEST 3: a time for any is the operator's word for all
--- backend
    location /403 { return 403 "no\n"; }
    location /404 { return 404 "none\n"; }
--- config
    location / { redis_cache on; redis_cache_valid 404 1s; redis_cache_valid any 30s; proxy_pass http://backend; }
--- request eval
["GET /403", "GET /403", "GET /404", "GET /404"]
--- error_code eval
[403, 403, 404, 404]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- redis
TTL $KEY/403 => 1(?:29|30)
TTL $KEY/404 => 10[01]|100



=== TEST 4: negative caching: each status for its own time, but what the response says counts more
--- backend
    location /404 { return 404 "none\n"; }
    location /410 { return 410 "gone\n"; }
    location /said { add_header Cache-Control "max-age=500" always; return 404 "none\n"; }
    location /200 { return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_stale 0;
        redis_cache_valid 200;
        redis_cache_valid 404 10s;
        redis_cache_valid 410 1h;
        proxy_pass http://backend;
    }
--- request eval
["GET /404", "GET /410", "GET /said", "GET /200", "GET /404"]
--- error_code eval
[404, 410, 404, 200, 404]
--- response_headers eval
[("X-Cache: STORE") x 4, "X-Cache: HIT"]
--- redis
TTL $KEY/404 => 9|10
TTL $KEY/410 => 359\d|3600
TTL $KEY/said => 49\d|500
TTL $KEY/200 => 11\d|120



=== TEST 5: must-understand: no-store is for those who don't
--- backend
    location /known   { add_header Cache-Control "must-understand, no-store, max-age=60" always; return 200 "a\n"; }
    location /unknown { add_header Cache-Control "must-understand, no-store, max-age=60" always; return 299 "b\n"; }
    location /alone   { add_header Cache-Control "must-understand, max-age=60" always; return 299 "c\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
[map { ("GET /$_") x 2 } qw(known unknown alone)]
--- error_code eval
[200, 200, 299, 299, 299, 299]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", ("X-Cache: SKIP\nX-Reason: status not understood") x 4]



=== TEST 6: no-cache with something to validate it by is stored, and validated each time
--- backend
    location / {
        add_header Cache-Control "no-cache, max-age=60";
        add_header ETag '"one"';
        if ($http_if_none_match = '"one"') { return 304; }
        return 200 "page\n";
    }
--- backend_format: $request_uri $status
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- error_code eval
[200, 200, 200]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", ("X-Cache: HIT\nX-Status: REVALIDATED") x 2]
--- response_body eval
["page\n", "page\n", "page\n"]
--- backend_log
/a 200
/a 304
/a 304
--- redis
TTL $KEY/a => 99|100



=== TEST 7: no-cache while the backend is down: no record, but its error
--- backend
    location / {
        add_header Cache-Control "no-cache";
        add_header ETag '"one"';
        if ($http_x_down) { return 444; }
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["", "X-Down: 1"]
--- after eval
[sub { main::log_has('/a": stored') }, undef]
--- error_code eval
[200, 504]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP"]



=== TEST 8: fields that no-cache or private names are left out of the record
--- backend
    location / {
        add_header Cache-Control 'max-age=60, private="X-Who, set-cookie", no-cache="X-When"';
        add_header X-Who you;
        add_header X-When now;
        add_header X-What page;
        add_header Set-Cookie "a=1";
        add_header Set-Cookie "b=2";
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nX-Who: you\nX-When: now\nX-What: page\nSet-Cookie: a=1, b=2",
 "X-Cache: HIT\n!X-Who\n!X-When\nX-What: page\n!Set-Cookie"]
--- redis
HGET $KEY/a headers => (?!.*(?:"X-Who"|"X-When"|"Set-Cookie")).*X-What.*



=== TEST 9: a record can't do without some fields: then it is all private
--- backend
    location /vary { add_header Cache-Control 'private="X-Who, Vary"'; return 200 "page\n"; }
    location /type { add_header Cache-Control 'no-cache="Content-Type"'; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- request eval
["GET /vary", "GET /type"]
--- response_headers eval
["X-Cache: SKIP\nX-Reason: private", "X-Cache: SKIP\nX-Reason: no-cache"]



=== TEST 10: cookies for everybody, if the response and the operator say so
--- backend
    location /public  { add_header Cache-Control "public, max-age=60"; add_header Set-Cookie "a=1"; return 200 "page\n"; }
    location /shared  { add_header Cache-Control "s-maxage=60"; add_header Set-Cookie "a=1"; return 200 "page\n"; }
    location /max-age { add_header Cache-Control "max-age=60"; add_header Set-Cookie "a=1"; return 200 "page\n"; }
    location /private { add_header Cache-Control "private, s-maxage=60"; add_header Set-Cookie "a=1"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_set_cookie public;
        add_header X-Reason $redis_cache_reason;
        proxy_pass http://backend;
    }
--- request eval
[map { ("GET /$_") x 2 } qw(public shared max-age private)]
--- response_headers eval
[("X-Cache: STORE\nSet-Cookie: a=1", "X-Cache: HIT\nSet-Cookie: a=1") x 2,
 ("X-Cache: SKIP\nX-Reason: set-cookie") x 2, ("X-Cache: SKIP\nX-Reason: private") x 2]



=== TEST 11: by default no cookie is stored, nor read where another machine has stored one
--- init
main::record('/b', headers => '{"Cache-Control":"public","Set-Cookie":"a=1"}');
--- backend
    location / { add_header Cache-Control "public, max-age=60"; add_header Set-Cookie "a=1"; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /b"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: set-cookie") x 3]



=== TEST 12: a response to a request with credentials
--- backend
    location /public  { add_header Cache-Control "public, max-age=60"; return 200 "page\n"; }
    location /shared  { add_header Cache-Control "s-maxage=60"; return 200 "page\n"; }
    location /must    { add_header Cache-Control "max-age=60, must-revalidate"; return 200 "page\n"; }
    location /max-age { add_header Cache-Control "max-age=60"; return 200 "page\n"; }
    location /cdn     { add_header Cache-Control "public"; add_header CDN-Cache-Control "max-age=60"; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason; proxy_pass http://backend; }
--- more_headers
Authorization: Basic dXNlcjpwYXNz
--- request eval
[map { ("GET /$_") x 2 } qw(public shared must max-age cdn)]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT") x 3, ("X-Cache: SKIP\nX-Reason: authorization") x 4]



=== TEST 13: hop-by-hop fields aren't stored, nor those that Connection names; all others come back as they were
--- http_config
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/html/raw.sock;
        location / {
            add_header Connection "X-Hop";
            add_header X-Hop "one";
            add_header Keep-Alive "timeout=9";
            add_header Proxy-Authenticate "Basic";
            add_header X-Twice "1";
            add_header X-Odd "  a,b ;c";
            add_header X-Twice "2";
            add_header X-Empty "$arg_nothing";
            return 200 "page\n";
        }
    }
--- config
    location / { redis_cache on; proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/raw.sock; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nX-Twice: 1, 2", "X-Cache: HIT\n!X-Hop\nX-Twice: 1, 2\n!Keep-Alive\n!Proxy-Authenticate"]
