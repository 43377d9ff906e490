//! How many sockets a worker has to a server, and how many commands wait there: bounds that hold in every mode, also while
//! servers change and replies are owed.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Dns, Gate, PATIENCE, Port, Position, Proxy, Record, Redis, RedisCluster, Request, Rule,
    Running, Sentinels, Side, Site, Way, crowd, holds_for, ms, slot_of, wait_for,
};

/// No name server but the test's own knows it.
const NAME: &str = "redis.invalid";

/// Sockets of this machine that lead to a port or are on their way there, by both their addresses. The table isn't read at
/// one instant: one that is closed meanwhile may stand beside one that is opened in its place.
fn sockets_to(port: u16) -> BTreeSet<String> {
    let suffix = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let leads_there = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, remote, state) = (words.next()?, words.next()?, words.next()?);
        let leads = remote.ends_with(&suffix) && matches!(state, "01" | "02");
        leads.then(|| format!("{local} {remote}"))
    };
    table.lines().filter_map(leads_there).collect()
}

/// Runs `run`, and gives the most sockets to a port that there were meanwhile: those that two looks in a row have seen.
fn most_sockets<T>(port: u16, run: impl FnOnce() -> T) -> (T, usize) {
    let (over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            let begin = Instant::now();
            let mut before = BTreeSet::new();
            while !over.load(Ordering::SeqCst) && begin.elapsed() < PATIENCE * 2 {
                let seen = sockets_to(port);
                most.fetch_max(seen.intersection(&before).count(), Ordering::SeqCst);
                before = seen;
                thread::sleep(ms(1));
            }
        });
        let result = run();
        over.store(true, Ordering::SeqCst);
        result
    });
    (result, most.into_inner())
}

/// A name leads to another address while the old server owes a reply. There is one connection: the next command waits for
/// its place, until the reply has come or for as long as connecting may take.
#[test]
fn a_name_moves_while_a_reply_is_owed() {
    for (comes, connect_timeout) in [(true, "20s"), (false, "1s")] {
        let (dns, port) = (Dns::start(), Port::take());
        let (old, new) = (Redis::start(), Redis::start());
        let at = |ip: &str, redis: &Redis| {
            let address = SocketAddr::new(ip.parse().unwrap(), port.number());
            Proxy::at(address, &redis.address())
        };
        let (old_door, new_door) = (at("127.0.0.11", &old), at("127.0.0.12", &new));
        for (redis, text) in [(&old, "old"), (&new, "new")] {
            for path in ["/warm", "/owed", "/next"] {
                redis.put(path, &Record::lua_text(text), 10_000);
            }
            // No line beside, on which one would listen.
            let _: () = redis.command(&["ACL", "SETUSER", "default", "-subscribe"]);
        }
        dns.set(NAME, 1, &["127.0.0.11"]);
        let store = format!(
            "server {NAME}:{}; connections 1; connect_timeout {connect_timeout}; read_timeout 20s;",
            port.number()
        );
        let site = Site::new()
            .workers(1)
            .http(&format!("resolver {}; resolver_timeout 2s;", dns.address()))
            .store(&store)
            .start();
        assert_eq!(site.get("/warm").text(), "old");
        let refused = "its invalidations by other machines aren't heard";
        let log = site.nginx.log();
        assert!(
            log.wait_for(Position::default(), refused, PATIENCE)
                .is_some()
        );
        let gate = Gate::new();
        let ((owed, next), most) = most_sockets(port.number(), || {
            old_door.set(Way::Replies, Rule::hold(&gate));
            thread::scope(|scope| {
                let before = old_door.passed(Way::Commands);
                let owed = scope.spawn(|| site.get("/owed"));
                old_door.wait_for_bytes(Way::Commands, before, 1);
                dns.set(NAME, 1, &["127.0.0.12"]);
                // For both families, and once more so that the first answer has come.
                dns.wait_for_question(NAME);
                dns.wait_for_question(NAME);
                dns.wait_for_question(NAME);
                let next = scope.spawn(|| site.get("/next"));
                if comes {
                    // It has no place yet.
                    assert!(holds_for(ms(300), || !next.is_finished()));
                    assert_eq!(new_door.accepted(), 0);
                    gate.open();
                }
                (owed.join().unwrap(), next.join().unwrap())
            })
        });
        let text = if comes { "old" } else { "new" };
        assert_eq!((owed.word().as_str(), owed.text()), ("HIT", text.into()));
        assert_eq!((next.word().as_str(), next.text()), ("HIT", "new".into()));
        assert_eq!(most, 1, "the reply comes: {comes}");
        assert_eq!(site.get("/warm").text(), "new");
        wait_for("the old connection to be gone", PATIENCE, || {
            old_door.open() == 0
        });
        assert_eq!(new_door.accepted(), 1);
        let serious = site.nginx.log().serious(Position::default());
        assert!(serious.is_empty(), "{serious:#?}");
        site.nginx.finish();
    }
}

