# What nginx says to a configuration that makes no sense, word for word, with the line
# that is to blame; and that it starts with one that looks alike but makes sense.

use lib 't/util';
use Test::Nginx::Socket;
use RefusedConf;

# Angie has the machine's name servers where there is no "resolver".
our $NoResolver = `$ENV{TEST_NGINX_BINARY} -v 2>&1` =~ /Angie/ ? 'resolver off;' : '';

plan tests => repeat_each() * (2 * blocks() + 5);
log_level('info');
no_root_location();
run_tests();

__DATA__

=== TEST 1: a zone without a size that is one
--- http_config
    redis_cache_zone locks 10x;    # <--
--- emerg
invalid zone size "10x" in "redis_cache_zone"; use a size such as 1m



=== TEST 2: a zone without room
--- http_config
    redis_cache_zone locks 63k;    # <--
--- emerg
zone "locks" is too small in "redis_cache_zone": 64k is the least



=== TEST 3: a zone twice, with two sizes
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_zone locks 2m;    # <--
--- emerg
zone "locks" is declared twice: here with 2m, before with 1m; declare it once, with one size



=== TEST 4: a zone twice, with the same size
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_zone locks 1m;    # <--
--- emerg
zone "locks" is declared twice; once is enough



=== TEST 5: a zone belongs into the http block
--- config
    redis_cache_zone locks 1m;    # <--
--- emerg
"redis_cache_zone" directive is not allowed here



=== TEST 6: a zone needs a size
--- http_config
    redis_cache_zone locks;    # <--
--- emerg
invalid number of arguments in "redis_cache_zone" directive



=== TEST 7: the least zone there may be
--- http_config
    redis_cache_zone locks 64k;
--- config
    location /t { return 200 "up\n"; }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 8: a zone that nobody declared
--- config
    location /t { redis_cache_lock nope; }    # <--
--- emerg
unknown zone "nope" in "redis_cache_lock"; declare it by "redis_cache_zone nope 1m" in the http block



=== TEST 9: a zone declared after it is named
--- http_config
    redis_cache_lock later;
    redis_cache_zone later 1m;
--- config
    location /t { return 200 "up\n"; }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 10: a store that nobody declared
--- config
    location /t { redis_cache_pass nope; }    # <--
--- emerg
unknown store "nope" in "redis_cache_pass"; declare it by a "redis_cache_store nope { ... }" block



=== TEST 11: a location as the store
--- config
    location /t { redis_cache_pass /redis; return 200 "up\n"; }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 12: an address that is none
--- config
    location /t { redis_cache_pass redis://127.0.0.1:port; }    # <--
--- emerg
invalid address "redis://127.0.0.1:port" in "redis_cache_pass": redis url did not parse; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 13: an address without a host
--- config
    location /t { redis_cache_pass redis://; }    # <--
--- emerg
invalid address "redis://" in "redis_cache_pass": missing hostname; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 14: a store declared after it is named
--- http_config
    redis_cache_pass later;
    redis_cache_store later { server 127.0.0.1:6379; }
--- config
    location /t { return 200 "up\n"; }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 15: a store without server
--- http_config
    redis_cache_store main { read_timeout 1s; }    # <--
--- emerg
store "main" has no "server"; add one such as "server 127.0.0.1:6379", or "memory 64m" for a store in shared memory alone



=== TEST 16: an empty store
--- http_config
    redis_cache_store main { }    # <--
--- emerg
store "main" has no "server"; add one such as "server 127.0.0.1:6379", or "memory 64m" for a store in shared memory alone



=== TEST 17: a store twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; }
    redis_cache_store main { server 127.0.0.1:6380; }    # <--
--- emerg
store "main" is declared twice; give each a name of its own



=== TEST 18: a directive that stores don't have
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; foo bar; }    # <--
--- emerg
unknown directive "foo" in store "main"



=== TEST 19: several servers
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; server 127.0.0.1:6380; }    # <--
--- emerg
store "main" has several servers; that takes "mode sentinel MASTER" or "mode cluster"



=== TEST 20: connect_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connect_timeout 5x; }    # <--
--- emerg
invalid time "5x" in "connect_timeout" of store "main"; use a time such as 200ms



=== TEST 21: send_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; send_timeout 5x; }    # <--
--- emerg
invalid time "5x" in "send_timeout" of store "main"; use a time such as 200ms



=== TEST 22: read_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 5x; }    # <--
--- emerg
invalid time "5x" in "read_timeout" of store "main"; use a time such as 200ms



