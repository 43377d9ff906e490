# redis_cache_args no_vary_search: keys follow what responses say by No-Vary-Search
# (draft-ietf-httpbis-no-vary-search).

use lib 't/util';

# A purge concerns all records of its Redis: one for this suite alone.
BEGIN { delete $ENV{TEST_NGINX_REDIS_PORT} }
use Test::Nginx::Socket;
use CacheSuite;

plan 'no_plan';

# Code that waits until the fill of a key has ended so: by then its rule is known.
sub filled {
    my ($key, $how) = @_;
    $how //= 'stored';
    return sub { main::log_has(qq{fill of "$ENV{TEST_NGINX_KEY}?$key": $how}) };
}

our $Backend = q(
    location /list   { add_header No-Vary-Search 'params=("x" "%C3%A9+y")'; return 200 "$args\n"; }
    location /all    { add_header No-Vary-Search 'params'; return 200 "$args\n"; }
    location /except { add_header No-Vary-Search 'params, except=("id")'; return 200 "$args\n"; }
    location /order  { add_header No-Vary-Search 'key-order'; return 200 "$args\n"; }
    location /bad    { add_header No-Vary-Search 'params=("a"), except=("b")'; return 200 "$args\n"; }
    location /v      {
        if ($arg_v = 1) { add_header No-Vary-Search 'params=("x")'; return 200 "$args\n"; }
        if ($arg_v = 2) { add_header No-Vary-Search 'params=("y")'; return 200 "$args\n"; }
        return 200 "$args\n";
    }
    location /private {
        if ($arg_x = 1) { add_header Cache-Control private; add_header No-Vary-Search params; return 200 "$args\n"; }
        return 200 "$args\n";
    }
    location /error { return 404 "$args\n"; }
    location /page  { add_header No-Vary-Search params; return 200 "$args\n"; }
);

our $Config = q(
    location / {
        redis_cache on;
        redis_cache_args no_vary_search;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        redis_cache_purge_style varnish;
        redis_cache_purge_allow 127.0.0.1;
        add_header X-Args <$redis_cache_args>;
        add_header X-Reason $redis_cache_reason;
        proxy_pass http://backend;
    }
);

run_tests();

__DATA__

=== TEST 1: arguments that don't matter; the first request has a record of its own; the backend gets what came
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /list?id=1&x=1", "GET /list?id=1&x=2", "GET /list?x=3&id=1&%78", "GET /list?id=1&%C3%A9%20y=2", "GET /list?id=1", "GET /list?id=2&x=1"]
--- after eval
[::filled('id=1&x=1 /list'), ::filled('id=1#params=x,%C3%A9%20y /list')]
--- response_headers eval
["X-Cache: STORE\nX-Args: <id=1&x=1>", "X-Cache: STORE\nX-Args: <id=1#params=x,%C3%A9%20y>", map({ "X-Cache: HIT\nX-Args: <id=1#params=x,%C3%A9%20y>" } 1 .. 3), "X-Cache: STORE\nX-Args: <id=2#params=x,%C3%A9%20y>"]
--- response_body eval
["id=1&x=1\n", ("id=1&x=2\n") x 4, "id=2&x=1\n"]
--- backend_log
GET /list?id=1&x=1
GET /list?id=1&x=2
GET /list?id=2&x=1



