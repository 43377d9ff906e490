//! What a store is told by its configuration.

/// Milliseconds of each timeout that isn't configured.
const TIMEOUT: u64 = 200;

/// How many connections a worker opens at most, unless configured.
const CONNECTIONS: usize = 2;

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
    /// How many connections a worker opens at most.
    pub connections: usize,
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
            username: None,
            password: None,
            database: 0,
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Server {
    /// A `struct sockaddr` of any family.
    pub sockaddr: Vec<u8>,
    /// The same for people: `127.0.0.1:6379` or `unix:/path`.
    pub text: String,
}
