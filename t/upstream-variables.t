# nginx's own $upstream_* variables say of an answer what they say with proxy_cache: a miss has what its fill has cost, a
# hit what the record's backend said. Of several lines of one field nginx before 1.23 reads the first alone.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 69;

our $Vars = <<'END';
    add_header X-Addr "$upstream_addr" always;
    add_header X-Stat "$upstream_status" always;
    add_header X-Cached "$upstream_cache_status" always;
    add_header V-Field "$upstream_http_x_field" always;
    add_header V-Many "$upstream_http_x_many" always;
    add_header X-Sid "$upstream_cookie_sid" always;
    add_header X-Len "$upstream_http_content_length" always;
END

our $Page = <<'END';
    location / {
        add_header X-Field field; add_header X-Many a; add_header X-Many b; add_header Set-Cookie "sid=1; Path=/";
        return 200 "page\n";
    }
END

run_tests();

__DATA__

=== TEST 1: miss and hit
--- backend eval: $main::Page
--- config eval
"location / { redis_cache on; redis_cache_ignore_headers Set-Cookie; proxy_hide_header X-Field; $main::Vars proxy_pass http://backend; }"
--- request eval
["GET /a", "GET /a"]
--- response_headers_like eval
["X-Addr: unix:.*\nX-Stat: 200\nX-Cached: MISS\nV-Field: field\nV-Many: a(, b)?\nX-Sid: 1\nX-Len: 5",
 "X-Addr: \nX-Cached: HIT\nV-Field: field\nV-Many: a(, b)?\nX-Sid: 1\nX-Len: 5"]



=== TEST 2: stale, being refilled, and validated
--- backend
    location / {
        add_header ETag '"1"';
        add_header X-Field field;
        if ($http_if_none_match) { add_header ETag '"1"'; return 304; }
        return 200 "page\n";
    }
    location /must { add_header Cache-Control "max-age=60, must-revalidate"; add_header X-Field field; add_header ETag '"1"';
        if ($http_if_none_match) { add_header ETag '"1"'; add_header X-Field news; return 304; }
        return 200 "page\n"; }
--- config eval
"location / { redis_cache on; $main::Vars proxy_pass http://backend; }"
--- request eval
["GET /a", "GET /a", "GET /must", "GET /must"]
--- response_headers_like eval
["X-Addr: unix:.*\nX-Stat: 200\nX-Cached: MISS", "X-Cached: STALE\nV-Field: field",
 "X-Cached: MISS", "X-Addr: unix:.*\nX-Stat: 304\nX-Cached: REVALIDATED\nV-Field: news"]
--- after eval
[sub { main::age('/a', 90) }, undef, sub { main::age('/must', 90) }]



=== TEST 3: expired, failing, passed
--- backend
    location / { add_header X-Field field always; return 503; }
    location /fine { add_header X-Field field; return 200 "page\n"; }
--- config eval
<<"END"
location / {
    redis_cache on; redis_cache_use_stale http_503; redis_cache_bypass \$http_x_bypass; $main::Vars proxy_pass http://backend;
}
END
--- init
main::record('/a', ttl => 90); main::record('/fine', ttl => 90, headers => '{"X-Field":"old"}');
--- request eval
["GET /a", "GET /fine", "POST /fine\n", "GET /fine"]
--- more_headers eval
["X-No: 1", "X-No: 1", "X-No: 1", "X-Bypass: 1"]
--- response_headers_like eval
["X-Addr: unix:.*\nX-Stat: 503\nX-Cached: STALE",
 "X-Addr: unix:.*\nX-Stat: 200\nX-Cached: EXPIRED\nV-Field: field",
 "X-Addr: unix:.*\nX-Stat: 200\nX-Cached: \nV-Field: field",
 "X-Addr: unix:.*\nX-Stat: 200\nX-Cached: BYPASS\nV-Field: field"]



=== TEST 4: the access log
--- http_config
    log_format upstream "$upstream_addr|$upstream_status|$upstream_connect_time|$upstream_header_time|$upstream_response_time|$upstream_response_length|$upstream_bytes_received|$upstream_bytes_sent|$upstream_cache_status|$upstream_http_x_field|$upstream_http_x_none|";
--- backend eval: $main::Page
--- config
    location / {
        redis_cache on;
        redis_cache_ignore_headers Set-Cookie;
        access_log logs/upstream.log upstream;
        proxy_pass http://backend;
    }
--- request eval
["GET /a", "GET /a"]
--- after eval
[undef, sub {
    my $file = "$ENV{TEST_NGINX_SERVER_ROOT}/logs/upstream.log";
    open my $log, '<', $file or die "$file: $!";
    my @lines = <$log>;
    my $time = qr/\d\.\d{3}/;
    Test::More::like($lines[0], qr/^unix:.*\|200\|$time\|$time\|$time\|5\|\d{3}\|\d{2,3}\|MISS\|field\|-\|$/, 'the line of a miss');
    Test::More::is($lines[1], "-|-|-|-|-|-|-|-|HIT|field|-|\n", 'the line of a hit');
}]



=== TEST 5: auth_request reads them from a cached answer
--- backend
    location / { add_header X-User tom; return 200; }
--- config
    location = /auth {
        internal;
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY/auth;
        proxy_pass http://backend;
    }
    location / {
        auth_request /auth;
        auth_request_set $user $upstream_http_x_user;
        auth_request_set $how $upstream_cache_status;
        add_header X-Is "$user by $how";
        return 200;
    }
    location /page {
        auth_request /auth;
        auth_request_set $user $upstream_http_x_user;
        auth_request_set $how $upstream_cache_status;
        add_header X-Is "$user by $how";
        alias $TEST_NGINX_SERVER_ROOT/html/file.txt;
    }
--- user_files
>>> file.txt
protected
--- request eval
["GET /page", "GET /page"]
--- response_headers eval
["X-Is: tom by MISS", "X-Is: tom by HIT"]
--- backend_log
GET /auth



=== TEST 6: a map and a condition of them, several upstreams, a redirect before
--- http_config
    map $upstream_cache_status $seen { default other; HIT hit; MISS miss; }
--- backend
    location / { return 200 "page\n"; }
    location /lead { add_header X-Accel-Redirect /cached; return 200; }
--- config
    location /a { redis_cache on; add_header X-Seen $seen; add_header X-Stat $upstream_status; proxy_pass http://backend; }
    location /lead { proxy_pass http://backend; }
    location /cached { internal; redis_cache on; add_header X-Stat "$upstream_status"; add_header X-Seen $seen; proxy_pass http://backend; }
--- request eval
["GET /a", "GET /a", "GET /lead", "GET /lead"]
--- response_headers eval
["X-Seen: miss\nX-Stat: 200", "X-Seen: hit\n!X-Stat", "X-Seen: miss\nX-Stat: 200 : 200", "X-Seen: hit\nX-Stat: 200"]
