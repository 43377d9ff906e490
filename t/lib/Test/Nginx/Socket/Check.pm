package Test::Nginx::Socket::Check;

# What a block expects of an answer and of the logs.

use v5.26;
use warnings;

use Digest::MD5 ();
use Digest::SHA ();
use Test::More  ();
use Time::HiRes qw(sleep time);

my $LOG_DEADLINE = $ENV{TEST_NGINX_LOG_DEADLINE} || 20;    # s that an expected line may take
my $LOG_SETTLE   = 0.04;                                   # s in which an unexpected one would come

sub bail { Test::Nginx::Socket::bail_out(@_) }

# The expectation for this request: blocks with many requests have arrays.
sub expected {
    my ($context, $value) = @_;
    return $value->[ $context->{index} ] if ref $value eq 'ARRAY';
    return $value unless $context->{many};
    bail($context->{block}->name . ' - several requests need an array of expectations');
}

sub same_text {
    my ($got, $want, $name) = @_;
    return Test::More::like($got, $want, $name) if ref $want eq 'Regexp';
    return Test::More::is($got, $want, $name)
      if $Test::Nginx::Socket::Setting{no_long_string}
      || !defined $got || !defined $want || length($got) + length($want) < 400;
    return Test::More::pass($name) if $got eq $want;

    my $at = 0;
    $at++ while $at < length $got && $at < length $want && substr($got, $at, 1) eq substr($want, $at, 1);
    my $from = $at > 30 ? $at - 30 : 0;
    Test::More::fail($name);
    Test::More::diag(sprintf "         got: %d bytes, ...\"%s\"\n    expected: %d bytes, ...\"%s\"\n"
          . "    they differ from byte %d",
        length $got, printable(substr $got, $from, 90),
        length $want, printable(substr $want, $from, 90), $at);
    return 0;
}

sub printable {
    return shift =~ s/([^\x20-\x7e])/sprintf '\\x%02x', ord $1/ger;
}

# --- responses ---------------------------------------------------------------

sub response {
    my ($context, $response) = @_;
    status($context, $response);
    raw_headers($context, $response);
    headers($context, $response);
    filter_body($context, $response);
    body($context, $response);
}

sub status {
    my ($context, $response) = @_;
    my $block = $context->{block};
    my $code  = $response->{code} // '';
    my $name  = $block->name . ' - status code ok';

    if (defined(my $pattern = $block->error_code_like)) {
        Test::More::like($code, qr/${\expected($context, $pattern)}/sm, $name);
    }
    else {
        my $want = $block->error_code;
        Test::More::is($code, defined $want ? expected($context, $want) : 200, $name);
    }
}

sub raw_headers {
    my ($context, $response) = @_;
    my $block = $context->{block};
    if (defined(my $like = $block->raw_response_headers_like)) {
        Test::More::like($response->{raw_headers}, qr/${\expected($context, $like)}/s,
            $block->name . ' - raw resp headers like');
    }
    if (defined(my $unlike = $block->raw_response_headers_unlike)) {
        Test::More::unlike($response->{raw_headers}, qr/${\expected($context, $unlike)}/s,
            $block->name . ' - raw resp headers unlike');
    }
}

