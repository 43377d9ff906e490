# What nginx says to a configuration that makes no sense, word for word, and that
# it starts with one that looks alike but does.

use lib 't/util';
use Test::Nginx::Socket;

plan tests => repeat_each() * (2 * blocks() + 5);
log_level('info');
no_root_location();
run_tests();

__DATA__

=== TEST 1: a zone without a size that is one
--- http_config
    redis_cache_zone locks 10x;
--- config
--- must_die
--- error_log
invalid zone size "10x" in "redis_cache_zone"; use a size such as 1m



=== TEST 2: a zone without room
--- http_config
    redis_cache_zone locks 63k;
--- config
--- must_die
--- error_log
zone "locks" is too small in "redis_cache_zone": 64k is the least



=== TEST 3: a zone twice, with two sizes
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_zone locks 2m;
--- config
--- must_die
--- error_log
zone "locks" is declared twice: here with 2m, before with 1m



=== TEST 4: a zone twice, with the same size
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_zone locks 1m;
--- config
--- must_die
--- error_log
zone "locks" is declared twice



=== TEST 5: a zone belongs into the http block
--- config
    redis_cache_zone locks 1m;
--- must_die
--- error_log
"redis_cache_zone" directive is not allowed here



=== TEST 6: a zone needs a size
--- http_config
    redis_cache_zone locks;
--- config
--- must_die
--- error_log
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
    location /t { redis_cache_lock nope; }
--- must_die
--- error_log
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
    location /t { redis_cache_pass nope; }
--- must_die
--- error_log
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
    location /t { redis_cache_pass redis://127.0.0.1:port; }
--- must_die
--- error_log eval
qr{invalid address "redis://127\.0\.0\.1:port" in "redis_cache_pass": \S}



=== TEST 13: an address without a host
--- config
    location /t { redis_cache_pass redis://; }
--- must_die
--- error_log eval
qr{invalid address "redis://" in "redis_cache_pass": \S}



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
    redis_cache_store main { read_timeout 1s; }
--- config
--- must_die
--- error_log
store "main" has no "server"



=== TEST 16: an empty store
--- http_config
    redis_cache_store main { }
--- config
--- must_die
--- error_log
store "main" has no "server"



=== TEST 17: a store twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; }
    redis_cache_store main { server 127.0.0.1:6380; }
--- config
--- must_die
--- error_log
store "main" is declared twice



=== TEST 18: a directive that stores don't have
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; foo bar; }
--- config
--- must_die
--- error_log
unknown directive "foo" in store "main"



=== TEST 19: several servers
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; server 127.0.0.1:6380; }
--- config
--- must_die
--- error_log
duplicate "server" in store "main"; several servers are not supported yet



=== TEST 20: connect_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connect_timeout 5x; }
--- config
--- must_die
--- error_log
invalid time "5x" in "connect_timeout" of store "main"; use a time such as 200ms



=== TEST 21: send_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; send_timeout 5x; }
--- config
--- must_die
--- error_log
invalid time "5x" in "send_timeout" of store "main"; use a time such as 200ms



=== TEST 22: read_timeout that is no time
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 5x; }
--- config
--- must_die
--- error_log
invalid time "5x" in "read_timeout" of store "main"; use a time such as 200ms



=== TEST 23: no connection
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 0; }
--- config
--- must_die
--- error_log
"connections" of store "main" must be between 1 and 1024



=== TEST 24: too many connections
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections 1025; }
--- config
--- must_die
--- error_log
"connections" of store "main" must be between 1 and 1024



=== TEST 25: a number of connections that is none
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; connections many; }
--- config
--- must_die
--- error_log
"connections" of store "main" must be between 1 and 1024



=== TEST 26: a server whose name nobody knows
--- http_config
    redis_cache_store main { server nosuch.invalid; }
--- config
--- must_die
--- error_log eval
qr{host not found in "server nosuch\.invalid.*" of store "main"}



=== TEST 27: Sentinel
--- http_config
    redis_cache_store main { server 127.0.0.1:26379; mode sentinel mymaster; }
--- config
--- must_die
--- error_log
"mode sentinel" of store "main" is not supported yet



=== TEST 28: TLS
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; }
--- config
--- must_die
--- error_log
"tls" of store "main" is not supported yet



