//! HTTP in front, Redis behind: what a location with redis2_raw_queries is to the Lua script.
//!
//! `POST /...?n=COUNT`: the body goes to Redis as it is, over a connection of its own, and what comes back, up to COUNT
//! replies, is the answer, as it comes. Without Redis the answer is 502, when it takes too long 504.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::backend::{Gate, Received, connection};
use crate::http::Reader;
use crate::ports::Port;

/// How long Redis may take.
const TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Default)]
struct State {
    received: Vec<Received>,
    /// What is answered in place of Redis's replies.
    instead: Option<(u16, Vec<u8>)>,
    /// What requests wait for before Redis has them.
    gate: Option<Gate>,
    /// Requests whose answer hasn't gone, by number.
    streams: Vec<(usize, TcpStream)>,
}

/// The bridge, as long as it lives.
pub struct Bridge {
    state: Arc<Mutex<State>>,
    port: Port,
}

impl std::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bridge")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Starts one to the Redis at `redis`.
    ///
    /// # Panics
    ///
    /// If its port can't be had.
    #[must_use]
    pub fn start(redis: &str) -> Bridge {
        let redis: SocketAddr = redis.parse().expect("an address");
        let bridge = Bridge {
            state: Arc::default(),
            port: Port::take(),
        };
        let listener = bridge.port.listen();
        let state = Arc::downgrade(&bridge.state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(state) = state.upgrade() else { return };
                // A peer that leaves is no failure of the bridge's.
                thread::spawn(move || serve(stream, redis, &state));
            }
        });
        bridge
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// The locations `/redis`, as a configuration for redis2 has them: an empty 200 where Redis is in trouble.
    #[must_use]
    pub fn locations(&self) -> String {
        format!(
            "location /redis {{ internal; proxy_pass http://{}; proxy_http_version 1.1;
             proxy_set_header Connection \"\"; proxy_connect_timeout 10s; proxy_read_timeout 20s;
             proxy_intercept_errors on; error_page 502 504 = @empty; }}
             location @empty {{ return 200; }}",
            self.address()
        )
    }

    /// The requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// From now on Redis isn't asked: this is the answer.
    pub fn answer_instead(&self, status: u16, body: &[u8]) {
        self.lock().instead = Some((status, body.to_vec()));
    }

    /// From now on Redis answers again.
    pub fn answer(&self) {
        self.lock().instead = None;
    }

    /// From now on requests with `n` replies wait at `gate` before they reach Redis.
    pub fn hold_at(&self, gate: &Gate) {
        self.lock().gate = Some(gate.clone());
    }

    /// How many requests wait for their answers, their clients being there.
    #[must_use]
    pub fn under_way(&self) -> usize {
        let alive = |stream: &TcpStream| {
            let _ = stream.set_nonblocking(true);
            let peeked = stream.peek(&mut [0]);
            let _ = stream.set_nonblocking(false);
            matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
        };
        let state = self.lock();
        state
            .streams
            .iter()
            .filter(|(_, stream)| alive(stream))
            .count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        for (_, stream) in self.lock().streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn serve(stream: TcpStream, redis: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream.try_clone()?);
    while let Some(request) = connection::receive(&mut reader)? {
        let (number, instead, gate) = {
            let mut state = state.lock().unwrap();
            state.received.push(request.clone());
            let number = state.received.len();
            state.streams.push((number, stream.try_clone()?));
            (number, state.instead.clone(), state.gate.clone())
        };
        if let Some(gate) = gate {
            gate.wait(Duration::from_secs(20));
        }
        let done = match instead {
            Some((status, body)) => whole(&stream, status, &body),
            None => relay(&stream, redis, &request),
        };
        state
            .lock()
            .unwrap()
            .streams
            .retain(|(known, _)| *known != number);
        done?;
    }
    Ok(())
}

fn whole(mut stream: &TcpStream, status: u16, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)
}

fn relay(mut stream: &TcpStream, redis: SocketAddr, request: &Received) -> io::Result<()> {
    let wanted = request
        .target
        .split("?n=")
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    let ask = || {
        let mut redis = TcpStream::connect_timeout(&redis, TIMEOUT)?;
        redis.set_read_timeout(Some(TIMEOUT))?;
        redis.write_all(&request.body)?;
        io::Result::Ok(redis)
    };
    let Ok(mut redis) = ask() else {
        return whole(stream, 502, b"no Redis");
    };
    let (mut replies, mut piece) = (Replies::default(), vec![0; 64 * 1024]);
    let mut begun = false;
    loop {
        let count = match redis.read(&mut piece) {
            Ok(0) | Err(_) if begun => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(0) => return whole(stream, 502, b"Redis closed"),
            Err(_) => return whole(stream, 504, b"Redis hangs"),
            Ok(count) => count,
        };
        if !begun {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            begun = true;
        }
        stream.write_all(format!("{count:x}\r\n").as_bytes())?;
        stream.write_all(&piece[..count])?;
        stream.write_all(b"\r\n")?;
        if replies.take(&piece[..count]) >= wanted {
            return stream.write_all(b"0\r\n\r\n");
        }
    }
}

/// Counts replies.
#[derive(Default)]
struct Replies {
    bytes: Vec<u8>,
    at: usize,
    complete: usize,
}

impl Replies {
    fn take(&mut self, piece: &[u8]) -> usize {
        self.bytes.extend_from_slice(piece);
        while let Some(length) = length(&self.bytes[self.at..]) {
            self.at += length;
            self.complete += 1;
        }
        self.complete
    }
}

/// The length of the reply that begins here; `None` if it isn't all there.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|&byte| byte == b'\n')? + 1;
    let number = || {
        String::from_utf8_lossy(&bytes[1..end])
            .trim()
            .parse::<i64>()
            .unwrap_or(-1)
    };
    let whole = match bytes[0] {
        b'$' => usize::try_from(number()).map_or(end, |length| end + length + 2),
        b'*' => (0..number().max(0)).try_fold(end, |at, _| Some(at + length(bytes.get(at..)?)?))?,
        _ => end,
    };
    (whole <= bytes.len()).then_some(whole)
}
