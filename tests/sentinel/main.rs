//! A store behind Sentinels, on real nginx: which server is the master, how a failover is followed, and which replicas serve
//! lookups.

mod replicas;
mod rights;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use testbed::{
    Answer, Ending, Gate, PATIENCE, Position, Request, Response, Running, SentinelOptions,
    Sentinels, Side, Site, ms, wait_for,
};

/// Shorter than the bed's own: what is silent is found out soon, and a busy machine has time enough.
const TIMEOUTS: &str = "connect_timeout 500ms; send_timeout 500ms; read_timeout 500ms;";

/// What is promised: all workers have followed a failover a second after it was announced. A busy machine has three times
/// as much.
const FOLLOWED: Duration = Duration::from_millis(3000);

fn bed() -> SentinelOptions {
    Sentinels::options().down_after(ms(500))
}

/// For tests in which no server falls silent: one that a busy machine keeps from replying isn't taken for dead.
fn steady() -> SentinelOptions {
    bed().down_after(ms(5000))
}

fn site(all: &Sentinels, workers: usize, more: &str) -> Running {
    let store = format!("{}{TIMEOUTS}{more}", all.directives());
    let site = Site::new()
        .workers(workers)
        .spread()
        .http("keepalive_requests 1000000;")
        .store(&store)
        .start();
    wait_for("the master to be known", PATIENCE, || {
        site.get("/first").word() == "STORE" || site.get("/first").word() == "HIT"
    });
    site
}

/// Has a page stored.
#[track_caller]
fn keep(site: &Running, target: &str) {
    wait_for("a record", PATIENCE, || site.get(target).word() == "HIT");
}

/// Requests without end, from four clients, while `during` runs. Each body is looked at, and each status.
fn under_load<T>(site: &Running, during: impl FnOnce() -> T) -> T {
    let paths: Vec<String> = (0..50).map(|number| format!("/load/{number}")).collect();
    while_asking(site, &paths, during, |path, answer| {
        assert_eq!(answer.status, 200, "{path}: {}", answer.word());
        let text = answer.text();
        assert!(text.starts_with(&format!("GET {path} #")), "{path}: {text}");
    })
}

/// Requests for these paths without end, from four clients, while `during` runs. `look` looks at each answer.
fn while_asking<T>(
    site: &Running,
    paths: &[String],
    during: impl FnOnce() -> T,
    look: impl Fn(&str, &Response) + Sync,
) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ending = Ending::raises(&over);
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let (over, look) = (&over, &look);
                scope.spawn(move || {
                    let mut client = site.client();
                    let mut count = 0;
                    // A few in any case: a busy machine may not let it begin before the end.
                    while !over.load(Ordering::Relaxed) || count <= 10 {
                        let path = &paths[(count * 7 + number) % paths.len()];
                        look(path, &client.get(path));
                        count += 1;
                    }
                })
            })
            .collect();
        let result = during();
        drop(ending);
        for client in clients {
            client.join().unwrap();
        }
        result
    })
}

/// Waits until what is stored now is in this server, and no worker has a connection to another.
#[track_caller]
fn follows(site: &Running, all: &Sentinels, master: usize, within: Duration) {
    let start = Instant::now();
    let key = format!("/followed/{master}/{}", site.backend.all_hits());
    wait_for("records in the new master", PATIENCE, || {
        let target = format!("{key}/{}", site.backend.all_hits());
        site.get(&target).word() == "STORE" && {
            let stored = site.key(&target);
            testbed::eventually(ms(500), || {
                all.server(master).keys().contains(&stored).then_some(())
            })
            .is_some()
        }
    });
    let took = start.elapsed();
    println!("followed after {took:?}");
    assert!(took < within, "{took:?}");
}

#[test]
fn records_live_in_the_master_and_a_failover_on_order_is_followed() {
    let all = steady().start();
    let site = site(&all, 2, "");
    keep(&site, "/page");
    assert_eq!(site.get("/page").word(), "HIT");
    wait_for("the record in all servers", PATIENCE, || {
        (0..3).all(|number| all.server(number).keys().contains(&site.key("/page")))
    });
    let master = under_load(&site, || {
        let (master, took) = all.failover();
        println!("announced after {took:?}");
        follows(&site, &all, master, FOLLOWED);
        master
    });
    assert_ne!(master, 0);
    // The replica had the record.
    assert_eq!(site.get("/page").word(), "HIT");
    // And back, soon after: epochs go on.
    all.wait_until_well();
    let (again, _) = all.failover();
    follows(&site, &all, again, FOLLOWED);
    let lines = site
        .nginx
        .log()
        .matching(Position::default(), "\": the master is ");
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[2].contains("config epoch"), "{lines:#?}");
}

#[test]
fn a_master_that_dies_is_replaced_and_comes_back_as_a_replica() {
    let all = bed().start();
    let site = site(&all, 2, "");
    under_load(&site, || {
        let (heir, took) = all.kill_master();
        println!("announced after {took:?}");
        follows(&site, &all, heir, FOLLOWED);
        all.restart(0);
        all.wait_until_well();
        follows(&site, &all, heir, FOLLOWED);
    });
    let keys = all.server(0).keys();
    assert!(
        wait_for("the copy", PATIENCE, || all.server(0).keys().len()
            >= keys.len())
            < PATIENCE
    );
}

