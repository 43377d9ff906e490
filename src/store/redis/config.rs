//! What a store is told by its configuration.

use std::fmt;
use std::net::SocketAddr;

use cache_core::cluster::ENCODED_SIZE;
use cache_core::sentinel::ANNOUNCED_SIZE;

use super::address::without_password;
use super::tls::TlsConfig;
use crate::ngx::sockaddr;
use crate::shm::{StoreMemory, digest};
use crate::store::memory::MemoryConfig;

/// Milliseconds of each timeout that isn't configured.
const TIMEOUT: u64 = 200;

/// How many connections a worker opens to a server at most, unless configured.
const CONNECTIONS: usize = 2;

/// How many commands wait for replies in a worker at most, unless configured.
const QUEUE: usize = 4096;

/// How many failures open a server's breaker, unless configured.
const MAX_FAILS: u32 = 3;

/// How long an open breaker stays open, in milliseconds, unless configured.
const FAIL_TIMEOUT: u64 = 500;

/// A store: a `redis_cache_store` block, or an address in its place.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Its name in the configuration, which may be an address with a password.
    pub name: String,
    /// The same for the log, without a password.
    pub shown: String,
    /// Which of its servers has a key.
    pub mode: Mode,
    /// Its servers as configured: one of a standalone store, the Sentinels, or nodes of the Cluster by which the others
    /// are found. None: a store in shared memory alone, which has a tier.
    pub servers: Vec<Server>,
    /// Where lookups go.
    pub read_from: ReadFrom,
    /// How long connecting may take, in milliseconds.
    pub connect_timeout: u64,
    /// Milliseconds between two writes while the server takes no more.
    pub send_timeout: u64,
    /// Milliseconds between two reads while replies are owed.
    pub read_timeout: u64,
    /// How many connections a worker opens to a server at most.
    pub connections: usize,
    /// How many commands wait for replies in a worker at most. Beyond it a request goes on without the store.
    pub queue: usize,
    /// Whom to log in as to servers that have records.
    pub login: Login,
    /// Whom to log in as to Sentinels.
    pub sentinel_login: Login,
    /// The number of the database.
    pub database: u32,
    /// Failures within a time that open a server's breaker.
    pub max_fails: u32,
    /// How long an open breaker stays open before the first probe, in milliseconds.
    pub fail_timeout: u64,
    /// How its connections are encrypted. `None`: they aren't.
    pub tls: Option<TlsConfig>,
    /// `memory`: hot records before the servers.
    pub tier: Option<MemoryConfig>,
    /// What the workers share of its servers, and without servers of its purges. `None` for a store at an address that a variable
    /// names.
    pub memory: Option<StoreMemory>,
}

/// Which server has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The one there is.
    Standalone,
    /// The master of this name, which Sentinels tell.
    Sentinel(String),
    /// The master of the key's slot, which the Cluster tells.
    Cluster,
}

impl Mode {
    /// Bytes that what is known of the servers takes at most.
    pub fn room(&self) -> usize {
        match self {
            Mode::Standalone => 0,
            Mode::Sentinel(_) => ANNOUNCED_SIZE,
            Mode::Cluster => ENCODED_SIZE,
        }
    }
}

/// Where lookups go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// To masters.
    Master,
    /// To replicas, and to the master where none serves.
    Replica,
}

/// Who logs in.
#[derive(Clone, Default)]
pub struct Login {
    /// The user. Without it the default user.
    pub username: Option<String>,
    /// The password. Without it nobody logs in.
    pub password: Option<String>,
}

impl fmt::Debug for Login {
    /// Without the password, which is for nobody's eyes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .field("password", &self.password.as_ref().map(|_| "..."))
            .finish()
    }
}

impl StoreConfig {
    /// Whether it has no servers: shared memory is all there is of it.
    pub fn is_memory_alone(&self) -> bool {
        self.servers.is_empty()
    }

    /// A store of which only its name and its servers are known.
    pub fn new(name: String, servers: Vec<Server>) -> StoreConfig {
        StoreConfig {
            shown: without_password(&name),
            name,
            mode: Mode::Standalone,
            servers,
            read_from: ReadFrom::Master,
            connect_timeout: TIMEOUT,
            send_timeout: TIMEOUT,
            read_timeout: TIMEOUT,
            connections: CONNECTIONS,
            queue: QUEUE,
            login: Login::default(),
            sentinel_login: Login::default(),
            database: 0,
            max_fails: MAX_FAILS,
            fail_timeout: FAIL_TIMEOUT,
            tls: None,
            tier: None,
            memory: None,
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Server {
    /// What the configuration calls it: `127.0.0.1:6379`, `redis.example.com:6379` or `unix:/path`. For the log.
    pub text: String,
    /// Its host name, if it isn't named by its address.
    pub name: Option<HostName>,
    /// The host name that it announces to others, and that its certificate is for.
    pub announced: Option<String>,
    /// Its addresses, in the order in which they are tried. A name may have several, or none that is known yet.
    pub addresses: Vec<SocketAddress>,
}

impl StoreConfig {
    /// Addresses of one name, in the order in which they are tried. Where a memory tier listens it is the same for all workers: what a
    /// worker gets at one address is kept only while that one is listened to. Elsewhere it is that of the answer.
    pub fn in_order(&self, mut addresses: Vec<SocketAddress>) -> Vec<SocketAddress> {
        if self.tier.as_ref().is_some_and(|tier| tier.feed) {
            addresses.sort_by(|one, other| one.text.cmp(&other.text));
        }
        addresses
    }
}

impl Server {
    /// Whether it is reached by a unix socket.
    pub fn is_local(&self) -> bool {
        self.text.starts_with("unix:")
    }

    /// What the memory tier calls the server that a name leads to at this address: a digest, never 0.
    pub fn heard_as(&self, address: Option<&SocketAddress>) -> u64 {
        let address = address.map_or("", |address| &address.text);
        digest(format!("{} {address}", self.text).as_bytes())
    }
}

/// A host name and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName {
    /// The name, without a port.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Server {
    /// A server with one address.
    pub fn at(address: SocketAddress) -> Server {
        Server {
            text: address.text.clone(),
            name: None,
            announced: None,
            addresses: vec![address],
        }
    }
}

/// An address that a socket can be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketAddress {
    /// A `struct sockaddr` of any family.
    pub sockaddr: Vec<u8>,
    /// The same for people: `127.0.0.1:6379` or `unix:/path`.
    pub text: String,
}

impl SocketAddress {
    /// An IP address and a port.
    pub fn of(address: SocketAddr) -> SocketAddress {
        SocketAddress {
            sockaddr: sockaddr::inet(address),
            text: address.to_string(),
        }
    }
}
