//! An HTTP/2 client, over TLS or in clear text by prior knowledge: windows to choose, many streams at once, streams and
//! a whole connection that nobody reads for a while.

mod reading;
mod stream;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{HeaderName, HeaderValue, Uri};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::client::{Request, Response};
use reading::{Pace, Paced};

pub(crate) use stream::fields;
pub use stream::{Failure, Stream};
pub use tls::Certificate;
pub(crate) use tls::client_config;

/// Longer than anything that is right takes; shorter than nginx's own timeouts of 60 s.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// What HTTP/2 has without a word: a connection's window can't begin smaller than this.
const DEFAULT_WINDOW: u32 = 65_535;

/// How to connect. [`Http2::new`] begins, [`Http2Options::connect`] ends.
#[derive(Debug, Clone)]
pub struct Http2Options {
    stream_window: u32,
    connection_window: u32,
    receive_buffer: Option<usize>,
    tls: Option<Certificate>,
}

impl Http2Options {
    /// How many bytes of a stream's body the server may send before the client reads some. 65,535 if nothing is said.
    #[must_use]
    pub fn stream_window(mut self, bytes: u32) -> Http2Options {
        self.stream_window = bytes;
        self
    }

    /// The same for all streams together; at least 65,535, since a client can't make it smaller.
    #[must_use]
    pub fn connection_window(mut self, bytes: u32) -> Http2Options {
        self.connection_window = bytes.max(DEFAULT_WINDOW);
        self
    }

    /// A receive buffer of about `bytes` in the kernel: what isn't read soon fills the server's buffers.
    #[must_use]
    pub fn receive_buffer(mut self, bytes: usize) -> Http2Options {
        self.receive_buffer = Some(bytes);
        self
    }

    /// TLS, to a server that has this certificate. Without it, clear text.
    #[must_use]
    pub fn tls(mut self, certificate: &Certificate) -> Http2Options {
        self.tls = Some(certificate.clone());
        self
    }

    /// Connects.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    #[track_caller]
    pub fn connect(&self, address: SocketAddr) -> Http2 {
        self.try_connect(address)
            .unwrap_or_else(|error| panic!("HTTP/2 to {address}: {error}"))
    }

    /// Connects, or says why not.
    pub fn try_connect(&self, address: SocketAddr) -> io::Result<Http2> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), TIMEOUT)?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Http2::over(socket, self.clone())
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder
            .initial_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window)
            .enable_push(false);
        builder
    }
}

