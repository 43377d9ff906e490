//! One stream of an HTTP/2 connection: one request and its answer.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::time::Instant;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::TIMEOUT;
use crate::client::Response;
use crate::http::Fields;

/// Why an answer doesn't come, or doesn't go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code of the RST_STREAM or GOAWAY that the server sent: 2 is INTERNAL_ERROR.
    pub code: Option<u32>,
    what: String,
}

impl Failure {
    pub(super) fn other(error: impl fmt::Display) -> Failure {
        Failure {
            code: None,
            what: error.to_string(),
        }
    }

    pub(super) fn timeout() -> Failure {
        Failure::other(format!("nothing came for {TIMEOUT:?}"))
    }

    /// Whether nothing came, rather than that something ended.
    pub(crate) fn is_timeout(&self) -> bool {
        *self == Failure::timeout()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Failure {
        Failure {
            code: error.reason().filter(|_| error.is_remote()).map(Into::into),
            what: error.to_string(),
        }
    }
}

/// A stream whose request was sent. Nothing of its body is acknowledged before it is read: the stream's window and the
/// connection's are used up by a stream that isn't.
#[derive(Debug)]
pub struct Stream {
    handle: Handle,
    response: Option<ResponseFuture>,
    send: SendStream<Bytes>,
    body: Option<RecvStream>,
    sent: Instant,
}

impl Stream {
    pub(super) fn new(
        handle: Handle,
        response: ResponseFuture,
        send: SendStream<Bytes>,
        sent: Instant,
    ) -> Stream {
        Stream {
            handle,
            response: Some(response),
            send,
            body: None,
            sent,
        }
    }

    /// Sends the whole body of the request.
    pub fn send_body(&mut self, body: &[u8]) {
        // A server that has answered before the body came may have ended the stream: its answer is there to be read.
        let _ = self.send.send_data(Bytes::copy_from_slice(body), true);
    }

    /// Reads the answer. A body that ends early is an answer that isn't complete, as with [`crate::Client`]; why, says
    /// [`Stream::receive_rest`].
    pub fn receive(&mut self) -> Result<Response, Failure> {
        let mut response = self.receive_header()?;
        let _ = self.receive_rest(&mut response);
        Ok(response)
    }

    /// Reads a 1xx that comes before the answer.
    pub fn receive_interim(&mut self) -> Result<Response, Failure> {
        let Some(response) = &mut self.response else {
            return Err(Failure::other("the header was read before"));
        };
        let interim = poll_fn(|cx| response.poll_informational(cx));
        let interim = within(&self.handle, interim)?.transpose()?;
        let interim = interim.ok_or_else(|| Failure::other("the header comes next"))?;
        Ok(Response {
            version: "HTTP/2.0".to_owned(),
            status: interim.status().as_u16(),
            reason: String::new(),
            fields: fields(interim.headers()),
            body: Vec::new(),
            trailers: Vec::new(),
            complete: true,
            first_byte: self.sent.elapsed(),
            last_byte: self.sent.elapsed(),
        })
    }

    /// Reads the answer up to the end of its header.
    pub fn receive_header(&mut self) -> Result<Response, Failure> {
        let Some(response) = self.response.take() else {
            return Err(Failure::other("the header was read before"));
        };
        let (head, body) = within(&self.handle, response)??.into_parts();
        let first_byte = self.sent.elapsed();
        let complete = body.is_end_stream();
        self.body = Some(body);
        Ok(Response {
            version: "HTTP/2.0".to_owned(),
            status: head.status.as_u16(),
            reason: String::new(),
            fields: fields(&head.headers),
            body: Vec::new(),
            trailers: Vec::new(),
            complete,
            first_byte,
            last_byte: first_byte,
        })
    }

    /// Reads on until the body has at least `bytes` bytes (or its end).
    pub fn receive_until(&mut self, response: &mut Response, bytes: usize) -> Result<(), Failure> {
        while response.body.len() < bytes && self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the body to its end, and the trailers.
    pub fn receive_rest(&mut self, response: &mut Response) -> Result<(), Failure> {
        while self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the next piece of the body and acknowledges it; `false` once nothing follows.
    pub fn receive_piece(&mut self, response: &mut Response) -> Result<bool, Failure> {
        let Some(body) = &mut self.body else {
            return Ok(false);
        };
        let piece = within(&self.handle, body.data())?.transpose()?;
        response.last_byte = self.sent.elapsed();
        let Some(piece) = piece else {
            if let Some(trailers) = within(&self.handle, body.trailers())?? {
                response.trailers = fields(&trailers);
            }
            response.complete = true;
            return Ok(false);
        };
        response.body.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
        Ok(true)
    }

    /// Gives up the stream: RST_STREAM with CANCEL.
    pub fn cancel(mut self) {
        self.send.send_reset(Reason::CANCEL);
    }
}

fn within<T>(handle: &Handle, future: impl Future<Output = T>) -> Result<T, Failure> {
    handle.block_on(async {
        timeout(TIMEOUT, future)
            .await
            .map_err(|_| Failure::timeout())
    })
}

pub(crate) fn fields(map: &http::HeaderMap) -> Fields {
    let fields = map
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    fields.collect()
}
