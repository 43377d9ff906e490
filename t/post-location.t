# redis_cache_post_location: the response to a POST is stored for later GETs if it states how long it is fresh, and its
# Content-Location is the URI that was posted to (RFC 9110 9.3.3).

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 308;
run_tests();

__DATA__

=== TEST 1: a GET and a HEAD get it, another POST doesn't
--- backend
    location / {
        add_header Content-Location /a;
        add_header Cache-Control max-age=60;
        add_header X-Made-By $request_method;
        return 200 "made by $request_method\n";
    }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        add_header X-Status $redis_cache_status always;
        add_header X-Key $redis_cache_key always;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\nbody", "GET /a", "HEAD /a", "POST /a\nbody", "GET /a"]
--- response_headers eval
[
"X-Cache: STORE\nX-Status: BYPASS\nX-Made-By: POST",
"X-Cache: HIT\nX-Status: HIT\nX-Made-By: POST\nContent-Location: /a\nContent-Length: 13",
"X-Cache: HIT\nX-Status: HIT\nX-Made-By: POST\nContent-Length: 13",
"X-Cache: STORE\nX-Status: BYPASS",
"X-Cache: HIT",
]
--- response_body eval
["made by POST\n", "made by POST\n", "", "made by POST\n", "made by POST\n"]
--- redis eval
[("EXISTS \$KEY/a => 1") x 5]
--- backend_log
POST /a
POST /a
--- no_error_log
[error]



=== TEST 2: off by default
--- backend
    location / {
        add_header Content-Location $request_uri;
        add_header Cache-Control max-age=60;
        return 200 "from the backend\n";
    }
