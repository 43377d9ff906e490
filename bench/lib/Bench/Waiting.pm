# What clients wait: many on one missing key, and one whose connection carries on after a stale answer.
package Bench::Waiting;

use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(F_SETFL O_NONBLOCK);
use Socket qw(PF_INET SOCK_STREAM INADDR_LOOPBACK IPPROTO_TCP TCP_NODELAY pack_sockaddr_in);
use Time::HiRes qw(sleep time);
use Bench::Backend qw(backend_requests body_of);
use Bench::Contenders qw(module_configuration);
use Bench::Http;
use Bench::Process qw(stop);
use Bench::Servers qw(start_nginx);
use Bench::Throughput qw(median);

our @EXPORT_OK = qw(measure_crowd measure_next_request CLIENTS BACKEND_MS STALE_BACKEND_MS);

use constant CLIENTS => 200;
use constant BACKEND_MS => 300;
use constant STALE_BACKEND_MS => 2000;
use constant SIZE => 1024;

# nginx with proxy_cache or the module before the slow backend. `delay` is the backend's, in ms.
sub _start {
    my ($o, $name, $kind, $age, $delay) = @_;
    my $upstream = "    upstream slow { server 127.0.0.1:$o->{slow}; keepalive 256; }\n";
    my ($http, $location);
    if ($kind =~ /^module/) {
        # Machines of a fleet have the same keys.
        my $key = $name =~ s/-machine-\d+$//r;
        ($http, $location) = module_configuration(redis => $o->{redis}, key => "$key:", age => $age);
        $location .= "            redis_cache_lock_scope store;\n" if $kind eq 'module of a fleet';
    }
    else {
        $http = "    proxy_cache_path $o->{directory}/$name-cache levels=1:2 keys_zone=pc:10m inactive=1h;\n";
        $location = <<"CONF";
            proxy_cache pc;
            proxy_cache_key \$uri;
            proxy_cache_valid 200 $age;
            add_header X-Cache \$upstream_cache_status;
CONF
        $location .= "            proxy_cache_lock on;\n" if $kind eq 'lock';
        $location .= "            proxy_cache_use_stale updating;\n            proxy_cache_background_update on;\n"
            if $kind eq 'background';
    }
    return start_nginx(
        binary => $o->{nginx}, cores => '', workers => 2, directory => "$o->{directory}/$name",
        modules => $kind =~ /^module/ ? [$o->{module}] : [], http => $upstream . $http,
        server => <<"CONF",
        location = /next { return 200 next; }
        location / {
$location
            proxy_pass http://slow/delay/$delay/200/;
        }
CONF
    );
}

# CLIENTS at once ask for a key that isn't there, a new one each round; two workers. Machines of a contender
# have one store, and an equal share of the clients each.
# Returns [{ id, label, p50, p99, max, backend, wrong }], times in ms, medians of the rounds.
sub measure_crowd {
    my (%o) = @_;
    my @contenders = (
        { id => 'proxy_cache_lock', label => 'proxy_cache with proxy_cache_lock', kind => 'lock' },
        { id => 'proxy_cache', label => 'proxy_cache without it', kind => 'plain' },
        { id => 'module', label => 'this module', kind => 'module' },
        { id => 'fleet', label => 'this module on four machines, lock_scope store', kind => 'module of a fleet', machines => 4 },
        { id => 'apart', label => 'this module on four machines, lock_scope zone', kind => 'module', machines => 4 },
    );
    @contenders = grep { $_->{kind} !~ /^module/ || $o{module} } @contenders;
    for my $c (@contenders) {
        my @names = map { "crowd-$c->{id}-machine-$_" } 1 .. $c->{machines} // 1;
        $c->{machines} = [map { _start(\%o, $_, $c->{kind}, '1h', BACKEND_MS) } @names];
    }

    for my $round (1 .. $o{rounds}) {
        for my $c (@contenders) {
            backend_requests($o{slow});
            my ($times, $wrong) = _crowd([map { $_->{port} } @{ $c->{machines} }], "/round$round/" . SIZE);
            my @sorted = sort { $a <=> $b } @$times;
            my %run = (
                p50 => $sorted[CLIENTS * 0.50 - 1], p99 => $sorted[CLIENTS * 0.99 - 1], max => $sorted[-1],
                backend => backend_requests($o{slow}), wrong => $wrong,
            );
            push @{ $c->{runs}{$_} }, $run{$_} for keys %run;
            printf STDERR "    round %d of %d  %-46s p50 %4.0f ms  p99 %4.0f ms  %3d backend requests\n",
                $round, $o{rounds}, $c->{label}, @run{qw(p50 p99 backend)};
        }
    }
    stop(map { $_->{pid} } map { @{ $_->{machines} } } @contenders);
    return [
        map { my $runs = $_->{runs}; +{ id => $_->{id}, label => $_->{label}, map { ($_ => median(@{ $runs->{$_} })) } keys %$runs } }
            @contenders
    ];
}

