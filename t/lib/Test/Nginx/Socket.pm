package Test::Nginx::Socket;

# A small stand-in for the module of the same name on CPAN, for machines that
# have Test::Base but can't reach CPAN. It understands the sections and the
# functions that the suites in t/ use and means the same by them. Sections that
# it doesn't know are refused, so that a misspelt one can't pass unnoticed.
#
# Beside it:  Server.pm  writes nginx.conf, starts and stops nginx
#             Client.pm  builds requests, sends them, reads responses
#           Protocol.pm  has them go over HTTP/2 or TLS instead, and
#             Narrow.pm  makes the windows of HTTP/2 small
#             Check.pm   compares responses and logs with what a block expects

use v5.26;
use Test::Base -Base;
use List::Util ();
use Time::HiRes ();

our $VERSION = '0.29';

our (@Preprocessors, @CleanupHandlers, @ResponseBodyChecks);

# Functions of a module of helpers that say why a block can't run in this setting; nothing if it can.
our @Unfit;

our %Setting = (
    repeat_each            => 1,
    workers                => 1,
    worker_connections     => 64,
    log_level              => $ENV{TEST_NGINX_LOG_LEVEL} || 'debug',
    master_process_enabled => ($ENV{TEST_NGINX_MASTER_PROCESS} || 'off') eq 'on',
    timeout                => $ENV{TEST_NGINX_TIMEOUT} || 3,
    no_shuffle             => $ENV{TEST_NGINX_NO_SHUFFLE},
    server_name            => 'localhost',
    server_addr            => '127.0.0.1',
);

# The sections a block may have. A module of helpers that brings sections of
# its own adds them here.
our %Sections = map { $_ => 1 } qw(
  name description ONLY SKIP LAST
  config http_config main_config post_main_config server_name log_level
  user_files init must_die
  request raw_request raw_request_middle_delay pipelined_requests more_headers
  timeout abort shutdown wait ignore_response
  response_body response_body_like response_body_unlike response_body_filters
  response_headers response_headers_like
  raw_response_headers_like raw_response_headers_unlike
  error_code error_code_like
  error_log no_error_log grep_error_log grep_error_log_out
  access_log no_access_log
  skip_nginx skip_eval todo
  tcp_listen tcp_reply tcp_reply_delay tcp_no_close
);

use Test::Nginx::Socket::Server ();
use Test::Nginx::Socket::Protocol ();
use Test::Nginx::Socket::Client ();
use Test::Nginx::Socket::Check  ();

our $ServerPort          = Test::Nginx::Socket::Server::port();
our $ServerPortForClient = $ENV{TEST_NGINX_CLIENT_PORT} || $ServerPort;

our @EXPORT = qw(
  plan run_tests run_test is_str bail_out parse_time
  repeat_each workers worker_connections master_on master_off
  master_process_enabled log_level timeout
  no_shuffle no_long_string no_root_location
  server_name server_addr server_root html_dir
  server_port server_port_for_client
  add_block_preprocessor add_cleanup_handler add_response_body_check
  $ServerPort $ServerPortForClient
);

sub setting ($@) {
    my $name = shift;
    $Setting{$name} = shift if @_;
    return $Setting{$name};
}

# Spiffy gives every `sub` a $self unless it has a prototype; what is called as a
# plain function therefore has one.
sub repeat_each (@)            { setting('repeat_each',            @_) }
sub workers (@)                { setting('workers',                @_) }
sub worker_connections (@)     { setting('worker_connections',     @_) }
sub log_level (@)              { setting('log_level',              @_) }
sub timeout (@)                { setting('timeout',                @_) }
sub server_name (@)            { setting('server_name',            @_) }
sub server_addr (@)            { setting('server_addr',            @_) }
sub master_process_enabled (@) { setting('master_process_enabled', @_) }
sub master_on ()               { setting('master_process_enabled', 1) }
sub master_off ()              { setting('master_process_enabled', 0) }
sub no_shuffle ()              { setting('no_shuffle',             1) }
sub no_long_string ()          { setting('no_long_string',         1) }
sub no_root_location ()        { setting('no_root_location',       1) }
sub server_root ()             { Test::Nginx::Socket::Server::root() }
sub html_dir ()                { server_root() . '/html' }
sub server_port (@)            { $ServerPort          = shift if @_; $ServerPort }
sub server_port_for_client (@) { $ServerPortForClient = shift if @_; $ServerPortForClient }

