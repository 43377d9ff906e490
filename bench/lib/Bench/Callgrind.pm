# The instructions that one nginx executes, counted by valgrind's callgrind, for each function of each object.
#
# callgrind writes a file, and counts from nought again, whenever nginx enters MARK. Only the location of `mark_location`
# calls that function. So a request for it before and one after the requests that are measured bound the count, at the
# same instruction each time, and the answer comes when the file is complete. What such a request takes itself is
# measured as well, and subtracted.
package Bench::Callgrind;

use strict;
use warnings;
use Exporter 'import';
use File::Basename qw(basename);

our @EXPORT_OK = qw(callgrind_command mark_location least sum_of sum_of_functions dearest);

# Called for $remote_user. It isn't static, so that a stripped nginx has its name as well.
use constant MARK => 'ngx_http_auth_basic_user';
# So many are measured: see `least`.
use constant MARKS => 5;
# The functions of libc that exist in several forms take the one that any x86-64 has, wherever this runs.
use constant PLAIN_LIBC => 'glibc.cpu.hwcaps=' . join ',', map { "-$_" } qw(
    AVX AVX2 AVX512F AVX512VL AVX_Fast_Unaligned_Load BMI2 ERMS FSRM SSSE3 SSE4_1 SSE4_2
);

# What libc's malloc and free call where their own cache of small chunks doesn't do. How much that takes depends on what the heap
# looks like by then: the same request took 6,259 instructions in all in one run, and 6,792 in another. malloc and free themselves count.
use constant HEAP => map { $_ => 1 } qw(_int_malloc _int_free _int_realloc malloc_consolidate unlink_chunk sysmalloc systrim);

# The command that runs nginx and leaves its files in a directory.
sub callgrind_command {
    my ($directory) = @_;
    return (
        'env', 'GLIBC_TUNABLES=' . PLAIN_LIBC,
        qw(valgrind --tool=callgrind --vgdb=no --dump-line=no --compress-strings=no), '--dump-before=' . MARK,
        "--callgrind-out-file=$directory/callgrind",
    );
}

sub mark_location { return '        location = /mark { return 200 "$remote_user"; }' . "\n" }

# client: a Bench::Http with a connection to that nginx; directory: of its files.
sub new {
    my ($class, $client, $directory) = @_;
    my $self = bless { client => $client, directory => $directory, seen => 0 }, $class;
    # the first requests on a connection take more than others
    $self->_mark for 1 .. 20;
    $self->{mark} = least(map { $self->_mark } 1 .. MARKS);
    return $self;
}

# What is executed while $ask sends its requests on the same connection: { object => { function => instructions } },
# objects without their directories.
sub count {
    my ($self, $ask) = @_;
    $self->_mark;
    $ask->();
    my $all = $self->_mark;
    for my $object (keys %{ $self->{mark} }) {
        $all->{$object}{$_} -= $self->{mark}{$object}{$_} for keys %{ $self->{mark}{$object} };
    }
    return _without_heap($all);
}

# A count without what depends on the heap.
sub _without_heap {
    my ($count) = @_;
    my %heap = (HEAP);
    for my $functions (values %$count) {
        delete @$functions{ grep { $heap{ s/[.].*//r } } keys %$functions };
    }
    return $count;
}

# The count with the smallest sum: what comes between, as nginx's clock does once a second, only adds.
sub least {
    my ($least) = sort { sum_of($a) <=> sum_of($b) } @_;
    return $least;
}

# The sum of a count, or of one object in it.
sub sum_of {
    my ($count, $object) = @_;
    my $sum = 0;
    $sum += $_ for map { values %{ $count->{$_} // {} } } $object // keys %$count;
    return $sum;
}

# The sum of those functions of an object whose names match.
sub sum_of_functions {
    my ($count, $object, $names) = @_;
    my $functions = $count->{$object} // {};
    my $sum = 0;
    $sum += $functions->{$_} for grep { /$names/ } keys %$functions;
    return $sum;
}

# The functions that take most: [instructions, object, function]...
sub dearest {
    my ($count, $how_many) = @_;
    my @all;
    for my $object (keys %$count) {
        push @all, map { [$count->{$object}{$_}, $object, $_] } keys %{ $count->{$object} };
    }
    @all = sort { $b->[0] <=> $a->[0] } @all;
    return splice @all, 0, $how_many;
}

# Asks for the mark; what was counted since the one before.
sub _mark {
    my ($self) = @_;
    my $status = $self->{client}->get('/mark')->{status};
    $status == 200 or die "the mark has status $status\n";
    my %count;
    my $before = $self->{seen};
    while (-e (my $file = "$self->{directory}/callgrind." . ($self->{seen} + 1))) {
        _read($file, \%count);
        unlink $file;
        $self->{seen}++;
    }
    $self->{seen} > $before or die 'callgrind has written nothing: nginx has no function ' . MARK . "\n";
    return \%count;
}

# Adds the costs of one file of callgrind. A line behind "calls=" is what the called function took, which has lines of its
# own elsewhere.
sub _read {
    my ($file, $count) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    my ($object, $function, $called) = ('?', '?', 0);
    while (<$in>) {
        if (/^fn=(.*)/) { $function = $1 }
        elsif (/^ob=(.*)/) { $object = basename($1) }
        elsif (/^calls=/) { $called = 1 }
        elsif (/^[+*\d-]/) {
            my (undef, $instructions) = split;
            $count->{$object}{$function} += $instructions // 0 unless $called;
            $called = 0;
        }
    }
}

1;
