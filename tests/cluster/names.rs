//! Nodes that are reached by their addresses and have certificates for the host names that they announce.

use testbed::{Answer, Authority, Dns, PATIENCE, RedisCluster, Site, TlsFiles, slot_of, wait_for};

use super::{SHORT, body, paths_at};

#[test]
fn a_node_that_moved_led_to_is_verified_by_its_name() {
    let authority = Authority::make();
    let pair = authority.issue("node", "DNS:*.redis.test");
    let files = TlsFiles::new(
        pair.certificate.clone(),
        pair.key.clone(),
        authority.certificate(),
    );
    let cluster = RedisCluster::options()
        .replicas(0)
        .names("node-NUMBER.redis.test")
        .line("cluster-preferred-endpoint-type ip")
        .tls_by(files)
        .start();
    let dns = Dns::start();
    let seed = cluster.node(0).address();
    dns.set("node-1.redis.test", 60, &[&seed.ip().to_string()]);
    let text = format!(
        "mode cluster; server node-1.redis.test:{}; tls on; tls_trusted_certificate {};\n{SHORT}",
        seed.port(),
        authority.certificate().display()
    );
    let site = Site::new()
        .workers(1)
        .http(&format!("resolver {};", dns.address()))
        .store(&text)
        .start();
    let path = paths_at(&cluster, 0, 1).remove(0);
    let own = path.clone();
    site.backend
        .script(&path, move |_, version| Answer::ok(body(&own, version)));
    site.wait_for_hit(&path);
    // MOVED leads to a node that no map has had.
    let new = cluster.add_node();
    wait_for("the new node to serve", PATIENCE, || {
        let info: String = cluster.node(new).command(&["CLUSTER", "INFO"]);
        info.contains("cluster_state:ok")
    });
    let slot = slot_of(path.as_bytes());
    cluster.move_slots(slot..=slot, new);
    let before = cluster.node(new).calls("hmget");
    wait_for("a hit at the new node", PATIENCE, || {
        site.get(&path).word() == "HIT" && cluster.node(new).calls("hmget") > before
    });
}
