# An answer with Vary is for those who send the same in the fields that it names
# (RFC 9111 4.1). Each variant is a record of its own: the first under the key,
# further ones beside it, under {key}:v1, {key}:v2 ...

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

our $Id = '[0-9a-f]{32}';

# Leaves the record in a slot of a URI so many seconds to live, once it is stored.
sub age_slot {
    my ($uri, $slot, $ttl) = @_;
    for (1 .. 400) {
        return if redis('PEXPIRE', "{\$KEY$uri}:v$slot", $ttl * 1000);
        select undef, undef, undef, 0.01;
    }
}

# Two lines of X-A, and further headers of a request.
sub lines { return join "\n", map { "X-A: $_" } @_ }

plan tests => 491;
run_tests();

__DATA__

=== TEST 1: variants are hits for those who ask for them (9111 4.1)
--- backend
    location / { add_header Vary Accept-Language; return 200 "[$http_accept_language]\n"; }
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- request eval
[("GET /a") x 6]
--- more_headers eval
["Accept-Language: en", "Accept-Language: de", "", "Accept-Language: en", "Accept-Language: de", ""]
--- response_headers_like eval
[(map { "X-Cache: STORE\nX-Status: MISS\nVary: Accept-Language" } 1 .. 3), (map { "X-Cache: HIT\nX-Status: HIT\nVary: Accept-Language\nAge: [0-9]" } 1 .. 3)]
--- response_body eval
[("[en]\n", "[de]\n", "[]\n") x 2]
--- redis eval
["HGET \$KEY/a body => \\[en]\\n\nHGET \$KEY/a variants => 1 [0-9a-f]+ accept-language 0 $main::Id",
 "HGET {\$KEY/a}:v1 body => \\[de]\\n\nHGET \$KEY/a variants => 1 [0-9a-f]+ accept-language 0 $main::Id $main::Id",
 "HGET {\$KEY/a}:v2 body => \\[]\\n\nTTL {\$KEY/a}:v2 => 2(?:19|20)\nHGET \$KEY/a body => \\[en]\\n\nTTL \$KEY/a => 2(?:19|20)",
 undef, undef, undef]
--- backend_log
GET /a
GET /a
GET /a



=== TEST 2: no request matches "*", alone, in a list or in another line; nor what is no name (9110 12.5.5)
--- backend
    location /star { add_header Vary "*"; return 200 "page\n"; }
    location /list { add_header Vary "Accept, *"; return 200 "page\n"; }
    location /line { add_header Vary Accept; add_header Vary " * "; return 200 "page\n"; }
    location /name { add_header Vary "Accept Language"; return 200 "page\n"; }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason always; proxy_pass http://backend; }
--- request eval
[map { ("GET /$_", "GET /$_") } qw(star list line name)]
--- response_headers eval
[("X-Cache: SKIP\nX-Reason: vary *") x 8]
--- redis
EXISTS $KEY/star $KEY/list $KEY/line $KEY/name => 0
--- backend_log
GET /star
GET /star
GET /list
GET /list
GET /line
GET /line
GET /name
GET /name



=== TEST 3: names know no case, empty members count for nothing, lines are one list (9110 5.1, 5.3, 5.6.1)
--- backend
    location / { add_header Vary ", x-a,,X-B"; add_header Vary X-a; return 200 "$http_x_a $http_x_b\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
["X-A: 1\nX-B: 2", "x-b: 2\nX-Other: 3\nx-a: 1", "X-A: 1\nX-B: 3", "X-A: 1"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE HIT STORE STORE)]
--- response_body eval
["1 2\n", "1 2\n", "1 3\n", "1 \n"]
--- redis eval
[undef, "HGET \$KEY/a variants => 1 [0-9a-f]+ x-a,x-b 0 $main::Id", undef, undef]
--- backend_log
GET /a
GET /a
GET /a