=== TEST 23: no connection
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 0; }    # <--
--- emerg
"connections" of store "main" must be between 1 and 1024



=== TEST 24: too many connections
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 1025; }    # <--
--- emerg
"connections" of store "main" must be between 1 and 1024



=== TEST 25: a number of connections that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections many; }    # <--
--- emerg
"connections" of store "main" must be between 1 and 1024



=== TEST 26: a server whose name nobody knows
--- http_config eval
"$main::NoResolver redis_cache_store main { server nosuch.invalid; }    # <--\n"
--- emerg
host not found in "server nosuch.invalid" of store "main"; correct it, or add a "resolver" to the http block, which looks it up later



=== TEST 27: lookups at a master and a replica
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_from master; read_from replica; }    # <--
--- emerg
duplicate "read_from" in store "main"



=== TEST 28: TLS that is neither on nor off
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls maybe; }    # <--
--- emerg
invalid value "maybe" in "tls" of store "main"; it is "on" or "off"



=== TEST 29: a database that is no number
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database first; }    # <--
--- emerg
"database" of store "main" must be a number such as 0



=== TEST 30: a password in a file that isn't there
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password file:nowhere; }    # <--
--- emerg
"password" of store "main" can't be read: "$TEST_NGINX_SERVER_ROOT/conf/nowhere": No such file or directory (os error 2)



=== TEST 31: a time twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 1s; read_timeout 2s; }    # <--
--- emerg
duplicate "read_timeout" in store "main"



=== TEST 32: no time at all
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 0; }    # <--
--- emerg
invalid time "0" in "read_timeout" of store "main"; use a time such as 200ms



=== TEST 33: two values where one belongs
--- http_config
    redis_cache_store main { server 127.0.0.1:6379 127.0.0.1:6380; }    # <--
--- emerg
"server" of store "main" takes one value



=== TEST 34: an address with TLS and a database that is no number
--- config
    location /t { redis_cache_pass rediss://127.0.0.1:6379/first; }    # <--
--- emerg
invalid address "rediss://127.0.0.1:6379/first" in "redis_cache_pass": invalid database number; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 35: a store belongs into the http block
--- config
    redis_cache_store main { server 127.0.0.1:6379; }    # <--
--- emerg
"redis_cache_store" directive is not allowed here



=== TEST 36: a store with all that it may have
--- http_config
    redis_cache_store main {
        server          127.0.0.1:6379;
        mode            standalone;
        username        cache;
        password        secret;
        database        3;
        connect_timeout 1s;
        send_timeout    500ms;
        read_timeout    1m;
        connections     8;
    }
--- config
    location /t { redis_cache_pass main; return 200 "up\n"; }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 37: a status that is none
--- config
    location /t { redis_cache_valid 99; }    # <--
--- emerg
invalid status "99" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 38: a status beyond all
--- config
    location /t { redis_cache_valid 200 600 1m; }    # <--
--- emerg
invalid status "600" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 39: a word as a status
--- config
    location /t { redis_cache_valid all; }    # <--
--- emerg
invalid status "all" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 40: redis_cache_age that is no time
--- config
    location /t { redis_cache_age 5x; }    # <--
--- emerg
invalid time "5x" in "redis_cache_age"; use a time such as 2m



=== TEST 41: redis_cache_stale that is no time
--- config
    location /t { redis_cache_stale 5x; }    # <--
--- emerg
invalid time "5x" in "redis_cache_stale"; use a time such as 2m



=== TEST 42: redis_cache_lock_timeout that is no time
--- config
    location /t { redis_cache_lock_timeout 5x; }    # <--
--- emerg
invalid time "5x" in "redis_cache_lock_timeout"; use a time such as 2m



=== TEST 43: redis_cache_lock_age that is no time
--- config
    location /t { redis_cache_lock_age 5x; }    # <--
--- emerg
invalid time "5x" in "redis_cache_lock_age"; use a time such as 2m



=== TEST 44: redis_cache_max_size that is no size
--- config
    location /t { redis_cache_max_size 5x; }    # <--
--- emerg
invalid size "5x" in "redis_cache_max_size"; use a size such as 8m



=== TEST 45: redis_cache that is neither on nor off
--- config
    location /t { redis_cache maybe; }    # <--
--- emerg
invalid value "maybe" in "redis_cache"; it is "on" or "off"



=== TEST 46: a header that can't be ignored
--- config
    location /t { redis_cache_ignore_headers Vary Foo; }    # <--
--- emerg
unknown header "Foo" in "redis_cache_ignore_headers"; known are Cache-Control, Expires, Set-Cookie, Vary, Authorization, X-Accel-Expires, CDN-Cache-Control, Surrogate-Control, Date and Age



=== TEST 47: a backend that is neither URI nor name
--- config
    location /t { redis_cache_backend fallback; }    # <--
--- emerg
invalid backend "fallback" in "redis_cache_backend"; use "/uri" or "@name"



=== TEST 48: a header whose name is none
--- config
    location /t { redis_cache_header "X Cache"; }    # <--
--- emerg
invalid header name "X Cache" in "redis_cache_header"; use a name such as X-Cache



=== TEST 49: a method that is none
--- config
    location /t { redis_cache_methods GET "G(T"; }    # <--
--- emerg
invalid method "G(T" in "redis_cache_methods"; use names such as GET and HEAD



=== TEST 50: a cache without zone
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache on; redis_cache_pass main; }    # <--
--- emerg
"redis_cache" is on, but no zone is named: add "redis_cache_lock ZONE" or "set $cache_lock ZONE"



