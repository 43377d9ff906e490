# Records are the Lua script's: a hash of `status`, `headers` (JSON) and `body`.
# What it wrote is read; what the module wouldn't have stored is a miss.

use lib 't/util';
use Test::Nginx::Socket;
use CacheSuite;
use JSON::PP;

plan tests => 346;

our $Bytes = join '', map { chr } 0 .. 255, 13, 10, 0;

# name, record
our @Unusable = (
    ['set-cookie',      { headers => '{"Set-Cookie":"id=1"}' }],
    ['set-cookies',     { headers => '{"set-cookie":["id=1","b=2"]}' }],
    ['private',         { headers => '{"Cache-Control":"private"}' }],
    ['no-store',        { headers => '{"Cache-Control":"max-age=60, no-store"}' }],
    ['no-cache',        { headers => '{"Cache-Control":"no-cache"}' }],
    ['two-controls',    { headers => '{"Cache-Control":["max-age=60","no-store"]}' }],
    ['vary',            { headers => '{"Vary":"Accept-Language"}' }],
    ['short',           { headers => '{"Content-Length":17}' }],
    ['short-text',      { headers => '{"Content-Length":"100"}' }],
    ['crlf-value',      { headers => '{"X-One":"1\r\nX-Two: 2"}' }],
    ['lf-value',        { headers => '{"X-One":"1\nX-Two: 2"}' }],
    ['nul-value',       { headers => '{"X-One":"1\u0000"}' }],
    ['crlf-in-list',    { headers => '{"X-One":["a","b\r\nX-Two: 2"]}' }],
    ['crlf-name',       { headers => '{"X-One: 1\r\nX-Two":"2"}' }],
    ['cut-json',        { headers => '{"X-One":"1"' }],
    ['empty-json',      { headers => '' }],
    ['null',            { headers => 'null' }],
    ['list',            { headers => '["X-One"]' }],
    ['text',            { headers => '"X-One"' }],
    ['nested',          { headers => '{"X-One":{"a":"b"}}' }],
    ['trailing',        { headers => '{"X-One":"1"} x' }],
    ['deep',            { headers => '[' x 5000 }],
    ['status-empty',    { status => '' }],
    ['status-word',     { status => 'OK' }],
    ['status-phrase',   { status => '200 OK' }],
    ['status-small',    { status => '99' }],
    ['status-large',    { status => '1000' }],
    ['status-negative', { status => '-200' }],
    ['status-206',      { status => '206' }],
    ['no-expiry',       { ttl => 0 }],
);

# name, record, headers that are served
our @Usable = (
    ['measured', { body => '<html>26 bytes long</html>',
        headers => '{"Content-Type":"text\/plain","Content-Length":26}' },
        "Content-Type: text/plain\nContent-Length: 26"],
    ['repeated',   { headers => '{"Link":["<\/a>","<\/b>"]}' }, 'Link: </a>, </b>'],
    ['one-of-one', { headers => '{"Link":["<\/a>"]}' },         'Link: </a>'],
    ['no-headers', { headers => '{}' },                         'Content-Length: 16'],
    ['blanks',     { headers => " {\n\"X-One\" : \"1\" , \"X-Two\" : \"2\" } " }, "X-One: 1\nX-Two: 2"],
    ['escapes',    { headers => '{"X-One":"a\"b\\\\c\/d\u0041"}' },     'X-One: a"b\c/dA'],
    ['lower-case', { headers => '{"content-type":"text\/html"}' },      'Content-Type: text/html'],
    ['length',     { headers => '{"Content-Length":"16"}' },            'Content-Length: 16'],
    ['more',       { more => [ generation => 'x', later => 'y' ] },     'Content-Length: 16'],
    ['empty',      { body => '' },                                      'Content-Length: 0'],
    ['control',    { headers => '{"Cache-Control":"public, max-age=600"}' }, 'Cache-Control: public, max-age=600'],
    ['number',     { headers => '{"X-Number":42}' },                    'X-Number: 42'],
);

run_tests();

__DATA__

