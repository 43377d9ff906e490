//! How the bed's own commands, and the servers of a fleet among themselves, log in; and their TLS.

use std::path::PathBuf;

use crate::http2::Certificate;

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user; `None` is the default user.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl Login {
    /// The default user's password.
    #[must_use]
    pub fn password(password: &str) -> Login {
        Login {
            user: None,
            password: password.to_owned(),
        }
    }

    /// The user of the bed itself, beside those of a test's ACL: it may do everything.
    #[must_use]
    pub fn bed() -> Login {
        Login {
            user: Some("testbed".to_owned()),
            password: "testbed-password".to_owned(),
        }
    }

    /// Its line of an ACL file.
    pub(super) fn acl_line(&self) -> String {
        let user = self.user.as_deref().unwrap_or("default");
        format!("user {user} on >{} ~* &* +@all\n", self.password)
    }

    /// The lines by which a server logs in at its master.
    pub(super) fn for_masters(&self) -> Vec<String> {
        let mut lines = vec![format!("masterauth {}", self.password)];
        lines.extend(self.user.iter().map(|user| format!("masteruser {user}")));
        lines
    }
}

/// The files of a server that speaks TLS, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whom the servers of a fleet trust among themselves.
    pub authority: PathBuf,
    // Keeps its folder.
    kept: Option<Certificate>,
}

impl TlsFiles {
    /// Files of the test's own, which outlive the servers.
    #[must_use]
    pub fn new(certificate: PathBuf, key: PathBuf, authority: PathBuf) -> TlsFiles {
        TlsFiles {
            certificate,
            key,
            authority,
            kept: None,
        }
    }

    /// A certificate for the servers of a fleet that is its own authority: `names` as in a subjectAltName.
    pub(super) fn make(names: &[String]) -> TlsFiles {
        let certificate = Certificate::make_for(names);
        TlsFiles {
            certificate: certificate.path(),
            key: certificate.key_path(),
            authority: certificate.path(),
            kept: Some(certificate),
        }
    }

    /// The certificate that the bed made.
    #[must_use]
    pub fn made(&self) -> Option<&Certificate> {
        self.kept.as_ref()
    }

    /// The lines of a server that has them.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!("tls-cert-file {}", self.certificate.display()),
            format!("tls-key-file {}", self.key.display()),
            format!("tls-ca-cert-file {}", self.authority.display()),
            "tls-auth-clients no".to_owned(),
            "tls-replication yes".to_owned(),
        ]
    }
}
