//! A site that runs: clients of it, and the states that a test waits for or makes.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::{Answer, Backend, Gate};
use crate::client::{Client, Offer, Request, Response};
use crate::crowd::{Crowd, crowd};
use crate::http2::Certificate;
use crate::log::Position;
use crate::nginx::Nginx;
use crate::ports::Port;
use crate::record::md5_hex;
use crate::redis_server::Redis;
use crate::wait::{PATIENCE, eventually, wait_for};
use crate::zone::Zone;

/// A [`super::Site`] that runs. nginx ends first.
#[derive(Debug)]
pub struct Running {
    /// nginx.
    pub nginx: Nginx,
    /// Redis.
    pub redis: Redis,
    /// The backend.
    pub backend: Backend,
    pub(super) seed: bool,
    pub(super) http2: Option<Port>,
    pub(super) http3: Option<(Port, Certificate)>,
    /// How many workers its first configuration has.
    pub(super) workers: usize,
    /// How many connections each of them may have.
    pub(super) connections: usize,
    /// Where its clients are led, with `TESTBED_CLIENT`.
    pub(super) _offer: Option<Offer>,
    pub(super) _port: Port,
}

/// How long the worker of a fill may take to know that its record is stored. A record that a test has put into Redis has no
/// fill, which nobody says: so long is waited then.
const LETS_GO: Duration = Duration::from_millis(300);

