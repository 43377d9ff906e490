//! A proxy between the module and Redis that does to the bytes, in each direction, what a test wants.

mod rule;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;

pub use rule::{Piece, Rule, Step};

use crate::backend::Gate;
use crate::ports::Port;
use crate::wait::{PATIENCE, wait_for};

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
    rules: Mutex<[Rule; 2]>,
    passed: [AtomicUsize; 2],
    refusing: AtomicBool,
    closing: AtomicBool,
    links: Mutex<Vec<Arc<Link>>>,
    accepted: AtomicUsize,
}

/// A connection and its twin.
#[derive(Debug)]
struct Link {
    module: TcpStream,
    redis: TcpStream,
    over: AtomicBool,
}

/// The proxy. At first everything passes.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    /// Taken for it alone.
    port: Option<Port>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
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
        let mut proxy = Proxy::start_at(port.address(), target);
        proxy.port = Some(port);
        proxy
    }

    /// The same at an address that the test has chosen.
    ///
    /// # Panics
    ///
    /// If the address can't be had.
    #[must_use]
    pub fn start_at(address: SocketAddr, target: &str) -> Proxy {
        let listener = TcpListener::bind(address).expect("the proxy's address");
        let (shared, target) = (Arc::<Shared>::default(), target.to_owned());
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || accept(&listener, &target, &accepting));
        Proxy {
            address,
            port: None,
            shared,
            thread: Some(thread),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What happens from now on to bytes that go this way, on all connections.
    pub fn set(&self, way: Way, rule: Rule) {
        self.shared.rules.lock().unwrap()[way as usize] = rule;
    }

    /// Everything passes again, and new connections are served. What was held stays held by its gate.
    pub fn heal(&self) {
        *self.shared.rules.lock().unwrap() = Default::default();
        self.shared.refusing.store(false, Ordering::SeqCst);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        for link in self.shared.links.lock().unwrap().drain(..) {
            link.end(false);
        }
    }

    /// Ends all connections, and new ones as soon as they are there, until [`Proxy::heal`].
    pub fn refuse(&self) {
        self.shared.refusing.store(true, Ordering::SeqCst);
        self.cut();
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
        let links = self.shared.links.lock().unwrap();
        let open = |link: &&Arc<Link>| !link.over.load(Ordering::SeqCst);
        links.iter().filter(open).count()
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
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.cut();
    }
}

impl Link {
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

fn accept(listener: &TcpListener, target: &str, shared: &Arc<Shared>) {
    for module in listener.incoming() {
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        let Ok(module) = module else { continue };
        let link = link(module, target, shared);
        shared.links.lock().unwrap().extend(link.clone());
        // Whoever has seen that it was made sees whether it is open.
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let Some(link) = link else { continue };
        for way in [Way::Commands, Way::Replies] {
            let (link, shared) = (Arc::clone(&link), Arc::clone(shared));
            thread::spawn(move || {
                carry(&link, &shared, way);
                link.end(false);
            });
        }
    }
}

/// Gives a connection its twin. `None` ends it.
fn link(module: TcpStream, target: &str, shared: &Shared) -> Option<Arc<Link>> {
    if shared.refusing.load(Ordering::SeqCst) {
        return None;
    }
    let redis = TcpStream::connect(target).ok()?;
    let _ = (module.set_nodelay(true), redis.set_nodelay(true));
    Some(Arc::new(Link {
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
        let rule = shared.rules.lock().unwrap()[way as usize].clone();
        let piece = Piece {
            bytes: &bytes[..count],
            before,
        };
        before += count;
        for step in (rule.0)(&piece) {
            if link.over.load(Ordering::SeqCst) || !take(step, to, link, shared) {
                return;
            }
        }
    }
}

/// Takes one step; `false` if the connection is at its end.
fn take(step: Step, mut to: &TcpStream, link: &Link, shared: &Shared) -> bool {
    let over = || link.over.load(Ordering::SeqCst) || shared.closing.load(Ordering::SeqCst);
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
