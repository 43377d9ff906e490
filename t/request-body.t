# A request's body reaches the backend whole, whatever the method, the size and
# the way it goes: in a fill, in a refill, or past the cache.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 74;

our $Large = join '', map { "line $_ of the body\n" } 1 .. 15_000;
chomp $Large;

our $FiveRequests = join '', map { "$_ /a 10 name=value\n" } qw(PUT DELETE PATCH OPTIONS PURGE);

# The backend reads the body, for its log.
our $Backend = <<'END';
    client_body_buffer_size 1m;
    client_body_in_single_buffer on;
    location / {
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/backend.sock:/end/;
    }
    location /end/ { access_log off; return 200 "from the backend\n"; }
END

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(backend => $Backend);
    $block->set_value(backend_format => '$request_method $request_uri $content_length $request_body');
});

run_tests();

__DATA__

=== TEST 1: past the cache: a method that isn't listed
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
POST /a
name=value
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- backend_log
POST /a 10 name=value



=== TEST 2: past the cache: 300 kB
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
"POST /a\n$main::Large"
--- response_headers
X-Cache: SKIP
--- backend_log eval
"POST /a " . length($main::Large) . " $main::Large\n"



=== TEST 3: a fill: in memory
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- request eval
["POST /a\nname=value", "POST /a\nname=other"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["from the backend\n", "from the backend\n"]
--- backend_log
POST /a 10 name=value



=== TEST 4: a fill: 300 kB, from nginx's temporary file
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- request eval
"POST /a\n$main::Large"
--- response_headers
X-Cache: STORE
--- response_body
from the backend
--- backend_log eval
"POST /a " . length($main::Large) . " $main::Large\n"



=== TEST 5: a fill: always from a file
--- config
    location / {
        client_body_in_file_only clean;
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- request
POST /a
name=value
--- response_headers
X-Cache: STORE
--- backend_log
POST /a 10 name=value



=== TEST 6: a fill: chunked by the client
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- more_headers
Transfer-Encoding: chunked
--- request eval
"POST /a\n5\r\nname=\r\n5\r\nvalue\r\n0\r\n\r\n"
--- response_headers
X-Cache: STORE
--- backend_log
POST /a 10 name=value



=== TEST 7: a fill: in pieces
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- request eval
[["POST /a\nna", { value => "me=v", delay_before => 0.1 }, { value => "alue", delay_before => 0.1 }], "POST /a\nx"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
POST /a 10 name=value



=== TEST 8: a fill through $cache_backend
--- config
    location /cached {
        set $cache_backend /fallback;
        redis_cache on;
        redis_cache_methods GET POST;
    }
    location /fallback { internal; proxy_pass http://backend; }
--- request eval
"POST /cached/a\n$main::Large"
--- response_headers
X-Cache: STORE
--- backend_log eval
"POST /fallback/cached/a " . length($main::Large) . " $main::Large\n"



=== TEST 9: past the cache through $cache_backend
--- config
    location /cached {
        set $cache_backend /fallback;
        redis_cache on;
    }
    location /fallback { internal; proxy_pass http://backend; }
--- request
POST /cached/a
name=value
--- response_headers
X-Cache: SKIP
--- backend_log
POST /fallback/cached/a 10 name=value



=== TEST 10: a refill
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 50)
--- request eval
"POST /a\n$main::Large"
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- redis
HGET $KEY/a body => from the backend\n
--- backend_log eval
"POST /a " . length($main::Large) . " $main::Large\n"



=== TEST 11: PUT, DELETE, PATCH, OPTIONS and PURGE with a body
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[map { "$_ /a\nname=value" } qw(PUT DELETE PATCH OPTIONS PURGE)]
--- response_headers eval
[("X-Cache: SKIP") x 5]
--- response_body eval
[("from the backend\n") x 5]
--- timeout: 10
--- backend_log eval
$main::FiveRequests



=== TEST 12: GET with a body: the key doesn't say what is in it
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a\nname=value", "GET /a\nname=other"]
--- response_headers eval
[("X-Cache: SKIP") x 2]
--- response_body eval
[("from the backend\n") x 2]
--- timeout: 10
--- backend_log
GET /a 10 name=value
GET /a 10 name=other



=== TEST 13: an answer from a record leaves the connection ready for the next request
--- config
    location / { redis_cache on; redis_cache_methods GET POST; proxy_pass http://backend; }
--- init
main::record('/a')
--- pipelined_requests eval
["POST /a\n$main::Large", "POST /a\nname=value", "GET /a"]
--- response_headers eval
[("X-Cache: HIT") x 3]
--- response_body eval
[("from the record\n") x 3]
--- timeout: 10



=== TEST 14: a body that is too large for the location
--- config
    location / {
        client_max_body_size 1k;
        redis_cache on;
        redis_cache_methods GET POST;
        proxy_pass http://backend;
    }
--- request eval
"POST /a\n" . "x" x 2000
--- error_code: 413
--- redis
EXISTS $KEY/a => 0