=== TEST 51: a cache without store
--- http_config
    redis_cache_zone locks 1m;
--- config
    location /t { redis_cache on; redis_cache_lock locks; }    # <--
--- emerg
"redis_cache" is on, but no store is named: add "redis_cache_pass STORE" or "set $cache_pass STORE"



=== TEST 52: variables name them as well
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { return 200 "up\n"; }
    location /cached {
        set $cache_lock locks;
        set $cache_pass main;
        redis_cache;
        return 404;
    }
--- request
GET /t
--- response_body
up
--- no_error_log
[error]



=== TEST 53: set_md5 into what is no variable
--- config
    location /t { set_md5 x text; }    # <--
--- emerg
invalid variable name "x" in "set_md5"; it begins with "$"



=== TEST 54: set_md5 into an unnamed variable
--- config
    location /t { set_md5 $ text; }    # <--
--- emerg
invalid variable name "$" in "set_md5"; it begins with "$"



=== TEST 55: set_md5 of an unknown variable
--- config
    location /t { set_md5 $x $nobody; }
--- emerg
unknown "nobody" variable



=== TEST 56: a key of an unknown variable
--- config
    location /t { redis_cache_key $nobody; }
--- emerg
unknown "nobody" variable



=== TEST 57: redis_cache_capture_memory that is no size
--- config
    location /t { redis_cache_capture_memory much; }    # <--
--- emerg
invalid size "much" in "redis_cache_capture_memory"; use a size such as 256m



=== TEST 58: redis_cache_refills that is no number
--- config
    location /t { redis_cache_refills -1; }    # <--
--- emerg
invalid number "-1" in "redis_cache_refills"; use a number such as 64



=== TEST 59: redis_cache_lock_queue that is no number
--- config
    location /t { redis_cache_lock_queue all; }    # <--
--- emerg
invalid number "all" in "redis_cache_lock_queue"; use a number such as 64



=== TEST 60: redis_cache_uncacheable_ttl that is no time
--- config
    location /t { redis_cache_uncacheable_ttl soon; }    # <--
--- emerg
invalid time "soon" in "redis_cache_uncacheable_ttl"; use a time such as 2m



=== TEST 61: redis_cache_use_stale with a word that it doesn't know
--- config
    location /t { redis_cache_use_stale error http_418; }    # <--
--- emerg
invalid value "http_418" in "redis_cache_use_stale"; known are error, timeout, invalid_header, updating, http_500, http_502, http_503, http_504, http_5xx, http_403, http_404 and http_429, or "off" alone



=== TEST 62: redis_cache_use_stale off is off alone
--- config
    location /t { redis_cache_use_stale error off; }    # <--
--- emerg
invalid value "off" in "redis_cache_use_stale"; known are error, timeout, invalid_header, updating, http_500, http_502, http_503, http_504, http_5xx, http_403, http_404 and http_429, or "off" alone



=== TEST 63: redis_cache_revalidate is a flag
--- config
    location /t { redis_cache_revalidate sometimes; }    # <--
--- emerg
invalid value "sometimes" in "redis_cache_revalidate"; it is "on" or "off"



=== TEST 64: redis_cache_backoff whose limit is none
--- config
    location /t { redis_cache_backoff 1s 10s; }    # <--
--- emerg
invalid limit "10s" in "redis_cache_backoff"; use one such as max=10s, not below the first time



=== TEST 65: redis_cache_backoff whose limit is below the first time
--- config
    location /t { redis_cache_backoff 10s max=1s; }    # <--
