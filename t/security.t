# What a client can and can't make of a shared cache by the parts of its request
# that are no part of the key, by odd bytes, and by paths that a backend reads in
# its own way. docs/security.md says the same in words.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite 'variables';
use Digest::MD5 ();

plan tests => 152;

# Names zone, store and header; the key is for the block to say.
our $Cached = <<'END';
        redis_cache on;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_header X-Cache;
END

# A backend that makes what it is told about its address part of what it says.
our $Links = <<'END';
    location / { return 200 "http://$http_host$http_x_forwarded_host/\n"; }
END

# A backend that takes /account/anything for /account.
our $Account = <<'END';
    location /account/said  { add_header Cache-Control private; return 200 "mine\n"; }
    location /account/login { add_header Set-Cookie id=1;       return 200 "mine\n"; }
    location /account/      { return 200 "mine\n"; }
    location /static/       { add_header Cache-Control max-age=60; return 200 "all's\n"; }
END

run_tests();

__DATA__

=== TEST 1: Host is part of the default key
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached proxy_set_header Host \$host; proxy_pass http://backend; }"
--- request eval
[("GET /host?$$") x 3]
--- more_headers eval
["Host: a.test", "Host: evil.test", "Host: a.test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["http://a.test/\n", "http://evil.test/\n", "http://a.test/\n"]
--- redis eval
[undef, undef, "DEL http://a.test/host?$$ http://evil.test/host?$$ => 2"]



=== TEST 2: Host isn't part of a key that doesn't say so: the first comer's serves all
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri;
    proxy_set_header Host \$http_host; proxy_pass http://backend; }"
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["Host: evil.test", "Host: a.test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["http://evil.test/\n", "http://evil.test/\n"]



=== TEST 3: with $http_host the backend is told of a host that isn't the key's
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached proxy_set_header Host \$http_host; proxy_pass http://backend; }"
--- raw_request eval
"GET http://a.test/absolute?$$ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
--- response_headers
X-Cache: STORE
--- response_body
http://evil.test/
--- redis eval
"DEL http://a.test/absolute?$$ => 1"



=== TEST 4: with $host it is told of the key's, whatever the client writes
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached proxy_set_header Host \$host; proxy_pass http://backend; }"
--- raw_request eval
"GET http://a.test/absolute?$$ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
--- response_headers
X-Cache: STORE
--- response_body
http://a.test/
--- redis eval
"DEL http://a.test/absolute?$$ => 1"



=== TEST 5: a host that could be read as the rest of a key is no host
--- config eval
"location / { $main::Cached proxy_pass http://backend; }"
--- request eval
[("GET /b") x 3]
--- more_headers eval
["Host: a.test/x", "Host: a.test\x01", "Host: a test"]
--- error_code eval
[400, 400, 400]
--- backend_log



=== TEST 6: nginx up to 1.30 takes a host with a question mark: in a key it isn't one
--- skip_nginx: 12: >= 1.31.0: it refuses such a host
--- config eval
"location / { $main::Cached redis_cache_args sort;
    redis_cache_key '\$scheme://\$redis_cache_authority?\$redis_cache_args \$uri';
    proxy_set_header Host \$http_host; proxy_pass http://backend; }"
--- backend
    location / { return 200 "$http_host $args\n"; }
--- request eval
["GET /s$$", "GET /s$$?q=what?", "GET /s$$", "GET /s$$?q=what?"]
--- more_headers eval
["Host: a.test?q=what", "Host: a.test", "Host: a.test:8080?q=what", "Host: a.test:8080"]
--- response_headers eval
[("X-Cache: STORE") x 4]
--- response_body eval
["a.test?q=what \n", "a.test q=what?\n", "a.test:8080?q=what \n", "a.test:8080 q=what?\n"]



=== TEST 7: X-Forwarded-Host isn't part of the default key: poisoned
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached proxy_http_version 1.0; proxy_set_header Host ''; proxy_pass http://backend; }"
--- request eval
[("GET /forwarded?$$") x 2]
--- more_headers eval
["X-Forwarded-Host: evil.test", "X-Forwarded-Host: a.test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("http://evil.test/\n") x 2]
--- redis eval
[undef, "DEL http://localhost/forwarded?$$ => 1"]



=== TEST 8: X-Forwarded-Host kept from the backend, or set by the operator
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached proxy_http_version 1.0; proxy_set_header Host '';
    proxy_set_header X-Forwarded-Host \$host; proxy_pass http://backend; }"
--- request eval
[("GET /forwarded?$$") x 2]
--- more_headers eval
["X-Forwarded-Host: evil.test", "X-Forwarded-Host: a.test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("http://localhost/\n") x 2]
--- redis eval
[undef, "DEL http://localhost/forwarded?$$ => 1"]



=== TEST 9: X-Forwarded-Host as part of the key
--- backend eval: $main::Links
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$http_x_forwarded_host\$request_uri;
    proxy_http_version 1.0; proxy_set_header Host ''; proxy_pass http://backend; }"
--- request eval
[("GET /a") x 3]
--- more_headers eval
["X-Forwarded-Host: evil.test", "X-Forwarded-Host: a.test", "X-Forwarded-Host: a.test"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["http://evil.test/\n", "http://a.test/\n", "http://a.test/\n"]



=== TEST 10: lua-resty-cache's key is ambiguous: two requests, one record
--- backend
    location / { return 200 "$request_uri\n"; }
--- config eval
"location / { $main::Cached set_md5 \$cache_key \$request_method:\$http_user_agent:\$request_uri;
    proxy_pass http://backend; }"
--- request eval
["GET /$$/b:/a", "GET /a"]
--- more_headers eval
["User-Agent: x", "User-Agent: x:/$$/b"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
[("/$$/b:/a\n") x 2]
--- redis eval
[undef, "DEL " . Digest::MD5::md5_hex("GET:x:/$$/b:/a") . " => 1"]



=== TEST 11: what a client may write freely, hashed apart: two requests, two records
--- backend
    location / { return 200 "$request_uri\n"; }
--- config eval
"location / { $main::Cached set_md5 \$agent \$http_user_agent;
    set_md5 \$cache_key \"\$request_method \$agent \$request_uri\";
    proxy_pass http://backend; }"
--- request eval
["GET /$$/b:/a", "GET /$$/a", "GET /$$/b:/a"]
--- more_headers eval
["User-Agent: x", "User-Agent: x:/$$/b", "User-Agent: x"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["/$$/b:/a\n", "/$$/a\n", "/$$/b:/a\n"]
--- redis eval
use Digest::MD5 'md5_hex';
my ($one, $other) = map { md5_hex($_) } "x", "x:/$$/b";
my @keys = (md5_hex("GET $one /$$/b:/a"), md5_hex("GET $other /$$/a"));
[undef, undef, "DEL @keys => 2"]



=== TEST 12: what is free last, behind parts that can't hold the separator: two records, too
--- backend
    location / { return 200 "$request_uri\n"; }
--- config eval
"location / { $main::Cached redis_cache_key \"\$TEST_NGINX_KEY \$request_method \$request_uri \$http_user_agent\";
    proxy_pass http://backend; }"
--- request eval
["GET /a", "GET /a%20x"]
--- more_headers eval
["User-Agent: x /y", "User-Agent: /y"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]



=== TEST 13: cache deception: a path whose end the backend ignores, in a location for static files
--- backend eval: $main::Account
--- config eval
"location ~ \\.css\$ { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri; proxy_pass http://backend; }
location / { proxy_pass http://backend; }"
--- request eval
["GET /account/x.css", "GET /account/x.css", "GET /account/said.css", "GET /account/login.css", "GET /account/"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP", "X-Cache: SKIP", "! X-Cache"]
--- response_body eval
[("mine\n") x 5]
--- redis
KEYS $KEY* => $KEY/account/x.css



=== TEST 14: against it: only what says how long it is fresh is stored
--- backend eval: $main::Account
--- config eval
"location ~ \\.css\$ { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri;
    redis_cache_age 0; redis_cache_stale 0; proxy_pass http://backend; }"
--- request eval
["GET /account/x.css", "GET /account/x.css", "GET /static/x.css", "GET /static/x.css"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
[undef, undef, undef, "KEYS \$KEY* => \$KEY/static/x.css"]



=== TEST 15: against it: the location names the paths that are static, not their ends
--- backend eval: $main::Account
--- config eval
"location /static/ { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri; proxy_pass http://backend; }
location / { proxy_pass http://backend; }"
--- request eval
["GET /account/x.css", "GET /static/../account/x.css", "GET /static/%2e%2e/account/x.css", "GET /static/x.css"]
--- response_headers eval
["! X-Cache", "! X-Cache", "! X-Cache", "X-Cache: STORE"]
--- redis eval
[undef, undef, undef, "KEYS \$KEY* => \$KEY/static/x.css"]



=== TEST 16: a decoded line end in a key ends neither a header nor a command
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$uri;
    add_header X-Key \$redis_cache_key; add_header X-Last 1; proxy_pass http://backend; }"
--- request eval
["GET /%0d%0aSet-Cookie:%20a=b%0d%0a\$3%0d%0aSET%0d%0aevil-$$", "GET /%0d%0aSet-Cookie:%20a=b%0d%0a\$3%0d%0aSET%0d%0aevil-$$"]
--- response_headers eval
["X-Cache: STORE\n! Set-Cookie\nX-Last: 1", "X-Cache: HIT\n! Set-Cookie\nX-Last: 1"]
--- raw_response_headers_like eval
[('X-Key: t\S+/\\\\x0D\\\\x0ASet-Cookie: a=b\\\\x0D\\\\x0A\$3') x 2]
--- redis eval
[undef, "EXISTS evil-$$ => 0"]



=== TEST 17: nor a line of the log: a key of another type
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$uri; proxy_pass http://backend; }"
--- init
main::redis('RPUSH', "\$KEY/wrong\n[alert] type", 'x');
main::redis('EXPIRE', "\$KEY/wrong\n[alert] type", 100);
--- request
GET /wrong%0a%5Balert%5D%20type
--- response_headers
X-Cache: SKIP
--- error_log
/wrong\x0A[alert] type" in store "main" is no hash; it is left alone
--- no_error_log eval
qr{^\[alert\]}m



=== TEST 18: a broken record
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$uri; proxy_pass http://backend; }"
--- init
main::redis('HSET', "\$KEY/broken\n[alert] record", 'status', 'x', 'headers', '{}', 'body', '');
main::redis('EXPIRE', "\$KEY/broken\n[alert] record", 100);
--- request
GET /broken%0a%5Balert%5D%20record
--- response_headers
X-Cache: STORE
--- error_log
/broken\x0A[alert] record" in store "main" is no usable record: invalid status
--- no_error_log eval
qr{^\[alert\]}m



=== TEST 19: a fill
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$uri; proxy_pass http://backend; }"
--- request
GET /stored%0a%5Balert%5D%20record%1b%5B2J
--- response_headers
X-Cache: STORE
--- error_log
/stored\x0A[alert] record\x1B[2J": stored
--- no_error_log eval
qr{^\[alert\]}m



=== TEST 20: the header that says what happened is called by a name, or as the directive says
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri;
    set \$cache_header \$http_x_name; proxy_pass http://backend; }"
--- request eval
["GET /a", "GET /b", "GET /c"]
--- more_headers eval
["X-Name: X-Any", "X-Name: X Evil", "X-Name: X-Evil: 1"]
--- response_headers eval
["X-Any: STORE", "X-Cache: STORE\n! X-Evil", "X-Cache: STORE\n! X-Evil"]



=== TEST 21: fields that the client calls its connection's stay with it
--- backend_format: $request_uri [$http_connection] [$http_te] [$http_keep_alive] [$http_expect] [$http_upgrade] [$http_range] [$http_if_none_match]
--- config eval
"location / { $main::Cached redis_cache_key \$TEST_NGINX_KEY\$request_uri;
    proxy_http_version 1.0; proxy_set_header Connection close; proxy_pass http://backend; }"
--- request
GET /a
--- more_headers
Connection: close, X-A, Keep-Alive, TE
X-A: 1
TE: trailers
Keep-Alive: timeout=99
Range: bytes=0-1
If-None-Match: "x"
--- error_code: 206
--- response_headers
X-Cache: STORE
--- backend_log
/a [close] [] [] [] [] [] []