=== TEST 4: a field that is absent isn't one that is empty; lines and blanks make no difference (9111 4.1)
--- backend
    location / { add_header Vary X-A; return 200 "[$http_x_a]\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 8]
--- more_headers eval
["X-A: 1, 2", "X-A: 1,2", main::lines(1, 2), main::lines(2, 1), "X-A: 12", "", "X-A:", "X-A: \"1, 2\""]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE HIT HIT STORE STORE STORE STORE STORE)]
--- redis eval
["HGET \$KEY/a body => .+", undef, undef, map { "HGET {\$KEY/a}:v$_ body => .+" } 1 .. 5]
--- response_body_like eval
[(qr/^\[1, 2]$/) x 3, (qr/./) x 5]



=== TEST 5: Accept-Encoding and Accept-Language are what they mean (9110 12.4.2, 12.5.3, 12.5.4)
--- backend
    location /encoding { add_header Vary Accept-Encoding; return 200 "$http_accept_encoding\n"; }
    location /language { add_header Vary Accept-Language; return 200 "$http_accept_language\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /encoding") x 5, ("GET /language") x 5]
--- more_headers eval
["Accept-Encoding: gzip, br;q=0.50", "Accept-Encoding: BR;q=0.5 ,gzip", "Accept-Encoding: gzip;q=1.000, br; q=0.5", "Accept-Encoding: gzip, br", "Accept-Encoding: gzip, br;q=0",
 "Accept-Language: en-GB, de;q=0.8", "Accept-Language: EN-gb,de; q=0.80", "Accept-Language: de;q=0.8, en-GB", "Accept-Language: en, de;q=0.8",
 "Accept-Language: de, en"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE HIT HIT STORE STORE STORE HIT HIT STORE STORE)]
--- redis eval
["HGET \$KEY/encoding body => .+", undef, undef, "HGET {\$KEY/encoding}:v1 body => .+", "HGET {\$KEY/encoding}:v2 body => .+",
 "HGET \$KEY/language body => .+", undef, undef, "HGET {\$KEY/language}:v1 body => .+", "HGET {\$KEY/language}:v2 body => .+"]



=== TEST 6: redis_cache_variants: the oldest gives its place away
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; redis_cache_variants 2; proxy_pass http://backend; }
--- request eval
[("GET /a") x 7]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 3, 2, 3, 1, 3]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE STORE HIT HIT STORE HIT)]
--- response_body eval
[map { "$_\n" } 1, 2, 3, 2, 3, 1, 3]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n",
 "HGET \$KEY/a body => 3\\n\nHGET \$KEY/a variants => 1 [0-9a-f]+ x-a 1 $main::Id $main::Id", undef, undef,
 "HGET {\$KEY/a}:v1 body => 1\\n\nHGET \$KEY/a variants => 1 [0-9a-f]+ x-a 0 $main::Id $main::Id\nEXISTS {\$KEY/a}:v2 => 0", undef]
--- backend_log
GET /a
GET /a
GET /a
GET /a



=== TEST 7: one variant only
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; redis_cache_variants 1; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
[map { "X-A: $_" } 1, 1, 2, 1]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE HIT STORE STORE)]
--- redis eval
["HGET \$KEY/a body => 1\\n", undef, "HGET \$KEY/a body => 2\\n", "HGET \$KEY/a body => 1\\n\nEXISTS {\$KEY/a}:v1 => 0"]



=== TEST 8: stale variants are served at once, and refilled each for itself
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a: $http_x_forwarded_turn\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 8]
--- more_headers eval
["X-A: 1\nX-Forwarded-Turn: 1", "X-A: 2\nX-Forwarded-Turn: 1",
 "X-A: 2\nX-Forwarded-Turn: 2", "X-A: 2\nX-Forwarded-Turn: 3", "X-A: 1\nX-Forwarded-Turn: 3",
 "X-A: 1\nX-Forwarded-Turn: 4", "X-A: 1\nX-Forwarded-Turn: 5", "X-A: 2\nX-Forwarded-Turn: 5"]
--- redis eval
["HGET \$KEY/a body => 1: 1\\n", "HGET {\$KEY/a}:v1 body => 2: 1\\n",
 "HGET {\$KEY/a}:v1 body => 2: 2\\n\nTTL {\$KEY/a}:v1 => 2(?:19|20)", undef, undef,
 "HGET \$KEY/a body => 1: 4\\n\nTTL \$KEY/a => 2(?:19|20)", undef, undef]
