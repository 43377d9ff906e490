//! What runs in a backend's location: subrequests of Lua, njs and nginx's own modules, and what Lua and njs do to
//! the answer there.

use std::fs;
use std::path::Path;

use testbed::{Answer, Request, Running, Site};

use crate::nginx_has;

/// Modules of Debian's nginx.
const OTHERS: [&str; 5] = [
    "ndk_http_module",
    "ngx_http_lua_module",
    "ngx_http_js_module",
    "ngx_http_echo_module",
    "ngx_http_perl_module",
];

fn load_others() -> String {
    OTHERS
        .map(|module| format!("load_module /usr/lib/nginx/modules/{module}.so;\n"))
        .concat()
}

const SCRIPT: &str = "
async function page(r) {
    const one = await r.subrequest('/part'), two = await r.subrequest('/part', 'x=2');
    r.return(200, `<${one.responseText}|${two.responseText}>`);
}
function mark(r) { r.headersOut['X-Inside'] = 'njs'; delete r.headersOut['X-Secret']; delete r.headersOut['Content-Length']; }
function upper(r, data, flags) { r.sendBuffer(data.toUpperCase(), flags); }
export default { page, mark, upper };
";

/// Sites beside the modules of others, with the names of their forms. `inside` is what the backend's location has.
fn sites(inside: &str, folder: &Path) -> Vec<(String, Site)> {
    fs::write(folder.join("page.js"), SCRIPT).unwrap();
    let http = format!(
        "js_path \"{}\"; js_import page from page.js;",
        folder.display()
    );
    let parts = "location /part { internal; proxy_set_header X-Part $args; proxy_pass http://BACKEND; }
        location /captures { internal; content_by_lua_block { ngx.print('d1', ngx.location.capture('/part?x=5').body, 'd2') } }";
    let base = || Site::new().http(&http).locations(parts).workers(1);
    let mut sites = vec![(
        "plain".to_owned(),
        Site::plain()
            .workers(1)
            .http(&http)
            .modules(&load_others())
            .locations(parts)
            .location(inside),
    )];
    for order in ["ours first", "ours last"] {
        let modules = match order {
            "ours first" => format!("OURS{}", load_others()),
            _ => load_others(),
        };
        for (form, directive, location) in [
            ("own handler", "", String::new()),
            (
                "a URI",
                "redis_cache_backend /behind;",
                format!(
                    "location /behind {{ internal; rewrite ^/behind(/.*) $1 break; {inside} }}"
                ),
            ),
            (
                "a name",
                "redis_cache_backend @behind;",
                format!("location @behind {{ {inside} }}"),
            ),
        ] {
            let own = if directive.is_empty() { inside } else { "" };
            let site = base()
                .modules(&modules)
                .location(directive)
                .location(own)
                .locations(&location);
            sites.push((format!("{form}, {order}"), site));
        }
    }
    sites
}

fn start(site: &Site) -> Running {
    let running = site.start();
    running.backend.script("/part", |request, _| {
        Answer::ok(format!(
            "part{}",
            request.header("x-part").unwrap_or_default()
        ))
    });
    running
}

/// A name, what the backend's location has, and the page that comes of it.
type Case = (&'static str, &'static str, &'static str);

const PAGES: [Case; 7] = [
    (
        "Lua's capture",
        "content_by_lua_block { local one, two = ngx.location.capture_multi({ { '/part' }, { '/part?x=2' } })
            ngx.print('<', one.body, '|', two.body, '>') }",
        "<part|partx=2>",
    ),
    (
        "Lua's capture before the content",
        "set $part ''; rewrite_by_lua_block { ngx.var.part = ngx.location.capture('/part').body }
            echo -n $part;",
        "part",
    ),
    (
        "Lua's capture of captures",
        "content_by_lua_block { ngx.print('<', ngx.location.capture('/captures').body, '>') }",
        "<d1partx=5d2>",
    ),
    ("njs", "js_content page.page;", "<part|partx=2>"),
    (
        "mirror",
        "mirror /part; echo -n page;",
        "page",
    ),
    (
        "auth_request",
        "auth_request /part; echo -n page;",
        "page",
    ),
    (
        "perl",
        "perl 'sub { my $r = shift; $r->send_http_header(\"text/plain\"); $r->print(\"pe\", \"rl\"); return OK; }';",
        "perl",
    ),
];

#[test]
fn subrequests_in_a_backends_location_give_what_they_give_without_a_cache() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (what, inside, page) in PAGES {
        // The word keeps the site's own proxy_pass out.
        let inside = format!("# no proxy_pass\n{inside}");
        for (form, site) in sites(&inside, folder.path()) {
            let site = start(&site);
            let first = site.get("/x");
            assert_eq!(
                (first.status, first.text().as_str()),
                (200, page),
                "{what}, {form}"
            );
            if form == "plain" {
                continue;
            }
            assert_eq!(first.word(), "STORE", "{what}, {form}");
            let record = site.redis.wait_for_record("/x");
            assert_eq!(
                String::from_utf8_lossy(&record.body),
                page,
                "{what}, {form}"
            );
            let hit = site.get("/x");
            assert_eq!(
                (hit.word().as_str(), hit.text().as_str()),
                ("HIT", page),
                "{what}, {form}"
            );
            site.nginx.finish();
        }
    }
}

