# HEAD is answered from the record of its key; on a miss the fill runs as GET, so
# that the record is whole.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 132;
run_tests();

__DATA__

=== TEST 1: from a record: its headers, no body
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Content-Type":"text\/html","X-One":"1"}')
--- request
HEAD /a
--- response_headers
X-Cache: HIT
Content-Type: text/html
Content-Length: 16
X-One: 1
--- response_body chomp
--- backend_log



=== TEST 2: on a miss: the whole answer is fetched and stored
--- backend
    location / { add_header X-Method $request_method; return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 4\nX-Method: GET",
 "X-Cache: HIT\nContent-Length: 4\nX-Method: GET",
 "X-Cache: HIT\nContent-Length: 4\nX-Method: GET"]
--- response_body eval
["", "GET\n", ""]
--- backend_log
GET /a



=== TEST 3: after a HEAD the connection is ready for the next request
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a"]
--- response_body eval
["", "GET\n"]
--- timeout: 10



=== TEST 4: where the key holds the method, HEAD has a record of its own
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        set $cache_key $TEST_NGINX_KEY.$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["HEAD /a", "HEAD /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log
GET /a
GET /a
--- redis
HGET $KEY.HEAD/a body => GET\n
HGET $KEY.GET/a body => GET\n



=== TEST 5: but not where redis_cache_key holds it: HEAD finds the record of GET
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY.$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["HEAD /a", "GET /a", "HEAD /b", "HEAD /b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a
GET /b
--- redis
EXISTS $KEY.GET/a $KEY.GET/b => 2
EXISTS $KEY.HEAD/a $KEY.HEAD/b => 0



=== TEST 6: HEAD may be unlisted; then the backend sees it
--- backend
    location / { return 200 "$request_method\n"; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: SKIP"]
--- response_body eval
["", "GET\n", ""]
--- backend_log
HEAD /a
GET /a
HEAD /a



=== TEST 7: an error has a header only
--- backend
    location / { return 404 "none\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
HEAD /a
--- error_code: 404
--- response_headers
X-Cache: SKIP
--- response_body chomp



=== TEST 8: a large body isn't sent
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files eval
[["large.txt" => "0123456789" x 50_000]]
--- request eval
["HEAD /large.txt", "HEAD /large.txt", "GET /large.txt"]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 500000", "X-Cache: HIT\nContent-Length: 500000", "X-Cache: HIT\nContent-Length: 500000"]
--- response_body eval
["", "", "0123456789" x 50_000]
--- backend_log
GET /large.txt



=== TEST 9: an answer to a HEAD that went to the backend and disagrees with the record (RFC 9111 4.3.5)
--- backend
    location /tag { add_header ETag '"2"'; return 200 "from the record\n"; }
    location /length { return 200 "another length\n"; }
    location /date { add_header Last-Modified "Mon, 04 Jan 2010 03:04:05 GMT"; return 200 "from the record\n"; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- init
main::record("/$_", headers => '{"ETag":"\"1\"","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}') for qw(tag length date)
--- request eval
["HEAD /tag", "GET /tag", "HEAD /length", "GET /length", "HEAD /date", "GET /date"]
--- response_headers eval
[("X-Cache: SKIP", "X-Cache: STORE") x 3]
--- response_body eval
["", "from the record\n", "", "another length\n", "", "from the record\n"]



=== TEST 10: one that agrees leaves it
--- backend
    location /tag { add_header ETag 'W/"1"'; return 200 "from the record\n"; }
    location /nothing { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- init
main::record("/$_", headers => '{"ETag":"\"1\""}') for qw(tag)
--- request eval
["HEAD /tag", "GET /tag"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: HIT"]



=== TEST 11: nor does an error, or an answer that is for one client, say anything of the record
--- backend
    location /error { add_header ETag '"2"' always; return 404 "none\n"; }
    location /private { add_header Cache-Control private; return 200 "for you alone\n"; }
    location /cookie { add_header Set-Cookie a=1; return 200 "hello again\n"; }
    location /authorization { return 200 "another length\n"; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- init
main::record("/$_", headers => '{"ETag":"\"1\""}') for qw(error private cookie authorization)
--- request eval
["HEAD /error", "HEAD /private", "HEAD /cookie", "HEAD /authorization"]
--- more_headers eval
["", "", "", "Authorization: Basic eDp5"]
--- error_code eval
[404, 200, 200, 200]
--- redis
EXISTS $KEY/error $KEY/private $KEY/cookie $KEY/authorization => 4



=== TEST 12: by bypass and no_store, where HEAD is listed
--- backend
    location / { return 200 "another length\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$request_method:$uri;
        redis_cache_bypass $arg_fresh;
        redis_cache_no_store $arg_fresh;
        proxy_pass http://backend;
    }
--- init
main::record(":GET:/a")
--- request eval
["HEAD /a", "GET /a?fresh=1", "HEAD /a?fresh=1", "HEAD /a"]
--- response_headers eval
["X-Cache: HIT\nContent-Length: 16", "X-Cache: SKIP", "X-Cache: SKIP\nContent-Length: 15", "X-Cache: STORE\nContent-Length: 15"]
--- redis eval
["EXISTS \$KEY:GET:/a => 1", "EXISTS \$KEY:GET:/a => 1", "EXISTS \$KEY:GET:/a => 0", undef]
--- backend_log
GET /a?fresh=1
HEAD /a?fresh=1
GET /a



=== TEST 13: one that carries the same validator refreshes the header and the lifetime
--- backend
    location / {
        add_header ETag '"1"';
        add_header X-Method $request_method;
        add_header Cache-Control max-age=$arg_age;
        return 200 "body\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET;
        redis_cache_key $TEST_NGINX_KEY$uri;
        proxy_pass http://backend;
    }
--- request eval
["GET /a?age=30", "HEAD /a?age=300", "GET /a"]
--- response_headers eval
["X-Cache: STORE\nX-Method: GET", "X-Cache: SKIP\nX-Method: HEAD", "X-Cache: HIT\nX-Method: HEAD\nCache-Control: max-age=300\nETag: \"1\"\nContent-Length: 5"]
--- response_body eval
["body\n", "", "body\n"]
--- redis eval
["TTL \$KEY/a => 1(?:29|30)", "TTL \$KEY/a => (?:399|400)", undef]