--- after eval
[undef, sub { main::age_slot('/a', 1, 50) }, undef, undef, sub { main::age('/a', 50) }, undef, undef, undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE STALE HIT HIT STALE HIT HIT)]
--- response_body eval
["1: 1\n", "2: 1\n", "2: 1\n", "2: 2\n", "1: 1\n", "1: 1\n", "1: 4\n", "2: 2\n"]
--- backend_log
GET /a
GET /a
GET /a
GET /a



=== TEST 9: a key that is gone has no variants, whatever lies beside it
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 5]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", undef, "HGET \$KEY/a body => 2\\n\nEXISTS {\$KEY/a}:v1 => 1", "HGET {\$KEY/a}:v1 body => 1\\n"]
--- after eval
[undef, undef, sub { main::redis('DEL', '$KEY/a') }, undef, undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT STORE STORE)]
--- response_body eval
[map { "$_\n" } 1, 2, 2, 2, 1]
--- backend_log
GET /a
GET /a
GET /a
GET /a



=== TEST 10: what the Lua script writes over the key is everybody's, and the variants are none
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 5]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", "HGET \$KEY/a variants => 1 .*", undef, undef]
--- after eval
[undef, undef, sub { main::record('/a', body => "from the script\n") }, undef, undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT HIT HIT)]
--- response_body eval
["1\n", "2\n", "2\n", "from the script\n", "from the script\n"]
--- backend_log
GET /a
GET /a



=== TEST 11: what the Lua script writes with Vary is nobody's: the next answer begins anew
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 6]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", undef, "HGET \$KEY/a body => 2\\n\nHGET \$KEY/a variants => 1 [0-9a-f]+ x-a 0 $main::Id", undef, undef]
--- after eval
[undef, undef, sub { main::record('/a', body => "x\n", headers => '{"Vary":"X-A"}') }, undef, undef, undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT STORE HIT STORE)]
--- response_body eval
[map { "$_\n" } 1, 2, 2, 2, 2, 1]



=== TEST 12: the script reads a whole record under the key, whichever variant is the last
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 2]
--- more_headers eval
[map { "X-A: $_" } 1, 2]
--- redis eval
["EXISTS \$KEY/a => 1", "HMGET {\$KEY/a}:v1 status body => 200 2\\n\nHMGET \$KEY/a status body => 200 1\\n\nHGET \$KEY/a headers => .*\"Vary\":\"X-A\".*"]



=== TEST 13: what the answers vary on changes
--- backend
    location / { add_header Vary $http_x_vary; return 200 "$http_x_a $http_x_b\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 8]
--- more_headers eval
["X-A: 1\nX-B: 1\nX-Vary: X-A", "X-A: 2\nX-B: 1\nX-Vary: X-A",
 # another variant, which varies on something else: those before it are no more
 "X-A: 3\nX-B: 2\nX-Vary: X-B", "X-A: 1\nX-B: 2", "X-A: 1\nX-B: 3\nX-Vary: X-B, X-B", "X-A: 2\nX-B: 3",
 # one that doesn't vary: it is for everybody
 "X-A: 4\nX-B: 4", "X-A: 2\nX-B: 3"]
--- redis eval
["HGET \$KEY/a variants => 1 [0-9a-f]+ x-a 0 $main::Id", "HGET \$KEY/a variants => 1 [0-9a-f]+ x-a 0 $main::Id $main::Id",
 "HGET \$KEY/a variants => 1 [0-9a-f]+ x-b 0 $main::Id", undef, "HGET \$KEY/a variants => 1 [0-9a-f]+ x-b 0 $main::Id $main::Id", undef,
 "HEXISTS \$KEY/a variants => 0\nHGET \$KEY/a body => 4 4\\n", undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE STORE HIT STORE HIT STORE HIT)]
--- response_body eval
["1 1\n", "2 1\n", "3 2\n", "3 2\n", "1 3\n", "1 3\n", "4 4\n", "4 4\n"]



