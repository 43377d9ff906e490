//! The set-misc module beside this one: both have `set_md5`, and this module's counts, whichever is loaded first.

use testbed::{Backend, Nginx, PATIENCE, Port, Redis, Request, Site, md5_hex, wait_for};

use crate::nginx_has;

const OURS: &str = "load_module modules/ngx_http_redis_cache_module.so;\n";
/// ndk is what set-misc is made with.
const THEIRS: &str = "load_module /usr/lib/nginx/modules/ndk_http_module.so;
load_module /usr/lib/nginx/modules/ngx_http_set_misc_module.so;\n";

const SUMS: &str = "location = /sums {
    set $place $arg_x;
    if ($arg_x = ab) { set_md5 $place; }
    set_md5 $text \"$request_method-$arg_x\";
    set_sha1 $sha $arg_x;
    return 200 \"$place $text $sha\";
}";

fn beside_set_misc(modules: &str) {
    let (redis, backend, port) = (Redis::start(), Backend::start(), Port::take());
    let site = Site::seed().workers(1).locations(SUMS);
    let conf = site
        .conf(port.address(), &redis, &backend)
        .replace(OURS, modules);
    let nginx = Nginx::start(&conf, port.address());
    let mut client = nginx.client();

    let abc = "a9993e364706816aba3e25717850c26c9cd0d89d";
    let sums = client.get("/sums?x=abc").text();
    assert_eq!(sums, format!("abc {} {abc}", md5_hex("GET-abc")));
    let sums = client.get("/sums?x=ab").text();
    let expected = [md5_hex("ab"), md5_hex("GET-ab")].join(" ");
    assert!(sums.starts_with(&expected), "{sums}");

    let page = Request::get("/x").header("User-Agent", "test");
    let mine = Request::get("/x")
        .header("User-Agent", "test")
        .header("Cookie", "session=abc");
    let key = md5_hex("GET:test:/x");
    assert_eq!(client.ask(&page).word(), "STORE");
    redis.wait_for_record(&key);
    wait_for("a hit", PATIENCE, || client.ask(&page).word() == "HIT");
    redis.expire_in(&key, 50_000);
    let position = nginx.log().end();
    assert_eq!(client.ask(&mine).word(), "STALE");
    wait_for("the refill", PATIENCE, || client.ask(&page).word() == "HIT");
    // The key can be made once more, so that the cookie is known to be no part of it, and what it is for a GET.
    let cookie = backend.last("/x").header("cookie");
    assert_eq!(cookie, None);
    let put = Request::new("PUT", "/x")
        .header("User-Agent", "test")
        .body("new");
    assert_eq!(client.ask(&put).word(), "SKIP");
    assert_eq!(redis.get(&key), None);
    assert_eq!(nginx.log().serious(position), Vec::<String>::new());
    nginx.finish();
}

#[test]
fn set_md5_beside_set_misc_in_either_order() {
    if !nginx_has("--modules-path=/usr/lib/nginx/modules") {
        return;
    }
    beside_set_misc(&[OURS, THEIRS].concat());
    beside_set_misc(&[THEIRS, OURS].concat());
}
