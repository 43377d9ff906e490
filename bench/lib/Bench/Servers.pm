# The servers of a measurement: nginx with a given configuration, Redis, memcached, a static backend.
package Bench::Servers;

use strict;
use warnings;
use Exporter 'import';
use IO::Socket::INET;
use Time::HiRes qw(sleep time);
use Bench::Backend qw(body_of);
use Bench::Process qw(free_port spawn_on wait_for_port children);

use constant SLOTS => 16384;        # of a Redis Cluster

our @EXPORT_OK = qw(start_nginx start_redis start_cluster secure_redis start_memcached redis_command redis_calls write_bodies
    nginx_version);

# Files 1024, 32768 ... with as many bytes.
sub write_bodies {
    my ($directory, @sizes) = @_;
    mkdir $directory;
    for my $size (@sizes) {
        open my $file, '>', "$directory/$size" or die "$directory/$size: $!\n";
        print $file body_of($size);
        close $file;
    }
}

# nginx in a directory of its own: { port, pid, workers => [pid...] }.
#   binary, cores, directory, workers, listen => text, modules => [path...], http => text, server => text;
#   under => [command...]: runs nginx, as one process that is its own worker
sub start_nginx {
    my (%o) = @_;
    my ($dir, $port) = ($o{directory}, free_port());
    mkdir $dir;
    my $modules = join '', map { "load_module $_;\n" } @{ $o{modules} // [] };
    my $user = $> == 0 ? "user root;\n" : '';       # temporary directories are for their owner only
    my @under = @{ $o{under} // [] };
    my $workers = @under ? 0 : $o{workers} // 1;
    my $processes = @under ? 'master_process off;' : "worker_processes $workers;";
    my $listen = defined $o{listen} ? " $o{listen}" : '';
    open my $conf, '>', "$dir/nginx.conf" or die "$dir/nginx.conf: $!\n";
    print $conf <<"CONF";
$modules${user}daemon off;
$processes
worker_rlimit_nofile 16384;
error_log $dir/error.log warn;
pid $dir/nginx.pid;
lock_file $dir/nginx.lock;
events { worker_connections 4096; }
http {
    access_log off;
    default_type application/octet-stream;
    sendfile on;
    # the default of 1000 would make the load generator connect anew all the time
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    client_body_temp_path $dir/t1;
    proxy_temp_path $dir/t2;
    fastcgi_temp_path $dir/t3;
    uwsgi_temp_path $dir/t4;
    scgi_temp_path $dir/t5;
$o{http}
    server {
        listen 127.0.0.1:$port$listen;
$o{server}
    }
}
CONF
    close $conf;

    my $log = "$dir/error.log";
    my $pid = spawn_on($o{cores}, $log, @under, $o{binary}, '-e', $log, '-p', $dir, '-c', "$dir/nginx.conf");
    wait_for_port($port, $pid, $log, @under ? 60 : 10);
    my $until = time + 5;
    my @pids;
    # proxy_cache has a manager and a loader beside the workers
    until ((@pids = grep { _is_worker($_) } children($pid)) == $workers) {
        die "$dir: nginx has " . @pids . " of $workers workers\n" if time > $until;
        sleep 0.02;
    }
    @pids = $pid if @under;
    return { port => $port, pid => $pid, workers => \@pids, log => $log };
}

sub _is_worker {
    my ($pid) = @_;
    open my $title, '<', "/proc/$pid/cmdline" or return 0;
    return (<$title> // '') =~ /worker process/;
}

sub nginx_version {
    my ($binary) = @_;
    return `$binary -v 2>&1` =~ m{nginx/(\S+)} ? $1 : '?';
}

# A Redis that listens at a port of its own and at a unix socket: both.
sub start_redis {
    my ($cores, $directory, @options) = @_;
    my $port = free_port();
    my $socket = "$directory/redis.sock";
    _redis_server($cores, $directory, $port, '--unixsocket', $socket, @options);
    return ($port, $socket);
}

# A Redis Cluster of so many masters, each with an equal share of the slots: their ports.
sub start_cluster {
    my ($cores, $directory, $masters) = @_;
    mkdir $directory;
    my @ports;
    for my $nth (1 .. $masters) {
        my $port = _port_with_bus();
        _redis_server($cores, "$directory/$nth", $port, '--cluster-enabled', 'yes');
        my ($first, $behind) = map { int(SLOTS * $_ / $masters) } $nth - 1, $nth;
        _expect_ok($port, 'CLUSTER', 'ADDSLOTS', $first .. $behind - 1);
        _expect_ok($port, 'CLUSTER', 'SET-CONFIG-EPOCH', $nth);
        push @ports, $port;
    }
    _expect_ok($_, 'CLUSTER', 'MEET', '127.0.0.1', $ports[0]) for @ports[1 .. $#ports];
    my $until = time + 20;
    for my $port (@ports) {
        until (_is_complete($port, $masters)) {
            die "the cluster isn't complete after 20 s, see $directory\n" if time > $until;
            sleep 0.05;
        }
    }
    return @ports;
}

# Whether this node knows all masters, and a master for each slot.
sub _is_complete {
    my ($port, $masters) = @_;
    my $info = _bulk(_ask_redis($port, 'CLUSTER', 'INFO'));
    return $info =~ /^cluster_state:ok\r$/m && $info =~ /^cluster_known_nodes:$masters\r$/m
        && $info =~ /^cluster_size:$masters\r$/m;
}

# A port that is free, and with it the one on which the nodes of a cluster speak with each other.
sub _port_with_bus {
    for (1 .. 100) {
        my $port = free_port();
        next if $port + 10_000 > 65_535;
        return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + 10_000, Listen => 1);
    }
    die "no free port for a node of a cluster\n";
}

sub _redis_server {
    my ($cores, $directory, $port, @options) = @_;
    mkdir $directory;
    my $log = "$directory/redis.log";
    my $pid = spawn_on($cores, $log, 'redis-server', '--bind', '127.0.0.1', '--port', $port, '--dir', $directory,
        '--save', '', '--appendonly', 'no', @options);
    wait_for_port($port, $pid, $log);
}

sub _expect_ok {
    my ($port, @command) = @_;
    my $said = redis_command($port, @command);
    $said eq '+OK' or die "redis, @command[0, 1]: $said\n";
}

# Lets a Redis listen for TLS as well: where, and the file of its certificate, which has signed itself.
sub secure_redis {
    my ($port, $directory) = @_;
    my ($secured, $certificate, $key) = (free_port(), "$directory/redis.pem", "$directory/redis.key");
    my @openssl = (
        qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=redis),
        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', $key, '-out', $certificate,
    );
    system("@openssl 2>/dev/null") == 0 or die "openssl makes no certificate for Redis\n";
    my $said = redis_command(
        $port, qw(CONFIG SET tls-auth-clients no), 'tls-cert-file', $certificate, 'tls-key-file', $key,
        'tls-ca-cert-file', $certificate, 'tls-port', $secured,
    );
    $said eq '+OK' or die "redis listens for no TLS: $said\n";
    return ($secured, $certificate);
}

sub start_memcached {
    my ($cores, $directory) = @_;
    mkdir $directory;
    my $port = free_port();
    my $log = "$directory/memcached.log";
    my @user = $> == 0 ? ('-u', 'root') : ();
    # -I: an item of 1 MB and its header doesn't fit the default limit
    my $pid = spawn_on($cores, $log, 'memcached', @user, '-l', '127.0.0.1', '-p', $port, '-U', 0, '-m', 128, '-I', '8m');
    wait_for_port($port, $pid, $log);
    return $port;
}

# Sends one command and returns the reply's first line.
sub redis_command {
    my $socket = _ask_redis(@_);
    return _line($socket);
}

# How often Redis has run a command since it was started.
sub redis_calls {
    my ($port, $command) = @_;
    my $statistics = _bulk(_ask_redis($port, 'INFO', 'commandstats'));
    return $statistics =~ /^cmdstat_\Q$command\E:calls=(\d+)/m ? $1 : 0;
}

sub _ask_redis {
    my ($port, @words) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 5)
        or die "redis: $!\n";
    print $socket '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    $socket->flush;
    return $socket;
}

# The string that a reply consists of.
sub _bulk {
    my ($socket) = @_;
    my $line = _line($socket);
    my ($length) = $line =~ /^\$(\d+)$/ or die "redis said no string: $line\n";
    read($socket, my $text, $length) == $length or die "redis closed the connection\n";
    return $text;
}

sub _line {
    my ($socket) = @_;
    my $line = <$socket> // die "redis closed the connection\n";
    return $line =~ s/\r\n//r;
}

1;
