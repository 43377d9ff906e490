package OtherModules;

# What nginx was built with beside its own modules: `use OtherModules;` after `use Test::Nginx::Socket;`, for sections
# `skip_eval`.

use v5.26;
use warnings;

sub import {
    no strict 'refs';
    *main::has_set_misc = \&has_set_misc;
}

# Whether set-misc is part of the program. Its set_md5 then takes the place of the module's: it does the same, but in
# another phase, and the module doesn't know what it makes a key of.
sub has_set_misc {
    my $binary = $ENV{TEST_NGINX_BINARY} // 'nginx';
    my ($path) = grep { -f } $binary, map { "$_/$binary" } split /:/, $ENV{PATH};
    open my $in, '<:raw', $path // return 0 or return 0;
    local $/;
    return index(<$in>, 'ngx_http_set_misc_module') >= 0;
}

1;