--- emerg
invalid limit "max=1s" in "redis_cache_backoff"; use one such as max=10s, not below the first time



=== TEST 66: redis_cache_pass_timeout that is no time
--- config
    location /t { redis_cache_pass_timeout soon; }    # <--
--- emerg
invalid time "soon" in "redis_cache_pass_timeout"; use a time such as 2m



=== TEST 67: redis_cache_pass_timeout of nothing
--- config
    location /t { redis_cache_pass_timeout 0; }    # <--
--- emerg
invalid time "0" in "redis_cache_pass_timeout"; use a time such as 200ms



=== TEST 68: redis_cache_set_cookie that is neither
--- config
    location /t { redis_cache_set_cookie on; }    # <--
--- emerg
invalid value "on" in "redis_cache_set_cookie"; it is "off" or "public"



=== TEST 69: redis_cache_heuristic that is no share
--- config
    location /t { redis_cache_heuristic 0%; }    # <--
--- emerg
invalid value "0%" in "redis_cache_heuristic"; use "off" or a share such as 10%, and max=1d



=== TEST 70: redis_cache_heuristic with a limit that is no time
--- config
    location /t { redis_cache_heuristic 10% max=soon; }    # <--
--- emerg
invalid value "max=soon" in "redis_cache_heuristic"; use "off" or a share such as 10%, and max=1d



=== TEST 71: redis_cache_heuristic that is off, but for how long?
--- config
    location /t { redis_cache_heuristic off max=1h; }    # <--
--- emerg
invalid value "off" in "redis_cache_heuristic"; use "off" or a share such as 10%, and max=1d



=== TEST 72: redis_cache_honor_request is a flag
--- config
    location /t { redis_cache_honor_request always; }    # <--
--- emerg
invalid value "always" in "redis_cache_honor_request"; it is "on" or "off"



=== TEST 73: headers that can be ignored, each by its name
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t {
        redis_cache_ignore_headers Cache-Control Expires Set-Cookie Vary Authorization X-Accel-Expires
                                   CDN-Cache-Control Surrogate-Control;
        return 204;
    }
--- request
GET /t
--- error_code: 204



=== TEST 74: redis_cache_status_header with an option that isn't one
--- config
    location /t { redis_cache_status_header Example keys; }    # <--
--- emerg
invalid option "keys" in "redis_cache_status_header"; it is "key"



=== TEST 75: redis_cache_status_header with a name that can't be sent
--- config
    location /t { redis_cache_status_header "Café"; }    # <--
--- emerg
invalid name "Café" in "redis_cache_status_header"; use printable ASCII characters



=== TEST 76: redis_cache_variants without any
--- config
    location /t { redis_cache_variants 0; }    # <--
--- emerg
invalid number "0" in "redis_cache_variants"; use one from 1 to 256



=== TEST 77: more variants than may be
--- config
    location /t { redis_cache_variants 257; }    # <--
--- emerg
invalid number "257" in "redis_cache_variants"; use one from 1 to 256



=== TEST 78: redis_cache_variants that is no number
--- config
    location /t { redis_cache_variants many; }    # <--
--- emerg
invalid number "many" in "redis_cache_variants"; use one from 1 to 256



=== TEST 79: a Cluster that is named by a unix socket
--- http_config
    redis_cache_store main { server unix:/tmp/redis.sock; mode cluster; }    # <--
--- emerg
store "main" has the address of a unix socket; the nodes of a Redis Cluster are reached by host and port



=== TEST 80: a mode that nobody knows
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode twins; }    # <--
--- emerg
unknown mode "twins" of store "main"; it is "standalone", "sentinel MASTER" or "cluster"



=== TEST 81: tls_name
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls_name redis.example; }    # <--
--- emerg
store "main" has "tls_name", but no "tls"; add "tls on", or "tls off" to keep the line



=== TEST 82: tls_verify
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_verify maybe; }    # <--
--- emerg
invalid value "maybe" in "tls_verify" of store "main"; it is "on" or "off"



=== TEST 83: tls_trusted_certificate
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_trusted_certificate; }    # <--
--- emerg
"tls_trusted_certificate" of store "main" takes one value



=== TEST 84: server with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379 127.0.0.1:6379; }    # <--
--- emerg
"server" of store "main" takes one value



=== TEST 85: server without any
--- http_config
    redis_cache_store main { server; }    # <--
--- emerg
"server" of store "main" takes one value



=== TEST 86: connect_timeout with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connect_timeout 1s 1s; }    # <--
--- emerg
"connect_timeout" of store "main" takes one value



