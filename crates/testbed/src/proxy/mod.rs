//! A proxy between the module and Redis that does to the bytes, in each direction, what a test wants.

mod peers;
mod rule;
mod swallowing;

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

pub use peers::Peers;
pub use rule::{Piece, Rule, Step};

use crate::backend::Gate;
use crate::ports::Port;
use crate::wait::{PATIENCE, eventually, wait_for};
use peers::Treatments;
use swallowing::Swallowing;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the module to Redis.
    Commands,
    /// From Redis to the module.
    Replies,
}

/// How soon a thread that waits notices the proxy's end, or its connection's.
const TICK: Duration = Duration::from_millis(20);

#[derive(Debug, Default)]
struct Shared {
    treatments: Mutex<Treatments>,
    passed: [AtomicUsize; 2],
    closing: AtomicBool,
    links: Mutex<Vec<Arc<Link>>>,
    most: Mutex<HashMap<IpAddr, usize>>,
    accepted: AtomicUsize,
}

/// A connection and its twin.
#[derive(Debug)]
struct Link {
    peer: IpAddr,
    module: TcpStream,
    redis: TcpStream,
    over: AtomicBool,
}

/// The thread that accepts, and the word that ends it.
#[derive(Debug)]
struct Accepting {
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The proxy. At first everything passes.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    target: String,
    shared: Arc<Shared>,
    accepting: Mutex<Option<Accepting>>,
    swallowing: Mutex<Option<Swallowing>>,
    _port: Option<Port>,
}

impl Proxy {
    /// Starts one in front of `target`.
    ///
    /// # Panics
    ///
    /// If its port can't be had.
    #[must_use]
    pub fn start(target: &str) -> Proxy {
        let port = Port::take();
        let mut proxy = Proxy::at(port.address(), target);
        proxy._port = Some(port);
        proxy
    }

    /// Starts one at an address whose port is the caller's, in front of `target`.
    ///
    /// # Panics
    ///
    /// If the address can't be had.
    #[must_use]
    pub fn at(address: SocketAddr, target: &str) -> Proxy {
        let proxy = Proxy {
            address,
            target: target.to_owned(),
            shared: Arc::default(),
            accepting: Mutex::new(None),
            swallowing: Mutex::new(None),
            _port: None,
        };
        proxy.listen();
        proxy
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens again after [`Proxy::stop_listening`] or [`Proxy::swallow_connects`].
    ///
    /// # Panics
    ///
    /// If its address can't be had.
    pub fn listen(&self) {
        let mut accepting = self.accepting.lock().unwrap();
        if accepting.is_some() {
            return;
        }
        self.swallowing.lock().unwrap().take();
        // A connection that somebody else is just closing may hold the port for a moment.
        let listener = eventually(PATIENCE, || TcpListener::bind(self.address).ok())
            .expect("the proxy's port");
        let (shared, target) = (Arc::clone(&self.shared), self.target.clone());
        let over = Arc::<AtomicBool>::default();
        let ending = Arc::clone(&over);
        let thread = thread::spawn(move || accept(&listener, &target, &shared, &ending));
        *accepting = Some(Accepting { over, thread });
    }

    /// Ends all connections; the kernel refuses new ones, as it does where no server runs.
    pub fn stop_listening(&self) {
        self.stop_accepting();
        self.swallowing.lock().unwrap().take();
        self.cut();
    }

    /// New connections hang: the kernel drops their SYN, as where a machine is gone. Those that are there stay. Ends
    /// with [`Proxy::heal`].
    ///
    /// # Panics
    ///
    /// If the address can't be had again.
    pub fn swallow_connects(&self) {
        self.stop_accepting();
        *self.swallowing.lock().unwrap() = Some(Swallowing::at(self.address));
    }

    fn stop_accepting(&self) {
        if let Some(accepting) = self.accepting.lock().unwrap().take() {
            accepting.over.store(true, Ordering::SeqCst);
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(self.address);
            let _ = accepting.thread.join();
        }
    }

    /// What happens from now on to bytes that go this way, on all connections.
    pub fn set(&self, way: Way, rule: Rule) {
        self.set_for(&Peers::All, way, rule);
    }

    /// What happens from now on to bytes that go this way on the connections of `peers`. The latest word counts.
    pub fn set_for(&self, peers: &Peers, way: Way, rule: Rule) {
        self.shared.treatments.lock().unwrap().set(peers, way, rule);
    }

    /// Everything passes again, and new connections are served. What was held stays held by its gate.
    pub fn heal(&self) {
        self.heal_for(&Peers::All);
        if self.swallowing.lock().unwrap().is_some() {
            self.listen();
        }
    }

    /// Ends what was said for exactly these `peers`; for [`Peers::All`], whatever was said.
    pub fn heal_for(&self, peers: &Peers) {
        self.shared.treatments.lock().unwrap().heal(peers);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.cut_for(&Peers::All);
    }

    /// Ends the connections of `peers`.
    pub fn cut_for(&self, peers: &Peers) {
        self.shared.links.lock().unwrap().retain(|link| {
            let meant = peers.contain(link.peer);
            if meant {
                link.end(false);
            }
            !meant
        });
    }

    /// Ends all connections, and new ones as soon as they are there, until [`Proxy::heal`].
    pub fn refuse(&self) {
        self.refuse_for(&Peers::All);
    }

    /// Ends the connections of `peers`, and new ones as soon as they are there, until they are healed.
    pub fn refuse_for(&self, peers: &Peers) {
        self.shared.treatments.lock().unwrap().refuse(peers);
        self.cut_for(peers);
    }

    /// How many bytes came this way.
    #[must_use]
    pub fn passed(&self, way: Way) -> usize {
        self.shared.passed[way as usize].load(Ordering::SeqCst)
    }

    /// How many connections were ever made.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open_for(&Peers::All)
    }

