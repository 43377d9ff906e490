//! worker_shutdown_timeout ends what hangs.

use testbed::{
    Answer, Backend, Gate, Nginx, PATIENCE, Port, Position, Redis, Request, Site, ms, pattern,
};

use crate::{LOCKS, SOON};

/// What hangs when the workers are told to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hanging {
    /// proxy_pass alone.
    Plain,
    /// The backend, which a client and another one wait for.
    Fill,
    /// The backend, which nobody waits for.
    Refill,
    /// Redis, with a record to store that its client has long got.
    Store,
    /// Redis, with a record to look up that a client waits for.
    Lookup,
}

#[test]
fn worker_shutdown_timeout_ends_what_proxy_pass_alone_does() {
    shutdown_timeout_ends(Hanging::Plain);
}

#[test]
fn worker_shutdown_timeout_ends_a_fill_its_client_and_its_waiter() {
    shutdown_timeout_ends(Hanging::Fill);
}

#[test]
fn worker_shutdown_timeout_ends_a_refill() {
    shutdown_timeout_ends(Hanging::Refill);
}

#[test]
fn worker_shutdown_timeout_ends_a_store() {
    shutdown_timeout_ends(Hanging::Store);
}

#[test]
fn worker_shutdown_timeout_ends_a_lookup() {
    shutdown_timeout_ends(Hanging::Lookup);
}

#[track_caller]
fn shutdown_timeout_ends(what: Hanging) {
    let (port, backend, mut redis) = (Port::take(), Backend::start(), Redis::start());
    let site = if what == Hanging::Plain {
        Site::plain()
    } else {
        Site::new().location(LOCKS)
    };
    let conf = site
        .store("read_timeout 60s; send_timeout 60s;")
        .conf(port.address(), &redis, &backend)
        .replace(
            "worker_shutdown_timeout 20s;",
            "worker_shutdown_timeout 1s;",
        );
    let mut nginx = Nginx::start(&conf, port.address());
    let mut clients = [nginx.client(), nginx.client()];
    let gate = Gate::new();
    let hangs = || Answer::ok(pattern(100_000, 5)).hang_at(50_000);
    match what {
        Hanging::Plain | Hanging::Fill => {
            backend.set("/x", hangs());
            for client in &mut clients {
                client.send(&Request::get("/x")).unwrap();
                // The second one reads along, or has an answer of its own.
                let _ = client.receive_header().unwrap();
            }
        }
        Hanging::Refill => {
            clients[0].get("/x");
            let _ = redis.wait_for_record("/x");
            // Its worker knows that by the time it has looked it up.
            clients[0].get("/x");
            redis.expire_in("/x", 50_000);
            backend.set("/x", hangs());
            assert_eq!(clients[0].get("/x").word(), "STALE");
            backend.wait_for_hits("/x", 2);
        }
        Hanging::Store => {
            backend.set("/x", Answer::ok("x").gate(&gate));
            clients[0].send(&Request::get("/x")).unwrap();
            backend.wait_for_hits("/x", 1);
            redis.freeze();
            gate.open();
            assert!(clients[0].receive().unwrap().complete);
        }
        Hanging::Lookup => {
            redis.freeze();
            clients[0].send(&Request::get("/x")).unwrap();
        }
    }
    let old = nginx.reload();
    let took = nginx.wait_for_exit(&old, PATIENCE);
    println!("{what:?}: old workers left after {took:?}");
    assert!(took < ms(10_000), "{what:?}: {took:?}");
    let log = nginx.log();
    if matches!(what, Hanging::Store | Hanging::Lookup) {
        let lines = log.serious(Position::default());
        assert!(lines.is_empty(), "{what:?}: {lines:#?}");
    }
    if what == Hanging::Store {
        let told = |needle| log.matching(Position::default(), needle);
        assert!(
            told("fill of \"/x\": stored").is_empty(),
            "{}",
            log.tail(20)
        );
        assert_eq!(told("\"/x\" was not stored").len(), 1, "{}", log.tail(20));
    }
    redis.thaw();
    backend.set("/x", Answer::ok("new"));
    let answer = nginx.client().get("/x");
    assert!(answer.last_byte < SOON, "{what:?}: {:?}", answer.last_byte);
    drop(clients);
    nginx.finish();
}
