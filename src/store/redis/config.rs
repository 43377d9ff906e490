//! What a store is told by its configuration.

/// Milliseconds of each timeout that isn't configured.
const TIMEOUT: u64 = 200;

/// How many connections a worker opens to a server at most, unless configured.
const CONNECTIONS: usize = 2;

/// How many commands wait for replies in a worker at most, unless configured.
const QUEUE: usize = 4096;

/// A store: a `redis_cache_store` block, or an address in its place.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Its name in the configuration.
    pub name: String,
    /// The server.
    pub server: Server,
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
    /// The user to log in as. Without it the default user.
    pub username: Option<String>,
    /// The password to log in with. Without it nobody logs in.
    pub password: Option<String>,
    /// The number of the database.
    pub database: u32,
}

impl StoreConfig {
    /// A store of which only its name and its server are known.
    pub fn new(name: String, server: Server) -> StoreConfig {
        StoreConfig {
            name,
            server,
            connect_timeout: TIMEOUT,
            send_timeout: TIMEOUT,
            read_timeout: TIMEOUT,
            connections: CONNECTIONS,
            queue: QUEUE,
            username: None,
            password: None,
            database: 0,
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Server {
    /// What the configuration calls it: `127.0.0.1:6379`, `redis.example.com:6379` or `unix:/path`. For the log.
    pub text: String,
    /// Its addresses, in the order in which they are tried. A name may have several.
    pub addresses: Vec<SocketAddress>,
}

impl Server {
    /// A server with one address.
    pub fn at(address: SocketAddress) -> Server {
        Server {
            text: address.text.clone(),
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
