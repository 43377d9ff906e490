# X-Accel-Limit-Rate and X-Accel-Charset of a backend hold for each client of its answer, and no client sees them.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;
use Time::HiRes 'time';

plan tests => 51;
our $began = time;
run_tests();

__DATA__

=== TEST 1: the charset, on miss, hit and stale
--- backend
    location / { default_type text/html; add_header X-Accel-Charset koi8-r; add_header Cache-Control max-age=60; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
    location /ignored { redis_cache on; proxy_ignore_headers X-Accel-Charset; proxy_pass http://backend; }
--- http_config
    charset_map koi8-r utf-8 { 80 E282AC; }
--- request eval
["GET /a", "GET /a", "GET /a", "GET /ignored", "GET /ignored"]
--- response_headers eval
[(map { "X-Cache: $_\nContent-Type: text/html; charset=koi8-r\n!X-Accel-Charset" } qw(STORE HIT STALE)),
 (map { "X-Cache: $_\nContent-Type: text/html\n!X-Accel-Charset" } qw(STORE HIT))]
--- redis eval
['HGET $KEY/a meta => .* charset=koi8-r', undef, undef, 'HGET $KEY/ignored meta => (?!.*charset).+']
--- after eval
[undef, sub { main::age('/a', 90) }]



=== TEST 2: the pace, on miss, hit and stale
--- backend
    location / { add_header X-Accel-Limit-Rate 4000; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
">>> file.txt\n" . "0123456789" x 800
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
$main::began = time
--- request eval
["GET /file.txt", "GET /file.txt", "GET /file.txt"]
--- response_headers eval
[map { "X-Cache: $_\n!X-Accel-Limit-Rate" } qw(STORE HIT STALE)]
--- after eval
[map { my $stale = $_; sub {
    my $taken = time - $main::began;
    Test::More::cmp_ok($taken, '>', 0.9, 'as slow as the backend wants');
    main::age('/file.txt', 90) if $stale;
    $main::began = time;
} } 0, 1, 0]



=== TEST 3: a backend that takes the limit of the location away, and one that the location doesn't heed
--- backend
    location / { add_header X-Accel-Limit-Rate $arg_rate; root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files eval
">>> file.txt\n" . "0123456789" x 3000
--- config
    location / { redis_cache on; limit_rate 1000; proxy_pass http://backend; }
    location /ignored/ { redis_cache on; proxy_ignore_headers X-Accel-Limit-Rate; proxy_pass http://backend/; }
--- init
$main::began = time
--- request eval
["GET /file.txt?rate=0", "GET /file.txt?rate=0", "GET /ignored/file.txt?rate=1000", "GET /ignored/file.txt?rate=1000"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- after eval
[map { sub {
    Test::More::cmp_ok(time - $main::began, '<', 15, 'not slower than it can be');
    $main::began = time;
} } 1 .. 4]



=== TEST 4: headers of a record have no say in it
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Content-Type":"text\/plain","X-Accel-Charset":"koi8-r","X-Accel-Limit-Rate":"1"}')
--- request
GET /a
--- response_headers
X-Cache: HIT
Content-Type: text/plain
!X-Accel-Charset
!X-Accel-Limit-Rate