# CLIENTS are spread over these ports. Time of each client from connect to last byte, in ms, and how many answers weren't whole.
# One loop over plain sockets: the client must not be what the clients wait for.
sub _crowd {
    my ($ports, $path) = @_;
    my @addresses = map { pack_sockaddr_in($_, INADDR_LOOPBACK) } @$ports;
    my $request = "GET $path HTTP/1.1\r\nHost: bench\r\n\r\n";
    my $body = body_of(SIZE);
    my $readers = '';
    my (%waiting, @times);
    my $wrong = 0;

    for my $number (1 .. CLIENTS) {
        socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
        my $start = time;
        connect $socket, $addresses[$number % @addresses] or die "connect: $!\n";
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
        syswrite $socket, $request;
        fcntl $socket, F_SETFL, O_NONBLOCK;
        vec($readers, fileno $socket, 1) = 1;
        $waiting{ fileno $socket } = { socket => $socket, start => $start, answer => '' };
    }
    my $until = time + 15;
    while (%waiting && time < $until) {
        select my $ready = $readers, undef, undef, 1 or next;
        for my $fd (grep { vec $ready, $_, 1 } keys %waiting) {
            my $w = $waiting{$fd};
            my $got = sysread $w->{socket}, $w->{answer}, 65536, length $w->{answer};
            next if !defined $got || ($got && !_whole($w->{answer}));
            push @times, 1000 * (time - $w->{start});
            vec($readers, $fd, 1) = 0;
            $wrong++ unless $w->{answer} =~ /^HTTP\/1\.1 200 / && index($w->{answer}, $body) > 0;
            delete $waiting{$fd};
        }
    }
    # whoever has no answer by now
    push @times, (15_000) x keys %waiting;
    return (\@times, $wrong + keys %waiting);
}

sub _whole {
    my ($answer) = @_;
    my $head = index $answer, "\r\n\r\n";
    return 0 if $head < 0;
    return length($answer) - $head - 4 >= $1 if substr($answer, 0, $head) =~ /^Content-Length: (\d+)/mi;
    return $answer =~ /\r\n0\r\n\r\n\z/;
}

# A client gets a stale answer while the backend takes its time, and sends its next request on the same
# connection, for something that needs no backend.
# Returns [{ id, label, stale, next }], times in ms, medians of the rounds.
sub measure_next_request {
    my (%o) = @_;
    my @contenders = (
        { id => 'background_update', label => 'proxy_cache_background_update', kind => 'background', header => 'STALE' },
        { id => 'module', label => 'this module', kind => 'module', header => 'STALE' },
    );
    @contenders = grep { $_->{kind} ne 'module' || $o{module} } @contenders;
    $_->{nginx} = _start(\%o, "next-$_->{id}", $_->{kind}, '1s', STALE_BACKEND_MS) for @contenders;

    for my $round (1 .. $o{rounds}) {
        my $path = "/round$round/" . SIZE;
        Bench::Http->new($_->{nginx}{port})->get($path, 'X-Prime' => 1) for @contenders;
        sleep 2.5;      # older than its second, whatever fraction of it nginx counts
        for my $c (@contenders) {
            my $client = Bench::Http->new($c->{nginx}{port});
            my $stale = $client->get($path);
            my $next = $client->get('/next');
            ($stale->{headers}{'x-cache'} // '') eq $c->{header} && $stale->{body} eq body_of(SIZE)
                or die "$c->{label}: the answer isn't a stale one\n";
            push @{ $c->{stale} }, 1000 * $stale->{seconds};
            push @{ $c->{next} }, 1000 * $next->{seconds};
            printf STDERR "    round %d of %d  %-34s stale answer %6.1f ms  next request %7.1f ms\n",
                $round, $o{rounds}, $c->{label}, $c->{stale}[-1], $c->{next}[-1];
        }
    }
    stop($_->{nginx}{pid}) for @contenders;
    return [
        map { +{ id => $_->{id}, label => $_->{label}, stale => median(@{ $_->{stale} }), next => median(@{ $_->{next} }) } }
            @contenders
    ];
}

1;
