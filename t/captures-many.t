# Regular expressions with many groups beside locations with few or none. A match writes one offset for the begin and
# one for the end of each group: what the module keeps and copies is as long as the longest match of the configuration,
# and what it reads is no longer than the last one. Run under AddressSanitizer too (BUILD=sanitize).

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 113;

# Forty groups, and another text for each of the places that ask for it. $many has the first nine backwards.
our $Forty = '(.)' x 40;
our $Text  = join '', 'a' .. 'z', 0 .. 9, 'W' .. 'Z';

sub many {
    my $name = shift;
    return <<"END";
    map \$http_x_letters \$$name {
        default      none;
        "~^$::Forty" \$9\$8\$7\$6\$5\$4\$3\$2\$1;
    }
END
}

our $Many    = many('many');
our $Letters = "X-Letters: $Text";
our $Seen    = '$request_method $request_uri $http_x_many';

# Whose groups matched at the far end alone, and whose matched nothing.
our $Sparse = <<'END';
    map $http_x_letters $sparse {
        default "";
        "~^(?:(1)|(2)|(3)|(4)|(5)|(6)|(7)|(8)|(9)|(0)|(A)|(B)|(C)|(D)|(E)|(?<far>[a-z]+))" $far$1$2;
    }
END

# A location as the store that has no record, and keeps none.
our $NoRecord = ":-2\r\n*6\r\n" . "\$-1\r\n" x 6;

run_tests();

__DATA__

=== TEST 1: in the key, with one group of the location
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key "$TEST_NGINX_KEY|$1|$many|$1";
        proxy_pass http://backend/$1;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png", "GET /img/c"]
--- more_headers eval: $::Letters
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log eval
[undef, undef, "GET /cat.png\nGET /c\n"]
--- redis eval
[undef, "EXISTS \$KEY|cat.png|ihgfedcba|cat.png => 1", "EXISTS \$KEY|c|ihgfedcba|c => 1"]



=== TEST 2: in the key, in a location without any
--- http_config eval: $::Many
--- config
    location /img/ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$uri;
        proxy_pass http://backend;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Letters
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
[undef, "EXISTS \$KEY|ihgfedcba/img/cat.png => 1"]



=== TEST 3: in redis_cache_bypass and redis_cache_no_store
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_bypass $arg_bypass$many;
        redis_cache_no_store $arg_pass$many;
        proxy_pass http://backend/$1;
    }
--- request eval
["GET /img/cat.png", "HEAD /img/cat.png", "POST /img/cat.png"]
--- more_headers eval: $::Letters
--- response_headers eval
[("X-Cache: SKIP") x 3]
--- backend_log
GET /cat.png
HEAD /cat.png
POST /cat.png



=== TEST 4: in a field that the backend gets, and one that the client gets
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        proxy_set_header X-Many $many;
        proxy_set_header X-Mixed "$1,$many,$1";
        proxy_pass http://backend/$1;
        add_header X-Many $many;
    }
--- backend
    location / { add_header X-Mixed $http_x_mixed; return 200 fine; }
