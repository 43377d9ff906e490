//! An HTTP/2 server without TLS, as `grpc_pass` wants it. Each answer ends with a trailer.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue};
use testbed::Response;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::server::{Asked, Sink, relay};

/// A part of an answer on its way from the thread that asks the backend.
enum Part {
    Head(http::Response<()>),
    Piece(Bytes),
    End,
}

struct Out(UnboundedSender<Part>);

impl Out {
    fn send(&self, part: Part) -> io::Result<()> {
        let sent = self.0.send(part);
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

impl Sink for Out {
    fn head(&mut self, response: &Response) -> io::Result<()> {
        let mut head = http::Response::builder().status(response.status);
        for (name, value) in &response.fields {
            let lower = name.to_lowercase();
            if !matches!(lower.as_str(), "transfer-encoding" | "connection") {
                head = head.header(lower, value.as_slice());
            }
        }
        self.send(Part::Head(head.body(()).map_err(io::Error::other)?))
    }

    fn piece(&mut self, piece: &[u8]) -> io::Result<()> {
        self.send(Part::Piece(Bytes::copy_from_slice(piece)))
    }

    fn end(&mut self) -> io::Result<()> {
        self.send(Part::End)
    }
}

/// Serves connections until the process ends.
pub fn serve(listener: TcpListener, backend: SocketAddr) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().build().unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Else a piece waits for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                let mut connection = h2::server::handshake(stream).await?;
                while let Some(request) = connection.accept().await {
                    let (request, respond) = request?;
                    tokio::spawn(answer(request, respond, backend));
                }
                Ok::<_, h2::Error>(())
            });
        }
    });
}

async fn answer(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    backend: SocketAddr,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut asked = Asked {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map_or_else(String::new, ToString::to_string),
        ..Asked::default()
    };
    for (name, value) in &head.headers {
        let field = (name.to_string(), value.as_bytes().to_vec());
        asked.fields.push(field);
    }
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        asked.body.extend_from_slice(&piece);
    }
    let (sender, parts) = unbounded_channel();
    thread::spawn(move || relay(backend, &asked, &mut Out(sender)));
    pass_on(parts, respond).await
}

async fn pass_on(
    mut parts: UnboundedReceiver<Part>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let Some(Part::Head(head)) = parts.recv().await else {
        respond.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    };
    let mut stream = respond.send_response(head, false)?;
    loop {
        match parts.recv().await {
            Some(Part::Piece(piece)) => stream.send_data(piece, false)?,
            Some(Part::End) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                return stream.send_trailers(trailers);
            }
            Some(Part::Head(_)) | None => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Ok(());
            }
        }
    }
}
