# What bench/instructions judges by, without a server: files of callgrind, the baseline, the bounds.
use strict;
use warnings;
use File::Temp qw(tempdir);
use Test::More;
use Bench::Baseline qw(read_baseline write_baseline judge bound);
use Bench::Callgrind qw(dearest sum_of sum_of_functions);

my $directory = tempdir(CLEANUP => 1);

# A client whose requests for the mark each leave the next file of callgrind.
package Marks {
    sub new { my ($class, @files) = @_; return bless { files => \@files, written => 0 }, $class }

    sub get {
        my ($self) = @_;
        my $text = shift @{ $self->{files} } // return { status => 200 };
        open my $file, '>', "$directory/callgrind." . ++$self->{written} or die $!;
        print $file $text;
        return { status => 200 };
    }
}

# The calls' own costs aren't the caller's.
my $mark = "ob=/lib/libc.so.6\nfl=x.c\nfn=memcpy\n0 7\n\n";
my $round = <<'FILE';
version: 1
positions: line
events: Ir
ob=/build/module.so
fl=a.rs
fn=hit
0 100
fi=b.rs
+3 20
cob=/lib/libc.so.6
cfi=x.c
cfn=memcpy
calls=2 0
0 5000
fe=a.rs
* 3

fn=miss
0 40

ob=/lib/libc.so.6
fl=x.c
fn=memcpy
0 57

fn=_int_free
0 11

fn=unlink_chunk.constprop.0
0 13
totals: 244
FILE
my $callgrind = Bench::Callgrind->new(Marks->new(($mark) x 26, $round), $directory);
my $count = $callgrind->count(sub { });
is(sum_of($count, 'module.so'), 163, 'instructions of the module itself');
is(sum_of($count), 213, 'all instructions, less those of the mark, and without those that depend on the heap');
is(sum_of_functions($count, 'module.so', qr/^miss$/), 40, 'instructions of functions by their names');
is(sum_of_functions($count, 'other.so', qr/./), 0, 'none of an object that did nothing');
is_deeply([dearest($count, 2)], [[123, 'module.so', 'hit'], [50, 'libc.so.6', 'memcpy']], 'the dearest functions');
ok(!eval { $callgrind->count(sub { }); 1 }, 'no file: no count');
like($@, qr/written nothing/, '... but a reason');

my $file = "$directory/baseline.txt";
my @rows = map { +{ id => $_->[0], figures => { module => $_->[1], all => $_->[2] } } } ['base', 40, 10_000], ['hit', 20_000, 30_000];
write_baseline($file, 'rustc 1, gcc 2', \@rows, 'base');
my $baseline = read_baseline($file);
is_deeply(
    $baseline,
    {
        toolchain => 'rustc 1, gcc 2',
        figures => { base => { module => 40, all => 10_000 }, hit => { module => 20_000, all => 30_000 } },
    },
    'a baseline is read as it was written',
);

# toolchain, figures of base and of hit, what is judged to have grown
my @cases = (
    ['the same', 'same', [40, 10_000], [20_000, 30_000]],
    ['less', 'same', [0, 9_000], [10_000, 20_000]],
    ['3 % more', 'same', [40, 10_300], [20_600, 30_900]],
    ['above 3 %: module', 'same', [40, 10_000], [20_601, 30_000], 'hit module'],
    ['above 3 %: all', 'same', [40, 10_000], [20_000, 30_901], 'hit all'],
    ['above 3 %: both, and the base', 'same', [40, 10_301], [20_601, 30_901], 'base all', 'hit module all'],
    ['50 more of little', 'same', [90, 10_000], [20_000, 30_000]],
    ['51 more of little', 'same', [91, 10_000], [20_000, 30_000], 'base module'],
    ['10 % more with other compilers', 'other', [40, 10_000], [22_000, 33_000]],
    ['above 10 % with other compilers', 'other', [91, 10_000], [22_001, 33_001], 'base module', 'hit module all'],
    ['another nginx altogether', 'other', [40, 20_000], [20_000, 30_000]],
);
for (@cases) {
    my ($name, $toolchain, $base, $hit, @grown) = @$_;
    my @now = map { +{ id => $_->[0], figures => { module => $_->[1], all => $_->[2] } } } ['base', @$base], ['hit', @$hit];
    my @bad = judge($baseline, $toolchain eq 'same' ? 'rustc 1, gcc 2' : 'rustc 3, gcc 2', \@now);
    is_deeply([map { my ($row, @kinds) = @$_; "$row->{id} @kinds" } @bad], \@grown, $name);
}
my @new = (@rows, { id => 'new', figures => { module => 1, all => 1 } });
is_deeply([map { $_->[0]{id} } judge($baseline, 'rustc 1, gcc 2', \@new)], ['new'], 'no figure to compare with');

done_testing();
