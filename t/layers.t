# build-aux/layers finds what points up between the rooms of src/, and circles: shown on small trees.

use strict;
use warnings;
use Cwd 'getcwd';
use File::Basename 'dirname';
use File::Path 'make_path';
use File::Temp 'tempdir';
use Test::More;

my $layers = getcwd . '/build-aux/layers';

# What the tree has, and what is said of it.
my @cases = (
    [   'arrows that point down',
        {   'src/lib.rs'               => "mod request;\nuse crate::request::enter;\n",
            'src/request/enter.rs'     => "use crate::ngx::{self, pool::keep};\nuse crate::{store, shm::zone as z};\n",
            'src/store/mod.rs'         => "pub mod redis;\npub use redis::Client;\n",
            'src/store/redis/mod.rs'   => "pub struct Client;\n",
            'src/store/location.rs'    => "use super::redis::Client;\nuse crate::detached;\n",
        },
        '',
    ],
    [   'an arrow that points up',
        { 'src/store/lookup.rs' => "//! A lookup.\n\nuse crate::worker;\n" },
        "src/store/lookup.rs:3: store uses worker, which is above it\n",
    ],
    [   'one of many in braces, over several lines',
        { 'src/shm/zone.rs' => "use crate::{\n    ngx::text,\n    fill::{registry::Joined, task},\n};\n" },
        "src/shm/zone.rs:1: shm uses fill::registry::Joined, which is above it\n"
            . "src/shm/zone.rs:1: shm uses fill::task, which is above it\n",
    ],
    [   'a path without a use, by super',
        { 'src/conf/store.rs' => "fn a() {\n    super::super::request::enter::begin();\n}\n" },
        "src/conf/store.rs:2: conf uses request::enter::begin, which is above it\n",
    ],
    [   'what lib.rs itself has',
        { 'src/ngx/request.rs' => "use crate::ngx_module;\n" },
        "src/ngx/request.rs:1: ngx uses ngx_module, which is above it\n",
    ],
    [   'comments and texts use nothing',
        {   'src/ngx/text.rs' => "// crate::request::a\n/* crate::fill */\nconst A: &str = \"crate::conf::b\";\n"
                . "const B: &str = r#\"use \"crate::conf\"\"#;\nconst C: char = '\"'; // crate::store\nfn f<'a>() {}\n",
        },
        '',
    ],
    [   'a source in no room',
        { 'src/handler.rs' => '' },
        "src/handler.rs: no room in the list of build-aux/layers\n",
    ],
    [   'a circle in a room',
        {   'src/fill/task.rs'     => "use super::stream::Stream;\n",
            'src/fill/stream.rs'   => "use crate::fill::registry;\n",
            'src/fill/registry.rs' => "fn a() {\n    super::task::run();\n}\n",
        },
        'src/fill: a circle: registry (src/fill/registry.rs:2) -> task (src/fill/task.rs:1)'
            . " -> stream (src/fill/stream.rs:1) -> registry\n",
    ],
    [   'a circle of a room and its part',
        {   'src/store/mod.rs'      => "mod location;\nuse location::Location;\npub struct Store(Location);\n",
            'src/store/location.rs' => "use super::Store;\n",
        },
        "src/store: a circle: (mod.rs) (src/store/mod.rs:2) -> location (src/store/location.rs:1) -> (mod.rs)\n",
    ],
    [   'a circle in cache-core',
        {   'crates/cache-core/src/policy.rs'        => "use crate::record::Record;\n",
            'crates/cache-core/src/record/writing.rs' => "use crate::policy::Plan;\n",
        },
        'crates/cache-core/src: a circle: policy (crates/cache-core/src/policy.rs:1)'
            . " -> record (crates/cache-core/src/record/writing.rs:1) -> policy\n",
    ],
);

for my $case (@cases) {
    my ($what, $sources, $wanted) = @$case;
    my $tree = tempdir(CLEANUP => 1);
    for my $path (keys %$sources) {
        make_path(dirname("$tree/$path"));
        open my $file, '>', "$tree/$path" or die "$path: $!";
        print $file $sources->{$path};
        close $file or die "$path: $!";
    }
    my $said = qx(cd '$tree' && '$layers' 2>&1);
    is($said, $wanted, $what);
    is($? >> 8, $wanted eq '' ? 0 : 1, "$what: exit status");
}

done_testing();
