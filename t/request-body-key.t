# A key, or a condition, that is made of the request's body: it is evaluated when the body is here.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 62;

our $Map = <<'_END_';
    map $request_body $word {
        default  other;
        "~(one)" first;
    }
    map $request_body $private {
        default     "";
        "~(secret)" 1;
    }
_END_

# The backend answers with the body that it was sent.
our $Echo = <<'_END_';
    client_body_buffer_size 1m;
    client_body_in_single_buffer on;
    location / {
        proxy_set_header X-Body $request_body;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { access_log off; return 200 "$http_x_body\n"; }
_END_

add_block_preprocessor(sub { shift->set_value(backend => $Echo) });

run_tests();

__DATA__

=== TEST 1: two bodies, two keys
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_key $TEST_NGINX_KEY$request_uri:$request_body;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\none", "POST /a\ntwo", "POST /a\none", "POST /a\ntwo"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["one\n", "two\n", "one\n", "two\n"]



=== TEST 2: behind a map
--- http_config eval: $::Map
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_key $TEST_NGINX_KEY$request_uri:$word;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\none", "POST /a\ntwo", "POST /a\none"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["one\n", "two\n", "one\n"]



=== TEST 3: a condition
--- http_config eval: $::Map
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_bypass $private;
        redis_cache_no_store $private;
        redis_cache_key $TEST_NGINX_KEY$request_uri:$word;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\ntwo", "POST /a\nsecret", "POST /a\ntwo"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP", "X-Cache: HIT"]
--- response_body eval
["two\n", "secret\n", "two\n"]



=== TEST 4: set_md5, which runs before the body is read
--- config
    location / {
        set_md5 $cache_key $TEST_NGINX_KEY$request_uri:$request_body;
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\none", "POST /a\ntwo", "POST /a\none", "POST /a\ntwo"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["one\n", "two\n", "one\n", "two\n"]



=== TEST 5: set, which runs before the body is read, and can't be run again: such requests pass
--- config
    location / {
        set $cache_key $TEST_NGINX_KEY$request_uri:$request_body;
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\none", "POST /a\ntwo"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- after eval
sub { main::log_has('$request_body has no value: it is asked for before it is read; have it in "redis_cache_key"') }



=== TEST 6: a body in a file, which $request_body doesn't have
--- config
    client_body_buffer_size 16;
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_key $TEST_NGINX_KEY$request_uri:$request_body;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\n" . "a" x 2000, "POST /a\n" . "b" x 2000]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP"]
--- response_body eval
["a" x 2000 . "\n", "b" x 2000 . "\n"]
--- after eval
sub { main::log_has('raise "client_body_buffer_size"') }



=== TEST 7: a key without the body is as it was, wherever the body lies
--- config
    client_body_buffer_size 16;
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\n" . "a" x 2000, "POST /a\n" . "b" x 2000]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 8: what passes by its method still knows its body
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$request_uri:$request_body;
        proxy_set_body "<$request_body>";
        proxy_pass http://backend;
    }
--- request
PUT /a
one
--- response_headers
X-Cache: SKIP
--- response_body
<one>



=== TEST 9: what passes whatever its body says needn't wait for it
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET POST;
        redis_cache_bypass $http_x_pass;
        redis_cache_no_store $http_x_pass;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_pass http://backend;
    }
--- request
POST /a
one
--- more_headers
X-Pass: 1
--- response_headers
X-Cache: SKIP
--- response_body
one
