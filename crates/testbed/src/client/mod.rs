//! An HTTP/1.1 client on a plain socket: keep-alive, pipelining, times, and all the ways to leave.

mod request;
mod response;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

pub use request::Request;
pub use response::Response;

use crate::http::{Body, Reader};

/// Longer than anything that is right takes; shorter than nginx's own timeouts of 60 s.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to nginx.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    reader: Reader,
    sent: Instant,
    /// For each answer owed: whether it has a body.
    owed: VecDeque<bool>,
    body: Body,
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
        Client::over(TcpStream::connect_timeout(&address, TIMEOUT)?)
    }

    /// Connects with a receive buffer of about `bytes`: what isn't read soon fills the server's buffers.
    pub fn connect_narrow(address: SocketAddr, bytes: usize) -> io::Result<Client> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(bytes)?;
        socket.connect(&address.into())?;
        Client::over(socket.into())
    }

    fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Client {
            reader: Reader::new(stream.try_clone()?),
            stream,
            sent: Instant::now(),
            owed: VecDeque::new(),
            body: Body::Done,
        })
    }

    /// Sends a request. Several may be sent before the first answer is read.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.owed.push_back(request.method != "HEAD");
        self.send_raw(&request.bytes())
    }

    /// Sends requests in one piece, before any answer is read.
    pub fn pipeline(&mut self, requests: &[Request]) -> io::Result<()> {
        self.owed
            .extend(requests.iter().map(|request| request.method != "HEAD"));
        let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
        self.send_raw(&bytes)
    }

    /// Sends bytes as they are. For each answer that these ask for and that has no body, use [`Client::send`].
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Before it is sent: a client that is held up afterwards must not count its answer as sooner than it was.
        self.sent = Instant::now();
        self.stream.write_all(bytes)
    }

    /// Reads an answer. Without a header there is none: an error; a cut body is an answer that isn't complete.
    pub fn receive(&mut self) -> io::Result<Response> {
        let mut response = self.receive_header()?;
        self.receive_rest(&mut response)?;
        Ok(response)
    }

    /// Reads an answer up to the end of its header.
    pub fn receive_header(&mut self) -> io::Result<Response> {
        if self.reader.is_empty() && !self.reader.fill()? {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let first_byte = self.sent.elapsed();
        let (line, fields) = self.reader.head()?.ok_or(ErrorKind::UnexpectedEof)?;
        let mut response = Response::new(&line, fields, first_byte);
        let has_body =
            self.owed.pop_front().unwrap_or(true) && !matches!(response.status, 204 | 304);
        self.body = if has_body {
            Body::of(&response.fields, Body::Close)
        } else {
            Body::Done
        };
        response.complete = self.body == Body::Done;
        Ok(response)
    }

    /// Reads on until the body has at least `bytes` bytes (or its end).
    pub fn receive_until(&mut self, response: &mut Response, bytes: usize) -> io::Result<()> {
        while response.body.len() < bytes && self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the next piece of the body; `false` once nothing follows.
    pub fn receive_piece(&mut self, response: &mut Response) -> io::Result<bool> {
        let more = match self.body.read(&mut self.reader, &mut response.body) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.body = Body::Cut;
                false
            }
            result => result?,
        };
        response.last_byte = self.sent.elapsed();
        response.complete = self.body == Body::Done;
        response.trailers = std::mem::take(&mut self.reader.trailers);
        Ok(more)
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
        let _ = self.stream.set_read_timeout(Some(time));
        let end = loop {
            match self.reader.fill() {
                Ok(true) => {}
                Ok(false) => break true,
                Err(error) => break error.kind() == ErrorKind::ConnectionReset,
            }
        };
        let _ = self.stream.set_read_timeout(Some(TIMEOUT));
        end
    }

    /// Says that nothing more will be sent, and goes on reading.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Leaves at once, by a reset.
    pub fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}
