//! HTTP/2 with windows of 1,000 bytes in place of HTTP/1.1: with `TESTBED_CLIENT=h2` the tests' own client speaks it to
//! every [`crate::Site`].

use std::collections::{HashMap, VecDeque};
use std::env;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Request, Response};
use crate::http2::{Failure, Http2, Stream, head};
use crate::wait::eventually;

/// Bytes of a stream's body that the server may send before the client has read some.
const WINDOW: u32 = 1000;

/// Where HTTP/1.1 is spoken, and where HTTP/2 by the same server.
static OFFERED: Mutex<Option<HashMap<SocketAddr, SocketAddr>>> = Mutex::new(None);

fn offered() -> MutexGuard<'static, Option<HashMap<SocketAddr, SocketAddr>>> {
    OFFERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether clients are to speak HTTP/2 where they can.
pub(crate) fn is_wanted() -> bool {
    env::var("TESTBED_CLIENT").is_ok_and(|client| client == "h2")
}

/// As long as it lives, clients of the address are led to HTTP/2.
#[derive(Debug)]
pub(crate) struct Offer(SocketAddr);

/// Leads clients of `http1` to `http2`.
pub(crate) fn offer(http1: SocketAddr, http2: SocketAddr) -> Offer {
    offered().get_or_insert_default().insert(http1, http2);
    Offer(http1)
}

impl Drop for Offer {
    fn drop(&mut self) {
        if let Some(offered) = offered().as_mut() {
            offered.remove(&self.0);
        }
    }
}

/// Where HTTP/2 is spoken in place of `http1`.
pub(super) fn in_place_of(http1: SocketAddr) -> Option<SocketAddr> {
    offered().as_ref()?.get(&http1).copied()
}

/// Whether HTTP/2 has all that the request says.
pub(super) fn can_say(request: &Request) -> bool {
    const HTTP1_ONLY: [&str; 7] = [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "te",
        "expect",
        "content-length",
    ];
    let is_only = |name: &str| HTTP1_ONLY.contains(&name.to_ascii_lowercase().as_str());
    request.is_http11()
        && request.target.starts_with('/')
        && !request.fields.iter().any(|(name, _)| is_only(name))
        && head(request, "http", http::Version::HTTP_2).is_ok()
}

/// A connection. Each request is a stream; answers are read in the order of the requests.
#[derive(Debug)]
pub(super) struct Narrow {
    // Before the connection, so that it ends first.
    owed: VecDeque<Stream>,
    reading: Option<Stream>,
    connection: Http2,
}

impl Narrow {
    pub(super) fn connect(address: SocketAddr) -> io::Result<Narrow> {
        let connection = Http2::new().stream_window(WINDOW).try_connect(address)?;
        Ok(Narrow {
            owed: VecDeque::new(),
            reading: None,
            connection,
        })
    }

    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        let stream = self.connection.send(request).map_err(io::Error::other)?;
        self.owed.push_back(stream);
        Ok(())
    }

    pub(super) fn receive_header(&mut self) -> io::Result<Response> {
        let mut stream = self.owed.pop_front().ok_or(ErrorKind::UnexpectedEof)?;
        let response = stream.receive_header().map_err(|failure| told(&failure))?;
        self.reading = Some(stream);
        Ok(response)
    }

    /// A stream that is reset is a body that is cut.
    pub(super) fn receive_piece(&mut self, response: &mut Response) -> io::Result<bool> {
        let Some(stream) = &mut self.reading else {
            return Ok(false);
        };
        let piece = stream.receive_piece(response);
        if !matches!(piece, Ok(true)) {
            self.reading = None;
        }
        match piece {
            Err(failure) if failure.is_timeout() => Err(ErrorKind::TimedOut.into()),
            Err(_) => Ok(false),
            Ok(more) => Ok(more),
        }
    }

    pub(super) fn is_closed_within(&mut self, time: Duration) -> bool {
        eventually(time, || self.connection.is_closed().then_some(())).is_some()
    }

    pub(super) fn reset(self) {
        self.owed
            .into_iter()
            .chain(self.reading)
            .for_each(Stream::cancel);
    }
}

fn told(failure: &Failure) -> io::Error {
    if failure.is_timeout() {
        return ErrorKind::TimedOut.into();
    }
    io::Error::new(ErrorKind::UnexpectedEof, failure.to_string())
}
