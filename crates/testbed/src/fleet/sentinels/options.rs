//! What a master, its replicas and its Sentinels are like.

use std::time::Duration;

use super::Sentinels;
use crate::fleet::login::{Login, TlsFiles};

/// A description, built from what matters to the test.
#[derive(Debug, Clone)]
pub struct SentinelOptions {
    pub(super) master: String,
    pub(super) replicas: usize,
    pub(super) sentinels: usize,
    pub(super) down_after: Duration,
    pub(super) lines: Vec<String>,
    pub(super) sentinel_lines: Vec<String>,
    pub(super) login: Option<Login>,
    pub(super) acl: Option<String>,
    pub(super) sentinel_login: Option<Login>,
    pub(super) sentinel_acl: Option<String>,
    pub(super) tls: Option<Option<TlsFiles>>,
}

impl Default for SentinelOptions {
    fn default() -> SentinelOptions {
        SentinelOptions {
            master: "main".to_owned(),
            replicas: 2,
            sentinels: 3,
            down_after: Duration::from_millis(500),
            lines: Vec::new(),
            sentinel_lines: Vec::new(),
            login: None,
            acl: None,
            sentinel_login: None,
            sentinel_acl: None,
            tls: None,
        }
    }
}

impl SentinelOptions {
    /// The name by which the Sentinels know the master, `main` if nothing is said.
    #[must_use]
    pub fn master(mut self, name: &str) -> SentinelOptions {
        name.clone_into(&mut self.master);
        self
    }

    /// How many replicas, 2 if nothing is said.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> SentinelOptions {
        self.replicas = replicas;
        self
    }

    /// How many Sentinels, 3 if nothing is said. A majority of them decides.
    #[must_use]
    pub fn sentinels(mut self, sentinels: usize) -> SentinelOptions {
        self.sentinels = sentinels;
        self
    }

    /// `down-after-milliseconds`, 500 ms if nothing is said.
    #[must_use]
    pub fn down_after(mut self, time: Duration) -> SentinelOptions {
        self.down_after = time;
        self
    }

    /// A further line of the configuration of master and replicas.
    #[must_use]
    pub fn line(mut self, line: &str) -> SentinelOptions {
        self.lines.push(line.to_owned());
        self
    }

    /// A further line of the Sentinels' configuration.
    #[must_use]
    pub fn sentinel_line(mut self, line: &str) -> SentinelOptions {
        self.sentinel_lines.push(line.to_owned());
        self
    }

    /// The password of master and replicas (`requirepass`).
    #[must_use]
    pub fn password(mut self, password: &str) -> SentinelOptions {
        self.lines.push(format!("requirepass {password}"));
        self.login = Some(Login::password(password));
        self
    }

    /// An ACL file of master and replicas. The bed and the servers have a user of their own beside it.
    #[must_use]
    pub fn acl(mut self, lines: &str) -> SentinelOptions {
        self.acl = Some(lines.to_owned());
        self.login = Some(Login::bed());
        self
    }

    /// The Sentinels' own password (`requirepass`).
    #[must_use]
    pub fn sentinel_password(mut self, password: &str) -> SentinelOptions {
        self.sentinel_lines.push(format!("requirepass {password}"));
        self.sentinel_login = Some(Login::password(password));
        self
    }

    /// An ACL file of the Sentinels. The bed and the Sentinels have a user of their own beside it.
    #[must_use]
    pub fn sentinel_acl(mut self, lines: &str) -> SentinelOptions {
        self.sentinel_acl = Some(lines.to_owned());
        self.sentinel_login = Some(Login::bed());
        self
    }

    /// All of them speak TLS with a certificate for all their addresses and `localhost`, which is its own authority.
    #[must_use]
    pub fn tls(mut self) -> SentinelOptions {
        self.tls = Some(None);
        self
    }

    /// All of them speak TLS with these files.
    #[must_use]
    pub fn tls_by(mut self, files: TlsFiles) -> SentinelOptions {
        self.tls = Some(Some(files));
        self
    }

    /// Starts them: the replicas have the master's data, and the Sentinels know all of them and each other.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Sentinels {
        Sentinels::form(self)
    }
}
