# redis_cache_compress: a record is stored in gzip or zstd. Who accepts that gets it as it
# is stored, others get it decoded, and both get a right header. A body is shown as it
# is, one that is coded behind the name of its coding, such as "gzip:".

use lib 't/util';
use IO::Compress::RawDeflate ();
use IO::Uncompress::Gunzip ();
use File::Temp ();
use Test::Nginx::Socket;
use CacheSuite;

plan tests => 861;

our $Text  = 'Hello, world. ' x 200;     # 2800 bytes
our $Large = 'Hello, world. ' x 30000;   # 420000 bytes: decoded in several turns
our $Gzip  = "Accept-Encoding: gzip\n";
our $Zstd  = "Accept-Encoding: zstd\n";

sub backend {
    my ($fields, $text) = @_;
    return "location / { default_type text/html; $fields return 200 '" . ($text // $Text) . "'; }";
}

sub plainly {
    my $body = shift;
    return unzstd($body) if $body =~ /\A\x28\xb5\x2f\xfd/;
    return $body if $body !~ /\A\x1f\x8b/;
    IO::Uncompress::Gunzip::gunzip(\$body, \my $plain, Transparent => 0) or return 'no gzip';
    return "gzip:$plain";
}

# By another libzstd than the module's.
sub unzstd {
    my $file = File::Temp->new;
    binmode $file;
    print $file shift;
    close $file;
    my $plain = `zstd -d -c -q '$file' 2>/dev/null`;
    return $? ? 'no zstd' : "zstd:$plain";
}

# Damages a record, once it is stored: all but the ends of its body becomes this text, cut or filled up to its length.
sub damage {
    my ($key, $text) = @_;
    my $until = time + 20;
    until (main::redis('EVAL', <<'END', 1, $key, $text // '')) {
        local body = redis.call('HGET', KEYS[1], 'body')
        if not body then return 0 end
        local text = (ARGV[1] .. ('x'):rep(#body)):sub(1, #body - 14)
        redis.call('HSET', KEYS[1], 'body', body:sub(1, 10) .. text .. body:sub(-4))
        return 1
END
        bail_out("no record $key") if time > $until;
        select undef, undef, undef, 0.01;
    }
}

# What inflates to two megabytes.
sub bomb {
    my $zeros = "\0" x (2 << 20);
    IO::Compress::RawDeflate::rawdeflate(\$zeros, \my $bomb);
    return $bomb;
}

# A file on disk for bodies too large for a configuration.
sub file { return ">>> large.html\n$Large" }

run_tests();

__DATA__

=== TEST 1: one record for all clients, gzip to those who accept it
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 5]
--- more_headers eval
["", $main::Gzip, "", "Accept-Encoding: br, *;q=0.1\n", "Accept-Encoding: gzip;q=0\n"]
--- response_headers eval
["X-Cache: STORE\nETag: \"abc\"\nVary: Accept-Encoding\n! Content-Encoding",
 "X-Cache: HIT\nETag: W/\"abc\"\nContent-Encoding: gzip\nVary: Accept-Encoding\n! Accept-Ranges",
 "X-Cache: HIT\nETag: \"abc\"\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800\nAccept-Ranges: bytes",
 "X-Cache: HIT\nETag: W/\"abc\"\nContent-Encoding: gzip\nVary: Accept-Encoding",
 "X-Cache: HIT\nETag: \"abc\"\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "gzip:$main::Text", $main::Text, "gzip:$main::Text", $main::Text]
--- redis eval
["HGET \$KEY/a headers => .*\"ETag\":\"W.*\"Vary\":\"Accept-Encoding\",\"Content-Encoding\":\"gzip\".*\nHGET \$KEY/a meta => .* coded=gzip:2800:etag:vary.*", (undef) x 4]
--- backend_log
GET /a
--- no_error_log
[error]



=== TEST 2: Content-Length is that of the form
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
["GET /a", "HEAD /a", "HEAD /a"]
--- more_headers eval
["", $main::Gzip, ""]
--- response_headers_like eval
["X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: gzip\nContent-Length: \\d\\d", "X-Cache: HIT\nContent-Length: 2800"]
--- redis eval
["HSTRLEN \$KEY/a body => \\d\\d", undef, undef]



=== TEST 3: off, and what isn't compressed
--- config
    redis_cache_compress gzip;
    location /off/    { redis_cache on; redis_cache_compress off;           proxy_pass http://backend; }
    location /min/    { redis_cache on; redis_cache_compress gzip min=2801; proxy_pass http://backend; }
    location /type/   { redis_cache on; redis_cache_compress gzip types=text/css; proxy_pass http://backend; }
    location /        { redis_cache on; proxy_pass http://backend; }
--- backend eval
main::backend('')
  . "location /no-transform { default_type text/html; add_header Cache-Control no-transform; return 200 '$main::Text'; }"
  . "location /digest { default_type text/html; add_header Repr-Digest x; return 200 '$main::Text'; }"
  . "location /coded { default_type text/html; add_header Content-Encoding x-rot13; return 200 '$main::Text'; }"
--- request eval
[map { ("GET $_") x 2 } qw(/off/ /min/ /type/ /no-transform /digest /coded)]
--- more_headers eval
[($main::Gzip) x 12]
--- response_headers eval
[(map { ("X-Cache: $_\n! Content-Encoding\n! Vary") } (qw(STORE HIT)) x 5),
 "X-Cache: STORE\nContent-Encoding: x-rot13", "X-Cache: HIT\nContent-Encoding: x-rot13"]
--- response_body eval
[($main::Text) x 12]
--- redis eval
[map { ("HSTRLEN \$KEY$_ body => 2800", undef) } qw(/off/ /min/ /type/ /no-transform /digest /coded)]



=== TEST 4: the backend's own gzip is kept as it is
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
"gzip on; gzip_http_version 1.0; gzip_min_length 1; " . main::backend(q{add_header ETag '"abc"';})
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
[$main::Gzip, $main::Gzip, ""]
--- response_headers eval
["X-Cache: STORE\nContent-Encoding: gzip", "X-Cache: HIT\nContent-Encoding: gzip\n! Vary", "X-Cache: HIT\nContent-Encoding: gzip\n! Vary"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[("gzip:$main::Text") x 3]
--- redis eval
["HGET \$KEY/a meta => (?!.*coded).*", undef, undef]



=== TEST 5: conditions and ranges
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 9]
--- more_headers eval
["",
 qq{${main::Gzip}If-None-Match: W/"abc"}, qq{${main::Gzip}If-None-Match: "abc"}, qq{If-None-Match: W/"abc"},
 qq{If-Match: "abc"}, qq{If-Match: W/"abc"},
 qq{${main::Gzip}Range: bytes=7-11}, qq{${main::Gzip}Range: bytes=7-11\nIf-Range: "abc"}, qq{${main::Gzip}Range: bytes=7-11\nIf-Range: W/"abc"}]
--- error_code eval
[200, 304, 304, 304, 200, 412, 206, 206, 200]
--- response_headers eval
["X-Cache: STORE",
 "ETag: W/\"abc\"\nVary: Accept-Encoding\n! Content-Encoding", "ETag: W/\"abc\"\nVary: Accept-Encoding", "ETag: \"abc\"\nVary: Accept-Encoding",
 "ETag: \"abc\"", "! ETag",
 "ETag: \"abc\"\nContent-Range: bytes 7-11/2800\n! Content-Encoding", "ETag: \"abc\"\nContent-Range: bytes 7-11/2800\n! Content-Encoding",
 "ETag: W/\"abc\"\nContent-Encoding: gzip\n! Content-Range"]
--- response_body_filters eval
\&main::plainly
--- response_body_like eval
["^Hello", "^\$", "^\$", "^\$", "^Hello", "412", "^world\$", "^world\$", "^gzip:Hello"]
--- redis eval
["HGET \$KEY/a meta => .* coded=gzip:2800:etag:vary.*", (undef) x 8]
--- backend_log
GET /a



=== TEST 6: a large one is inflated on the way
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend
    location / { root html; }
--- user_files eval
main::file()
--- request eval
["GET /large.html", "GET /large.html", "GET /large.html", "GET /large.html"]
--- more_headers eval
["", $main::Gzip, "", "Range: bytes=419990-"]
--- error_code eval
[200, 200, 200, 206]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: gzip", "X-Cache: HIT\nContent-Length: 420000\n! Content-Encoding", "X-Cache: HIT\nContent-Range: bytes 419990-419999/420000"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Large, "gzip:$main::Large", $main::Large, substr($main::Large, 419990)]
--- redis eval
["HGET \$KEY/large.html meta => .* coded=gzip:420000:etag:vary.*", (undef) x 3]
--- backend_log
GET /large.html
--- no_error_log
[error]



=== TEST 7: what it varies on beside
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend('add_header Vary X-A;')
--- request eval
["GET /a", "GET /a", "GET /a"]
--- more_headers eval
["X-A: 1", "${main::Gzip}X-A: 1", "${main::Gzip}X-A: 2"]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: gzip", "X-Cache: STORE"]
--- redis eval
["HGET \$KEY/a headers => .*\"Vary\":\\[\"X-A\",\"Accept-Encoding\"\\].*", undef, undef]
--- backend_log
GET /a
GET /a



=== TEST 8: HTTP/1.0 knows no Vary
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
["GET /a", "GET /a HTTP/1.0"]
--- more_headers eval
["", $main::Gzip]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nContent-Length: 2800"]
--- redis eval
["HGET \$KEY/a meta => .* coded=gzip:2800:vary.*", undef]



=== TEST 9: a 304 of the backend leaves it compressed
--- config
    location / { redis_cache on; redis_cache_compress gzip; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"' always; add_header Cache-Control "max-age=60, must-revalidate" always; add_header X-Asked $http_if_none_match always; if ($http_if_none_match) { return 304; }})
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["", $main::Gzip, $main::Gzip, ""]
--- after eval
[sub { main::age('/a', 50) }, undef, undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS\n! X-Asked",
 "X-Status: REVALIDATED\nETag: W/\"abc\"\nContent-Encoding: gzip\nX-Asked: \"abc\"",
 "X-Status: HIT\nETag: W/\"abc\"\nContent-Encoding: gzip\nX-Asked: \"abc\"",
 "X-Status: HIT\nETag: \"abc\"\n! Content-Encoding\nX-Asked: \"abc\"\nContent-Length: 2800"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "gzip:$main::Text", "gzip:$main::Text", $main::Text]
--- redis eval
["HGET \$KEY/a meta => .* coded=gzip:2800:etag:vary.*",
 "TTL \$KEY/a => 1(?:59|60)\nHGET \$KEY/a headers => .*X-Asked.*\"Content-Encoding\":\"gzip\".*", undef, undef]
--- backend_log
GET /a
GET /a



=== TEST 10: what can't be inflated is deleted, and is a miss
--- config
    location / { redis_cache on; redis_cache_compress gzip; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
[("GET /a") x 4]
--- more_headers eval
["", "", "", $main::Gzip]
--- after eval
[sub { main::damage('$KEY/a') }, undef, undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: MISS\nContent-Length: 2800\n! Age", "X-Cache: HIT", "X-Cache: HIT\nContent-Encoding: gzip"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[($main::Text) x 3, "gzip:$main::Text"]
--- redis eval
[undef, "HGET \$KEY/a meta => .* coded=gzip:2800:vary.*", undef, undef]
--- backend_log
GET /a
GET /a



=== TEST 11: one of several variants can't be inflated
--- config
    location / { redis_cache on; redis_cache_compress gzip; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend('add_header Vary X-A; add_header X-For $http_x_a;')
--- request eval
[("GET /a") x 5]
--- more_headers eval
["X-A: 1", "X-A: 2", "X-A: 2", "X-A: 2", "X-A: 1"]
--- after eval
[undef, sub { main::damage('{$KEY/a}:v1') }, undef, undef, undef]
--- response_headers eval
[map { "X-Status: $_->[0]\nX-For: $_->[1]\nVary: X-A, Accept-Encoding" } ["MISS", 1], ["MISS", 2], ["MISS", 2], ["HIT", 2], ["MISS", 1]]
--- response_body eval
[($main::Text) x 5]
--- redis eval
["EXISTS \$KEY/a => 1", undef, "HGET \$KEY/a meta => .* coded=gzip:2800:vary.*", undef, undef]
--- backend_log
GET /a
GET /a
GET /a
GET /a



=== TEST 12: no more is inflated than the record says
--- config
    location / { redis_cache on; redis_cache_compress gzip; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
[("GET /a") x 3]
--- after eval
[sub { main::damage('$KEY/a', main::bomb()) }, undef, undef]
--- response_headers eval
[map { "X-Status: $_\nContent-Length: 2800" } qw(MISS MISS HIT)]
--- response_body eval
[($main::Text) x 3]
--- redis eval
[undef, "HGET \$KEY/a meta => .* coded=gzip:2800:vary.*", undef]



=== TEST 13: beside nginx's own gzip: compressed once, and one Vary
--- config
    gzip on; gzip_vary on; gzip_min_length 1; gunzip on;
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /off/ { redis_cache on; redis_cache_compress off; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
["GET /a", "GET /a", "GET /a", "GET /b", "GET /off/", "GET /off/"]
--- more_headers eval
["", $main::Gzip, "", $main::Gzip, "", $main::Gzip]
--- response_headers eval
["X-Cache: STORE\nVary: Accept-Encoding\nETag: \"abc\"",
 "X-Cache: HIT\nVary: Accept-Encoding\nContent-Encoding: gzip\nETag: W/\"abc\"",
 "X-Cache: HIT\nVary: Accept-Encoding\n! Content-Encoding\nETag: \"abc\"\nContent-Length: 2800",
 "X-Cache: STORE\nVary: Accept-Encoding\nContent-Encoding: gzip\nETag: W/\"abc\"",
 "X-Cache: STORE\nVary: Accept-Encoding",
 "X-Cache: HIT\nVary: Accept-Encoding\nContent-Encoding: gzip\nETag: W/\"abc\""]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "gzip:$main::Text", $main::Text, "gzip:$main::Text", $main::Text, "gzip:$main::Text"]
--- redis eval
["HGET \$KEY/a meta => .* coded=gzip:2800:etag:vary.*", undef, undef, "HGET \$KEY/b meta => .* coded=gzip:2800:etag:vary.*", (undef) x 2]



=== TEST 14: filters that change text get the plain body, and gzip what they make of it
--- config
    location /ssi/      { ssi on; redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /sub/      { sub_filter Hello Howdy; sub_filter_once off; redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /addition/ { add_after_body /after; redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /gzip/     { gzip on; gzip_min_length 1; sub_filter Hello Howdy; sub_filter_once off; redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location = /after   { return 200 'Bye.'; }
--- backend eval
main::backend(q{add_header ETag '"abc"';}, "<!--# echo var=\"arg_x\" -->$main::Text")
--- request eval
[map { ("GET /$_/?x=1") x 3 } qw(ssi sub addition gzip)]
--- more_headers eval
[("", $main::Gzip, "") x 4]
--- response_headers eval
[(map { ("X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nVary: Accept-Encoding", "X-Cache: HIT\n! Content-Encoding\nVary: Accept-Encoding") } 1 .. 3),
 "X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: gzip\nVary: Accept-Encoding", "X-Cache: HIT\n! Content-Encoding"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[("1$main::Text") x 3,
 (map { ("<!--# echo var=\"arg_x\" -->" . $main::Text =~ s/Hello/Howdy/gr) } 1 .. 3),
 (map { "<!--# echo var=\"arg_x\" -->${main::Text}Bye." } 1 .. 3),
 (map { "$_<!--# echo var=\"arg_x\" -->" . $main::Text =~ s/Hello/Howdy/gr } '', 'gzip:', '')]
--- redis eval
[map { ("HGET \$KEY/$_/?x=1 meta => .* coded=gzip:\\d+:etag:vary.*", undef, undef) } qw(ssi sub addition gzip)]
--- no_error_log
[error]



=== TEST 15: no room to compress: stored as it is
--- config
    location / { redis_cache on; redis_cache_compress gzip; redis_cache_capture_memory 300k; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
["GET /a", "GET /a"]
--- more_headers eval
["", $main::Gzip]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nContent-Length: 2800"]
--- response_body eval
[($main::Text) x 2]
--- redis eval
["HSTRLEN \$KEY/a body => 2800", undef]



=== TEST 16: several ranges, and one that isn't there
--- config
    location / { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 5]
--- more_headers eval
["", "${main::Gzip}Range: bytes=0-4,7-11", "Range: bytes=2800-", "Accept-Encoding: gzip, identity;q=0\nRange: bytes=0-4", "Range: bytes=-6\nIf-Range: \"abc\""]
--- error_code eval
[200, 206, 416, 200, 206]
--- response_headers_like eval
["X-Cache: STORE", "Content-Type: multipart/byteranges.*\n! Content-Encoding", "Content-Range: bytes \\*/2800", "Content-Encoding: gzip\n! Content-Range", "Content-Range: bytes 2794-2799/2800"]
--- response_body_filters eval
\&main::plainly
--- response_body_like eval
["^Hello", "bytes 0-4/2800.*Hello.*bytes 7-11/2800.*world", "416", "^gzip:Hello", "^orld. \$"]
--- redis eval
["HGET \$KEY/a meta => .* coded=gzip:2800:etag:vary.*", (undef) x 4]



=== TEST 17: zstd: one record for all clients, as it is to those who accept it
--- config
    location / { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 7]
--- more_headers eval
["", $main::Zstd, "", $main::Gzip, "Accept-Encoding: br, *;q=0.1\n", "Accept-Encoding: gzip, zstd;q=0\n", "Accept-Encoding: gzip, deflate, br, zstd\n"]
--- response_headers eval
["X-Cache: STORE\nETag: \"abc\"\nVary: Accept-Encoding\n! Content-Encoding",
 "X-Cache: HIT\nETag: W/\"abc\"\nContent-Encoding: zstd\nVary: Accept-Encoding\n! Accept-Ranges",
 "X-Cache: HIT\nETag: \"abc\"\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800\nAccept-Ranges: bytes",
 "X-Cache: HIT\nETag: \"abc\"\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800\nAccept-Ranges: bytes",
 "X-Cache: HIT\nETag: W/\"abc\"\nContent-Encoding: zstd\nVary: Accept-Encoding",
 "X-Cache: HIT\nETag: \"abc\"\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800",
 "X-Cache: HIT\nETag: W/\"abc\"\nContent-Encoding: zstd\nVary: Accept-Encoding"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "zstd:$main::Text", $main::Text, $main::Text, "zstd:$main::Text", $main::Text, "zstd:$main::Text"]
--- redis eval
["HGET \$KEY/a headers => .*\"ETag\":\"W.*\"Vary\":\"Accept-Encoding\",\"Content-Encoding\":\"zstd\".*\nHGET \$KEY/a meta => .* coded=zstd:2800:etag:vary.*\nHSTRLEN \$KEY/a body => \\d\\d", (undef) x 6]
--- backend_log
GET /a
--- no_error_log
[error]



=== TEST 18: zstd: conditions, ranges and HEAD
--- config
    location / { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 9, "HEAD /a", "HEAD /a"]
--- more_headers eval
["",
 qq{${main::Zstd}If-None-Match: W/"abc"}, qq{${main::Zstd}If-None-Match: "abc"},
 qq{If-Match: "abc"}, qq{If-Match: W/"abc"},
 qq{${main::Zstd}Range: bytes=7-11}, qq{${main::Zstd}Range: bytes=7-11\nIf-Range: W/"abc"},
 qq{Accept-Encoding: zstd, identity;q=0\nRange: bytes=0-4}, qq{${main::Zstd}Range: bytes=0-4,7-11},
 $main::Zstd, ""]
--- error_code eval
[200, 304, 304, 200, 412, 206, 200, 200, 206, 200, 200]
--- response_headers_like eval
["X-Cache: STORE",
 "ETag: W/\"abc\"\nVary: Accept-Encoding\n! Content-Encoding", "ETag: W/\"abc\"\nVary: Accept-Encoding",
 "ETag: \"abc\"", "! ETag",
 "ETag: \"abc\"\nContent-Range: bytes 7-11/2800\n! Content-Encoding", "ETag: W/\"abc\"\nContent-Encoding: zstd\n! Content-Range",
 "Content-Encoding: zstd\n! Content-Range", "Content-Type: multipart/byteranges.*\n! Content-Encoding",
 "Content-Encoding: zstd\nContent-Length: \\d\\d", "! Content-Encoding\nContent-Length: 2800"]
--- response_body_filters eval
\&main::plainly
--- response_body_like eval
["^Hello", "^\$", "^\$", "^Hello", "412", "^world\$", "^zstd:Hello", "^zstd:Hello", "bytes 0-4/2800.*Hello.*bytes 7-11/2800.*world", "^\$", "^\$"]
--- backend_log
GET /a



=== TEST 19: zstd: a large one is decoded on the way
--- config
    location / { redis_cache on; redis_cache_compress zstd level=12; proxy_pass http://backend; }
--- backend
    location / { root html; }
--- user_files eval
main::file()
--- request eval
[("GET /large.html") x 5]
--- more_headers eval
["", $main::Zstd, "", $main::Gzip, "Range: bytes=419990-"]
--- error_code eval
[200, 200, 200, 200, 206]
--- response_headers eval
["X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: zstd", ("X-Cache: HIT\nContent-Length: 420000\n! Content-Encoding") x 2, "X-Cache: HIT\nContent-Range: bytes 419990-419999/420000"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Large, "zstd:$main::Large", $main::Large, $main::Large, substr($main::Large, 419990)]
--- redis eval
["HGET \$KEY/large.html meta => .* coded=zstd:420000:etag:vary.*", (undef) x 4]
--- backend_log
GET /large.html
--- no_error_log
[error]



=== TEST 20: zstd: a 304 of the backend leaves it compressed
--- config
    location / { redis_cache on; redis_cache_compress zstd; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"' always; add_header Cache-Control "max-age=60, must-revalidate" always; add_header X-Asked $http_if_none_match always; if ($http_if_none_match) { return 304; }})
--- request eval
["GET /a", "GET /a", "GET /a", "GET /a"]
--- more_headers eval
["", $main::Zstd, $main::Zstd, ""]
--- after eval
[sub { main::age('/a', 50) }, undef, undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS\n! X-Asked",
 "X-Status: REVALIDATED\nETag: W/\"abc\"\nContent-Encoding: zstd\nX-Asked: \"abc\"",
 "X-Status: HIT\nETag: W/\"abc\"\nContent-Encoding: zstd\nX-Asked: \"abc\"",
 "X-Status: HIT\nETag: \"abc\"\n! Content-Encoding\nX-Asked: \"abc\"\nContent-Length: 2800"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "zstd:$main::Text", "zstd:$main::Text", $main::Text]
--- redis eval
["HGET \$KEY/a meta => .* coded=zstd:2800:etag:vary.*",
 "TTL \$KEY/a => 1(?:59|60)\nHGET \$KEY/a headers => .*X-Asked.*\"Content-Encoding\":\"zstd\".*", undef, undef]
--- backend_log
GET /a
GET /a



=== TEST 21: zstd: what can't be decoded is deleted, and is a miss
--- config
    location / { redis_cache on; redis_cache_compress zstd; add_header X-Status $redis_cache_status always; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
[("GET /a") x 4]
--- more_headers eval
["", "", "", $main::Zstd]
--- after eval
[sub { main::damage('$KEY/a') }, undef, undef, undef]
--- response_headers eval
["X-Cache: STORE\nX-Status: MISS", "X-Cache: STORE\nX-Status: MISS\nContent-Length: 2800\n! Age", "X-Cache: HIT", "X-Cache: HIT\nContent-Encoding: zstd"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[($main::Text) x 3, "zstd:$main::Text"]
--- redis eval
[undef, "HGET \$KEY/a meta => .* coded=zstd:2800:vary.*", undef, undef]
--- backend_log
GET /a
GET /a



=== TEST 22: zstd beside nginx's own gzip: that compresses for those who don't take zstd
--- config
    gzip on; gzip_vary on; gzip_min_length 1; gunzip on;
    location / { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend(q{add_header ETag '"abc"';})
--- request eval
[("GET /a") x 5]
--- more_headers eval
["", $main::Gzip, "Accept-Encoding: gzip, zstd\n", "", "${main::Gzip}If-None-Match: W/\"abc\"\n"]
--- error_code eval
[200, 200, 200, 200, 304]
--- response_headers eval
["X-Cache: STORE\nVary: Accept-Encoding\nETag: \"abc\"",
 "X-Cache: HIT\nVary: Accept-Encoding\nContent-Encoding: gzip\nETag: W/\"abc\"\n! Accept-Ranges",
 "X-Cache: HIT\nVary: Accept-Encoding\nContent-Encoding: zstd\nETag: W/\"abc\"",
 "X-Cache: HIT\nVary: Accept-Encoding\n! Content-Encoding\nETag: \"abc\"\nContent-Length: 2800",
 "Vary: Accept-Encoding\n! Content-Encoding"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[$main::Text, "gzip:$main::Text", "zstd:$main::Text", $main::Text, ""]
--- redis eval
["HGET \$KEY/a meta => .* coded=zstd:2800:etag:vary.*", (undef) x 4]
--- backend_log
GET /a



=== TEST 23: zstd: filters that change text get the plain body, and gzip what they make of it
--- config
    location /ssi/      { ssi on; redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
    location /sub/      { sub_filter Hello Howdy; sub_filter_once off; redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
    location /addition/ { add_after_body /after; redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
    location /gzip/     { gzip on; gzip_min_length 1; sub_filter Hello Howdy; sub_filter_once off; redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
    location = /after   { return 200 'Bye.'; }
--- backend eval
main::backend(q{add_header ETag '"abc"';}, "<!--# echo var=\"arg_x\" -->$main::Text")
--- request eval
[map { ("GET /$_/?x=1") x 3 } qw(ssi sub addition gzip)]
--- more_headers eval
[("", "Accept-Encoding: gzip, zstd\n", "") x 4]
--- response_headers eval
[(map { ("X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nVary: Accept-Encoding", "X-Cache: HIT\n! Content-Encoding\nVary: Accept-Encoding") } 1 .. 3),
 "X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: gzip\nVary: Accept-Encoding", "X-Cache: HIT\n! Content-Encoding"]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[("1$main::Text") x 3,
 (map { ("<!--# echo var=\"arg_x\" -->" . $main::Text =~ s/Hello/Howdy/gr) } 1 .. 3),
 (map { "<!--# echo var=\"arg_x\" -->${main::Text}Bye." } 1 .. 3),
 (map { "$_<!--# echo var=\"arg_x\" -->" . $main::Text =~ s/Hello/Howdy/gr } '', 'gzip:', '')]
--- redis eval
[map { ("HGET \$KEY/$_/?x=1 meta => .* coded=zstd:\\d+:etag:vary.*", undef, undef) } qw(ssi sub addition gzip)]
--- no_error_log
[error]



=== TEST 24: zstd: no room to compress, HTTP/1.0, and what isn't compressed
--- config
    location /room/ { redis_cache on; redis_cache_compress zstd; redis_cache_capture_memory 500k; proxy_pass http://backend; }
    location /min/  { redis_cache on; redis_cache_compress zstd min=2801; proxy_pass http://backend; }
    location /type/ { redis_cache on; redis_cache_compress zstd types=text/css; proxy_pass http://backend; }
    location /old/  { redis_cache on; redis_cache_compress zstd min=2800; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
[(map { ("GET $_") x 2 } qw(/room/ /min/ /type/)), "GET /old/", "GET /old/ HTTP/1.0"]
--- more_headers eval
[("", $main::Zstd) x 4]
--- response_headers eval
[("X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nContent-Length: 2800") x 4]
--- response_body eval
[($main::Text) x 8]
--- redis eval
[(map { ("HSTRLEN \$KEY$_ body => 2800", undef) } qw(/room/ /min/ /type/)), "HGET \$KEY/old/ meta => .* coded=zstd:2800:vary.*", undef]



=== TEST 25: If-Range with a date gets the whole: both forms have that date
--- config
    location /gzip { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /zstd { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend('add_header Last-Modified "Sun, 06 Nov 1994 08:49:37 GMT";')
--- request eval
[map { ("GET /$_") x 5 } qw(gzip zstd)]
--- more_headers eval
my $since = "If-Range: Sun, 06 Nov 1994 08:49:37 GMT\n";
[map { my $accept = "Accept-Encoding: $_\n";
       ("Range: bytes=7-11\n$since", "${accept}Range: bytes=7-11\n$since", "Range: bytes=7-11\n$since",
        "${accept}Range: bytes=7-11\n", "${accept}If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\n") } qw(gzip zstd)]
--- error_code eval
[(200, 200, 200, 206, 304) x 2]
--- response_headers eval
[map { ("X-Cache: STORE\n! Content-Range", "X-Cache: HIT\nContent-Encoding: $_\n! Content-Range",
        "X-Cache: HIT\n! Content-Encoding\n! Content-Range", "Content-Range: bytes 7-11/2800", "Vary: Accept-Encoding") } qw(gzip zstd)]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[map { ($main::Text, "$_:$main::Text", $main::Text, "world", "") } qw(gzip zstd)]
--- redis eval
[map { ("HGET \$KEY/$_ meta => .* coded=$_:2800:vary.*", (undef) x 4) } qw(gzip zstd)]



=== TEST 26: an ETag without quotes goes with the plain form alone
--- config
    location /gzip { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /zstd { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend('add_header ETag abc;')
--- request eval
[map { ("GET /$_") x 5 } qw(gzip zstd)]
--- more_headers eval
[map { ("", "Accept-Encoding: $_\n", "", "Accept-Encoding: $_\nIf-None-Match: abc\n", "If-None-Match: abc\n") } qw(gzip zstd)]
--- error_code eval
[(200, 200, 200, 304, 304) x 2]
--- response_headers eval
[map { ("X-Cache: STORE\nETag: abc", "X-Cache: HIT\nContent-Encoding: $_\n! ETag", "X-Cache: HIT\nETag: abc\n! Content-Encoding",
        "! ETag\nVary: Accept-Encoding", "ETag: abc\nVary: Accept-Encoding") } qw(gzip zstd)]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[map { ($main::Text, "$_:$main::Text", $main::Text, "", "") } qw(gzip zstd)]
--- redis eval
[map { ("HGET \$KEY/$_ headers => .*\"ETag\":\"abc\".*\nHGET \$KEY/$_ meta => .* coded=$_:2800:vary.*", (undef) x 4) } qw(gzip zstd)]



=== TEST 27: a client that wants no transformation gets the plain form, where requests are honored
--- config
    location /gzip  { redis_cache on; redis_cache_compress gzip; redis_cache_honor_request on; proxy_pass http://backend; }
    location /zstd  { redis_cache on; redis_cache_compress zstd; redis_cache_honor_request on; proxy_pass http://backend; }
    location /off/gzip { redis_cache on; redis_cache_compress gzip; proxy_pass http://backend; }
    location /off/zstd { redis_cache on; redis_cache_compress zstd; proxy_pass http://backend; }
--- backend eval
main::backend('')
--- request eval
[map { ("GET /$_") x 2 } qw(gzip zstd off/gzip off/zstd)]
--- more_headers eval
[map { ("", "Accept-Encoding: $_\nCache-Control: no-transform\n") } qw(gzip zstd gzip zstd)]
--- response_headers eval
[(map { ("X-Cache: STORE", "X-Cache: HIT\n! Content-Encoding\nVary: Accept-Encoding\nContent-Length: 2800") } 1 .. 2),
 (map { ("X-Cache: STORE", "X-Cache: HIT\nContent-Encoding: $_") } qw(gzip zstd))]
--- response_body_filters eval
\&main::plainly
--- response_body eval
[($main::Text) x 5, "gzip:$main::Text", $main::Text, "zstd:$main::Text"]
