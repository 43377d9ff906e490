//! Slots that move: each step held open, and under load in both directions.

use std::thread;
use std::time::Instant;

use testbed::{Answer, PATIENCE, Position, RedisCluster, Request, Site, crowd, slot_of, wait_for};

use super::{
    assert_capped, fill, fill_all, paths_at, publish, start, version, while_asking, words,
};

#[test]
fn many_workers_ask_for_one_map() {
    let cluster = RedisCluster::options().replicas(0).start();
    let before = cluster.calls("cluster|slots");
    let site = start(&cluster, Site::new().workers(4).spread());
    let all = crowd(site.address(), 200, |nth| {
        Request::get(&format!("/{}", nth % 50))
    });
    assert_eq!(all.statuses(), [(200, 200)].into());
    let asked = cluster.calls("cluster|slots") - before;
    assert!((1..=3).contains(&asked), "{asked} times");
    for nth in 0..50 {
        site.wait_for_hit(&format!("/{nth}"));
    }
    // While slots move at most once a second for the whole nginx, and a little for the first.
    let paths = paths_at(&cluster, 0, 3);
    fill_all(&site, &cluster, &paths);
    let (before, begin) = (cluster.calls("cluster|slots"), Instant::now());
    while_asking(&site, &[&paths, &paths], false, || {
        for to in [1, 0, 1, 0] {
            for path in &paths {
                let slot = slot_of(path.as_bytes());
                cluster.move_slots(slot..=slot, to);
            }
        }
        wait_for("a new map", PATIENCE, || {
            cluster.calls("cluster|slots") > before
        });
    });
    let asked = cluster.calls("cluster|slots") - before;
    let most = begin.elapsed().as_millis().div_ceil(1000) as usize + 1;
    assert!((1..=most).contains(&asked), "{asked} of {most}");
    assert_capped(&cluster, 4, 2);
}

#[test]
fn each_step_of_a_move_is_followed() {
    let cluster = RedisCluster::options().replicas(0).start();
    for workers in [1, 2] {
        cluster.flush_all();
        let site = start(&cluster, Site::new().workers(workers).spread());
        let path = &paths_at(&cluster, 0, 1)[0];
        let slot = slot_of(path.as_bytes());
        publish(&site, std::slice::from_ref(path));
        fill(&site, &cluster, path);
        let newest = || {
            let response = site.get(path);
            assert_ne!(response.word(), "SKIP", "{:?}", response.fields);
            (response.word(), version(path, &response))
        };
        let refill = |from: usize, at: usize| {
            let node = cluster.node(at);
            let _: i64 = node
                .query(|connection| {
                    // At a node that imports the slot a command goes behind ASKING.
                    if at != from {
                        redis::cmd("ASKING").exec(connection)?;
                    }
                    redis::cmd("PEXPIRE")
                        .arg(path)
                        .arg(50_000)
                        .query(connection)
                })
                .unwrap();
            let (word, stale) = newest();
            assert_eq!(word, "STALE");
            wait_for("the refill", PATIENCE, || {
                newest() == ("HIT".to_owned(), stale + 1)
            });
            stale + 1
        };
        let elsewhere = || cluster.node(1).calls("hmget");
        let asked = elsewhere();
        let moving = cluster.moving(slot, 1);
        moving.open();
        let latest = refill(0, 0);
        assert_eq!(newest(), ("HIT".to_owned(), latest));
        assert_eq!(elsewhere(), asked, "nothing has moved");
        assert_eq!(moving.keys(10), 1);
        for _ in 0..4 {
            assert_eq!(newest(), ("HIT".to_owned(), latest));
        }
        let latest = refill(0, 1);
        assert!(elsewhere() > asked);
        assert!(cluster.node(0).keys().is_empty());
        // The new owner has it for itself, and the others don't know yet.
        moving.close_at(1);
        assert_eq!(newest(), ("HIT".to_owned(), latest));
        moving.close();
        assert_eq!(newest(), ("HIT".to_owned(), latest));
        let latest = refill(1, 1);
        cluster.wait_until_agreed();
        let moved = |number: usize| cluster.node(number).info("errorstats", "errorstat_MOVED");
        let known = || (0..20).all(|_| newest() == ("HIT".to_owned(), latest));
        wait_for("a map without MOVED", PATIENCE, || {
            let before = moved(0);
            known() && moved(0) == before
        });
        site.nginx.finish();
        cluster.move_slots(slot..=slot, 0);
    }
}

#[test]
fn a_family_that_is_split_is_waited_for() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = start(&cluster, Site::new().spread());
    let path = &paths_at(&cluster, 0, 1)[0];
    let slot = slot_of(path.as_bytes());
    site.backend.script(path, |request, _| {
        let language = request.header("accept-language").unwrap_or_default();
        Answer::ok(format!("page in {language}")).header("Vary", "Accept-Language")
    });
    let ask = |language: &str| {
        let response = site.ask(&Request::get(path).header("Accept-Language", language));
        assert_eq!(response.text(), format!("page in {language}"));
        assert_ne!(response.word(), "SKIP", "{language}: {:?}", response.fields);
        response
    };
    for language in ["en", "de"] {
        assert_eq!(ask(language).word(), "STORE");
        wait_for("the variant", PATIENCE, || ask(language).word() == "HIT");
    }
    let moving = cluster.moving(slot, 1);
    moving.open();
    assert_eq!(moving.keys(1), 1);
    assert_eq!(cluster.node(1).keys().len(), 1);
    for _ in 0..4 {
        assert_eq!(ask("en").word(), "HIT");
        assert_eq!(ask("de").word(), "HIT");
    }
    // A further variant is a write to both keys of a family, which are at two nodes: TRYAGAIN.
    thread::scope(|scope| {
        let third = scope.spawn(|| ask("fr"));
        assert_eq!(third.join().unwrap().word(), "STORE");
        while moving.keys(10) > 0 {}
        moving.close();
    });
    wait_for("the third variant", PATIENCE, || ask("fr").word() == "HIT");
    assert_eq!(
        (ask("en").word(), ask("de").word()),
        ("HIT".to_owned(), "HIT".to_owned())
    );
    assert!(cluster.node(0).keys().is_empty());
}

#[test]
fn slots_move_to_and_fro_under_load() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = start(
        &cluster,
        Site::new()
            .spread()
            .location("redis_cache_age 1s; redis_cache_stale 100s;"),
    );
    let slots = 0..=5;
    let keys = |slot: u16| {
        let mut names = (0..).map(|nth| format!("/{nth}"));
        names.find(|key| slot_of(key.as_bytes()) == slot).unwrap()
    };
    let moving: Vec<_> = slots.clone().map(keys).collect();
    let others = paths_at(&cluster, 2, 4);
    fill_all(&site, &cluster, &moving);
    fill_all(&site, &cluster, &others);
    let groups: [&[String]; 4] = [&moving, &moving, &others, &others];
    let ((), seen) = while_asking(&site, &groups, true, || {
        for to in [1, 0].repeat(15) {
            cluster.move_slots(slots.clone(), to);
            cluster.wait_until_agreed();
        }
    });
    let all: Vec<_> = seen.iter().map(|seen| words(seen)).collect();
    println!("{all:?}");
    for seen in &seen {
        let words = words(seen);
        assert!(
            !words.contains_key("SKIP") && words.contains_key("HIT"),
            "{words:?}"
        );
    }
    assert_capped(&cluster, 2, 2);
    assert!(site.nginx.log().serious(Position::default()).is_empty());
}
