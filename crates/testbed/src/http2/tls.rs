//! TLS of the HTTP/2 client, and a certificate for the server in a test.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::reading::Paced;

/// A certificate for localhost with its key, in a folder of its own.
#[derive(Debug, Clone)]
pub struct Certificate {
    folder: Arc<TempDir>,
}

impl Certificate {
    /// Makes one, with the program openssl.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    #[track_caller]
    pub fn make() -> Certificate {
        Certificate::make_for(&["DNS:localhost".to_owned()])
    }

    /// Makes one for other names, as a subjectAltName has them: `DNS:localhost`, `IP:127.0.0.1`.
    ///
    /// # Panics
    ///
    /// If that fails.
    #[must_use]
    #[track_caller]
    pub fn make_for(names: &[String]) -> Certificate {
        let folder = TempDir::with_prefix("testbed-tls-").expect("a temporary folder");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", "/CN=localhost"])
            .args(["-addext", &format!("subjectAltName={}", names.join(","))])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(folder.path().join("key.pem"))
            .arg("-out")
            .arg(folder.path().join("cert.pem"))
            .output()
            .expect("openssl");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl: {said}");
        Certificate {
            folder: Arc::new(folder),
        }
    }

    /// Its file, PEM.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The file of its key, PEM.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// The directives of an nginx server that has it.
    #[must_use]
    pub fn directives(&self) -> String {
        format!(
            "ssl_certificate {}; ssl_certificate_key {};\n",
            self.path().display(),
            self.key_path().display()
        )
    }
}

/// What a client of this protocol needs to trust a server that has `certificate`.
pub(crate) fn client_config(
    certificate: &Certificate,
    protocol: &[u8],
) -> io::Result<ClientConfig> {
    let pem = fs::read(certificate.path())?;
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

pub(super) async fn handshake(
    socket: Paced,
    certificate: &Certificate,
) -> io::Result<TlsStream<Paced>> {
    let config = client_config(certificate, b"h2")?;
    let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, socket)
        .await
}
