# Interim responses (RFC 9110 15.2). nginx hands a backend's 1xx on as it comes, with
# the final response behind it; from 1.29 on it takes a 103 off and goes on with the final
# response. Where early_hints says so, the clients of a fill get that 103 first. No interim
# response is stored. Expect: 100-continue is between the client and nginx.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 67;

# A backend that says something before its answer.
our $Peer   = "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock";
our $Answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: max-age=60\r\nContent-Length: 6\r\n\r\nfinal\n";
our $Hints  = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nCache-Control: max-age=60\r\n\r\n";
our $Go     = "HTTP/1.1 100 Continue\r\n\r\n";

# Waits until the fill has said what became of it.
sub outcome {
    my $log = "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log";
    for (1 .. 400) {
        open my $in, '<', $log or last;
        while (my $line = <$in>) {
            return $1 if $line =~ /redis_cache: fill of "[^"]*": (.*?)(?:, client.*)?$/;
        }
        select undef, undef, undef, 0.01;
    }
    return 'nothing';
}

run_tests();

__DATA__

=== TEST 1: 103 through proxy_pass alone
--- skip_nginx: 3: >= 1.29.0
--- config
    location / { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- error_code: 103
--- response_headers
Link: </a.css>; rel=preload
--- response_body eval: $main::Answer



=== TEST 2: 103 through the cache, whatever may be stored
--- skip_nginx: 6: >= 1.29.0
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- error_code: 103
--- response_headers
Link: </a.css>; rel=preload
X-Cache: SKIP
--- response_body eval: $main::Answer
--- after eval
sub { Test::More::is(main::outcome(), 'interim answer', 'what became of it') }
--- redis
EXISTS $KEY/a => 0



=== TEST 3: 100, where only 200 may be stored
--- config
    location / { redis_cache on; proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Go . $main::Answer
--- request
GET /a
--- error_code: 100
--- response_headers
X-Cache: SKIP
--- response_body eval: $main::Answer
--- after eval
sub { Test::More::is(main::outcome(), 'interim answer', 'what became of it') }
--- redis
EXISTS $KEY/a => 0



=== TEST 4: both, asked for with a condition and a range
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Go . $main::Hints . $main::Answer
--- request
GET /a
--- more_headers
If-None-Match: *
Range: bytes=0-1
--- error_code: 100
--- response_body eval: $main::Hints . $main::Answer
--- redis
EXISTS $KEY/a => 0



=== TEST 5: an interim answer to a refill leaves the record
--- skip_nginx: 5: >= 1.29.0
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- after eval
sub { Test::More::is(main::outcome(), 'interim answer', 'what became of it') }
--- redis
HGET $KEY/a body => from the record\n



=== TEST 6: a client that waits for 100 (Continue) before it sends its body
--- backend
    location / { proxy_set_header Expect ""; proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/echo.sock; }
--- http_config
    server {
        listen unix:$TEST_NGINX_SERVER_ROOT/html/echo.sock;
        location / { return 200 "expect [$http_expect] length $http_content_length\n"; }
    }
--- config
    location / { redis_cache on; redis_cache_methods POST; proxy_pass http://backend; }
--- raw_request eval
["POST /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "hello"]
--- raw_request_middle_delay: 0.05
--- error_code: 100
--- response_body_like: ^HTTP/1.1 200 OK.*X-Cache: STORE.*expect \[\] length 5
--- backend_log
POST /a
--- redis
HGET $KEY/a body => expect \[\] length 5\n



=== TEST 7: 103 through proxy_pass alone, from 1.29 on
--- skip_nginx: 3: < 1.29.0
--- config
    location / { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- response_headers
! Link
--- response_body
final



=== TEST 8: 103 and its final answer through the cache
--- skip_nginx: 6: < 1.29.0
--- config
    location / {
        redis_cache on;
        redis_cache_valid any;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- response_headers
! Link
X-Cache: STORE
--- response_body
final
--- after eval
sub { Test::More::is(main::outcome(), 'stored', 'what became of it') }
--- redis
HGET $KEY/a body => final\n



=== TEST 9: 103 and its final answer to a refill
--- skip_nginx: 5: < 1.29.0
--- config
    location / {
        redis_cache on;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- response_headers
X-Cache: STALE
--- response_body
from the record
--- after eval
sub { Test::More::is(main::outcome(), 'stored', 'what became of it') }
--- redis
HGET $KEY/a body => final\n



=== TEST 10: with early_hints the client of a fill gets the hint and then the response, which alone is stored
--- skip_nginx: 7: < 1.29.0
--- config
    location / {
        redis_cache on;
        early_hints 1;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- error_code: 103
--- response_headers
Link: </a.css>; rel=preload
Cache-Control: max-age=60
! X-Cache
--- response_body_like: ^HTTP/1.1 200 OK\r\n(?!.*Link:).*X-Cache: STORE.*\r\n\r\nfinal\n$
--- after eval
sub { Test::More::is(main::outcome(), 'stored', 'what became of it') }
--- redis
HGET $KEY/a headers => (?!.*Link).*



=== TEST 11: whether a client gets the hint is asked of its own request
--- skip_nginx: 5: < 1.29.0
--- config
    location / {
        redis_cache on;
        early_hints $arg_early;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a?early=0
--- response_headers
! Link
X-Cache: STORE
--- response_body
final
--- after eval
sub { Test::More::is(main::outcome(), 'stored', 'what became of it') }



=== TEST 12: two hints, the fields of either alone, and not those for caches
--- skip_nginx: 3: < 1.29.8: nginx takes one hint alone
--- config
    location / {
        redis_cache on;
        redis_cache_tags surrogate-key;
        early_hints 1;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval
"HTTP/1.1 103 Early Hints\r\nSurrogate-Key: a\r\nX-One: 1\r\n\r\n" .
"HTTP/1.1 103 Early Hints\r\nX-Two: 2\r\n\r\n" . $main::Answer
--- request
GET /a
--- error_code: 103
--- response_headers
! Surrogate-Key
--- response_body_like: ^HTTP/1.1 103 Early Hints\r\nX-Two: 2\r\n\r\nHTTP/1.1 200 OK\r\n(?!.*X-(One|Two))



=== TEST 13: what has been put into the response's header before doesn't get into the hint, and stays
--- skip_nginx: 3: < 1.29.0
--- config
    location / {
        redis_cache on;
        early_hints 1;
        add_header X-Added yes;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- request
GET /a
--- error_code: 103
--- response_headers
! X-Added
--- response_body_like: ^HTTP/1.1 200 OK\r\n.*X-Added: yes.*\r\n\r\nfinal\n$



=== TEST 14: HTTP/1.0 has no interim responses
--- skip_nginx: 4: < 1.29.0
--- config
    location / {
        redis_cache on;
        early_hints 1;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- raw_request eval
"GET /a HTTP/1.0\r\nHost: localhost\r\n\r\n"
--- response_headers
! Link
X-Cache: STORE
--- response_body
final



=== TEST 15: a hint to a refill is for nobody
--- skip_nginx: 5: < 1.29.0
--- config
    location / {
        redis_cache on;
        early_hints 1;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: $main::Peer
--- tcp_reply eval: $main::Hints . $main::Answer
--- init
main::record('/a', ttl => 50)
--- request
GET /a
--- response_headers
! Link
X-Cache: STALE
--- response_body
from the record
--- redis
HGET $KEY/a body => final\n