/// A name, what Lua and njs do to an answer's header and body, and how it is marked.
const CHANGES: [Case; 4] = [
    (
        "Lua",
        "header_filter_by_lua_block { ngx.header['X-Inside'] = 'lua'; ngx.header['X-Secret'] = nil; ngx.header.content_length = nil }
         body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) }",
        "lua",
    ),
    (
        "Lua, the length left",
        "header_filter_by_lua_block { ngx.header['X-Inside'] = 'lua'; ngx.header['X-Secret'] = nil }
         body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) }",
        "lua",
    ),
    (
        "njs",
        "js_header_filter page.mark; js_body_filter page.upper;",
        "njs",
    ),
    (
        "Lua, a longer body",
        "header_filter_by_lua_block { ngx.header['X-Inside'] = 'lua'; ngx.header['X-Secret'] = nil; ngx.header.content_length = nil }
         body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) if ngx.arg[2] then ngx.arg[1] = ngx.arg[1] .. ' AND MORE' end }",
        "lua",
    ),
];

#[test]
fn lua_and_njs_change_an_answer_before_it_is_stored() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (what, filters, mark) in CHANGES {
        let inside = format!("{filters} proxy_pass http://backend;");
        for (form, site) in sites(&inside, folder.path()) {
            let site = start(&site);
            site.backend.set(
                "/x",
                Answer::ok("some text")
                    .header("X-Secret", "1")
                    .header("ETag", "\"v1\""),
            );
            let page = if what.contains("longer") {
                "SOME TEXT AND MORE"
            } else {
                "SOME TEXT"
            };
            let turns: &[&str] = if form == "plain" {
                &[""]
            } else {
                &["STORE", "HIT"]
            };
            for word in turns {
                let answer = site.get("/x");
                assert_eq!(answer.text(), page, "{what}, {form}, {word}");
                assert_eq!(
                    answer.header("x-inside").as_deref(),
                    Some(mark),
                    "{what}, {form}, {word}"
                );
                assert_eq!(answer.header("x-secret"), None, "{what}, {form}, {word}");
                if form != "plain" {
                    assert_eq!(answer.word(), *word, "{what}, {form}");
                    let record = site.redis.wait_for_record("/x");
                    let own = form.starts_with("own");
                    let stored = if own { "some text" } else { page };
                    assert_eq!(
                        String::from_utf8_lossy(&record.body),
                        stored,
                        "{what}, {form}"
                    );
                    assert_eq!(!record.header("X-Secret").is_empty(), own, "{what}, {form}");
                }
            }
            site.nginx.finish();
        }
    }
}

#[test]
fn an_answer_that_is_cut_is_not_stored_whatever_a_filter_makes_of_it() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (what, filters, _) in CHANGES {
        let inside = format!("{filters} proxy_pass http://backend;");
        for (form, site) in sites(&inside, folder.path()) {
            if form == "plain" {
                continue;
            }
            let site = start(&site);
            let text = "all the same ".repeat(3000);
            site.backend
                .set("/cut", Answer::ok(text.clone()).cut_at(20_000));
            site.backend.set("/whole", Answer::ok(text.clone()));
            site.backend.set("/empty", Answer::ok(""));
            let mut client = site.client();
            let _ = client.exchange(&Request::get("/cut"));
            site.wait_for_fills(1);
            assert!(site.redis.get("/cut").is_none(), "{what}, {form}");
            for path in ["/whole", "/empty"] {
                let answer = site.get(path);
                assert_eq!(answer.status, 200, "{what}, {form}");
                let record = site.redis.wait_for_record(path);
                assert!(record.body.len() >= if path == "/whole" { text.len() } else { 0 });
            }
            site.nginx.finish();
        }
    }
}

/// What the migration table says of the filters in a backend's location: those of Lua change what a fill brings, nginx's own
/// change nothing, and neither has to do with what passes.
#[test]
fn filters_of_a_backends_location_change_what_a_fill_brings_by_lua_alone() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let behind =
        "location /behind { internal; rewrite ^/behind(/.*) $1 break; proxy_pass http://backend;
        add_header X-Added inside always; expires 1h; sub_filter text words; sub_filter_types *;
        header_filter_by_lua_block { ngx.header['X-Lua'] = 'inside' } }";
    let site = Site::new()
        .workers(1)
        .modules(&load_others())
        .location("redis_cache_backend /behind;")
        .locations(behind);
    let site = start(&site);
    site.backend.set("/x", Answer::ok("some text"));
    for (request, word, lua) in [
        (Request::get("/x"), "STORE", Some("inside")),
        (Request::get("/x"), "HIT", Some("inside")),
        (Request::post("/x", "1"), "SKIP", None),
    ] {
        let answer = site.client().ask(&request);
        assert_eq!(answer.word(), word);
        assert_eq!(answer.text(), "some text", "{word}");
        assert_eq!(answer.header("x-added"), None, "{word}");
        assert_eq!(answer.header("expires"), None, "{word}");
        assert_eq!(answer.header("x-lua").as_deref(), lua, "{word}");
        if word == "STORE" {
            site.redis.wait_for_record("/x");
        }
    }
    site.nginx.finish();
}
