# redis_cache_lock_scope store: what a fill leaves in Redis of its lease, and what it makes of that of another machine.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

# What another machine has put into the place of a lease, for a time.
sub main::lease {
    my ($uri, $length, %field) = @_;
    my $name = "{$ENV{TEST_NGINX_KEY}$uri}:l";
    main::redis('HSET', $name, fence => '', verdict => '', %field);
    main::redis('PEXPIRE', $name, $length) if $length;
}

plan tests => 54;

run_tests();

__DATA__

=== TEST 1: one machine fills as ever, and gives its lease back
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log
GET /a
--- redis
HGET $KEY/a status => 200
EXISTS {$KEY/a}:l => 0



=== TEST 2: that responses aren't storable is remembered for other machines
--- backend
    location / { add_header Cache-Control private; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        redis_cache_uncacheable_ttl 60s;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- redis
HGET {$KEY/a}:l verdict => uncacheable
HSTRLEN {$KEY/a}:l token => 0
PTTL {$KEY/a}:l => [1-9]\d+
EXISTS $KEY/a => 0



=== TEST 3: and is known here then, until one is stored
--- init
main::lease('/a', 60_000, token => '', verdict => 'uncacheable');
main::lease('/b', 60_000, token => '', verdict => 'uncacheable');
--- backend
    location /a { add_header Cache-Control private; return 200 "page\n"; }
    location /b { return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE"]
--- redis
HGET {$KEY/a}:l verdict => uncacheable
PTTL {$KEY/a}:l => [1-5]\d{4}
EXISTS $KEY/a => 0
HGET $KEY/b status => 200
EXISTS {$KEY/b}:l => 0



=== TEST 4: while another machine has the lease a request waits, as long as the lock timeout says
--- init
main::lease('/a', 60_000, token => '0123456789abcdef')
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        redis_cache_lock_timeout 300ms;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: SKIP
X-Reason: lock timeout
--- redis
HGET {$KEY/a}:l token => 0123456789abcdef
EXISTS $KEY/a => 0



=== TEST 5: a lease that ends is taken
--- init
main::lease('/a', 500, token => '0123456789abcdef')
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        redis_cache_lock_timeout 60s;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
HGET $KEY/a status => 200
EXISTS {$KEY/a}:l => 0



=== TEST 6: one that never ends, or from before an invalidation, or that is nonsense, counts for nothing
--- init
main::lease('/a', 0, token => '0123456789abcdef');
main::lease('/b', 60_000, token => '0123456789abcdef', fence => 'fedcba9876543210');
main::lease('/c', 60_000, token => 'nonsense');
main::lease('/d', 60_000, token => '', verdict => 'stored');
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        redis_cache_lock_timeout 60s;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /b", "GET /c", "GET /d"]
--- response_headers eval
[("X-Cache: STORE") x 4]
--- redis
HGET $KEY/a status => 200
HGET $KEY/b status => 200
HGET $KEY/c status => 200
HGET $KEY/d status => 200



=== TEST 7: a stale record is left to the machine that refills it
--- init
main::record('/a', ttl => 50);
main::lease('/a', 60_000, token => '0123456789abcdef');
--- config
    location / {
        redis_cache on;
        redis_cache_lock_scope store;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: STALE") x 2]
--- backend_log
--- redis
HGET $KEY/a body => from the record\n
HGET {$KEY/a}:l token => 0123456789abcdef



=== TEST 8: with "zone" no other machine is asked
--- init
main::lease('/a', 60_000, token => '0123456789abcdef')
--- config
    redis_cache_lock_scope store;
    location / {
        redis_cache on;
        redis_cache_lock_scope zone;
        proxy_pass http://backend;
    }
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
HGET $KEY/a status => 200
HGET {$KEY/a}:l token => 0123456789abcdef
