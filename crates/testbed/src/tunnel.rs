//! TLS for a client that knows none: what it says in clear text goes to the server over TLS, and back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::http2::{Certificate, client_config};
use crate::ports::Port;

/// Listens at a port of its own; each connection there is one over TLS to the server.
#[derive(Debug)]
pub struct TlsTunnel {
    port: Port,
    // Dropped: the tunnel ends.
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsTunnel {
    /// A tunnel to `server`, which has `certificate`. The protocol within is HTTP/1.1.
    ///
    /// # Panics
    ///
    /// If it can't be had.
    #[must_use]
    pub fn start(server: SocketAddr, certificate: &Certificate) -> TlsTunnel {
        let port = Port::take();
        let listener = port.listen();
        listener.set_nonblocking(true).expect("a socket");
        let config = client_config(certificate, b"http/1.1").expect("TLS");
        let connector = TlsConnector::from(Arc::new(config));
        let (leave, left) = oneshot::channel();
        let thread = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let accepting = async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    loop {
                        let (client, _) = listener.accept().await?;
                        // A side that leaves is what some tests are about.
                        tokio::spawn(carry(client, server, connector.clone()));
                    }
                };
                tokio::select! {
                    ended = accepting => { let _: io::Result<()> = ended; }
                    _ = left => {}
                }
            });
        });
        TlsTunnel {
            port,
            leave: Some(leave),
            thread: Some(thread),
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

impl Drop for TlsTunnel {
    fn drop(&mut self) {
        self.leave.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn carry(
    mut client: tokio::net::TcpStream,
    server: SocketAddr,
    connector: TlsConnector,
) -> io::Result<()> {
    let socket = tokio::net::TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    let mut secured = connector.connect(name, socket).await?;
    tokio::io::copy_bidirectional(&mut client, &mut secured).await?;
    Ok(())
}
