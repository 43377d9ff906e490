# redis_cache_no_store is asked of the request and, once its answer is there, of that too, as proxy_no_cache is.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 58;
run_tests();

__DATA__

=== TEST 1: values of the answer
--- http_config
    map $upstream_http_x_kind $personal { default 0; personal 1; }
    map $upstream_status $odd { default 0; 203 1; }
--- backend
    location / { add_header X-Kind $arg_kind; return 200 "page\n"; }
    location /203 { return 203 "page\n"; }
    location /type { default_type text/x-odd; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_valid any 60s;
        redis_cache_no_store $personal $odd $upstream_http_x_never $sent_http_x_secret;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
    location /direct {
        redis_cache on;
        redis_cache_no_store $upstream_http_x_kind;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
    location /sent {
        redis_cache on;
        redis_cache_no_store $sent_http_x_kind;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
    location /hidden {
        redis_cache on;
        redis_cache_no_store $personal;
        proxy_hide_header X-Kind;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
    location /backend {
        redis_cache on;
        redis_cache_backend @there;
        redis_cache_no_store $personal;
        add_header X-Reason $redis_cache_reason always;
    }
    location @there { proxy_pass http://backend; }
--- request eval
[(map { ($_) x 2 } "GET /a?kind=personal", "GET /a?kind=public", "GET /203", "GET /direct?kind=0", "GET /direct?kind=1",
    "GET /sent?kind=1", "GET /hidden?kind=personal", "GET /backend?kind=personal")]
--- error_code eval
[200, 200, 200, 200, 203, 203, (200) x 10]
--- response_headers eval
my @not = ("X-Cache: SKIP\nX-Reason: redis_cache_no_store") x 2;
my @yes = ("X-Cache: STORE", "X-Cache: HIT");
[@not, @yes, @not, @yes, @not, @not, @not, @not]



=== TEST 2: beside a value of the request
--- http_config
    map $upstream_http_x_kind $personal { default 0; personal 1; }
--- backend
    location / { add_header X-Kind $arg_kind; return 200 "page\n"; }
--- config
    location /early {
        redis_cache on;
        redis_cache_no_store $arg_nostore $personal;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /early?kind=personal", "GET /early?nostore=1", "GET /early?nostore=0", "GET /early?nostore=0"]
--- response_headers eval
["X-Reason: redis_cache_no_store", "X-Reason: redis_cache_no_store", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 3: a refill whose answer isn't to be stored leaves the record
--- backend
    location / { add_header X-Kind personal; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_no_store $upstream_http_x_kind;
        proxy_pass http://backend;
    }
--- init
main::record('/a', ttl => 90)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- error_log
redis_cache_no_store
--- backend_log
GET /a
--- redis
HGET $KEY/a body => from the record\n
