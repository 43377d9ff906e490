package RefusedConf;

# `use RefusedConf;` after `use Test::Nginx::Socket;` gives blocks a section `emerg`:
# what nginx says when it refuses the configuration, word for word, and nothing else at
# that level. The line whose directive is to blame ends in "# <--": nginx must name its
# file and its number. Without a mark nginx names no place: it does so itself where it
# checks variables when all is read.
#
# http_config and config go into files of their own, since their lines are counted there
# whichever way the runner lays out nginx.conf.

use v5.26;
use warnings;

sub import {
    # Our own runner refuses sections that it hasn't heard of.
    no warnings 'once';
    $Test::Nginx::Socket::Sections{emerg} = 1;

    Test::Nginx::Socket::add_block_preprocessor(\&prepare);
}

sub prepare {
    my $block = shift;
    my $emerg = $block->emerg // return;
    my %text  = map { $_ => $block->$_ // '' } qw(http_config config);

    my @files = map { [ "$_.conf" => $text{$_} ] } sort keys %text;
    $block->set_value(user_files => \@files);
    $block->set_value($_ => "include \$TEST_NGINX_SERVER_ROOT/html/$_.conf;") for keys %text;

    my @places = map { places($_, $text{$_}) } sort keys %text;
    @places < 2 or Test::Nginx::Socket::bail_out($block->name . ' - more than one line is to blame');
    $emerg =~ s/\s+\z//;
    $emerg =~ s/\$TEST_NGINX_SERVER_ROOT\b/$ENV{TEST_NGINX_SERVER_ROOT}/g;
    $block->set_value(must_die           => '');
    $block->set_value(grep_error_log     => qr/\[emerg\] \d+#\d+: \K.*/);
    $block->set_value(grep_error_log_out => join(' in ', $emerg, @places) . "\n");
}

# Where the marks are in a file.
sub places {
    my ($name, $text) = @_;
    my @lines = split /\n/, $text;
    return map { "$ENV{TEST_NGINX_SERVER_ROOT}/html/$name.conf:" . ($_ + 1) }
      grep { $lines[$_] =~ /# <--$/ } 0 .. $#lines;
}

1;
