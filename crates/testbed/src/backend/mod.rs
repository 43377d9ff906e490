//! A scriptable HTTP/1.1 server: what it answers is set per path by the test, and it remembers every request.

mod answer;
pub(crate) mod connection;

use std::collections::HashMap;
use std::fmt;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

pub use answer::{Answer, Gate};

use crate::http::values;
use crate::ports::Port;
use crate::wait::{PATIENCE, wait_for};

/// A request as the backend got it, body and all.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target, raw.
    pub target: String,
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub version: String,
    /// Header fields in the order they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, decoded.
    pub body: Vec<u8>,
    /// When its header had come.
    pub at: Instant,
}

impl Received {
    /// The first value of header `name`.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        values(&self.fields, name)
            .first()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The target without its arguments.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// No request target looks like this.
const OTHERWISE: &str = "(otherwise)";

type Script = Arc<dyn Fn(&Received, usize) -> Answer + Send + Sync>;

#[derive(Default)]
struct State {
    scripts: HashMap<String, Script>,
    received: Vec<Received>,
    under_way: HashMap<String, usize>,
    most_at_once: HashMap<String, usize>,
    streams: HashMap<u64, TcpStream>,
    connections: u64,
}

/// What the threads of one run share.
struct Shared {
    state: Arc<Mutex<State>>,
    closing: Gate,
}

/// The server. Paths without a script answer 200 with a body that names method, target and how often it was asked.
pub struct Backend {
    state: Arc<Mutex<State>>,
    running: Option<(Arc<Shared>, JoinHandle<()>)>,
    port: Port,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Backend {
    /// Starts one.
    #[must_use]
    pub fn start() -> Backend {
        let mut backend = Backend {
            state: Arc::default(),
            running: None,
            port: Port::take(),
        };
        backend.run();
        backend
    }

    /// Starts it again on its port after [`Backend::stop`].
    ///
    /// # Panics
    ///
    /// If the port can't be had.
    pub fn run(&mut self) {
        let listener = self.port.listen();
        let shared = Arc::new(Shared {
            state: Arc::clone(&self.state),
            closing: Gate::new(),
        });
        let accepting = Arc::clone(&shared);
        let thread = thread::spawn(move || accept(&listener, &accepting));
        self.running = Some((shared, thread));
    }

    /// Refuses connections from now on, and closes those it has.
    pub fn stop(&mut self) {
        let Some((shared, thread)) = self.running.take() else {
            return;
        };
        shared.closing.open();
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address());
        let _ = thread.join();
        for (_, stream) in self.lock().streams.drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What is answered on `path` (arguments included, if `path` has some) from now on.
    pub fn set(&self, path: &str, answer: Answer) {
        self.script(path, move |_, _| answer.clone());
    }

    /// Answers one after the other; the last one then stays.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn set_each(&self, path: &str, answers: Vec<Answer>) {
        assert!(!answers.is_empty(), "no answers for {path}");
        let before = self.hits(path);
        self.script(path, move |_, nth| {
            answers[(nth - 1 - before).min(answers.len() - 1)].clone()
        });
    }

    /// A function of the request and of how many there have been on `path` (1 for the first) answers from now on.
    pub fn script(
        &self,
        path: &str,
        script: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static,
    ) {
        self.lock()
            .scripts
            .insert(path.to_owned(), Arc::new(script));
    }

    /// What is answered from now on where nothing is set.
    pub fn set_otherwise(&self, answer: Answer) {
        self.set(OTHERWISE, answer);
    }

    /// How many requests came for `path` (without arguments: with any).
    #[must_use]
    pub fn hits(&self, path: &str) -> usize {
        self.lock().hits(path)
    }

    /// How many requests came at all.
    #[must_use]
    pub fn all_hits(&self) -> usize {
        self.lock().received.len()
    }

    /// The requests for `path`, in the order they came.
    #[must_use]
    pub fn requests(&self, path: &str) -> Vec<Received> {
        self.lock()
            .received
            .iter()
            .filter(|request| matches(request, path))
            .cloned()
            .collect()
    }