--- config
    location / {
        redis_cache on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
    location /off {
        redis_cache on;
        redis_cache_post_location off;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["POST /a\nbody", "POST /off\nbody"]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: method not listed") x 2]
--- redis
EXISTS $KEY/a $KEY/off => 0



=== TEST 3: what isn't stored, and why
--- backend
    add_header Content-Location $request_uri always;
    location /default       { return 200 "x\n"; }
    location /public        { add_header Content-Location /public; add_header Cache-Control public; return 200 "x\n"; }
    location /expired       { add_header Content-Location /expired; add_header Cache-Control max-age=0; return 200 "x\n"; }
    location /private       { add_header Content-Location /private; add_header Cache-Control "max-age=60, private"; return 200 "x\n"; }
    location /no-store      { add_header Content-Location /no-store; add_header Cache-Control "max-age=60, no-store"; return 200 "x\n"; }
    location /no-cache      { add_header Content-Location /no-cache; add_header ETag '"a"'; add_header Cache-Control "max-age=60, no-cache"; return 200 "x\n"; }
    location /cookie        { add_header Content-Location /cookie; add_header Cache-Control max-age=60; add_header Set-Cookie a=b; return 200 "x\n"; }
    location /vary          { add_header Content-Location /vary; add_header Cache-Control max-age=60; add_header Vary *; return 200 "x\n"; }
    location /accel         { add_header Content-Location /accel; add_header Cache-Control max-age=60; add_header X-Accel-Expires 0; return 200 "x\n"; }
    location /large         { add_header Content-Location /large; add_header Cache-Control max-age=60; return 200 "0123456789\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_heuristic 10%;
        redis_cache_max_size 10;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
[map "POST /$_\nbody", qw(default public expired private no-store no-cache cookie vary accel large)]
--- response_headers eval
[map "X-Cache: SKIP\nX-Reason: $_",
 'no explicit freshness', 'no explicit freshness', 'expired already', 'private', 'no-store', 'no-cache', 'set-cookie', 'vary *', 'x-accel-expires', 'too large']
--- redis
EXISTS $KEY/default $KEY/public $KEY/expired $KEY/private $KEY/no-store => 0
EXISTS $KEY/no-cache $KEY/cookie $KEY/vary $KEY/accel $KEY/large => 0



=== TEST 4: a response that doesn't say that it is what the URI names
--- backend
    add_header Cache-Control max-age=60 always;
    location /none   { return 200 "x\n"; }
    location /other  { add_header Cache-Control max-age=60; add_header Content-Location /else; return 200 "x\n"; }
    location /query  { add_header Cache-Control max-age=60; add_header Content-Location /query; return 200 "x\n"; }
    location /host   { add_header Cache-Control max-age=60; add_header Content-Location http://example.org/host; return 200 "x\n"; }
    location /twice  { add_header Cache-Control max-age=60; add_header Content-Location /twice; add_header Content-Location /twice; return 200 "x\n"; }
    location /201    { add_header Cache-Control max-age=60; add_header Content-Location /201; return 201; }
    location /404    { add_header Cache-Control max-age=60 always; add_header Content-Location /404 always; return 404; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_valid any;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["POST /none\nbody", "POST /other\nbody", "POST /query?a\nbody", "POST /host\nbody", "POST /twice\nbody", "POST /201\nbody", "POST /404\nbody"]
--- error_code eval
[(200) x 5, 201, 404]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: method not listed") x 7]
--- redis
EXISTS $KEY/none $KEY/other $KEY/else $KEY/query?a $KEY/query => 0
EXISTS $KEY/host $KEY/twice $KEY/201 $KEY/404 => 0



=== TEST 5: relative and absolute references
--- backend
    location /d/1 { add_header Content-Location 1; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /d/2 { add_header Content-Location ../d/2; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /d/3 { add_header Content-Location "?a=b"; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /d/4 { add_header Content-Location http://localhost/d/4; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /d/5 { add_header Content-Location //LOCALHOST:80/d/5; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    location / { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- request eval
["POST /d/1\nbody", "POST /d/2\nbody", "POST /d/3?a=b\nbody", "POST /d/4\nbody", "POST /d/5\nbody"]
--- response_headers eval
[("X-Cache: STORE") x 5]
--- redis eval
[undef, undef, undef, undef, "EXISTS \$KEY/d/1 \$KEY/d/2 \$KEY/d/3?a=b \$KEY/d/4 \$KEY/d/5 => 5"]



=== TEST 6: it replaces the record, and what Location names goes as ever
--- backend
    location / {
        add_header Content-Location /a;
        add_header Location /b;
        add_header Cache-Control max-age=60;
        return 200 "new\n";
    }
--- config
    location / { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- init
main::record($_) for qw(/a /b)
--- request eval
["GET /a", "POST /a\nbody", "GET /a"]
--- response_headers eval
["X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["from the record\n", "new\n", "new\n"]
--- redis eval
[undef, "EXISTS \$KEY/a => 1", "EXISTS \$KEY/b => 0"]



=== TEST 7: the key is that of a GET
--- http_config
    map $request_method $verb { GET get; default other; }
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    location /method { redis_cache on; redis_cache_post_location on; redis_cache_key $TEST_NGINX_KEY:$request_method$request_uri; proxy_pass http://backend; }
    location /map    { redis_cache on; redis_cache_post_location on; redis_cache_key $TEST_NGINX_KEY:$verb$request_uri; proxy_pass http://backend; }
    location /md5    { set_md5 $cache_key $TEST_NGINX_KEY:$request_method$request_uri; redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- request eval
["POST /method\nbody", "GET /method", "POST /map\nbody", "GET /map", "POST /md5\nbody", "GET /md5"]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT") x 3]
--- redis eval
["EXISTS \$KEY:GET/method => 1", undef, "EXISTS \$KEY:get/map => 1", undef, undef, undef]
--- backend_log
POST /method
POST /map
POST /md5



=== TEST 8: where the key of a GET isn't known nothing is stored, and the log says so
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    location /set {
        set $made $request_method$request_uri;
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_key $TEST_NGINX_KEY:$made;
        proxy_pass http://backend;
    }
--- request
POST /set
--- response_headers
X-Cache: SKIP
--- redis
EXISTS $KEY:POST/set $KEY:GET/set => 0
--- error_log
responses to POST aren't stored here: the key of a GET isn't known



=== TEST 9: so is a key of the content, and of $cache_key
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    location /type { redis_cache on; redis_cache_post_location on; redis_cache_key $TEST_NGINX_KEY$uri$content_type; proxy_pass http://backend; }
    location /line { redis_cache on; redis_cache_post_location on; redis_cache_key "$TEST_NGINX_KEY$request"; proxy_pass http://backend; }
    location /var  { set $cache_key $TEST_NGINX_KEY$uri; redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- request eval
["POST /type\nbody", "POST /line\nbody", "POST /var\nbody"]
--- response_headers eval
[("X-Cache: SKIP") x 3]
--- redis
EXISTS $KEY/type $KEY/var => 0
--- error_log
the key of a GET isn't known



=== TEST 10: what it varies on is the POST's header
--- backend
    location / {
        add_header Content-Location /a;
        add_header Cache-Control max-age=60;
        add_header Vary X-Kind;
        return 200 "$request_method for $http_x_kind\n";
    }
--- config
    location / { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- request eval
["POST /a\nbody", "GET /a", "GET /a", "POST /a\nbody", "GET /a"]
--- more_headers eval
["X-Kind: one", "X-Kind: two", "X-Kind: one", "X-Kind: one", "X-Kind: two"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: STORE"]
--- response_body eval
["POST for one\n", "GET for two\n", "POST for one\n", "POST for one\n", "GET for two\n"]
--- redis eval
["EXISTS \$KEY/a => 1", "HGET \$KEY/a variants => ..*", undef, "EXISTS \$KEY/a => 1", undef]



=== TEST 11: Authorization
--- backend
    location /none   { add_header Content-Location /none; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /public { add_header Content-Location /public; add_header Cache-Control "max-age=60, public"; return 200 "x\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- more_headers
Authorization: Basic abc
--- request eval
["POST /none\nbody", "POST /public\nbody"]
--- response_headers eval
["X-Cache: SKIP\nX-Reason: authorization", "X-Cache: STORE"]
--- redis eval
["EXISTS \$KEY/none => 0", "EXISTS \$KEY/public => 1"]



=== TEST 12: what the operator and the client don't want stored
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; add_header X-A b; return 200 "x\n"; }
--- config
    redis_cache_post_location on;
    redis_cache_honor_request on;
    add_header X-Reason $redis_cache_reason always;
    location /arg    { redis_cache on; redis_cache_no_store $arg_no; proxy_pass http://backend; }
    location /answer { redis_cache on; redis_cache_no_store $upstream_http_x_a; proxy_pass http://backend; }
    location /client { redis_cache on; proxy_pass http://backend; }
    location /status { redis_cache on; redis_cache_valid 404; proxy_pass http://backend; }
--- more_headers eval
["", "", "Cache-Control: no-store", ""]
--- request eval
["POST /arg?no=1\nbody", "POST /answer\nbody", "POST /client\nbody", "POST /status\nbody"]
--- response_headers eval
["X-Cache: SKIP\nX-Reason: redis_cache_no_store", "X-Cache: SKIP\nX-Reason: redis_cache_no_store",
 "X-Cache: SKIP\nX-Reason: no-store of the request", "X-Cache: SKIP\nX-Reason: status not listed"]
--- redis
EXISTS $KEY/arg?no=1 $KEY/answer $KEY/client $KEY/status => 0



=== TEST 13: a field for nginx states a lifetime, and min_uses counts
--- backend
    location / { add_header Content-Location $request_uri; add_header X-Accel-Expires 60; return 200 "x\n"; }
--- config
    location /accel { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
    location /uses {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_min_uses 2;
        add_header X-Reason $redis_cache_reason always;
        proxy_pass http://backend;
    }
--- request eval
["POST /accel\nbody", "GET /accel", "POST /uses\nbody", "POST /uses\nbody", "GET /uses"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP\nX-Reason: too few uses", "X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
["EXISTS \$KEY/accel => 1", undef, undef, "EXISTS \$KEY/uses => 1", undef]



=== TEST 14: without invalidation it replaces the record all the same
--- backend
    location / { add_header Content-Location /a; add_header Cache-Control max-age=60; return 200 "new\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_invalidate off;
        proxy_pass http://backend;
    }
--- init
main::record('/a')
--- request eval
["POST /a\nbody", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["new\n", "new\n"]
--- redis eval
["EXISTS \$KEY/a => 1", undef]
--- no_error_log
was invalidated



=== TEST 15: a listed POST is cached as ever
--- backend
    location / { add_header Content-Location /a; add_header Cache-Control max-age=60; return 200 "$request_method\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_methods GET HEAD POST;
        redis_cache_key $TEST_NGINX_KEY:$request_method$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\nbody", "POST /a\nbody", "GET /a"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- redis eval
["EXISTS \$KEY:POST/a => 1", undef, undef]



=== TEST 16: other methods aren't concerned
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    location / { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
--- request eval
["PUT /a\nbody", "PATCH /a\nbody", "QUERY /a\nbody", "OPTIONS /a"]
--- response_headers eval
[("X-Cache: SKIP") x 4]
--- redis
EXISTS $KEY/a => 0



=== TEST 17: Cache-Status
--- backend
    location /a { add_header Content-Location /a; add_header Cache-Control max-age=60; return 200 "x\n"; }
    location /b { add_header Content-Location /b; return 200 "x\n"; }
    location /c { return 200 "x\n"; }
--- config
    location / {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_status_header nginx;
        proxy_pass http://backend;
    }
--- request eval
["POST /a\nbody", "POST /b\nbody", "POST /c\nbody"]
--- response_headers_like eval
["Cache-Status: nginx; fwd=method; fwd-status=200; ttl=(59|60); stored",
 "Cache-Status: nginx; fwd=method; fwd-status=200; detail=\"no explicit freshness\"",
 "Cache-Status: nginx; fwd=method; fwd-status=200"]



=== TEST 18: what nginx puts in the place of the backend's response isn't stored
--- backend
    location /error { add_header Content-Location /error always; add_header Cache-Control max-age=60 always; return 404; }
    location /page  { add_header Content-Location /error; add_header Cache-Control max-age=60; return 200 "page\n"; }
    location /file  { add_header X-Accel-Redirect /internal; return 200 "x\n"; }
    location /internal { add_header Content-Location /file; add_header Cache-Control max-age=60; return 200 "file\n"; }
--- config
    location /error {
        redis_cache on;
        redis_cache_post_location on;
        redis_cache_valid any;
        proxy_intercept_errors on;
        error_page 404 =200 /page;
        proxy_pass http://backend;
    }
    location /page { proxy_pass http://backend; }
    location /file { redis_cache on; redis_cache_post_location on; proxy_pass http://backend; }
    location /internal { internal; proxy_pass http://backend; }
--- request eval
["POST /error\nbody", "POST /file\nbody"]
--- response_body eval
["page\n", "file\n"]
--- response_headers eval
[("X-Cache: SKIP") x 2]
--- redis
EXISTS $KEY/error $KEY/file => 0



=== TEST 19: the backend may be another location, a named one too, and none with rules of its own
--- backend
    location / { add_header Content-Location /$arg_as; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    redis_cache_post_location on;
    location /uri   { redis_cache on; redis_cache_backend /other; }
    location /other { deny all; proxy_pass http://backend/?as=uri&x=; }
    location /named { redis_cache on; redis_cache_backend @named; }
    location @named { deny all; proxy_pass http://backend; rewrite ^ /?as=named? break; }
    location /tried { redis_cache on; try_files /none @tried; }
    location @tried { proxy_pass http://backend; rewrite ^ /?as=tried? break; }
    location /rules { redis_cache on; try_files /none @rules; add_header X-Reason $redis_cache_reason always; }
    location @rules { allow all; proxy_pass http://backend; rewrite ^ /?as=rules? break; }
    location /shut  { redis_cache on; try_files /none @shut; }
    location @shut  { deny all; proxy_pass http://backend; rewrite ^ /?as=shut? break; }
--- request eval
["POST /uri\nbody", "POST /named\nbody", "POST /tried\nbody", "POST /rules\nbody", "POST /shut\nbody"]
--- error_code eval
[(200) x 4, 403]
--- response_headers eval
[("X-Cache: STORE") x 3, "X-Cache: SKIP\nX-Reason: access rules", "X-Cache: SKIP"]
--- redis eval
["EXISTS \$KEY/uri => 1", "EXISTS \$KEY/named => 1", "EXISTS \$KEY/tried => 1", "EXISTS \$KEY/rules => 0", "EXISTS \$KEY/shut => 0"]


=== TEST 20: a rewrite that only a POST meets, where the key follows from the URI as it is then
--- backend
    location / { add_header Content-Location $http_x_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    redis_cache_post_location on;
    proxy_set_header X-Uri $request_uri;
    location /path {
        if ($request_method = POST) { rewrite ^/path(.*)$ /api$1 break; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$uri;
        proxy_pass http://backend;
    }
    location /args {
        if ($request_method = POST) { set $args write=1; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$request_uri$is_args$args;
        proxy_pass http://backend;
    }
    location /line {
        if ($request_method = POST) { rewrite ^ /api break; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$request_uri;
        proxy_pass http://backend;
    }
    location ~ ^/group(/.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY/g$1;
        proxy_pass http://backend;
    }
    location /verb {
        if ($request_method ~ (.*)) { set $none ""; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$1$request_uri;
        proxy_pass http://backend;
    }
--- request eval
["POST /path/a\nbody", "POST /args\nbody", "POST /line\nbody", "GET /line", "POST /group/a\nbody", "GET /group/a", "POST /verb\nbody"]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]



=== TEST 21: a map of what only the POST has
--- http_config
    map $who $owner { "" anon; default $who; }
    map $owner $house { default "house of $owner"; }
    map $content_type $format { default html; ~json json; }
    map $request_body $kind { default x; ~admin "GET"; }
    map $http_x_lang $lang { default en; ~de de; }
    map $verb $other_verb { default $verb; }
    map $part $place { default $part; }
--- backend
    location / { add_header Content-Location $request_uri; add_header Cache-Control max-age=60; return 200 "x\n"; }
--- config
    redis_cache_post_location on;
    set $who $cookie_user;
    if ($request_method = POST) { set $who ""; }
    location /set   { redis_cache on; redis_cache_key $TEST_NGINX_KEY$owner$request_uri; proxy_pass http://backend; }
    location /maps  { redis_cache on; redis_cache_key $TEST_NGINX_KEY$house$request_uri; proxy_pass http://backend; }
    location /type  { redis_cache on; redis_cache_key $TEST_NGINX_KEY$format$request_uri; proxy_pass http://backend; }
    location /body  { mirror /none; redis_cache on; redis_cache_key $TEST_NGINX_KEY$kind$request_uri; proxy_pass http://backend; }
    location = /none { return 204; }
    location /lang  { redis_cache on; redis_cache_key $TEST_NGINX_KEY$lang$request_uri; proxy_pass http://backend; }
    location ~ ^/(?<part>part)/ { redis_cache on; redis_cache_key $TEST_NGINX_KEY$place$part$request_uri; proxy_pass http://backend; }
    location /verb  {
        if ($request_method ~ (?<verb>.*)) { set $none ""; }
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$other_verb$request_uri;
        proxy_pass http://backend;
    }
--- more_headers
X-Lang: de
Cookie: user=a
--- request eval
["POST /set\nadmin", "POST /maps\nadmin", "POST /type\nadmin", "POST /body\nadmin", "POST /lang\nadmin", "GET /lang", "POST /part/a\nadmin", "GET /part/a", "POST /verb\nadmin"]
--- response_headers eval
[("X-Cache: SKIP") x 4, "X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE", "X-Cache: HIT", "X-Cache: SKIP"]
--- no_error_log
uninitialized



=== TEST 22: what error_page has given a status of its own isn't the backend's
--- backend
    add_header Content-Location $request_uri always;
    add_header Cache-Control max-age=60 always;
    location /bad  { return 500; }
    location /good { return 200 "x\n"; }
--- config
    redis_cache_post_location on;
    location / { return 405; error_page 405 =200 @app; }
    location /good/as { return 405; error_page 405 = @app; }
    location @app { redis_cache on; proxy_pass http://backend; }
--- request eval
["POST /bad\nbody", "POST /good\nbody", "POST /good/as\nbody", "POST /bad/as\nbody"]
--- error_code eval
[200, 200, 200, 200]
--- response_headers eval
["X-Cache: SKIP", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: SKIP"]
--- redis
EXISTS $KEY/bad $KEY/good => 0
--- no_error_log
[alert]