=== TEST 87: connect_timeout without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connect_timeout; }    # <--
--- emerg
"connect_timeout" of store "main" takes one value



=== TEST 88: connect_timeout twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connect_timeout 1s; connect_timeout 1s; }    # <--
--- emerg
duplicate "connect_timeout" in store "main"



=== TEST 89: send_timeout with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; send_timeout 1s 1s; }    # <--
--- emerg
"send_timeout" of store "main" takes one value



=== TEST 90: send_timeout without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; send_timeout; }    # <--
--- emerg
"send_timeout" of store "main" takes one value



=== TEST 91: send_timeout twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; send_timeout 1s; send_timeout 1s; }    # <--
--- emerg
duplicate "send_timeout" in store "main"



=== TEST 92: read_timeout with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 1s 1s; }    # <--
--- emerg
"read_timeout" of store "main" takes one value



=== TEST 93: read_timeout without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout; }    # <--
--- emerg
"read_timeout" of store "main" takes one value



=== TEST 94: connections with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 1 1; }    # <--
--- emerg
"connections" of store "main" takes one value



=== TEST 95: connections without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections; }    # <--
--- emerg
"connections" of store "main" takes one value



=== TEST 96: connections twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 1; connections 1; }    # <--
--- emerg
duplicate "connections" in store "main"



=== TEST 97: username with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; username u u; }    # <--
--- emerg
"username" of store "main" takes one value



=== TEST 98: username without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; username; }    # <--
--- emerg
"username" of store "main" takes one value



=== TEST 99: username twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; username u; username u; }    # <--
--- emerg
duplicate "username" in store "main"



=== TEST 100: password with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password p p; }    # <--
--- emerg
"password" of store "main" takes one value



=== TEST 101: password without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password; }    # <--
--- emerg
"password" of store "main" takes one value



=== TEST 102: password twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password p; password p; }    # <--
--- emerg
duplicate "password" in store "main"



=== TEST 103: database with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database 1 1; }    # <--
--- emerg
"database" of store "main" takes one value



=== TEST 104: database without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database; }    # <--
--- emerg
"database" of store "main" takes one value



=== TEST 105: database twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database 1; database 1; }    # <--
--- emerg
duplicate "database" in store "main"



=== TEST 106: mode with two values
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode standalone standalone; }    # <--
--- emerg
"mode" of store "main" takes one value



=== TEST 107: mode without any
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode; }    # <--
--- emerg
"mode" of store "main" takes one value



=== TEST 108: mode twice in one store
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode standalone; mode standalone; }    # <--
--- emerg
duplicate "mode" in store "main"



=== TEST 109: a unix socket without a path
--- http_config
    redis_cache_store main { server unix:; }    # <--
--- emerg
no path in the unix domain socket in "server unix:" of store "main"



=== TEST 110: a unix socket whose path is too long
--- http_config
    redis_cache_store main { server unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; }    # <--
--- emerg
too long path in the unix domain socket in "server unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" of store "main"



=== TEST 111: a port that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:port; }    # <--
--- emerg
invalid port in "server 127.0.0.1:port" of store "main"



=== TEST 112: a database below none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database -1; }    # <--
--- emerg
"database" of store "main" must be a number such as 0



=== TEST 113: the address of a unix socket without a path
--- config
    location /t { redis_cache_pass unix:; }    # <--
--- emerg
invalid address "unix:" in "redis_cache_pass": invalid path of a unix socket; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 114: the address of a unix socket whose path is too long
--- config
    location /t { redis_cache_pass unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; }    # <--
