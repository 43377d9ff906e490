//! The nodes of a Redis Cluster that announce host names: their certificates are for these names, and for no address.

use testbed::{ClusterOptions, Dns, Position, RedisCluster, TlsFiles};

use super::*;

/// The names that two nodes announce, and one by which only the configuration knows the first.
const ANNOUNCED: &str = "node-NUMBER.invalid";
const ALL: &str = "DNS:node-1.invalid,DNS:node-2.invalid";
const SEED: &str = "seed.invalid";

/// A cluster of two masters whose certificate is for `names`, and a name server that knows how they are reached.
fn cluster(
    authority: &Authority,
    names: &str,
    more: impl FnOnce(ClusterOptions) -> ClusterOptions,
) -> (RedisCluster, Dns) {
    let pair = authority.issue("nodes", names);
    let files = TlsFiles::new(pair.certificate, pair.key, authority.certificate());
    let options = RedisCluster::options().masters(2).replicas(0).tls_by(files);
    let (cluster, dns) = (more(options).start(), Dns::start());
    for number in 0..2 {
        let ip = cluster.node(number).ip().to_string();
        dns.set(&format!("node-{}.invalid", number + 1), 60, &[&ip]);
    }
    dns.set(SEED, 60, &[&cluster.node(0).ip().to_string()]);
    (cluster, dns)
}

/// A site that knows the first node alone, by this name.
fn site_of(cluster: &RedisCluster, dns: &Dns, seed: &str, lines: &str) -> Running {
    let authority = &cluster.tls().unwrap().authority;
    let store = format!(
        "mode cluster; {} tls on; tls_trusted_certificate {}; connect_timeout 2s; {lines}",
        server(seed, cluster.node(0).address()),
        authority.display()
    );
    let resolver = format!("resolver {}; resolver_timeout 5s;", dns.address());
    site(&store).http(&resolver).start()
}

/// Records in both nodes.
#[track_caller]
fn serves_all(cluster: &RedisCluster, site: &Running) {
    for number in 0..2 {
        let path = cluster.key_at(number, "/page/");
        wait_for(&format!("a record in node {number}"), PATIENCE, || {
            assert_eq!(site.get(&path).status, 200);
            cluster.node(number).keys().contains(&path)
        });
        wait_for(&format!("a HIT from node {number}"), PATIENCE, || {
            site.get(&path).word() == "HIT"
        });
    }
    let serious = site.nginx.log().serious(Position::default());
    assert!(serious.is_empty(), "{serious:#?}");
}

/// Whether a node is reached by its name or by its address, its certificate is for the name that it announces.
#[test]
fn nodes_are_verified_by_the_names_that_they_announce() {
    for endpoint in ["hostname", "ip"] {
        let authority = Authority::make();
        let line = format!("cluster-preferred-endpoint-type {endpoint}");
        let (cluster, dns) = cluster(&authority, ALL, |all| all.names(ANNOUNCED).line(&line));
        let site = site_of(&cluster, &dns, "node-1.invalid", "");
        serves_all(&cluster, &site);
        site.nginx.finish();
    }
}

/// What follows of a slot that moves is verified as well: MOVED names a node.
#[test]
fn a_node_that_moved_names_is_verified_by_its_name() {
    for endpoint in ["hostname", "ip"] {
        let authority = Authority::make();
        let line = format!("cluster-preferred-endpoint-type {endpoint}");
        let (cluster, dns) = cluster(&authority, ALL, |all| all.names(ANNOUNCED).line(&line));
        let site = site_of(&cluster, &dns, "node-1.invalid", "");
        let path = cluster.key_at(0, "/moved/");
        wait_for("a record", PATIENCE, || site.get(&path).word() == "HIT");
        let slot = testbed::slot_of(path.as_bytes());
        cluster.move_slots(slot..=slot, 1);
        assert_eq!(site.get(&path).word(), "HIT", "{endpoint}");
        serves_all(&cluster, &site);
        site.nginx.finish();
    }
}

/// The first node is reached by a name of the configuration, which its certificate has. It has no name that is announced.
#[test]
fn a_certificate_for_another_name_than_the_announced_is_refused() {
    for endpoint in ["hostname", "ip"] {
        let authority = Authority::make();
        let line = format!("cluster-preferred-endpoint-type {endpoint}");
        let names = format!("DNS:{SEED}");
        let (cluster, dns) = cluster(&authority, &names, |all| all.names(ANNOUNCED).line(&line));
        let site = site_of(&cluster, &dns, SEED, "");
        let paths = [0, 1].map(|number| cluster.key_at(number, "/page/"));
        let lines = || site.nginx.log().serious(Position::default());
        wait_for("two lines", PATIENCE, || {
            for path in &paths {
                assert_eq!(site.get(path).status, 200);
            }
            lines().len() >= 2
        });
        for _ in 0..10 {
            for path in &paths {
                let answer = site.get(path);
                assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
            }
        }
        let mut lines = lines();
        lines.sort_by_key(|line| line.contains("node-2.invalid"));
        assert_eq!(lines.len(), 2, "one for each node: {lines:#?}");
        for (number, line) in lines.iter().enumerate() {
            let expected = format!(
                "is down: the server's certificate is for \"{SEED}\", not for \"node-{}.invalid\"; give the server a \
                 certificate for this name, or set \"tls_name\" to one that it has",
                number + 1
            );
            assert!(
                line.contains("[error]") && line.contains(&expected),
                "{line}\n{expected}"
            );
        }
        // The first may take commands by the name of the configuration, before the map is known.
        let keys = cluster.node(1).keys();
        assert!(
            keys.iter().all(|key| !key.starts_with("/page/")),
            "{keys:?}"
        );
        site.nginx.finish();
    }
}

/// `tls_name` is for all nodes, whether they announce names or none.
#[test]
fn tls_name_stands_in_for_the_names_of_all_nodes() {
    for announced in [false, true] {
        let authority = Authority::make();
        let names = "DNS:nodes.invalid";
        let (cluster, dns) = cluster(&authority, names, |all| {
            if announced { all.names(ANNOUNCED) } else { all }
        });
        let seed = cluster.node(0).ip().to_string();
        let site = site_of(&cluster, &dns, &seed, "tls_name nodes.invalid;");
        serves_all(&cluster, &site);
        site.nginx.finish();
    }
}

/// Without names a node's certificate is for its address.
#[test]
fn nodes_without_names_are_verified_by_their_addresses() {
    let authority = Authority::make();
    let names = "DNS:seed.invalid,IP:127.0.1.1";
    let (cluster, dns) = cluster(&authority, names, |all| all);
    let site = site_of(&cluster, &dns, SEED, "");
    let path = cluster.key_at(0, "/page/");
    wait_for("a HIT from node 0", PATIENCE, || {
        site.get(&path).word() == "HIT"
    });
    assert_eq!(site.get(&cluster.key_at(1, "/page/")).word(), "SKIP");
    let lines = site.nginx.log().serious(Position::default());
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let expected =
        "the server's certificate is for \"seed.invalid, 127.0.1.1\", not for \"127.0.1.2\"; ";
    assert!(lines[0].contains(expected), "{lines:#?}");
    site.nginx.finish();
}
