//! HTTP/1.1 on a plain socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::{Request, Response, TIMEOUT};
use crate::http::{Body, Reader};

/// A connection to nginx.
#[derive(Debug)]
pub(super) struct Http1 {
    stream: TcpStream,
    reader: Reader,
    sent: Instant,
    /// For each answer owed: whether it has a body.
    owed: VecDeque<bool>,
    body: Body,
}

impl Http1 {
    /// Connects, or says why not.
    pub(super) fn try_connect(address: SocketAddr) -> io::Result<Http1> {
        Http1::over(TcpStream::connect_timeout(&address, TIMEOUT)?)
    }

    /// Connects with a receive buffer of about `bytes`: what isn't read soon fills the server's buffers.
    pub(super) fn connect_narrow(address: SocketAddr, bytes: usize) -> io::Result<Http1> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(bytes)?;
        socket.connect(&address.into())?;
        Http1::over(socket.into())
    }

    fn over(stream: TcpStream) -> io::Result<Http1> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Http1 {
            reader: Reader::new(stream.try_clone()?),
            stream,
            sent: Instant::now(),
            owed: VecDeque::new(),
            body: Body::Done,
        })
    }

    /// Sends a request. Several may be sent before the first answer is read.
    pub(super) fn send(&mut self, request: &Request) -> io::Result<()> {
        self.owed.push_back(request.method != "HEAD");
        self.send_raw(&request.bytes())
    }

    /// Sends requests in one piece, before any answer is read.
    pub(super) fn pipeline(&mut self, requests: &[Request]) -> io::Result<()> {
        self.owed
            .extend(requests.iter().map(|request| request.method != "HEAD"));
        let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
        self.send_raw(&bytes)
    }

    /// Sends bytes as they are. For each answer that these ask for and that has no body, use [`Http1::send`].
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Before it is sent: a client that is held up afterwards must not count its answer as sooner than it was.
        self.sent = Instant::now();
        self.stream.write_all(bytes)
    }

    /// Reads a 1xx that comes before an answer.
    pub(super) fn receive_interim(&mut self) -> io::Result<Response> {
        let (line, fields) = self.reader.head()?.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(Response::new(&line, fields, self.sent.elapsed()))
    }

    /// Reads an answer up to the end of its header.
    pub(super) fn receive_header(&mut self) -> io::Result<Response> {
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

    /// Reads the next piece of the body; `false` once nothing follows.
    pub(super) fn receive_piece(&mut self, response: &mut Response) -> io::Result<bool> {
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

    /// Whether the other side closes the connection within `time`.
    pub(super) fn is_closed_within(&mut self, time: Duration) -> bool {
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
    pub(super) fn half_close(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Leaves at once, by a reset.
    pub(super) fn reset(self) {
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}