--- emerg
invalid address "unix:/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" in "redis_cache_pass": invalid path of a unix socket; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 115: an address with a database that is no number
--- config
    location /t { redis_cache_pass redis://127.0.0.1:6379/first; }    # <--
--- emerg
invalid address "redis://127.0.0.1:6379/first" in "redis_cache_pass": invalid database number; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 116: an address with a database below none
--- config
    location /t { redis_cache_pass redis://127.0.0.1:6379/-1; }    # <--
--- emerg
invalid address "redis://127.0.0.1:6379/-1" in "redis_cache_pass": invalid database; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 117: an address whose host nobody knows
--- http_config eval: $main::NoResolver
--- config
    location /t { redis_cache_pass redis://nosuch.invalid; }    # <--
--- emerg
host not found in "redis_cache_pass redis://nosuch.invalid"; correct it, or add a "resolver" to the http block, which looks it up later



=== TEST 118: a zone has the name of somebody else's
--- http_config
    proxy_cache_path $TEST_NGINX_SERVER_ROOT/html/cache keys_zone=locks:1m;
    limit_req_zone $uri zone=more:1m rate=100r/s;
    redis_cache_zone locks 1m;
    redis_cache_zone more 2m;
--- config
    location = /t {
        limit_req zone=more;
        return 200 "it runs\n";
    }
--- request
    GET /t
--- response_body
it runs



=== TEST 119: a zone without a name
--- http_config
    redis_cache_zone "" 1m;    # <--
--- emerg
invalid zone name "" in "redis_cache_zone"; use one such as locks



=== TEST 120: a store without a name
--- http_config
    redis_cache_store "" { server 127.0.0.1:6379; }    # <--
--- emerg
invalid store name "" in "redis_cache_store"; use one such as main



=== TEST 121: a store whose name would be taken for a location
--- http_config
    redis_cache_store /main { server 127.0.0.1:6379; }    # <--
--- emerg
invalid store name "/main" in "redis_cache_store"; use one such as main



=== TEST 122: a store whose name would be taken for an address, as redis://main
--- http_config
    redis_cache_store redis://main { server 127.0.0.1:6379; }    # <--
--- emerg
invalid store name "redis://main" in "redis_cache_store"; use one such as main



=== TEST 123: a store whose name would be taken for an address, as unix:main
--- http_config
    redis_cache_store unix:main { server 127.0.0.1:6379; }    # <--
--- emerg
invalid store name "unix:main" in "redis_cache_store"; use one such as main



=== TEST 124: the place of "redis_cache on" is told where it stands, not where it is missed
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    redis_cache_pass main;
    redis_cache on;    # <--

    location /t {
        return 204;
    }
--- emerg
"redis_cache" is on, but no zone is named: add "redis_cache_lock ZONE" or "set $cache_lock ZONE"



=== TEST 125: a store that lacks something is told where its block ends
--- http_config
    redis_cache_store main {
        read_timeout
            1s;
    }    # <--
--- emerg
store "main" has no "server"; add one such as "server 127.0.0.1:6379", or "memory 64m" for a store in shared memory alone



=== TEST 126: what a store's block has is told by its line
--- http_config
    redis_cache_store main {
        server 127.0.0.1:6379;
        read_timeout
            5x;    # <--
    }
--- emerg
invalid time "5x" in "read_timeout" of store "main"; use a time such as 200ms



=== TEST 127: redis_cache_invalidate is a flag
--- config
    location /t {
        redis_cache_invalidate never;    # <--
    }
--- emerg
invalid value "never" in "redis_cache_invalidate"; it is "on" or "off"



=== TEST 128: a cache without store in "if in location"
--- http_config
    redis_cache_zone locks 1m;
--- config
    location /t {
        if ($arg_x) {
            redis_cache on;    # <--
            redis_cache_lock locks;
        }
    }
--- emerg
"redis_cache" is on, but no store is named: add "redis_cache_pass STORE" or "set $cache_pass STORE"



=== TEST 129: redis_cache_capture_timeout that is no time
--- config
    location /t { redis_cache_capture_timeout long; }    # <--
--- emerg
invalid time "long" in "redis_cache_capture_timeout"; use a time such as 2m



=== TEST 130: redis_cache_capture_timeout of nothing
--- config
    location /t { redis_cache_capture_timeout 0; }    # <--
--- emerg
invalid time "0" in "redis_cache_capture_timeout"; use a time such as 5m



=== TEST 131: a queue of nothing
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; queue 0; }    # <--
--- emerg
"queue" of store "main" must be between 1 and 1000000



=== TEST 132: max_fails that is no number
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; max_fails often; }    # <--
--- emerg
"max_fails" of store "main" must be between 1 and 60



=== TEST 133: fail_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; fail_timeout soon; }    # <--
--- emerg
invalid time "soon" in "fail_timeout" of store "main"; use a time such as 200ms



=== TEST 134: a server that is named twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; server 127.0.0.1; }    # <--
--- emerg
duplicate "server 127.0.0.1" in store "main"



=== TEST 135: Sentinel without the name of a master
--- http_config
    redis_cache_store main { server 127.0.0.1:26379; mode sentinel; }    # <--
--- emerg
"mode sentinel" of store "main" takes the name of the master, such as "mode sentinel mymaster"



=== TEST 136: lookups from a replica of one server
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_from replica; }    # <--
--- emerg
store "main" has "read_from replica"; that takes "mode sentinel MASTER" or "mode cluster"



