# A backend that takes its time: an event loop in a process of its own, so that many requests can wait in it.
#
#   /delay/MS/STATUS/SIZE   answers after MS milliseconds with STATUS and SIZE bytes;
#                           a request with the header X-Prime gets its 200 at once
#   /-/count                how many requests came since this was last asked
package Bench::Backend;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);
use Bench::Http;
use Bench::Process qw(run_child);

our @EXPORT_OK = qw(start_backend backend_requests body_of);

# The body of every answer, everywhere: printable, nothing in it that a configuration would have to quote.
sub body_of {
    my ($size) = @_;
    my $pattern = join '', map { sprintf 'line%05x.', $_ } 0 .. 409;
    return substr $pattern x (1 + $size / length $pattern), 0, $size;
}

sub start_backend {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, Blocking => 0)
        or die "backend: $!\n";
    run_child('backend', sub { _serve($listener) });
    return $listener->sockport;
}

sub backend_requests {
    my ($port) = @_;
    return Bench::Http->new($port)->get('/-/count')->{body};
}

sub _serve {
    my ($listener) = @_;
    $SIG{PIPE} = 'IGNORE';
    my $parent = getppid;
    my (%client, @due);
    my $count = 0;
    my $wanted = '';
    vec($wanted, fileno $listener, 1) = 1;

    # ends with the process that started it, however that ended
    while (getppid == $parent) {
        my $wait = @due ? $due[0]{at} - time : 1;
        select my $ready = $wanted, undef, undef, $wait < 0 ? 0 : $wait > 1 ? 1 : $wait;

        if (vec $ready, fileno $listener, 1) {
            while (my $new = $listener->accept) {
                $new->blocking(1);
                setsockopt $new, IPPROTO_TCP, TCP_NODELAY, 1;
                $client{ fileno $new } = { socket => $new, buffer => '' };
                vec($wanted, fileno $new, 1) = 1;
            }
        }
        for my $fd (grep { vec $ready, $_, 1 } keys %client) {
            my $c = $client{$fd};
            if (!sysread $c->{socket}, $c->{buffer}, 65536, length $c->{buffer}) {
                vec($wanted, $fd, 1) = 0;
                $c->{closed} = 1;
                delete $client{$fd};
                next;
            }
            while ($c->{buffer} =~ s/^(.*?\r\n\r\n)//s) {
                push @due, { client => $c, _answer($1, \$count) };
            }
        }
        @due = sort { $a->{at} <=> $b->{at} } @due;
        while (@due && $due[0]{at} <= time) {
            my $next = shift @due;
            _write($next) unless $next->{client}{closed};
        }
    }
}

# What a request gets, and when.
sub _answer {
    my ($request, $count) = @_;
    if ($request =~ m{^GET /-/count }) {
        my $body = $$count;
        $$count = 0;
        return (at => 0, status => 200, body => $body);
    }
    $$count++;
    return (at => 0, status => 404, body => '')
        if $request !~ m{^GET /delay/(\d+)/(\d+)/(?:[^ ]*/)?(\d+)(?:\?\S*)? };
    my ($delay, $status, $size) = ($1, $2, $3);
    ($delay, $status) = (0, 200) if $request =~ /^X-Prime:/mi;
    return (at => time + $delay / 1000, status => $status, body => body_of($size));
}

sub _write {
    my ($due) = @_;
    my $answer = "HTTP/1.1 $due->{status} Status\r\nContent-Type: application/octet-stream\r\n"
        . 'Content-Length: ' . length($due->{body}) . "\r\n\r\n$due->{body}";
    for (my $sent = 0; $sent < length $answer;) {
        $sent += syswrite($due->{client}{socket}, $answer, length($answer) - $sent, $sent) // return;
    }
}

1;