=== TEST 2: no argument matters
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /all?a=1", "GET /all", "GET /all?b=1;c", "GET /all?"]
--- after eval
[::filled('a=1 /all'), ::filled('#params /all')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- response_body eval
["a=1\n", "\n", "\n", "\n"]



=== TEST 3: few arguments matter
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /except?id=1&a=1", "GET /except?id=1&a=2", "GET /except?b=2&id=1", "GET /except?id=2"]
--- after eval
[::filled('id=1&a=1 /except'), ::filled('id=1#params;except=id /except')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 4: the order doesn't matter
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /order?b=1&a=1", "GET /order?b=1&a=1&b=0", "GET /order?b=1&b=0&a=1", "GET /order?b=0&b=1&a=1"]
--- after eval
[::filled('b=1&a=1 /order'), ::filled('a=1&b=1&b=0#key-order /order')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 5: what isn't valid says nothing
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /bad?a=1", "GET /bad?a=2", "GET /bad?a=1"]
--- after eval
[::filled('a=1 /bad'), ::filled('a=2 /bad')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 6: together with a form of the location's own
--- backend eval: $::Backend
--- config
    location / {
        redis_cache on;
        redis_cache_args no_vary_search sort drop=utm_*;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_pass http://backend;
    }
--- request eval
["GET /list?id=1&x=1&a", "GET /list?id=1&utm_a&a&x=2", "GET /list?a&id=1"]
--- after eval
[::filled('a&id=1&x=1 /list'), ::filled('a&id=1#params=x,%C3%A9%20y /list')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 7: without the option the field means nothing
--- backend eval: $::Backend
--- config
    location / {
        redis_cache on;
        redis_cache_args sort;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        add_header X-Args <$redis_cache_args>;
        proxy_pass http://backend;
    }
--- request eval
["GET /all?b&a", "GET /all?c", "GET /all?a&b"]
--- after eval
[::filled('a&b /all'), ::filled('c /all')]
--- response_headers eval
["X-Cache: STORE\nX-Args: <a&b>", "X-Cache: STORE\nX-Args: <c>", "X-Cache: HIT\nX-Args: <a&b>"]



=== TEST 8: a key without the variable isn't affected
--- backend eval: $::Backend
--- config
    location / {
        redis_cache on;
        redis_cache_args no_vary_search;
        redis_cache_key "$TEST_NGINX_KEY?$args $uri";
        proxy_pass http://backend;
    }
--- request eval
["GET /all?a", "GET /all?b", "GET /all?a"]
--- after eval
[::filled('a /all'), ::filled('b /all')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 9: a rule that changes: what the old one has for a key isn't stored under it
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /v?v=1&x=1", "GET /v?v=1&x=2", "GET /v?v=2&x=1&y=1", "GET /v?v=2&x=1&y=1", "GET /v?v=2&x=1&y=2", "GET /v?v=2&x=2&y=1"]
--- after eval
[::filled('v=1&x=1 /v'), ::filled('v=1#params=x /v'), ::filled('v=2&y=1#params=x /v', 'other no-vary-search'), ::filled('v=2&x=1#params=y /v')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP\nX-Reason: other no-vary-search", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- response_body eval
["v=1&x=1\n", "v=1&x=2\n", "v=2&x=1&y=1\n", "v=2&x=1&y=1\n", "v=2&x=1&y=1\n", "v=2&x=2&y=1\n"]



=== TEST 10: a rule that is gone
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /v?v=1&x=1", "GET /v?v=3&x=1", "GET /v?v=3&x=1", "GET /v?v=3&x=1", "GET /v?v=3&x=2"]
--- after eval
[::filled('v=1&x=1 /v'), ::filled('v=3#params=x /v', 'other no-vary-search'), ::filled('v=3&x=1 /v')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]



=== TEST 11: nothing is learnt from what isn't stored
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /private?x=1", "GET /private?x=2", "GET /all?x=1", "GET /all?x=2"]
--- more_headers eval
["", "", "Authorization: Basic Ym9iOnNlY3JldA==", ""]
--- after eval
[::filled('x=1 /private', 'private'), ::filled('x=2 /private'), ::filled('x=1 /all', 'authorization'), ::filled('x=2 /all')]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 12: an error page speaks of what it stands in for
--- backend eval: $::Backend
--- config
    location / {
        redis_cache on;
        redis_cache_valid 404 1m;
        redis_cache_args no_vary_search;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_intercept_errors on;
        error_page 404 /page?$args;
        proxy_pass http://backend;
    }
    location = /page { internal; proxy_pass http://backend; }
--- request eval
["GET /error?id=1", "GET /error?id=2", "GET /error?id=1"]
--- after eval
[::filled('id=1 /error'), ::filled('id=2 /error')]
--- error_code eval
[404, 404, 404]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["id=1\n", "id=2\n", "id=1\n"]



=== TEST 13: PURGE of any of the URIs ends their record
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /list?id=1&x=1", "GET /list?id=1&x=2", "GET /list?id=1&x=3", "PURGE /list?id=1&x=4", "GET /list?id=1&x=5"]
--- after eval
[::filled('id=1&x=1 /list'), ::filled('id=1#params=x,%C3%A9%20y /list')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache:", "X-Cache: STORE"]



=== TEST 14: unsafe requests end the record by the rule, and that of the very arguments
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /list?id=1&x=1", "GET /list?id=1&x=2", "PUT /list?id=1&x=1", "GET /list?id=1&x=2"]
--- after eval
[
    ::filled('id=1&x=1 /list'),
    ::filled('id=1#params=x,%C3%A9%20y /list'),
    sub {
        for my $args ('id=1&x=1', 'id=1#params=x,%C3%A9%20y') {
            main::log_has(qq{"$ENV{TEST_NGINX_KEY}?$args /list" in store "main" was invalidated by PUT});
        }
    },
]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 15: HEAD and GET have one record
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /all?a", "HEAD /all?b", "GET /all?c"]
--- after eval
[::filled('a /all'), ::filled('#params /all')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]



=== TEST 16: paths and hosts have rules of their own
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /all?a", "GET /all/b?a", "GET /all?b"]
--- more_headers eval
["", "", "Host: other"]
--- after eval
[::filled('a /all'), ::filled('a /all/b'), ::filled('b /all')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 17: subrequests neither learn nor follow rules
--- backend
    location /all  { add_header No-Vary-Search params; return 200 "$args\n"; }
    location /main { return 200 '<!--#include virtual="/all?$arg_sub" -->'; }
--- config
    location / {
        redis_cache on;
        redis_cache_args no_vary_search;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_pass http://backend;
    }
    location /main { ssi on; ssi_types *; proxy_pass http://backend; }
--- request eval
["GET /main?sub=a", "GET /all?b", "GET /main?sub=c", "GET /all?d"]
--- after eval
[::filled('a /all'), ::filled('b /all'), ::filled('c /all'), ::filled('#params /all')]
--- response_body eval
["a\n", "b\n", "c\n", "d\n"]



=== TEST 18: a HEAD that says something else of arguments leaves the record as it is, one that says the same freshens it
--- backend
    location /h {
        add_header ETag '"1"';
        if ($http_x_rule) {
            add_header ETag '"1"';
            add_header X-New $http_x_rule;
            add_header No-Vary-Search 'params=("$http_x_rule")';
            return 200 "same length";
        }
        add_header No-Vary-Search 'params=("x")';
        return 200 "same length";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_methods GET;
        redis_cache_args no_vary_search;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        proxy_pass http://backend;
    }
--- request eval
["GET /h?id=1&x=1", "GET /h?id=1&x=2", "HEAD /h?id=1&x=3", "GET /h?id=1&x=4", "HEAD /h?id=1&x=3", "GET /h?id=1&x=4"]
--- more_headers eval
["", "", "X-Rule: y", "", "X-Rule: x", ""]
--- after eval
[::filled('id=1&x=1 /h'), ::filled('id=1#params=x /h')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP", "X-Cache: HIT\nX-New:", "X-Cache: SKIP", "X-Cache: HIT\nX-New: x"]



=== TEST 19: a response to POST that is stored for later GETs
--- backend
    location /post {
        add_header Content-Location $request_uri;
        add_header Cache-Control max-age=60;
        add_header No-Vary-Search 'params=("x")';
        return 200 "$request_method $args\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_args no_vary_search;
        redis_cache_post_location on;
        redis_cache_key "$TEST_NGINX_KEY?$redis_cache_args $uri";
        add_header X-Args <$redis_cache_args>;
        proxy_pass http://backend;
    }
--- request eval
["GET /post?id=1&x=1", "POST /post?id=1&x=2\nbody", "GET /post?x=3&id=1"]
--- after eval
[::filled('id=1&x=1 /post')]
--- response_headers eval
["X-Cache: STORE\nX-Args: <id=1&x=1>", "X-Cache: STORE\nX-Args: <id=1#params=x>", "X-Cache: HIT\nX-Args: <id=1#params=x>"]
--- response_body eval
["GET id=1&x=1\n", ("POST id=1&x=2\n") x 2]
--- no_error_log
[error]



=== TEST 20: a change removes what was stored by a rule that was forgotten since
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /v?v=1&x=1", "GET /v?v=1&x=2", "GET /v?v=1&x=3", "GET /v?v=3", "POST /v?v=1&x=9", "GET /v?v=1&x=4", "GET /v?v=1&x=5"]
--- after eval
[::filled('v=1&x=1 /v'), ::filled('v=1#params=x /v'), sub { 1 }, ::filled('v=3#params=x /v', 'other no-vary-search'), sub { 1 }, ::filled('v=1&x=4 /v')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE"]
--- response_body eval
["v=1&x=1\n", "v=1&x=2\n", "v=1&x=2\n", "v=3\n", "v=1&x=9\n", "v=1&x=4\n", "v=1&x=5\n"]



=== TEST 21: the same of what Location and Content-Location name, which clients needn't see
--- backend eval
$::Backend . q(
    location /post {
        add_header Location /v?v=1&x=8;
        add_header Content-Location /list?id=1&x=8;
        return 200 "done\n";
    }
)
--- config eval
(my $config = $::Config) =~ s/proxy_pass/proxy_hide_header Location; proxy_hide_header Content-Location; proxy_pass/;
$config;
--- request eval
["GET /v?v=1&x=1", "GET /v?v=1&x=2", "GET /v?v=3", "POST /post", "GET /v?v=1&x=4", "GET /v?v=1&x=5"]
--- after eval
[::filled('v=1&x=1 /v'), ::filled('v=1#params=x /v'), ::filled('v=3#params=x /v', 'other no-vary-search'), sub { 1 }, ::filled('v=1&x=4 /v')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: STORE"]



=== TEST 22: two spellings of one path have one rule, and a change of one is one of the other
--- backend eval: $::Backend
--- config eval: $::Config
--- request eval
["GET /l%69st?id=1&x=1", "GET /list?id=1&x=2", "GET /%6C/../list?id=1&x=3", "POST /%6cist?id=1", "GET /list?id=1&x=4"]
--- after eval
[::filled('id=1&x=1 /list'), ::filled('id=1#params=x,%C3%A9%20y /list')]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: STORE"]



=== TEST 23: a key without rules takes no place in the log of purges
--- backend eval: $::Backend
--- config
    location / {
        redis_cache on;
        redis_cache_args no_vary_search;
        proxy_pass http://backend;
    }
--- request
POST /v?v=1
--- response_headers
X-Cache: SKIP
--- no_error_log
paths in store



=== TEST 24: a rule is learnt from what isn't stored for too few uses alone
--- backend eval: $::Backend
--- config eval
(my $config = $::Config) =~ s/redis_cache on;/redis_cache on; redis_cache_min_uses 2;/;
$config;
--- request eval
["GET /private?x=1", "GET /list?id=1&x=1", "GET /list?id=1&x=2", "GET /list?id=1&x=3", "GET /list?id=1&x=4", "GET /v?v=2", "GET /v?v=3", "GET /v?v=3", "GET /v?v=3"]
--- after eval
[(sub { 1 }) x 3, ::filled('id=1#params=x,%C3%A9%20y /list')]
--- response_headers eval
["X-Cache: SKIP\nX-Reason: too few uses\nX-Args: <x=1>",
 "X-Cache: SKIP\nX-Reason: too few uses\nX-Args: <id=1&x=1>",
 "X-Cache: SKIP\nX-Reason: too few uses\nX-Args: <id=1#params=x,%C3%A9%20y>",
 "X-Cache: STORE\nX-Args: <id=1#params=x,%C3%A9%20y>",
 "X-Cache: HIT\nX-Args: <id=1#params=x,%C3%A9%20y>",
 "X-Cache: SKIP\nX-Args: <v=2>", "X-Cache: SKIP\nX-Args: <v=3#params=y>",
 "X-Cache: SKIP\nX-Args: <v=3>", "X-Cache: STORE\nX-Args: <v=3>"]



=== TEST 25: not from what isn't stored at all
--- backend eval: $::Backend
--- config eval
(my $config = $::Config) =~ s/redis_cache on;/redis_cache on; redis_cache_min_uses 2; redis_cache_no_store \$arg_n;/;
$config;
--- request eval
["GET /private?x=1", "GET /private?x=2", "GET /list?n=1", "GET /list?n=1&x=2", "GET /list?id=1"]
--- response_headers eval
["X-Args: <x=1>", "X-Args: <x=2>", "X-Args: <n=1>", "X-Args: <n=1&x=2>", "X-Args: <id=1>"]