=== TEST 137: read_from somebody else
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_from both; }    # <--
--- emerg
unknown value "both" in "read_from" of store "main"; it is "master" or "replica"



=== TEST 138: a database of a Cluster
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode cluster; database 1; }    # <--
--- emerg
store "main" has a "database"; a Redis Cluster has number 0 alone



=== TEST 139: a password of Sentinels without Sentinels
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; sentinel_password word; }    # <--
--- emerg
store "main" has a user or password of Sentinels; that takes "mode sentinel MASTER"



=== TEST 140: an address with a password, which no message shows
--- config
    location /t { redis_cache_pass redis://user:word@127.0.0.1:6379/first; }    # <--
--- emerg
invalid address "redis://user:...@127.0.0.1:6379/first" in "redis_cache_pass": invalid database number; use one such as redis://127.0.0.1:6379/0 or unix:/run/redis.sock



=== TEST 141: redis_cache_on_error that is neither
--- config
    location /t { redis_cache_on_error stop; }    # <--
--- emerg
invalid value "stop" in "redis_cache_on_error"; it is "pass" or "fail"



=== TEST 142: a password in a file without one
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password file:/dev/null; }    # <--
--- emerg
"password" of store "main" can't be read: "/dev/null": its first line is empty



=== TEST 143: a password of Sentinels in a file that never ends
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; mode sentinel main; sentinel_password file:/dev/zero; }    # <--
--- emerg
"sentinel_password" of store "main" can't be read: "/dev/zero": its first line is longer than 4096 bytes



=== TEST 144: a location for operators without any store
--- config
    location /cache/ {
        redis_cache_admin;    # <--
    }
--- emerg
"redis_cache_admin" has no store: declare one by a "redis_cache_store NAME { ... }" block



=== TEST 145: redis_cache_lock_scope that is neither
--- config
    location /t { redis_cache_lock_scope fleet; }    # <--
--- emerg
invalid value "fleet" in "redis_cache_lock_scope"; it is "zone" or "store"



=== TEST 146: redis_cache_lock_scope twice
--- config
    location /t {
        redis_cache_lock_scope zone;
        redis_cache_lock_scope store;    # <--
    }
--- emerg
"redis_cache_lock_scope" directive is duplicate



=== TEST 147: redis_cache_debug_header that nobody may see
--- config
    location /t { redis_cache_debug_header X-Debug; }    # <--
--- emerg
"redis_cache_debug_header" names nobody who may see the header; add addresses such as 127.0.0.1 or 10.0.0.0/8



=== TEST 148: redis_cache_debug_header for what is no address
--- config
    location /t { redis_cache_debug_header X-Debug 127.0.0.1 here; }    # <--
--- emerg
invalid address "here" in "redis_cache_debug_header"; use one such as 127.0.0.1, 10.0.0.0/8 or fd00::/8, "unix:" or "all"



=== TEST 149: redis_cache_debug_header with a name that is none
--- config
    location /t { redis_cache_debug_header "X Debug" all; }    # <--
--- emerg
invalid header name "X Debug" in "redis_cache_debug_header"; use a name such as X-Cache-Debug



=== TEST 150: redis_cache_refresh_ahead that is no share
--- config
    location /t { redis_cache_refresh_ahead 100%; }    # <--
--- emerg
invalid value "100%" in "redis_cache_refresh_ahead"; use "off", a share such as 20%, or a time such as 5s



=== TEST 151: redis_cache_refresh_ahead of no time
--- config
    location /t { redis_cache_refresh_ahead 0s; }    # <--
--- emerg
invalid value "0s" in "redis_cache_refresh_ahead"; use "off", a share such as 20%, or a time such as 5s



=== TEST 152: redis_cache_refresh_ahead twice
--- config
    location /t {
        redis_cache_refresh_ahead off;
        redis_cache_refresh_ahead 20%;    # <--
    }
--- emerg
"redis_cache_refresh_ahead" directive is duplicate



=== TEST 153: redis_cache_stale with a second time that is none
--- config
    location /t { redis_cache_stale 1m error=5x; }    # <--
--- emerg
invalid parameter "error=5x" in "redis_cache_stale"; use a time behind "error=", such as error=3d



=== TEST 154: redis_cache_stale with a parameter that it doesn't have
--- config
    location /t { redis_cache_stale 1m 3d; }    # <--
--- emerg
invalid parameter "3d" in "redis_cache_stale"; use a time behind "error=", such as error=3d



=== TEST 155: redis_cache_stale with a second time that is less than the first
--- config
    location /t { redis_cache_stale 1m error=59s; }    # <--
