//! Filters of Debian's dynamic modules, which need the body before the header can go, or change both. They fit Debian's
//! nginx only.

use std::fs;
use std::path::Path;

use testbed::{Answer, Nginx, Port, Redis, Request, Response, Site, ms, nginx_version};

const FOLDER: &str = "/usr/lib/nginx/modules";
const MODIFIED: &str = "Sat, 02 Jan 2010 03:04:05 GMT";

/// One pixel.
const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

const XSLT: &str = r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">made of <xsl:value-of select="a"/></xsl:template></xsl:stylesheet>"#;

/// nginx with a module of Debian's, with and without the cache.
struct Scene {
    nginx: Nginx,
    redis: Redis,
    backend: testbed::Backend,
    _port: Port,
}

impl Scene {
    fn start(site: &Site, modules: &[&str]) -> Scene {
        let (port, redis, backend) = (Port::take(), Redis::start(), testbed::Backend::start());
        let conf = site.conf(port.address(), &redis, &backend);
        let load = |module: &&str| format!("load_module {FOLDER}/{module}.so;\n");
        let modules: String = modules.iter().map(load).collect();
        let conf = testbed::Conf::new(modules + conf.text());
        Scene {
            nginx: Nginx::start(&conf, port.address()),
            redis,
            backend,
            _port: port,
        }
    }

    fn ask(&self, request: &Request) -> Response {
        self.nginx.client().ask(request)
    }
}

fn fits(module: &str) -> bool {
    let fits =
        nginx_version() == "1.22.1" && Path::new(FOLDER).join(format!("{module}.so")).exists();
    if !fits {
        println!("no {module} for this nginx");
    }
    fits
}

fn image(body: &[u8]) -> Answer {
    Answer::ok(body)
        .content_type("image/gif")
        .header("ETag", "\"v1\"")
        .header("Last-Modified", MODIFIED)
}

#[test]
fn an_image_is_filtered_as_it_comes() {
    let module = "ngx_http_image_filter_module";
    if !fits(module) {
        return;
    }
    for filter in ["test", "size", "rotate 90"] {
        let filter = format!("image_filter {filter};");
        let shape = |site: Site| site.workers(1).location(&filter);
        let plain = Scene::start(&shape(Site::plain()), &[module]);
        let site = Scene::start(&shape(Site::new()), &[module]);
        for scene in [&plain, &site] {
            scene.backend.set("/x", image(GIF).pause_at(20, ms(200)));
            scene.backend.set(
                "/none",
                image(b"this is no image at all").pause_at(20, ms(200)),
            );
        }
        let get = Request::get("/x");
        let right = plain.ask(&get);
        assert_eq!(right.status, 200, "{filter}");
        for word in ["STORE", "HIT", "STALE"] {
            let got = site.ask(&get);
            assert_eq!(got.status, 200, "{filter} {word}");
            // The size is an answer of the filter's own.
            if !filter.contains("size") {
                assert_eq!(got.word(), word, "{filter}");
            }
            assert!(got.body == right.body, "{filter} {word}");
            for field in ["content-type", "content-length", "etag", "last-modified"] {
                assert_eq!(
                    got.header(field),
                    right.header(field),
                    "{filter} {word} {field}"
                );
            }
            let _ = site.redis.wait_for_record("/x");
            if word == "HIT" {
                let conditional = Request::get("/x").header("If-None-Match", "\"v1\"");
                let not_modified = site.ask(&conditional);
                assert_eq!(not_modified.status, 304, "{filter}");
                assert!(not_modified.complete && not_modified.body.is_empty());
                assert_eq!(not_modified.headers("x-status"), ["HIT"], "{filter}");
                assert_eq!(not_modified.headers("x-cache"), ["HIT"], "{filter}");
                assert_eq!(not_modified.header("etag").as_deref(), Some("\"v1\""));
                site.redis.expire_in("/x", 50_000);
            }
        }
        let none = Request::get("/none");
        assert_eq!(site.ask(&none).status, plain.ask(&none).status, "{filter}");
    }
}

#[test]
fn a_filter_that_makes_another_page_leaves_no_condition() {
    const LUA: &str = "ngx_http_lua_module";
    const MADE: &str = "ngx_http_xslt_filter_module";
    let folder = std::env::temp_dir().join(format!("xslt-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let sheet = folder.join("sheet.xsl");
    fs::write(&sheet, XSLT).unwrap();
    let xslt = format!("xslt_stylesheet {};", sheet.display());
    let cases = [
        (MADE, xslt.clone(), 200),
        // The header is kept back: what becomes of the validators isn't known in time.
        (MADE, format!("{xslt} xslt_last_modified on;"), 200),
        (
            LUA,
            "header_filter_by_lua_block { ngx.header.content_length = nil ngx.header.etag = nil \
             ngx.header.last_modified = nil } body_filter_by_lua_block { ngx.arg[1] = string.upper(ngx.arg[1]) }"
                .to_owned(),
            200,
        ),
        (
            LUA,
            "header_filter_by_lua_block { ngx.header.x_own = \"here\" }".to_owned(),
            304,
        ),
    ];
    for (module, directives, status) in cases {
        if !fits(module) {
            continue;
        }
        let modules: &[&str] = match module {
            LUA => &["ndk_http_module", LUA],
            module => &[module],
        };
        let site = Scene::start(&Site::new().workers(1).location(&directives), modules);
        let page = Answer::ok("<a>page</a>")
            .content_type("text/xml")
            .header("ETag", "\"v1\"")
            .header("Last-Modified", MODIFIED);
        site.backend.set("/x", page);
        let whole = site.ask(&Request::get("/x"));
        assert_eq!(whole.status, 200, "{directives}");
        let _ = site.redis.wait_for_record("/x");
        for (name, value) in [("If-None-Match", "\"v1\""), ("If-Modified-Since", MODIFIED)] {
            let got = site.ask(&Request::get("/x").header(name, value));
            assert_eq!(got.status, status, "{directives} {name}");
            assert!(
                got.complete && (status == 304 || got.body == whole.body),
                "{directives}"
            );
        }
    }
    let _ = fs::remove_dir_all(folder);
}
