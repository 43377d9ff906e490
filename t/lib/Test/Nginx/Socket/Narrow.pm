package Test::Nginx::Socket::Narrow;

# Stands between an HTTP/2 client, which offers windows of megabytes, and nginx, and makes
# the windows small: nginx may send WINDOW bytes of a body, and so many more once they have come.

use v5.26;
use warnings;

use IO::Select ();
use IO::Socket::INET ();
use POSIX ();

our $WINDOW = 1000;

my ($DATA, $SETTINGS, $WINDOW_UPDATE) = (0, 4, 8);
my $INITIAL_WINDOW_SIZE = 4;
my $PREFACE_LENGTH      = 24;

# Starts one before HOST:PORT, in a process of its own. It ends with the object.
sub start {
    my ($class, $server) = @_;
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5) or die "no port: $@\n";
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP);
        eval {
            while (my $client = $listener->accept) { serve($client, $server) }
        };
        POSIX::_exit(0);
    }
    return bless { pid => $pid, address => '127.0.0.1:' . $listener->sockport }, $class;
}

sub address { return $_[0]{address} }

sub DESTROY {
    my $self = shift;
    local ($?, $!);
    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;
    return;
}

# Frames to and fro until one side has closed.
sub serve {
    my ($client, $address) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $server = IO::Socket::INET->new(PeerAddr => $address) or return;
    my ($from_client, $from_server, $greeted) = ('', '', 0);
    my $both = IO::Select->new($client, $server);
    while (1) {
        for my $ready ($both->can_read) {
            my $buffer = $ready == $client ? \$from_client : \$from_server;
            sysread $ready, $$buffer, 65_536, length $$buffer or return;
        }
        if (!$greeted && length $from_client >= $PREFACE_LENGTH) {
            put($server, substr $from_client, 0, $PREFACE_LENGTH, '');
            $greeted = 1;
        }
        if ($greeted) {
            put($server, narrowed(@$_)) for frames(\$from_client);
        }
        for my $frame (frames(\$from_server)) {
            put($client, frame(@$frame));
            my ($type, $flags, $stream, $payload) = @$frame;
            put($server, frame($WINDOW_UPDATE, 0, $stream, pack 'N', length $payload))
              if $type == $DATA && length $payload && !($flags & 1);
        }
    }
}

# What a client's frame is to be: its own windows don't count.
sub narrowed {
    my ($type, $flags, $stream, $payload) = @_;
    return '' if $type == $WINDOW_UPDATE && $stream;
    if ($type == $SETTINGS && !($flags & 1)) {
        my @settings = grep { unpack('n', $_) != $INITIAL_WINDOW_SIZE } unpack '(a6)*', $payload;
        $payload = join '', @settings, pack 'nN', $INITIAL_WINDOW_SIZE, $WINDOW;
    }
    return frame($type, $flags, $stream, $payload);
}

# Takes the whole frames off a buffer: type, flags, stream, payload of each.
sub frames {
    my $buffer = shift;
    my @frames;
    while (length $$buffer >= 9) {
        my $length = unpack 'N', "\0" . substr $$buffer, 0, 3;
        last if length $$buffer < 9 + $length;
        my ($type, $flags, $stream) = unpack 'x3CCN', substr $$buffer, 0, 9;
        push @frames, [$type, $flags, $stream, substr $$buffer, 9, $length];
        substr $$buffer, 0, 9 + $length, '';
    }
    return @frames;
}

sub frame {
    my ($type, $flags, $stream, $payload) = @_;
    return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload;
}

# What can't be sent isn't: the other side has closed, which the next read tells.
sub put {
    my ($socket, $bytes) = @_;
    while (length $bytes) {
        my $sent = syswrite $socket, $bytes or return;
        substr $bytes, 0, $sent, '';
    }
    return;
}

1;
