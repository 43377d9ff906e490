//! A client of keep-alive, pipelining, times, and all the ways to leave: HTTP/1.1 on a plain socket, or, where
//! `TESTBED_CLIENT` says so, HTTP/2 by the same calls.

mod http1;
mod narrow;
mod request;
mod response;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use request::Request;
pub use response::Response;

use http1::Http1;
use narrow::Narrow;
pub(crate) use narrow::{Offer, is_wanted, offer};

/// Longer than anything that is right takes; shorter than nginx's own timeouts of 60 s.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to nginx.
#[derive(Debug)]
pub struct Client(Way);

#[derive(Debug)]
enum Way {
    Http1 {
        wire: Http1,
        /// Where HTTP/2 is spoken in its place, if the first request can be said so.
        http2: Option<SocketAddr>,
    },
    Http2(Narrow),
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    ///
    /// If that is refused.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Client {
        Client::try_connect(address).unwrap_or_else(|error| panic!("{address}: {error}"))
    }

    /// Connects, or says why not.
    pub fn try_connect(address: SocketAddr) -> io::Result<Client> {
        Ok(Client::over(Http1::try_connect(address)?, address))
    }

    /// Connects with a receive buffer of about `bytes`: what isn't read soon fills the server's buffers.
    pub fn connect_narrow(address: SocketAddr, bytes: usize) -> io::Result<Client> {
        Ok(Client::over(
            Http1::connect_narrow(address, bytes)?,
            address,
        ))
    }

    /// Connects, and speaks HTTP/1.1 whatever `TESTBED_CLIENT` says.
    ///
    /// # Panics
    ///
    /// If that is refused.
    #[must_use]
    #[track_caller]
    pub fn connect_http1(address: SocketAddr) -> Client {
        let wire = Http1::try_connect(address);
        let wire = wire.unwrap_or_else(|error| panic!("{address}: {error}"));
        Client(Way::Http1 { wire, http2: None })
    }

    fn over(wire: Http1, address: SocketAddr) -> Client {
        let http2 = narrow::in_place_of(address);
        Client(Way::Http1 { wire, http2 })
    }

    /// Sends a request. Several may be sent before the first answer is read.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        if let Way::Http1 { http2, .. } = &mut self.0
            && let Some(address) = http2.take()
            && narrow::can_say(request)
        {
            self.0 = Way::Http2(Narrow::connect(address)?);
        }
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.send(request),
            Way::Http2(narrow) => narrow.send(request),
        }
    }

    /// Sends requests in one piece, before any answer is read. By HTTP/1.1, if it is the first that is sent.
    pub fn pipeline(&mut self, requests: &[Request]) -> io::Result<()> {
        match &mut self.0 {
            Way::Http1 { wire, http2 } => {
                *http2 = None;
                wire.pipeline(requests)
            }
            Way::Http2(narrow) => requests.iter().try_for_each(|request| narrow.send(request)),
        }
    }

    /// Sends bytes of HTTP/1.1 as they are. For each answer that these ask for and that has no body, use
    /// [`Client::send`].
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Way::Http1 { wire, http2 } => {
                *http2 = None;
                wire.send_raw(bytes)
            }
            Way::Http2(_) => Err(io::Error::other("HTTP/2 has no bytes of HTTP/1.1")),
        }
    }

    /// Reads an answer. Without a header there is none: an error; a cut body is an answer that isn't complete.
    pub fn receive(&mut self) -> io::Result<Response> {
        let mut response = self.receive_header()?;
        self.receive_rest(&mut response)?;
        Ok(response)
    }

    /// Reads a 1xx that comes before an answer. Over HTTP/2 see [`crate::Exchange`].
    pub fn receive_interim(&mut self) -> io::Result<Response> {
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.receive_interim(),
            Way::Http2(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Reads an answer up to the end of its header.
    pub fn receive_header(&mut self) -> io::Result<Response> {
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.receive_header(),
            Way::Http2(narrow) => narrow.receive_header(),
        }
    }

    /// Reads on until the body has at least `bytes` bytes (or its end).
    pub fn receive_until(&mut self, response: &mut Response, bytes: usize) -> io::Result<()> {
        while response.body.len() < bytes && self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the next piece of the body; `false` once nothing follows.
    pub fn receive_piece(&mut self, response: &mut Response) -> io::Result<bool> {
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.receive_piece(response),
            Way::Http2(narrow) => narrow.receive_piece(response),
        }
    }

    /// Reads the body to its end.
    pub fn receive_rest(&mut self, response: &mut Response) -> io::Result<()> {
        while self.receive_piece(response)? {}
        Ok(())
    }

    /// Sends a request and reads the answer.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Response> {
        self.send(request)?;
        self.receive()
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If there is none, or if it is cut.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Response {
        match self.exchange(request) {
            Ok(response) if response.complete => response,
            Ok(response) => panic!(
                "{request:?}: cut after {} bytes: {:?}",
                response.body.len(),
                response.fields
            ),
            Err(error) => panic!("{request:?}: {error}"),
        }
    }

    /// GET of `target`, as [`Client::ask`].
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.ask(&Request::get(target))
    }

    /// Whether the other side closes the connection within `time`.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.is_closed_within(time),
            Way::Http2(narrow) => narrow.is_closed_within(time),
        }
    }

    /// Says that nothing more will be sent, and goes on reading. HTTP/2 has said so with each request.
    pub fn half_close(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Way::Http1 { wire, .. } => wire.half_close(),
            Way::Http2(_) => Ok(()),
        }
    }

    /// Leaves at once, by a reset: of the connection, or of all streams.
    pub fn reset(self) {
        match self.0 {
            Way::Http1 { wire, .. } => wire.reset(),
            Way::Http2(narrow) => narrow.reset(),
        }
    }
}