/// A key that begins so, at a node.
fn fill_at(site: &Running, cluster: &RedisCluster, number: usize, start: &str) -> String {
    let path = cluster.key_at(number, start);
    assert_eq!(site.get(&path).word(), "STORE");
    site.wait_for_hit(&path);
    path
}

/// A node leaves the map while it owes a reply, and comes back before that has come: it is the same node, with the same
/// connection.
#[test]
fn a_node_of_a_cluster_comes_back_while_it_owes_a_reply() {
    let cluster = RedisCluster::options().replicas(0).start();
    let store = format!("{}connections 1; read_timeout 20s;", cluster.directives());
    let site = Site::new().workers(1).store(&store).start();
    let move_to = |path: &str, number: usize| {
        let slot = slot_of(path.as_bytes());
        cluster.move_slots(slot..=slot, number);
        cluster.wait_until_agreed();
    };
    let (owed, next) = (
        fill_at(&site, &cluster, 0, "/owed/"),
        fill_at(&site, &cluster, 1, "/next/"),
    );
    let map = |position, summary: &str| {
        let said = site.nginx.log().wait_for(position, summary, PATIENCE);
        assert!(said.is_some(), "{}", site.nginx.log().tail(20));
    };
    let added = cluster.add_node();
    cluster.wait_until_agreed();
    let start = site.nginx.log().end();
    move_to(&owed, added);
    assert_eq!(site.get(&owed).word(), "HIT");
    map(start, "4 masters of 4 nodes");
    assert_eq!(site.get(&owed).word(), "HIT");
    assert_eq!(cluster.net().clients_of(added), 1);
    cluster.net().forget_most_clients();

    let node = cluster.node(added);
    let door = &node.doors()[0];
    cluster.net().silence(added, Side::Clients);
    thread::scope(|scope| {
        let before = door.passed(Way::Commands);
        let first = scope.spawn(|| site.get(&owed));
        door.wait_for_bytes(Way::Commands, before, 1);
        // It has no slots any more, and a map says so.
        move_to(&owed, 2);
        let left = site.nginx.log().end();
        move_to(&next, 0);
        assert_eq!(site.get(&next).word(), "HIT");
        map(left, "3 masters of 3 nodes");
        assert_eq!(site.get(&next).word(), "HIT");
        // It has the other's slot.
        move_to(&next, added);
        let moved = || cluster.node(0).info("errorstats", "errorstat_MOVED");
        let before = moved();
        let second = scope.spawn(|| site.get(&next));
        wait_for("MOVED", PATIENCE, || moved() != before);
        let capped = || cluster.net().most_clients_of(added) == 1;
        assert!(holds_for(ms(300), capped), "another connection");
        cluster.net().heal();
        for answer in [first, second] {
            assert_eq!(answer.join().unwrap().word(), "HIT");
        }
    });
    assert_eq!(site.get(&next).word(), "HIT");
    for number in 0..cluster.len() {
        assert!(
            cluster.net().most_clients_of(number) <= 1 + HEARS,
            "node {number}"
        );
    }
    site.nginx.finish();
}

/// Requests without end at both workers while `during` runs, for records and for new pages.
fn under_load<T>(site: &Running, during: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..6 {
            let over = &over;
            scope.spawn(move || {
                let (mut connection, begin) = (site.client(), Instant::now());
                for number in 0.. {
                    if over.load(Ordering::SeqCst) || begin.elapsed() > PATIENCE * 3 {
                        break;
                    }
                    let answer = connection.get(&format!("/load/{client}/{}", number % 300));
                    assert_eq!(answer.status, 200);
                }
            });
        }
        let result = during();
        over.store(true, Ordering::SeqCst);
        result
    })
}