sub headers {
    my ($context, $response) = @_;
    my $block = $context->{block};
    my $name  = $block->name;

    my $exact = $block->response_headers;
    my $lines = $exact // $block->response_headers_like // return;

    my %seen;
    for my $line (split /\n/, expected($context, $lines) // '') {
        $line =~ s/^\s+|\s+$//g;
        next if $line eq '' || $seen{$line}++;

        if ($line =~ s/^!\s*//) {
            Test::More::unlike($response->{raw_headers}, qr/^\s*\Q$line\E\s*:/m,
                "$name - header $line not present in the raw headers");
            next;
        }

        my ($key, $want) = split /\s*:\s*/, $line, 2;
        my $got = join ', ', @{ $response->{headers}{ lc $key } || [] };
        if (defined $exact) {
            $want = with_port($want // '');
            Test::More::is($got, $want, "$name - header $key ok");
        }
        else {
            Test::More::like($got, qr/^$want$/, "$name - header $key like ok");
        }
    }
}

sub with_port {
    my $text = shift;
    $text =~ s/\$ServerPortForClient\b/$Test::Nginx::Socket::ServerPortForClient/g;
    $text =~ s/\$ServerPort\b/$Test::Nginx::Socket::ServerPort/g;
    return $text;
}

my %FILTER = (
    md5_hex  => \&Digest::MD5::md5_hex,
    sha1_hex => \&Digest::SHA::sha1_hex,
    uc       => sub { uc shift },
    lc       => sub { lc shift },
    ucfirst  => sub { ucfirst shift },
    lcfirst  => sub { lcfirst shift },
    length   => sub { length shift },
);

sub filter_body {
    my ($context, $response) = @_;
    my $filters = $context->{block}->response_body_filters // return;
    $filters = [ split ' ', $filters ] unless ref $filters;
    $filters = [$filters] if ref $filters eq 'CODE';
    $filters = $filters->[ $context->{index} ] if ref $filters->[0] eq 'ARRAY';
    for my $filter (@$filters) {
        my $code = ref $filter ? $filter : $FILTER{$filter};
        $code or bail($context->{block}->name . " - unknown filter \"$filter\"");
        $response->{body} = $code->($response->{body});
    }
}

sub body {
    my ($context, $response) = @_;
    my $block = $context->{block};
    my ($name, $body) = ($block->name, $response->{body});
    my $which = "repeated req $context->{repeated}, req $context->{index}";

    if (defined(my $want = $block->response_body)) {
        $want = expected($context, $want);
        $want = with_port($want) if defined $want && !ref $want;
        same_text($body, $want, "$name - response_body - response is expected ($which)");
    }
    elsif (defined(my $like = $block->response_body_like)) {
        Test::More::like($body, qr/${\with_port(expected($context, $like))}/s,
            "$name - response_body_like - response is expected ($which)");
    }
    elsif (defined(my $unlike = $block->response_body_unlike)) {
        Test::More::unlike($body, qr/${\with_port(expected($context, $unlike))}/s,
            "$name - response_body_unlike - response is expected ($which)");
    }

    $_->($block, $body, $context->{index}, $context->{repeated}, undef)
      for @Test::Nginx::Socket::ResponseBodyChecks;
}

# --- logs --------------------------------------------------------------------

sub patterns {
    my $value = shift;
    return map { ref $_ ? $_ : qr/\Q$_\E/ } grep { defined } @$value if ref $value eq 'ARRAY';
    return $value if ref $value;
    return map { qr/\Q$_\E/ } grep { /\S/ } split /\n+/, $value;
}

sub logs {
    my $context = shift;
    my $block   = $context->{block};

    my @wanted = defined $block->error_log ? patterns($block->error_log) : ();
    await(\&Test::Nginx::Socket::Server::log_lines, @wanted);
    sleep $LOG_SETTLE if defined $block->no_error_log || defined $block->grep_error_log;

    my @lines = Test::Nginx::Socket::Server::log_lines();
    grep_log($context, @lines);
    lines_match($context, 'error.log', \@lines, @wanted);
    lines_lack($context, 'error.log', \@lines, patterns($block->no_error_log))
      if defined $block->no_error_log;
    Test::Nginx::Socket::Server::log_read();

    if (defined $block->access_log) {
        my @accesses = patterns($block->access_log);
        await(\&Test::Nginx::Socket::Server::access_lines, @accesses);
        lines_match($context, 'access.log', [ Test::Nginx::Socket::Server::access_lines() ], @accesses);
    }
    if (defined $block->no_access_log) {
        sleep $LOG_SETTLE;
        lines_lack($context, 'access.log', [ Test::Nginx::Socket::Server::access_lines() ],
            patterns($block->no_access_log));
    }
}

sub await {
    my ($read, @wanted) = @_;
    my $deadline = time + $LOG_DEADLINE;
    while (@wanted && time < $deadline) {
        my @lines = $read->();
        @wanted = grep { my $pattern = $_; !grep { /$pattern/ } @lines } @wanted;
        sleep 0.01 if @wanted;
    }
}

sub lines_match {
    my ($context, $file, $lines, @patterns) = @_;
    for my $pattern (@patterns) {
        Test::More::ok(scalar(grep { /$pattern/ } @$lines),
            $context->{block}->name . " - pattern \"$pattern\" matches a line in $file"
              . " (req $context->{repeated})");
    }
}

sub lines_lack {
    my ($context, $file, $lines, @patterns) = @_;
    for my $pattern (@patterns) {
        my ($line) = grep { /$pattern/ } @$lines;
        Test::More::ok(!defined $line,
            $context->{block}->name . " - pattern \"$pattern\" does not match a line in $file"
              . " (req $context->{repeated})")
          or Test::More::diag("    but it matches: $line");
    }
}

sub grep_log {
    my ($context, @lines) = @_;
    my $block   = $context->{block};
    my $pattern = $block->grep_error_log // return;
    my $want    = $block->grep_error_log_out // bail($block->name . ' - no grep_error_log_out');

    $pattern = $pattern->[ $context->{repeated} ] if ref $pattern eq 'ARRAY';
    $want    = $want->[ $context->{repeated} ]    if ref $want eq 'ARRAY';
    $pattern = qr/\Q$pattern\E/ unless ref $pattern;

    my $got = join '', map { /$pattern/ ? "$&\n" : () } @lines;
    same_text($got, $want, $block->name . " - grep_error_log_out (req $context->{repeated})");
}

# --- nginx itself ------------------------------------------------------------

sub must_die {
    my ($block, $status, $repeated) = @_;
    my $name = $block->name;
    my $want = $block->must_die;

    if (!defined $status) {
        Test::More::fail("$name - die as expected (nginx started)");
    }
    elsif ($status & 127) {
        Test::More::fail("$name - die as expected (signal " . ($status & 127) . ')');
    }
    elsif ($want =~ /^\d+$/) {
        Test::More::is($status >> 8, $want, "$name - die with the expected exit code");
    }
    else {
        Test::More::isnt($status, 0, "$name - die as expected");
    }
    logs({ block => $block, index => 0, repeated => $repeated, many => 0, last => 1 });
}

# No block may leave a crashed worker or an alert (a leaked connection, say)
# behind, unless it expects one, nor an nginx that doesn't end. These count as
# tests only when they fail.
sub end {
    my ($block, $left) = @_;
    my $name = $block->name;

    my @failures;
    push @failures, "nginx didn't end when it was asked to" unless $left;

    my $expected = join "\n", map { ref $_ eq 'ARRAY' ? @$_ : $_ // () } $block->error_log;
    if ($expected !~ /alert/) {
        my ($alert) = grep { /\[alert\]|exited on signal|\bAssertion .*failed|\bpanicked at\b/ }
          Test::Nginx::Socket::Server::whole_log();
        push @failures, "an alert: $alert" if defined $alert;
    }

    for my $failure (@failures) {
        Test::More->builder->no_ending(1);
        Test::More::fail("$name - $failure");
    }
}

1;
