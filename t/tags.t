# Response fields that are tags: which they are, and that clients get none of them but Cache-Groups.

use lib 't/util';

# A purge concerns all records of its Redis: one for this suite alone.
BEGIN { delete $ENV{TEST_NGINX_REDIS_PORT} }
use Test::Nginx::Socket;
use CacheSuite;
use RefusedConf;

plan 'no_plan';
run_tests();

__DATA__

=== TEST 1: the usual fields, of what is stored, found, passed and not stored
--- backend
    add_header Surrogate-Key "a b";
    add_header xkey c;
    add_header Cache-Tag "d, e";
    add_header Cache-Groups '"g"';
    add_header X-Other kept;
    location /private { add_header Cache-Control private; add_header xkey c; add_header X-Other kept; return 200 "page\n"; }
    location / { return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "POST /a", "GET /private"]
--- response_headers eval
[(map "X-Cache: $_\nSurrogate-Key:\nxkey:\nCache-Tag:\nX-Other: kept\nCache-Groups: \"g\"", "STORE", "HIT", "SKIP"),
 "Surrogate-Key:\nxkey:\nX-Other: kept"]
--- redis eval
["EXISTS \$KEY/a => 1", undef, undef, undef]



=== TEST 2: fields that the location names, of any case
--- backend
    add_header Surrogate-Key a;
    add_header X-Magento-Tags "cat_p,cat_p_1";
    location / { return 200 "page\n"; }
--- config
    location / { redis_cache on; redis_cache_tags x-MAGENTO-tags; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map "X-Cache: $_\nSurrogate-Key: a\nX-Magento-Tags:", "STORE", "HIT"]
--- redis eval
["EXISTS \$KEY/a => 1", undef]



=== TEST 3: none at all
--- backend
    add_header Surrogate-Key a;
    location / { return 200 "page\n"; }
--- config
    redis_cache_tags X-Tag;
    location / { redis_cache on; redis_cache_tags off; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[map "X-Cache: $_\nSurrogate-Key: a", "STORE", "HIT"]
--- redis eval
["EXISTS \$KEY/a => 1", undef]



=== TEST 4: a location without a cache keeps its fields
--- backend
    add_header Surrogate-Key a;
    location / { return 200 "page\n"; }
--- config
    location / { proxy_pass http://backend; }
--- request
GET /a
--- response_headers
Surrogate-Key: a



=== TEST 5: purged by a tag, and no other
--- backend
    location /a { add_header Surrogate-Key "one two"; return 200 "page\n"; }
    location /b { add_header Surrogate-Key "two three"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_purge_style varnish;
        redis_cache_purge_allow all;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b", "GET /a", "GET /b", "PURGE /", "GET /a", "GET /b"]
--- more_headers eval
["", "", "", "", "xkey: one", "", ""]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT", "X-Cache:", "X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
["EXISTS \$KEY/a => 1", "EXISTS \$KEY/b => 1", undef, undef, undef, undef, undef]



=== TEST 6: a name that is none of a field
--- config
    redis_cache_tags "X Tag";    # <--
--- emerg
invalid name of a field "X Tag" in "redis_cache_tags"; name response fields such as Surrogate-Key, or say "off"



=== TEST 7: fields twice
--- config
    redis_cache_tags X-Tag;
    redis_cache_tags Y-Tag;    # <--
--- emerg
"redis_cache_tags" directive is duplicate
