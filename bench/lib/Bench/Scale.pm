# What a hit costs when there is more of something: clients that read large bodies beside it, keys in Redis, workers.
package Bench::Scale;

use strict;
use warnings;
use Exporter 'import';
use Bench::Contenders qw(check module_configuration proxy_cache returned start_contender upstreams);
use Bench::Process qw(stop);
use Bench::Servers qw(redis_command start_redis);
use Bench::Throughput qw(median run_undisturbed wrk);

our @EXPORT_OK = qw(measure_beside measure_keys measure_workers BODIES FEW MANY READERS);

use constant {
    SMALL => 1024,
    LARGE => 1_048_576,
    READERS => 4,               # connections that read large bodies one after the other, and as many that read small ones
    ASKED => 1000,              # records that are asked for, whatever else is in Redis
    FEW => 1000,
    MANY => 10_000_000,
    OTHER => 100,               # bytes of each of the other keys' values
};

# The bodies that the backend must have.
use constant BODIES => (SMALL, LARGE);

# A contender with the module before a store: `from` names it.
sub _module {
    my ($o, $from, $name, $redis, %more) = @_;
    my $store = "server 127.0.0.1:$redis;" . ($from eq 'memory' ? ' memory 256m max_object=2m valid=1h;' : '');
    my ($http, $location) = module_configuration(store => $store, key => "$name:", age => '1h');
    return {
        id => $name, label => "this module, $from HIT", header => 'HIT', modules => [$o->{module}], redis => [$redis],
        http => upstreams(%$o) . $http,
        server => "        location / {\n$location            proxy_pass http://backend;\n        }", %more,
    };
}

sub _start {
    my ($o, $c, %more) = @_;
    start_contender($c, nginx => $o->{nginx}, directory => $o->{directory}, cores => $o->{worker_cores}, %more);
}

# p99 of small hits while clients read large ones from the same worker, as fast as they can.
# Returns [{ id, label, alone, p99 (ms), large (MB/s) }], medians of the rounds.
sub measure_beside {
    my (%o) = @_;
    my @sizes = (sizes => [SMALL, LARGE]);
    my @contenders = (
        { id => 'beside-return', label => 'return 200', @sizes, http => '', server => join '', map { returned($_) } SMALL, LARGE },
        {
            id => 'beside-proxy', label => 'proxy_cache HIT, open_file_cache', @sizes,
            proxy_cache(upstreams(%o) . "    open_file_cache max=100;\n", "$o{directory}/beside-cache"),
        },
        $o{module}
        ? map { _module(\%o, $_, "beside-$_", $o{redis}, @sizes) } qw(memory Redis)
        : (),
    );
    _start(\%o, $_) for @contenders;
    for my $round (1 .. $o{rounds}) {
        for my $c (@contenders) {
            my %load = (connections => READERS, load_cores => $o{load_cores}, seconds => $o{seconds});
            my $alone = wrk($c, SMALL, %load)->();
            # The client of small bodies doesn't wait for the load's core while the other one reads.
            my ($large, $small) = (wrk($c, LARGE, %load, nice => 19), wrk($c, SMALL, %load));
            my ($of_small, $of_large) = ($small->(), $large->());
            my %run = (alone => $alone->{p99}, p99 => $of_small->{p99}, large => $of_large->{rps} * LARGE / 1e6);
            push @{ $c->{runs}{$_} }, $run{$_} for keys %run;
            printf STDERR "    round %d of %d  %-36s p99 %.2f ms, beside %.0f MB/s %.2f ms\n", $round, $o{rounds}, $c->{label},
                @run{qw(alone large p99)};
        }
    }
    check($_, LARGE) for @contenders;
    stop(map { $_->{nginx}{pid} } @contenders);
    return [map { _medians($_) } @contenders];
}

# Hits from a Redis with few keys and from one with many. The records asked for are the same number.
# Returns [{ id, label, count, rps, us }], medians of the rounds.
sub measure_keys {
    my (%o) = @_;
    return [] unless $o{module};
    my @contenders;
    for my $count (FEW, $o{many}) {
        my ($port) = start_redis($o{load_cores}, "$o{directory}/redis-$count", qw(--enable-debug-command local));
        my $c = _module(\%o, 'Redis', "keys-$count", $port, sizes => [SMALL], keys => ASKED, count => $count);
        my $said = $count > ASKED ? redis_command($port, qw(DEBUG POPULATE), $count - ASKED, 'other', OTHER) : '+OK';
        $said eq '+OK' or die "redis makes no keys: $said\n";
        _start(\%o, $c);
        $said = redis_command($port, 'DBSIZE');
        $said eq ":$count" or die "redis has $said keys, not $count\n";
        push @contenders, $c;
    }
    return _rounds(\%o, @contenders);
}

# Hits by one worker and by two; both have all cores, which the load shares. What that costs whatever nginx does, `return 200` shows.
# Returns [{ id, label, count, rps, us }], medians of the rounds.
sub measure_workers {
    my (%o) = @_;
    return [] unless $o{module};
    my @contenders;
    for my $from (qw(return memory Redis)) {
        for my $workers (1, 2) {
            my $c = $from eq 'return'
                ? { id => "workers-return-$workers", label => 'return 200', sizes => [SMALL], http => '', server => returned(SMALL), count => $workers }
                : _module(\%o, $from, "workers-$from-$workers", $o{redis}, sizes => [SMALL], keys => ASKED, count => $workers);
            _start(\%o, $c, workers => $workers, cores => '');
            push @contenders, $c;
        }
    }
    return _rounds({ %o, load_cores => '' }, @contenders);
}

sub _rounds {
    my ($o, @contenders) = @_;
    for my $round (1 .. $o->{rounds}) {
        for my $c (@contenders) {
            my $run = run_undisturbed($c, SMALL, $o);
            push @{ $c->{runs}{$_} }, $run->{$_} for qw(rps us);
            printf STDERR "    round %d of %d  %-30s %10d  %8.0f req/s  %7.1f us\n", $round, $o->{rounds}, @$c{qw(label count)},
                @$run{qw(rps us)};
        }
    }
    stop(map { $_->{nginx}{pid} } @contenders);
    return [map { _medians($_) } @contenders];
}

sub _medians {
    my ($c) = @_;
    return { (map { ($_ => $c->{$_}) } grep { defined $c->{$_} } qw(id label count)), map { ($_ => median(@{ $c->{runs}{$_} })) } keys %{ $c->{runs} } };
}

1;
