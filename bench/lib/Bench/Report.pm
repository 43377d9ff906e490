# Results as a table in Markdown and as JSON.
package Bench::Report;

use strict;
use warnings;
use utf8;
use Exporter 'import';
use JSON::PP;
use POSIX ();
use Bench::Contenders qw(LITERAL);
use Bench::Live qw(WAITERS LOCK_TIMEOUT_MS);
use Bench::Scale qw(READERS);
use Bench::Servers qw(nginx_version);
use Bench::Throughput ();
use Bench::Waiting qw(CLIENTS BACKEND_MS STALE_BACKEND_MS);

our @EXPORT_OK = qw(describe_machine as_json as_markdown other_nginx size_name thousands);

sub size_name { return { 1024 => '1 kB', 32768 => '32 kB', 1048576 => '1 MB' }->{ $_[0] } // "$_[0] B" }

sub thousands {
    my $number = sprintf '%.0f', $_[0];
    1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
    return $number;
}

# Where and with what the figures came about.
sub describe_machine {
    my (%o) = @_;
    my $cpu = do { local (@ARGV, $/) = '/proc/cpuinfo'; <> =~ /^model name\s*:\s*(.*)$/m ? $1 : 'unknown processor' };
    my $redis = `redis-server --version` =~ /v=(\S+)/ ? $1 : '?';
    my $cores = `nproc`;
    chomp $cores;
    return {
        date => POSIX::strftime('%Y-%m-%d', gmtime),
        processor => $cpu,
        cores => $cores + 0,
        kernel => (POSIX::uname())[2],
        nginx => nginx_version($o{nginx}),
        system_nginx => $o{srcache} ? nginx_version($o{system_nginx}) : undef,
        redis => $redis,
    };
}

sub as_json {
    my ($result) = @_;
    my %json = (%$result, contenders => [map { +{ id => $_->{id}, label => $_->{label} } } @{ $result->{contenders} }]);
    return JSON::PP->new->canonical->pretty->encode(_rounded(\%json));
}

# Five significant digits are more than a measurement has.
sub _rounded {
    my ($value) = @_;
    return { map { ($_ => _rounded($value->{$_})) } keys %$value } if ref $value eq 'HASH';
    return [map { _rounded($_) } @$value] if ref $value eq 'ARRAY';
    return defined $value && !ref $value && $value =~ /^-?\d+\.\d+$/ ? 0 + sprintf('%.5g', $value) : $value;
}

sub as_markdown {
    my ($r) = @_;
    my $m = $r->{machine};
    my $text = "Measured on $m->{date}: $m->{processor}, $m->{cores} cores, Linux $m->{kernel}, "
        . "nginx $m->{nginx}, Redis $m->{redis}. By `$r->{command}`, at $r->{priority}.\n\n";
    $text .= _throughput($r) if $r->{throughput};
    $text .= _beside($r) if $r->{beside};
    $text .= _keys($r) if @{ $r->{keys} // [] };
    $text .= _workers($r) if @{ $r->{workers} // [] };
    $text .= _crowd($r) if $r->{crowd};
    $text .= _first_byte($r) if $r->{first_byte};
    $text .= _waiters($r) if $r->{waiters};
    $text .= _deadline($r) if $r->{deadline};
    $text .= _reader($r) if $r->{reader};
    $text .= _next($r) if $r->{next_request};
    return $text;
}

sub _throughput {
    my ($r) = @_;
    my $text = "One nginx worker on one core; the load (wrk, " . Bench::Throughput::CONNECTIONS
        . " connections), Redis, memcached and the backend on another. Medians of $r->{rounds} runs of $r->{seconds} s, "
        . "taken in turns. *Worker* is the processor time of the nginx worker for one request, *busy* how much of its "
        . "core it had use for: below 100 % something on the other core was the limit. *Lookups* are those in "
        . "Redis for one request: requests for one key that come together share one. The last two columns compare "
        . "requests per second, those for many keys in turn with those for as many.\n\n";
    my ($foreign) = sort { $b <=> $a } map { $_->{foreign} } map { values %$_ } values %{ $r->{throughput} };
    $text .= sprintf "**Other programs took up to %.0f %% of a core meanwhile: these figures are too low.**\n\n",
        100 * $foreign
        if $foreign > Bench::Throughput::DISTURBED;
    for my $size (sort { $a <=> $b } keys %{ $r->{throughput} }) {
        my $of = $r->{throughput}{$size};
        $text .= '**' . size_name($size) . "**\n\n"
            . "| how the body is served | req/s | worker | busy | p99 | lookups | of `return 200` | of proxy_cache |\n"
            . "| --- | --: | --: | --: | --: | --: | --: | --: |\n";
        for my $c (grep { $of->{ $_->{id} } && ($_->{way} // 'TCP') eq 'TCP' } @{ $r->{contenders} }) {
            my $run = $of->{ $c->{id} };
            $text .= sprintf "| %s | %s | %s µs | %.0f %% | %s ms | %s | %s | %s |\n", _label($c, $r, $size),
                thousands($run->{rps}), _significant($run->{us}), 100 * $run->{busy}, _significant($run->{p99}),
                defined $run->{lookups} ? sprintf('%.2f', $run->{lookups}) : '',
                map { _ratio($run, _reference($c, $of, $_)) } qw(return proxy_cache);
        }
        $text .= "\n";
    }
    $text .= _ways($r);
    $text .= "¹ on Debian's nginx $r->{machine}{system_nginx}, for which these two modules are packaged; all others "
        . "on nginx $r->{machine}{nginx}.\n\n"
        if other_nginx($r);
    $text .= "² put together for each request: nginx takes no literal above 4 kB.\n\n"
        if grep { _is_composed($r, $_) } keys %{ $r->{throughput} };
    return $text;
}

# The ways to Redis beside each other: a hit by each, in comparison with a hit through TCP and with `return 200`.
sub _ways {
    my ($r) = @_;
    my @rows;
    for my $size (sort { $a <=> $b } keys %{ $r->{throughput} }) {
        my $of = $r->{throughput}{$size};
        for my $many (0, 1) {
            my @ways = grep { $_->{way} && $of->{ $_->{id} } && !$_->{keys} == !$many } @{ $r->{contenders} };
            push @rows, map { _way($_, $of, $size) } @ways;
        }
    }
    return '' unless grep { $_ !~ /\| TCP \|/ } @rows;
    return "**Ways to Redis**: a HIT of this module, from one key and from many keys in turn. The Cluster has three masters, which "
        . "share the load's core as the one Redis does. The last columns compare requests per second (more is better) and the worker's "
        . "time for one (less is better) with those of TCP and of `return 200`, and the first with that of proxy_cache with an open_file_cache, each for as many keys.\n\n"
        . "| body | keys | by | req/s | worker | busy | lookups | req/s, of TCP | worker, of TCP | req/s, of `return 200` "
        . "| worker, of `return 200` | req/s, of proxy_cache |\n"
        . "| --- | --: | --- |" . ' --: |' x 9 . "\n"
        . join('', @rows) . "\n";
}

sub _way {
    my ($c, $of, $size) = @_;
    my $run = $of->{ $c->{id} };
    my @ratios = map {
        my $reference = _reference($c, $of, $_);
        $reference ? map { sprintf '%.2f', $run->{$_} / $reference->{$_} } qw(rps us) : ('', '')
    } qw(redis_hit return);
    push @ratios, _ratio($run, _reference($c, $of, 'proxy_cache_open'));
    return sprintf "| %s | %s | %s | %s | %s µs | %.0f %% | %.2f | %s |\n", size_name($size), thousands($c->{keys} // 1), $c->{way},
        thousands($run->{rps}), _significant($run->{us}), 100 * $run->{busy}, $run->{lookups}, join ' | ', @ratios;
}

# The run of another contender for as many keys.
sub _reference {
    my ($c, $of, $id) = @_;
    return $of->{ $id . ($c->{as} // ($c->{keys} ? '_keys' : '')) };
}

# Whether `return 200` has no literal for bodies of this size.
sub _is_composed {
    my ($r, $size) = @_;
    return $size > LITERAL && grep { $r->{throughput}{$size}{$_} } qw(return return_keys return_more_keys);
}

# srcache is packaged for Debian's nginx, which need not be the one that is measured.
sub other_nginx {
    my ($r) = @_;
    my $other = $r->{machine}{system_nginx};
    return defined $other && $other ne $r->{machine}{nginx} && grep { $_->{id} eq 'srcache' } @{ $r->{contenders} };
}

sub _label {
    my ($c, $r, $size) = @_;
    my $label = $c->{label} =~ s/return 200/`return 200`/r;
    $label = "**$label**" if $c->{id} =~ /^redis/;
    return "$label ¹" if $c->{id} eq 'srcache' && other_nginx($r);
    return "$label ²" if $c->{id} =~ /^return/ && _is_composed($r, $size);
    return $label;
}

sub _ratio {
    my ($run, $reference) = @_;
    return '' unless $reference;
    return sprintf '%.2f', $run->{rps} / $reference->{rps};
}

sub _significant {
    my ($number) = @_;
    return $number >= 100 ? thousands($number) : $number >= 10 ? sprintf '%.0f', $number : sprintf '%.1f', $number;
}

sub _beside {
    my ($r) = @_;
    my $text = sprintf "**1 kB beside 1 MB**, one worker: p99 of 1 kB hits over %d connections, alone and while %d clients read "
        . "bodies of 1 MB as fast as they can; medians of %d rounds.\n\n"
        . "| | p99 alone | p99 beside | of 1 MB |\n| --- | --: | --: | --: |\n", READERS, READERS, $r->{rounds};
    $text .= sprintf "| %s | %.2f ms | %.2f ms | %s MB/s |\n", _bold($_), @$_{qw(alone p99)}, thousands($_->{large}) for @{ $r->{beside} };
    return "$text\n";
}

sub _keys {
    my ($r) = @_;
    my $text = "**Keys in Redis**: hits of 1,000 records of 1 kB in turn, one worker, from a Redis with so many keys; medians of "
        . "$r->{rounds} rounds. *Cost* is the worker's time for one, in comparison with the first row.\n\n"
        . "| keys in Redis | req/s | worker | req/s, of the first | cost |\n| --: | --: | --: | --: | --: |\n";
    my $first = $r->{keys}[0];
    $text .= sprintf "| %s | %s | %s µs | %.2f | %.2f |\n", thousands($_->{count}), thousands($_->{rps}), _significant($_->{us}),
        $_->{rps} / $first->{rps}, $_->{us} / $first->{us}
        for @{ $r->{keys} };
    return "$text\n";
}

sub _workers {
    my ($r) = @_;
    my $text = "**Workers**: hits of 1,000 records of 1 kB in turn by one worker and by two, which share all cores with the load, so "
        . "that the time of the workers for one request is the figure to compare; medians of $r->{rounds} rounds. *Could be* is what "
        . "two workers would reach with a core for each: requests of one worker, and twice as many by the ratio of the times. "
        . "What `return 200` falls short of 2.00 is the machine's.\n\n"
        . "| | workers | req/s | worker | could be |\n| --- | --: | --: | --: | --: |\n";
    my %one;
    for my $row (@{ $r->{workers} }) {
        my $one = $one{ $row->{label} } //= $row;
        $text .= sprintf "| %s | %d | %s | %s µs | %.2f |\n", _bold($row), $row->{count}, thousands($row->{rps}), _significant($row->{us}),
            $row->{count} * $one->{us} / $row->{us};
    }
    return "$text\n";
}

sub _crowd {
    my ($r) = @_;
    my $text = sprintf "**%d clients at once, one missing key**, a backend that takes %d ms, two workers; time from "
        . "connect to last byte, medians of %d rounds.\n\n"
        . "| | p50 | p99 | longest | backend requests | wrong answers |\n| --- | --: | --: | --: | --: | --: |\n",
        CLIENTS, BACKEND_MS, $r->{rounds};
    $text .= sprintf "| %s | %.0f ms | %.0f ms | %.0f ms | %d | %d |\n", _bold($_), @$_{qw(p50 p99 max backend wrong)}
        for @{ $r->{crowd} };
    return "$text\n";
}

sub _next {
    my ($r) = @_;
    my $text = sprintf "**The next request on the connection of a stale answer**, while the backend takes %d s; medians "
        . "of %d rounds.\n\n| | stale answer | next request |\n| --- | --: | --: |\n", STALE_BACKEND_MS / 1000, $r->{rounds};
    $text .= sprintf "| %s | %.1f ms | %s ms |\n", _bold($_), $_->{stale}, _significant($_->{next})
        for @{ $r->{next_request} };
    return "$text\n";
}

# A table of rows with a label, and of quantiles in ms under each of some names.
sub _quantiles {
    my ($rows, %columns) = @_;
    my @names = sort keys %columns;
    my $text = '| | ' . join(' | ', map { my $c = $columns{$_}; map { "$c, $_" } qw(p50 p99 longest) } @names) . " |\n"
        . '| --- |' . ' --: |' x (3 * @names) . "\n";
    for my $row (@$rows) {
        my @cells = map { my $q = $row->{$_}; map { $q ? _ms($q->{$_}) : '' } qw(p50 p99 max) } @names;
        $text .= '| ' . _bold($row) . ' | ' . join(' | ', @cells) . " |\n";
    }
    return "$text\n";
}

sub _ms { return sprintf $_[0] >= 99.5 ? '%.0f ms' : $_[0] >= 9.95 ? '%.1f ms' : '%.2f ms', $_[0] }

sub _first_byte {
    my ($r) = @_;
    return sprintf("**First bytes**, one worker, `proxy_buffering off`, %d answers of four pieces, one each 20 ms. *Missed*: the "
        . "first piece at the client behind the backend's sending it. *Joined*: another client asks in the middle; from its "
        . "request to its first byte.\n\n", 10 * $r->{rounds})
        . _quantiles($r->{first_byte}, joined => 'joined', missed => 'missed');
}

sub _waiters {
    my ($r) = @_;
    return sprintf("**%d waiters on one missing key**, a backend that takes 300 ms, two workers with as many clients each; "
        . "%d rounds. The first byte behind the backend's answer, and for those whom only the record reaches, behind the moment "
        . "at which Redis had stored it: the wake-up by datagram, the lookup and the answer.\n\n", WAITERS, $r->{rounds})
        . _quantiles($r->{waiters}, behind => 'behind the backend', stored => 'behind the store');
}

sub _deadline {
    my ($r) = @_;
    my $text = sprintf("**Deadlines**, two workers. A waiter whose lock timeout is %d ms: how much later than that its request is "
        . "at the backend.\n\n", LOCK_TIMEOUT_MS)
        . _quantiles($r->{deadline}{timeout}, off => 'later');
    my $takeover = $r->{deadline}{takeover};
    $text .= sprintf "From `kill -9` of the worker that fills to the request of a waiter of the other worker at the backend: p50 %.0f "
        . "ms, longest %.0f ms of %d.\n\n", @$takeover{qw(p50 max)}, 2 * $r->{rounds} if $takeover;
    return $text;
}

sub _reader {
    my ($r) = @_;
    my $text = "**Memory under a slow reader**: 1 GiB to a reader of 1 MB/s, after $r->{reader_seconds} s as fast as it goes; one "
        . "worker, no temporary file. By how much the worker's memory grew: at most, and at the end of the slow time.\n\n"
        . "| | buffered, at most | then | `proxy_buffering off`, at most | then |\n| --- | --: | --: | --: | --: |\n";
    my (%of, @labels);
    for my $row (@{ $r->{reader} }) {
        push @labels, $row->{label} unless $of{ $row->{label} };
        $of{ $row->{label} }{ $row->{buffering} } = $row;
    }
    for my $label (@labels) {
        my @cells = map { my $row = $of{$label}{$_}; map { $row ? thousands($row->{$_}) . ' kB' : '' } qw(growth slow) }
            qw(buffered unbuffered);
        my ($any) = values %{ $of{$label} };
        $text .= '| ' . _bold($any) . ' | ' . join(' | ', @cells) . " |\n";
    }
    return "$text\n";
}

sub _bold { return $_[0]{label} =~ /^this module/ || $_[0]{id} =~ /^module/ ? "**$_[0]{label}**" : $_[0]{label} }

1;
