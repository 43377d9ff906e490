# What may be said once at each level is refused when it is said twice; what adds up may
# be said again. The directives are those of the module's table: none is left out.

use lib 't/util';
use Test::Nginx::Socket;
use RefusedConf;

# What stands once in a location; in a list with its arguments.
my %once = (
    redis_cache                 => 'on',
    redis_cache_lock            => 'locks',
    redis_cache_pass            => 'main',
    redis_cache_pass_timeout    => '1s',
    redis_cache_backend         => '/b',
    redis_cache_key             => '$uri',
    redis_cache_methods         => 'GET',
    redis_cache_age             => '1m',
    redis_cache_stale           => '1m',
    redis_cache_header          => 'X-Cache',
    redis_cache_status_header   => 'off',
    redis_cache_debug_header    => 'off',
    redis_cache_lock_timeout    => '1s',
    redis_cache_lock_age        => '1m',
    redis_cache_lock_scope      => 'zone',
    redis_cache_ignore_headers  => 'Vary',
    redis_cache_set_cookie      => 'off',
    redis_cache_heuristic       => 'off',
    redis_cache_honor_request   => 'off',
    redis_cache_max_size        => '1m',
    redis_cache_memory          => 'on',
    redis_cache_capture_memory  => '1m',
    redis_cache_capture_timeout => '1m',
    redis_cache_refills         => '1',
    redis_cache_lock_queue      => '1',
    redis_cache_uncacheable_ttl => '1s',
    redis_cache_invalidate      => 'on',
    redis_cache_post_location   => 'on',
    redis_cache_use_stale       => 'error',
    redis_cache_args            => 'sort',
    redis_cache_min_uses        => '2',
    redis_cache_slice           => '1m',
    redis_cache_revalidate      => 'on',
    redis_cache_refresh_ahead   => 'off',
    redis_cache_on_error        => 'pass',
    redis_cache_backoff         => '1s',
    redis_cache_variants        => '1',
    redis_cache_compress        => 'off',
    redis_cache_purge_style     => 'off',
    redis_cache_tags            => 'off',
    redis_cache_admin           => '',
);

# What may stand there again.
my %adds_up = (
    redis_cache_valid       => '200',
    redis_cache_bypass      => '$arg_a',
    redis_cache_no_store    => '$arg_a',
    redis_cache_purge       => '0',
    redis_cache_purge_allow => 'all',
    set_md5                 => '$md5 a',
);

# Zones and stores have names: conf.t has them twice.
my @named = qw(redis_cache_zone redis_cache_store);

open my $table, '<', 'src/conf/directives.rs' or die "src/conf/directives.rs: $!";
my @directives = do { local $/; <$table> =~ /ngx_string!\("(\w+)"\)/g };
my $known = join ' ', sort keys %once, keys %adds_up, @named;

spec_string(join "\n\n\n", map {
    my ($name, $value) = ($_, $once{$_} // $adds_up{$_});
    my @twice = ("        $name $value;", "        $name $value;");
    my $up    = !defined $once{$name};
    my $what  = $up ? <<'START' : <<"REFUSED";
--- request
GET /t
--- error_code: 204
START
--- emerg
"$name" directive is duplicate
REFUSED
    $twice[1] .= '    # <--' unless $up;
    join "\n", "=== $name twice in one place", '--- http_config',
      '    redis_cache_zone locks 1m;',
      '    redis_cache_store main { server 127.0.0.1:6379; }',
      '--- config', '    location /t {', @twice,
      '        return 204;', '    }', $what;
} sort keys %once, keys %adds_up);

plan tests => 1 + 2 * (keys %once) + keys %adds_up;
is(join(' ', sort @directives), $known, 'the directives of the table are those that are tested');

log_level('info');
no_root_location();
run_tests();
