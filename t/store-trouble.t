# Redis in trouble is never a client's trouble: the backend answers, the log tells,
# and Redis is used again as soon as it is back.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;
use IO::Socket::INET;

plan tests => 126;

our $Closed = RedisServer->start('--requirepass', 'secret');
our $Full   = RedisServer->start('--maxmemory', '1', '--maxmemory-policy', 'noeviction');
our $Copy   = RedisServer->start('--replicaof', '127.0.0.1 1');
our $Own    = RedisServer->start;
our $Hung   = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'tcp', Listen => 64);

$Closed->client->command('AUTH', 'secret');
$Closed->client->command(qw(ACL SETUSER cache on >word ~* &* +@all));
$Closed->client->command(qw(ACL SETUSER reader on >word ~* &* +@all -@write));

$ENV{TEST_NGINX_CLOSED_PORT} = $Closed->port;
$ENV{TEST_NGINX_FULL_PORT}   = $Full->port;
$ENV{TEST_NGINX_COPY_PORT}   = $Copy->port;
$ENV{TEST_NGINX_OWN_PORT}    = $Own->port;
$ENV{TEST_NGINX_OWN_SOCKET}  = $Own->socket;
$ENV{TEST_NGINX_HUNG_PORT}   = $Hung->sockport;

# Until Redis has what was to be stored.
sub await_record {
    my ($server, $uri) = @_;
    for (1 .. 2000) {
        return if $server->client->command('EXISTS', "$ENV{TEST_NGINX_KEY}$uri");
        Time::HiRes::sleep(0.01);
    }
}

run_tests();

__DATA__

