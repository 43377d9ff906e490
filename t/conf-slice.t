# A key for each slice is refused.

use lib 't/util';
use Test::Nginx::Socket;
use RefusedConf;

plan tests => repeat_each() * 2 * blocks();
log_level('info');
no_root_location();
run_tests();

__DATA__

=== TEST 1: redis_cache_key with $slice_range
--- config
    location / {
        slice 1m;
        redis_cache_key $uri$slice_range;    # <--
    }
--- emerg
"$slice_range" in "redis_cache_key": whole answers are stored, and ranges are served from them; take it out of the key, and "slice" out of the location



=== TEST 2: inherited
--- http_config
    slice 1m;
    redis_cache_key $uri${slice_range};    # <--
--- emerg
"$slice_range" in "redis_cache_key": whole answers are stored, and ranges are served from them; take it out of the key, and "slice" out of the location



=== TEST 3: set_md5
--- config
    location / {
        slice 1m;
        set_md5 $cache_key $uri$slice_range;    # <--
    }
--- emerg
"$slice_range" in "set_md5": whole answers are stored, and ranges are served from them; take it out of the key, and "slice" out of the location
