# What nginx says to the lines about TLS of a store block that make no sense, word for word, with the line that is to
# blame; and that it starts with those that do.

use lib 't/util';
use Test::Nginx::Socket;
use RefusedConf;

plan tests => repeat_each() * (2 * blocks() + 1);
log_level('info');
no_root_location();
run_tests();

__DATA__

=== TEST 1: a version that nobody knows
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_protocols TLSv1.2 TLSv1.9; }    # <--
--- emerg
unknown version "TLSv1.9" in "tls_protocols" of store "main"; use some such as TLSv1.2 TLSv1.3



=== TEST 2: no version at all
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_protocols; }    # <--
--- emerg
"tls_protocols" of store "main" takes versions such as TLSv1.2 TLSv1.3



=== TEST 3: a depth that is no number
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_verify_depth deep; }    # <--
--- emerg
"tls_verify_depth" of store "main" must be between 0 and 100



=== TEST 4: a certificate without its key
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_certificate nginx.conf; }    # <--
--- emerg
store "main" has "tls_certificate", but no "tls_certificate_key"; add it



=== TEST 5: a key without its certificate
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_certificate_key nginx.conf; }    # <--
--- emerg
store "main" has "tls_certificate_key", but no "tls_certificate"; add it



=== TEST 6: passwords for no key
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_password_file nginx.conf; }    # <--
--- emerg
store "main" has "tls_password_file", but no "tls_certificate_key" to use it for; add it



=== TEST 7: twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls off; }    # <--
--- emerg
duplicate "tls" in store "main"



=== TEST 8: a name twice
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_name a.example; tls_name b.example; }    # <--
--- emerg
duplicate "tls_name" in store "main"



=== TEST 9: an empty name
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_name ""; }    # <--
--- emerg
"tls_name" of store "main" is empty; give it a value, or take it out



=== TEST 10: two names
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_name a.example b.example; }    # <--
--- emerg
"tls_name" of store "main" takes one value



=== TEST 11: sessions
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_session_reuse often; }    # <--
--- emerg
invalid value "often" in "tls_session_reuse" of store "main"; it is "on" or "off"



=== TEST 12: a line about TLS that nobody knows
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_magic on; }    # <--
--- emerg
unknown directive "tls_magic" in store "main"



=== TEST 13: a unix socket has no name
--- http_config
    redis_cache_store main { server unix:/run/redis.sock; tls on; }    # <--
--- emerg
store "main" has "tls on" for a unix socket; add the "tls_name" that its certificate is for



=== TEST 14: an address that contradicts
--- http_config
    redis_cache_store main { server rediss://127.0.0.1; tls off; }    # <--
--- emerg
store "main" has "tls off", but a server with "rediss://"; take one of them out



=== TEST 15: a password in an address and one beside it
--- http_config
    redis_cache_store main { server redis://:sesame@127.0.0.1; password other; }    # <--
--- emerg
duplicate "password" in store "main"



=== TEST 16: ciphers that nobody knows
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_ciphers NONESUCH; }    # <--
--- emerg
SSL_CTX_set_cipher_list("NONESUCH") failed (SSL: error:0A0000B9:SSL routines::no cipher match)
TLS of store "main" can't be set up, for the reason above



=== TEST 17: an authority that isn't there
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_trusted_certificate nowhere.pem; }    # <--
--- emerg
"tls_trusted_certificate" of store "main" can't be read: "$TEST_NGINX_SERVER_ROOT/conf/nowhere.pem": No such file or directory (os error 2)



=== TEST 18: a revocation list that isn't there
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_crl nowhere.pem; }    # <--
--- emerg
"tls_crl" of store "main" can't be read: "$TEST_NGINX_SERVER_ROOT/conf/nowhere.pem": No such file or directory (os error 2)



=== TEST 19: a certificate that isn't there
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_certificate nowhere.pem; tls_certificate_key nowhere.key; }    # <--
--- emerg
"tls_certificate" of store "main" can't be read: "$TEST_NGINX_SERVER_ROOT/conf/nowhere.pem": No such file or directory (os error 2)



=== TEST 20: a file that is no certificate
--- http_config
    redis_cache_store main { server 127.0.0.1:6379; tls on; tls_certificate nginx.conf; tls_certificate_key nginx.conf; }    # <--
--- emerg
cannot load certificate "$TEST_NGINX_SERVER_ROOT/conf/nginx.conf": PEM_read_bio_X509_AUX() failed (SSL: error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE)
TLS of store "main" can't be set up, for the reason above



=== TEST 21: lines that make sense
--- http_config
    redis_cache_zone locks 1m;
    redis_cache_store main {
        server 127.0.0.1:6379;
        tls on;
        tls_name redis.example;
        tls_verify on;
        tls_verify_depth 2;
        tls_protocols TLSv1.2 TLSv1.3;
        tls_ciphers DEFAULT;
        tls_session_reuse off;
    }
    redis_cache_store off { server 127.0.0.1:6379; tls off; tls_name redis.example; }
    redis_cache_store address { server rediss://user:word@127.0.0.1:6379/1; tls on; }
    redis_cache_store unverified { server unix:/run/redis.sock; tls on; tls_verify off; }
--- config
    location /t {
        return 200 "fine";
    }
--- request
GET /t
--- response_body: fine
--- no_error_log
[emerg]
