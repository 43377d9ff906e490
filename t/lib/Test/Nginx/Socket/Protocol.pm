package Test::Nginx::Socket::Protocol;

# The suites over another protocol than HTTP/1.1 in clear text: TEST_NGINX_PROTOCOL
# is h2 (HTTP/2 by prior knowledge, with windows of 1,000 bytes) or tls (HTTP/1.1 over
# TLS). The client is curl; it can't offer small windows, so that Narrow.pm makes them so.
# A block that can't be expressed so is skipped, by its name and with the reason.

use v5.26;
use warnings;

use File::Temp ();
use Test::Nginx::Socket::Narrow ();

# All that curl says, and gives, when the server answers and then resets the stream with NO_ERROR (RFC 9113 8.1)
# before curl has sent the body: it drops the answer. Other resets have their code in another message.
my $OVERTAKEN = "curl: (92) Stream error in the HTTP/2 framing layer\n";

sub name { return $ENV{TEST_NGINX_PROTOCOL} // '' }

# Why a block can't run over the protocol; nothing if it can.
sub unfit {
    my $block = shift;
    my $name  = name() or return;
    for my $section (qw(raw_request pipelined_requests shutdown abort tcp_listen)) {
        return "section $section is for HTTP/1.1" if defined $block->$section;
    }
    return 'field lines as they stand are for HTTP/1.1'
      if defined $block->raw_response_headers_like || defined $block->raw_response_headers_unlike;
    my @requests = ref $block->request ? @{ $block->request } : ($block->request // '');
    return 'a request in packets is for HTTP/1.1' if grep { ref } @requests;
    return 'the version is part of the request' if grep { m{^[^\n]* HTTP/}m } @requests;
    my $fields = join "\n", ref $block->more_headers ? @{ $block->more_headers } : ($block->more_headers // '');
    return 'HTTP/2 and curl have no such field'
      if $fields =~ /^(?:Connection|Upgrade|Transfer-Encoding|TE|Expect|Host|Content-Length|Keep-Alive)\s*:/mi;
    return 'curl sends no such field' if $fields =~ /^[^:\n]*:\s*$/m || $fields =~ /^[^\S\n]/m;
    my $text = join "\n", map { $block->$_ // '' } qw(config http_config backend);
    return 'the version is part of the block' if $text =~ /\$server_protocol|\$request\b/;
    my $ages = join "\n", grep { defined } map { ref eq 'ARRAY' ? @$_ : $_ }
      map { scalar $block->$_ } qw(response_headers after);
    return 'so many requests, each by a client of its own, take longer than the ages in the block allow'
      if @requests > 4 && $ages =~ /\bAge: 0\b|fresh/;
    my @more = grep { defined } map { ref eq 'ARRAY' ? @$_ : $_ }
      map { scalar $block->$_ } qw(redis init response_headers response_body backend_log);
    return 'the scheme is part of the block'
      if $name eq 'tls' && join("\n", $text, $fields, @more) =~ m{\$scheme|http://localhost|\$https\b};
    return;
}

# The directives of a server at $port.
sub listen_directives {
    my ($port, $version) = @_;
    my $name = name();
    return "listen $port;" if $name eq '';
    if ($name eq 'h2') {
        my ($minor, $patch) = $version =~ /^1\.(\d+)\.(\d+)/;
        return $minor > 25 || $minor == 25 && $patch >= 1
          ? "listen $port; http2 on;"
          : "listen $port http2;";
    }
    my $folder = certificate();
    return "listen $port ssl; ssl_certificate $folder/cert.pem; ssl_certificate_key $folder/key.pem;";
}

# The answer's bytes, as they would stand on the wire of HTTP/1.1.
sub exchange {
    my ($packets, $timeout, $authority) = @_;
    my ($head, $body) = split /\r\n\r\n/, $packets->[0]{value}, 2;
    my ($line, @fields) = split /\r\n/, $head;
    my ($method, $target) = split / /, $line;

    my $scheme  = name() eq 'tls' ? 'https' : 'http';
    my $out     = File::Temp->new;
    my @command = ('curl', '-sS', '-i', '--raw', '--insecure', '--path-as-is', '--globoff', '--max-time', $timeout * 4,
        name() eq 'tls' ? '--http1.1' : '--http2-prior-knowledge', '--noproxy', '*',
        '-H', 'User-Agent:', '-H', 'Accept:', '-o', $out->filename);
    my $narrow = name() eq 'h2' ? Test::Nginx::Socket::Narrow->start($authority) : undef;
    push @command, '--connect-to', '::' . $narrow->address if $narrow;
    push @command, $method eq 'HEAD' ? '--head' : ('-X', $method);
    push @command, map { ('-H', $_) } grep { !/^(?:Connection|Content-Length):/i } @fields;

    my $sent = File::Temp->new;
    if (length($body // '')) {
        print $sent $body;
        $sent->flush;
        push @command, '--data-binary', '@' . $sent->filename,
          grep({ /^Content-Type:/i } @fields) ? () : ('-H', 'Content-Type:');
    }
    my $complaints = File::Temp->new;
    push @command, '--stderr', $complaints->filename, "$scheme://$authority$target";
    my $answer = '';
    for (1 .. 20) {
        # What is wrong with an answer that is cut shows in the answer.
        system @command;
        $answer = content($out->filename);
        last unless $answer eq '' && length($body // '') && content($complaints->filename) eq $OVERTAKEN;
    }
    print STDERR content($complaints->filename);
    return $answer;
}

sub content {
    my $name = shift;
    open my $in, '<:raw', $name or return '';
    local $/;
    return <$in> // '';
}

my $folder;

sub certificate {
    return $folder->dirname if $folder;
    $folder = File::Temp->newdir('suite-tls-XXXXXX', TMPDIR => 1);
    my $place = $folder->dirname;
    system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        . "-keyout $place/key.pem -out $place/cert.pem 2>$place/openssl.log") == 0
      or die "openssl fails: $place/openssl.log\n";
    return $place;
}

1;
