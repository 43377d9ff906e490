# A backend that takes its time: an event loop in a process of its own, so that many requests can wait in it.
#
#   /delay/MS/STATUS/SIZE   answers after MS milliseconds with STATUS and SIZE bytes;
#                           a request with the header X-Prime gets its 200 at once
#   /live/MS/COUNT/GAP/     answers after MS milliseconds with COUNT pieces, one each GAP milliseconds
#   /private/...            as /live/, but not storable
#   /-/count                how many requests came since this was last asked
#
# A piece of /live/ and /private/ is 64 bytes that say when the request came and when the piece was sent, see stamps.
package Bench::Backend;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);
use Bench::Http;
use Bench::Process qw(run_child);

our @EXPORT_OK = qw(start_backend start_flood backend_requests body_of stamps STAMP);

use constant STAMP => 64;

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

# [when the request came, when the piece was sent] of each whole piece of a body.
sub stamps {
    my ($body) = @_;
    my @stamps;
    push @stamps, [$1, $2] while $body =~ /\G(\d+\.\d{6}) (\d+\.\d{6}) *\n/gc;
    return @stamps;
}

# A backend of answers without end, as fast as they are read: /length/BYTES or /chunked/BYTES.
sub start_flood {
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die "backend: $!\n";
    run_child('flood', sub { _flood($listener) });
    return $listener->sockport;
}

sub backend_requests {
    my ($port) = @_;
    return Bench::Http->new($port)->get('/-/count')->{body};
}

# One connection after the other, as long as the process that started it lives.
sub _flood {
    my ($listener) = @_;
    $SIG{PIPE} = 'IGNORE';
    my $block = body_of(65536);
    while (my $client = $listener->accept) {
        my ($framing, $size) = (<$client> // '') =~ m{^GET /(length|chunked)/(\d+) } or next;
        while (defined(my $line = <$client>)) { last if $line eq "\r\n" }
        my $chunked = $framing eq 'chunked';
        my $head = $chunked ? 'Transfer-Encoding: chunked' : "Content-Length: $size";
        my $sound = _write_all($client, "HTTP/1.1 200 OK\r\nConnection: close\r\n$head\r\n\r\n");
        for (my $sent = 0; $sound && $sent < $size; $sent += length $block) {
            my $piece = $size - $sent < length $block ? substr($block, 0, $size - $sent) : $block;
            $sound = _write_all($client, $chunked ? sprintf("%x\r\n", length $piece) . "$piece\r\n" : $piece);
        }
        _write_all($client, "0\r\n\r\n") if $sound && $chunked;
    }
}

sub _write_all {
    my ($socket, $text) = @_;
    for (my $sent = 0; $sent < length $text;) {
        $sent += syswrite($socket, $text, length($text) - $sent, $sent) // return 0;
    }
    return 1;
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
                push @due, map { +{ client => $c, %$_ } } _answer($1, \$count);
            }
        }
        @due = sort { $a->{at} <=> $b->{at} } @due;
        while (@due && $due[0]{at} <= time) {
            my $next = shift @due;
            _write($next) unless $next->{client}{closed};
        }
    }
}

# What a request gets, and when: pieces in order.
sub _answer {
    my ($request, $count) = @_;
    if ($request =~ m{^GET /-/count }) {
        my $body = $$count;
        $$count = 0;
        return { at => 0, status => 200, body => $body };
    }
    $$count++;
    return _live("$1", $2, $3, $4) if $request =~ m{^GET /(live|private)/(\d+)/(\d+)/(\d+)/};
    return { at => 0, status => 404, body => '' }
        if $request !~ m{^GET /delay/(\d+)/(\d+)/(?:[^ ]*/)?(\d+)(?:\?\S*)? };
    my ($delay, $status, $size) = ($1, $2, $3);
    ($delay, $status) = (0, 200) if $request =~ /^X-Prime:/mi;
    return { at => time + $delay / 1000, status => $status, body => body_of($size) };
}

sub _live {
    my ($kind, $delay, $count, $gap) = @_;
    my $now = time;
    my %head = (length => $count * STAMP, storable => $kind eq 'live');
    my @pieces = map { +{ came => $now, at => $now + ($delay + $_ * $gap) / 1000 } } 0 .. $count - 1;
    $pieces[0]{head} = \%head;
    return @pieces;
}

sub _write {
    my ($due) = @_;
    return _write_piece($due) if $due->{came};
    my $answer = "HTTP/1.1 $due->{status} Status\r\nContent-Type: application/octet-stream\r\n"
        . 'Content-Length: ' . length($due->{body}) . "\r\n\r\n$due->{body}";
    for (my $sent = 0; $sent < length $answer;) {
        $sent += syswrite($due->{client}{socket}, $answer, length($answer) - $sent, $sent) // return;
    }
}

sub _write_piece {
    my ($due) = @_;
    my $head = $due->{head};
    my $text = !$head ? '' : "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: $head->{length}\r\n"
        . ($head->{storable} ? '' : "Cache-Control: no-store\r\n") . "\r\n";
    my $stamp = sprintf '%.6f %.6f', $due->{came}, time;
    _write_all($due->{client}{socket}, $text . $stamp . ' ' x (STAMP - 1 - length $stamp) . "\n");
}

1;
