# The runner itself, with nginx's own features only: sections mean what
# Test::Nginx means by them.

use Test::Nginx::Socket;

plan tests => 84;
no_shuffle();
log_level('info');
$ENV{TEST_NGINX_WORD} = 'moonlight';
run_tests();

__DATA__

=== TEST 1: a body, a status and headers
--- config
    location = /t {
        add_header X-One 1;
        add_header X-Two a;
        add_header X-Two b;
        return 200 "hello\n";
    }
--- request
GET /t
--- response_headers
X-One: 1
X-Two: a, b
! X-Three
--- response_body
hello



=== TEST 2: patterns for headers and bodies
--- config
    location = /t {
        add_header X-Id $request_id;
        return 201 "id $request_id\n";
    }
--- request
GET /t
--- error_code: 201
--- response_headers_like
X-Id: [0-9a-f]{32}
--- response_body_like: ^id [0-9a-f]{32}$
--- raw_response_headers_like: X-Id: \w+\r\n
--- raw_response_headers_unlike: X-Other



=== TEST 3: a config section serves the blocks after it
--- request
GET /t
--- error_code_like: ^20[01]$
--- response_body_unlike: moon



=== TEST 4: the environment is put into configuration and files
--- http_config
    server {
        listen 127.0.0.1:$TEST_NGINX_RAND_PORT_1;
        return 200 "port $server_port $TEST_NGINX_WORD";
    }
--- config
    location = /t {
        proxy_pass http://127.0.0.1:$TEST_NGINX_RAND_PORT_1;
    }
    location = /file.txt {
        root $TEST_NGINX_SERVER_ROOT/html;
    }
    location = /port {
        return 200 "port $TEST_NGINX_SERVER_PORT\n";
    }
--- user_files
>>> file.txt 201001020304.05
by $TEST_NGINX_WORD
second line
>>> other.txt
something else
--- request eval
["GET /t", "GET /file.txt", "GET /port"]
--- response_headers eval
["! Last-Modified", "Last-Modified: Sat, 02 Jan 2010 03:04:05 GMT", ""]
--- response_body eval
[qr/^port \d+ moonlight$/, "by moonlight\nsecond line\n", "port \$ServerPort\n"]



=== TEST 5: a request body, more headers, and a Content-Length that fits
--- config
    location = /t {
        client_body_in_single_buffer on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/back;
        proxy_set_header X-Body $request_body;
    }
    location = /back {
        return 200 "$request_method $http_x_a $http_x_body $http_content_length\n";
    }
--- more_headers
X-A: yes
--- request
POST /t
first second
--- response_body
POST yes first second 12



=== TEST 6: a request in packets, chunked by its own header
--- config
    location = /t {
        client_body_in_single_buffer on;
        proxy_pass http://127.0.0.1:$TEST_NGINX_SERVER_PORT/back;
        proxy_set_header X-Body $request_body;
    }
    location = /back {
        return 200 "$http_x_body\n";
    }
--- more_headers eval
["Transfer-Encoding: chunked", ""]
--- request eval
[["POST /t\n5\r\nhel", {value => "lo\r\n0\r\n\r\n", delay_before => 0.05}],
 ["POST /t\nwor", "ld"]]
--- response_body eval
["hello\n", "world\n"]



=== TEST 7: several requests on one connection
--- config
    location = /a { return 200 "a $connection_requests\n"; }
    location = /b { return 404 "b $connection_requests\n"; }
--- pipelined_requests eval
["GET /a", "GET /b", "GET /a"]
--- error_code eval
[200, 404, 200]
--- response_headers eval
["Connection: keep-alive", "", "Connection: close"]
--- response_body eval
["a 1\n", "b 2\n", "a 3\n"]



=== TEST 8: a chunked answer is put together
--- http_config
    gzip off;
--- config
    location = /t {
        ssi on;
        ssi_types text/plain;
        return 200 "one <!--#echo var=\"arg_x\" --> three\n";
    }