sub add_block_preprocessor (&)  { unshift @Preprocessors, shift }
sub add_cleanup_handler ($)     { unshift @CleanupHandlers, shift }
sub add_response_body_check ($) { push @ResponseBodyChecks, shift }

# Over another protocol, and with another store, blocks are left out, so that the suite's own count doesn't hold.
if (Test::Nginx::Socket::Protocol::name() || $ENV{TEST_NGINX_STORE}) {
    no warnings qw(redefine prototype);
    *plan = sub (@) { Test::More->builder->plan('no_plan') };
}

sub is_str (@) { Test::Nginx::Socket::Check::same_text(@_) }

sub parse_time ($) {
    my $time = shift;
    return $time unless defined $time;
    return $1 / 1000 if $time =~ /^\s*([\d.]+)\s*ms\s*$/;
    return $1        if $time =~ /^\s*([\d.]+)\s*s?\s*$/;
    bail_out("invalid time \"$time\"");
}

sub bail_out (@) {
    clean_up();
    Test::More::BAIL_OUT(join '', @_);
}

my $cleaned;

sub clean_up () {
    return if $cleaned++;
    $_->() for @CleanupHandlers;
    Test::Nginx::Socket::Server::stop_tcp_server();
    Test::Nginx::Socket::Server::stop();
    Test::Nginx::Socket::Server::remove_root();
}

sub run_tests () {
    $ENV{TEST_NGINX_SERVER_PORT} //= $ServerPort;

    my @blocks = blocks();
    @blocks = List::Util::shuffle(@blocks) unless $Setting{no_shuffle};

    for my $block (@blocks) {
        $_->($block) for @Preprocessors;
        $block->set_value(name => $block->name);
        run_test($block);
    }

    clean_up();
}

# One block: its nginx is started, asked and stopped.
sub run_test ($) {
    my $block = shift;

    return if defined $block->SKIP;
    refuse_unknown_sections($block);
    if (my ($reason) = map { $_->($block) } \&Test::Nginx::Socket::Protocol::unfit, @Unfit) {
        Test::More->builder->skip($block->name . " - $reason");
        return;
    }

    local $Setting{log_level} = $block->log_level if $block->log_level;

    if (my ($count, $reason, $todo) = skipped($block)) {
        my $skip = $todo ? 'todo_skip' : 'skip';
        Test::More->builder->$skip($block->name . " - $reason") for 1 .. $count * repeat_each();
        return;
    }

    my $failures_before = failures();

    if (defined $block->must_die) {
        Test::Nginx::Socket::Check::must_die($block,
            Test::Nginx::Socket::Server::start($block), $_) for 0 .. repeat_each() - 1;
    }
    elsif (defined(my $status = Test::Nginx::Socket::Server::start($block))) {
        fail($block->name . " - nginx starts (it left with status $status)");
    }
    else {
        run_init($block);
        for my $repeated (0 .. repeat_each() - 1) {
            Test::Nginx::Socket::Server::write_user_files($block) if $repeated;
            run_requests($block, $repeated);
        }
    }

    my $left = Test::Nginx::Socket::Server::stop();
    Test::Nginx::Socket::Check::end($block, $left);
    explain_failure($block) if failures() > $failures_before;
}

sub run_init ($) {
    my $block = shift;
    my $code  = $block->init // return;
    eval "package Test::Nginx::Socket::Init; $code; 1"
      or bail_out($block->name . " - init failed: $@");
}

