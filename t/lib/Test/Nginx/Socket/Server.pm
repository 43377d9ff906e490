package Test::Nginx::Socket::Server;

# The nginx under test: a port and a folder of its own, nginx.conf, start, stop.

use v5.26;
use warnings;

use File::Path qw(make_path remove_tree);
use File::Spec ();
use IO::Socket::INET ();
use IO::Socket::UNIX ();
use POSIX qw(WNOHANG);
use Socket qw(SOCK_STREAM pack_sockaddr_un);
use Time::HiRes qw(sleep time);

my $START_TIMEOUT = 20;    # s until nginx accepts connections
my $QUIT_TIMEOUT  = 20;    # s for a graceful end before it is forced
my $POLL          = 0.004; # s

my $binary = $ENV{TEST_NGINX_BINARY} || 'nginx';

my ($pid, $root, $log_position, $previous_config, $peer);
my (%random_ports, @port_locks);

# --- port and folder ---------------------------------------------------------

my $fixed_port = $ENV{TEST_NGINX_SERVER_PORT} || $ENV{TEST_NGINX_PORT};
my $port       = $fixed_port || free_port();

sub port { $port }

# A port outside the range that outgoing connections draw from, so that none of
# them can take it before nginx does. Other runs keep off it as long as this
# process lives: they see the name of a socket that vanishes with the process.
sub free_port {
    for (1 .. 2000) {
        my $candidate = 10_240 + int rand 22_000;
        socket(my $lock, Socket::AF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
        bind($lock, pack_sockaddr_un("\0test-nginx-port-$candidate")) or next;
        my $probe = IO::Socket::INET->new(
            LocalAddr => '0.0.0.0', LocalPort => $candidate, Proto => 'tcp', Listen => 1)
          or next;
        close $probe;
        push @port_locks, $lock;
        return $candidate;
    }
    Test::Nginx::Socket::bail_out('no free port found');
}

# A fixed port means that one run goes on at a time; then the folder is the one
# that was named. Else each process has its own.
sub root {
    return $root if defined $root;
    my $base = File::Spec->rel2abs($ENV{TEST_NGINX_SERVROOT} || 't/servroot');
    $root = $fixed_port ? $base : "${base}_$port";
    return $ENV{TEST_NGINX_SERVER_ROOT} = $root;
}

root();

sub error_log  { root() . '/logs/error.log' }
sub access_log { root() . '/logs/access.log' }

sub remove_root {
    return if $ENV{TEST_NGINX_NO_CLEAN} || !-d root();
    remove_tree(map { root() . "/$_" } qw(conf html logs temp));
    rmdir root();
}

sub make_root {
    # Only what this module makes is removed: the folder may be somebody's.
    remove_tree(map { root() . "/$_" } qw(conf html logs temp));
    make_path(map { root() . "/$_" } qw(conf html logs temp));
    write_file(root() . '/html/index.html',
        '<html><head><title>It works!</title></head><body>It works!</body></html>');
}

sub write_file {
    my ($path, $text) = @_;
    open my $out, '>:raw', $path or Test::Nginx::Socket::bail_out("can't write $path: $!");
    print $out $text;
    close $out or Test::Nginx::Socket::bail_out("can't write $path: $!");
}

# --- nginx itself ------------------------------------------------------------

sub about {
    state $about = do {
        local $ENV{NGINX};
        delete $ENV{NGINX};
        open my $out, '-|', "exec '$binary' -V 2>&1"
          or Test::Nginx::Socket::bail_out("can't run $binary: $!");
        local $/;
        <$out>;
    };
    return $about;
}

# The version of nginx; Angie says, beside its own, that of the nginx that it comes from.
sub version {
    state $version = about() =~ m{nginx version: [^/]+/(\d+\.\d+\.\d+)}
      ? $1
      : Test::Nginx::Socket::bail_out("can't find out the version of $binary: " . about());
    return $version;
}

# --- configuration -----------------------------------------------------------

sub expand {
    my ($block, $text) = @_;
    return '' unless defined $text;
    $text =~ s{\$(TEST_NGINX_[_A-Z0-9]+)}{
        my $name = $1;
        $name =~ /^TEST_NGINX_RAND_PORT_\d+$/ ? $random_ports{$name} //= free_port()
          : $ENV{$name} // Test::Nginx::Socket::bail_out(
              $block->name . " - the environment has no $name");
    }ge;
    return $text;
}

