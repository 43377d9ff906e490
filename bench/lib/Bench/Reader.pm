# What a worker's memory grows by under a reader that is much slower than its backend.
package Bench::Reader;

use strict;
use warnings;
use Exporter 'import';
use Socket qw(PF_INET SOCK_STREAM INADDR_LOOPBACK SOL_SOCKET SO_RCVBUF sockaddr_in);
use Time::HiRes qw(sleep time);
use Bench::Backend qw(start_flood);
use Bench::Contenders qw(module_configuration);
use Bench::Http;
use Bench::Process qw(stop);
use Bench::Servers qw(start_nginx);

our @EXPORT_OK = qw(measure_reader SIZE RATE);

use constant SIZE => 1 << 30;
use constant RATE => 1_000_000;

# One worker; 1 GiB, of which the reader takes 1 MB/s for `reader` seconds, then the rest as fast as it goes.
# Returns [{ id, label, growth, slow }]: by how many kB the worker's memory grew at most, and in the slow time.
sub measure_reader {
    my (%o) = @_;
    my $flood = start_flood();
    # Without a temporary file: what is to be seen is memory.
    my %buffering = (unbuffered => 'proxy_buffering off;', buffered => 'proxy_max_temp_file_size 0;');
    my @contenders;
    for my $buffering (qw(buffered unbuffered)) {
        push @contenders,
            { id => "proxy_pass_$buffering", kind => 'plain', path => 'length', label => 'proxy_pass alone' },
            { id => "module_length_$buffering", kind => 'module', path => 'length', label => 'this module, too large by Content-Length' },
            { id => "module_chunked_$buffering", kind => 'module', path => 'chunked', label => 'this module, found too large at 8 MB' };
        $_->{buffering} = $buffering for grep { !$_->{buffering} } @contenders;
    }
    @contenders = grep { ($_->{kind} ne 'module' || $o{module}) && $_->{id} =~ /$o{only}/ } @contenders;
    for my $c (@contenders) {
        my ($http, $location) = ('', '');
        ($http, $location) = module_configuration(redis => $o{redis}, key => "$c->{id}:", age => '1h') if $c->{kind} eq 'module';
        my $nginx = start_nginx(
            binary => $o{nginx}, cores => '', workers => 1, directory => "$o{directory}/reader-$c->{id}",
            modules => $c->{kind} eq 'module' ? [$o{module}] : [], http => $http,
            server => <<"CONF",
        location / {
$location
            $buffering{ $c->{buffering} }
            proxy_pass http://127.0.0.1:$flood;
        }
CONF
        );
        # A worker that hasn't answered yet shares its memory with the master, and hasn't touched all of its code.
        Bench::Http->new($nginx->{port})->get("/$_/100000") for qw(length chunked);
        my $worker = $nginx->{workers}[0];
        my $before = _kilobytes($worker, 'VmRSS');
        my $slow = _read($nginx->{port}, "/$c->{path}/" . SIZE, $o{reader}, sub { _kilobytes($worker, 'VmRSS') });
        @$c{qw(growth slow)} = (_kilobytes($worker, 'VmHWM') - $before, $slow - $before);
        printf STDERR "    %-42s %-10s grew by %d kB at most, by %d kB while read at 1 MB/s\n",
            @$c{qw(label buffering growth slow)};
        stop($nginx->{pid});
    }
    return [map { my $c = $_; +{ map { ($_ => $c->{$_}) } qw(id label buffering growth slow) } } @contenders];
}

sub _kilobytes {
    my ($pid, $name) = @_;
    open my $status, '<', "/proc/$pid/status" or die "worker $pid is gone\n";
    my ($line) = grep { /^$name:/ } <$status>;
    return $line =~ /(\d+)/ ? $1 : die "no $name of worker $pid\n";
}

# Reads a whole answer, slowly for so many seconds; gives what `probe` said at the end of those.
sub _read {
    my ($port, $path, $seconds, $probe) = @_;
    socket my $socket, PF_INET, SOCK_STREAM, 0 or die "socket: $!\n";
    # Little is under way to a reader of which little is read.
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, 65536;
    connect $socket, sockaddr_in($port, INADDR_LOOPBACK) or die "connect: $!\n";
    syswrite $socket, "GET $path HTTP/1.0\r\nHost: bench\r\n\r\n";
    my ($start, $read, $probed) = (time, 0);
    while (my $got = sysread $socket, my $piece, 65536) {
        $read += $got;
        if (!defined $probed) {
            my $due = $start + $read / RATE - time;
            sleep $due if $due > 0;
            $probed = $probe->() if time - $start >= $seconds;
        }
    }
    $read > SIZE or die "$path: $read bytes\n";
    return $probed // $probe->();
}

1;
