# Evaluating a value never changes what the location's own regular expression has captured: a `map` with a regular
# expression writes over $1, and the backend would be asked for another URI.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 60;
no_long_string();

our $Map = <<'_END_';
    map $http_user_agent $device {
        default                 d;
        "~*(i)(p)(h)(o)(n)(e)"  phone;
        "~*(a)ndroid"           phone;
    }
    map $http_x_word $word {
        default  "";
        "~(on)"  1;
    }
_END_

our $Phone = "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_0)\nX-Word: on";

run_tests();

__DATA__

=== TEST 1: redis_cache_key, with the location's own handler
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$device$uri;
        proxy_pass http://backend/$1;
    }
--- backend
    location / { return 200 "$request_uri\n"; }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Phone
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT"]
--- response_body eval
["/cat.png\n", "/cat.png\n"]
--- backend_log
GET /cat.png



=== TEST 2: redis_cache_bypass
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_bypass $word;
        proxy_pass http://backend/$1;
    }
--- request eval
["GET /img/cat.png", "GET /img/cat.png"]
--- more_headers eval: $::Phone
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- backend_log
GET /cat.png
GET /cat.png



=== TEST 3: redis_cache_no_store
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_no_store $word;
        proxy_pass http://backend/$1;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: SKIP
--- backend_log
GET /cat.png



=== TEST 4: both, and the request passes
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_bypass $word;
        redis_cache_no_store $word;
        proxy_pass http://backend/$1;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: SKIP
--- backend_log
GET /cat.png



=== TEST 5: a request that passes by its method and invalidates
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$device$uri;
        proxy_pass http://backend/$1;
    }
--- request
DELETE /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: SKIP
--- backend_log
DELETE /cat.png



=== TEST 6: HEAD, filled as GET
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$device$uri;
        proxy_pass http://backend/$1;
    }
--- request
HEAD /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: STORE
--- backend_log
GET /cat.png



=== TEST 7: a map of $cache_header and of other settings
--- http_config eval
$::Map . <<'_END_';
    map $http_user_agent $cache_header {
        default       X-Cache;
        "~(i)(Phone)" X-Phone;
    }
    map $http_user_agent $cache_age {
        default       60;
        "~(i)(Phone)" 30;
    }
_END_
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        proxy_pass http://backend/$1;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Phone: STORE
--- backend_log
GET /cat.png



=== TEST 8: set_md5
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        set_md5 $cache_key $TEST_NGINX_KEY$device$uri;
        set $page $1;
        redis_cache on;
        proxy_pass http://backend/$page/$1;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: STORE
--- backend_log
GET /cat.png/cat.png



=== TEST 9: a variable that a fill takes along from the client's connection
--- http_config
    map $http_user_agent $ssl_device {
        default               d;
        "~*(i)(p)(h)(o)(n)(e)" phone;
    }
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        proxy_set_header X-Device $ssl_device;
        proxy_pass http://backend/$1;
    }
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- backend_format
$request_method $request_uri $http_x_device
--- response_headers
X-Cache: STORE
--- backend_log
GET /cat.png phone



=== TEST 10: a key of captures and a map has the location's captures, wherever they stand in it
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key "$TEST_NGINX_KEY|$1|$device|$1";
        proxy_pass http://backend/$1;
    }
--- request eval
["GET /img/cat.png", "GET /img/c", "GET /img/cat.png"]
--- more_headers eval: $::Phone
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE", "X-Cache: HIT"]
--- redis eval
[undef, undef, "EXISTS \$KEY|cat.png|phone|cat.png => 1"]



=== TEST 11: the refill of a stale record asks for the location's capture
--- http_config eval: $::Map
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$device$uri;
        proxy_pass http://backend/$1;
    }
--- init
main::record('phone/img/cat.png', ttl => 50);
--- request
GET /img/cat.png
--- more_headers eval: $::Phone
--- response_headers
X-Cache: STALE
--- backend_log
GET /cat.png



=== TEST 12: a location with one group, and another regular expression with nine
--- http_config
    map $http_x_letters $letters {
        default "";
        "~(a)(b)(c)(d)(e)(f)(g)(h)(i)" $9$8$7;
    }
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        proxy_set_header X-Letters $letters;
        proxy_pass http://backend/$1;
    }
--- request
GET /img/cat.png
--- more_headers
X-Letters: abcdefghi
--- backend_format
$request_method $request_uri $http_x_letters
--- response_headers
X-Cache: STORE
--- backend_log
GET /cat.png ihg



=== TEST 13: groups that matched nothing
--- config
    location ~ ^/(?:(a)|(b)|(c))/(x)?(.*)$ {
        redis_cache on;
        proxy_pass http://backend/1$1/2$2/3$3/4$4/$5;
    }
--- request eval
["GET /b/page", "GET /c/xyz"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: STORE"]
--- backend_log
GET /1/2b/3/4/page
GET /1/2/3c/4x/yz



=== TEST 14: a match without groups behind one with a group leaves no captures
--- config
    location ~ ^/img/(.*)$ {
        if ($http_x_word ~ on) {
            set $seen 1;
        }
        redis_cache on;
        proxy_pass http://backend/$seen/$uri;
    }
--- request eval
"GET /img/" . "x" x 3000
--- more_headers
X-Word: on
--- response_headers
X-Cache: STORE
--- backend_log eval
"GET /1//img/" . "x" x 3000 . "\n"



=== TEST 15: values of a subrequest
--- http_config eval: $::Map
--- config
    location = /page {
        ssi on;
        default_type text/html;
        return 200 '<!--# include virtual="/img/cat.png" -->+<!--# include virtual="/img/dog.png" -->';
    }
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_key $TEST_NGINX_KEY$device$uri;
        proxy_pass http://backend/$1;
    }
--- backend
    location / { return 200 "$request_uri"; }
--- request
GET /page
--- more_headers eval: $::Phone
--- response_body: /cat.png+/dog.png



=== TEST 16: a map of the answer is made where the answer is here, not before
--- http_config
    map $upstream_status $kind {
        default    other;
        "~^(2)00$" fine;
    }
--- config
    location ~ ^/img/(.*)$ {
        redis_cache on;
        redis_cache_no_store $kind;
        redis_cache_bypass $arg_pass;
        proxy_pass http://backend/$1;
        add_header X-Kind $kind;
    }
--- request
GET /img/cat.png?pass=1
--- response_headers
X-Cache: SKIP
X-Kind: fine
--- backend_log
GET /cat.png
