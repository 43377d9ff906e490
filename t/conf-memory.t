# What nginx says to a `memory` line of a store block that makes no sense, word for word, with the line that is to blame; and
# that it starts with one that does.

use lib 't/util';
use Test::Nginx::Socket;
use RefusedConf;

plan tests => repeat_each() * (2 * blocks() + 2);
log_level('info');
no_root_location();
run_tests();

__DATA__

=== TEST 1: memory without a size
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory; }    # <--
--- emerg
no size in "memory" of store "main"; add one such as 64m



=== TEST 2: a size that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory much; }    # <--
--- emerg
invalid size "much" in "memory" of store "main"; use a size such as 64m



=== TEST 3: a size that is too small
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64k; }    # <--
--- emerg
size "64k" is too small in "memory" of store "main"; 1m is the least



=== TEST 4: a parameter that nobody knows
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m max_size=1m; }    # <--
--- emerg
unknown parameter "max_size=1m" in "memory" of store "main"; there are max_object=, valid=, min_uses=, prefix=, feed= and alone=



=== TEST 5: a parameter without a value
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m valid; }    # <--
--- emerg
unknown parameter "valid" in "memory" of store "main"; there are max_object=, valid=, min_uses=, prefix=, feed= and alone=



=== TEST 6: a parameter twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m valid=1s valid=2s; }    # <--
--- emerg
duplicate "valid" in "memory" of store "main"; say it once



=== TEST 7: a largest record of no size
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m max_object=0; }    # <--
--- emerg
invalid size "0" in "memory" of store "main"; use a size such as 64m



=== TEST 8: a time that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m valid=soon; }    # <--
--- emerg
invalid time "soon" in "memory" of store "main"; use a time such as 60s



=== TEST 9: no use at all
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m min_uses=0; }    # <--
--- emerg
invalid number "0" in "memory" of store "main"; "min_uses" is between 1 and 255



=== TEST 10: memory twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 64m; memory 32m; }    # <--
--- emerg
duplicate "memory" in store "main"



=== TEST 11: lines that make sense
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store small { server 127.0.0.1:6379; memory 1m alone=off; }
    redis_cache_store all {
        server 127.0.0.1:6379;
        memory 16m max_object=64k valid=1m min_uses=1 prefix=site: feed=on alone=5s;
    }
    redis_cache_store unheard { server 127.0.0.1:6379; memory 1m feed=off valid=1s; }
    redis_cache_memory off;
--- config
    location /t {
        redis_cache_memory on;
        return 200 "fine";
    }
--- request
GET /t
--- response_body: fine
--- no_error_log
[emerg]



=== TEST 12: redis_cache_memory is a flag
--- config
    redis_cache_memory perhaps;    # <--
--- emerg
invalid value "perhaps" in "redis_cache_memory"; it is "on" or "off"



=== TEST 13: memory is enough for a store
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { memory 1m; }
    redis_cache_store other { memory 1m max_object=64k; }
--- config
    location /t {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        return 200 "fine";
    }
--- request
GET /t
--- response_body: fine
--- no_error_log
[emerg]



=== TEST 14: a line for servers, and no server
--- http_config
    redis_cache_store main { memory 1m; read_timeout 1s; }    # <--
--- emerg
store "main" has "read_timeout", but no "server"; add one, or take the line out of a store in shared memory alone



=== TEST 15: a line about TLS, and no server
--- http_config
    redis_cache_store main { tls off; memory 1m; }    # <--
--- emerg
store "main" has "tls", but no "server"; add one, or take the line out of a store in shared memory alone



=== TEST 16: a mode, and no server
--- http_config
    redis_cache_store main { mode cluster; memory 1m; }    # <--
--- emerg
store "main" has "mode", but no "server"; add one, or take the line out of a store in shared memory alone



=== TEST 17: a user, and no server
--- http_config
    redis_cache_store main { memory 1m; password secret; username me; }    # <--
--- emerg
store "main" has "password", but no "server"; add one, or take the line out of a store in shared memory alone



=== TEST 18: how records of servers are kept, and no server
--- http_config
    redis_cache_store main { memory 1m max_object=64k valid=1s; }    # <--
--- emerg
store "main" has "valid=" in "memory", but no "server"; add one, or take the parameter out of a store in shared memory alone



=== TEST 19: uses, and no server
--- http_config
    redis_cache_store main { memory 1m min_uses=1; }    # <--
--- emerg
store "main" has "min_uses=" in "memory", but no "server"; add one, or take the parameter out of a store in shared memory alone



=== TEST 20: a prefix, and no server
--- http_config
    redis_cache_store main { memory 1m prefix=a; }    # <--
--- emerg
store "main" has "prefix=" in "memory", but no "server"; add one, or take the parameter out of a store in shared memory alone



=== TEST 21: no feed, and no time for which a record may be used
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 1m feed=off; }    # <--
--- emerg
"feed=off" without "valid=" in "memory" of store "main"; say how long a record may be used that Redis may have changed, such as valid=1s



=== TEST 22: a feed that is neither
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 1m feed=maybe valid=1s; }    # <--
--- emerg
invalid value "maybe" of "feed" in "memory" of store "main"; it is "on" or "off"



=== TEST 23: a feed, and no server
--- http_config
    redis_cache_store main { memory 1m feed=off valid=1s; }    # <--
--- emerg
store "main" has "feed=" in "memory", but no "server"; add one, or take the parameter out of a store in shared memory alone



=== TEST 24: a time alone that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 1m alone=never; }    # <--
--- emerg
invalid time "never" in "memory" of store "main"; use a time such as 10s, or off



=== TEST 25: no time alone
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; memory 1m alone=0; }    # <--
--- emerg
invalid time "0" in "memory" of store "main"; use a time such as 10s, or off



=== TEST 26: alone, and no server
--- http_config
    redis_cache_store main { memory 1m alone=5s; }    # <--
--- emerg
store "main" has "alone=" in "memory", but no "server"; add one, or take the parameter out of a store in shared memory alone
