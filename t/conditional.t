# Conditions and ranges are answered from the record by nginx's own filters; the
# fill of a missing record has none of them, so that the whole is stored.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 82;

our $Validators = '{"Content-Type":"text\/plain","ETag":"\"abc\"","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}';

run_tests();

__DATA__

=== TEST 1: If-None-Match that matches: 304
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a", "HEAD /a"]
--- more_headers eval
['If-None-Match: "abc"', 'If-None-Match: "x", W/"abc"', 'If-None-Match: *', 'If-None-Match: "abcd"', 'If-None-Match: "abc"']
--- error_code eval
[304, 304, 304, 200, 304]
--- response_headers eval
[("X-Cache: HIT\nETag: \"abc\"") x 5]
--- response_body eval
["", "", "", "from the record\n", ""]
--- backend_log



=== TEST 2: If-Modified-Since
--- config
    location / { redis_cache on; if_modified_since before; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT",
 "If-Modified-Since: Sat, 02 Jan 2010 04:00:00 GMT",
 "If-Modified-Since: Sat, 02 Jan 2010 03:00:00 GMT"]
--- error_code eval
[304, 304, 200]
--- response_headers eval
[("X-Cache: HIT\nLast-Modified: Sat, 02 Jan 2010 03:04:05 GMT") x 3]
--- response_body eval
["", "", "from the record\n"]



=== TEST 3: on a stale record, too, and it is refilled all the same
--- backend_format
$request_method $request_uri [$http_if_none_match]
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, ttl => 50)
--- request
GET /a
--- more_headers
If-None-Match: "abc"
--- error_code: 304
--- response_headers
X-Cache: STALE
--- response_body chomp
--- redis
HGET $KEY/a body => from the backend\n
--- backend_log
GET /a []



=== TEST 4: a record without validators gives no 304
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
['If-None-Match: "abc"', "If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "from the record\n"]



=== TEST 5: on a miss the backend isn't asked conditionally; the whole is stored
--- backend_format
$request_method $request_uri [$http_if_none_match$http_if_modified_since] $status
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files
>>> page.txt 201001020304.05
from the disk
--- request eval
["GET /page.txt", "GET /page.txt"]
--- more_headers eval
["If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT", ""]
--- error_code eval
[304, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["", "from the disk\n"]
--- backend_log
GET /page.txt [] 200



=== TEST 6: a range of a record
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=2-4", "Range: bytes=-3", "Range: bytes=20-", qq{Range: bytes=0-0\nIf-Range: "abc"}, qq{Range: bytes=0-0\nIf-Range: "old"}]
--- error_code eval
[206, 206, 416, 206, 200]
--- response_headers eval
["X-Cache: HIT\nContent-Range: bytes 2-4/10", "X-Cache: HIT\nContent-Range: bytes 7-9/10",
 "Content-Range: bytes */10", "X-Cache: HIT\nContent-Range: bytes 0-0/10", "X-Cache: HIT\n! Content-Range"]
--- response_body_like eval
["^234\$", "^789\$", "416", "^0\$", "^0123456789\$"]



=== TEST 7: on a miss the backend isn't asked for a range; the whole is stored
--- backend_format
$request_method $request_uri [$http_range] $status
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files
>>> page.txt
0123456789
--- request eval
["GET /page.txt", "GET /page.txt"]
--- more_headers eval
["Range: bytes=2-4", ""]
--- error_code eval
[206, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["234", "0123456789\n"]
--- backend_log
GET /page.txt [] 200



=== TEST 8: If-Match
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["If-Match: \"other\"", "If-Match: \"abc\""]
--- error_code eval
[412, 200]



=== TEST 9: several ranges at once
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request
GET /a
--- more_headers
Range: bytes=0-1,8-9
--- error_code: 206
--- response_headers_like
Content-Type: multipart/byteranges; boundary=.*
--- response_body_like: Content-Range: bytes 0-1/10.*01.*Content-Range: bytes 8-9/10.*89