=== TEST 1: records that are read
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record("/$_->[0]", %{ $_->[1] }) for @main::Usable;
--- request eval
[map { "GET /$_->[0]" } @main::Usable]
--- response_headers eval
[map { "X-Cache: HIT\n$_->[2]" } @main::Usable]
--- response_body eval
[map { $_->[1]{body} // "from the record\n" } @main::Usable]
--- backend_log



=== TEST 2: records that are none: a miss, and they are replaced
--- backend
    location / { return 200 "backend $request_uri\n"; }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record("/$_->[0]", %{ $_->[1] }) for @main::Unusable;
--- request eval
[map { "GET /$_->[0]" } @main::Unusable]
--- response_headers eval
[map { "X-Cache: STORE\n! X-One\n! X-Two\n! Set-Cookie" } @main::Unusable]
--- response_body eval
[map { "backend /$_->[0]\n" } @main::Unusable]
--- redis eval
[map { "HGET \$KEY/$_->[0] status => 200\nTTL \$KEY/$_->[0] => 2(?:19|20)" } @main::Unusable]



=== TEST 3: fields that are missing
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
for (qw(status headers body)) {
    main::record("/$_");
    main::redis('HDEL', "\$KEY/$_", $_);
}
--- request eval
["GET /status", "GET /headers", "GET /body"]
--- response_headers eval
[("X-Cache: STORE") x 3]
--- response_body eval
[("from the backend\n") x 3]



=== TEST 4: the status is the record's
--- config
    location / { redis_cache on; redis_cache_valid any; proxy_pass http://backend; }
--- init
main::record('/404', status => 404);
main::record('/301', status => 301, headers => '{"Location":"http:\/\/elsewhere.test\/"}');
main::record('/503', status => 503);
--- request eval
["GET /404", "GET /301", "GET /503"]
--- error_code eval
[404, 301, 503]
--- response_headers eval
["X-Cache: HIT", "X-Cache: HIT\nLocation: http://elsewhere.test/", "X-Cache: HIT"]
--- response_body eval
[("from the record\n") x 3]



=== TEST 5: every byte of a body
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', body => $main::Bytes)
--- request
GET /a
--- response_headers
X-Cache: HIT
Content-Length: 259
--- response_body eval
$main::Bytes



=== TEST 6: a large body
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', body => '0123456789' x 400_000)
--- request
GET /a
--- response_headers
X-Cache: HIT
Content-Length: 4000000
--- response_body eval
'0123456789' x 400_000
--- timeout: 10



=== TEST 7: a cookie, if cookies are ignored
--- config
    location / { redis_cache on; redis_cache_ignore_headers Set-Cookie; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Set-Cookie":["a=1","b=2"]}')
--- request
GET /a
--- response_headers
X-Cache: HIT
Set-Cookie: a=1, b=2



=== TEST 8: Cache-Control, if it is ignored
--- config
    location / { redis_cache on; redis_cache_ignore_headers Cache-Control; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Cache-Control":"private, no-store"}')
--- request
GET /a
--- response_headers
X-Cache: HIT
Cache-Control: private, no-store



=== TEST 9: Vary, if it is ignored
--- config
    location / { redis_cache on; redis_cache_ignore_headers Vary; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"Vary":"Accept-Language"}')
--- request
GET /a
--- response_headers
X-Cache: HIT
Vary: Accept-Language



=== TEST 10: what the module writes, the script reads
--- backend
    location / {
        add_header X-One 1;
        add_header Link "</a>";
        add_header Link "</b>";
        return 200 "page\n";
    }
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- request
GET /a
--- redis
HMGET $KEY/a status body => 200 page\n
TTL $KEY/a => 2(?:19|20)
--- after eval
sub {
    my $json;
    for (1 .. 2000) {
        $json = main::redis('HGET', '$KEY/a', 'headers') and last;
        Time::HiRes::sleep(0.01);
    }
    my $headers = JSON::PP::decode_json($json // 'null');
    my %lower = map { lc, $headers->{$_} } keys %$headers;
    Test::More::is($lower{'content-type'}, 'text/plain', 'Content-Type is a text');
    Test::More::is($lower{'x-one'}, '1', 'X-One is a text');
    Test::More::is_deeply($lower{link}, ['</a>', '</b>'], 'a header that came twice is a list');
    Test::More::ok(!exists $lower{$_}, "$_ is not there")
      for qw(date server connection transfer-encoding x-cache age);
}



=== TEST 11: a record of the other expiry kind: none at all, though it is stale by its look
--- config
    location / { redis_cache on; redis_cache_stale 2147483647; proxy_pass http://backend; }
--- init
main::record('/a', ttl => 0)
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
TTL $KEY/a => 2147483\d{3}



=== TEST 12: a record broken in its headers keeps no trace of them
--- config
    location / { redis_cache on; proxy_pass http://backend; }
--- init
main::record('/a', headers => '{"X-One":"1\r\nX-Two: 2"}', more => [ extra => 'field' ])
--- request
GET /a
--- response_headers
X-Cache: STORE
--- redis
HGET $KEY/a headers => (?!.*X-One).*
HGET $KEY/a body => from the backend\n
