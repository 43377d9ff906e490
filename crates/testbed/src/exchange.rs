//! One request and its answer, over HTTP/1.1, HTTP/2 or HTTP/3 by the same calls: one test runs over all.

use std::fmt::Display;
use std::sync::Arc;

use crate::client::{Client, Request, Response};
use crate::http2::{Http2, Stream};
use crate::http3::{Http3, Http3Stream};
use crate::site::Running;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, a connection for each request.
    Http1,
    /// HTTP/2 in clear text, all requests on one connection, with windows of so many bytes for each stream.
    Http2(u32),
    /// HTTP/3, likewise.
    Http3(u32),
}

impl Protocol {
    /// All. HTTP/2 and HTTP/3 with windows of 1,000 bytes: a body of some size has to stop and go on many times.
    pub const ALL: [Protocol; 3] = [
        Protocol::Http1,
        Protocol::Http2(1000),
        Protocol::Http3(1000),
    ];

    /// Sends `requests` at once to `site`, which for HTTP/2 is one of [`crate::Site::http2`] and for HTTP/3 one of
    /// [`crate::Site::http3`].
    ///
    /// # Panics
    ///
    /// If one can't be sent.
    #[must_use]
    #[track_caller]
    pub fn send(self, site: &Running, requests: &[Request]) -> Vec<Exchange> {
        match self {
            Protocol::Http1 => {
                let send = |request| {
                    let mut client = Client::connect_http1(site.address());
                    client.send(request).expect("a request sent");
                    Exchange(Way::Http1(client))
                };
                requests.iter().map(send).collect()
            }
            Protocol::Http2(window) => {
                let mut client = Http2::new()
                    .stream_window(window)
                    .connect(site.http2_address());
                let send = |request| client.send(request).expect("a request sent");
                let streams: Vec<_> = requests.iter().map(send).collect();
                let client = Arc::new(client);
                let exchange = |stream| {
                    Exchange(Way::Http2 {
                        stream,
                        _connection: Arc::clone(&client),
                    })
                };
                streams.into_iter().map(exchange).collect()
            }
            Protocol::Http3(window) => {
                let (address, certificate) = site.http3();
                let mut client = Http3::connect(address, certificate, window);
                let send = |request| client.send(request).expect("a request sent");
                let streams: Vec<_> = requests.iter().map(send).collect();
                let client = Arc::new(client);
                let exchange = |stream| {
                    Exchange(Way::Http3 {
                        stream: Box::new(stream),
                        _connection: Arc::clone(&client),
                    })
                };
                streams.into_iter().map(exchange).collect()
            }
        }
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Panics
    ///
    /// If it can't be sent.
    #[must_use]
    #[track_caller]
    pub fn begin(self, site: &Running, request: &Request) -> Exchange {
        let mut exchanges = self.send(site, std::slice::from_ref(request));
        exchanges.pop().expect("one for each request")
    }

    /// Sends a request on a connection of its own and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If there is none, or if it is cut.
    #[must_use]
    #[track_caller]
    pub fn ask(self, site: &Running, request: &Request) -> Response {
        let response = self.begin(site, request).receive();
        let response = response.unwrap_or_else(|error| panic!("{request:?}: {error}"));
        assert!(response.complete, "{request:?}: cut: {:?}", response.fields);
        response
    }

    /// GET of `target`, as [`Protocol::ask`].
    #[must_use]
    #[track_caller]
    pub fn get(self, site: &Running, target: &str) -> Response {
        self.ask(site, &Request::get(target))
    }
}

/// A request that was sent; its answer is to be read. An error is told in words: each protocol has its own.
#[derive(Debug)]
pub struct Exchange(Way);

#[derive(Debug)]
enum Way {
    Http1(Client),
    Http2 {
        stream: Stream,
        /// It lives as long as a stream of it.
        _connection: Arc<Http2>,
    },
    Http3 {
        stream: Box<Http3Stream>,
        /// Likewise.
        _connection: Arc<Http3>,
    },
}

impl Exchange {
    /// Reads the answer up to the end of its header.
    pub fn receive_header(&mut self) -> Result<Response, String> {
        match &mut self.0 {
            Way::Http1(client) => told(client.receive_header()),
            Way::Http2 { stream, .. } => told(stream.receive_header()),
            Way::Http3 { stream, .. } => told(stream.receive_header()),
        }
    }

    /// Reads a 1xx that comes before the answer.
    pub fn receive_interim(&mut self) -> Result<Response, String> {
        match &mut self.0 {
            Way::Http1(client) => told(client.receive_interim()),
            Way::Http2 { stream, .. } => told(stream.receive_interim()),
            // To this client it is a header like the answer's.
            Way::Http3 { stream, .. } => told(stream.receive_header()),
        }
    }

    /// Reads on until the body has at least `bytes` bytes (or its end).
    pub fn receive_until(&mut self, response: &mut Response, bytes: usize) -> Result<(), String> {
        match &mut self.0 {
            Way::Http1(client) => told(client.receive_until(response, bytes)),
            Way::Http2 { stream, .. } => told(stream.receive_until(response, bytes)),
            Way::Http3 { stream, .. } => told(stream.receive_until(response, bytes)),
        }
    }

    /// Reads the body to its end. A body that is cut is an answer that isn't complete, whatever the protocol calls it.
    pub fn receive_rest(&mut self, response: &mut Response) {
        let _ = match &mut self.0 {
            Way::Http1(client) => told(client.receive_rest(response)),
            Way::Http2 { stream, .. } => told(stream.receive_rest(response)),
            Way::Http3 { stream, .. } => told(stream.receive_rest(response)),
        };
    }

    /// Reads the answer. Without a header there is none: an error; a cut body is an answer that isn't complete.
    pub fn receive(mut self) -> Result<Response, String> {
        let mut response = self.receive_header()?;
        self.receive_rest(&mut response);
        Ok(response)
    }

    /// Leaves at once: a reset of the connection, or of the stream alone.
    pub fn leave(self) {
        match self.0 {
            Way::Http1(client) => client.reset(),
            Way::Http2 { stream, .. } => stream.cancel(),
            Way::Http3 { stream, .. } => stream.cancel(),
        }
    }
}

fn told<T, E: Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}
