//! worker_shutdown_timeout ends what hangs.

use std::thread;
use testbed::{Answer, Backend, Nginx, Port, Redis, Request, Site, ms, pattern};

use crate::LOCKS;

#[test]
fn worker_shutdown_timeout_ends_what_proxy_pass_alone_does() {
    shutdown_timeout_ends("plain");
}

#[test]
fn worker_shutdown_timeout_ends_a_fill_and_its_client() {
    shutdown_timeout_ends("client");
}

#[test]
fn worker_shutdown_timeout_ends_a_fill_and_its_waiter() {
    shutdown_timeout_ends("waiter");
}

#[test]
fn worker_shutdown_timeout_ends_a_refill() {
    shutdown_timeout_ends("refill");
}

#[track_caller]
fn shutdown_timeout_ends(kind: &str) {
    {
        let (port, backend, redis) = (Port::take(), Backend::start(), Redis::start());
        let site = if kind == "plain" {
            Site::plain()
        } else {
            Site::new().location(LOCKS)
        };
        let conf = site.conf(port.address(), &redis, &backend).replace(
            "worker_shutdown_timeout 20s;",
            "worker_shutdown_timeout 1s;",
        );
        let mut nginx = Nginx::start(&conf, port.address());
        nginx.allow("open socket");
        let mut clients = [nginx.client(), nginx.client()];
        if kind == "refill" {
            clients[0].get("/x");
            let _ = redis.wait_for_record("/x");
            redis.expire_in("/x", 50_000);
        }
        backend.set("/x", Answer::ok(pattern(100_000, 5)).hang_at(50_000));
        match kind {
            "refill" => assert_eq!(clients[0].get("/x").word(), "STALE"),
            _ => clients[0].send(&Request::get("/x")).unwrap(),
        }
        backend.wait_for_hits("/x", 1);
        if kind == "waiter" {
            clients[1].send(&Request::get("/x")).unwrap();
            thread::sleep(ms(50));
        }
        let old = nginx.reload();
        let took = nginx.wait_for_exit(&old, ms(8000));
        println!("{kind}: old workers left after {took:?}");
        assert!(took < ms(3500), "{kind}: {took:?}");
        backend.set("/x", Answer::ok("new"));
        let answer = nginx.client().get("/x");
        assert!(
            answer.last_byte < ms(1000),
            "{kind}: {:?}",
            answer.last_byte
        );
    }
}
