# Ranges (RFC 9110 14): cut by nginx from a record, or from the answer of a fill as
# it streams. The backend is never asked for a part.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 236;

our $Validators = '{"Content-Type":"text\/plain","ETag":"\"abc\"","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}';
our $Weak       = '{"Content-Type":"text\/plain","ETag":"W\/\"abc\""}';
our $Format     = '$request_method $request_uri [$http_range$http_if_range] $status';

sub young { '{"Last-Modified":"' . main::http_date(0) . '"}' }

run_tests();

__DATA__

=== TEST 1: 14.1.2 one range of a record
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request eval
[("GET /a") x 7]
--- more_headers eval
["Range: bytes=2-4", "Range: bytes=7-", "Range: bytes=-3", "Range: bytes=-30", "Range: bytes=8-100", "Range: BYTES=0-0", "Range: bytes= 1 - 2 "]
--- error_code eval
[(206) x 7]
--- response_headers_like eval
[map { "X-Cache: HIT\nETag: \"abc\"\nContent-Type: text/plain\nAge: [0-9]\nContent-Range: bytes $_/10" } qw(2-4 7-9 7-9 0-9 8-9 0-0 1-2)]
--- response_body eval
["234", "789", "789", "0123456789", "89", "0", "12"]
--- backend_log



=== TEST 2: 14.6 several ranges of a record
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=0-1,-2", "Range: bytes=4-4, 40-50", "Range: bytes=0-1,8-9\nIf-Range: \"abc\""]
--- error_code eval
[206, 206, 206]
--- response_headers_like eval
["Content-Type: multipart/byteranges; boundary=\\S+", "Content-Range: bytes 4-4/10", "Content-Type: multipart/byteranges; boundary=.*"]
--- response_body_like eval
["--\\S+\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n--\\S+\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n--\\S+--\r\n\$",
 "^4\$", "bytes 0-1/10.*bytes 8-9/10"]



=== TEST 3: 15.5.17 no such range, and the error page isn't described by the record
--- config
    location / { redis_cache on; add_header X-Added yes always; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"ETag":"\"abc\"","Cache-Control":"max-age=60","Content-Encoding":"br","Content-Language":"en"}', body => "0123456789")
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=10-", "Range: bytes=20-30, 40-50"]
--- error_code eval
[416, 416]
--- response_headers eval
[("Content-Range: bytes */10\nX-Cache: HIT\nX-Added: yes\nContent-Type: text/html\n! ETag\n! Cache-Control\n! Content-Encoding\n! Content-Language\n! Accept-Ranges\n! Age") x 2]
--- response_body_like eval
[("416 (?:Requested )?Range Not Satisfiable") x 2]
--- raw_response_headers_unlike eval
[("X-Added: yes.*X-Added: yes") x 2]



=== TEST 4: 13.1.5 If-Range
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789");
main::record('/weak', headers => $main::Weak, body => "0123456789");
main::record('/young', headers => main::young(), body => "0123456789")
--- request eval
["GET /a", "GET /a", "GET /a", "GET /weak", "GET /weak", "GET /a", "GET /a", "GET /a", "GET /young", "GET /a"]
--- more_headers eval
[map { "Range: bytes=0-0\nIf-Range: $_" } '"abc"', '"old"', 'W/"abc"', 'W/"abc"', '"abc"',
 'Sat, 02 Jan 2010 03:04:05 GMT', 'Sat, 02 Jan 2010 03:04:06 GMT', 'yesterday', main::http_date(0), '']
--- error_code eval
[206, 200, 200, 200, 200, 206, 200, 200, 200, 200]
--- response_headers eval
[("X-Cache: HIT") x 10]



=== TEST 5: 13.2.2 the other conditions come first
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request eval
[("GET /a") x 4]
--- more_headers eval
[qq{Range: bytes=0-0\nIf-None-Match: "abc"}, qq{Range: bytes=0-0\nIf-Match: "old"}, qq{Range: bytes=20-\nIf-None-Match: "abc"}, qq{Range: bytes=0-0\nIf-Match: "abc"}]
--- error_code eval
[304, 412, 304, 206]
--- response_headers eval
[("! Content-Range") x 3, "Content-Range: bytes 0-0/10"]



