# Cache-Status (RFC 9211) by redis_cache_status_header, and the variables that tell
# a log the same.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 89;
run_tests();

__DATA__

=== TEST 1: a miss, and a hit
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; redis_cache_age 60s; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "HEAD /a"]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; fwd-status=200; ttl=60; stored",
 ("Cache-Status: Example; hit; ttl=(?:59|60)") x 2]



=== TEST 2: a stale record has a negative ttl
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; redis_cache_stale 100s; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 60)
--- request
GET /a
--- response_headers_like
X-Cache: STALE
Cache-Status: Example; hit; ttl=-4[01]



=== TEST 3: what the cache has no part in by its configuration
--- config
    redis_cache_status_header Example;
    redis_cache_bypass $arg_bypass;
    redis_cache_no_store $arg_no_store;
    location / { redis_cache on; proxy_pass http://backend; }
    location /nowhere { redis_cache on; set $cache_pass nowhere; proxy_pass http://backend; }
--- request eval
["POST /a", "GET /a?bypass=1", "GET /a?no_store=1", "GET /a?bypass=1&no_store=1", "GET /nowhere"]
--- response_headers_like eval
["Cache-Status: Example; fwd=method; fwd-status=200",
 "Cache-Status: Example; fwd=bypass; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; fwd=uri-miss; fwd-status=200; detail=\"redis_cache_no_store\"",
 "Cache-Status: Example; fwd=bypass; fwd-status=200",
 "Cache-Status: Example; fwd=bypass; fwd-status=200; detail=\"zone, store or key missing\""]



=== TEST 4: an answer that isn't stored, and why
--- backend
    location /cookie { add_header Set-Cookie a=1; return 200; }
    location /private { add_header Cache-Control private; return 200; }
    location /404 { return 404; }
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /cookie", "GET /private", "GET /404"]
--- error_code eval
[200, 200, 404]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; fwd-status=200; detail=\"set-cookie\"",
 "Cache-Status: Example; fwd=uri-miss; fwd-status=200; detail=\"private\"",
 "Cache-Status: Example; fwd=uri-miss; fwd-status=404; detail=\"status not listed\""]



=== TEST 5: a backend that gives no answer has no status
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; proxy_pass http://127.0.0.1:1; }
--- request eval
["GET /a", "POST /a"]
--- error_code eval
[502, 502]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; detail=\".+\"", "Cache-Status: Example; fwd=method"]



=== TEST 6: the key by option; what isn't plain text in it is encoded
--- config
    location / {
        redis_cache on;
        redis_cache_key "$TEST_NGINX_KEY\"\\$uri";
        redis_cache_status_header "Our Cache" key;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /%C3%A9%0A"]
--- response_headers_like eval
['Cache-Status: "Our Cache"; fwd=uri-miss; fwd-status=200; ttl=120; stored; key="t[\d.]+\\\\"\\\\\\\\/a"',
 'Cache-Status: "Our Cache"; fwd=uri-miss; fwd-status=200; ttl=120; stored; key="t[\d.]+\\\\"\\\\\\\\/%C3%A9%0A"']



=== TEST 7: of caches behind this one: kept in the record, in front of ours
--- backend
    location / {
        add_header Cache-Status "Origin; hit; ttl=30";
        add_header Cache-Status "Shield; fwd=stale";
        return 200;
    }
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "POST /a"]
--- raw_response_headers_like eval
["Cache-Status: Origin; hit; ttl=30\r\nCache-Status: Shield; fwd=stale\r\n(?:.*\r\n)*Cache-Status: Example; fwd=uri-miss; fwd-status=200; ttl=120; stored\r\n",
 "Cache-Status: Origin; hit; ttl=30\r\nCache-Status: Shield; fwd=stale\r\n(?:.*\r\n)*Cache-Status: Example; hit; ttl=1(?:19|20)\r\n",
 "Cache-Status: Origin; hit; ttl=30\r\nCache-Status: Shield; fwd=stale\r\n(?:.*\r\n)*Cache-Status: Example; fwd=method; fwd-status=200\r\n"]



