# Whom nginx doesn't let in gets no record either: the access phase comes first, for
# every request.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 25;
run_tests();

__DATA__

=== TEST 1: deny
--- config
    location / {
        deny all;
        redis_cache on;
        proxy_pass http://backend;
    }
--- init
main::record('/fresh');
main::record('/stale', ttl => 50);
--- request eval
["GET /fresh", "GET /stale", "GET /none"]
--- error_code eval
[403, 403, 403]
--- response_body_like eval
[("403 Forbidden") x 3]
--- backend_log
--- redis
EXISTS $KEY/none => 0



=== TEST 2: a password: the right one finds the record, where Authorization is ignored
--- config
    location / {
        auth_basic "closed";
        auth_basic_user_file $TEST_NGINX_SERVER_ROOT/html/users;
        redis_cache on;
        redis_cache_ignore_headers Authorization;
        proxy_pass http://backend;
    }
--- user_files
>>> users
user:{PLAIN}pass
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["Authorization: Basic dXNlcjpwYXNz", "", "Authorization: Basic dXNlcjp3cm9uZw==", "Authorization: Basic dXNlcjpwYXNz"]
--- error_code eval
[200, 401, 401, 200]
--- response_headers eval
["X-Cache: STORE", "", "", "X-Cache: HIT"]
--- backend_log
GET /a



=== TEST 3: a fill is a subrequest: the access rules are the cached location's, as with the Lua script
--- config
    location /cached {
        redis_cache on;
        redis_cache_backend /fallback;
    }
    location /fallback {
        internal;
        deny all;
        proxy_pass http://backend;
    }
--- request
GET /cached/a
--- response_headers
X-Cache: STORE
--- response_body
from the backend



=== TEST 4: a limit of requests counts a request once, hit or miss
--- http_config
    limit_req_zone $server_name zone=limit:64k rate=1r/m;
--- config
    location / {
        limit_req zone=limit burst=2 nodelay;
        redis_cache on;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /b", "GET /a"]
--- error_code eval
[200, 200, 200, 503]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", ""]
