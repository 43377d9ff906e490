//! `contrib/migrate`: what it makes of configurations, that nginx takes the result, and that a moved site behaves as before.

mod cases;
mod program;
mod sites;

use std::fs;
use std::os::unix::fs::symlink;

use program::Folder;

/// What can't be read: a file, and what is said of it.
const UNREADABLE: [(&str, &str); 8] = [
    ("events {", "nginx.conf:1: no \"}\" for this \"{\""),
    ("events {}\n}\n", "nginx.conf:2: unexpected \"}\""),
    (
        "events {}\nuser root",
        "nginx.conf:2: no \";\" behind this directive",
    ),
    ("\n{}", "nginx.conf:2: unexpected \"{\""),
    (
        "http { a b }",
        "nginx.conf:1: unexpected \"}\": the directive before it has no \";\"",
    ),
    (
        "http {\n log_format a 'b;\n}\n",
        "nginx.conf:2: no end of what begins with '",
    ),
    (
        "http { server { content_by_lua_block {\n { --}\n } } }",
        "nginx.conf:1: no \"}\" for this \"{\"",
    ),
    (
        "http {\ninclude nginx.conf;\n}",
        "nginx.conf:2: nginx.conf includes itself",
    ),
];

#[test]
fn what_cant_be_read_is_named() {
    for (text, said) in UNREADABLE {
        let folder = Folder::with(&[("nginx.conf", text)]);
        let run = folder.migrate(&["nginx.conf"]);
        assert_eq!((run.code, run.said.trim_end()), (2, said), "{text:?}");
        assert_eq!(run.printed, "", "{text:?}");
    }
    let run = Folder::with(&[]).migrate(&["nginx.conf"]);
    let said = "nginx.conf: No such file or directory";
    assert_eq!((run.code, run.said.trim_end()), (2, said));
}

#[test]
fn what_needs_no_change_has_none() {
    let text = "events {}\nhttp { server { location / { proxy_pass http://127.0.0.1:1; } } }\n";
    let folder = Folder::with(&[("nginx.conf", text)]);
    let run = folder.migrate(&["nginx.conf", "--write", "moved"]);
    assert_eq!((run.code, run.printed.as_str()), (0, ""));
    assert!(run.said.contains("nothing to move"), "{}", run.said);
    assert!(!folder.path().join("moved").exists());
}

#[test]
fn the_diff_makes_what_is_written() {
    let case = cases::folder("includes");
    let (diff, written) = (Folder::copy_of(&case), Folder::copy_of(&case));
    let run = diff.migrate(&["nginx.conf"]);
    diff.patch(&run.printed);
    let wrote = written.migrate(&["nginx.conf", "--write", "."]);
    assert_eq!((wrote.code, &wrote.said), (run.code, &run.said));
    for name in ["nginx.conf", "conf.d/site.conf", "snippets/cache.conf"] {
        let read = |folder: &Folder| fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read(&diff), read(&written), "{name}");
    }
}

#[test]
fn a_link_stands_for_its_file() {
    let folder = Folder::with(&[
        ("nginx.conf", "events {}\nhttp { include enabled/*; }\n"),
        (
            "available/site",
            "proxy_cache_path /c keys_zone=c:1m;\nserver { location / { proxy_cache c; proxy_pass http://a; } }\n",
        ),
    ]);
    fs::create_dir(folder.path().join("enabled")).unwrap();
    symlink("../available/site", folder.path().join("enabled/site")).unwrap();
    let run = folder.migrate(&["nginx.conf"]);
    assert!(run.printed.contains("+++ b/available/site"), "{run:?}");
    folder.patch(&run.printed);
    let read = fs::read_to_string(folder.path().join("enabled/site")).unwrap();
    assert!(read.contains("redis_cache on;"), "{read}");
}

/// Links of a copy that have absolute targets mean files of the copy. A link to nothing is named, and the rest is moved.
#[test]
fn absolute_links_of_a_copy_lead_to_its_own_files() {
    let folder = Folder::with(&[
        (
            "copy/etc/nginx/nginx.conf",
            "events {}\nhttp { include /etc/nginx/enabled/*; }\n",
        ),
        (
            "copy/etc/nginx/available/site",
            "proxy_cache_path /c keys_zone=c:1m;\nserver { location / { proxy_cache c; proxy_pass http://a; } }\n",
        ),
    ]);
    let enabled = folder.path().join("copy/etc/nginx/enabled");
    fs::create_dir(&enabled).unwrap();
    symlink("/etc/nginx/available/site", enabled.join("site")).unwrap();
    let arguments = ["--root", "copy", "copy/etc/nginx/nginx.conf"];
    let run = folder.migrate(&arguments);
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(run.printed.contains("+++ b/available/site"), "{run:?}");
    // A folder may be such a link, too.
    fs::rename(&enabled, folder.path().join("copy/etc/sites")).unwrap();
    symlink("/etc/sites", &enabled).unwrap();
    let run = folder.migrate(&arguments);
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(run.printed.contains("+++ b/available/site"), "{run:?}");
    let sites = folder.path().join("copy/etc/sites");
    symlink("/etc/nginx/available/gone", sites.join("gone")).unwrap();
    let run = folder.migrate(&arguments);
    assert_eq!(run.code, 1, "{}", run.said);
    let said = "copy/etc/nginx/available/gone isn't there, so what it has isn't moved";
    assert!(run.said.contains(said), "{}", run.said);
    assert!(run.printed.contains("+++ b/available/site"), "{run:?}");
}

#[test]
fn options() {
    let site = "http { proxy_cache_path /c keys_zone=c:1m; include /etc/nginx/site.conf; }";
    let location = "location / { proxy_cache c; proxy_pass http://127.0.0.1:1; }";
    let folder = Folder::with(&[("nginx.conf", site), ("copy/etc/nginx/site.conf", location)]);
    let options = [
        "--redis",
        "redis.example:6380",
        "--root",
        "copy",
        "--no-load-module",
        "nginx.conf",
    ];
    let run = folder.migrate(&options);
    assert_eq!(run.code, 0, "{}", run.said);
    assert!(
        run.printed.contains("server redis.example:6380;"),
        "{}",
        run.printed
    );
    assert!(
        run.printed.contains("+++ b/copy/etc/nginx/site.conf"),
        "{}",
        run.printed
    );
    assert!(!run.printed.contains("load_module"), "{}", run.printed);
}

#[test]
fn the_page_names_what_is_moved() {
    let page = fs::read_to_string(testbed::workspace().join("docs/migrate-tool.md")).unwrap();
    for name in [
        "proxy_cache_path",
        "proxy_cache_key",
        "proxy_cache_valid",
        "proxy_cache_use_stale",
        "proxy_cache_background_update",
        "proxy_cache_lock",
        "proxy_cache_lock_timeout",
        "proxy_cache_lock_age",
        "proxy_cache_bypass",
        "proxy_no_cache",
        "proxy_cache_methods",
        "proxy_cache_min_uses",
        "proxy_cache_revalidate",
        "proxy_cache_convert_head",
        "proxy_cache_max_range_offset",
        "proxy_ignore_headers",
        "proxy_cache_purge",
        "proxy_hide_header",
        "proxy_store",
        "slice",
        "$upstream_cache_status",
    ] {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    let long = page.lines().find(|line| line.chars().count() > 120);
    assert_eq!(long, None);
}
