//! The zone beside others: keys that somebody chooses, a reload that gives it another size, other servers of the
//! machine.

use std::collections::BTreeSet;
use std::fs;

use testbed::{
    Answer, Client, Gate, PATIENCE, Request, Running, Site, eventually, md5_hex, wait_for,
};

/// How many places a key may be found in.
const WINDOW: usize = 64;

/// Paths whose keys a lock table without a secret would put where that of `path` belongs.
fn neighbours(path: &str, places: usize) -> Vec<String> {
    let place = |path: &str| {
        let hash = md5_hex(&format!("main\0{path}"));
        let first = u64::from_str_radix(&hash[..16], 16).unwrap();
        usize::try_from(first.swap_bytes() >> 7).unwrap() % places
    };
    let wanted = place(path);
    let paths = (0..).map(|number| format!("/chosen/{number}"));
    paths
        .filter(|path| place(path) == wanted)
        .take(WINDOW)
        .collect()
}

#[test]
fn chosen_keys_do_not_take_the_lock_of_another() {
    let site = Site::new().http("redis_cache_zone locks 64k;").start();
    let paths = neighbours("/victim", site.zone().room);
    let gate = Gate::new();
    site.backend
        .set_otherwise(Answer::ok("slow").header("X-Own", "1").gate(&gate));
    let mut clients: Vec<Client> = Vec::new();
    for path in &paths {
        let mut client = site.client();
        client.send(&Request::get(path)).unwrap();
        clients.push(client);
    }
    wait_for("the locks of the chosen keys", PATIENCE, || {
        site.zone().locks == WINDOW
    });
    std::thread::scope(|scope| {
        let crowd = scope.spawn(|| site.crowd(60, "/victim"));
        site.backend.wait_for_hits("/victim", 1);
        site.wait_for_waiters(59);
        gate.open();
        let crowd = crowd.join().unwrap();
        assert_eq!(crowd.bodies(), [(b"slow".to_vec(), 60)].into());
    });
    assert_eq!(site.backend.hits("/victim"), 1);
    for client in &mut clients {
        assert_eq!(client.receive().unwrap().status, 200);
    }
    site.nginx.finish();
}

fn reloads_with_another_size(site: &Site, running: &mut Running) -> Vec<i32> {
    let conf = site.clone().http("redis_cache_zone locks 2m;").conf(
        running.address(),
        &running.redis,
        &running.backend,
    );
    running.nginx.rewrite(&conf);
    let old = running.nginx.reload();
    // They accept nothing more.
    wait_for("the old workers to leave", PATIENCE, || {
        let log = running.nginx.log();
        let leaving = log.matching(Default::default(), "gracefully shutting down");
        leaving.len() >= old.len()
    });
    old
}

#[test]
fn a_change_after_a_reload_reaches_a_fill_from_before_it_whatever_the_size_of_the_zone() {
    for (form, site) in Site::forms() {
        let mut running = site.start();
        let gate = Gate::new();
        let held = gate.clone();
        running.backend.script("/x", move |request, nth| {
            match (request.method.as_str(), nth) {
                ("GET", 1) => Answer::ok("old").gate(&held),
                ("GET", _) => Answer::ok("new"),
                _ => Answer::of(204, ""),
            }
        });
        let mut first = running.client();
        first.send(&Request::get("/x")).unwrap();
        running.backend.wait_for_hits("/x", 1);
        let old = reloads_with_another_size(&site, &mut running);
        let put = Request::new("PUT", "/x").body("new");
        assert_eq!(running.ask(&put).status, 204, "{form}");
        assert_eq!(running.get("/x").text(), "new", "{form}");
        gate.open();
        assert_eq!(first.receive().unwrap().text(), "old", "{form}");
        drop(first);
        running.nginx.wait_for_exit(&old, PATIENCE);
        let key = running.key("/x");
        let line = format!("fill of \"{key}\": invalidated meanwhile");
        let said = running
            .nginx
            .log()
            .matching(Default::default(), &line)
            .len();
        assert_eq!(said, 1, "{form}: {}", running.nginx.log().tail(20));
        assert_eq!(running.get("/x").text(), "new", "{form}");
        assert_eq!(running.redis.get(&key).unwrap().body, b"new", "{form}");
        running.nginx.finish();
    }
}

/// The name of the socket that a worker is woken by, without its process id.
fn socket(pid: i32) -> Option<String> {
    let end = format!(".{pid}");
    let all = fs::read_to_string("/proc/net/unix").unwrap();
    all.lines().find_map(|line| {
        let name = line.split('@').nth(1)?;
        let name = name.strip_prefix("ngx_http_redis_cache")?;
        name.strip_suffix(&end).map(str::to_owned)
    })
}

fn sockets(site: &Running) -> BTreeSet<String> {
    let socket = |pid| eventually(PATIENCE, || socket(pid)).expect("a socket for wake-ups");
    site.nginx.workers().into_iter().map(socket).collect()
}

/// Servers of one machine may share their network, but not their process ids.
#[test]
fn the_names_of_wake_ups_tell_servers_apart_whose_process_ids_are_equal() {
    let mut first = Site::new().start();
    let second = Site::new().start();
    let (one, other) = (sockets(&first), sockets(&second));
    assert_eq!((one.len(), other.len()), (1, 1), "{one:?} {other:?}");
    assert!(one.is_disjoint(&other), "{one:?} {other:?}");
    // Old and new workers of one server wake each other.
    let old = reloads_with_another_size(&Site::new(), &mut first);
    first.nginx.wait_for_exit(&old, PATIENCE);
    assert_eq!(sockets(&first), one);
    first.nginx.finish();
    second.nginx.finish();
}
