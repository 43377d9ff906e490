# The figures that bench/instructions compares with: a file of text, and what counts as grown.
package Bench::Baseline;

use strict;
use warnings;
use Exporter 'import';
use POSIX ();

our @EXPORT_OK = qw(read_baseline write_baseline toolchain foreign_profile bound judge growth KINDS);

use constant {
    # in per cent of the baseline: what compiled the same, and what other compilers or another libc did
    BOUND => 3, WIDE_BOUND => 10,
    # instructions: what a small figure may grow by at any rate
    SLACK => 50,
};
# The two figures of a scenario, as they are called in the file.
use constant KINDS => qw(module all);

# { toolchain, figures => { scenario => { module, all } } }
sub read_baseline {
    my ($file) = @_;
    my %baseline = (toolchain => '', figures => {});
    open my $in, '<', $file or die "$file: $!; bench/instructions --write makes it\n";
    while (<$in>) {
        next if /^(#|\s*$)/;
        if (/^toolchain: (.*)/) { $baseline{toolchain} = $1 }
        elsif (/^(\w+)\s+(\d+)\s+(\d+)$/) { $baseline{figures}{$1} = { module => $2, all => $3 } }
        else { die "$file, line $.: neither a toolchain nor a scenario with two figures\n" }
    }
    return \%baseline;
}

# The scenarios in order: [{ id, figures => { module, all } }...]
sub write_baseline {
    my ($file, $toolchain, $rows, $base) = @_;
    open my $out, '>', "$file.new" or die "$file.new: $!\n";
    print $out "# Instructions of one request in nginx's worker: by the module's own code, and by all code, less what $base takes\n",
        "# (of $base itself: all). Written by `bench/instructions --write`; see README.md.\n",
        "toolchain: $toolchain\n", sprintf("%-16s %8s %8s\n", '# scenario', KINDS),
        map { sprintf "%-16s %8d %8d\n", $_->{id}, @{ $_->{figures} }{ +KINDS } } @$rows;
    close $out or die "$file.new: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
}

# What the counts depend on, but for the sources: who compiled nginx and the module, as they say themselves, and what is
# counted with them.
sub toolchain {
    my ($nginx, $module) = @_;
    my $said = `'$nginx' -V 2>&1`;
    my ($version) = $said =~ m{nginx version: nginx/(\S+)};
    my ($compiler) = $said =~ /^built by (\S+ \S+)/m;
    my ($libc, $valgrind) = (`getconf GNU_LIBC_VERSION 2>&1`, `valgrind --version 2>&1`);
    chomp($libc, $valgrind);
    return join ', ', _rustc($module), $compiler // 'unknown C compiler', $libc, 'nginx ' . ($version // '?'), $valgrind,
        _processor();
}

# Its architecture, and whether it has what some crates have a second form for.
sub _processor {
    my $machine = (POSIX::uname())[4];
    open my $in, '<', '/proc/cpuinfo' or return $machine;
    return (grep { /^flags\s*:.* avx2 / } <$in>) ? "$machine with avx2" : $machine;
}

# "rustc 1.88.0", from the module's section .comment.
sub _rustc {
    my ($module) = @_;
    open my $in, '<:raw', $module or die "$module: $!\n";
    local $/ = \(1 << 20);
    my $rest = '';
    while (my $block = <$in>) {
        return "rustc $1" if "$rest$block" =~ /\brustc version (\d[\w.-]*) \(/;
        $rest = substr $block, -64;
    }
    return 'unknown rustc';
}

# Settings of cargo in the environment with which a module isn't what it is by Cargo.toml: its figures are no measure.
sub foreign_profile {
    return map { "$_=$ENV{$_}" } grep { /^CARGO_PROFILE_RELEASE_|RUSTFLAGS$/ && !/_DEBUG$/ && length $ENV{$_} } sort keys %ENV;
}

# How many per cent a figure may grow with this toolchain.
sub bound {
    my ($baseline, $toolchain) = @_;
    return $baseline->{toolchain} eq $toolchain ? BOUND : WIDE_BOUND;
}

# The scenarios whose figures have grown beyond the bound, or that have none in the baseline, each with the kinds of figures
# that have: ([scenario, kind...]...).
sub judge {
    my ($baseline, $toolchain, $rows) = @_;
    my $bound = bound($baseline, $toolchain);
    my @bad;
    for my $row (@$rows) {
        my $was = $baseline->{figures}{ $row->{id} } // {};
        my @kinds = KINDS;
        # All of the first scenario is nginx's own code but for a little: another toolchain's says nothing about the module.
        @kinds = 'module' if $row == $rows->[0] && $bound == WIDE_BOUND;
        my @grown = grep { _has_grown($row->{figures}{$_}, $was->{$_}, $bound) } @kinds;
        push @bad, [$row, @grown] if @grown;
    }
    return @bad;
}

sub _has_grown {
    my ($is, $was, $bound) = @_;
    return 1 unless defined $was;
    my $allowed = $was * $bound / 100;
    return $is - $was > ($allowed < SLACK ? SLACK : $allowed);
}

# In per cent.
sub growth {
    my ($is, $was) = @_;
    return $was ? 100 * ($is - $was) / $was : 0;
}

1;
