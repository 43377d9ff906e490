# nginx's slice module beside the cache: whole answers are stored, or the request passes.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 22;

our $Film = join '', map { sprintf "%09d\n", $_ } 1 .. 5;

run_tests();

__DATA__

=== TEST 1: $slice_range behind a variable: the slice module serves the request
--- config
    location / {
        slice 20;
        set $part $slice_range;
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$uri$part;
        proxy_set_header Range $slice_range;
        proxy_pass http://backend;
    }
--- backend
    location / { root html; }
--- backend_format
$request_uri $http_range
--- user_files eval
[["film" => $::Film]]
--- request eval
["GET /film", "GET /film"]
--- more_headers eval
["", "Range: bytes=5-14"]
--- error_code eval
[200, 206]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- response_body eval
[$::Film, substr($::Film, 5, 10)]
--- backend_log
/film bytes=0-19
/film bytes=20-39
/film bytes=40-59
/film bytes=0-19
--- redis eval
[undef, "KEYS \$KEY* => "]



=== TEST 2: in a map of the key
--- http_config
    map $slice_range $part { default $slice_range; }
--- config
    location / {
        slice 20;
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$uri$part;
        proxy_set_header Range $slice_range;
        proxy_pass http://backend;
    }
--- backend
    location / { root html; }
--- user_files eval
[["film" => $::Film]]
--- request
GET /film
--- response_headers
X-Cache: SKIP
--- response_body eval
$::Film
--- redis
KEYS $KEY* =>



=== TEST 3: with a key of its own the whole is fetched and stored, and parts are served from it
--- config
    location / {
        slice 20;
        redis_cache on;
        proxy_set_header Range $slice_range;
        proxy_pass http://backend;
    }
--- backend
    location / { root html; }
--- backend_format
$request_uri $http_range
--- user_files eval
[["film" => $::Film]]
--- request eval
["GET /film", "GET /film", "GET /film"]
--- more_headers eval
["Range: bytes=25-34", "", "Range: bytes=5-14"]
--- error_code eval
[206, 200, 206]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
[substr($::Film, 25, 10), $::Film, substr($::Film, 5, 10)]
--- backend_log eval
"/film \n"