=== TEST 29: a database that is no number
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; database first; }
--- config
--- must_die
--- error_log
"database" of store "main" must be a number such as 0



=== TEST 30: a password in a file that isn't there
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; password file:nowhere; }
--- config
--- must_die
--- error_log eval
qr{"password" of store "main" can't be read: "/\S+/nowhere": No such file}



=== TEST 31: a time twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 1s; read_timeout 2s; }
--- config
--- must_die
--- error_log
duplicate "read_timeout" in store "main"



=== TEST 32: no time at all
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; read_timeout 0; }
--- config
--- must_die
--- error_log
invalid time "0" in "read_timeout" of store "main"; use a time such as 200ms



=== TEST 33: two values where one belongs
--- http_config
    redis_cache_store main { server 127.0.0.1:6379 127.0.0.1:6380; }
--- config
--- must_die
--- error_log
"server" of store "main" takes one value



=== TEST 34: an address with TLS
--- config
    location /t { redis_cache_pass rediss://127.0.0.1:6379; }
--- must_die
--- error_log eval
qr{invalid address "rediss://127\.0\.0\.1:6379" in "redis_cache_pass": \S}



=== TEST 35: a store belongs into the http block
--- config
    redis_cache_store main { server 127.0.0.1:6379; }
--- must_die
--- error_log
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
    location /t { redis_cache_valid 99; }
--- must_die
--- error_log
invalid status "99" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 38: a status beyond all
--- config
    location /t { redis_cache_valid 200 600 1m; }
--- must_die
--- error_log
invalid status "600" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 39: a word as a status
--- config
    location /t { redis_cache_valid all; }
--- must_die
--- error_log
invalid status "all" in "redis_cache_valid"; use a code from 200 to 599, or "any"



=== TEST 40: redis_cache_age that is no time
--- config
    location /t { redis_cache_age 5x; }
--- must_die
--- error_log
invalid time "5x" in "redis_cache_age"; use a time such as 2m



=== TEST 41: redis_cache_stale that is no time
--- config
    location /t { redis_cache_stale 5x; }
--- must_die
--- error_log
invalid time "5x" in "redis_cache_stale"; use a time such as 2m



=== TEST 42: redis_cache_lock_timeout that is no time
--- config
    location /t { redis_cache_lock_timeout 5x; }
--- must_die
--- error_log
invalid time "5x" in "redis_cache_lock_timeout"; use a time such as 2m



=== TEST 43: redis_cache_lock_age that is no time
--- config
    location /t { redis_cache_lock_age 5x; }
--- must_die
--- error_log
invalid time "5x" in "redis_cache_lock_age"; use a time such as 2m



=== TEST 44: redis_cache_max_size that is no size
--- config
    location /t { redis_cache_max_size 5x; }
--- must_die
--- error_log
invalid size "5x" in "redis_cache_max_size"; use a size such as 8m



=== TEST 45: redis_cache that is neither on nor off
--- config
    location /t { redis_cache maybe; }
--- must_die
--- error_log
invalid value "maybe" in "redis_cache"; it is "on" or "off"



=== TEST 46: a header that can't be ignored
--- config
    location /t { redis_cache_ignore_headers Vary Foo; }
--- must_die
--- error_log
unknown header "Foo" in "redis_cache_ignore_headers"; known are Cache-Control, Expires, Set-Cookie, Vary, Authorization, X-Accel-Expires, CDN-Cache-Control and Surrogate-Control



=== TEST 47: a backend that is neither URI nor name
--- config
    location /t { redis_cache_backend fallback; }
--- must_die
--- error_log
invalid backend "fallback" in "redis_cache_backend"; use "/uri" or "@name"



=== TEST 48: a header whose name is none
--- config
    location /t { redis_cache_header "X Cache"; }
--- must_die
--- error_log
invalid header name "X Cache" in "redis_cache_header"



=== TEST 49: a method that is none
--- config
    location /t { redis_cache_methods GET "G(T"; }
--- must_die
--- error_log
invalid method "G(T" in "redis_cache_methods"



=== TEST 50: a cache without zone
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache on; redis_cache_pass main; }
--- must_die
--- error_log
"redis_cache" is on, but no zone is named: add "redis_cache_lock ZONE" or "set $cache_lock ZONE"