# Every request of the block in turn, each answer checked before the next
# request leaves.
sub run_requests ($$) {
    my ($block, $repeated) = @_;

    Test::Nginx::Socket::Server::start_tcp_server($block);
    my $pipelined  = $block->pipelined_requests;
    my @requests   = Test::Nginx::Socket::Client::requests($block);
    my $count      = $pipelined ? scalar @$pipelined : scalar @requests;
    my $timeout    = parse_time($block->timeout) // timeout();
    my $received   = '';

    for my $index (0 .. $count - 1) {
        my $context = {
            block    => $block,
            index    => $index,
            last     => $index == $count - 1,
            repeated => $repeated,
            many     => $count > 1 || !!$pipelined,
        };

        if (!$pipelined || $index == 0) {
            $received = Test::Nginx::Socket::Client::send_request($context, $requests[$index],
                $timeout);
        }

        if (!defined $block->ignore_response) {
            (my $response, $received) =
              Test::Nginx::Socket::Client::parse_response($context, $received,
                Test::Nginx::Socket::Client::method_of($block, $index));
            Test::Nginx::Socket::Check::response($context, $response);
        }

        Time::HiRes::sleep(parse_time($block->wait)) if $block->wait;
        Test::Nginx::Socket::Check::logs($context);
    }

    Test::Nginx::Socket::Server::stop_tcp_server();
}

sub refuse_unknown_sections ($) {
    my $block   = shift;
    my @unknown = grep { !$Sections{$_} } @{ $block->{_section_order}[0] || [] };
    bail_out($block->name . " - unknown section: @unknown") if @unknown;
}

# (number of tests, reason, whether it is a "todo"), or nothing if the block runs
sub skipped ($) {
    my $block = shift;

    if (defined(my $spec = $block->skip_nginx)) {
        my ($count, $op, $version, $reason) =
          $spec =~ /^\s*(\d+)\s*:\s*([<>]=?)\s*(\d+\.\d+\.\d+)(?:\s*:\s*(.*?))?\s*$/s
          or bail_out($block->name . " - invalid skip_nginx: $spec");
        my $order = canonical(Test::Nginx::Socket::Server::version()) <=> canonical($version);
        my $holds =
            $op eq '<'  ? $order < 0
          : $op eq '<=' ? $order <= 0
          : $op eq '>'  ? $order > 0
          :               $order >= 0;
        return ($count, $reason || "nginx version $op $version") if $holds;
    }

    if (defined(my $spec = $block->skip_eval)) {
        my ($count, $code) = $spec =~ /^\s*(\d+)\s*:\s*(.*)/s
          or bail_out($block->name . " - invalid skip_eval: $spec");
        my $holds = eval "package Test::Nginx::Socket::Init; $code";
        bail_out($block->name . " - skip_eval failed: $@") if $@;
        return ($count, "skip_eval: $code") if $holds;
    }

    if (defined(my $spec = $block->todo)) {
        my ($count, $reason) = $spec =~ /^\s*(\d+)\s*:\s*(.*)/s
          or bail_out($block->name . " - invalid todo: $spec");
        return ($count, $reason, 'todo');
    }

    return;
}

sub canonical ($) { sprintf '%d%03d%03d', split /\./, shift }

sub failures () { scalar grep { !$_ } Test::More->builder->summary }

sub explain_failure ($) {
    my $block = shift;
    my $log   = Test::Nginx::Socket::Server::log_tail(60);
    Test::More::diag("  In block \"" . $block->name . "\"; the end of its error log:\n",
        $log =~ s/^/    /gmr || "    (empty)\n");
}

# However the run ends, nginx is stopped; PIPE comes when prove is gone.
$SIG{$_} //= sub { $SIG{PIPE} = 'IGNORE'; exit 1 }
  for qw(INT TERM HUP PIPE);

sub END {
    local $?;
    clean_up();
}

1;
