# set_md5, as in the set-misc module: in order with `set` and `if`.

use lib 't/util';
use Test::Nginx::Socket;

plan tests => 20;
log_level('info');
run_tests();

__DATA__

=== TEST 1: of a text
--- config
    location = /t {
        set_md5 $sum hello;
        return 200 "$sum\n";
    }
--- request
GET /t
--- response_body
5d41402abc4b2a76b9719d911017c592



=== TEST 2: of variables
--- config
    location = /t {
        set_md5 $sum $request_method:$arg_x;
        return 200 "$sum\n";
    }
--- request
GET /t?x=hello
--- response_body
304f142d558eb9ea7b792759421f2e15



=== TEST 3: of nothing
--- config
    location = /t {
        set_md5 $sum "";
        return 200 "$sum\n";
    }
--- request
GET /t
--- response_body
d41d8cd98f00b204e9800998ecf8427e



=== TEST 4: in place
--- config
    location = /t {
        set $sum hello;
        set_md5 $sum;
        return 200 "$sum\n";
    }
--- request
GET /t
--- response_body
5d41402abc4b2a76b9719d911017c592



=== TEST 5: it runs where it stands
--- config
    location = /t {
        set $word hello;
        set_md5 $before $word;
        set $word world;
        set_md5 $after $word;
        return 200 "$before $after\n";
    }
--- request
GET /t
--- response_body
5d41402abc4b2a76b9719d911017c592 7d793037a0760186574b0282f2f435e7



=== TEST 6: in an "if", and in the server
--- config
    set_md5 $outer hello;
    location = /t {
        set $sum none;
        if ($arg_x) {
            set_md5 $sum $arg_x;
        }
        return 200 "$outer $sum\n";
    }
--- request eval
["GET /t", "GET /t?x=hello"]
--- response_body eval
["5d41402abc4b2a76b9719d911017c592 none\n",
 "5d41402abc4b2a76b9719d911017c592 5d41402abc4b2a76b9719d911017c592\n"]



=== TEST 7: twice over
--- config
    location = /t {
        set_md5 $sum hello;
        set_md5 $sum;
        return 200 "$sum\n";
    }
--- request
GET /t
--- response_body
69a329523ce1ec88bf63061863d9cb14



=== TEST 8: of bytes beyond ASCII
--- config
    location = /t {
        set_md5 $sum "é";
        return 200 "$sum\n";
    }
--- request
GET /t
--- response_body
66ddcd97cfdeabb2f6fb8a999b4bc76f



=== TEST 9: the configuration of a cache key
--- config
    location = /t {
        set_md5 $sum $request_method:$http_user_agent:$request_uri;
        return 200 "$sum\n";
    }
--- request
GET /t?a=b
--- more_headers
User-Agent: suite
--- response_body
fdfdb30c945626645844e980db898b60
