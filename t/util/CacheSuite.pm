package CacheSuite;

# What the suites share. `use CacheSuite;` after `use Test::Nginx::Socket;` gives
# every block
#
#   - a zone "locks" and a store "main" (the Redis at TEST_NGINX_REDIS_PORT),
#   - an upstream "backend": a second server of the same nginx, whose locations
#     stand in the block's section `backend`,
#   - in its own server the directives that name zone, store, key and header.
#     `use CacheSuite 'variables';` leaves these out, for suites that set $cache_*.
#
# Each block has keys of its own: they begin with $TEST_NGINX_KEY, which stands
# for it in configuration. In the sections below it is written $KEY.
#
# Sections of ours, each checked once a request is answered, and awaited, since
# records are stored behind the client's back. For several requests they may be
# arrays, with undef where nothing is looked at:
#
#   backend_log     the requests that the backend has seen so far; how they are
#                   written is the block's section `backend_format`
#   redis           lines "COMMAND WORDS => PATTERN": what Redis says; a TTL may be
#                   shorter by no more than the block has taken so far
#   after           code to run then (no check)
#
# With TEST_NGINX_STORE=memory the store is in shared memory alone: see `unfit`.
#
# The lines of a block's `error_log` are awaited as well, since some tell what became of
# a write; that they are there is for the runner to check, which then needn't wait.

use v5.26;
use warnings;

use B::Deparse ();
use POSIX ();
use RedisClient ();
use RedisServer ();
use Test::More ();
use Time::HiRes qw(sleep time);

my $PATIENCE = 20;      # s until something must have happened
my $SETTLE   = 0.03;    # s in which something more could happen