/// The worker that watches asks a server for its role on a line of its own.
const WATCH: usize = 1;

/// One more of the worker that hears of invalidations by other machines.
const HEARS: usize = 1;

#[test]
fn a_master_changes_while_replies_are_owed() {
    for connections in [1, 3] {
        // The master is said to go, and isn't taken for dead on a busy machine.
        let all = Sentinels::options().down_after(ms(5000)).start();
        let store = format!(
            "{}connections {connections}; read_timeout 20s;",
            all.directives()
        );
        let site = Site::new()
            .spread()
            .http("keepalive_requests 1000000;")
            .store(&store)
            .start();
        wait_for("a record", PATIENCE, || site.get("/owed").word() == "HIT");
        let mut clients = site.client_of_each("/owed");
        wait_for("replicas that have it", PATIENCE, || {
            all.data()
                .all(|number| all.server(number).keys().contains(&"/owed".to_owned()))
        });
        // Both workers are owed a reply by the old master. The new one gives it.
        all.net().silence(0, Side::Clients);
        let come = || all.server(0).doors()[0].passed(Way::Commands);
        let before = come();
        let begin = Instant::now();
        thread::scope(|scope| {
            let asked: Vec<_> = clients
                .iter_mut()
                .map(|(_, client)| scope.spawn(|| client.get("/owed")))
                .collect();
            wait_for("lookups", PATIENCE, || come() > before);
            let (heir, _) = all.failover();
            assert_ne!(heir, 0);
            for answer in asked {
                assert_eq!(answer.join().unwrap().word(), "HIT");
            }
        });
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(15), "{took:?}: a timeout");
        all.net().heal();
        all.wait_until_well();
        under_load(&site, || {
            let (heir, _) = all.failover();
            wait_for("records in the heir", PATIENCE, || {
                all.server(heir).calls("eval") > 10
            });
        });
        for number in all.data() {
            let most = all.net().most_clients_of(number);
            println!("server {number}: {most}");
            assert!(
                most <= 2 * connections + WATCH + HEARS,
                "server {number}: {most}"
            );
        }
        site.nginx.finish();
    }
}

/// As many commands wait as may; further requests go on without the store, and the log says so once.
#[track_caller]
fn overflows(mode: &str, site: &Running, slow: impl FnOnce(), heal: impl FnOnce()) {
    let paths: Vec<_> = (0..60).map(|number| format!("/queue/{number}")).collect();
    for path in &paths {
        wait_for(path, PATIENCE, || site.get(path).word() == "HIT");
    }
    slow();
    let load = crowd(site.address(), paths.len(), |number| {
        Request::get(&paths[number])
    });
    heal();
    assert_eq!(load.statuses(), [(200, paths.len())].into(), "{mode}");
    let words = load.words();
    println!("{mode}: {words:?}");
    // One worker, whose queue is 8. A reading of the log of purges may have a place in it.
    assert!(
        words.get("HIT").is_some_and(|hits| *hits >= 7),
        "{mode}: {words:?}"
    );
    assert!(words.contains_key("SKIP"), "{mode}: {words:?}");
    let said = site
        .nginx
        .log()
        .matching(Position::default(), "8 commands waiting");
    assert!(!said.is_empty(), "{mode}");
    for path in &paths {
        assert_eq!(site.get(path).word(), "HIT", "{mode}");
    }
}

#[test]
fn a_full_queue_is_passed_by_in_every_mode() {
    const LINES: &str = "connections 1; queue 8;";
    let site = |store: &str| Site::new().workers(1).store(&format!("{store}{LINES}"));

    let redis = Redis::start();
    let door = Proxy::start(&redis.address());
    let standalone = site(&format!("server {};", door.address())).start_with(redis);
    let slow = || door.set(Way::Replies, Rule::delay(ms(500)));
    overflows("standalone", &standalone, slow, || door.heal());
    assert!(door.most_open_for(&testbed::Peers::All) <= 1 + HEARS);
    standalone.nginx.finish();

    let all = Sentinels::options().start();
    let sentinel = site(&all.directives()).start();
    let slow = || all.net().delay(0, Side::Clients, ms(500));
    overflows("sentinel", &sentinel, slow, || all.net().heal());
    assert!(all.net().most_clients_of(0) <= 1 + WATCH + HEARS);
    sentinel.nginx.finish();
}