=== TEST 51: a cache without store
--- http_config
    redis_cache_zone locks 1m;
--- config
    location /t { redis_cache on; redis_cache_lock locks; }
--- must_die
--- error_log
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



=== TEST 53: redis_cache twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache on; redis_cache on; }
--- must_die
--- error_log
"redis_cache" directive is duplicate



=== TEST 54: redis_cache_lock twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_lock locks; redis_cache_lock locks; }
--- must_die
--- error_log
"redis_cache_lock" directive is duplicate



=== TEST 55: redis_cache_pass twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_pass main; redis_cache_pass main; }
--- must_die
--- error_log
"redis_cache_pass" directive is duplicate



=== TEST 56: redis_cache_backend twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_backend /b; redis_cache_backend /b; }
--- must_die
--- error_log
"redis_cache_backend" directive is duplicate



=== TEST 57: redis_cache_key twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_key $uri; redis_cache_key $uri; }
--- must_die
--- error_log
"redis_cache_key" directive is duplicate



=== TEST 58: redis_cache_age twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_age 1m; redis_cache_age 1m; }
--- must_die
--- error_log
"redis_cache_age" directive is duplicate



=== TEST 59: redis_cache_stale twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_stale 1m; redis_cache_stale 1m; }
--- must_die
--- error_log
"redis_cache_stale" directive is duplicate



=== TEST 60: redis_cache_header twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_header X-Cache; redis_cache_header X-Cache; }
--- must_die
--- error_log
"redis_cache_header" directive is duplicate



=== TEST 61: redis_cache_lock_timeout twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_lock_timeout 1s; redis_cache_lock_timeout 1s; }
--- must_die
--- error_log
"redis_cache_lock_timeout" directive is duplicate



=== TEST 62: redis_cache_lock_age twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_lock_age 1m; redis_cache_lock_age 1m; }
--- must_die
--- error_log
"redis_cache_lock_age" directive is duplicate



=== TEST 63: redis_cache_max_size twice in one place
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main { server 127.0.0.1:6379; }
--- config
    location /t { redis_cache_max_size 1m; redis_cache_max_size 1m; }
--- must_die
--- error_log
"redis_cache_max_size" directive is duplicate



=== TEST 64: set_md5 into what is no variable
--- config
    location /t { set_md5 x text; }
--- must_die
--- error_log
invalid variable name "x" in "set_md5"; it begins with "$"



=== TEST 65: set_md5 into an unnamed variable
--- config
    location /t { set_md5 $ text; }
--- must_die
--- error_log
invalid variable name "$" in "set_md5"; it begins with "$"



=== TEST 66: set_md5 of an unknown variable
--- config
    location /t { set_md5 $x $nobody; }
--- must_die
--- error_log
unknown "nobody" variable



=== TEST 67: a key of an unknown variable
--- config
    location /t { redis_cache_key $nobody; }
--- must_die
--- error_log
unknown "nobody" variable



=== TEST 68: redis_cache_capture_memory that is no size
--- config
    location /t { redis_cache_capture_memory much; }
--- must_die
--- error_log
invalid size "much" in "redis_cache_capture_memory"; use a size such as 256m



=== TEST 69: redis_cache_refills that is no number
--- config
    location /t { redis_cache_refills -1; }
--- must_die
--- error_log
invalid number "-1" in "redis_cache_refills"; use a number such as 64



=== TEST 70: redis_cache_lock_queue that is no number
--- config
    location /t { redis_cache_lock_queue all; }
--- must_die
--- error_log
invalid number "all" in "redis_cache_lock_queue"; use a number such as 64



=== TEST 71: redis_cache_uncacheable_ttl that is no time
--- config
    location /t { redis_cache_uncacheable_ttl soon; }
--- must_die
--- error_log
invalid time "soon" in "redis_cache_uncacheable_ttl"; use a time such as 2m



=== TEST 72: redis_cache_use_stale with a word that it doesn't know
--- config
    location /t { redis_cache_use_stale error http_418; }
--- must_die
--- error_log
invalid value "http_418" in "redis_cache_use_stale"; known are error, timeout, invalid_header, updating, http_500, http_502, http_503, http_504, http_5xx, http_403, http_404 and http_429, or "off" alone



