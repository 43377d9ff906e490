package Test::Nginx::Socket::Client;

# What goes over the wire: a block's requests and the answers to them.

use v5.26;
use warnings;

use Errno qw(EAGAIN EWOULDBLOCK EINTR);
use IO::Select ();
use IO::Socket::INET ();
use List::Util ();
use Time::HiRes qw(sleep);

sub bail { Test::Nginx::Socket::bail_out(@_) }

# --- requests ----------------------------------------------------------------

# A list of requests; each is a list of packets { value, delay_before }.
sub requests {
    my $block = shift;
    my $name  = $block->name;

    if (defined(my $raw = $block->raw_request)) {
        return [ map { { value => $_ } } ref $raw ? @$raw : $raw ];
    }

    if (defined(my $pipelined = $block->pipelined_requests)) {
        ref $pipelined eq 'ARRAY' or bail("$name - pipelined_requests must be an array");
        my $bytes = join '', map {
            my $connection = $_ == $#$pipelined ? 'close' : 'keep-alive';
            my ($packet) = build($block, $pipelined->[$_], $_, $connection);
            $packet->{value};
        } 0 .. $#$pipelined;
        return [ { value => $bytes } ];
    }

    my $request = $block->request // bail("$name - no request");
    $request =~ s/\A\s*(?:\#[^\n]*\n\s*)*// unless ref $request;
    my @list = ref $request ? @$request : $request;
    return map { [ build($block, $list[$_], $_, 'close') ] } 0 .. $#list;
}

# One request from "METHOD URL VERSION\nbody", whole or cut into packets, with
# the headers that it lacks.
sub build {
    my ($block, $request, $index, $connection) = @_;

    my @packets = map { ref $_ ? {%$_} : { value => $_ } } ref $request ? @$request : $request;
    my $name    = $block->name;

    my ($line, $body) = split /\n/, $packets[0]{value}, 2;
    $line //= '';
    my ($method, $url, $version) = $line =~ /^\s*(\S+)(?: +(\S+))?(?: +(\S+))?\s*$/
      or bail("$name - invalid request line \"$line\"");
    $packets[0]{value} = $body // '';

    my $headers = more_headers($block, $index);
    my $head    = join ' ', $method, $url // '/', ($version // 'HTTP/1.1') . "\r\n";
    $head .= "Host: " . Test::Nginx::Socket::server_name() . "\r\n" unless $headers =~ /^Host:/mi;
    $head .= "Connection: $connection\r\n" unless $headers =~ /^Connection/mi;
    $head .= $headers;

    my $content = join '', map { $_->{value} } @packets;
    if (length $content && $headers !~ /^Content-Length:/m
        && $headers !~ /^Transfer-Encoding:\s*chunked\s*$/mi)
    {
        $packets[0]{value}  =~ s/\A\s+//;
        $packets[-1]{value} =~ s/\s+\z//;
        $head .= 'Content-Length: ' . length(join '', map { $_->{value} } @packets) . "\r\n";
    }

    $packets[0]{value} = "$head\r\n$packets[0]{value}";
    return @packets;
}

sub more_headers {
    my ($block, $index) = @_;
    my $text = $block->more_headers // return '';
    if (ref $text) {
        $text = $text->[$index] // bail($block->name . " - more_headers lacks request $index");
    }
    my @lines = grep { !/^\s*\#/ && /\S/ } split /\r?\n/, $text;
    return join '', map {
        my ($key, $value) = split /:\s*/, $_, 2;
        "$key: " . ($value // '') . "\r\n";
    } @lines;
}

sub method_of {
    my ($block, $index) = @_;
    my $list = $block->raw_request // $block->pipelined_requests // $block->request;
    my $text = !ref $list ? $list : defined $block->raw_request ? $list->[0] : $list->[$index];
    $text = ref $text->[0] ? $text->[0]{value} : $text->[0] if ref $text;
    return $text =~ /^\s*(?:\#[^\n]*\n\s*)*(\S+)/ ? $1 : '';
}

# --- the exchange ------------------------------------------------------------

# Sends the packets and reads until nginx closes the connection; `timeout` bounds
# the silence between two events, as nginx's own timeouts do.
sub send_request {
    my ($context, $packets, $timeout) = @_;
    my $block = $context->{block};
    return Test::Nginx::Socket::Protocol::exchange($packets, $timeout,
        Test::Nginx::Socket::server_addr() . ":$Test::Nginx::Socket::ServerPortForClient")
      if Test::Nginx::Socket::Protocol::name();
    local $SIG{PIPE} = 'IGNORE';

    my $socket = IO::Socket::INET->new(
        PeerAddr => Test::Nginx::Socket::server_addr(),
        PeerPort => $Test::Nginx::Socket::ServerPortForClient,
        Proto    => 'tcp', Timeout => $timeout);
    if (!$socket) {
        Test::More::fail($block->name . " - can't connect: $@");
        return '';
    }
    $socket->blocking(0);

    my $select   = IO::Select->new($socket);
    my @pending  = @$packets;
    my $out      = (shift @pending)->{value};
    my $received = '';

    while (1) {
        my ($readable, $writable) =
          IO::Select::select($select, defined $out ? $select : undef, undef, $timeout);

        if (!$readable) {
            next if $!{EINTR};
            Test::More::fail($block->name . " - the client waited $timeout s in vain")
              unless defined $block->abort;
            last;
        }

        if (@$readable) {
            my $got = sysread $socket, $received, 65_536, length $received;
            if (!defined $got) {
                next if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
                warn $block->name . " - reading the response: $!\n";
                last;
            }
            last if $got == 0;
        }

        next unless @$writable && defined $out;
        my $sent = length $out ? syswrite $socket, $out : 0;
        if (!defined $sent) {
            next if $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR;
            undef $out;    # nginx may have answered before it read all
            next;
        }
        substr $out, 0, $sent, '';
        next if length $out;

        undef $out;
        if (my $next = shift @pending) {
            my $delay = $next->{delay_before} // $block->raw_request_middle_delay;
            sleep $delay if $delay;
            $out = $next->{value};
        }
        elsif (defined(my $how = $block->shutdown)) {
            shutdown $socket, length $how ? $how : 1;
        }
    }

    close $socket;
    return $received;
}

# --- responses ---------------------------------------------------------------

# Takes the first response off the bytes; returns it and what follows it.
sub parse_response {
    my ($context, $bytes, $method) = @_;
    my $name = $context->{block}->name;

    my ($head, $rest) = split /(?<=\r\n)\r\n/, $bytes, 2;
    $rest //= '';
    my ($status_line, @lines) = split /\r\n/, $head // '';
    my ($code) = ($status_line // '') =~ m{^HTTP/[\d.]+ (\d{3})\b};

    my %headers;
    for (@lines) {
        my ($key, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        push @{ $headers{ lc $key } }, $value;
    }

    my $response = {
        code        => $code,
        headers     => \%headers,
        raw_headers => @lines ? $head : '',
        body        => '',
    };
    return ($response, $rest) if !$code || $code == 304 || $code == 204 || $method eq 'HEAD';

    if (($headers{'transfer-encoding'}[0] // '') eq 'chunked') {
        my $error;
        (@$response{qw(body)}, $rest, $error) = unchunk($rest);
        Test::More::fail("$name - chunked body: $error") if $error;
    }
    elsif (defined(my $length = $headers{'content-length'}[0])) {
        Test::More::note("$name - the body is cut: $length bytes announced, ", length $rest, ' came')
          if length $rest < $length;
        $response->{body} = substr $rest, 0, List::Util::min($length, length $rest), '';
    }
    else {
        ($response->{body}, $rest) = ($rest, '');
    }
    return ($response, $rest);
}

# (body, what follows, error)
sub unchunk {
    my $bytes = shift;
    my $body  = '';
    while ($bytes =~ s/\A[ \t]*([0-9a-fA-F]+)[ \t]*(?:;[^\r]*)?\r\n//) {
        my $size = hex $1;
        if ($size == 0) {
            return ($body, $bytes, undef) if $bytes =~ s/\A\r\n//;
            return ($body, '', 'no empty line after the last chunk');
        }
        return ($body . $bytes, '', 'a chunk is cut') if length $bytes < $size + 2;
        $body .= substr $bytes, 0, $size, '';
        $bytes =~ s/\A\r\n// or return ($body, '', 'no CRLF after a chunk');
    }
    return ($body, '', 'no last chunk');
}

1;