=== TEST 6: 14.2 Range is for GET and 200 only
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET HEAD POST;
        redis_cache_valid any;
        proxy_pass http://backend;
    }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789");
main::record('/404', status => 404, body => "0123456789");
main::record('/203', status => 203, body => "0123456789")
--- request eval
["HEAD /a", "POST /a", "GET /404", "GET /203", "HEAD /a"]
--- more_headers eval
["Range: bytes=0-0", "Range: bytes=0-0", "Range: bytes=0-0", "Range: bytes=0-0", "Range: bytes=20-"]
--- error_code eval
[200, 200, 404, 203, 200]
--- response_headers eval
[("X-Cache: HIT\nContent-Length: 10\n! Content-Range") x 5]



=== TEST 7: a stale record; the refill behind it is asked for the whole
--- backend_format eval: $main::Format
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record($_, headers => $main::Validators, body => "0123456789", ttl => 50) for qw(/a /b)
--- request eval
["GET /a", "GET /b"]
--- more_headers eval
["Range: bytes=2-4\nIf-Range: \"abc\"", "Range: bytes=20-"]
--- error_code eval
[206, 416]
--- response_headers eval
["X-Cache: STALE\nContent-Range: bytes 2-4/10", "X-Cache: STALE\nContent-Range: bytes */10"]
--- response_body_like eval
["^234\$", "416"]
--- redis eval
['HGET $KEY/a body => from the backend\n', 'HGET $KEY/b body => from the backend\n']
--- backend_log
GET /a [] 200
GET /b [] 200



=== TEST 8: on a miss the whole is fetched and stored, and the client gets its part of it
--- backend_format eval: $main::Format
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files
>>> one.txt 201001020304.05
0123456789
>>> two.txt 201001020304.05
0123456789
>>> three.txt 201001020304.05
0123456789
>>> four.txt 201001020304.05
0123456789
>>> five.txt 201001020304.05
0123456789
>>> six.txt 201001020304.05
0123456789
--- request eval
["GET /one.txt", "GET /one.txt", "GET /two.txt", "GET /three.txt", "GET /four.txt", "GET /five.txt", "GET /six.txt", "HEAD /six.txt"]
--- more_headers eval
["Range: bytes=2-4", "Range: bytes=3-3", "Range: bytes=-2", "Range: bytes=20-", "Range: bytes=0-0\nIf-Range: \"old\"",
 "Range: bytes=0-0\nIf-Range: Sat, 02 Jan 2010 03:04:05 GMT", "Range: bytes=0-1,4-5", "Range: bytes=0-1"]
--- error_code eval
[206, 206, 206, 416, 200, 206, 200, 200]
--- response_headers eval
["X-Cache: STORE\nContent-Length: 3\nContent-Range: bytes 2-4/11", "X-Cache: HIT\nContent-Range: bytes 3-3/11",
 "X-Cache: STORE\nContent-Range: bytes 9-10/11", "X-Cache: STORE\nContent-Range: bytes */11\n! Last-Modified",
 "X-Cache: STORE\nContent-Length: 11", "X-Cache: STORE\nContent-Length: 1",
 "X-Cache: STORE\nContent-Length: 11\n! Content-Range\nAccept-Ranges: bytes", "X-Cache: HIT\nContent-Length: 11"]
--- response_body_like eval
["^234\$", "^3\$", "^9\n\$", "416", "^0123456789\n\$", "^0\$", "^0123456789\n\$", "^\$"]
--- redis eval
['HGET $KEY/one.txt body => 0123456789\n', undef, 'HGET $KEY/two.txt body => 0123456789\n',
 'HGET $KEY/three.txt body => 0123456789\n', 'HGET $KEY/four.txt body => 0123456789\n',
 'HGET $KEY/five.txt body => 0123456789\n', 'HGET $KEY/six.txt body => 0123456789\n', undef]
--- backend_log
GET /one.txt [] 200
GET /two.txt [] 200
GET /three.txt [] 200
GET /four.txt [] 200
GET /five.txt [] 200
GET /six.txt [] 200