impl Running {
    /// Where nginx listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.nginx.address()
    }

    /// Where nginx listens for HTTP/2 in clear text.
    ///
    /// # Panics
    ///
    /// If it wasn't asked for by [`super::Site::http2`].
    #[must_use]
    #[track_caller]
    pub fn http2_address(&self) -> SocketAddr {
        let port = self.http2.as_ref();
        port.expect("a site that speaks HTTP/2").address()
    }

    /// Where nginx listens for HTTP/3, and its certificate there.
    ///
    /// # Panics
    ///
    /// If it wasn't asked for by [`super::Site::http3`].
    #[must_use]
    #[track_caller]
    pub fn http3(&self) -> (SocketAddr, &Certificate) {
        let http3 = self.http3.as_ref();
        let (port, certificate) = http3.expect("a site that speaks HTTP/3");
        (port.udp_address(), certificate)
    }

    /// The module's zone as it is now.
    ///
    /// # Panics
    ///
    /// If no worker has one that can be read.
    #[must_use]
    #[track_caller]
    pub fn zone(&self) -> Zone {
        let zone = eventually(PATIENCE, || {
            self.nginx.workers().into_iter().find_map(Zone::of)
        });
        zone.expect("the zone in a worker's memory")
    }

    /// Waits until nobody holds a lock, waits or refills, as the zone has it; gives the zone.
    #[track_caller]
    pub fn wait_for_quiet_zone(&self) -> Zone {
        let mut zone = Zone::default();
        wait_for("a zone without locks, waiters, refills", PATIENCE, || {
            zone = self.zone();
            zone.is_quiet()
        });
        zone
    }

    /// Waits until so many requests wait for a lock, as the zone has it: they have looked into the store. (Lookups can't
    /// be counted: those of one key at one time are shared.)
    #[track_caller]
    pub fn wait_for_waiters(&self, count: u32) {
        wait_for("requests that wait for a lock", PATIENCE, || {
            self.zone().waiting >= count
        });
    }

    /// A new connection to nginx.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        self.nginx.client()
    }

    /// A client of each worker, with the worker's process id. Each has asked for `target`: only a response tells whose its
    /// connection is.
    ///
    /// # Panics
    ///
    /// If a worker takes no connection: see [`super::Site::spread`].
    #[must_use]
    #[track_caller]
    pub fn client_of_each(&self, target: &str) -> Vec<(i32, Client)> {
        let mut clients: Vec<(i32, Client)> = Vec::new();
        wait_for("a client of each worker", PATIENCE, || {
            let mut client = self.client();
            let worker = client.get(target).header("x-worker");
            let worker = worker.and_then(|pid| pid.parse().ok());
            let worker: i32 = worker.expect("a process id in X-Worker");
            if clients.iter().all(|(known, _)| *known != worker) {
                clients.push((worker, client));
            }
            // Another is started in the place of one that was killed.
            let living = self.nginx.workers().len();
            living >= self.workers && clients.len() == living
        });
        clients
    }

    /// [`Running::client_of_each`], without the process ids.
    #[must_use]
    #[track_caller]
    pub fn each_worker(&self, target: &str) -> Vec<Client> {
        let clients = self.client_of_each(target).into_iter();
        clients.map(|(_, client)| client).collect()
    }

    /// GET of `target` on a new connection.
    #[must_use]
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.client().get(target)
    }

    /// `request` on a new connection.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, request: &Request) -> Response {
        self.client().ask(request)
    }

    /// GETs of `target` by `count` clients at once.
    #[must_use]
    pub fn crowd(&self, count: usize, target: &str) -> Crowd {
        crowd(self.address(), count, |_| Request::get(target))
    }

    /// GETs of `target` by `count` clients at once. The backend gives `answer` when one of them is there and all others
    /// wait for it.
    #[must_use]
    #[track_caller]
    pub fn waiting_crowd(&self, count: u32, target: &str, answer: Answer) -> Crowd {
        let (gate, before) = (Gate::new(), self.backend.hits(target));
        self.backend.set(target, answer.gate(&gate));
        std::thread::scope(|scope| {
            let crowd = scope.spawn(|| self.crowd(count as usize, target));
            self.backend.wait_for_hits(target, before + 1);
            self.wait_for_waiters(count - 1);
            gate.open();
            crowd.join().unwrap()
        })
    }

    /// The key of a GET of `target` without User-Agent.
    #[must_use]
    pub fn key(&self, target: &str) -> String {
        self.key_of("GET", target)
    }

    /// The key of a request without User-Agent.
    #[must_use]
    pub fn key_of(&self, method: &str, target: &str) -> String {
        if self.seed {
            md5_hex(&format!("{method}::{target}"))
        } else {
            target.to_owned()
        }
    }

    /// Fills `target` and waits until its record is in Redis and its lock is free.
    #[track_caller]
    pub fn fill(&self, target: &str) -> Response {
        self.fill_by(&Request::get(target), &self.key(target))
    }

    /// Sends `request`, which fills `key`, and waits until its record is in Redis and its lock is free.
    #[track_caller]
    pub fn fill_by(&self, request: &Request, key: &str) -> Response {
        let mut client = self.client();
        let response = client.ask(request);
        assert_eq!(response.word(), "STORE", "{key}: {:?}", response.fields);
        let _ = self.redis.wait_for_record(key);
        // The record is there before its worker knows. When that worker has looked it up, it does.
        let _ = client.ask(request);
        response
    }

    /// Fills `target` and lets its record become stale, without waiting for it.
    #[track_caller]
    pub fn fill_and_age(&self, target: &str) -> Response {
        let response = self.fill(target);
        self.make_stale(target);
        response
    }

    /// Asks for `target` until a record answers: the refill, or the store of a miss, is done by then.
    ///
    /// # Panics
    ///
    /// If it never does.
    #[track_caller]
    pub fn wait_for_hit(&self, target: &str) -> Response {
        let hit = eventually(PATIENCE, || {
            let response = self.get(target);
            (response.word() == "HIT").then_some(response)
        });
        hit.unwrap_or_else(|| panic!("no HIT for {target}"))
    }

    /// Waits until `count` fills are over: the record is in Redis before its worker knows, and lets go of the key.
    #[track_caller]
    pub fn wait_for_fills(&self, count: usize) {
        wait_for(&format!("the end of {count} fills"), PATIENCE, || {
            let log = self.nginx.log();
            log.matching(Position::default(), "redis_cache: fill of \"")
                .len()
                >= count
        });
    }

    /// Waits until a fill of `target` is over, whatever comes of it: what it has to keep is kept.
    #[track_caller]
    pub fn wait_for_fill(&self, target: &str) {
        let line = format!("redis_cache: fill of \"{}\": ", self.key(target));
        let log = self.nginx.log();
        let said = log.wait_for(Position::default(), &line, PATIENCE);
        assert!(
            said.is_some(),
            "no end of a fill of {target}: {}",
            log.tail(20)
        );
    }

    /// Lets the record of `target` become stale: 50 s of its 100 s are left.
    #[track_caller]
    pub fn make_stale(&self, target: &str) {
        self.expire_in(&self.key(target), 50_000);
    }

    /// Leaves a record so many milliseconds. If a fill has stored it, that has let go of the key by then, and a refill may begin.
    #[track_caller]
    pub fn expire_in(&self, key: &str, millis: i64) {
        if self.backend.all_hits() > 0 {
            let line = format!("redis_cache: fill of \"{key}\": ");
            let log = self.nginx.log();
            let _ = log.wait_for(Position::default(), &line, LETS_GO);
        }
        self.redis.expire_in(key, millis);
    }
}