# With TEST_NGINX_STORE=memory the store is in shared memory alone. Then nobody looks at what is in Redis.
my $alone = ($ENV{TEST_NGINX_STORE} // '') eq 'memory';

my ($with_directives, $redis, $own_redis);
my $block_number = 0;
my $began;               # when the block did

sub import {
    my ($class, $what) = @_;
    $with_directives = ($what // '') ne 'variables';

    no strict 'refs';
    *{"main::$_"} = \&$_ for qw(redis record age http_date backend_requests backend_has log_has
      without_assertions);

    if (!$ENV{TEST_NGINX_REDIS_PORT}) {
        $own_redis = RedisServer->start;
        $ENV{TEST_NGINX_REDIS_PORT} = $own_redis->port;
    }
    $redis = RedisClient->new($ENV{TEST_NGINX_REDIS_PORT});

    # Our own runner refuses sections that it hasn't heard of.
    no warnings 'once';
    $Test::Nginx::Socket::Sections{$_} = 1
      for qw(backend backend_log backend_format redis after);

    push @Test::Nginx::Socket::Unfit, \&unfit if $alone;

    Test::Nginx::Socket::master_on();
    Test::Nginx::Socket::workers($ENV{TEST_NGINX_WORKERS} || 1);
    Test::Nginx::Socket::log_level('info');
    Test::Nginx::Socket::no_shuffle();
    Test::Nginx::Socket::no_long_string();
    Test::Nginx::Socket::no_root_location();
    Test::Nginx::Socket::add_block_preprocessor(\&prepare);
    Test::Nginx::Socket::add_response_body_check(\&check);
    Test::Nginx::Socket::add_cleanup_handler(\&forget_keys);
}

# --- for `skip_eval` -----------------------------------------------------------

# Whether the module was built without assertions: it then doesn't know the variables of the
# environment by which it panics or has no memory. nginx's own --with-debug, which Debian's has,
# says nothing of it.
sub without_assertions {
    open my $in, '<:raw', $ENV{TEST_NGINX_LOAD_MODULES} or return 1;
    local $/;
    return index(<$in>, 'REDIS_CACHE_PANIC') < 0;
}

# --- for sections `init` and `after` -------------------------------------------

sub redis { return $redis->command(map { with_key($_) } @_) }

# Writes a record as the Lua script does. Fields: status, headers, body; ttl in
# seconds (0: none); more => [field, value ...].
sub record {
    my ($uri, %field) = @_;
    my $key = "$ENV{TEST_NGINX_KEY}$uri";
    $redis->command('HSET', $key,
        status  => $field{status}  // 200,
        headers => $field{headers} // '{"Content-Type":"text\/plain"}',
        body    => $field{body}    // "from the record\n",
        @{ $field{more} || [] });
    my $ttl = $field{ttl} // 220;
    $redis->command('PEXPIRE', $key, int $ttl * 1000) if $ttl;
}

# Leaves the record of a URI so many seconds to live, once it is stored.
sub age {
    my ($uri, $ttl) = @_;
    my $key = "$ENV{TEST_NGINX_KEY}$uri";
    eventually(sub { $redis->command('PEXPIRE', $key, int $ttl * 1000) })
      or Test::Nginx::Socket::bail_out("no record of $uri");
}

# The time so many seconds from now, as headers have it.
sub http_date {
    my $offset = shift // 0;
    return POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime time + $offset);
}

# --- before a block ------------------------------------------------------------

sub prepare {
    my $block = shift;
    $began = time;
    $ENV{TEST_NGINX_KEY} = sprintf 't.%d.%d.%d', time, $$, ++$block_number;

    my $backend = $block->backend        // "location / { return 200 \"from the backend\\n\"; }";
    my $format  = $block->backend_format // '$request_method $request_uri';
    $format =~ s/\s+\z//;
    my $more = $block->http_config // '';
    my $store = $alone ? '        memory 16m;' : <<'END';
        server 127.0.0.1:$TEST_NGINX_REDIS_PORT;
        connect_timeout 10s;
        send_timeout 10s;
        read_timeout 10s;
END

    $block->set_value(http_config => <<"END");
    redis_cache_zone locks 1m;
    redis_cache_store main {
$store
    }
    log_format backend escape=none '$format';
    upstream backend {
        server unix:\$TEST_NGINX_SERVER_ROOT/html/backend.sock;
    }
    server {
        listen unix:\$TEST_NGINX_SERVER_ROOT/html/backend.sock;
        access_log \$TEST_NGINX_SERVER_ROOT/logs/backend.log backend;
$backend
    }
$more
END

    $block->set_value(config => <<"END" . ($block->config // '')) if $with_directives;
        redis_cache_lock locks;
        redis_cache_pass main;
        redis_cache_key \$TEST_NGINX_KEY\$request_uri;
        redis_cache_header X-Cache;
END
}

# Why a block can't run with a store in shared memory alone; nothing if it can.
sub unfit {
    my $block = shift;
    my @commands = map { /^\s*(\w+)/mg } grep { defined && !ref } map { ref eq 'ARRAY' ? @$_ : $_ } scalar $block->redis;
    return 'what the block does to records is for Redis'
      if grep { !/^(?:P?TTL|EXISTS|H?GET|HMGET|HLEN|HEXISTS|HSTRLEN|KEYS|LRANGE|TYPE)$/ } @commands;
    for my $code (grep { defined } map { ref eq 'ARRAY' ? @$_ : $_ } map { scalar $block->$_ } qw(init after)) {
        my $text = ref $code ? B::Deparse->new->coderef2text($code) : $code;
        return 'what the block does to records is for Redis' if $text =~ /\b(?:redis|record|damage|lease|age\w*)\b/;
    }
    my $text = join "\n", map { $block->$_ // '' } qw(config http_config);
    return 'the block is about where records come from' if $text =~ /\$redis_cache_source\b/;
    return;
}

# --- after an answer -----------------------------------------------------------

sub check {
    my ($block, undef, $index) = @_;
    my $requests = $block->pipelined_requests // $block->raw_request // $block->request;
    my $last = ref $requests && !defined $block->raw_request ? $#$requests : 0;

    my $expected = sub {
        my $value = shift;
        return ref $value eq 'ARRAY' ? $value->[$index] : $index == $last ? $value : undef;
    };

    if (defined(my $code = $expected->(scalar $block->after))) {
        $code->();
    }
    if (!$alone && defined(my $lines = $expected->(scalar $block->redis))) {
        check_redis($block->name, $_) for grep { /\S/ } split /\n/, $lines;
    }
    if (defined(my $lines = $expected->(scalar $block->backend_log))) {
        check_backend($block->name, $lines);
    }
    await_log($block->error_log) if $index == $last;
}

sub check_redis {
    my ($name, $line) = @_;
    my ($command, $pattern) = $line =~ /^\s*(.+?)\s+=>(?:\s+(.*?))?\s*$/
      or Test::Nginx::Socket::bail_out("$name - not a line of section redis: $line");
    $pattern = with_key($pattern // '');

    my $reply;
    my $matches = eventually(sub {
        $reply = shown(redis(split ' ', $command));
        my $passed = $command =~ /^TTL / && $reply =~ /^[0-9]+$/ ? POSIX::ceil(time - $began) : 0;
        return scalar grep { ($_ ? $reply + $_ : $reply) =~ /\A(?:$pattern)\z/s } 0 .. $passed;
    });
    Test::More::ok($matches, "$name - redis: $command => $pattern")
      or Test::More::diag("    it says: $reply");
}

sub check_backend {
    my ($name, $want) = @_;
    eventually(sub { in_order(backend_requests(), $want) eq $want });
    sleep $SETTLE;
    Test::Nginx::Socket::is_str(in_order(backend_requests(), $want), $want,
        "$name - requests to the backend");
}

# Two workers write their lines when they come to it: then their order says nothing.
sub in_order {
    my ($seen, $want) = @_;
    return $seen if ($ENV{TEST_NGINX_WORKERS} || 1) == 1;
    my ($lines, $wanted) = map { join "\n", sort split /\n/, $_ } $seen, $want;
    return $lines eq $wanted ? $want : $seen;
}

sub backend_requests {
    open my $in, '<:raw', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/backend.log" or return '';
    local $/;
    return <$in> // '';
}

# Waits until the backend has seen so many requests.
sub backend_has {
    my $count = shift;
    eventually(sub { my @lines = split /\n/, backend_requests(); @lines >= $count })
      or Test::Nginx::Socket::bail_out("the backend was not asked $count times");
}

# Waits until the error log has a text.
sub log_has {
    my $text = shift;
    await_log($text) or Test::Nginx::Socket::bail_out("the error log has no \"$text\"");
}

# Waits for what a section `error_log` may be: texts line by line, a pattern, or a list of
# either. Whether all came.
sub await_log {
    my @wanted = map { ref ? $_ : map { qr/\Q$_\E/ } grep { /\S/ } split /\n/ }
      grep { defined } map { ref eq 'ARRAY' ? @$_ : $_ } @_;
    return eventually(sub {
        my @lines = split /^/, error_log();
        @wanted = grep { my $pattern = $_; !grep { /$pattern/ } @lines } @wanted;
        return !@wanted;
    });
}

sub error_log {
    open my $in, '<:raw', "$ENV{TEST_NGINX_SERVER_ROOT}/logs/error.log" or return '';
    local $/;
    return <$in> // '';
}

sub eventually {
    my $holds = shift;
    my $deadline = time + $PATIENCE;
    until ($holds->()) {
        return 0 if time > $deadline;
        sleep 0.01;
    }
    return 1;
}

sub shown {
    my $reply = shift;
    return ref $reply ? join ' ', map { shown($_) } @$reply : $reply // '(nil)';
}

sub with_key { return shift =~ s/\$KEY\b/$ENV{TEST_NGINX_KEY}/gr }

# The suite's keys, should they lack an expiry.
sub forget_keys {
    return unless $redis;
    my $mine   = sprintf '*t.*.%d.*', $$;
    my $cursor = 0;
    do {
        my $reply = $redis->command('SCAN', $cursor, 'MATCH', $mine, 'COUNT', 1000);
        return unless ref $reply;
        $cursor = $reply->[0];
        $redis->command('DEL', @{ $reply->[1] }) if @{ $reply->[1] };
    } while ($cursor);
}

1;
