# Answers as they come: first bytes behind the backend's, waiters behind the store, deadlines, dead workers.
package Bench::Live;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(sleep time);
use Bench::Backend qw(stamps);
use Bench::Contenders qw(module_configuration);
use Bench::Http;
use Bench::Process qw(children stop);
use Bench::Servers qw(start_nginx);

our @EXPORT_OK = qw(measure_first_byte measure_waiters measure_deadline quantiles WAITERS LOCK_TIMEOUT_MS);

use constant WAITERS => 200;
use constant LOCK_TIMEOUT_MS => 400;

# nginx before the live backend. kind: plain (proxy_pass alone), lock (proxy_cache) or module.
sub _start {
    my ($o, $name, $kind, %more) = @_;
    my $http = "    upstream live { server 127.0.0.1:$o->{slow}; keepalive 256; }\n";
    my $location = '';
    if ($kind eq 'module') {
        my ($block, $directives) = module_configuration(redis => $o->{redis}, key => "$name:", age => '1h');
        $http .= $block;
        $location = $directives . ($more{deadline} ? '            redis_cache_lock_timeout ' . LOCK_TIMEOUT_MS . "ms;\n" : '');
    }
    elsif ($kind eq 'lock') {
        $http .= "    proxy_cache_path $o->{directory}/$name-cache levels=1:2 keys_zone=pc:10m inactive=1h;\n";
        $location = "            proxy_cache pc;\n            proxy_cache_key \$uri;\n            proxy_cache_valid 200 1h;\n"
            . "            proxy_cache_lock on;\n";
        $location .= '            proxy_cache_lock_timeout ' . LOCK_TIMEOUT_MS . "ms;\n" if $more{deadline};
    }
    # proxy_cache stores nothing that isn't buffered
    $location .= "            proxy_buffering off;\n" if $more{unbuffered} && $kind ne 'lock';
    return start_nginx(
        binary => $o->{nginx}, cores => '', workers => $more{workers} // 2, listen => 'reuseport',
        directory => "$o->{directory}/$name", modules => $kind eq 'module' ? [$o->{module}] : [], http => $http,
        server => <<"CONF",
        location = /pid { return 200 \$pid; }
        location / {
$location
            add_header X-Worker \$pid;
            proxy_pass http://live;
        }
CONF
    );
}

