# Who is measured, each with the configuration that a user would write, in an nginx of its own.
package Bench::Contenders;

use strict;
use warnings;
use feature 'state';
use Exporter 'import';
use File::Temp ();
use IO::Uncompress::Gunzip qw(gunzip);
use Bench::Backend qw(body_of);
use Bench::Http;
use Bench::Servers qw(start_nginx redis_command);

our @EXPORT_OK = qw(contenders start_contender check module_configuration proxy_cache returned upstreams LITERAL SRCACHE_MODULES);

# What is surely a literal for nginx, which reads its configuration through a buffer of 4096 bytes.
use constant LITERAL => 4000;
# Of the contenders that are asked for "1,000 keys".
use constant KEYS => 1000;
# Of those that are asked for "10,000 keys".
use constant MORE_KEYS => 10_000;
# How often what isn't in a cache is asked for at most: where the machine is busy a record may not get there at once.
use constant PASSES => 5;
# What nginx doesn't have by default, when it opens and closes a file for each request. Room for all of a contender.
use constant OPEN_FILES => '    open_file_cache max=16384;';
use constant SRCACHE_MODULES => map { "/usr/lib/nginx/modules/ngx_http_${_}_module.so" } qw(srcache_filter memc);

# What all configurations with the module have in common; the key keeps contenders on one Redis apart. `redis` is its port,
# `store` what the store's block says, where that isn't a server at this port.
sub module_configuration {
    my (%o) = @_;
    my $store = $o{store} // "server 127.0.0.1:$o{redis};";
    # A machine that is busy for a while is no trouble of Redis.
    $store .= ' connect_timeout 2s; send_timeout 2s; read_timeout 2s;';
    my $http = <<"CONF";
    redis_cache_zone locks 1m;
    redis_cache_store main { $store }
CONF
    my $location = <<"CONF";
            redis_cache on;
            redis_cache_lock locks;
            redis_cache_pass main;
            redis_cache_key $o{key}\$uri;
            redis_cache_age $o{age};
            redis_cache_stale 1h;
            redis_cache_header X-Cache;
CONF
    return ($http, $location);
}

# The backends of all of them.
sub upstreams {
    my (%o) = @_;
    return <<"CONF";
    upstream backend {
        server 127.0.0.1:$o{backend};
        keepalive 64;
        keepalive_requests 1000000000;
    }
    upstream slow { server 127.0.0.1:$o{slow}; }
CONF
}

# id, label, binary, modules, http, server: as start_nginx takes them; sizes: of the bodies it can serve;
# header: what X-Cache says when it serves as it should; prepare: puts a body of this size in its cache;
# accept: the client's Accept-Encoding; keys: how many there are of each size, asked for in turn, where it isn't one; as: ends the ids of others that have as many; redis: ports of those whose lookups are
# counted; way: to Redis, where a table compares the ways.
#   directory, static (of the bodies), backend, slow, redis, tls (the same Redis), memcached: ports; socket, certificate: of
#   Redis; cluster: the masters' ports; nginx, module, system_nginx
sub contenders {
    my (%o) = @_;
    my @all = (1024, 32768, 1048576);
    my @many = (keys => KEYS, sizes => [1024, 32768]);      # 1,000 bodies of 1 MB would measure the memory
    my @more = (keys => MORE_KEYS, sizes => [1024], as => '_more_keys');
    my $upstream = upstreams(%o);
    my ($stale_http, $stale) = module_configuration(redis => $o{redis}, key => 'stale:', age => '1h');

    return (
        {
            id => 'return', label => 'return 200', sizes => \@all,
            http => '', server => join('', map { returned($_) } @all),
        },
        {
            id => 'return_keys', label => 'return 200, 1,000 keys', @many,
            http => '', server => join('', map { returned($_) } @{ { @many }->{sizes} }),
        },
        {
            id => 'return_more_keys', label => 'return 200, 10,000 keys', @more,
            http => '', server => join('', map { returned($_) } @{ { @more }->{sizes} }),
        },
        {
            id => 'static', label => 'static file', sizes => \@all,
            http => '', server => "root $o{static};",
        },
        {
            id => 'proxy_cache', label => 'proxy_cache HIT', sizes => \@all,
            proxy_cache($upstream, "$o{directory}/proxy-cache"),
        },
        {
            id => 'proxy_cache_open', label => 'proxy_cache HIT, open_file_cache', sizes => \@all,
            proxy_cache($upstream . OPEN_FILES, "$o{directory}/proxy-cache-open"),
        },
        {
            id => 'proxy_cache_keys', label => 'proxy_cache HIT, 1,000 keys', @many,
            proxy_cache($upstream, "$o{directory}/proxy-cache-keys"),
        },
        {
            id => 'proxy_cache_open_keys', label => 'proxy_cache HIT, open_file_cache, 1,000 keys', @many,
            proxy_cache($upstream . OPEN_FILES, "$o{directory}/proxy-cache-open-keys"),
        },
        {
            id => 'proxy_cache_open_more_keys', label => 'proxy_cache HIT, open_file_cache, 10,000 keys', @more,
            proxy_cache($upstream . OPEN_FILES, "$o{directory}/proxy-cache-open-more-keys"),
        },
        {
            id => 'srcache', label => 'srcache + memcached', sizes => \@all, header => 'HIT',
            binary => $o{system_nginx}, modules => [SRCACHE_MODULES],
            http => "$upstream    upstream memcached { server 127.0.0.1:$o{memcached}; keepalive 64; }\n",
            server => <<'CONF',
        location / {
            srcache_fetch GET /memc $uri;
            srcache_store PUT /memc $uri;
            add_header X-Cache $srcache_fetch_status;
            proxy_pass http://backend;
        }
        location = /memc {
            internal;
            client_max_body_size 8m;
            set $memc_key $query_string;
            set $memc_exptime 3600;
            memc_pass memcached;
        }
CONF
        },
        {
            id => 'proxy_pass', label => 'proxy_pass, keepalive', sizes => \@all,
            http => $upstream, server => '        location / { proxy_pass http://backend; }',
        },
        _ways_to_redis($upstream, \@all, \@many, \@more, %o),
        _compressed($upstream, \@many, %o),
        {
            # The refill that a stale record starts takes 20 s and fails: what is measured is serving, with a
            # refill in progress, and the record stays as it is.
            id => 'redis_stale', label => 'this module, Redis STALE', sizes => \@all, header => 'STALE',
            modules => [$o{module}], http => $upstream . $stale_http, redis => [$o{redis}],
            server => "        location / {\n$stale            proxy_pass http://slow/delay/20000/500/;\n        }",
            prepare => sub {
                my ($nginx, $size) = @_;
                Bench::Http->new($nginx->{port})->get("/$size", 'X-Prime' => 1);
                _until_stored($o{redis}, "stale:/$size");
                # half of its two hours are over, and half of the second
                redis_command($o{redis}, 'PEXPIRE', "stale:/$size", 1_800_000);
            },
        },
    );
}