=== TEST 1: nobody listens
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    location / {
        redis_cache on;
        redis_cache_pass down;
        add_header X-Status $redis_cache_status always;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Status: MISS\nX-Reason: store unavailable") x 2]
--- response_body eval
[("from the backend\n") x 2]
--- timeout: 10
--- backend_log
GET /a
GET /a



=== TEST 2: nobody listens: it is logged, with the store's name
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    location / { redis_cache on; redis_cache_pass down; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- error_log eval
qr/\[(?:error|warn)\].*store "down"/



=== TEST 3: nobody listens: it is logged once per change, not per request
--- http_config
    redis_cache_store down { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
--- config
    location / { redis_cache on; redis_cache_pass down; proxy_pass http://backend; }
--- pipelined_requests eval
["GET /a", "GET /b", "GET /c", "GET /d"]
--- response_headers eval
[("X-Cache: SKIP") x 4]
--- after eval
sub {
    open my $in, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log" or die $!;
    Test::More::is(scalar(grep { /\[(?:error|warn|crit)\].*store "down"/ } <$in>), 1, 'one line about the store');
}



=== TEST 4: no such unix socket
--- http_config
    redis_cache_store down { server unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock; }
--- config
    location / { redis_cache on; redis_cache_pass down; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend



=== TEST 5: it accepts, but never answers
--- http_config
    redis_cache_store hung {
        server 127.0.0.1:$TEST_NGINX_HUNG_PORT;
        connect_timeout 200ms;
        send_timeout 200ms;
        read_timeout 200ms;
    }
--- config
    location / {
        redis_cache on;
        redis_cache_pass hung;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: store unavailable") x 2]
--- response_body eval
[("from the backend\n") x 2]
--- timeout: 10



=== TEST 6: it talks nonsense
--- http_config
    redis_cache_store web { server 127.0.0.1:$TEST_NGINX_RAND_PORT_1; }
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        return 200 "not Redis\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_pass web;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: store unavailable") x 2]
--- response_body eval
[("from the backend\n") x 2]
--- timeout: 10



=== TEST 7: it wants a password that isn't given
--- http_config
    redis_cache_store closed { server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- error_log
NOAUTH
--- timeout: 10



=== TEST 8: it wants another password
--- http_config
    redis_cache_store closed { server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s; password wrong; }
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- error_log
WRONGPASS
--- timeout: 10



=== TEST 9: the right password
--- http_config
    redis_cache_store closed { server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s; password secret; }
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 10: the right password, from a file
--- http_config
    redis_cache_store closed {
        server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s;
        password file:$TEST_NGINX_SERVER_ROOT/html/password;
    }
--- user_files
>>> password
secret
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 11: a user of its own
--- http_config
    redis_cache_store closed { server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s; username cache; password word; }
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]



=== TEST 12: user and password in an address
--- config
    location / {
        redis_cache on;
        redis_cache_pass redis://cache:word@127.0.0.1:$TEST_NGINX_CLOSED_PORT/3;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- after eval
[undef, sub {
    my $client = $main::Closed->client;
    $client->command('SELECT', 3);
    Test::More::is($client->command('EXISTS', "$ENV{TEST_NGINX_KEY}/a"), 1, 'the record is in database 3');
    $client->command('SELECT', 0);
}]



=== TEST 13: a user who may not write
--- http_config
    redis_cache_store closed { server 127.0.0.1:$TEST_NGINX_CLOSED_PORT; connect_timeout 2s; read_timeout 2s; username reader; password word; }
--- config
    location / { redis_cache on; redis_cache_pass closed; proxy_pass http://backend; }
--- request
GET /a
--- response_body
from the backend
--- error_log eval
qr/store "closed".* refuses writes: /
--- timeout: 10



=== TEST 14: it is full: nothing is stored, and the log says so
--- http_config
    redis_cache_store full { server 127.0.0.1:$TEST_NGINX_FULL_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass full; proxy_pass http://backend; }
--- request
GET /a
--- response_body
from the backend
--- error_log eval
[qr/store "full" .* has "maxmemory-policy noeviction": once it is full nothing more is stored/,
 qr/store "full" .* refuses writes: OOM .*; answers aren't stored until it accepts them; raise its "maxmemory"/]
--- timeout: 10



=== TEST 15: it is full: the next request goes to the backend
--- http_config
    redis_cache_store full { server 127.0.0.1:$TEST_NGINX_FULL_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass full; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_body eval
[("from the backend\n") x 2]
--- wait: 0.1
--- backend_log
GET /a
GET /a



=== TEST 16: it is a replica that may not be written
--- http_config
    redis_cache_store copy { server 127.0.0.1:$TEST_NGINX_COPY_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass copy; proxy_pass http://backend; }
--- request
GET /a
--- response_body
from the backend
--- error_log
READONLY
--- timeout: 10



=== TEST 17: the key holds a list: it is left alone
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- init
main::redis('RPUSH', '$KEY/a', 'one', 'two')
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: key of another type") x 2]
--- response_body eval
[("from the backend\n") x 2]
--- redis
LRANGE $KEY/a 0 -1 => one two
PTTL $KEY/a => -1



=== TEST 18: the key holds a string with an expiry: that stays, too
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::redis('SET', '$KEY/a', 'text', 'EX', 1000)
--- request
GET /a
--- response_headers
X-Cache: SKIP
--- response_body
from the backend
--- redis
GET $KEY/a => text
TTL $KEY/a => 1000|99\d



=== TEST 19: a key of another type is logged
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::redis('SET', '$KEY/a', 'text', 'EX', 1000)
--- request
GET /a
--- error_log eval
qr{\[error\].*/a" in store "main" is no hash; it is left alone}



=== TEST 20: it goes away and comes back
--- http_config
    redis_cache_store own { server 127.0.0.1:$TEST_NGINX_OWN_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass own; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("from the backend\n") x 4]
--- after eval
[
    sub { main::await_record($main::Own, '/a'); $main::Own->stop },
    sub { $main::Own->run; Time::HiRes::sleep(1.1) },
    sub { main::await_record($main::Own, '/a') },
    undef,
]
--- timeout: 10



=== TEST 21: it was restarted between two requests: nobody notices
--- http_config
    redis_cache_store own { server 127.0.0.1:$TEST_NGINX_OWN_PORT; connect_timeout 2s; read_timeout 2s; }
--- config
    location / { redis_cache on; redis_cache_pass own; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- after eval
[
    sub { main::await_record($main::Own, '/a'); $main::Own->stop; $main::Own->run },
    sub { main::await_record($main::Own, '/a') },
    undef,
]



=== TEST 22: over a unix socket
--- http_config
    redis_cache_store own { server unix:$TEST_NGINX_OWN_SOCKET; read_timeout 2s; database 2; }
--- config
    location / { redis_cache on; redis_cache_pass own; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- after eval
[undef, sub {
    my $client = $main::Own->client;
    $client->command('SELECT', 2);
    Test::More::is($client->command('EXISTS', "$ENV{TEST_NGINX_KEY}/a"), 1, 'the record is in database 2');
    $client->command('SELECT', 0);
}]



=== TEST 23: the address of a unix socket
--- config
    location / {
        redis_cache on;
        redis_cache_pass unix:$TEST_NGINX_OWN_SOCKET;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