=== TEST 8: inherited, replaced, and taken back
--- config
    redis_cache_status_header Example;
    location /other { redis_cache on; redis_cache_status_header Other; proxy_pass http://backend; }
    location /none { redis_cache on; redis_cache_status_header off; proxy_pass http://backend; }
    location /uncached { proxy_pass http://backend; }
--- request eval
["GET /other", "GET /none", "GET /uncached"]
--- response_headers_like eval
["Cache-Status: Other; .*", "X-Cache: STORE", "Content-Type: text/plain"]
--- raw_response_headers_unlike eval
["Example", "Cache-Status", "Cache-Status"]



=== TEST 9: validated by the backend, replaced, and in use because it failed
--- backend
    location /same { add_header ETag '"1"'; if ($http_if_none_match) { return 304; } return 200 "same\n"; }
    location /new { return 200 "new\n"; }
    location /bad { return 503; }
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; redis_cache_use_stale error http_503; proxy_pass http://backend; }
--- init
main::record("/$_", ttl => 60, headers => '{"ETag":"\"1\""}') for qw(new bad);
--- request eval
["GET /new", "GET /bad"]
--- response_headers_like eval
["Cache-Status: Example; fwd=stale; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; fwd=stale; fwd-status=503; ttl=-4[0-5].*"]



=== TEST 10: the variables in a log
--- http_config
    log_format cache '$redis_cache_status|$redis_cache_reason|$redis_cache_ttl|$redis_cache_age|$redis_cache_key|$redis_cache_fill_time';
--- config
    access_log logs/cache.log cache;
    location / { redis_cache on; redis_cache_age 60s; proxy_pass http://backend; }
--- init
main::record('/stale', ttl => 60)
--- request eval
["GET /a", "GET /a", "GET /stale", "POST /b"]
--- after eval
[undef, undef, undef, sub {
    my ($text, $want) = ('', CORE::join '\n',
        'MISS\|(?:being )?stored\|60\|-\|t[\d.]+/a\|\d+\.\d{3}',
        'HIT\|fresh\|(?:5\d|60)\|\d\|t[\d.]+/a\|-',
        'STALE\|stale\|-4\d\|10\d\|t[\d.]+/stale\|-',
        'BYPASS\|method not listed\|-\|-\|t[\d.]+/b\|-');
    for (1 .. 200) {
        open my $in, '<', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/cache.log" or next;
        $text = CORE::join '', sort { $a cmp $b } <$in>;
        last if ($text =~ tr/\n//) == 4;
        Time::HiRes::sleep(0.02);
    }
    Test::More::like($text, qr/^$_$/m, 'log') for split /\\n/, $want;
}]



=== TEST 11: a record that the backend has confirmed
--- backend
    location / { add_header ETag '"1"'; if ($http_if_none_match) { return 304; } return 200 "same\n"; }
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; redis_cache_use_stale off; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- redis eval
["PEXPIRE \$KEY/a 50000 => 1", undef]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; fwd=stale; fwd-status=304; ttl=1(?:19|20)"]
--- response_body eval
["same\n", "same\n"]



=== TEST 12: what the client wants of the cache
--- backend
    location / { add_header ETag '"1"'; if ($http_if_none_match) { return 304; } return 200 "same\n"; }
    location /new { return 200 "new\n"; }
--- config
    redis_cache_status_header Example;
    redis_cache_honor_request on;
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/new')
--- request eval
["GET /a", "GET /a", "GET /new", "GET /none"]
--- more_headers eval
["", "Cache-Control: no-cache", "Cache-Control: no-cache", "Cache-Control: only-if-cached"]
--- error_code eval
[200, 200, 200, 504]
--- redis eval
["EXISTS \$KEY/a => 1", undef, undef, undef]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; fwd=request; fwd-status=304; ttl=1(?:19|20)",
 "Cache-Status: Example; fwd=request; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; detail=\"only-if-cached\""]



=== TEST 13: a variant that isn't there yet
--- backend
    location / { add_header Vary X-Kind; return 200 "$http_x_kind\n"; }
--- config
    redis_cache_status_header Example;
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["X-Kind: one", "X-Kind: two", "X-Kind: one", "X-Kind: two"]
--- redis eval
["EXISTS \$KEY/a => 1", undef, undef, undef]
--- response_body eval
["one\n", "two\n", "one\n", "two\n"]
--- response_headers_like eval
["Cache-Status: Example; fwd=uri-miss; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; fwd=vary-miss; fwd-status=200; ttl=120; stored",
 "Cache-Status: Example; hit; ttl=1(?:19|20)",
 "Cache-Status: Example; .+"]