    /// How many connections of `peers` are open.
    #[must_use]
    pub fn open_for(&self, peers: &Peers) -> usize {
        let links = self.shared.links.lock().unwrap();
        links
            .iter()
            .filter(|link| !link.is_over() && peers.contain(link.peer))
            .count()
    }

    /// The most connections of `peers` that were ever open at once: the sum over the addresses they came from.
    #[must_use]
    pub fn most_open_for(&self, peers: &Peers) -> usize {
        let most = self.shared.most.lock().unwrap();
        most.iter()
            .filter(|(peer, _)| peers.contain(**peer))
            .map(|(_, count)| count)
            .sum()
    }

    /// Counts anew from now on what [`Proxy::most_open_for`] says.
    pub fn forget_most_open(&self) {
        let links = self.shared.links.lock().unwrap();
        let mut most = self.shared.most.lock().unwrap();
        most.clear();
        for link in links.iter().filter(|link| !link.is_over()) {
            *most.entry(link.peer).or_default() += 1;
        }
    }

    /// Waits until `bytes` more bytes than `before` have come this way.
    #[track_caller]
    pub fn wait_for_bytes(&self, way: Way, before: usize, bytes: usize) {
        let what = format!("{bytes} bytes of {way:?}");
        wait_for(&what, PATIENCE, || self.passed(way) >= before + bytes);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        self.stop_listening();
    }
}

impl Link {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn end(&self, by_reset: bool) {
        self.over.store(true, Ordering::SeqCst);
        for stream in [&self.module, &self.redis] {
            if by_reset {
                let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
            }
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, target: &str, shared: &Arc<Shared>, over: &AtomicBool) {
    for module in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let Ok(module) = module else { continue };
        let link = link(module, target, shared);
        shared.keep(link.as_ref());
        // Whoever has seen that it was made sees whether it is open.
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let Some(link) = link else { continue };
        // Refused meanwhile, and cut before it was kept.
        if shared.treatments.lock().unwrap().refuses(link.peer) {
            link.end(false);
        }
        for way in [Way::Commands, Way::Replies] {
            let (link, shared) = (Arc::clone(&link), Arc::clone(shared));
            thread::spawn(move || {
                carry(&link, &shared, way);
                link.end(false);
            });
        }
    }
}

impl Shared {
    /// Notes a new connection, and forgets those that are over.
    fn keep(&self, link: Option<&Arc<Link>>) {
        let mut links = self.links.lock().unwrap();
        links.retain(|link| !link.is_over());
        let Some(link) = link else { return };
        links.push(Arc::clone(link));
        let now = links.iter().filter(|other| other.peer == link.peer).count();
        let mut most = self.most.lock().unwrap();
        let most = most.entry(link.peer).or_default();
        *most = now.max(*most);
    }
}

/// Gives a connection its twin. `None` ends it.
fn link(module: TcpStream, target: &str, shared: &Shared) -> Option<Arc<Link>> {
    let peer = module.peer_addr().ok()?.ip();
    if shared.treatments.lock().unwrap().refuses(peer) {
        return None;
    }
    let redis = TcpStream::connect(target).ok()?;
    let _ = (module.set_nodelay(true), redis.set_nodelay(true));
    Some(Arc::new(Link {
        peer,
        module,
        redis,
        over: AtomicBool::new(false),
    }))
}

/// Carries bytes one way until the connection's end.
fn carry(link: &Link, shared: &Shared, way: Way) {
    let (mut from, to) = match way {
        Way::Commands => (&link.module, &link.redis),
        Way::Replies => (&link.redis, &link.module),
    };
    let mut bytes = vec![0; 256 * 1024];
    let mut before = 0;
    loop {
        let count = match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        shared.passed[way as usize].fetch_add(count, Ordering::SeqCst);
        let rule = shared.treatments.lock().unwrap().rule(link.peer, way);
        let piece = Piece {
            bytes: &bytes[..count],
            before,
        };
        before += count;
        for step in (rule.0)(&piece) {
            if link.is_over() || !take(step, to, link, shared) {
                return;
            }
        }
    }
}

/// Takes one step; `false` if the connection is at its end.
fn take(step: Step, mut to: &TcpStream, link: &Link, shared: &Shared) -> bool {
    let over = || link.is_over() || shared.closing.load(Ordering::SeqCst);
    match step {
        Step::Send(bytes) => to.write_all(&bytes).is_ok(),
        Step::Wait(time) => {
            thread::sleep(time);
            true
        }
        Step::Hold(gate) => hold(&gate, over),
        Step::Close => false,
        Step::Reset => {
            link.end(true);
            false
        }
    }
}

fn hold(gate: &Gate, over: impl Fn() -> bool) -> bool {
    while !gate.wait(TICK) {
        if over() {
            return false;
        }
    }
    true
}