sub configuration {
    my $block = shift;

    my $config = $block->config;
    if (defined $config) {
        $config = $previous_config = expand($block, $config);
    }
    else {
        $config = $previous_config // Test::Nginx::Socket::bail_out(
            $block->name . ' - neither this block nor one before it has a config section');
    }

    my %setting     = %Test::Nginx::Socket::Setting;
    my $http_config = expand($block, $block->http_config);
    my $main_config = expand($block, $block->main_config);
    my $post_config = expand($block, $block->post_main_config);
    my $server_name = $block->server_name // $setting{server_name};
    my $modules     = join "\n", map { "load_module $_;" } split ' ',
      $ENV{TEST_NGINX_LOAD_MODULES} // '';
    my $master = $setting{master_process_enabled} ? 'on' : 'off';
    my $user   = $> == 0 ? 'user root;' : '';
    my ($error_log, $access_log, $root) = (error_log(), access_log(), root());

    my $temp_paths = join "\n    ", map { "${_}_temp_path $root/temp/$_;" }
      grep { "$http_config$config" !~ /\b${_}_temp_path\b/ }
      'client_body', grep { about() !~ /--without-http_${_}_module/ } qw(proxy fastcgi uwsgi scgi);

    my $root_location = $setting{no_root_location} ? '' : <<"END";
        location / {
            root $root/html;
            index index.html index.htm;
        }
END

    my $listen = Test::Nginx::Socket::Protocol::listen_directives($port, version());
    return <<"END";
worker_processes  $setting{workers};
daemon            off;
master_process    $master;
error_log         $error_log $setting{log_level};
pid               $root/logs/nginx.pid;
$user
$main_config
$modules

http {
    access_log $access_log;
    default_type text/plain;
    keepalive_timeout 68;
    $temp_paths

$http_config

    server {
        $listen
        server_name '$server_name';
        client_max_body_size 30M;

$config

$root_location
    }
}

$post_config

events {
    accept_mutex off;
    worker_connections $setting{worker_connections};
}
END
}

sub write_user_files {
    my $block = shift;
    my $files = $block->user_files // return;

    if (!ref $files) {
        my @parts = split /^>>> (\S+)(?:[ \t]+(\S.*?))?[ \t]*\n/m, $files;
        shift @parts;
        my @list;
        push @list, [ splice @parts, 0, 3 ] while @parts;
        $files = [ map { [ $_->[0], $_->[2], $_->[1] ] } @list ];
    }

    for my $file (@$files) {
        my ($name, $body, $date) = @$file;
        my $path = $name =~ m{^/} ? $name : root() . "/html/$name";
        make_path($path =~ s{/[^/]*$}{}r);
        write_file($path, expand($block, $body));
        next unless $date;
        local $ENV{TZ} = 'GMT';
        system('touch', '-t', $date, $path) == 0
          or Test::Nginx::Socket::bail_out($block->name . " - can't date $path");
    }
}

# --- start and stop ----------------------------------------------------------

# Returns nothing once nginx accepts connections, or its exit status if it left.
sub start {
    my $block = shift;

    stop();
    make_root();
    %random_ports = ();
    $log_position = 0;
    write_user_files($block);
    write_file(root() . '/conf/nginx.conf', configuration($block));
    write_file(error_log(), '');

    $pid = fork() // Test::Nginx::Socket::bail_out("fork: $!");
    exec_nginx() if !$pid;

    my $deadline = time + $START_TIMEOUT;
    while (time < $deadline) {
        if (waitpid($pid, WNOHANG) == $pid) {
            undef $pid;
            return $?;
        }
        return if connectable();
        sleep $POLL;
    }
    Test::Nginx::Socket::bail_out(
        $block->name . " - nginx neither started nor left within $START_TIMEOUT s\n" . log_tail(60));
}