sub quantiles {
    my @sorted = sort { $a <=> $b } @_ or return { p50 => undef, p99 => undef, max => undef };
    return { p50 => $sorted[$#sorted * 0.5], p99 => $sorted[$#sorted * 0.99], max => $sorted[-1] };
}

# A request under way: { socket, sent, answer, arrived => [when each whole piece of the body was there] }.
sub _ask {
    my ($port, $path, $socket) = @_;
    $socket //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    my $asked = { socket => $socket, answer => '', arrived => [], sent => time };
    syswrite $socket, "GET $path HTTP/1.1\r\nHost: bench\r\n\r\n";
    return $asked;
}

# Reads on for all of them until each is whole, or none comes for 10 s.
sub _receive {
    my %waiting = map { (fileno $_->{socket} => $_) } grep { !_is_whole($_, time) } @_;
    my $readers = '';
    vec($readers, $_, 1) = 1 for keys %waiting;
    while (%waiting) {
        select my $ready = $readers, undef, undef, 10 or die "no answer within 10 s\n";
        # All that is there is read before any of it is looked at: that takes its time, and isn't what is measured.
        my @read;
        for my $fd (grep { vec $ready, $_, 1 } keys %waiting) {
            my $one = $waiting{$fd};
            my $got = sysread $one->{socket}, $one->{answer}, 65536, length $one->{answer};
            push @read, [$fd, $got, time];
        }
        for (@read) {
            my ($fd, $got, $now) = @$_;
            next if !_is_whole($waiting{$fd}, $now) && $got;
            vec($readers, $fd, 1) = 0;
            delete $waiting{$fd};
        }
    }
}

# Notes when pieces arrived; whether all have.
sub _is_whole {
    my ($one, $now) = @_;
    my ($head, $body) = split /\r\n\r\n/, $one->{answer}, 2;
    my @stamps = stamps($body // '');
    push @{ $one->{arrived} }, $now while @{ $one->{arrived} } < @stamps;
    @$one{qw(head stamps)} = ($head, \@stamps);
    my ($length) = ($head // '') =~ /^Content-Length: (\d+)/mi;
    return defined $body && length $body >= ($length // 1e9);
}

# How long the pieces of an answer took from the backend to the client, in ms; those sent before `since` not counted.
sub _behind {
    my ($one, $since) = @_;
    my @live = grep { $one->{stamps}[$_][1] >= ($since // 0) } 0 .. $#{ $one->{stamps} };
    return map { 1000 * ($one->{arrived}[$_] - $one->{stamps}[$_][1]) } @live;
}

# A client that misses, and one that joins in the middle; four pieces, one each 20 ms; one worker.
# Returns [{ id, label, missed, joined }]: quantiles in ms; missed: the first piece behind the backend, joined: the
# first byte behind the request.
sub measure_first_byte {
    my (%o) = @_;
    my @contenders = (
        { id => 'proxy_pass', label => 'proxy_pass alone (the second asks the backend itself)', kind => 'plain' },
        { id => 'proxy_cache_lock', label => 'proxy_cache with proxy_cache_lock, which has to buffer', kind => 'lock' },
        { id => 'module', label => 'this module', kind => 'module' },
    );
    @contenders = grep { $_->{kind} ne 'module' || $o{module} } @contenders;
    for my $c (@contenders) {
        my $nginx = _start(\%o, "first-$c->{id}", $c->{kind}, workers => 1, unbuffered => 1);
        my (@missed, @joined);
        for my $round (1 .. 10 * $o{rounds}) {
            my $path = "/live/20/4/20/$round";
            my $first = _ask($nginx->{port}, $path);
            _follow($first, time + 0.05);
            my $second = _ask($nginx->{port}, $path);
            my $begun = _follow($first, time + 10, $second) or die "no answer within 10 s\n";
            _receive($first, $second);
            @{ $_->{stamps} } == 4 or die "$c->{label}: an answer isn't whole\n" for $first, $second;
            push @missed, (_behind($first))[0];
            push @joined, 1000 * ($begun - $second->{sent});
        }
        @$c{qw(missed joined)} = (quantiles(@missed), quantiles(@joined));
        printf STDERR "    %-54s missed: p99 %6.2f ms  joined: p99 %6.2f ms\n", $c->{label}, $c->{missed}{p99}, $c->{joined}{p99};
        stop($nginx->{pid});
    }
    return [map { +{ id => $_->{id}, label => $_->{label}, missed => $_->{missed}, joined => $_->{joined} } } @contenders];
}

# Reads an answer as it comes, until a time, or until another one begins; when that was.
sub _follow {
    my ($one, $until, $other) = @_;
    my $readers = '';
    vec($readers, fileno $_->{socket}, 1) = 1 for grep { defined } $one, $other;
    while ((my $left = $until - time) > 0) {
        select my $ready = $readers, undef, undef, $left or last;
        my $now = time;
        return $now if $other && vec $ready, fileno $other->{socket}, 1;
        my $got = sysread $one->{socket}, $one->{answer}, 65536, length $one->{answer};
        vec($readers, fileno $one->{socket}, 1) = 0 if !$got;
        _is_whole($one, $now);
    }
    return;
}

# WAITERS on one missing key, whose answer takes 300 ms; two workers. And the same with two clients, one in each.
# Returns [{ id, label, behind => of the backend, stored => of the store }]: quantiles in ms.
sub measure_waiters {
    my (%o) = @_;
    my @rows;
    if ($o{module}) {
        my $nginx = _start(\%o, 'waiters-module', 'module');
        for my $count (WAITERS, 2) {
            my (%here, %there);
            for my $round (1 .. ($count == 2 ? 5 : 1) * $o{rounds}) {
                my $path = "/live/300/1/0/$count-$round";
                my $monitor = _monitor($o{redis});
                my @asked = _crowd($nginx->{port}, $path, $count);
                my $stored = _stored($monitor, "waiters-module:$path");
                my ($owner) = map { $_->{head} =~ /^X-Worker: (\d+)/m } grep { $_->{head} =~ /^X-Cache: STORE/m } @asked;
                for my $one (@asked) {
                    my $at = $one->{head} =~ /^X-Worker: $owner\r?$/m ? \%here : \%there;
                    push @{ $at->{behind} }, _behind($one);
                    push @{ $at->{stored} }, 1000 * ($one->{arrived}[0] - $stored);
                }
            }
            my $who = $count == 2 ? 'one waiter' : "$count clients";
            push @rows, { id => "module-here-$count", label => "this module, $who: the worker that fills", behind => quantiles(@{ $here{behind} }) }
                if $count > 2;
            push @rows, {
                id => "module-there-$count", label => "this module, $who: the other worker",
                behind => quantiles(@{ $there{behind} }), stored => quantiles(@{ $there{stored} }),
            };
        }
        stop($nginx->{pid});
    }
    my $nginx = _start(\%o, 'waiters-lock', 'lock');
    my @behind = map { _behind($_) } map { _crowd($nginx->{port}, "/live/300/1/0/$_", WAITERS) } 1 .. $o{rounds};
    unshift @rows, {
        id => 'proxy_cache_lock', label => 'proxy_cache with proxy_cache_lock, ' . WAITERS . ' clients', behind => quantiles(@behind),
    };
    stop($nginx->{pid});
    printf STDERR "    %-54s behind the backend: p50 %6.2f ms  p99 %6.2f ms\n", $_->{label}, @{ $_->{behind} }{qw(p50 p99)} for @rows;
    return \@rows;
}

# So many clients at once, evenly on the two workers.
sub _crowd {
    my ($port, $path, $count) = @_;
    my (%of, @sockets);
    while (@sockets < $count) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "connect: $!\n";
        my $worker = _worker_of($socket);
        push @sockets, $socket if $of{$worker}++ < $count / 2;
    }
    my @asked = map { _ask($port, $path, $_) } @sockets;
    _receive(@asked);
    @{ $_->{stamps} } == 1 or die "a client without a whole answer\n" for @asked;
    return @asked;
}

# The worker that has a connection, which stays.
sub _worker_of {
    my ($socket) = @_;
    syswrite $socket, "GET /pid HTTP/1.1\r\nHost: bench\r\n\r\n";
    for (my $answer = ''; sysread $socket, $answer, 4096, length $answer;) {
        my ($length, $pid) = $answer =~ /^Content-Length: (\d+).*?\r\n\r\n(\d+)\z/msi or next;
        return $pid if length $pid == $length;
    }
    die "connection closed\n";
}

# Redis tells what it does, and when.
sub _monitor {
    my ($port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "redis: $!\n";
    print $socket "MONITOR\r\n";
    $socket->flush;
    <$socket> =~ /^\+OK/ or die "redis doesn't let itself be monitored\n";
    return $socket;
}

# When the record of a key had its expiry.
sub _stored {
    my ($monitor, $key) = @_;
    while (my $line = <$monitor>) {
        return $1 if $line =~ /^\+([\d.]+) \[\d+ lua\] "EXPIRE" "\Q$key\E"/i;
    }
    die "no store of $key\n";
}

# How exactly a waiter keeps its lock timeout, and how soon somebody takes over from a worker that was killed.
# Returns { timeout => [{ id, label, off }], takeover }: quantiles in ms.
sub measure_deadline {
    my (%o) = @_;
    my @contenders = (
        { id => 'proxy_cache_lock', label => 'proxy_cache_lock_timeout', kind => 'lock' },
        { id => 'module', label => 'this module', kind => 'module' },
    );
    @contenders = grep { $_->{kind} ne 'module' || $o{module} } @contenders;
    my $takeover;
    for my $c (@contenders) {
        my $nginx = _start(\%o, "deadline-$c->{id}", $c->{kind}, deadline => 1);
        my (@fillers, @waiters);
        for my $key (1 .. 4 * $o{rounds}) {
            push @fillers, _ask($nginx->{port}, "/live/1500/1/0/$key");
            sleep 0.02;
            push @waiters, _ask($nginx->{port}, "/live/1500/1/0/$key");
        }
        _receive(@fillers, @waiters);
        $c->{off} = quantiles(map { 1000 * ($_->{stamps}[0][0] - $_->{sent}) - LOCK_TIMEOUT_MS } @waiters);
        printf STDERR "    %-54s %d ms + p50 %.2f ms, p99 %.2f ms\n", $c->{label}, LOCK_TIMEOUT_MS, @{ $c->{off} }{qw(p50 p99)};
        stop($nginx->{pid});
    }
    if ($o{module}) {
        my $nginx = _start(\%o, 'takeover', 'module');
        $takeover = quantiles(map { _takeover($nginx, $_) } 1 .. 2 * $o{rounds});
        printf STDERR "    %-54s p50 %.0f ms, longest %.0f ms\n", 'taken over from a killed worker', @$takeover{qw(p50 max)};
        stop($nginx->{pid});
    }
    return {
        timeout => [map { +{ id => $_->{id}, label => $_->{label}, off => $_->{off} } } @contenders], takeover => $takeover,
    };
}

# From kill -9 of the worker that fills to the request of a waiter of the other one at the backend, in ms.
sub _takeover {
    my ($nginx, $round) = @_;
    my %of;
    until (keys %of == 2) {
        my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->{port}) or die "connect: $!\n";
        my $worker = _worker_of($socket);
        $of{$worker} //= $socket;
    }
    my ($owner, $other) = sort { $a <=> $b } keys %of;
    my $path = "/live/250/1/0/$round";
    my $filler = _ask($nginx->{port}, $path, $of{$owner});
    sleep 0.05;
    my $waiter = _ask($nginx->{port}, $path, $of{$other});
    sleep 0.05 + rand 0.05;
    my $killed = time;
    kill KILL => $owner;
    _receive($waiter);
    my $until = time + 5;
    sleep 0.01 until (grep { $_ != $owner && $_ != $other } children($nginx->{pid})) || time > $until;
    sleep 0.1;
    return 1000 * ($waiter->{stamps}[0][0] - $killed);
}

1;