--- emerg
"error=59s" in "redis_cache_stale" is less than 1m: it is how long a stale record is kept for when the backend fails; give it a longer time, or leave it out



=== TEST 156: redis_cache_stale with one that is as long
--- config
    location /t { redis_cache_stale 1m error=60s; return 200 "ok\n"; }
--- request
GET /t
--- response_body
ok



=== TEST 157: redis_cache_min_uses of none
--- config
    location /t { redis_cache_min_uses 0; }    # <--
--- emerg
invalid number "0" in "redis_cache_min_uses"; use one from 1 to 1000



=== TEST 158: redis_cache_min_uses of more than is counted
--- config
    location /t { redis_cache_min_uses 1001; }    # <--
--- emerg
invalid number "1001" in "redis_cache_min_uses"; use one from 1 to 1000



=== TEST 159: arguments in no form that there is
--- config
    location /t { redis_cache_args sort sorted; }    # <--
--- emerg
invalid option "sorted" in "redis_cache_args"; known are sort, normalize, drop=NAME,..., keep=NAME,... and no_vary_search, or "off" alone



=== TEST 160: a name that no argument has
--- config
    location /t { redis_cache_args drop=a*b; }    # <--
--- emerg
invalid name "a*b" in "redis_cache_args"; use one such as page, or utm_* for all that begin so



=== TEST 161: a list of arguments that there is not
--- config
    location /t { redis_cache_args drop=@other; }    # <--
--- emerg
unknown list "@other" in "redis_cache_args"; it is "@tracking"



=== TEST 162: redis_cache_compress, another coding
--- config
    location /t { redis_cache_compress br; }    # <--
--- emerg
invalid value "br" in "redis_cache_compress"; it is "gzip", "zstd" or "off"



=== TEST 163: redis_cache_compress, an unknown parameter
--- config
    location /t { redis_cache_compress gzip size=1k; }    # <--
--- emerg
invalid parameter "size=1k" in "redis_cache_compress"; known are min=SIZE, level=N and types=TYPE,... behind "gzip" or "zstd"



=== TEST 164: redis_cache_compress, a parameter behind off
--- config
    location /t { redis_cache_compress off min=1k; }    # <--
--- emerg
invalid parameter "min=1k" in "redis_cache_compress"; known are min=SIZE, level=N and types=TYPE,... behind "gzip" or "zstd"



=== TEST 165: redis_cache_compress, what is no size
--- config
    location /t { redis_cache_compress gzip min=1x; }    # <--
--- emerg
invalid size "min=1x" in "redis_cache_compress"; use one such as min=1k



=== TEST 166: redis_cache_compress, no level of zlib
--- config
    location /t { redis_cache_compress gzip level=10; }    # <--
--- emerg
invalid level "level=10" in "redis_cache_compress"; use one from level=1 to level=9



=== TEST 167: redis_cache_compress, what is no type
--- config
    location /t { redis_cache_compress gzip types=text; }    # <--
--- emerg
invalid type "text" in "redis_cache_compress"; use types such as text/html, text/*, *+json or *



=== TEST 168: redis_cache_compress, a parameter twice
--- config
    location /t { redis_cache_compress gzip level=1 level=2; }    # <--
--- emerg
"level=2" in "redis_cache_compress" says again what was said before



=== TEST 169: a slice that is too small
--- config
    location /t { redis_cache_slice 63k; }    # <--
--- emerg
invalid size "63k" in "redis_cache_slice"; use "off", or a size from 64k to 32m such as 1m



=== TEST 170: a slice that is too large
--- config
    location /t { redis_cache_slice 33m; }    # <--
--- emerg
invalid size "33m" in "redis_cache_slice"; use "off", or a size from 64k to 32m such as 1m



=== TEST 171: slices that are larger than a record may be
--- config
    location /t {
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_slice 2m;    # <--
        redis_cache_max_size 1m;
    }
--- emerg
"redis_cache_slice" is 2097152 bytes, more than the 1048576 of "redis_cache_max_size": use smaller slices, or raise that



=== TEST 172: redis_cache_compress, a level that zstd has, but not here
--- config
    location /t { redis_cache_compress zstd level=13; }    # <--
--- emerg
invalid level "level=13" in "redis_cache_compress"; use one from level=1 to level=12



=== TEST 173: redis_cache_post_location is a flag
--- config
    location /t {
        redis_cache_post_location GET;    # <--
    }
--- emerg
invalid value "GET" in "redis_cache_post_location"; it is "on" or "off"