# A hit for each way to Redis, of one key and of many, and of more where Redis is reached through TCP or isn't asked. Their keys are others, so that each fills its own records.
sub _ways_to_redis {
    my ($upstream, $all, $many, $more, %o) = @_;
    my $nodes = join ' ', map { "server 127.0.0.1:$_;" } @{ $o{cluster} };
    my @ways = (
        { id => 'hit', label => '', way => 'TCP', store => "server 127.0.0.1:$o{redis};", more => 1 },
        { id => 'unix', label => ' through a unix socket', way => 'unix socket', store => "server unix:$o{socket};" },
        {
            id => 'tls', label => ' through TLS', way => 'TLS',
            store => "server 127.0.0.1:$o{tls}; tls on; tls_trusted_certificate $o{certificate};",
        },
        {
            id => 'cluster', label => ' in a Cluster', way => 'Cluster', store => "mode cluster; $nodes",
            redis => $o{cluster},
        },
        {
            id => 'memory', from => 'memory', label => '', way => 'memory',
            store => "server 127.0.0.1:$o{redis}; memory 256m max_object=2m valid=1h;", more => 1,
        },
    );
    my @contenders;
    for my $way (@ways) {
        my ($http, $location) = module_configuration(store => $way->{store}, key => "$way->{id}:", age => '1h');
        my %common = (
            way => $way->{way}, header => 'HIT', modules => [$o{module}], http => $upstream . $http,
            redis => $way->{redis} // [$o{redis}],
            server => "        location / {\n$location            proxy_pass http://backend;\n        }",
        );
        my $label = 'this module, ' . ($way->{from} // 'Redis') . " HIT$way->{label}";
        push @contenders, { id => "redis_$way->{id}", label => $label, sizes => $all, %common },
            { id => "redis_$way->{id}_keys", label => "$label, 1,000 keys", @$many, %common };
        push @contenders, { id => "redis_$way->{id}_more_keys", label => "$label, 10,000 keys", @$more, %common } if $way->{more};
    }
    return @contenders;
}

# A hit of a record that is stored in gzip or zstd, of many keys: as it is to clients that accept that, decoded to others.
sub _compressed {
    my ($upstream, $many, %o) = @_;
    my @contenders;
    for my $form (
        ['gzip', 'gzip', 'client takes gzip', 'gzip'], ['inflated', 'gzip', 'decoded'],
        ['zstd', 'zstd', 'client takes zstd', 'zstd'], ['unzstd', 'zstd', 'decoded'],
    ) {
        my ($id, $coding, $label, $accept) = @$form;
        my ($http, $location) = module_configuration(redis => $o{redis}, key => "$id:", age => '1h');
        push @contenders, {
            id => "redis_${id}_keys", label => "this module, stored in $coding, $label, 1,000 keys", @$many,
            header => 'HIT', modules => [$o{module}], http => $upstream . $http, redis => [$o{redis}],
            server => "        location / {\n$location            redis_cache_compress $coding min=1 types=*;\n"
                . "            proxy_pass http://backend;\n        }",
            $accept ? (accept => $accept) : (),
        };
    }
    return @contenders;
}

# An nginx with proxy_cache.
sub proxy_cache {
    my ($upstream, $directory) = @_;
    return (
        header => 'HIT',
        http => "$upstream    proxy_cache_path $directory levels=1:2 keys_zone=pc:10m inactive=1h;\n",
        server => <<'CONF',
        location / {
            proxy_cache pc;
            proxy_cache_key $uri;
            proxy_cache_valid 200 1h;
            add_header X-Cache $upstream_cache_status;
            proxy_pass http://backend;
        }
CONF
    );
}

# `return 200` with a body of this size. nginx takes no literal above 4 kB, so that a larger body is put together for
# each request. It repeats itself every 4,100 bytes: two literals and a rest are enough.
sub returned {
    my ($size) = @_;
    my $body = body_of($size);
    # with and without a key behind the size
    return "        location /$size { return 200 \"$body\"; }\n" if $size <= LITERAL;
    my ($sets, $value, %name) = ('', '');
    for my $part (unpack '(a2050)*', $body) {
        if (!$name{$part}) {
            $name{$part} = '$part' . keys %name;
            $sets .= "            set $name{$part} \"$part\";\n";
        }
        $value .= $name{$part};
    }
    return "        location /$size {\n$sets            return 200 \"$value\";\n        }\n";
}

# The client has its answer before Redis has the record.
sub _until_stored {
    my ($redis, $key) = @_;
    for (1 .. 200) {
        return if redis_command($redis, 'EXISTS', $key) eq ':1';
        select undef, undef, undef, 0.01;
    }
    die "$key isn't stored\n";
}

sub start_contender {
    my ($c, %o) = @_;
    $c->{nginx} = start_nginx(
        binary => $c->{binary} // $o{nginx}, cores => $o{cores}, workers => $o{workers}, directory => "$o{directory}/$c->{id}",
        modules => $c->{modules}, http => $c->{http}, server => $c->{server},
    );
    for my $size (@{ $c->{sizes} }) {
        if ($c->{prepare}) {
            $c->{prepare}->($c->{nginx}, $size);
        }
        else {
            my $client = Bench::Http->new($c->{nginx}{port});
            my @cold = _paths($c, $size);
            for (1 .. PASSES) {
                @cold = grep { _word($client->get($_)) ne ($c->{header} // '') } @cold or last;
                select undef, undef, undef, 0.1;        # stored behind the answer, by srcache if the client stays
            }
        }
        check($c, $size);
    }
    return unless $c->{keys};
    for my $port (@{ $c->{redis} // [] }) {
        redis_command($port, 'DBSIZE') ne ':0' or die "$c->{label}: no record in one of the servers\n";
    }
}

# Where an answer comes from, as it says itself.
sub _word { return $_[0]{headers}{'x-cache'} // '' }

# What is asked for: /SIZE, or /SIZE/1 to /SIZE/KEYS.
sub _paths {
    my ($c, $size) = @_;
    return $c->{keys} ? map { "/$size/$_" } 1 .. $c->{keys} : "/$size";
}

# Dies unless the contender answers as it should, whatever key it is asked for: the whole body, from where it should
# come.
sub check {
    my ($c, $size) = @_;
    my $client = Bench::Http->new($c->{nginx}{port});
    my $body = body_of($size);
    for my $path (_paths($c, $size)) {
        my $answer = $client->get($path, $c->{accept} ? ('Accept-Encoding' => $c->{accept}) : ());
        my $from = _word($answer);
        my $coding = $answer->{headers}{'content-encoding'} // '';
        gunzip(\(my $coded = $answer->{body}), \$answer->{body}) if $coding eq 'gzip';
        $answer->{body} = _unzstd($answer->{body}) if $coding eq 'zstd';
        my $wrong = $answer->{status} != 200 ? "status $answer->{status}"
            : $coding ne ($c->{accept} // '') ? "Content-Encoding is '$coding'"
            : $answer->{body} ne $body ? length($answer->{body}) . " bytes that aren't the $size of the body"
            : $from ne ($c->{header} // '') ? "X-Cache is '$from', not '$c->{header}'"
            :   next;
        die "$c->{label}, $path: $wrong\n" . `tail -n 5 '$c->{nginx}{log}'`;
    }
}

# The plain body of one in zstd. Most are the same: each is decoded once.
sub _unzstd {
    my ($coded) = @_;
    state %plain;
    return $plain{$coded} //= do {
        my $file = File::Temp->new;
        binmode $file;
        print $file $coded;
        close $file;
        scalar `zstd -d -c -q '$file'`;
    };
}

1;