    /// The last request for `path`.
    ///
    /// # Panics
    ///
    /// If there was none.
    #[must_use]
    #[track_caller]
    pub fn last(&self, path: &str) -> Received {
        self.requests(path)
            .pop()
            .unwrap_or_else(|| panic!("no request for {path} at the backend"))
    }

    /// Forgets the requests that came so far: counts begin anew.
    pub fn forget(&self) {
        self.lock().received.clear();
    }

    /// How many requests for `path` were ever under way at the same time.
    #[must_use]
    pub fn most_at_once(&self, path: &str) -> usize {
        self.lock()
            .most_at_once
            .get(path)
            .copied()
            .unwrap_or_default()
    }

    /// How many requests for `path` are under way.
    #[must_use]
    pub fn under_way(&self, path: &str) -> usize {
        self.lock().under_way.get(path).copied().unwrap_or_default()
    }

    /// Waits until `count` requests came for `path`.
    #[track_caller]
    pub fn wait_for_hits(&self, path: &str, count: usize) {
        let what = format!("{count} requests for {path} at the backend");
        wait_for(&what, PATIENCE, || self.hits(path) >= count);
    }

    /// Waits until no answer is under way for `path`.
    #[track_caller]
    pub fn wait_until_idle(&self, path: &str) {
        let what = format!("the end of all requests for {path} at the backend");
        wait_for(&what, PATIENCE, || self.under_way(path) == 0);
    }

    /// So many seconds from now as a header has it; negative: before now.
    #[must_use]
    pub fn http_date(seconds_from_now: i64) -> String {
        let [date] = Backend::http_dates([seconds_from_now]);
        date
    }

    /// The same for several at once: a second that ends in between doesn't come between them.
    #[must_use]
    pub fn http_dates<const N: usize>(seconds_from_now: [i64; N]) -> [String; N] {
        let now = SystemTime::now();
        seconds_from_now.map(|seconds| {
            let offset = Duration::from_secs(seconds.unsigned_abs());
            connection::http_date(if seconds < 0 {
                now - offset
            } else {
                now + offset
            })
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    fn hits(&self, path: &str) -> usize {
        self.received
            .iter()
            .filter(|request| matches(request, path))
            .count()
    }
}

fn matches(request: &Received, path: &str) -> bool {
    if path.contains('?') {
        request.target == path
    } else {
        request.path() == path
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.closing.is_open() {
            return;
        }
        let Ok(stream) = stream else {
            continue;
        };
        let id = shared.remember(&stream);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A peer that leaves is no failure of the backend's.
            let _ = connection::serve(stream, &shared);
            shared.state.lock().unwrap().streams.remove(&id);
        });
    }
}

impl Shared {
    fn remember(&self, stream: &TcpStream) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.connections += 1;
        let id = state.connections;
        if let Ok(stream) = stream.try_clone() {
            state.streams.insert(id, stream);
        }
        id
    }

    /// Records `request` and gives the answer to it, and what counts it as under way while it lives.
    fn answer(&self, request: Received) -> (Answer, UnderWay) {
        let path = request.path().to_owned();
        let mut state = self.state.lock().unwrap();
        state.received.push(request.clone());
        let script = state
            .scripts
            .get(&request.target)
            .or_else(|| state.scripts.get(&path))
            .or_else(|| state.scripts.get(OTHERWISE))
            .cloned();
        let nth = match &script {
            Some(_) if state.scripts.contains_key(&request.target) => state.hits(&request.target),
            _ => state.hits(&path),
        };
        let now = state.under_way.entry(path.clone()).or_default();
        *now += 1;
        let now = *now;
        let most = state.most_at_once.entry(path.clone()).or_default();
        *most = now.max(*most);
        drop(state);
        let answer = match script {
            Some(script) => script(&request, nth),
            None => Answer::ok(format!("{} {} #{nth}\n", request.method, request.target)),
        };
        let state = Arc::clone(&self.state);
        (answer, UnderWay { state, path })
    }
}

struct UnderWay {
    state: Arc<Mutex<State>>,
    path: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(count) = self.state.lock().unwrap().under_way.get_mut(&self.path) {
            *count -= 1;
        }
    }
}