=== TEST 14: an answer without Vary is one key
--- backend
    location / { add_header Vary " , "; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["X-A: 1", "X-A: 2"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis
HLEN $KEY/a => 5
EXISTS {$KEY/a}:v1 => 0



=== TEST 15: Vary ignored: one record for everybody, whoever wrote it
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    redis_cache on;
    location / { proxy_pass http://backend; }
    location /ignored/ { redis_cache_key $TEST_NGINX_KEY/a; redis_cache_ignore_headers Vary; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /ignored/", "GET /ignored/", "GET /a", "GET /ignored/"]
--- more_headers eval
["X-A: 1", "X-A: 2", "X-A: 2", "X-A: 3", "X-A: 3", "X-A: 4"]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", undef, undef, "HGET {\$KEY/a}:v2 body => 3\\n", undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT HIT STORE HIT)]
--- response_body eval
["1\n", "2\n", "1\n", "1\n", "3\n", "1\n"]



=== TEST 16: where Vary is ignored, the key has no variants any more
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    redis_cache on;
    location / { proxy_pass http://backend; }
    location /ignored/ { redis_cache_key $TEST_NGINX_KEY/a; redis_cache_ignore_headers Vary; redis_cache_bypass 1; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /ignored/", "GET /a"]
--- more_headers eval
["X-A: 1", "X-A: 2", "X-A: 2"]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET \$KEY/a body => 2\\n\nHEXISTS \$KEY/a variants => 0", "HEXISTS \$KEY/a variants => 1"]
--- response_headers eval
[("X-Cache: STORE") x 3]



=== TEST 17: a key with a hash tag keeps it; one that no name shares a slot with has one variant
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    redis_cache on;
    location /tag   { redis_cache_key "{$TEST_NGINX_KEY}$uri"; proxy_pass http://backend; }
    location /brace { redis_cache_key "$TEST_NGINX_KEY$uri}"; proxy_pass http://backend; }
--- request eval
[("GET /tag") x 3, ("GET /brace") x 3]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 1, 1, 2, 1]
--- redis eval
["HGET {\$KEY}/tag body => 1\\n", "HGET {\$KEY}/tag:v1 body => 2\\n", undef, "HGET \$KEY/brace} body => 1\\n", "HGET \$KEY/brace} body => 2\\n", "HGET \$KEY/brace} body => 1\\n"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT STORE STORE STORE)]



=== TEST 18: who asks for a key that is named as a slot doesn't get the variant there
--- backend
    location / { add_header Vary X-A; return 200 "$uri: $http_x_a\n"; }
--- config
    location / { redis_cache on; redis_cache_key "{$TEST_NGINX_KEY}$uri"; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /a:v1", "GET /a"]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 2]
--- redis eval
["HGET {\$KEY}/a body => .+", "HGET {\$KEY}/a:v1 body => .+", "HGET {\$KEY}/a:v1 body => /a:v1: 2\\n", "HGET {\$KEY}/a:v1 body => /a: 2\\n"]
--- response_headers eval
[("X-Cache: STORE") x 4]
--- response_body eval
["/a: 1\n", "/a: 2\n", "/a:v1: 2\n", "/a: 2\n"]



=== TEST 19: a variant beside the key is validated and renewed where it is (9111 4.3)
--- backend_format: $request_method $request_uri $http_x_a [$http_if_none_match]
--- backend
    location / {
        add_header Vary X-A always;
        add_header ETag "\"$http_x_a\"" always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        if ($http_if_none_match = "\"$http_x_a\"") { return 304; }
        return 200 "$http_x_a\n";
    }
--- config
    location / { redis_cache on; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- request eval
[("GET /a") x 5]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", "TTL {\$KEY/a}:v1 => [45]\\d", "TTL {\$KEY/a}:v1 => 1(?:59|60)", undef]
--- after eval
[undef, undef, sub { main::age_slot('/a', 1, 50) }, undef, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT\nX-Status: HIT", "X-Cache: HIT\nX-Status: REVALIDATED", "X-Cache: HIT\nX-Status: HIT"]
--- response_body eval
[map { "$_\n" } 1, 2, 2, 2, 1]
--- backend_log
GET /a 1 []
GET /a 2 []
GET /a 2 ["2"]



=== TEST 20: a 304 that varies on something else than the record makes it nobody's (9111 4.3.4)
--- backend
    location / {
        add_header ETag '"1"' always;
        add_header Cache-Control "max-age=60, must-revalidate" always;
        add_header Vary $http_x_vary always;
        if ($http_if_none_match = '"1"') { return 304; }
        return 200 "$http_x_a\n";
    }
--- config
    location / { redis_cache on; add_header X-Reason $redis_cache_reason always; proxy_pass http://backend; }
--- request eval
[("GET /a") x 3]
--- more_headers eval
["X-A: 1\nX-Vary: X-A", "X-A: 1\nX-Vary: X-B", "X-A: 1\nX-Vary: X-B"]
--- redis eval
[undef, "EXISTS \$KEY/a => 0", "HGET \$KEY/a variants => 1 [0-9a-f]+ x-b 0 $main::Id"]
--- after eval
[sub { main::age('/a', 50) }, undef, undef]
--- response_body eval
["1\n", "1\n", "1\n"]



=== TEST 21: fields that a fill doesn't send are the same for everybody: its answer is whole
--- backend
    location / { add_header Vary "Range, If-None-Match, X-A"; return 200 "[$http_range] $http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 3]
--- more_headers eval
["X-A: 1\nRange: bytes=0-1", "X-A: 1\nRange: bytes=1-2", "X-A: 1"]
--- redis eval
["HGET \$KEY/a body => \\[] 1\\n", undef, undef]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: HIT"]
--- error_code eval
[206, 206, 200]
--- response_body eval
["[]", "] ", "[] 1\n"]



=== TEST 22: HEAD is answered from the variant that GET gets
--- backend
    location / { add_header Vary X-A; add_header X-Is $http_x_a; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["HEAD /a", "GET /a", "HEAD /a", "HEAD /a"]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Is: 1", "X-Cache: STORE\nX-Is: 2", "X-Cache: HIT\nX-Is: 2", "X-Cache: HIT\nX-Is: 1"]
--- backend_log
GET /a
GET /a



=== TEST 23: a slot that holds something else is left alone
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 4]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", undef, undef, "GET {\$KEY/a}:v1 => else"]
--- after eval
[sub { main::redis('SET', '{$KEY/a}:v1', 'else', 'EX', 100) }, undef, undef, undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE STORE HIT)]
--- response_body eval
[map { "$_\n" } 1, 2, 2, 1]
--- no_error_log
[alert]



=== TEST 24: Vary is kept with the record whatever the answer says of the field
--- backend
    location / { add_header Vary X-A; add_header Connection Vary; return 200 "$http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
[("GET /a") x 3]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 1]
--- redis eval
["HGET \$KEY/a body => 1\\n", "HGET {\$KEY/a}:v1 body => 2\\n", undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE HIT)]
--- response_body eval
[map { "$_\n" } 1, 2, 1]



=== TEST 25: a HEAD that passes says something of its own variant only (9111 4.3.5)
--- backend
    location / { add_header Vary X-A; return 200 "$http_x_a$http_x_more\n"; }
--- config
    location / { redis_cache on; redis_cache_methods GET; proxy_pass http://backend; }
--- request eval
["GET /a", "HEAD /a", "GET /a", "HEAD /a", "GET /a", "HEAD /a"]
--- more_headers eval
["X-A: 1", "X-A: 22", "X-A: 1", "X-A: 1", "X-A: 1", "X-A: 1\nX-More: 2"]
--- redis eval
["HGET \$KEY/a body => 1\\n", undef, undef, undef, undef, "EXISTS \$KEY/a => 0"]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE SKIP HIT SKIP HIT SKIP)]



=== TEST 26: a change ends all variants (9111 4.4)
--- backend
    location / { add_header Vary X-A; return 200 "$request_method $http_x_a\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "PUT /a", "GET /a", "GET /a"]
--- more_headers eval
[map { "X-A: $_" } 1, 2, 3, 2, 1]
--- redis eval
["HGET \$KEY/a body => .* 1\\n", "HGET {\$KEY/a}:v1 body => .* 2\\n", "EXISTS \$KEY/a => 0", "HGET \$KEY/a body => .* 2\\n", undef]
--- response_headers eval
[map { "X-Cache: $_" } qw(STORE STORE SKIP STORE STORE)]
