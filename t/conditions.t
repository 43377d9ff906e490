# Conditional requests as RFC 9110 13 orders them, where nginx's own filter has
# other ideas too: on a record, fresh or stale, and on the answer of a fill.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 193;

our $Validators = '{"Content-Type":"text\/plain","ETag":"\"abc\"","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}';
our $Weak       = '{"Content-Type":"text\/plain","ETag":"W\/\"abc\""}';
our $Dated      = '{"Content-Type":"text\/plain","Last-Modified":"Sat, 02 Jan 2010 03:04:05 GMT"}';

our $Then    = 'Sat, 02 Jan 2010 03:04:05 GMT';
our $Earlier = 'Sat, 02 Jan 2010 03:04:04 GMT';
our $Later   = 'Sat, 02 Jan 2010 03:04:06 GMT';

# A backend that has validators and says what it was asked.
our $Backend = q{
    location / {
        add_header ETag '"v1"';
        add_header Last-Modified "Sat, 02 Jan 2010 03:04:05 GMT";
        default_type text/plain;
        return 200 "from the backend\n";
    }
};
our $Format = '$request_method $request_uri [$http_if_match$http_if_none_match$http_if_modified_since$http_if_unmodified_since]';

run_tests();

__DATA__

=== TEST 1: 13.2.2 If-Match comes before If-Unmodified-Since, on a hit
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
[("GET /a") x 6]
--- more_headers eval
[qq{If-Match: "abc"\nIf-Unmodified-Since: $main::Earlier}, qq{If-Match: "other"\nIf-Unmodified-Since: $main::Later},
 'If-Match: W/"abc"', 'If-Match: "x,", "abc"', 'If-Match: *', 'If-Match: "abcd", "ab"']
--- error_code eval
[200, 412, 412, 200, 200, 412]
--- response_headers eval
[("X-Cache: HIT") x 6]
--- response_body_like eval
["from the record", "412 Precondition Failed", "412 Precondition Failed", "from the record", "from the record", "412"]
--- backend_log



=== TEST 2: 13.1.1 weak tags never match If-Match, 13.1.2 but If-None-Match
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Weak)
--- request eval
[("GET /a") x 4]
--- more_headers eval
['If-Match: W/"abc"', 'If-Match: "abc"', 'If-None-Match: W/"abc"', 'If-None-Match: "x", "abc"']
--- error_code eval
[412, 412, 304, 304]
--- response_headers eval
["! ETag", "! ETag", 'ETag: W/"abc"', 'ETag: W/"abc"']



=== TEST 3: 13.1.4 If-Unmodified-Since
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Dated);
main::record('/bare')
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a", "GET /bare"]
--- more_headers eval
["If-Unmodified-Since: $main::Earlier", "If-Unmodified-Since: $main::Then", "If-Unmodified-Since: $main::Later",
 "If-Unmodified-Since: yesterday", "If-Unmodified-Since: $main::Earlier"]
--- error_code eval
[412, 200, 200, 200, 200]
--- response_headers eval
[("X-Cache: HIT") x 5]



=== TEST 4: 13.2.2 If-None-Match comes before If-Modified-Since
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators);
main::record('/dated', headers => $main::Dated)
--- request eval
["GET /a", "GET /a", "HEAD /a", "GET /dated"]
--- more_headers eval
[qq{If-None-Match: "abc"\nIf-Modified-Since: $main::Earlier}, qq{If-None-Match: "other"\nIf-Modified-Since: $main::Later},
 qq{If-None-Match: "abc"\nIf-Modified-Since: $main::Earlier}, qq{If-None-Match: "abc"\nIf-Modified-Since: $main::Later}]
--- error_code eval
[304, 200, 304, 200]



