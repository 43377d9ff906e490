# What becomes of an answer is decided by what the backend said: by fields that nginx hides from clients too, by
# what led to X-Accel-Redirect, and by the failure behind an error page.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 415;
run_tests();

__DATA__

=== TEST 1: hidden fields keep an answer out
--- backend
    location /private { add_header Cache-Control "private, max-age=60"; return 200 "page\n"; }
    location /nostore { add_header Cache-Control no-store; return 200 "page\n"; }
    location /cdn     { add_header CDN-Cache-Control no-store; return 200 "page\n"; }
    location /cookie  { add_header Set-Cookie id=1; return 200 "page\n"; }
    location /star    { add_header Vary *; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_hide_header Cache-Control;
        proxy_hide_header CDN-Cache-Control;
        proxy_hide_header Set-Cookie;
        proxy_hide_header Vary;
        proxy_pass http://backend;
    }
--- request eval
[map { ("GET $_", "GET $_") } qw(/private /nostore /cdn /cookie /star)]
--- response_headers eval
[map { ("X-Cache: SKIP\nX-Reason: $_\n!Cache-Control\n!CDN-Cache-Control\n!Set-Cookie\n!Vary") x 2 }
    'private', 'no-store', 'no-store', 'set-cookie', 'vary *']
--- redis
EXISTS $KEY/private $KEY/nostore $KEY/cdn $KEY/cookie $KEY/star => 0



