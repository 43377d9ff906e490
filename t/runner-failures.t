# That the runner in t/lib notices: what a block expects in vain fails, that and nothing
# else, while with the right expectation it passes. Each case below is the beginning of a
# block and its endings. Each ending makes a block, in a suite that is thrown away:
#
#   passes          all its tests pass
#   fails: TEXT     one of its tests fails: its name begins so
#   bails: TEXT     the suite ends at once, and says so
#   skips: NUMBER   so many of its tests are skipped, and none runs
#
# A block without `config` has one where /t says "hello"; without `request` it asks for /t.
# `suite_timeout` is the client's patience where a block says nothing of its own.

use v5.26;
use warnings;

use File::Temp ();
use TAP::Parser ();
use Test::More;

my $CONFIG  = qq(--- config\n    location = /t { return 200 "hello\\n"; }\n);
my $REQUEST = "--- request\nGET /t\n";
my $PATIENT = 60;     # s: on a busy machine, too
my $HASTY   = 0.5;    # s until a line that is missing is missed

my $folder = File::Temp->newdir('suites-XXXXXX', TMPDIR => 1);
delete $ENV{TEST_NGINX_LOAD_MODULES};    # nginx's own features will do

my @blocks = map { blocks_of($_) } split /^=== /m, do { local $/; <DATA> };

# --- blocks that pass or are skipped, and such as fail, make a suite each ----------

my @right = grep { $_->{verdict} =~ /^(?:passes|skips)$/ && !$_->{timeout} } @blocks;
my @wrong = grep { $_->{verdict} eq 'fails' && !$_->{timeout} } @blocks;
my @alone = grep { $_->{verdict} eq 'bails' || $_->{timeout} } @blocks;

my $seen = run_suite(text => join '', map { $_->{text} } @right);
ok(!$seen->{problems}, 'a suite of blocks that pass has no problem')
  or diag(join "\n", @{ $seen->{lines} });
judge($_, $seen) for @right;

$seen = run_suite(text => join('', map { $_->{text} } @wrong), log_deadline => $HASTY);
ok($seen->{problems}, 'a suite of blocks that fail has');
judge($_, $seen) for @wrong;

judge($_, run_suite(text => $_->{text}, timeout => $_->{timeout})) for @alone;

# --- what concerns more than one block -------------------------------------------

my $right = "$CONFIG$REQUEST--- response_body\nhello\n\n";
my $wrong = "$CONFIG$REQUEST--- response_body\ngoodbye\n\n";

is_deeply(run_suite(text => "=== one\n$wrong=== two\n$right--- ONLY\n\n=== three\n$wrong")->{names},
    { two => 2 }, 'ONLY: that block runs alone');
is_deeply(run_suite(text => "=== one\n$right=== two\n$right--- LAST\n\n=== three\n$wrong")->{names},
    { one => 2, two => 2 }, 'LAST: no block runs after it');
is_deeply(run_suite(text => "=== one\n$right=== two\n$wrong--- SKIP\n\n=== three\n$right")->{names},
    { one => 2, three => 2 }, 'SKIP: that block does not run');

my $inherited = run_suite(text => "=== one\n$right=== two\n$REQUEST--- response_body\nhello\n");
is_deeply($inherited->{names}, { one => 2, two => 2 }, 'config: that of the block before');
ok(!$inherited->{problems}, 'config: that of the block before answers');

my $lost = run_suite(text => "=== one\n--- config\n--- response_body\nhello\n");
is($lost->{bailed}, 'one - no request', 'request: a block needs one');
$lost = run_suite(text => "=== one\n$REQUEST--- response_body\nhello\n");
like($lost->{bailed}, qr/^one - neither this block nor one before it has a config/,
    'config: the first block needs one');

my $planned = run_suite(text => "=== one\n$right", plan => 3);
ok($planned->{problems}, 'fewer tests than planned are a problem');
ok(!run_suite(text => "=== one\n$right", plan => 2)->{problems}, 'as many as planned are none');

# --- repeat_each -------------------------------------------------------------------

