# What t/run --protocol h2 puts between curl and nginx: windows of 1,000 bytes, whatever the client offers.

use v5.26;
use warnings;
use lib 't/lib';

use IO::Socket::INET ();
use Test::More tests => 5;
use Test::Nginx::Socket::Narrow ();

my $nginx  = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $@;
my $narrow = Test::Nginx::Socket::Narrow->start('127.0.0.1:' . $nginx->sockport);
my $client = IO::Socket::INET->new(PeerAddr => $narrow->address) or die $@;
my $server = $nginx->accept;

my $preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
my $settings = frame(4, 0, 0, pack 'nNnN', 3, 100, 4, 10_000_000);
my $update   = frame(8, 0, 1, pack 'N', 5_000_000);
my $header   = frame(1, 5, 1, 'fields');
Test::Nginx::Socket::Narrow::put($client, $preface . $settings . $update . $header);

is receive($server, length $preface), $preface, 'the preface goes on';
is receive($server, length $settings), frame(4, 0, 0, pack 'nNnN', 3, 100, 4, 1000), 'the window is small';
is receive($server, length $header), $header, 'a larger window for the stream is left out, the request goes on';

my $data = frame(0, 0, 1, 'x' x 1000) . frame(0, 1, 1, 'the end');
Test::Nginx::Socket::Narrow::put($server, $data);
is receive($client, length $data), $data, 'the body comes as it is';
is receive($server, 13), frame(8, 0, 1, pack 'N', 1000), 'what has come may be sent again';

sub frame { return Test::Nginx::Socket::Narrow::frame(@_) }

sub receive {
    my ($socket, $length) = @_;
    local $SIG{ALRM} = sub { die "nothing came\n" };
    alarm 20;
    my $bytes = '';
    while (length $bytes < $length) {
        sysread $socket, $bytes, $length - length $bytes, length $bytes or last;
    }
    alarm 0;
    return $bytes;
}