--- request eval
["GET /img/c", "GET /img/c"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE\nX-Many: ihgfedcba", "X-Cache: HIT\nX-Many: ihgfedcba"]
--- backend_log eval
[undef, "GET /c ihgfedcba\n"]



=== TEST 5: a text of the location that is shorter than where the groups of the map lie
--- http_config eval: $::Many
--- config
    location ~ ^/(.)$ {
        set $page $1;
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1$page;
        redis_cache_bypass $arg_bypass;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1$page;
    }
--- request eval
["GET /a", "GET /%61", "GET /b"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT", "X-Cache: STORE"]
--- backend_log eval
[undef, undef, "GET /aa ihgfedcba\nGET /bb ihgfedcba\n"]



=== TEST 6: in set_md5, before and after a match of rewrite
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        set_md5 $before $many$1;
        rewrite ^/img/(?<page>(.)(.).*)$ /$3$2/$page break;
        set_md5 $cache_key $TEST_NGINX_KEY|$many$before$page;
        redis_cache on;
        proxy_set_header X-Many $many;
        proxy_pass http://backend;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
[undef, "GET /ac/cat.png ihgfedcba\n"]



=== TEST 7: variables that a fill takes along from the client's connection
--- http_config eval
CORE::join('', map { main::many($_) } qw(ssl_many realip_many geoip_many))
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        proxy_set_header X-Many $ssl_many$realip_many$geoip_many;
        proxy_pass http://backend/$1;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
[undef, "GET /cat.png " . "ihgfedcba" x 3 . "\n"]



=== TEST 8: a location as the store, with groups of its own
--- http_config eval: $::Many
--- user_files eval
[["no-record" => $::NoRecord]]
--- backend
    location /store { error_page 405 =200 /no-record; return 405; }
    location = /no-record { root html; access_log off; }
    location / { return 200 fine; }
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1;
        redis_cache_pass /store/abc;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1;
    }
    location ~ ^/store/(a)(b)(c)$ {
        internal;
        set $seen $1$2$3$many;
        if ($seen !~ "^(?<x>abc)(?<y>ihg)fedcba$") { return 500; }
        if ($request_method !~ "^(P)(O)(S)(T)$") { return 500; }
        proxy_pass http://backend;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers_like
X-Cache: STORE|SKIP
--- backend_log
GET /cat.png ihgfedcba



=== TEST 9: groups of server_name, which a location without any passes on
--- http_config eval: $::Many
--- config
    server_name ~^(w)(w)(?<third>w)\.(.+)$;
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$4$uri;
        proxy_set_header X-Many $many$third;
        proxy_pass http://backend/$4$3$uri;
    }
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
"Host: www.example.com\n$::Letters"
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
[undef, "GET /example.comw/a ihgfedcbaw\n"]



=== TEST 10: a captured name of server_name in a header that has no room in nginx's first buffer
--- http_config eval: $::Many
--- config
    server_name ~^(w)(w)(w)\.(.+)$;
    location / {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$4$uri;
        proxy_set_header Cookie "";
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$4$uri;
    }
--- request
GET /a
--- more_headers eval
"Host: www.example.com\nCookie: " . "x" x 3000 . "\n$::Letters"
--- backend_format eval: $::Seen
--- response_headers
X-Cache: STORE
--- backend_log
GET /example.com/a ihgfedcba



=== TEST 11: twelve groups of an "if"
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        set $page $1;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$page;
        if ($http_x_letters ~ "(k)(l)(m)(n)(o)(p)(q)(r)(s)(t)(u)(v)") {
            set $found $9$1;
            redis_cache on;
            redis_cache_key $TEST_NGINX_KEY|$many$9$page;
            proxy_pass http://backend/$found/$9$1/$page;
        }
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
[undef, "GET /sk/sk/cat.png ihgfedcba\n"]



=== TEST 12: groups that matched nothing, and one that matched at the end
--- http_config eval: $::Sparse . $::Many
--- config
    location ~ ^/(?:(a)|(b)|(c)|(d)|(e)|(f)|(g)|(h)|(i))/$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$sparse$many$uri;
        proxy_set_header X-Many $sparse$far$many;
        proxy_pass http://backend/1$1/2$2/9$9/;
    }
--- request eval
["GET /i/", "GET /b/", "GET /i/"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
my $letters = substr $::Text, 0, 26;
[undef, undef, "GET /1/2/9i/ $letters${letters}ihgfedcba\nGET /1/2b/9/ $letters${letters}ihgfedcba\n"]



=== TEST 13: a refill of a stale record
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$uri;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1;
    }
--- init
main::record('|ihgfedcba/img/cat.png', ttl => 50);
--- request
GET /img/cat.png
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers
X-Cache: STALE
--- backend_log
GET /cat.png ihgfedcba



=== TEST 14: a DELETE, whose record is of another method
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$request_method$uri;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1;
    }
--- init
main::record('|ihgfedcbaGET/img/cat.png');
--- request
DELETE /img/cat.png
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers
X-Cache: SKIP
--- backend_log
DELETE /cat.png ihgfedcba
--- redis
EXISTS $KEY|ihgfedcbaGET/img/cat.png => 0



=== TEST 15: a POST whose answer names another record by Location
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$http_x_letters$uri;
        redis_cache_bypass $many;
        proxy_set_header X-Many $many;
        proxy_redirect off;
        proxy_pass http://backend/$1;
    }
