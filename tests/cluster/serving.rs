//! What a cache does, with a cluster as its store.

use testbed::{Answer, PATIENCE, RedisCluster, Request, Site, pattern, slot_of, wait_for};

use super::{assert_capped, fill, paths_at, publish, start, version};

fn variant(path: &str, language: &str) -> Request {
    Request::get(path).header("Accept-Language", language)
}

#[test]
fn records_are_stored_found_refilled_and_deleted_at_all_masters() {
    let cluster = RedisCluster::options().replicas(0).start();
    for workers in [1, 2] {
        cluster.flush_all();
        cluster.net().forget_most_clients();
        let site = start(&cluster, Site::new().workers(workers).spread());
        for number in 0..3 {
            let path = &paths_at(&cluster, number, 1)[0];
            publish(&site, std::slice::from_ref(path));
            let first = fill(&site, &cluster, path);
            assert_eq!(cluster.node(number).keys(), [path.as_str()]);
            assert_eq!(version(path, &site.get(path)), version(path, &first));
            let _: i64 = cluster.command_for(path, &["PEXPIRE", path, "50000"]);
            let stale = site.get(path);
            assert_eq!(stale.word(), "STALE", "{path}");
            let hit = site.wait_for_hit(path);
            assert!(version(path, &hit) > version(path, &stale));
            let put = site.ask(&Request::new("PUT", path).body("new"));
            assert_eq!(put.status, 200);
            let fence = format!("{{{path}}}:f");
            assert_eq!(cluster.node(number).keys(), [fence]);
            assert_eq!(site.get(path).word(), "STORE");
        }
        assert_capped(&cluster, workers, 2);
        site.nginx.finish();
    }
}

#[test]
fn variants_lie_with_their_key_and_go_with_it() {
    let cluster = RedisCluster::options().replicas(0).start();
    for workers in [1, 2] {
        cluster.flush_all();
        let site = start(&cluster, Site::new().workers(workers).spread());
        for (number, method) in [(0, "PUT"), (1, "DELETE"), (2, "PUT")] {
            let path = &paths_at(&cluster, number, 1)[0];
            site.backend.script(path, |request, _| {
                let language = request.header("accept-language").unwrap_or_default();
                Answer::ok(format!("page in {language}")).header("Vary", "Accept-Language")
            });
            let languages = ["en", "de", "fr", "it"];
            for language in languages {
                assert_eq!(site.ask(&variant(path, language)).word(), "STORE", "{path}");
                wait_for("the variant", PATIENCE, || {
                    site.ask(&variant(path, language)).word() == "HIT"
                });
            }
            for language in languages {
                let hit = site.ask(&variant(path, language));
                assert_eq!(hit.word(), "HIT", "{path} {language}");
                assert_eq!(hit.text(), format!("page in {language}"));
            }
            let family = cluster.node(number).keys();
            assert_eq!((family.len(), cluster.keys().len()), (4, 4), "{family:?}");
            let slot = slot_of(path.as_bytes());
            assert!(family.iter().all(|key| slot_of(key.as_bytes()) == slot));
            assert_eq!(site.ask(&Request::new(method, path)).status, 200);
            // Without the key nobody finds its variants.
            assert!(!cluster.keys().contains(path));
            for language in languages {
                let again = site.ask(&variant(path, language));
                assert_ne!(again.word(), "HIT", "{path} {language}");
                assert_eq!(again.text(), format!("page in {language}"));
            }
            site.wait_for_quiet_zone();
            cluster.flush_all();
        }
        site.nginx.finish();
    }
}

#[test]
fn a_large_record_comes_whole() {
    let cluster = RedisCluster::options().replicas(0).start();
    for (form, site) in Site::forms() {
        let site = start(
            &cluster,
            site.store("read_timeout 10s;\n")
                .location("proxy_max_temp_file_size 0;")
                .http("redis_cache_max_size 64m;"),
        );
        let whole = pattern(20_000_000, 7);
        site.backend.set("/large", Answer::ok(whole.clone()));
        let first = site.get("/large");
        assert_eq!(
            (first.status, first.word().as_str()),
            (200, "STORE"),
            "{form}"
        );
        assert!(first.body == whole, "{form}");
        let key = site.key("/large");
        wait_for("the large record", PATIENCE, || {
            cluster.keys().contains(&key)
        });
        for _ in 0..2 {
            let hit = site.wait_for_hit("/large");
            assert!(hit.complete && hit.body == whole, "{form}");
        }
        // By a variable, and for a small one: `$cache_pass` names the same store.
        assert_eq!(site.get("/small").word(), "STORE", "{form}");
        site.wait_for_hit("/small");
        site.nginx.finish();
        cluster.flush_all();
    }
}
