//! TLS before a server that knows none, and how many of its handshakes took up a session.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{HandshakeKind, ServerConfig, SupportedProtocolVersion, version};

use crate::authority::Pair;
use crate::ports::Port;

/// What it has seen.
#[derive(Debug, Default)]
struct Seen {
    full: AtomicUsize,
    resumed: AtomicUsize,
    failed: AtomicUsize,
    /// The name that the last client asked for.
    name: Mutex<Option<String>>,
}

/// Listens at a port of its own; what it hears there over TLS goes to the server in clear text, and back.
#[derive(Debug)]
pub struct TlsFront {
    port: Port,
    seen: Arc<Seen>,
    // Dropped: it ends.
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TlsFront {
    /// One before `server`, with TLS 1.2 or 1.3 alone.
    ///
    /// # Panics
    ///
    /// If it can't be had.
    #[must_use]
    pub fn start(server: SocketAddr, pair: &Pair, tls13: bool) -> TlsFront {
        let port = Port::take();
        let listener = port.listen();
        listener.set_nonblocking(true).expect("a socket");
        let version = if tls13 {
            &version::TLS13
        } else {
            &version::TLS12
        };
        let acceptor = TlsAcceptor::from(Arc::new(config(pair, version).expect("TLS")));
        let seen = Arc::new(Seen::default());
        let (leave, left) = oneshot::channel();
        let carried = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let accepting = async {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    loop {
                        let (client, _) = listener.accept().await?;
                        tokio::spawn(carry(
                            client,
                            server,
                            acceptor.clone(),
                            Arc::clone(&carried),
                        ));
                    }
                };
                tokio::select! {
                    ended = accepting => { let _: io::Result<()> = ended; }
                    _ = left => {}
                }
            });
        });
        TlsFront {
            port,
            seen,
            leave: Some(leave),
            thread: Some(thread),
        }
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// How many handshakes began from nothing.
    #[must_use]
    pub fn full(&self) -> usize {
        self.seen.full.load(Ordering::Relaxed)
    }

    /// How many took up a session.
    #[must_use]
    pub fn resumed(&self) -> usize {
        self.seen.resumed.load(Ordering::Relaxed)
    }

    /// How many failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.seen.failed.load(Ordering::Relaxed)
    }

    /// The name that the last client asked for, if it asked for one.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        self.seen.name.lock().ok().and_then(|name| name.clone())
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.leave.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn config(pair: &Pair, version: &'static SupportedProtocolVersion) -> io::Result<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&pair.certificate).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&pair.key).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .map_err(io::Error::other)?;
    let config = config.with_no_client_auth();
    config
        .with_single_cert(vec![certificate], key)
        .map_err(io::Error::other)
}

async fn carry(
    client: tokio::net::TcpStream,
    server: SocketAddr,
    acceptor: TlsAcceptor,
    seen: Arc<Seen>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut secured = match acceptor.accept(client).await {
        Ok(secured) => secured,
        Err(error) => {
            seen.failed.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
    };
    let (_, connection) = secured.get_ref();
    if let Ok(mut name) = seen.name.lock() {
        *name = connection.server_name().map(str::to_owned);
    }
    let count = match connection.handshake_kind() {
        Some(HandshakeKind::Resumed) => &seen.resumed,
        _ => &seen.full,
    };
    count.fetch_add(1, Ordering::Relaxed);
    let mut socket = tokio::net::TcpStream::connect(server).await?;
    socket.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut secured, &mut socket).await?;
    Ok(())
}