=== TEST 9: an answer of unknown length is sent whole; its record has parts
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; ssi on; ssi_types text/plain; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- user_files
>>> one.txt
0123456789
--- request eval
["GET /one.txt", "GET /one.txt"]
--- more_headers
Range: bytes=2-4
--- error_code eval
[200, 206]
--- response_headers eval
["X-Cache: STORE\n! Content-Range\n! Accept-Ranges", "X-Cache: HIT\nContent-Range: bytes 2-4/11"]
--- response_body eval
["0123456789\n", "234"]
--- redis eval
['HGET $KEY/one.txt body => 0123456789\n', undef]



=== TEST 10: max_ranges
--- config
    location / { redis_cache on; max_ranges 1; proxy_pass http://backend; }
    location /off { redis_cache on; max_ranges 0; proxy_pass http://backend; }
--- init
main::record($_, body => "0123456789") for qw(/a /off)
--- request eval
["GET /a", "GET /a", "GET /off"]
--- more_headers eval
["Range: bytes=0-0", "Range: bytes=0-0,2-2", "Range: bytes=0-0"]
--- error_code eval
[206, 200, 200]
--- response_headers eval
["Content-Range: bytes 0-0/10", "Accept-Ranges: bytes", "! Accept-Ranges"]



=== TEST 11: 17.15 lists that would make more of the answer than it is
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', body => "0123456789" x 10)
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=0-,0-", "Range: bytes=0-60,40-99", "Range: bytes=" . CORE::join(',', map { 2 * $_ . '-' . 2 * $_ } 0 .. 40),
 "Range: bytes=" . CORE::join(',', map { 10 * $_ . '-' . 10 * $_ } 0 .. 9)]
--- error_code eval
[200, 200, 200, 206]
--- response_headers eval
[("Content-Length: 100\nAccept-Ranges: bytes") x 3, "X-Cache: HIT"]



=== TEST 12: what makes no sense
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', body => "0123456789");
main::record('/empty', body => "")
--- request eval
["GET /a", "GET /a", "GET /a", "GET /empty"]
--- more_headers eval
["Range: lines=0-1", "Range: 0-1", "Range: bytes=5-2", "Range: bytes=0-0"]
--- error_code eval
[200, 200, 416, 200]



=== TEST 13: Accept-Ranges of the backend says nothing of the record, as with proxy_cache
--- backend
    location / { add_header Accept-Ranges none; return 200 "0123456789"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=2-4", "Range: bytes=2-4", ""]
--- error_code eval
[206, 206, 200]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT\nAccept-Ranges: bytes"]
--- redis eval
['HGET $KEY/a body => 0123456789', undef, undef]



=== TEST 14: a location that passes these fields on by name has none to pass on in a fill
--- backend_format eval: $main::Format
--- backend
    location / { root $TEST_NGINX_SERVER_ROOT/html; }
--- config
    location / {
        redis_cache on;
        set $seen "$http_range$http_if_none_match$http_if_range";
        proxy_set_header Range $http_range;
        proxy_set_header If-Range $http_if_range;
        proxy_set_header If-None-Match $http_if_none_match;
        add_header X-Seen $seen;
        proxy_pass http://backend;
    }
--- user_files
>>> one.txt
0123456789
--- request eval
["GET /one.txt", "GET /one.txt"]
--- more_headers eval
["Range: bytes=2-4", "If-None-Match: *"]
--- error_code eval
[206, 304]
--- response_headers eval
["X-Cache: STORE\nX-Seen: bytes=2-4", "X-Cache: HIT\nX-Seen: *"]
--- redis eval
['HGET $KEY/one.txt body => 0123456789\n', undef]
--- backend_log
GET /one.txt [] 200



=== TEST 15: a filter that changes the body sends it whole
--- config
    location / {
        redis_cache on;
        gzip on;
        gzip_types text/plain;
        gzip_min_length 1;
        proxy_pass http://backend;
    }
--- init
main::record('/a', headers => $main::Validators, body => "0123456789")
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["Range: bytes=2-4\nAccept-Encoding: gzip", "Range: bytes=2-4"]
--- error_code eval
[200, 206]
