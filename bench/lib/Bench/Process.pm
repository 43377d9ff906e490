# Processes that a measurement starts on loopback, and their end.
package Bench::Process;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(free_port spawn_on run_child wait_for_port children cpu_seconds foreign_seconds
    priority stop stop_all);

my %started;            # pid => name
my $owner = $$;

# A port that nothing listens on now.
sub free_port {
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "no free port: $!\n";
    return $socket->sockport;
}

# Starts a command on the given cores ("0", "0,1"; empty: any); its output goes to a log file.
sub spawn_on {
    my ($cores, $log, @command) = @_;
    return run_child($command[0], sub {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>>', $log or die "$log: $!\n";
        open STDERR, '>&', \*STDOUT;
        unshift @command, 'taskset', '-c', $cores if length $cores;
        exec { $command[0] } @command;
        die "$command[0]: $!\n";
    });
}

# Runs code in a child of its own.
sub run_child {
    my ($name, $code) = @_;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        $SIG{INT} = $SIG{TERM} = 'DEFAULT';
        eval { $code->(); 1 } or print STDERR $@;
        POSIX::_exit(1);        # not exit: the parent's END blocks aren't the child's
    }
    $started{$pid} = $name;
    return $pid;
}

# Waits until something answers there, 10 s or as many as are given; dies with the log's end if its process ended instead.
sub wait_for_port {
    my ($port, $pid, $log, $seconds) = @_;
    my $until = time + ($seconds // 10);
    while (time < $until) {
        return if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 1);
        last if waitpid($pid, POSIX::WNOHANG()) == $pid;
        sleep 0.02;
    }
    my $why = defined $log ? `tail -n 5 '$log'` : '';
    die "$started{$pid} doesn't answer on port $port\n$why";
}

# The children of a process that aren't on their way out.
sub children {
    my ($pid) = @_;
    open my $list, '<', "/proc/$pid/task/$pid/children" or return;
    return split ' ', <$list> // '';
}

# The scheduling that this process has, and what it starts inherits.
sub priority {
    my @field = _stat('self') or return 'unknown';
    my ($nice, $real_time, $policy) = @field[16, 37, 38];
    return "real-time priority $real_time (" . ($policy == 1 ? 'SCHED_FIFO' : 'SCHED_RR') . ')' if $real_time;
    my $name = { 3 => ' (SCHED_BATCH)', 5 => ' (SCHED_IDLE)' }->{$policy} // '';
    return ($nice ? "nice $nice" : 'normal priority') . $name;
}

# The fields of /proc/PID/stat from the third on.
sub _stat {
    my ($pid) = @_;
    open my $stat, '<', "/proc/$pid/stat" or return;
    # the name in brackets may contain anything; what follows it may not
    return split ' ', (<$stat> =~ s/.*\)//sr);
}

# User and system time that processes have used so far.
sub cpu_seconds {
    my $ticks = 0;
    for my $pid (@_) {
        my @field = _stat($pid) or die "process $pid is gone\n";
        $ticks += $field[11] + $field[12];
    }
    return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Processor time that others than this measurement have used on this machine so far.
sub foreign_seconds {
    open my $stat, '<', '/proc/stat' or return 0;
    # softirq: much of what loopback does is counted there, and in the processes as well
    my (undef, $user, $nice, $system, undef, undef, $irq, $softirq) = split ' ', <$stat>;
    my $all = ($user + $nice + $system + $irq + $softirq) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my ($mine, $mine_system, $ended, $ended_system) = times;
    my @running = keys %started;
    return $all - $mine - $mine_system - $ended - $ended_system - cpu_seconds(@running, map { children($_) } @running);
}

sub stop {
    for my $pid (grep { exists $started{$_} } @_) {
        kill TERM => $pid;
        my $until = time + 3;
        my $gone = 0;
        while (!$gone && time < $until) {
            $gone = waitpid($pid, POSIX::WNOHANG()) != 0;
            sleep 0.01 unless $gone;
        }
        if (!$gone) {
            kill KILL => $pid, children($pid);
            waitpid $pid, 0;
        }
        delete $started{$pid};
    }
}

sub stop_all { stop(keys %started) }

$SIG{INT} = $SIG{TERM} = sub { exit 130 };
END {
    if ($$ == $owner) {
        my $status = $?;
        stop_all();
        $? = $status;
    }
}

1;
