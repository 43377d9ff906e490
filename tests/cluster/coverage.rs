//! What one dead master means for the slots of the others: `cluster-require-full-coverage`, as `docs/redis.md` advises on it.

use testbed::{PATIENCE, RedisCluster, Site, holds_for, ms, wait_for};

use super::{SHORT, fill_all, paths_at, start};

#[test]
fn one_dead_master_takes_the_other_slots_with_it_unless_the_cluster_may_be_partial() {
    for (lines, others) in [
        (&["cluster-require-full-coverage no"][..], "HIT"),
        (&["cluster-require-full-coverage yes"], "SKIP"),
        (
            &[
                "cluster-require-full-coverage yes",
                "cluster-allow-reads-when-down yes",
            ],
            "HIT",
        ),
    ] {
        let options = RedisCluster::options().replicas(0);
        let options = lines
            .iter()
            .fold(options, |options, line| options.line(line));
        let cluster = options.start();
        let site = Site::new().workers(1).store(SHORT);
        let site = start(&cluster, site);
        let (dead, other) = (
            paths_at(&cluster, 0, 1).remove(0),
            paths_at(&cluster, 1, 1).remove(0),
        );
        fill_all(&site, &cluster, &[dead.clone(), other.clone()]);
        cluster.node(0).kill();
        wait_for("the others to notice", PATIENCE, || {
            let info: String = cluster.node(1).command(&["CLUSTER", "INFO"]);
            !info.contains("cluster_slots_fail:0\r")
        });
        let seen = |path: &str| {
            let response = site.get(path);
            (response.status, response.word())
        };
        let expected = (200, others.to_owned());
        assert_eq!(seen(&other), expected, "{lines:?}");
        assert!(holds_for(ms(500), || seen(&other) == expected), "{lines:?}");
        assert_eq!(seen(&dead), (200, "SKIP".to_owned()), "{lines:?}");
        cluster.restart(0);
        wait_for("a hit", PATIENCE, || site.get(&other).word() == "HIT");
    }
}

#[test]
fn a_backend_is_spared_where_a_cluster_is_down_as_a_whole() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = Site::new().workers(1).store(SHORT);
    let site = start(&cluster, site.location("redis_cache_on_error fail;"));
    let path = paths_at(&cluster, 1, 1).remove(0);
    fill_all(&site, &cluster, std::slice::from_ref(&path));
    cluster.node(0).kill();
    wait_for("503", PATIENCE, || site.get(&path).status == 503);
    assert_eq!(site.get(&path).header("retry-after").as_deref(), Some("1"));
    cluster.restart(0);
    wait_for("a hit", PATIENCE, || site.get(&path).word() == "HIT");
}
