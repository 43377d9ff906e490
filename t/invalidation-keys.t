# Which keys a change ends: what `map` makes of the method counts as for a GET, and a MOVE changes its destination.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 52;

our $Map = <<'_END_';
    map $request_method $kind {
        default read;
        DELETE  change;
        HEAD    head;
    }
    map $kind $sort { default "<$kind>"; }
_END_

run_tests();

__DATA__

=== TEST 1: a key with a map of the method
--- http_config eval: $::Map
--- config
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$kind:$uri;
        add_header X-Kind $kind;
        proxy_pass http://backend;
    }
--- init
main::record(':read:/a')
--- request eval
["GET /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT\nX-Kind: read", "X-Cache: SKIP\nX-Kind: change", "X-Cache: STORE\nX-Kind: read"]



=== TEST 2: the map's value is known before the key is made
--- http_config eval: $::Map
--- config
    location / {
        if ($kind = nothing) { return 403; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$kind:$uri;
        proxy_pass http://backend;
    }
--- init
main::record(':read:/a')
--- request eval
["GET /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 3: a map of a map
--- http_config eval: $::Map
--- config
    location / {
        if ($sort = nothing) { return 403; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$sort:$uri;
        proxy_pass http://backend;
    }
--- init
main::record(':<read>:/a')
--- request eval
["GET /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 4: set_md5
--- http_config eval: $::Map
--- config
    location / {
        set_md5 $cache_key $TEST_NGINX_KEY:$kind:$uri;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 5: $cache_key by a map
--- http_config eval
$::Map . 'map $uri $cache_key { default $TEST_NGINX_KEY:$kind:$uri; }'
--- config
    location / {
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record(':read:/a')
--- request eval
["GET /a", "DELETE /a", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 6: HEAD has the key of the GET, and its own value elsewhere
--- http_config eval: $::Map
--- config
    location / {
        if ($kind = nothing) { return 403; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY:$kind:$uri;
        add_header X-Kind $kind;
        proxy_pass http://backend;
    }
--- init
main::record(':read:/a')
--- request
HEAD /a
--- response_headers
X-Cache: HIT
X-Kind: head



=== TEST 7: MOVE and COPY end the record of their destination
--- backend
    location / { return 201; }
--- config
    location / {
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record($_) for qw(/a /b /c /d)
--- request eval
["MOVE /a", "COPY /a", "COPY /a", "MOVE /a", "GET /d"]
--- more_headers eval
["Destination: http://localhost/b", "Destination: /c", "Destination: https://localhost:8443/nothing", "Destination: http://other/d", ""]
--- error_code eval
[201, 201, 201, 201, 200]
--- redis eval
["EXISTS \$KEY/a \$KEY/b => 0", "EXISTS \$KEY/c => 0", undef, "EXISTS \$KEY/d => 1", undef]



=== TEST 8: a destination changes nothing where the request failed, or is another
--- backend
    location / { if ($request_method = MOVE) { return 409; } return 200; }
--- config
    location / {
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record('/b')
--- request eval
["MOVE /a", "PUT /a", "GET /b"]
--- more_headers
Destination: http://localhost/b
--- error_code eval
[409, 200, 200]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: HIT"]