--- request
GET /t?x=two
--- response_headers
Transfer-Encoding: chunked
--- response_body
one two three



=== TEST 9: raw requests
--- config
    location = /t { return 200 "raw $request_uri\n"; }
--- raw_request eval
["GET /t?", "x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"]
--- raw_request_middle_delay: 0.02
--- response_body
raw /t?x=1



=== TEST 10: HEAD, 204 and 304 have no body
--- config
    location = /t.txt { root $TEST_NGINX_SERVER_ROOT/html; etag on; if_modified_since exact; }
    location = /none { return 204; }
--- user_files eval
[["t.txt" => "some text\n", "201001020304.05"]]
--- request eval
["HEAD /t.txt", "GET /none", "GET /t.txt"]
--- more_headers eval
["", "", "If-Modified-Since: Sat, 02 Jan 2010 03:04:05 GMT"]
--- error_code eval
[200, 204, 304]
--- response_headers eval
["Content-Length: 10", "! Content-Length", "! Content-Length"]
--- response_body eval
["", "", ""]



=== TEST 11: the error log and the access log
--- config
    location = /t {
        root $TEST_NGINX_SERVER_ROOT/nowhere;
    }
--- request
GET /t
--- error_code: 404
--- error_log eval
["nowhere/t", qr/\[error\].*failed \(2: No such file/]
--- no_error_log
[crit]
[emerg]
--- grep_error_log eval
qr/open\(\) "[^"]*nowhere/
--- grep_error_log_out eval
qr/\Aopen\(\) "\S+nowhere\n\z/
--- access_log
GET /t
--- no_access_log
GET /other



=== TEST 12: a configuration that is refused
--- config
    location = /t { return a b c; }
--- must_die
--- error_log
[emerg]
invalid number of arguments in "return" directive
--- no_error_log
[alert]



=== TEST 13: a configuration that is refused with a certain status
--- main_config
    nonsense;
--- config
--- must_die: 1
--- error_log
unknown directive "nonsense"



=== TEST 14: code that runs once nginx is up
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/html; }
--- init
open my $out, '>', "$ENV{TEST_NGINX_SERVER_ROOT}/html/t" or die $!;
print $out "written late\n";
close $out;
--- request
# comments may stand before the request

GET /t
--- response_body
written late



=== TEST 15: filters of the body, and a timeout of its own
--- config
    location = /t { return 200 "Hello"; }
--- request eval
["GET /t", "GET /t"]
--- response_body_filters eval
[["uc", sub { "<$_[0]>" }], ["length"]]
--- response_body eval
["<HELLO>", 5]
--- timeout: 5000ms



=== TEST 16: a version that skips
--- config
--- request
GET /t
--- response_body
never asked
--- skip_nginx: 2: > 1.0.0: it is for very old ones



=== TEST 17: a version that does not skip, and code that does not
--- config
    location = /t { return 200 "asked\n"; }
--- request
GET /t
--- response_body
asked
--- skip_nginx: 2: < 1.22.0



=== TEST 18: code that skips
--- config
--- request
GET /t
--- skip_eval: 1: 1 == 1



=== TEST 19: a peer that misbehaves
--- config
    location = /t {
        proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock;
    }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply eval
sub { my ($path) = shift =~ /^GET (\S+)/; ["HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n\r\n", substr $path, -3] }
--- request
GET /t?q=abc
--- response_body chomp
abc



=== TEST 20: the log level of a block
--- log_level: crit
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- request
GET /t
--- error_code: 404
--- no_error_log
[error]



=== TEST 21: words of the first line, and the default request
--- config
    location = / { return 200 "$request\n"; }
--- request eval
["GET / HTTP/1.0", "GET", "OPTIONS /?x"]
--- response_body eval
["GET / HTTP/1.0\n", "GET / HTTP/1.1\n", "OPTIONS /?x HTTP/1.1\n"]



=== TEST 22: the answer is not looked at
--- config
    location = /t { return 444; }
--- request
GET /t
--- ignore_response
--- no_error_log
[error]
