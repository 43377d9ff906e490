# Arguments in one form: `redis_cache_args` and `$redis_cache_args`, in keys, in purges and where others are invalidated.

use lib 't/util';

# A purge concerns all records of its Redis: one for this suite alone.
BEGIN { delete $ENV{TEST_NGINX_REDIS_PORT} }
use Test::Nginx::Socket;
use CacheSuite;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: one record whatever the order and the tracking; the backend gets what came
--- config
    location / {
        redis_cache on;
        redis_cache_args sort normalize drop=@tracking;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_pass http://backend;
    }
--- request eval
["GET /a?utm_x=1&b=%7e&a=1", "GET /a?a=1&b=~", "GET /a?a=1&gclid=2&b=%7E&&", "GET /a?a=1", "GET /a?fbclid=3", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a?utm_x=1&b=%7e&a=1
GET /a?a=1
GET /a?fbclid=3



=== TEST 2: without the directive, and with "off" below it, as $args
--- config
    redis_cache_args sort;
    location / {
        redis_cache_args off;
        add_header X-Args <$redis_cache_args>;
        return 200;
    }
    location /sorted { add_header X-Args <$redis_cache_args>; return 200; }
--- request eval
["GET /?b&&a", "GET /", "GET /sorted?b&&a"]
--- response_headers eval
["X-Args: <b&&a>", "X-Args: <>", "X-Args: <a&b>"]



=== TEST 3: PURGE by another order ends the record
--- config
    location / {
        redis_cache on;
        redis_cache_args sort drop=utm_*;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        redis_cache_purge_style varnish;
        redis_cache_purge_allow 127.0.0.1;
        proxy_pass http://backend;
    }
--- request eval
["GET /a?b=2&a=1", "PURGE /a?utm_x=1&b=2&a=1", "GET /a?a=1&b=2"]
--- response_headers eval
["X-Cache: STORE", "X-Cache:", "X-Cache: STORE"]



=== TEST 4: unsafe requests end the record of their URI, and those that Location and Content-Location name
--- backend
    location / {
        if ($request_method = GET) { return 200; }
        add_header Location "/b?d&utm_y&c";
        add_header Content-Location "/c?f&e";
        return 204;
    }
--- config
    location / {
        redis_cache on;
        redis_cache_args sort drop=utm_*;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_pass http://backend;
    }
--- init
main::record('?a&b /a'); main::record('?c&d /b'); main::record('?e&f /c')
--- request eval
["GET /a?b&a", "GET /b?d&c", "GET /c?f&e", "PUT /a?b&utm_x&a", "GET /a?a&b", "GET /b?c&d", "GET /c?e&f"]
--- error_code eval
[200, 200, 200, 204, 200, 200, 200]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]