=== TEST 73: redis_cache_use_stale off is off alone
--- config
    location /t { redis_cache_use_stale error off; }
--- must_die
--- error_log
invalid value "off" in "redis_cache_use_stale"



=== TEST 74: redis_cache_revalidate is a flag
--- config
    location /t { redis_cache_revalidate sometimes; }
--- must_die
--- error_log
invalid value "sometimes" in "redis_cache_revalidate"; it is "on" or "off"



=== TEST 75: redis_cache_backoff whose limit is none
--- config
    location /t { redis_cache_backoff 1s 10s; }
--- must_die
--- error_log
invalid limit "10s" in "redis_cache_backoff"; use one such as max=10s, not below the first time



=== TEST 76: redis_cache_backoff whose limit is below the first time
--- config
    location /t { redis_cache_backoff 10s max=1s; }
--- must_die
--- error_log
invalid limit "max=1s" in "redis_cache_backoff"



=== TEST 77: redis_cache_pass_timeout that is no time
--- config
    location /t { redis_cache_pass_timeout soon; }
--- must_die
--- error_log
invalid time "soon" in "redis_cache_pass_timeout"; use a time such as 2m



=== TEST 78: redis_cache_pass_timeout of nothing
--- config
    location /t { redis_cache_pass_timeout 0; }
--- must_die
--- error_log
invalid time "0" in "redis_cache_pass_timeout"; use a time such as 200ms



=== TEST 79: redis_cache_set_cookie that is neither
--- config
    location /t { redis_cache_set_cookie on; }
--- must_die
--- error_log
invalid value "on" in "redis_cache_set_cookie"; it is "off" or "public"



=== TEST 80: redis_cache_heuristic that is no share
--- config
    location /t { redis_cache_heuristic 0%; }
--- must_die
--- error_log
invalid value "0%" in "redis_cache_heuristic"; use "off" or a share such as 10%, and max=1d



=== TEST 81: redis_cache_heuristic with a limit that is no time
--- config
    location /t { redis_cache_heuristic 10% max=soon; }
--- must_die
--- error_log
invalid value "max=soon" in "redis_cache_heuristic"



=== TEST 82: redis_cache_heuristic that is off, but for how long?
--- config
    location /t { redis_cache_heuristic off max=1h; }
--- must_die
--- error_log
invalid value "off" in "redis_cache_heuristic"



=== TEST 83: redis_cache_honor_request is a flag
--- config
    location /t { redis_cache_honor_request always; }
--- must_die
--- error_log
invalid value "always" in "redis_cache_honor_request"; it is "on" or "off"



=== TEST 84: redis_cache_heuristic twice in one place
--- config
    location /t { redis_cache_heuristic off; redis_cache_heuristic 10%; }
--- must_die
--- error_log
"redis_cache_heuristic" directive is duplicate



=== TEST 85: headers that can be ignored, each by its name
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



=== TEST 86: redis_cache_status_header with an option that isn't one
--- config
    location /t { redis_cache_status_header Example keys; }
--- must_die
--- error_log
invalid option "keys" in "redis_cache_status_header"; it is "key"



=== TEST 87: redis_cache_status_header with a name that can't be sent
--- config
    location /t { redis_cache_status_header "Café"; }
--- must_die
--- error_log
in "redis_cache_status_header"; use printable ASCII characters



=== TEST 88: redis_cache_status_header twice in one place
--- config
    location /t { redis_cache_status_header A; redis_cache_status_header off; }
--- must_die
--- error_log
"redis_cache_status_header" directive is duplicate



=== TEST 89: redis_cache_variants without any
--- config
    location /t { redis_cache_variants 0; }
--- must_die
--- error_log
invalid number "0" in "redis_cache_variants"; use one from 1 to 256



=== TEST 90: more variants than may be
--- config
    location /t { redis_cache_variants 257; }
--- must_die
--- error_log
invalid number "257" in "redis_cache_variants"; use one from 1 to 256



=== TEST 91: redis_cache_variants that is no number
--- config
    location /t { redis_cache_variants many; }
--- must_die
--- error_log
invalid number "many" in "redis_cache_variants"



=== TEST 92: redis_cache_variants twice
--- config
    location /t { redis_cache_variants 1; redis_cache_variants 256; }
--- must_die
--- error_log
"redis_cache_variants" directive is duplicate
