# A small blocking HTTP/1.1 client on one connection, for checks and for requests that follow each other.
package Bench::Http;

use strict;
use warnings;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVTIMEO IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

sub new {
    my ($class, $port) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5)
        or die "connect to port $port: $!\n";
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    setsockopt $socket, SOL_SOCKET, SO_RCVTIMEO, pack('l!l!', 20, 0);
    return bless { socket => $socket, rest => '' }, $class;
}

# One request: { status, headers (names in lower case), body, seconds }.
sub get {
    my ($self, $path, %headers) = @_;
    my $request = "GET $path HTTP/1.1\r\nHost: bench\r\n"
        . join('', map { "$_: $headers{$_}\r\n" } sort keys %headers) . "\r\n";
    my $start = time;
    syswrite($self->{socket}, $request) == length $request or die "request for $path: $!\n";

    $self->_more($path) until $self->{rest} =~ /\r\n\r\n/;
    my ($head, $rest) = split /\r\n\r\n/, $self->{rest}, 2;
    my ($status_line, @lines) = split /\r\n/, $head;
    my %header = map { /^([^:]+):\s*(.*)$/ ? (lc $1 => $2) : () } @lines;
    my ($status) = $status_line =~ m{^HTTP/1\.\d (\d+)};
    $self->{rest} = $rest;

    my $body = defined $header{'content-length'} ? $self->_take($path, $header{'content-length'})
        : ($header{'transfer-encoding'} // '') eq 'chunked' ? $self->_chunks($path)
        :   '';
    return { status => $status, headers => \%header, body => $body, seconds => time - $start };
}

sub _more {
    my ($self, $path) = @_;
    my $got = sysread $self->{socket}, $self->{rest}, 1 << 20, length $self->{rest};
    die "no answer to $path within 20 s\n" if !defined $got;
    die "connection closed during the answer to $path\n" if $got == 0;
}

sub _take {
    my ($self, $path, $length) = @_;
    $self->_more($path) while length $self->{rest} < $length;
    return substr $self->{rest}, 0, $length, '';
}

sub _chunks {
    my ($self, $path) = @_;
    my $body = '';
    while (1) {
        $self->_more($path) until $self->{rest} =~ s/^([0-9a-fA-F]+)\r\n//;
        my $chunk = $self->_take($path, hex($1) + 2);
        return $body if length $chunk == 2;
        $body .= substr $chunk, 0, -2;
    }
}

1;