# The answers are noted as they come.
my $note = 'add_response_body_check(sub { print "# answer: $_[3] $_[1]\n" });';
my $id   = '    location = /t { return 200 $request_id; }';
for my $times (1, 3) {
    my $repeated = run_suite(setup => "repeat_each($times); $note",
        text => "=== one\n--- config\n$id\n$REQUEST--- response_body_like: ^\\w{32}\$\n");
    my %answers = map { /^# answer: (\d+) (\w{32})$/ ? ($2 => $1) : () } @{ $repeated->{lines} };
    is_deeply([ sort values %answers ], [ 0 .. $times - 1 ], "repeat_each($times): so many requests");
    is_deeply($repeated->{names}, { one => 2 * $times }, "repeat_each($times): each is checked");
    ok(!$repeated->{problems}, "repeat_each($times): they pass");
}

# What a request finds in the log is its own; the expectation may differ from time to time.
my $log = <<'END';
=== one
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- request
GET /t
--- error_code: 404
--- grep_error_log eval: qr/nowhere/
--- grep_error_log_out eval
END
for my $last ('nowhere', 'somewhere') {
    my $twice = run_suite(setup => 'repeat_each(2);', text => qq($log\["nowhere\\n", "$last\\n"]\n));
    my @failed = map { $_->description } grep { !$_->is_ok } @{ $twice->{tests} };
    is_deeply(\@failed, $last eq 'nowhere' ? [] : ['- one - grep_error_log_out (req 1)'],
        "repeat_each(2): the log of the second time has \"$last\"");
}

my $die = "=== one\n--- config\n    location = /t { return a b c; }\n--- must_die\n";
is_deeply(run_suite(setup => 'repeat_each(2);', text => $die)->{names},
    { one => 2 }, 'repeat_each(2): must_die is checked each time');
is_deeply(run_suite(setup => 'repeat_each(2);', text => "=== one\n$right--- skip_eval: 2: 1\n")->{names},
    { one => 4 }, 'repeat_each(2): as many are skipped');

# --- wait --------------------------------------------------------------------------

my $clock = 'use Time::HiRes; add_response_body_check(sub { print "# at: ", Time::HiRes::time(), "\n" });';
my $waits = run_suite(setup => $clock, text => <<"END");
=== one
$CONFIG--- request eval
["GET /t", "GET /t"]
--- response_body eval
["hello\\n", "hello\\n"]
--- wait: 0.3
END
my @times = map { /^# at: (\S+)$/ ? $1 : () } @{ $waits->{lines} };
cmp_ok($times[1] - $times[0], '>=', 0.3, 'wait: before the next request');

# --- all of it? --------------------------------------------------------------------

# What is said of a section on a passing side must be said on a failing one, too.
my @known = split ' ', qx($^X -It/lib -MTest::Nginx::Socket -e 'print join " ", sort keys %Test::Nginx::Socket::Sections');
my %elsewhere = map { $_ => 1 } qw(name description ONLY SKIP LAST todo);
for my $side ([ 'right', @right, grep { $_->{verdict} eq 'passes' } @alone ], [ 'wrong', @wrong, @alone ]) {
    my ($which, @of_it) = @$side;
    my %there = map { map { $_ => 1 } $_->{text} =~ /^--- (\w+)/mg } @of_it;
    is_deeply([ grep { !$there{$_} && !$elsewhere{$_} } @known ], [], "each section has a $which block");
}

done_testing;

# --- how ---------------------------------------------------------------------------

sub blocks_of {
    my $case = shift;
    my ($title) = $case =~ s/\A(.*)\n// ? $1 : return;
    my ($common, @endings) = split /^--- (?=(?:passes|fails|bails|skips)\b)/m, $case;
    my $number = 0;
    return map {
        my ($verdict, $what, $own) = /\A(\w+)(?:: ([^\n]*))?\n(.*)\z/s or die "not an ending: $_";
        my $name = "$title, " . ++$number;
        my $text = "=== $name\n$common$own";
        my ($timeout) = $text =~ s/^--- suite_timeout: (.*)\n//m ? $1 : undef;
        $text .= $CONFIG  unless $text =~ /^--- config\b/m;
        $text .= $REQUEST unless $text =~ /^--- (?:raw_request|pipelined_requests|request)\b/m;
        { name => $name, verdict => $verdict, what => $what, text => "$text\n", timeout => $timeout };
    } map { s/\n*\z/\n/r } @endings;
}

# Runs a suite as prove does. problems: whether prove would complain; tests: TAP's results;
# names: how many tests each block had; bailed: why it ended early; lines: all it said.
sub run_suite {
    my %suite = @_;
    my $plan  = $suite{plan} ? "tests => $suite{plan}" : "'no_plan'";
    my $path  = "$folder/suite.t";
    open my $out, '>', $path or die "$path: $!";
    print $out 'use Test::Nginx::Socket; ', $suite{setup} // '',
      " plan($plan); no_shuffle(); log_level('info'); no_root_location(); run_tests();\n\n__DATA__\n\n$suite{text}";
    close $out or die "$path: $!";

    local $ENV{TEST_NGINX_TIMEOUT}      = $suite{timeout}      // $PATIENT;
    local $ENV{TEST_NGINX_LOG_DEADLINE} = $suite{log_deadline} // $PATIENT;
    my $parser = TAP::Parser->new({ exec => [ $^X, '-It/lib', $path ], merge => 1 });

    my %seen = (tests => [], names => {}, lines => []);
    while (my $result = $parser->next) {
        push @{ $seen{lines} }, $result->as_string;
        $seen{bailed} = $result->explanation if $result->is_bailout;
        next unless $result->is_test;
        push @{ $seen{tests} }, $result;
        $seen{names}{ $1 }++ if said($result) =~ /^(.*?) - /;
    }
    $seen{problems} = $parser->has_problems || defined $seen{bailed};
    return \%seen;
}

# The name of a test, which skipped ones have as the reason.
sub said {
    my $result = shift;
    my $name = $result->has_skip || $result->has_todo ? $result->explanation : $result->description;
    return $name =~ s/^(?:& SKIP |- )//r;
}

sub judge {
    my ($block, $seen) = @_;
    my ($name, $verdict, $what) = @$block{qw(name verdict what)};

    if ($verdict eq 'bails') {
        like($seen->{bailed} // '', qr/^(?:\Q$name\E - )?\Q$what\E/, "$name: bails out");
        return;
    }

    my @mine   = grep { said($_) =~ /^\Q$name\E - / } @{ $seen->{tests} };
    my @failed = map { said($_) } grep { !$_->is_ok } @mine;
    my @left   = grep { $_->has_skip || $_->has_todo } @mine;
    if ($verdict eq 'fails') {
        ok(@failed == 1 && $failed[0] =~ /^\Q$name - $what\E/, "$name: fails by \"$what\"")
          or diag('but these do: ', join '; ', @failed, $seen->{bailed} // ());
    }
    elsif ($verdict eq 'skips') {
        is(join(' ', scalar @left, 'of', scalar @mine), "$what of $what", "$name: $what tests are skipped");
    }
    else {
        ok(@mine && !@failed && !@left, "$name: passes")
          or diag('but these fail: ', join '; ', @failed, $seen->{bailed} // ());
    }
}

__DATA__

=== config
--- passes
--- response_body
hello
--- fails: response_body - response is expected
--- response_body
goodbye
--- fails: nginx starts (it left with status 256)
--- config
    location = /t { return a b c; }

=== http_config
--- config
    location = /t { return 200 "$mapped\n"; }
--- http_config
    map $uri $mapped { default moon; }
--- passes
--- response_body
moon
--- fails: response_body - response is expected
--- response_body
sun

=== main_config
--- config
--- must_die
--- passes
--- main_config
nonsense;
--- error_log
unknown directive "nonsense"
--- fails: die as expected
--- main_config
env MOON=1;

=== post_main_config
--- config
--- must_die
--- passes
--- post_main_config
nonsense;
--- error_log
unknown directive "nonsense"
--- fails: die as expected
--- post_main_config
env MOON=1;

=== server_name
--- config
    location = /t { return 200 "$server_name\n"; }
--- server_name: moon.example
--- passes
--- response_body
moon.example
--- fails: response_body - response is expected
--- response_body
localhost

=== log_level
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- no_error_log
[error]
--- passes
--- log_level: crit
--- fails: pattern "
--- log_level: error

=== user_files
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/html; }
--- user_files
>>> t
moon
--- passes
--- response_body
moon
--- fails: response_body - response is expected
--- response_body
sun

=== init
--- passes
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/html; }
--- init
open my $out, ">", "$ENV{TEST_NGINX_SERVER_ROOT}/html/t" or die $!; print $out "moon\n"; close $out;
--- response_body
moon
--- fails: response_body - response is expected
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/html; }
--- init
open my $out, ">", "$ENV{TEST_NGINX_SERVER_ROOT}/html/t" or die $!; print $out "moon\n"; close $out;
--- response_body
sun
--- bails: init failed: no moon
--- init
die "no moon\n";

=== must_die
--- passes
--- config
    location = /t { return a b c; }
--- must_die
--- fails: die as expected
--- must_die
--- passes
--- config
    location = /t { return a b c; }
--- must_die: 1
--- fails: die with the expected exit code
--- config
    location = /t { return a b c; }
--- must_die: 2
--- fails: pattern "
--- config
    location = /t { return a b c; }
--- must_die
--- error_log
unknown directive

=== request
--- config
    location / { return 200 "$request_method $request_uri $http_x_moon\n"; }
--- passes
--- request
POST /moon
--- response_body eval: "POST /moon \n"
--- fails: response_body - response is expected
--- request
POST /moon
--- response_body eval: "GET /moon \n"
--- fails: response_body - response is expected (repeated req 0, req 1)
--- request eval: ["GET /a", "GET /b", "GET /c"]
--- response_body eval: ["GET /a \n", "GET /x \n", "GET /c \n"]
--- bails: several requests need an array
--- request eval: ["GET /a", "GET /b"]
--- response_body
GET /a

=== raw_request
--- config
    location / { return 200 "$request_method $request_uri $http_x_moon\n"; }
--- raw_request eval: "GET /raw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
--- passes
--- response_body eval: "GET /raw \n"
--- fails: response_body - response is expected
--- response_body eval: "GET / \n"

=== raw_request_middle_delay
--- config
    location = /t { return 200 "$request_time\n"; }
--- raw_request eval: ["GET /t HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", "\r\n"]
--- raw_request_middle_delay: 0.3
--- passes
--- response_body_like: ^(0\.(29|[3-9])|[1-9])
--- fails: response_body_like
--- response_body_like: ^0\.[01]

=== pipelined_requests
--- config
    location / { return 200 "$request_method $request_uri $http_x_moon\n"; }
--- pipelined_requests eval: ["GET /a", "GET /b", "GET /c"]
--- passes
--- response_body eval: ["GET /a \n", "GET /b \n", "GET /c \n"]
--- fails: response_body - response is expected (repeated req 0, req 2)
--- response_body eval: ["GET /a \n", "GET /b \n", "GET /x \n"]
--- fails: status code ok
--- error_code eval: [200, 404, 200]

=== more_headers
--- config
    location / { return 200 "$request_method $request_uri $http_x_moon\n"; }
--- passes
--- more_headers
X-Moon: full
--- response_body
GET /t full
--- fails: response_body - response is expected
--- more_headers
X-Moon: full
--- response_body
GET /t new
--- fails: response_body - response is expected (repeated req 0, req 1)
--- request eval: ["GET /t", "GET /t"]
--- more_headers eval: ["X-Moon: full", "X-Moon: half"]
--- response_body eval: ["GET /t full\n", "GET /t new\n"]

=== tcp_listen, tcp_reply
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply eval: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoon\n"
--- passes
--- response_body
moon
--- fails: response_body - response is expected
--- response_body
sun

=== tcp_reply_delay
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; add_header X-Took $request_time; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply eval: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoon\n"
--- tcp_reply_delay: 0.3
--- passes
--- response_headers_like
X-Took: (0\.(29|[3-9])|[1-9]).*
--- fails: header X-Took like ok
--- response_headers_like
X-Took: 0\.[01].*

=== tcp_no_close
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_no_close
--- passes
--- tcp_reply eval: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoon\n"
--- response_body
moon
--- fails: the client waited 0.2 s in vain
--- tcp_reply eval: "HTTP/1.1 200 OK\r\n\r\nmoon\n"
--- timeout: 0.2
--- ignore_response

=== timeout
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply eval: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nmoon\n"
--- passes
--- suite_timeout: 0.2
--- tcp_reply_delay: 0.5
--- timeout: 20
--- response_body
moon
--- fails: the client waited 0.2 s in vain
--- suite_timeout: 0.2
--- tcp_reply_delay: 100
--- ignore_response
--- fails: the client waited 0.1 s in vain
--- tcp_reply_delay: 100
--- timeout: 100ms
--- ignore_response
--- bails: invalid time "soon"
--- timeout: soon

=== abort
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply: nothing yet
--- tcp_reply_delay: 100
--- timeout: 0.2
--- abort
--- passes
--- error_code:
--- fails: status code ok
--- error_code: 200

=== shutdown
--- more_headers
Connection: keep-alive
--- passes
--- shutdown
--- response_body
hello
--- fails: response_body - response is expected
--- shutdown
--- response_body
goodbye
--- fails: the client waited 0.2 s in vain
--- timeout: 0.2
--- ignore_response

=== wait
--- wait: 0.01
--- passes
--- response_body
hello
--- fails: response_body - response is expected
--- response_body
goodbye

=== ignore_response
--- config
    location = /t { return 444; }
--- ignore_response
--- passes
--- no_error_log
moon
--- fails: pattern "(?^u:moon)" matches a line in error.log
--- error_log
moon

=== response_body
--- passes
--- response_body eval: qr/^h.*o$/
--- fails: response_body - response is expected
--- response_body eval: qr/^g.*e$/
--- fails: response_body - response is expected
--- response_body chomp
hello
--- fails: response_body - response is expected
--- config eval
q[location = /t { return 200 "] . "x" x 500 . q[y"; }]
--- response_body eval: "x" x 501
--- fails: response_body - response is expected
--- config
    location = /t { return 200 ""; }
--- response_body
hello

=== response_body_like
--- passes
--- response_body_like: ^hel+o$
--- fails: response_body_like
--- response_body_like: ^help$

=== response_body_unlike
--- passes
--- response_body_unlike: moon
--- fails: response_body_unlike
--- response_body_unlike: hell

=== response_body_filters
--- passes
--- response_body_filters eval: ["uc", sub { "<$_[0]>" }]
--- response_body eval: "<HELLO\n>"
--- fails: response_body - response is expected
--- response_body_filters eval: ["uc", sub { "<$_[0]>" }]
--- response_body
hello
--- bails: unknown filter "moon"
--- response_body_filters
moon
--- response_body
hello

=== response_headers
--- config
    location = /t { add_header X-Moon full; add_header X-Two a; add_header X-Two b; return 200 "hello\n"; }
--- passes
--- response_headers
X-Moon: full
X-Two: a, b
! X-Sun
--- fails: header X-Moon ok
--- response_headers
X-Moon: new
X-Two: a, b
--- fails: header X-Sun ok
--- response_headers
X-Moon: full
X-Sun: 1
--- fails: header X-Two ok
--- response_headers
X-Two: a
--- fails: header X-Moon not present in the raw headers
--- response_headers
! X-Moon

=== response_headers_like
--- config
    location = /t { add_header X-Moon full; add_header X-Two a; add_header X-Two b; return 200 "hello\n"; }
--- passes
--- response_headers_like
X-Moon: f.l+
--- fails: header X-Moon like ok
--- response_headers_like
X-Moon: ful

=== raw_response_headers_like
--- config
    location = /t { add_header X-Moon full; add_header X-Two a; add_header X-Two b; return 200 "hello\n"; }
--- passes
--- raw_response_headers_like: X-Two: a\r\nX-Two: b
--- fails: raw resp headers like
--- raw_response_headers_like: X-Two: b\r\nX-Two: a

=== raw_response_headers_unlike
--- config
    location = /t { add_header X-Moon full; add_header X-Two a; add_header X-Two b; return 200 "hello\n"; }
--- passes
--- raw_response_headers_unlike: X-Sun
--- fails: raw resp headers unlike
--- raw_response_headers_unlike: X-Moon

=== error_code
--- config
    location = /t { return 418; }
--- passes
--- error_code: 418
--- fails: status code ok
--- error_code: 404
--- fails: status code ok

=== error_code_like
--- config
    location = /t { return 418; }
--- passes
--- error_code_like: ^4(04|18)$
--- fails: status code ok
--- error_code_like: ^2

=== chunked body
--- fails: chunked body: no last chunk
--- config
    location = /t { proxy_pass http://unix:$TEST_NGINX_SERVER_ROOT/html/peer.sock; }
--- tcp_listen eval: "$ENV{TEST_NGINX_SERVER_ROOT}/html/peer.sock"
--- tcp_reply eval: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nmoon\n\r\n"

=== error_log
--- passes
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- error_log
nowhere/t
failed (2: No such file
--- fails: pattern "(?^u:somewhere\/t)" matches a line in error.log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- error_log
somewhere/t
--- fails: pattern "(?^u:moon)" matches a line in error.log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- error_log eval: ["nowhere/t", "moon"]
--- passes
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- error_log eval: qr/\[error\] .*No such file/
--- fails: pattern "(?^:\[crit\])" matches a line in error.log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- error_log eval: qr/\[crit\]/
--- fails: pattern "(?^u:nowhere\/t)" matches a line in error.log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
    location = /u { return 200; }
--- request eval: ["GET /t", "GET /u"]
--- error_code eval: [404, 200]
--- error_log
nowhere/t

=== no_error_log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- passes
--- no_error_log
[crit]
[alert]
--- fails: pattern "(?^u:\[error\])" does not match a line in error.log
--- no_error_log
[crit]
[error]

=== grep_error_log, grep_error_log_out
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- grep_error_log eval: qr/open\(\) ".*?nowhere/
--- passes
--- grep_error_log_out eval: qr/\Aopen\(\) "\S+nowhere\n\z/
--- fails: grep_error_log_out
--- grep_error_log_out
open() "moon

=== grep_error_log
--- config
    location = /t { root $TEST_NGINX_SERVER_ROOT/nowhere; }
--- error_code: 404
--- fails: grep_error_log_out
--- grep_error_log eval: qr/open\(\) ".*?nowhere/
--- grep_error_log_out eval: ""
--- fails: grep_error_log_out
--- grep_error_log
moon
--- grep_error_log_out
moon
--- bails: no grep_error_log_out
--- grep_error_log
moon

=== access_log
--- passes
--- access_log
GET /t
--- fails: pattern "(?^u:GET\ \/moon)" matches a line in access.log
--- access_log
GET /moon

=== no_access_log
--- passes
--- no_access_log
GET /moon
--- fails: pattern "(?^u:GET\ \/t)" does not match a line in access.log
--- no_access_log
GET /t

=== [alert]
--- init
open my $out, ">>", "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log" or die $!; print $out "[alert] moon\n"; close $out;
--- fails: an alert: 
--- passes
--- error_log
[alert] moon

=== skip_nginx
--- passes
--- skip_nginx: 2: < 1.0.0
--- response_body
hello
--- fails: response_body - response is expected
--- skip_nginx: 2: < 1.0.0
--- response_body
goodbye
--- skips: 2
--- response_body
goodbye
--- skip_nginx: 2: > 1.0.0: for old ones
--- skips: 2
--- response_body
goodbye
--- skip_nginx: 2: >= 1.0.0: for old ones
--- skips: 3
--- response_body
goodbye
--- skip_nginx: 3: < 99.0.0
--- skips: 3
--- response_body
goodbye
--- skip_nginx: 3: <= 99.0.0
--- bails: invalid skip_nginx: 2: < moon
--- skip_nginx: 2: < moon

=== skip_eval
--- passes
--- skip_eval: 2: 1 == 2
--- response_body
hello
--- fails: response_body - response is expected
--- skip_eval: 2: 1 == 2
--- response_body
goodbye
--- skips: 2
--- response_body
goodbye
--- skip_eval: 2: 1 == 1
--- bails: skip_eval failed: no moon
--- skip_eval: 2: die "no moon\n"

=== todo
--- skips: 2
--- response_body
goodbye
--- todo: 2: later
--- bails: invalid todo: later
--- todo: later

=== eval
--- passes
--- response_body eval: "hel" . "lo\n"
--- fails: response_body - response is expected
--- response_body eval: "hel" . "p\n"
--- fails: response_body - response is expected
--- response_body eval: die "hello\n" x 2
--- fails: response_body - response is expected
--- response_body eval: "hello

=== a misspelt section
--- bails: unknown section: respones_body
--- respones_body
hello
