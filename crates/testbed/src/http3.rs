//! An HTTP/3 client: windows to choose, and many streams at once on one connection of QUIC.

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::Code;
use h3_quinn::{BidiStream, OpenStreams};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Endpoint, TransportConfig, VarInt};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::client::{Request, Response};
use crate::http2::{Certificate, TIMEOUT, client_config, fields, head};

type Told<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A connection. A thread of its own answers the server's frames; it doesn't read streams for the test.
pub struct Http3 {
    requests: SendRequest<OpenStreams, Bytes>,
    handle: Handle,
    // Dropped: the connection ends.
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Http3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http3")
    }
}

impl Http3 {
    /// Connects to a server that has this certificate. It may send `window` bytes of a stream's body before the client
    /// reads some.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr, certificate: &Certificate, window: u32) -> Http3 {
        let config = config(certificate, window);
        let config = config.unwrap_or_else(|error| panic!("a configuration of QUIC: {error}"));
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        let handle = runtime.handle().clone();
        let (leave, left) = oneshot::channel();
        let (ready, requests) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let open = async {
                    let mut endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
                    endpoint.set_default_client_config(config);
                    let connection = endpoint.connect(address, "localhost")?.await?;
                    let connection = h3_quinn::Connection::new(connection);
                    let mut client = h3::client::builder();
                    // nginx takes an unknown frame at the end of a stream for a body that is cut.
                    let (driver, requests) = client.send_grease(false).build(connection).await?;
                    Told::Ok((endpoint, driver, requests))
                };
                let opened = timeout(TIMEOUT, open).await;
                let (endpoint, mut driver, requests) = match opened {
                    Ok(Ok(all)) => all,
                    Ok(Err(error)) => return drop(ready.send(Err(error.to_string()))),
                    Err(_) => return drop(ready.send(Err("too late".to_owned()))),
                };
                let _ = ready.send(Ok(requests));
                tokio::select! {
                    // How it ends, each stream is told.
                    _ = poll_fn(|cx| driver.poll_close(cx)) => {}
                    _ = left => {}
                }
                endpoint.close(VarInt::from_u32(0), b"");
                let _ = timeout(TIMEOUT, endpoint.wait_idle()).await;
            });
        });
        let requests = requests.recv().expect("the client's thread");
        Http3 {
            requests: requests.unwrap_or_else(|error| panic!("HTTP/3 to {address}: {error}")),
            handle,
            leave: Some(leave),
            thread: Some(thread),
        }
    }

    /// Sends a request on a stream of its own. Its answer waits there until it is read.
    pub fn send(&mut self, request: &Request) -> Told<Http3Stream> {
        let head = head(request, "https", http::Version::HTTP_3)?;
        let body = request.body.clone();
        let requests = &mut self.requests;
        let sent = Instant::now();
        let stream = within(&self.handle, async move {
            let mut stream = requests.send_request(head).await?;
            if let Some(body) = body {
                stream.send_data(Bytes::from(body)).await?;
            }
            stream.finish().await?;
            Told::Ok(stream)
        })??;
        Ok(Http3Stream {
            handle: self.handle.clone(),
            stream,
            sent,
        })
    }
}

impl Drop for Http3 {
    fn drop(&mut self) {
        self.leave.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A stream whose request was sent. Nothing of its body is acknowledged before it is read.
pub struct Http3Stream {
    handle: Handle,
    stream: RequestStream<BidiStream<Bytes>, Bytes>,
    sent: Instant,
}

impl fmt::Debug for Http3Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http3Stream")
    }
}

impl Http3Stream {
    /// Reads the answer up to the end of its header.
    pub fn receive_header(&mut self) -> Told<Response> {
        let head = within(&self.handle, self.stream.recv_response())??;
        let first_byte = self.sent.elapsed();
        Ok(Response {
            version: "HTTP/3.0".to_owned(),
            status: head.status().as_u16(),
            reason: String::new(),
            fields: fields(head.headers()),
            body: Vec::new(),
            trailers: Vec::new(),
            complete: false,
            first_byte,
            last_byte: first_byte,
        })
    }

    /// Reads on until the body has at least `bytes` bytes (or its end).
    pub fn receive_until(&mut self, response: &mut Response, bytes: usize) -> Told<()> {
        while response.body.len() < bytes && self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the body to its end, and the trailers.
    pub fn receive_rest(&mut self, response: &mut Response) -> Told<()> {
        while self.receive_piece(response)? {}
        Ok(())
    }

    /// Reads the next piece of the body; `false` once nothing follows.
    fn receive_piece(&mut self, response: &mut Response) -> Told<bool> {
        if response.complete {
            return Ok(false);
        }
        let piece = within(&self.handle, self.stream.recv_data())??;
        response.last_byte = self.sent.elapsed();
        let Some(mut piece) = piece else {
            if let Some(trailers) = within(&self.handle, self.stream.recv_trailers())?? {
                response.trailers = fields(&trailers);
            }
            response.complete = true;
            return Ok(false);
        };
        let bytes = piece.copy_to_bytes(piece.remaining());
        response.body.extend_from_slice(&bytes);
        Ok(true)
    }

    /// Gives up the stream: STOP_SENDING with H3_REQUEST_CANCELLED.
    pub fn cancel(mut self) {
        let _guard = self.handle.enter();
        self.stream.stop_sending(Code::H3_REQUEST_CANCELLED);
    }
}

fn config(certificate: &Certificate, window: u32) -> Told<ClientConfig> {
    let tls = QuicClientConfig::try_from(client_config(certificate, b"h3")?)?;
    let mut transport = TransportConfig::default();
    transport
        .stream_receive_window(VarInt::from_u32(window))
        .max_idle_timeout(Some(TIMEOUT.try_into()?));
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    Ok(config)
}

fn within<T>(handle: &Handle, future: impl Future<Output = T>) -> Told<T> {
    let all = async { timeout(TIMEOUT, future).await };
    let done = handle.block_on(all);
    done.map_err(|_| format!("nothing came for {TIMEOUT:?}").into())
}