#[test]
fn a_frozen_master_is_left_and_thaws_without_clients() {
    let all = bed().start();
    let site = site(&all, 2, "max_fails 2;");
    let heir = under_load(&site, || {
        let (heir, took) = all.freeze_master();
        println!("announced after {took:?}");
        follows(&site, &all, heir, FOLLOWED);
        heir
    });
    let keep_some = |place: &str| {
        for number in 0..20 {
            let target = format!("/{place}/{number}");
            keep(&site, &target);
            assert!(all.server(heir).keys().contains(&site.key(&target)));
        }
    };
    all.server(0).thaw();
    // It may still be a master by its own account, and run what was under way when it froze: one command of a client.
    let before = all.server(0).calls("eval");
    keep_some("thawing");
    assert!(all.server(0).calls("eval") <= before + 4);
    all.wait_until_well();
    let before = all.server(0).calls("eval");
    keep_some("thawed");
    assert_eq!(all.server(0).calls("eval"), before);
    // Connections on their way to it were given up for another, which is no trouble of its own.
    let log = site.nginx.log();
    assert!(log.matching(Position::default(), "no memory").is_empty());
}

#[test]
fn a_master_that_clients_are_parted_from_is_left_once_the_sentinels_say_so() {
    let all = bed().start();
    let site = site(&all, 1, "max_fails 1;");
    under_load(&site, || {
        all.net().silence(0, Side::Clients);
        wait_for("the store to be down", PATIENCE, || {
            site.get("/x").word() == "SKIP"
        });
        let (master, _) = all.failover();
        follows(&site, &all, master, FOLLOWED);
        all.net().heal();
    });
}

#[test]
fn a_sentinel_that_is_stuck_on_the_old_address_is_outvoted() {
    let all = bed().start();
    let site = site(&all, 1, "");
    let stuck = all.sentinels().start;
    all.net().silence(stuck, Side::Servers);
    all.server(0).kill();
    let (master, _) = all.wait_for_another(0);
    follows(&site, &all, master, FOLLOWED);
    assert_ne!(all.address_by(stuck), Some(all.server(master).address()));
    // It says so again and again, and isn't believed.
    assert!(testbed::holds_for(ms(1500), || {
        let target = format!("/stuck/{}", site.backend.all_hits());
        site.get(&target).word() == "STORE"
    }));
}

#[test]
fn sentinels_that_are_all_away_leave_the_master_in_use() {
    let all = steady().start();
    let site = site(&all, 2, "");
    for sentinel in all.sentinels() {
        all.server(sentinel).stop();
    }
    let log = site.nginx.log();
    wait_for("a line for each Sentinel", PATIENCE, || {
        let lines = log.matching(Position::default(), "doesn't say who the master is");
        lines.len() == 3
    });
    keep(&site, "/away");
    assert!(testbed::holds_for(ms(1500), || site.get("/away").word() == "HIT"));
    let lines = log.serious(Position::default());
    assert_eq!(lines.len(), 3, "one for each Sentinel: {lines:#?}");
    for sentinel in all.sentinels() {
        all.server(sentinel).run();
    }
    log.wait_for(Position::default(), "answers again", PATIENCE)
        .expect("a Sentinel that answers again");
}

#[test]
fn a_name_that_no_sentinel_knows_is_said() {
    let all = steady().start();
    let store = all
        .directives()
        .replace("mode sentinel ", "mode sentinel not");
    let site = Site::new().store(&format!("{store}{TIMEOUTS}")).start();
    let answer = site.get("/x");
    assert_eq!((answer.status, answer.word().as_str()), (200, "SKIP"));
    let line = site
        .nginx
        .log()
        .wait_for(Position::default(), "no master is called", PATIENCE);
    assert!(line.is_some());
}

#[test]
fn the_worker_that_watches_may_die() {
    let all = steady().start();
    let mut site = site(&all, 2, "");
    // Whichever it is: both die, one after the other.
    for worker in site.nginx.workers() {
        site.nginx.kill_worker(worker);
        all.wait_until_well();
        let (master, _) = all.failover();
        // The lease of the dead runs for a second.
        follows(&site, &all, master, FOLLOWED + ms(1500));
    }
}

#[test]
fn a_reload_keeps_the_master() {
    let all = steady().start();
    let mut site = site(&all, 2, "");
    keep(&site, "/page");
    let old = site.nginx.reload();
    assert_eq!(site.get("/page").word(), "HIT");
    site.nginx.wait_for_exit(&old, PATIENCE);
    let (master, _) = all.failover();
    follows(&site, &all, master, FOLLOWED);
}

#[test]
fn a_worker_that_leaves_lets_one_of_the_new_configuration_watch() {
    let all = steady().start();
    let mut site = site(&all, 1, "");
    let gate = Gate::new();
    site.backend.set("/slow", Answer::ok("slow").gate(&gate));
    let mut client = site.client();
    client.send(&Request::get("/slow")).unwrap();
    site.backend.wait_for_hits("/slow", 1);
    // Whoever watches has subscribed, at one of them.
    let feeds = || {
        let lists = all.sentinels().map(|number| {
            let list = ["CLIENT", "LIST", "TYPE", "pubsub"];
            all.server(number).command::<String>(&list)
        });
        let addresses = |list: String| -> Vec<String> {
            let words = list.split_whitespace();
            let words = words.filter(|word| word.starts_with("addr="));
            words.map(str::to_owned).collect()
        };
        lists.flat_map(addresses).collect::<BTreeSet<_>>()
    };
    wait_for("a feed", PATIENCE, || !feeds().is_empty());
    let before = feeds();
    let old = site.nginx.reload();
    wait_for("a feed of the new worker", PATIENCE, || {
        let now = feeds();
        !now.is_empty() && now.is_disjoint(&before)
    });
    gate.open();
    assert_eq!(client.receive().unwrap().text(), "slow");
    drop(client);
    site.nginx.wait_for_exit(&old, PATIENCE);
    let (master, _) = all.failover();
    follows(&site, &all, master, FOLLOWED);
}
