# Requests per second and worker time per request, under load from wrk.
package Bench::Throughput;

use strict;
use warnings;
use Exporter 'import';
use List::Util qw(sum0);
use Time::HiRes qw(time);
use Bench::Contenders qw(check);
use Bench::Process qw(cpu_seconds foreign_seconds);
use Bench::Servers qw(redis_calls);

our @EXPORT_OK = qw(measure_throughput median run_undisturbed wrk);

use constant {
    CONNECTIONS => 64,
    DISTURBED => 0.1,      # of one core, used by others during a run
    ATTEMPTS => 4,
};

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return @sorted % 2 ? $sorted[$#sorted / 2] : ($sorted[@sorted / 2 - 1] + $sorted[@sorted / 2]) / 2;
}

# Round robin over the contenders, so that a drift of the machine meets all alike.
# Returns { SIZE => { ID => { rps, us, busy, foreign, p99, lookups, rps_min, rps_max } } }, medians of the rounds;
# lookups: in Redis, for each request, of those contenders that ask it.
sub measure_throughput {
    my (%o) = @_;
    my @sizes = @{ $o{sizes} };
    my %runs;
    for my $round (1 .. $o{rounds}) {
        for my $size (@sizes) {
            for my $c (grep { _serves($_, $size) } @{ $o{contenders} }) {
                my $run = run_undisturbed($c, $size, \%o);
                push @{ $runs{$size}{ $c->{id} } }, $run;
                printf STDERR "    round %d of %d  %7d B  %-58s %8.0f req/s  %7.1f us\n",
                    $round, $o{rounds}, $size, $c->{label}, $run->{rps}, $run->{us};
            }
        }
    }
    my %result;
    for my $size (keys %runs) {
        for my $id (keys %{ $runs{$size} }) {
            my @all = @{ $runs{$size}{$id} };
            my %medians = map { my $what = $_; ($what => median(map { $_->{$what} } @all)) } keys %{ $all[0] };
            my @rps = sort { $a <=> $b } map { $_->{rps} } @all;
            $result{$size}{$id} = { %medians, rps_min => $rps[0], rps_max => $rps[-1] };
        }
    }
    return \%result;
}

sub _serves {
    my ($c, $size) = @_;
    return grep { $_ == $size } @{ $c->{sizes} };
}

# A run that other work on the machine disturbed is worth little: it is repeated, a few times.
sub run_undisturbed {
    my ($c, $size, $o) = @_;
    my $best;
    for my $try (1 .. ATTEMPTS) {
        my $run = _run($c, $size, $o);
        $best = $run if !$best || $run->{foreign} < $best->{foreign};
        last if $best->{foreign} <= DISTURBED;
        sleep $try;
    }
    return $best;
}

# One run of wrk; before and after it the contender must answer as it should.
sub _run {
    my ($c, $size, $o) = @_;
    check($c, $size);
    my @workers = @{ $c->{nginx}{workers} };
    my $lookups = _lookups($c);
    my ($foreign, $cpu, $start) = (foreign_seconds(), cpu_seconds(@workers), time);
    my $said = wrk($c, $size, %$o)->();
    $cpu = cpu_seconds(@workers) - $cpu;
    $foreign = foreign_seconds() - $foreign;
    my $elapsed = time - $start;
    $lookups = _lookups($c) - $lookups;
    check($c, $size);
    return {
        %$said, us => 1e6 * $cpu / $said->{requests}, busy => $cpu / $elapsed,
        foreign => $foreign / $elapsed, $c->{redis} ? (lookups => $lookups / $said->{requests}) : (),
    };
}

# Starts wrk: load_cores, seconds, script, connections. Gives what waits for its end and says { requests, rps, p99 in ms }.
sub wrk {
    my ($c, $size, %o) = @_;
    my @pin = length $o{load_cores} ? ('taskset', '-c', $o{load_cores}) : ();
    unshift @pin, 'nice', '-n', $o{nice} if $o{nice};
    my @script = $c->{keys} ? ('-s', $o{script}) : ();
    push @script, '-H', "Accept-Encoding: $c->{accept}" if $c->{accept};
    open my $wrk, '-|', @pin, 'wrk', '-t', 1, '-c', $o{connections} // CONNECTIONS, '-d', "$o{seconds}s", '--timeout', '10s',
        '--latency', @script, "http://127.0.0.1:$c->{nginx}{port}/$size", $c->{keys} ? ('--', $c->{keys}) : ()
        or die "wrk: $!\n";
    return sub {
        my $said = do { local $/; <$wrk> };
        close $wrk or die "wrk failed:\n$said";
        die "$c->{label}: not all answers were right:\n$said" if $said =~ /Non-2xx|Socket errors/;
        my ($requests) = $said =~ /(\d+) requests in/ or die "wrk says what isn't understood:\n$said";
        $requests or die "$c->{label}: no answer within $o{seconds} s; is the machine busy?\n";
        my ($rps) = $said =~ m{Requests/sec:\s*([\d.]+)};
        my ($p99) = $said =~ /99%\s+([\d.]+(?:us|ms|s))/;
        return { requests => $requests, rps => $rps, p99 => _milliseconds($p99) };
    };
}

# How often records were looked up so far: each lookup is one HMGET.
sub _lookups {
    my ($c) = @_;
    return sum0(map { redis_calls($_, 'hmget') } @{ $c->{redis} // [] });
}

sub _milliseconds {
    my ($number, $unit) = $_[0] =~ /^([\d.]+)(us|ms|s)$/;
    return $number * { us => 0.001, ms => 1, s => 1000 }->{$unit};
}

1;
