//! A worker that was stopped while it asked for the map, and comes back when another has a newer one.

use testbed::{
    Gate, PATIENCE, Piece, Position, RedisCluster, Rule, Side, Site, Step, slot_of, wait_for,
};

use super::{fill_all, paths_at, start};

/// Replies that have the id of a node wait at the gate: those that are maps.
fn hold_maps(cluster: &RedisCluster, gate: &Gate) {
    let (id, gate) = (cluster.id(0).into_bytes(), gate.clone());
    let hold = Rule::new(move |piece: &Piece<'_>| {
        let is_map = piece.bytes.windows(id.len()).any(|part| part == id);
        let wait = is_map.then(|| Step::Hold(gate.clone()));
        let send = Step::Send(piece.bytes.to_vec());
        wait.into_iter().chain([send]).collect()
    });
    for number in 0..3 {
        cluster.net().rule(number, Side::Clients, &hold);
    }
}

#[test]
fn a_map_that_comes_too_late_is_not_shared() {
    let cluster = RedisCluster::options().replicas(0).start();
    let site = start(&cluster, Site::new().spread());
    let path = paths_at(&cluster, 0, 1).remove(0);
    let slot = slot_of(path.as_bytes());
    fill_all(&site, &cluster, std::slice::from_ref(&path));
    let mut clients = site.client_of_each(&path);
    let ((_, mut of_second), (first, mut of_first)) = (clients.remove(0), clients.remove(0));
    let maps = || cluster.calls("cluster|slots");
    let moved = || -> Vec<String> {
        let errors = |number| cluster.node(number).info("errorstats", "errorstat_MOVED");
        (0..3).map(errors).collect()
    };

    // The first worker asks for the map that has the slot at node 1, and is stopped before it has the reply.
    cluster.move_slots(slot..=slot, 1);
    cluster.wait_until_agreed();
    let gate = Gate::new();
    hold_maps(&cluster, &gate);
    let asked = maps();
    assert_eq!(of_first.get(&path).word(), "HIT");
    wait_for("a question for the map", PATIENCE, || maps() > asked);
    let stopped = site.nginx.freeze_worker(first);
    gate.open();

    // The second takes over, and has a newer one.
    cluster.move_slots(slot..=slot, 2);
    cluster.wait_until_agreed();
    let asked = maps();
    assert_eq!(of_second.get(&path).word(), "HIT");
    wait_for("another question for the map", PATIENCE, || maps() > asked);
    let mut before = moved();
    wait_for("the newer map in the second worker", PATIENCE, || {
        assert_eq!(of_second.get(&path).word(), "HIT");
        let former = std::mem::replace(&mut before, moved());
        former == before
    });

    drop(stopped);
    for _ in 0..10 {
        assert_eq!(of_first.get(&path).word(), "HIT");
        assert_eq!(of_second.get(&path).word(), "HIT");
    }
    assert_eq!(moved(), before, "both have the newer map");
    assert!(site.nginx.log().serious(Position::default()).is_empty());
}