sub exec_nginx {
    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
    setpgrp 0, 0;    # so that a forced end takes the workers along
    delete $ENV{NGINX};    # nginx would take it for inherited sockets
    open STDIN,  '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
    open STDERR, '>>', root() . '/logs/stderr.log';
    no warnings 'exec';
    exec { $binary } $binary, '-p', root() . '/', '-e', error_log(), '-c', root() . '/conf/nginx.conf';
    print STDERR "can't run $binary: $!\n";
    POSIX::_exit(127);
}

sub connectable {
    my $socket = IO::Socket::INET->new(
        PeerAddr => $Test::Nginx::Socket::Setting{server_addr},
        PeerPort => $port, Proto => 'tcp', Timeout => 1);
    return defined $socket;
}

# Whether it left by itself when it was asked to.
sub stop {
    return 1 unless defined $pid;
    my $leader = $pid;
    undef $pid;

    kill QUIT => $leader;
    return 1 if gone($leader, $QUIT_TIMEOUT);

    kill TERM => $leader;
    return 0 if gone($leader, 2);
    kill KILL => -$leader;
    waitpid $leader, 0;
    return 0;
}

sub gone {
    my ($leader, $timeout) = @_;
    my $deadline = time + $timeout;
    my $pause    = 0.001;
    while (time < $deadline) {
        return 1 if waitpid($leader, WNOHANG) != 0;
        sleep $pause;
        $pause = $pause * 2 > 0.05 ? 0.05 : $pause * 2;
    }
    return 0;
}

# --- logs --------------------------------------------------------------------

sub lines_of {
    my ($path, $from) = @_;
    open my $in, '<:raw', $path or return;
    seek $in, $from // 0, 0;
    return <$in>;
}

# The lines written since `log_read()` was last said.
sub log_lines { lines_of(error_log(), $log_position) }
sub log_read  { $log_position = -s error_log() // 0 }

sub whole_log { lines_of(error_log()) }

sub access_lines { lines_of(access_log()) }

sub log_tail {
    my $count = shift;
    my @lines = grep { !/\[debug\]/ } whole_log();
    @lines = lines_of(root() . '/logs/stderr.log') unless @lines;
    splice @lines, 0, @lines - $count if @lines > $count;
    return join '', @lines;
}

# --- a TCP server for blocks that need a peer which misbehaves ---------------

sub start_tcp_server {
    my $block  = shift;
    my $target = $block->tcp_listen // return;
    my $name   = $block->name;

    unlink $target if $target =~ m{/};
    my $listener = $target =~ /^\d+$/
      ? IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $target, Proto => 'tcp', Listen => 5, ReuseAddr => 1)
      : IO::Socket::UNIX->new(Local => $target, Type => SOCK_STREAM, Listen => 5);
    $listener or Test::Nginx::Socket::bail_out("$name - can't listen on $target: $!");

    my $child = fork() // Test::Nginx::Socket::bail_out("$name - fork: $!");
    if ($child) {
        $peer = { pid => $child, socket => $listener, path => $target =~ m{/} ? $target : undef };
        return;
    }

    $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
    $SIG{PIPE} = 'IGNORE';
    serve_one($block, $listener);
    POSIX::_exit(0);
}

sub serve_one {
    my ($block, $listener) = @_;
    my $client = $listener->accept or return;
    $client->recv(my $query, 65_536);
    my $delay = Test::Nginx::Socket::parse_time($block->tcp_reply_delay);
    sleep $delay if $delay;
    my $reply = $block->tcp_reply // '';
    $reply = $reply->($query) if ref $reply eq 'CODE';
    $client->send($_) for ref $reply ? @$reply : $reply;
    sleep 3600 if defined $block->tcp_no_close;
    close $client;
}

sub stop_tcp_server {
    my $server = $peer // return;
    undef $peer;
    kill TERM => $server->{pid};
    waitpid $server->{pid}, 0;
    close $server->{socket};
    unlink $server->{path} if defined $server->{path};
}

1;