--- backend
    location / { add_header Location http://localhost/img/dog.png; return 201 made; }
--- init
main::record("|$::Text/img/dog.png");
--- request
POST /img/cat.png
--- more_headers eval: $::Letters
--- error_code: 201
--- response_headers
X-Cache: SKIP
--- backend_log
POST /cat.png
--- redis eval
"EXISTS \$KEY|$::Text/img/dog.png => 0"



=== TEST 16: subrequests, each with its own groups
--- http_config eval: $::Many
--- config
    location = /page {
        ssi on;
        default_type text/html;
        return 200 '<!--# include virtual="/img/cat.png" -->+<!--# include virtual="/long/dog.png" -->+<!--# include virtual="/img/cow.png" -->';
    }
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$uri;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1;
    }
    location ~ ^/l(o)(n)(g)/(d)(o)(g)(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$uri;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$6$5$4$7;
    }
--- backend
    location / { return 200 "$request_uri $http_x_many"; }
--- request eval
["GET /page", "GET /page"]
--- more_headers eval: $::Letters
--- response_body eval
[("/cat.png ihgfedcba+/god.png ihgfedcba+/cow.png ihgfedcba") x 2]



=== TEST 17: the backend's location has more groups than the cached one
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1;
        redis_cache_backend /origin;
    }
    location ~ ^/origin/(i)(m)(g)/(c)(a)(t)(.)(p)(n)(g)$ {
        internal;
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$6$5$4;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- backend_log eval
[undef, "GET /tac ihgfedcba\n"]



=== TEST 18: the backend's location has the groups of the cached one: in a fill, and in a request that passes
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1;
        redis_cache_bypass $arg_pass;
        redis_cache_no_store $arg_pass;
        redis_cache_backend @origin;
    }
    location ~ ^/prefix/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1$uri;
        redis_cache_bypass $arg_pass;
        redis_cache_no_store $arg_pass;
        redis_cache_backend /origin;
    }
    location @origin {
        proxy_set_header X-Many $many;
        proxy_pass http://backend/$1;
    }
    location ^~ /origin {
        internal;
        proxy_set_header X-Many $many;
        set $page $1;
        proxy_pass http://backend/$page;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png?pass=1", "GET /prefix/dog.png", "GET /prefix/dog.png?pass=1"]
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_headers eval
["X-Cache: STORE", "X-Cache: SKIP", "X-Cache: STORE", "X-Cache: SKIP"]
--- backend_log eval
[undef, "GET /cat.png ihgfedcba\n" x 2, undef, "GET /cat.png ihgfedcba\n" x 2 . "GET /dog.png ihgfedcba\n" x 2]



=== TEST 19: an error page of the backend's, with the groups of the cached location
--- http_config eval: $::Many
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$many$1;
        proxy_set_header X-Many $many;
        proxy_intercept_errors on;
        proxy_pass http://backend/$1;
        error_page 404 = @other;
    }
    location @other {
        proxy_set_header X-Many $many;
        proxy_pass http://backend/other/$1;
    }
--- backend
    location /other { return 200 other; }
    location / { return 404; }
--- request
GET /img/cat.png
--- more_headers eval: $::Letters
--- backend_format eval: $::Seen
--- response_body: other
--- backend_log
GET /cat.png ihgfedcba
GET /other/cat.png ihgfedcba



=== TEST 20: a request for which all is asked anew, beside another that shares its fill
--- http_config eval
$::Many . $::Sparse;
--- config
    location ~ ^/img/(?<page>.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY|$page;
        redis_cache_bypass $arg_bypass;
        proxy_set_header X-Many $many$sparse;
        proxy_pass http://backend/$1/$page;
        add_header X-Page $page;
    }
--- pipelined_requests eval
["GET /img/c", "GET /img/ca", "GET /img/cat", "GET /img/c"]
--- more_headers eval: $::Letters
--- response_headers eval
["X-Cache: STORE\nX-Page: c", "X-Cache: STORE\nX-Page: ca", "X-Cache: STORE\nX-Page: cat", "X-Cache: HIT\nX-Page: c"]