=== TEST 5: 13.1.3 If-Modified-Since, whichever way nginx would compare dates
--- config
    location / { redis_cache on; proxy_pass http://backend; }
    location /exact { redis_cache on; if_modified_since exact; proxy_pass http://backend; }
    location /before { redis_cache on; if_modified_since before; proxy_pass http://backend; }
--- init
main::record($_, headers => $main::Dated) for qw(/a /exact /before)
--- request eval
["GET /a", "GET /a", "GET /a", "GET /exact", "GET /before", "GET /a"]
--- more_headers eval
["If-Modified-Since: $main::Then", "If-Modified-Since: $main::Later", "If-Modified-Since: $main::Earlier",
 "If-Modified-Since: $main::Later", "If-Modified-Since: $main::Later", "If-Modified-Since: yesterday"]
--- error_code eval
[304, 304, 200, 304, 304, 200]



=== TEST 6: if_modified_since off: no 304 by date, but by tag
--- config
    location / { redis_cache on; if_modified_since off; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["If-Modified-Since: $main::Then", 'If-None-Match: "abc"']
--- error_code eval
[200, 304]



=== TEST 7: RFC 9111 4.3.2: without Last-Modified the record's Date counts
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a')
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["If-Modified-Since: " . main::http_date(3600), "If-Modified-Since: " . main::http_date(-60)]
--- error_code eval
[304, 200]



=== TEST 8: RFC 9110 15.4.5: what a 304 says, and what it doesn't
--- config
    location / {
        redis_cache on;
        redis_cache_ignore_headers Vary;
        add_header X-Added yes;
        proxy_pass http://backend;
    }
--- init
main::record('/a', headers => '{"Content-Type":"text\/plain","ETag":"\"abc\"","Cache-Control":["max-age=60","public"],'
  . '"Content-Location":"\/b","Expires":"Sat, 02 Jan 2100 03:04:05 GMT","Vary":"X","Content-Language":"en",'
  . '"Content-Encoding":"br","Content-Length":"16","Accept-Ranges":"bytes","Link":"<a>"}')
--- request
GET /a
--- more_headers
If-None-Match: "abc"
--- error_code: 304
--- response_headers
ETag: "abc"
Cache-Control: max-age=60, public
Content-Location: /b
Expires: Sat, 02 Jan 2100 03:04:05 GMT
Vary: X
X-Cache: HIT
X-Added: yes
Link: <a>
! Content-Type
! Content-Length
! Content-Encoding
! Content-Language
! Accept-Ranges
! Transfer-Encoding
--- raw_response_headers_like: \r\nDate: \w+, \d\d.*\r\nAge: [0-9]\r\n
--- response_body chomp



=== TEST 9: a 412 is nginx's own page, not described by the record
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Content-Type":"text\/plain","ETag":"\"abc\"","Cache-Control":"max-age=60","Content-Encoding":"br"}')
--- request eval
["GET /a", "HEAD /a"]
--- more_headers
If-Match: "other"
--- error_code eval
[412, 412]
--- response_headers eval
[("Content-Type: text/html\nX-Cache: HIT\n! ETag\n! Cache-Control\n! Content-Encoding\n! Age") x 2]
--- response_body_like eval
["<center><h1>412 Precondition Failed</h1></center>", "^\$"]



=== TEST 10: error_page for it
--- config
    location / { redis_cache on; error_page 412 =200 /sorry; proxy_pass http://backend; }
    location = /sorry { internal; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files
>>> sorry
not so
--- init
main::record('/a', headers => $main::Validators)
--- request
GET /a
--- more_headers
If-Match: "other"
--- error_code: 200
--- response_body
not so



=== TEST 11: 13.1.2 a listed POST whose If-None-Match matches: 412
--- config
    location / { redis_cache on; redis_cache_methods GET HEAD POST; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
[("POST /a\nx=1") x 4]
--- more_headers eval
['If-None-Match: "abc"', 'If-None-Match: "other"', "If-Modified-Since: $main::Later", 'If-Match: "other"']
--- error_code eval
[412, 200, 200, 412]
--- response_headers eval
[("X-Cache: HIT") x 4]
--- backend_log



=== TEST 12: on a miss it is for the backend to say whether a POST is carried out
--- backend_format eval: $main::Format
--- config
    location / { redis_cache on; redis_cache_methods GET HEAD POST; proxy_pass http://backend; }
--- request eval
["POST /a\nx=1", "POST /a\nx=1", "POST /a\nx=1"]
--- more_headers eval
['If-Match: "abc"', 'If-None-Match: "abc"', '']
--- error_code eval
[412, 200, 200]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE"]
--- backend_log
POST /a ["abc"]
POST /a ["abc"]
POST /a []



=== TEST 13: a stale record
--- backend_format eval: $main::Format
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record($_, headers => $main::Validators, ttl => 50) for qw(/a /b)
--- request eval
["GET /a", "GET /b"]
--- more_headers eval
[qq{If-None-Match: "abc"\nIf-Modified-Since: $main::Earlier}, qq{If-Match: "other"}]
--- error_code eval
[304, 412]
--- response_headers eval
["X-Cache: STALE\nETag: \"abc\"", "X-Cache: STALE"]
--- redis eval
[undef, 'HGET $KEY/a body => from the backend\n' . "\n" . 'HGET $KEY/b body => from the backend\n']
--- backend_log
GET /a []
GET /b []



=== TEST 14: on a miss the whole answer is fetched and stored, and the client gets its 304 from it
--- backend eval: $main::Backend
--- backend_format eval: $main::Format
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /b", "GET /c", "GET /c", "HEAD /d"]
--- more_headers eval
[qq{If-None-Match: "v0", W/"v1"\nIf-Modified-Since: $main::Earlier}, '', "If-Modified-Since: $main::Later",
 'If-Match: "v0"', '', 'If-None-Match: "v1"']
--- error_code eval
[304, 200, 304, 412, 200, 304]
--- response_headers eval
["X-Cache: STORE\nETag: \"v1\"\n! Content-Type\n! Content-Length", "X-Cache: HIT", "X-Cache: STORE",
 "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- response_body_like eval
["^\$", "from the backend", "^\$", "412 Precondition Failed", "from the backend", "^\$"]
--- redis eval
['HGET $KEY/a body => from the backend\n', undef, 'HGET $KEY/b body => from the backend\n',
 'HGET $KEY/c body => from the backend\n', undef, 'HGET $KEY/d body => from the backend\n']
--- backend_log
GET /a []
GET /b []
GET /c []
GET /d []



=== TEST 15: so it is with an answer that isn't stored
--- backend
    location / {
        add_header ETag '"v1"';
        add_header Cache-Control private;
        return 200 "for one\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /b"]
--- more_headers eval
['If-None-Match: "v1"', 'If-Match: "v0"']
--- error_code eval
[304, 412]
--- response_headers eval
["X-Cache: SKIP\nCache-Control: private", "X-Cache: SKIP"]



=== TEST 16: 13.2.1 conditions count for successes only
--- backend
    location / { add_header ETag '"v1"' always; return 404 "nothing\n"; }
    location /other { add_header ETag '"v1"' always; return 203 "other\n"; }
--- config
    location / { redis_cache on; redis_cache_valid any; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a", "GET /other", "GET /other", "GET /other"]
--- more_headers eval
[('If-None-Match: "v1"', 'If-None-Match: "v1"', 'If-Match: "v0"') x 2]
--- error_code eval
[404, 404, 404, 304, 304, 412]
--- redis eval
['HGET $KEY/a status => 404', undef, undef, 'HGET $KEY/other status => 203', undef, undef]



=== TEST 17: gzip weakens the tag, and the weakened one still matches
--- config
    location / {
        redis_cache on;
        gzip on;
        gzip_types text/plain;
        gzip_min_length 1;
        proxy_pass http://backend;
    }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Accept-Encoding: gzip", qq{Accept-Encoding: gzip\nIf-None-Match: W/"abc"}, 'If-None-Match: W/"abc"']
--- error_code eval
[200, 304, 304]
--- response_headers eval
["ETag: W/\"abc\"\nContent-Encoding: gzip", "! Content-Encoding", "! Content-Encoding"]



=== TEST 18: RFC 9110 8.8.3: quotes may hold commas; a backend's tag without quotes comes back so
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"ETag":"\"x,y\""}');
main::record('/b', headers => '{"ETag":"abc"}')
--- request eval
["GET /a", "GET /a", "GET /b", "GET /b"]
--- more_headers eval
['If-None-Match: "a,b" , "x,y"', 'If-None-Match: "x", y"', 'If-None-Match: abc', 'If-None-Match: "abc"']
--- error_code eval
[304, 200, 304, 200]



=== TEST 19: variables say what the client was sent
--- config
    location / {
        redis_cache on;
        add_header X-Status "$redis_cache_status $redis_cache_reason $redis_cache_age" always;
        proxy_pass http://backend;
    }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
['If-None-Match: "abc"', 'If-Match: "other"']
--- error_code eval
[304, 412]
--- response_headers_like eval
[("X-Status: HIT fresh [0-9]") x 2]



=== TEST 20: 5.3 of these fields nginx takes one line only
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => $main::Validators)
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
[qq{If-None-Match: "x"\nIf-None-Match: "abc"}, qq{If-Match: "x"\nIf-Match: "abc"}, qq{If-Modified-Since: $main::Then\nIf-Modified-Since: $main::Then}]
--- error_code eval
[400, 400, 400]
--- backend_log



=== TEST 21: a record to be validated: the backend is asked about the record's tag, the client about its own
--- backend_format: $request_method $request_uri [$http_if_none_match$http_if_match$http_range]
--- backend
    location / {
        add_header ETag '"abc"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match = '"abc"') { return 304; }
        return 200 "from the backend\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[(map { "GET /$_" } qw(a b c d)) x 2]
--- more_headers eval
[('') x 4, 'If-None-Match: "x", W/"abc"', 'If-None-Match: "x"', 'If-Match: "x"', 'Range: bytes=5-7']
--- after eval
[(map { my $uri = "/$_"; sub { main::age($uri, 50) } } qw(a b c d)), (undef) x 4]
--- error_code eval
[(200) x 4, 304, 200, 412, 206]
--- response_headers eval
[("X-Cache: STORE") x 4, ("X-Cache: HIT") x 4]
--- response_body_like eval
[("^from the backend\n\$") x 4, "^\$", "^from the backend\n\$", "412", "^the\$"]
--- backend_log
GET /a []
GET /b []
GET /c []
GET /d []
GET /a ["abc"]
GET /b ["abc"]
GET /c ["abc"]
GET /d ["abc"]
