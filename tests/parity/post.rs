//! `redis_cache_post_location` beside modules of other makers, whose filters in a backend's location work on what a GET stores.

use testbed::{Answer, PATIENCE, Request, Site};

use crate::nginx_has;

/// Masks what a backend says, and forbids to share what it masks by half.
const MASKS: &str =
    "header_filter_by_lua_block { ngx.header['X-Secret'] = nil; ngx.header.content_length = nil }
    body_filter_by_lua_block { ngx.arg[1] = string.gsub(ngx.arg[1], 'secret', '******') }
    proxy_pass http://backend;";

const LUA: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_lua_module.so;\n";

/// Has no filter.
const SET_MISC: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_set_misc_module.so;\n";

#[test]
fn nothing_is_stored_past_filters_of_others_in_a_backends_location() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let plain = "proxy_pass http://backend;";
    for (modules, inside, directive, location, is_stored) in [
        (LUA, MASKS, "redis_cache_backend @behind;", "@behind", false),
        (LUA, plain, "redis_cache_backend /behind;", "/behind", false),
        (
            SET_MISC,
            plain,
            "redis_cache_backend @behind;",
            "@behind",
            true,
        ),
    ] {
        let inside = match location {
            "/behind" => format!("internal; rewrite ^/behind(/.*) $1 break; {inside}"),
            _ => inside.to_owned(),
        };
        let site = Site::new()
            .workers(1)
            .modules(modules)
            .location("redis_cache_post_location on;")
            .location(directive)
            .locations(&format!("location {location} {{ {inside} }}"))
            .start();
        let answer = |text: &str| {
            Answer::ok(text)
                .header("Content-Location", "/x")
                .header("Cache-Control", "max-age=600")
                .header("X-Secret", "secret")
        };
        site.backend
            .script("/x", move |request, _| match request.method.as_str() {
                "POST" => answer("secret of a POST"),
                _ => answer("secret"),
            });
        for _ in 0..2 {
            let posted = site.ask(&Request::post("/x", "body"));
            assert_eq!(posted.word() == "STORE", is_stored, "{modules}");
        }
        let log = site.nginx.log();
        let said = log.matching(Default::default(), "responses to POST aren't stored here");
        assert_eq!(said.len(), usize::from(!is_stored), "{modules}");
        if is_stored {
            let line = "fill of \"/x\": stored";
            assert!(log.wait_for(Default::default(), line, PATIENCE).is_some());
            assert_eq!(site.get("/x").word(), "HIT");
            continue;
        }
        assert!(said[0].contains("\"ngx_http_lua_module\""), "{said:?}");
        let got = site.get("/x");
        assert_eq!(got.word(), "STORE", "{modules}");
        let masked = inside.contains("lua_block");
        assert_eq!(got.text(), if masked { "******" } else { "secret" });
        assert_eq!(got.header("x-secret").is_none(), masked);
    }
}

/// Where the location is the backend itself its filters work on what is stored, for each client.
#[test]
fn filters_of_the_location_itself_work_on_each_clients_response() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    let site = Site::new()
        .workers(1)
        .modules(LUA)
        .location("redis_cache_post_location on;")
        .location(&MASKS.replace("proxy_pass http://backend;", ""))
        .start();
    let answer = Answer::ok("secret")
        .header("Content-Location", "/x")
        .header("Cache-Control", "max-age=600");
    site.backend.set("/x", answer);
    let posted = site.ask(&Request::post("/x", "body"));
    assert_eq!(
        (posted.word().as_str(), posted.text().as_str()),
        ("STORE", "******")
    );
    assert_eq!(site.wait_for_hit("/x").text(), "******");
}