/// A connection. A thread of its own answers the server's PINGs and SETTINGS; it doesn't read streams for the test.
#[derive(Debug)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
    handle: Handle,
    pace: Arc<Pace>,
    // Dropped: the connection ends.
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Http2 {
    /// Options with HTTP/2's own defaults.
    #[must_use]
    #[expect(clippy::new_ret_no_self, reason = "it begins to describe a connection")]
    pub fn new() -> Http2Options {
        Http2Options {
            stream_window: DEFAULT_WINDOW,
            connection_window: DEFAULT_WINDOW,
            receive_buffer: None,
            tls: None,
        }
    }

    fn over(socket: TcpStream, options: Http2Options) -> io::Result<Http2> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build()?;
        let handle = runtime.handle().clone();
        let pace = Arc::<Pace>::default();
        let scheme = if options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let reading = Arc::clone(&pace);
        let (leave, left) = oneshot::channel();
        let (ready, requests) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let open = async {
                    let socket = tokio::net::TcpStream::from_std(socket)?;
                    let socket = Paced::new(socket, reading);
                    let stream: Box<dyn Duplex> = match &options.tls {
                        Some(certificate) => Box::new(tls::handshake(socket, certificate).await?),
                        None => Box::new(socket),
                    };
                    let connection = options.builder().handshake(stream);
                    connection.await.map_err(io::Error::other)
                };
                let opened = tokio::time::timeout(TIMEOUT, open).await;
                let (requests, connection) = match opened {
                    Ok(Ok(both)) => both,
                    Ok(Err(error)) => return drop(ready.send(Err(error))),
                    Err(_) => return drop(ready.send(Err(io::ErrorKind::TimedOut.into()))),
                };
                let _ = ready.send(Ok(requests));
                tokio::select! {
                    // How it ends, each stream is told.
                    _ = connection => {}
                    _ = left => {}
                }
            });
        });
        let requests = requests
            .recv()
            .map_err(|_| io::Error::other("the client's thread ended"))??;
        Ok(Http2 {
            requests,
            scheme,
            handle,
            pace,
            leave: Some(leave),
            thread: Some(thread),
        })
    }

    /// Sends a request on a stream of its own. Its answer waits there until it is read.
    pub fn send(&mut self, request: &Request) -> Result<Stream, Failure> {
        let mut stream = self.open(request)?;
        if let Some(body) = &request.body {
            stream.send_body(body);
        }
        Ok(stream)
    }

    /// Sends the header of a request. A body that it has is to follow by [`Stream::send_body`].
    pub fn open(&mut self, request: &Request) -> Result<Stream, Failure> {
        let head = head(request, self.scheme, http::Version::HTTP_2)?;
        let ends = request.body.is_none();
        let mut requests = self.requests.clone();
        let handle = self.handle.clone();
        let sent = Instant::now();
        let opened = handle.block_on(async {
            let ready =
                tokio::time::timeout(TIMEOUT, std::future::poll_fn(|cx| requests.poll_ready(cx)));
            ready.await.map_err(|_| Failure::timeout())??;
            Ok::<_, Failure>(requests.send_request(head, ends)?)
        });
        let (response, send) = opened?;
        Ok(Stream::new(handle, response, send, sent))
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If there is none, or if it is cut.
    #[track_caller]
    pub fn ask(&mut self, request: &Request) -> Response {
        match self.send(request).and_then(|mut stream| stream.receive()) {
            Ok(response) if response.complete => response,
            Ok(response) => panic!(
                "{request:?}: cut after {} bytes: {:?}",
                response.body.len(),
                response.fields
            ),
            Err(failure) => panic!("{request:?}: {failure}"),
        }
    }

    /// GET of `target`, as [`Http2::ask`].
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.ask(&Request::get(target))
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        let ended = JoinHandle::is_finished;
        self.thread.as_ref().is_none_or(ended)
    }

    /// Reads nothing from the socket any more until [`Http2::resume`]: what the server sends fills the kernel's buffers
    /// and then its own.
    pub fn pause(&self) {
        self.pace.pause();
    }

    /// Reads again.
    pub fn resume(&self) {
        self.pace.resume();
    }

    /// Reads no more than so many bytes a second from the socket, from now on.
    pub fn slow_down(&self, bytes_per_second: usize) {
        self.pace.slow_down(bytes_per_second);
    }
}

/// The header of a request, as HTTP/2 and HTTP/3 have it.
pub(crate) fn head(
    request: &Request,
    scheme: &str,
    version: http::Version,
) -> Result<http::Request<()>, Failure> {
    let mut authority = "localhost".to_owned();
    let mut fields = http::HeaderMap::new();
    for (name, value) in &request.fields {
        let lower = name.to_ascii_lowercase();
        let value = HeaderValue::from_bytes(value).map_err(Failure::other)?;
        match lower.as_str() {
            "host" => authority = String::from_utf8_lossy(value.as_bytes()).into_owned(),
            // Neither has any of these.
            "connection" | "keep-alive" | "transfer-encoding" | "upgrade" => {}
            _ => {
                let name = HeaderName::from_bytes(lower.as_bytes()).map_err(Failure::other)?;
                fields.append(name, value);
            }
        }
    }
    if let (Some(body), false) = (&request.body, request.chunked) {
        fields.insert("content-length", body.len().into());
    }
    let uri: Uri = format!("{}://{authority}{}", scheme, request.target)
        .parse()
        .map_err(Failure::other)?;
    let mut head = http::Request::builder()
        .method(request.method.as_str())
        .uri(uri)
        .version(version)
        .body(())
        .map_err(Failure::other)?;
    *head.headers_mut() = fields;
    Ok(head)
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.pace.resume();
        self.leave.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}