=== TEST 2: a hidden Cache-Control gives its lifetime, and never reaches a client
--- backend
    location / { add_header Cache-Control "max-age=500, must-revalidate"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_hide_header Cache-Control;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\n!Cache-Control", "X-Cache: HIT\n!Cache-Control", "X-Status: EXPIRED\n!Cache-Control"]
--- redis eval
['TTL $KEY/a => 600']
--- after eval
[undef, sub { main::age('/a', 90) }]



=== TEST 3: a hidden Vary keeps variants apart
--- backend
    location / { add_header Vary X-Lang; return 200 "$http_x_lang\n"; }
--- config
    location / { redis_cache on; proxy_hide_header Vary; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
["X-Lang: en", "X-Lang: de", "X-Lang: en", "X-Lang: de"]
--- response_headers eval
["X-Cache: STORE\n!Vary", "X-Cache: STORE\n!Vary", "X-Cache: HIT\n!Vary", "X-Cache: HIT\n!Vary"]
--- response_body eval
["en\n", "de\n", "en\n", "de\n"]
--- redis eval
[undef, 'EXISTS {$KEY/a}:v1 => 1']



=== TEST 4: a hidden validator validates, and what its 304 says hidden holds
--- backend
    location / {
        add_header ETag '"1"';
        if ($http_if_none_match = '"1"') { add_header ETag '"1"'; add_header Cache-Control "max-age=700"; return 304; }
        add_header Cache-Control "max-age=500, must-revalidate";
        return 200 "page\n";
    }
--- config
    location / {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_hide_header Cache-Control;
        proxy_hide_header ETag;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Status: REVALIDATED\n!ETag\n!Cache-Control", "X-Cache: HIT\n!ETag\n!Cache-Control"]
--- response_body eval
["page\n", "page\n", "page\n"]
--- redis eval
[undef, 'TTL $KEY/a => 800']
--- after eval
[sub { main::age('/a', 90) }]



=== TEST 5: proxy_ignore_headers, as proxy_cache takes it
--- backend
    location /private { add_header Cache-Control private; return 200 "page\n"; }
    location /cookie  { add_header Set-Cookie id=1; return 200 "page\n"; }
    location /star    { add_header Vary *; return 200 "page\n"; }
    location /vary    { add_header Vary X-Lang; return 200 "page\n"; }
    location /zero    { add_header X-Accel-Expires 0; return 200 "page\n"; }
    location /past    { add_header Expires "Thu, 01 Jan 1970 00:00:01 GMT"; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        proxy_ignore_headers Cache-Control Set-Cookie Vary X-Accel-Expires Expires;
        proxy_pass http://backend;
    }
--- request eval
[map { ("GET $_", "GET $_") } qw(/private /cookie /star /vary /zero /past)]
--- more_headers eval
[map { ("X-Lang: a", "X-Lang: b") } 1 .. 6]
--- response_headers eval
[map { ("X-Cache: STORE\n$_", "X-Cache: HIT\n$_") }
    "Cache-Control: private", "Set-Cookie: id=1", "Vary: *", "Vary: X-Lang", "!X-Accel-Expires",
    "Expires: Thu, 01 Jan 1970 00:00:01 GMT"]
--- redis eval
[undef, 'TTL $KEY/private => 220', undef, 'TTL $KEY/cookie => 220', undef, 'TTL $KEY/star => 220', undef,
    'TTL $KEY/vary => 220', undef, 'TTL $KEY/zero => 220', undef, 'TTL $KEY/past => 220']



=== TEST 6: hidden and ignored: the cookie is nobody's
--- backend
    location / { add_header Set-Cookie secret=1; return 200 "page\n"; }
--- config
    location / {
        redis_cache on;
        proxy_hide_header Set-Cookie;
        proxy_ignore_headers Set-Cookie;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE\n!Set-Cookie", "X-Cache: HIT\n!Set-Cookie"]
--- redis eval
[undef, 'HGET $KEY/a meta => (?!.*secret).*ignored=set-cookie.*']



=== TEST 7: X-Accel-Redirect: not stored, whatever status it ends with
--- http_config
    map $http_x_user $place { default /inside/file.txt; ~^(\d+)$ /inside/$1; chain /chain; named @named; sorry /sorry; }
--- backend
    location / { add_header X-Accel-Redirect $http_x_place; return 200 "unseen\n"; }
    location /chain { add_header X-Accel-Redirect /inside/301; return 200 "unseen\n"; }
    location /plain { return 301 /of-the-second; }
--- config
    redis_cache_valid any 60s;
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_set_header X-Place $place;
        proxy_pass http://backend;
    }
    location /inside/ {
        internal;
        location /inside/301 { return 301 /for-$http_x_user; }
        location /inside/302 { return 302 /for-$http_x_user; }
        location /inside/404 { return 404; }
        location /inside/400 { return 400; }
        location /inside/200 { proxy_pass http://backend/plain; }
        alias $TEST_NGINX_SERVER_ROOT/html/;
    }
    location /chain { internal; proxy_pass http://backend; }
    location @named { return 301 /for-$http_x_user; }
    location /sorry { internal; error_page 403 = @named; return 403; }
--- user_files
>>> file.txt
protected
--- request eval
[("GET /a") x 18]
--- more_headers eval
[map { ("X-User: $_") x 2 } qw(301 302 404 400 200 file chain named sorry)]
--- error_code eval
[map { ($_) x 2 } qw(301 302 404 400 301 200 301 301 301)]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: x-accel-redirect") x 18]
--- redis
EXISTS $KEY/a => 0



=== TEST 8: X-Accel-Redirect that the location ignores leads nowhere
--- backend
    location / { add_header X-Accel-Redirect /inside; return 200 "page\n"; }
--- config
    location / { redis_cache on; proxy_ignore_headers X-Accel-Redirect; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\n!X-Accel-Redirect"]
--- response_body eval
["page\n", "page\n"]



=== TEST 9: X-Accel-Redirect to what answers a validation by 304: the client gets the whole
--- backend
    location / {
        add_header X-Accel-Redirect $http_x_place;
        add_header ETag '"1"';
        add_header Cache-Control "max-age=60, must-revalidate";
        return 200 "page\n";
    }
    location /not-modified {
        add_header ETag '"1"';
        if ($http_if_none_match) { return 304; }
        return 200 "protected\n";
    }
--- config
    location / {
        redis_cache on;
        proxy_set_header X-Place $http_x_place;
        proxy_pass http://backend;
    }
    location /inside { internal; proxy_pass http://backend/not-modified; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["X-None: 1", "X-Place: /inside"]
--- error_code eval
[200, 200]
--- response_body eval
["page\n", "protected\n"]
--- after eval
[sub { main::age('/a', 90) }]



=== TEST 10: an error that is private is not stored as nginx's page
--- backend
    location /private { add_header Cache-Control private always; return 404; }
    location /cookie  { add_header Set-Cookie a=1 always; return 404; }
    location /short   { add_header Cache-Control max-age=5 always; return 404; }
    location /        { return 404; }
--- config
    redis_cache_valid 200 404;
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_intercept_errors on;
        error_page 404 /404.html;
        proxy_pass http://backend;
    }
    location = /404.html { internal; return 404 "nothing here\n"; }
--- request eval
["GET /private", "GET /private", "GET /cookie", "GET /cookie", "GET /short", "GET /short", "GET /a", "GET /a"]
--- error_code eval
[(404) x 8]
--- response_body eval
[("nothing here\n") x 8]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: private") x 2, ("X-Cache: SKIP\nX-Reason: set-cookie") x 2,
    "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
[undef, undef, undef, 'EXISTS $KEY/private $KEY/cookie => 0', undef, 'TTL $KEY/short => 105', undef, 'TTL $KEY/a => 220']



=== TEST 11: a failure isn't stored as the page that excuses it
--- backend
    location /503 { return 503; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_intercept_errors on;
        error_page 502 503 =200 /sorry.html;
        proxy_pass http://backend;
    }
    location /dead {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        error_page 502 503 =200 @sorry;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock;
    }
    location = /sorry.html { internal; return 200 "sorry\n"; }
    location @sorry { return 200 "sorry\n"; }
--- request eval
[("GET /503") x 2, ("GET /dead") x 2]
--- response_body eval
[("sorry\n") x 4]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: status not listed") x 4]
--- redis
EXISTS $KEY/503 $KEY/dead => 0



=== TEST 12: a failure leaves a stale record in its place
--- backend
    location / { return 503; }
--- config
    location /at-once {
        redis_cache on;
        add_header X-Status $redis_cache_status always;
        proxy_intercept_errors on;
        error_page 502 503 =200 /sorry.html;
        proxy_pass http://backend;
    }
    location /validated {
        redis_cache on;
        redis_cache_use_stale error http_503;
        add_header X-Status $redis_cache_status always;
        proxy_intercept_errors on;
        error_page 502 503 =200 /sorry.html;
        proxy_pass http://backend;
    }
    location /validated/dead {
        redis_cache on;
        redis_cache_use_stale error http_503;
        error_page 502 503 =200 /sorry.html;
        add_header X-Status $redis_cache_status always;
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/nobody.sock;
    }
    location /never {
        redis_cache on;
        redis_cache_use_stale off;
        add_header X-Status $redis_cache_status always;
        proxy_intercept_errors on;
        error_page 502 503 =200 /sorry.html;
        proxy_pass http://backend;
    }
    location = /sorry.html { internal; return 200 "sorry\n"; }
--- init
main::record($_, ttl => 90) for qw(/at-once /validated /validated/dead /never)
--- request eval
[map { ("GET $_") x 2 } qw(/at-once /validated /validated/dead /never)]
--- response_headers eval
[("X-Status: STALE") x 6, ("X-Status: EXPIRED\nX-Cache: SKIP") x 2]
--- response_body eval
[("from the record\n") x 6, ("sorry\n") x 2]
--- after eval
[map { my $path = $_; (sub { main::log_has(qq{$path": backend failed}) }, undef) } qw(/at-once /validated /validated/dead)]
--- redis eval
[(undef) x 7, 'HGET $KEY/at-once body => from the record\n?']



=== TEST 13: X-Accel-Redirect of an answer of any status, to another upstream
--- backend
    location / {
        add_header X-Accel-Redirect $http_x_place always;
        if ($http_x_status = 201) { return 201 "unseen\n"; }
        if ($http_x_status = 301) { return 301 /; }
        if ($http_x_status = 302) { return 302 /; }
        if ($http_x_status = 304) { return 304; }
        if ($http_x_status = 400) { return 400; }
        if ($http_x_status = 404) { return 404; }
        if ($http_x_status = 500) { return 500; }
        return 200 "unseen\n";
    }
    location /own/ { return 200 "for $http_x_status\n"; }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_set_header X-Place $http_x_place;
        proxy_pass http://backend;
    }
    location /inside/ { internal; proxy_pass http://backend/own/; }
    location @inside { rewrite ^ /own/ break; proxy_pass http://backend; }
    location /twice/ { internal; proxy_set_header X-Place /inside/; proxy_pass http://backend; }
--- request eval
[("GET /a") x 24]
--- more_headers eval
[map { my $place = $_; map { "X-Place: $place\nX-Status: $_" } qw(200 201 301 302 304 400 404 500) } qw(/inside/ @inside /twice/)]
--- error_code eval
[(200) x 24]
--- response_body eval
[map { my $place = $_; map { "for $_\n" } qw(200 201 301 302 304 400 404 500) } 1 .. 3]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: x-accel-redirect") x 24]
--- redis
EXISTS $KEY/a => 0



=== TEST 14: a refill asks with what a hidden Vary names, a cookie too
--- backend
    location / { add_header Vary "X-A, Cookie"; return 200 "$http_x_a $http_cookie: $http_x_forwarded_turn\n"; }
--- config
    location / { redis_cache on; proxy_hide_header Vary; proxy_pass http://backend; }
--- request eval
[("GET /a") x 3]
--- more_headers eval
[map { "X-A: 1\nCookie: c=1\nX-Forwarded-Turn: $_" } 1, 2, 3]
--- redis eval
["HGET \$KEY/a body => 1 c=1: 1\\n", "HGET \$KEY/a body => 1 c=1: 2\\n\nTTL \$KEY/a => 2(?:19|20)", undef]
--- after eval
[sub { main::age('/a', 50) }, undef, undef]
--- response_headers eval
[map { "X-Cache: $_\n!Vary" } qw(STORE STALE HIT)]
--- response_body eval
["1 c=1: 1\n", "1 c=1: 1\n", "1 c=1: 2\n"]
--- backend_log
GET /a
GET /a
