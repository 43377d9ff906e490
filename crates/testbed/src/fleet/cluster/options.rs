//! What a cluster is like.

use std::time::Duration;

use super::RedisCluster;
use crate::fleet::login::{Login, TlsFiles};

/// A description of a cluster, built from what matters to the test.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    pub(super) masters: usize,
    pub(super) replicas: usize,
    pub(super) node_timeout: Duration,
    pub(super) lines: Vec<String>,
    pub(super) names: Option<String>,
    pub(super) tls: Option<Option<TlsFiles>>,
    pub(super) login: Option<Login>,
    pub(super) acl: Option<String>,
}

impl Default for ClusterOptions {
    fn default() -> ClusterOptions {
        ClusterOptions {
            masters: 3,
            replicas: 3,
            node_timeout: Duration::from_millis(1000),
            lines: Vec::new(),
            names: None,
            tls: None,
            login: None,
            acl: None,
        }
    }
}

impl ClusterOptions {
    /// How many masters, 3 if nothing is said. Without three or more no failover happens by itself.
    #[must_use]
    pub fn masters(mut self, masters: usize) -> ClusterOptions {
        self.masters = masters;
        self
    }

    /// How many replicas altogether, 3 if nothing is said: the masters get them in turn.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> ClusterOptions {
        self.replicas = replicas;
        self
    }

    /// `cluster-node-timeout`, 1 s if nothing is said: a failover begins so long after a master's end.
    #[must_use]
    pub fn node_timeout(mut self, time: Duration) -> ClusterOptions {
        self.node_timeout = time;
        self
    }

    /// A further line of each node's configuration: `cluster-require-full-coverage no`.
    #[must_use]
    pub fn line(mut self, line: &str) -> ClusterOptions {
        self.lines.push(line.to_owned());
        self
    }

    /// Nodes announce host names, and prefer them: `NUMBER` in `pattern` stands for 1, 2, ... Name 1 is to lead to
    /// 127.0.1.1.
    #[must_use]
    pub fn names(mut self, pattern: &str) -> ClusterOptions {
        self.names = Some(pattern.to_owned());
        self
    }

    /// Nodes speak TLS with a certificate for all their addresses, names and `localhost`, which is its own authority.
    #[must_use]
    pub fn tls(mut self) -> ClusterOptions {
        self.tls = Some(None);
        self
    }

    /// Nodes speak TLS with these files.
    #[must_use]
    pub fn tls_by(mut self, files: TlsFiles) -> ClusterOptions {
        self.tls = Some(Some(files));
        self
    }

    /// The password of the default user (`requirepass`).
    #[must_use]
    pub fn password(mut self, password: &str) -> ClusterOptions {
        self.lines.push(format!("requirepass {password}"));
        self.login = Some(Login::password(password));
        self
    }

    /// An ACL file of these lines. The bed and the nodes have a user of their own beside it.
    #[must_use]
    pub fn acl(mut self, lines: &str) -> ClusterOptions {
        self.acl = Some(lines.to_owned());
        self.login = Some(Login::bed());
        self
    }

    /// Starts it: all slots are served, and each replica has its master's data.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> RedisCluster {
        RedisCluster::form(self)
    }
}
