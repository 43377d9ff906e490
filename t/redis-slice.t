# redis_cache_slice: large files in slices. A range fetches the slices that it touches; conditions, several ranges and
# HEAD are as with other records, and as plain nginx has them.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 153;

# 160 kB: three slices, the last of them shorter.
our $Film = join '', map { sprintf "%09d\n", $_ } 1 .. 16_000;

our $Files = [["film" => $::Film], ["note" => "0123456789"], ["none" => ""]];
our $Format = '$request_method $request_uri $status [$http_range] [$http_if_match]';
our $Sliced = <<'END';
    redis_cache_slice 64k;
    location / { redis_cache on; proxy_pass http://backend; }
    location /plain/ { proxy_pass http://backend/; }
END

# The same request to the cache and to plain nginx.
our @Ranges = ('0-0', '5-14', '65530-65541', '100000-', '-7', '0-', '-999999', '159999-170000', '160000-', '-0', 'x',
    '9-5', '0-0,10-11', '0-1,65535-65536,-2', '5-5, 9999999-', '0-159999,0-159999');
our @Headers = map { ("Range: bytes=$_") x 2 } @Ranges;
sub twice { map { ("GET /$_[0]", "GET /plain/$_[0]") } @Ranges }

# What plain nginx says of the ranges of these bytes.
sub status {
    my ($range, $length) = @_;
    return 416 if $range =~ /x|^9-5$|^-0$|^160000-$/ || $length == 10 && $range =~ /^(?:65530|1[05]\d+)/;
    return 200 if $range =~ /^0-159999,/;
    return 206;
}

run_tests();

__DATA__

=== TEST 1: each range has the status and the length that plain nginx gives it
--- config eval: $::Sliced
--- backend
    location / { root html; }
--- user_files eval: $::Files
--- request eval: [main::twice('film')]
--- more_headers eval: \@::Headers
--- error_code eval
[map { (main::status($_, 160000)) x 2 } @::Ranges]



=== TEST 2: each single range has its bytes, wherever they lie
--- config eval: $::Sliced
--- backend
    location / { root html; }
--- user_files eval: $::Files
--- request eval
[("GET /film") x 8]
--- more_headers eval
[map { "Range: bytes=$_" } '0-0', '5-14', '65530-65541', '100000-', '-7', '0-', '-999999', '159999-170000']
--- error_code eval
[(206) x 8]
--- response_headers eval
[map { "Content-Range: bytes $_/160000" } '0-0', '5-14', '65530-65541', '100000-159999', '159993-159999', '0-159999', '0-159999', '159999-159999']
--- response_body eval
["0", substr($::Film, 5, 10), substr($::Film, 65530, 12), substr($::Film, 100000), substr($::Film, -7), $::Film, $::Film, "\n"]



=== TEST 3: slices are fetched as they are needed, once, on condition that the file is the same
--- config eval: $::Sliced
--- backend
    location / { root html; }
--- backend_format eval: $::Format
--- user_files eval: $::Files
--- request eval
["GET /film", "GET /film", "GET /film", "HEAD /film"]
--- more_headers eval
["Range: bytes=150000-150001", "Range: bytes=70000-70001", "", "Range: bytes=1-2"]
--- error_code eval
[206, 206, 200, 200]
--- response_headers_like eval
["X-Cache: STORE\nETag: \"[^\"]+\"", "X-Cache: HIT\nAge: [0-9]", "X-Cache: HIT\nContent-Length: 160000\nAccept-Ranges: bytes\n", "X-Cache: HIT\nContent-Length: 160000"]
--- response_body eval
[substr($::Film, 150000, 2), substr($::Film, 70000, 2), $::Film, ""]
--- redis eval
[undef, undef, "HGET \$KEY/film status => 206\nHGET \$KEY/film meta => .* slices=65536/160000/[0-9a-f]{16}\nHSTRLEN \$KEY/film body => 0", undef]



=== TEST 4: several ranges
--- config eval: $::Sliced
--- backend
    location / { root html; }
--- user_files eval: $::Files
--- request eval
["GET /film", "GET /film", "GET /film"]
--- more_headers eval
["Range: bytes=0-1,65535-65536,-2", "Range: bytes=5-5, 9999999-", "Range: bytes=0-159999,0-159999"]
--- error_code eval
[206, 206, 200]
--- response_headers_like eval
["Content-Type: multipart/byteranges; boundary=\\S+\n!Content-Range", "Content-Range: bytes 5-5/160000", "Content-Length: 160000"]
--- response_body_like eval
["^\r\n--(\\S+)\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/160000\r\n\r\n00\r\n--\\1\r\nContent-Type: text/plain\r\nContent-Range: bytes 65535-65536/160000\r\n\r\n..\r\n--\\1\r\nContent-Type: text/plain\r\nContent-Range: bytes 159998-159999/160000\r\n\r\n0\n\r\n--\\1--\r\n\$", "^0\$", "^000000001"]



=== TEST 5: no such range
--- config
    redis_cache_slice 64k;
    location / { redis_cache on; add_header X-Added yes always; proxy_pass http://backend; }
--- backend
    location / { root html; }
--- user_files eval: $::Files
--- request eval
["GET /film", "GET /film"]
--- more_headers
Range: bytes=160000-
--- error_code eval
[416, 416]
--- response_headers eval
[("Content-Range: bytes */160000\nX-Added: yes\nContent-Type: text/html\n! ETag\n! Accept-Ranges\n! Age") x 2]



=== TEST 6: conditions, and If-Range
--- config
    redis_cache_slice 64k;
    location / { redis_cache on; proxy_pass http://backend; }
--- backend
    location / { add_header X-Film yes; etag off; root html; add_header ETag '"abc"'; }
--- user_files eval: $::Files
--- request eval
[("GET /film") x 7]
--- more_headers eval
["", "If-None-Match: \"abc\"", "If-Match: \"old\"", "Range: bytes=0-0\nIf-Range: \"abc\"", "Range: bytes=0-0\nIf-Range: \"old\"", "Range: bytes=0-0\nIf-Range: W/\"abc\"", "Range: bytes=200000-\nIf-None-Match: \"abc\""]
--- error_code eval
[200, 304, 412, 206, 200, 200, 304]
--- response_headers eval
[("X-Film: yes") x 2, "! X-Film", ("X-Film: yes") x 4]



=== TEST 7: a file that isn't longer than a slice is a record, and so is an empty one
--- config eval: $::Sliced
--- backend
    location / { root html; }
--- backend_format eval: $::Format
--- user_files eval: $::Files
--- request eval
["GET /note", "GET /note", "GET /none", "GET /none"]
--- more_headers eval
["Range: bytes=3-4", "", "", ""]
--- error_code eval
[206, 200, 200, 200]
--- response_body eval
["34", "0123456789", "", ""]
--- response_headers eval
["X-Cache: STORE\nContent-Range: bytes 3-4/10", "X-Cache: HIT\n! Content-Range", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /note 206 [bytes=0-65535] []
GET /none 200 [bytes=0-65535] []
--- redis eval
["HGET \$KEY/note status => 200\nHGET \$KEY/note body => 0123456789", undef, undef, undef]



=== TEST 8: max_ranges of the location
--- config
    redis_cache_slice 64k;
    max_ranges 1;
    location / { redis_cache on; proxy_pass http://backend; }
    location /none/ { redis_cache on; max_ranges 0; proxy_pass http://backend/; }
--- backend
    location / { root html; }
--- user_files eval: $::Files
--- request eval
["GET /film", "GET /film", "GET /none/film"]
--- more_headers eval
["Range: bytes=0-0", "Range: bytes=0-0,5-5", "Range: bytes=0-0"]
--- error_code eval
[206, 200, 200]



=== TEST 9: redis_cache_bypass fetches the file anew, and redis_cache_no_store leaves it to the backend
--- config
    redis_cache_slice 64k;
    location / { redis_cache on; redis_cache_bypass $arg_new; redis_cache_no_store $arg_off; redis_cache_key $TEST_NGINX_KEY$uri; proxy_pass http://backend; }
--- backend
    location / { root html; }
--- backend_format
$request_uri $status $http_range
--- user_files eval: $::Files
--- request eval
["GET /film?off=1", "GET /film", "GET /film?new=1", "GET /film"]
--- more_headers
Range: bytes=10-19
--- error_code eval
[206, 206, 206, 206]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("000000002\n") x 4]



=== TEST 10: a location without slices serves what another has stored so
--- config
    location / { redis_cache on; redis_cache_slice 64k; redis_cache_key $TEST_NGINX_KEY/x; proxy_pass http://backend; }
    location /off/ { redis_cache on; redis_cache_slice off; redis_cache_key $TEST_NGINX_KEY/x; proxy_pass http://backend/; }
    location /on/ { redis_cache on; redis_cache_slice 128k; redis_cache_key $TEST_NGINX_KEY/x; proxy_pass http://backend/; }
--- backend
    location / { root html; }
--- backend_format
$request_uri $http_range
--- user_files eval: $::Files
--- request eval
["GET /film", "GET /off/film", "GET /on/film"]
--- more_headers eval
["Range: bytes=0-0", "Range: bytes=65536-65536", "Range: bytes=140000-140009"]
--- error_code eval
[206, 206, 206]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- backend_log
/film bytes=0-65535
/film bytes=65536-131071
/film bytes=131072-159999
