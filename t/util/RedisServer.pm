package RedisServer;

# A Redis of one's own: on a free port, in a temporary folder, gone with its owner.

use v5.26;
use warnings;

use File::Temp ();
use IO::Socket::INET ();
use POSIX qw(WNOHANG);
use RedisClient ();
use Time::HiRes qw(sleep time);

my $owner = $$;
my %running;

# Starts a Redis; what is given is added to its command line.
sub start {
    my ($class, @options) = @_;
    my $self = bless {
        folder  => File::Temp->newdir('redis-XXXXXX', TMPDIR => 1),
        options => \@options,
    }, $class;

    for (1 .. 5) {
        $self->{port} = free_port();
        return $self if $self->run;
    }
    die "redis-server didn't start: " . $self->log . "\n";
}

sub port   { shift->{port} }
sub pid    { shift->{pid} }
sub socket { shift->{folder} . '/redis.sock' }
sub client { my $self = shift; $self->{client} //= RedisClient->new($self->{port}) }

# Starts it (again), with the port and the data it had.
sub run {
    my $self = shift;
    $self->{pid} = fork() // die "fork: $!\n";
    $self->exec_server if !$self->{pid};
    $running{ $self->{pid} } = 1;

    my $deadline = time + 20;
    while (time < $deadline) {
        if (waitpid($self->{pid}, WNOHANG) == $self->{pid}) {
            delete $running{ delete $self->{pid} };
            return 0;
        }
        my $pong = RedisClient->new($self->{port})->command('PING');
        return 1 if defined $pong && $pong !~ /^-LOADING/;
        sleep 0.01;
    }
    $self->stop;
    return 0;
}

sub exec_server {
    my $self = shift;
    open STDIN,  '<',  '/dev/null';
    open STDOUT, '>>', "$self->{folder}/log";
    open STDERR, '>&', \*STDOUT;
    no warnings 'exec';
    exec 'redis-server', '--port', $self->{port}, '--bind', '127.0.0.1', '--dir', "$self->{folder}",
      '--unixsocket', $self->socket, '--save', '', '--appendonly', 'no', @{ $self->{options} };
    print "can't run redis-server: $!\n";
    POSIX::_exit(127);
}

sub stop {
    my $self = shift;
    my $pid = delete $self->{pid} // return;
    delete $running{$pid};
    kill TERM => $pid;
    my $deadline = time + 5;
    while (time < $deadline) {
        return if waitpid($pid, WNOHANG) != 0;
        sleep 0.005;
    }
    kill KILL => $pid;
    waitpid $pid, 0;
}

sub log {
    my $self = shift;
    open my $in, '<', "$self->{folder}/log" or return '';
    local $/;
    return <$in> // '';
}

sub free_port {
    for (1 .. 500) {
        my $port = 10_240 + int rand 22_000;
        my $probe = IO::Socket::INET->new(
            LocalAddr => '127.0.0.1', LocalPort => $port, Proto => 'tcp', Listen => 1);
        return $port if $probe;
    }
    die "no free port found\n";
}

sub DESTROY {
    my $self = shift;
    local ($?, $!);
    $self->stop if $$ == $owner;
}

END {
    local $?;
    if ($$ == $owner) {
        kill TERM => keys %running;
        waitpid $_, 0 for keys %running;
    }
}

1;
