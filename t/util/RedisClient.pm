package RedisClient;

# A Redis client of a page: one connection, one command at a time, RESP2.

use v5.26;
use warnings;

use IO::Socket::INET ();

sub new {
    my ($class, $port) = @_;
    return bless { port => $port }, $class;
}

# The reply: a text, a number, undef for nil, a reference to an array. An error is
# returned as its text with "-" before it.
sub command {
    my ($self, @words) = @_;
    utf8::encode($_) for grep { utf8::is_utf8($_) } @words;
    my $bytes = join '', '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;

    # The connection may be one that a stopped server has closed: then once more.
    for my $attempt (1, 2) {
        my $socket = $self->{socket} //= $self->connected // return undef;
        local $SIG{PIPE} = 'IGNORE';
        if (print {$socket} $bytes and $socket->flush and defined(my $line = <$socket>)) {
            return $self->reply($line);
        }
        delete $self->{socket};
    }
    return undef;
}

sub connected {
    my $self = shift;
    my $socket = IO::Socket::INET->new(
        PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp', Timeout => 2);
    binmode $socket if $socket;
    return $socket;
}

sub reply {
    my ($self, $line) = @_;
    $line =~ s/\r\n\z//;
    my $kind = substr $line, 0, 1, '';

    return $line if $kind eq '+' || $kind eq ':';
    return "-$line" if $kind eq '-';
    return undef if $line < 0;
    if ($kind eq '$') {
        read $self->{socket}, my $text, $line + 2;
        return substr $text, 0, $line;
    }
    if ($kind eq '*') {
        return [ map { $self->reply(scalar readline $self->{socket}) } 1 .. $line ];
    }
    die "not RESP: $kind$line\n";
}

1;
