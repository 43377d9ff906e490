//! What a watcher is told, and what it asks for.

/// Times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a Sentinel or a server has for a reply, connecting included.
    pub timeout: u64,
    /// Time between two questions to a Sentinel in good times. With the time that asking and ROLE take it is to be less
    /// than a second.
    pub interval: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: 300,
            interval: 600,
        }
    }
}

/// The master as it is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Master<A> {
    /// Its address.
    pub address: A,
    /// The config epoch that the Sentinels gave this configuration; 0 if they tell none.
    pub epoch: u64,
}

/// What a server says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A master.
    Master,
    /// A replica.
    Replica,
    /// The command isn't permitted.
    Denied,
    /// Something else, or an error.
    Unknown,
}

/// How a server is asked what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// `ROLE`
    Role,
    /// `INFO replication`, where ROLE isn't permitted.
    Info,
}

/// What has happened. Sentinels are named by their place in the configuration, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<A> {
    /// Time has passed.
    Tick,
    /// A Sentinel says who the master is.
    Answered {
        /// The Sentinel.
        sentinel: usize,
        /// The master.
        address: A,
        /// The config epoch, unless the Sentinel refuses to tell it.
        epoch: Option<u64>,
        /// The master's healthy replicas, unless the Sentinel refuses to list them, or wasn't asked for them.
        replicas: Option<Vec<A>>,
    },
    /// A Sentinel wasn't reached, doesn't know the master's name, or had no time left.
    Failed {
        /// The Sentinel.
        sentinel: usize,
    },
    /// The reply to [`Action::Verify`].
    Role {
        /// The server.
        address: A,
        /// What it says.
        role: Role,
    },
    /// [`Action::Verify`] has failed: refused, lost, or too late.
    Unreachable {
        /// The server.
        address: A,
    },
    /// A worker had READONLY from this server, couldn't connect to it, or lost its connections.
    Suspect {
        /// The server.
        address: A,
    },
    /// A Sentinel has pushed `+switch-master` for the name.
    Switched {
        /// The Sentinel.
        sentinel: usize,
    },
    /// A Sentinel has pushed `+slave`, `+sdown` or `-sdown` for a replica of the name.
    Changed {
        /// The Sentinel.
        sentinel: usize,
    },
    /// [`Action::Subscribe`] has succeeded.
    Subscribed {
        /// The Sentinel.
        sentinel: usize,
    },
    /// The reply to [`Action::Ping`].
    Pong {
        /// The Sentinel.
        sentinel: usize,
    },
    /// The subscription has ended, or couldn't be had.
    FeedLost {
        /// The Sentinel.
        sentinel: usize,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<A> {
    /// Ask a Sentinel for address and config epoch, and for the replicas if lookups may go there. The result is [`Event::Answered`] or [`Event::Failed`].
    Ask {
        /// The Sentinel.
        sentinel: usize,
    },
    /// Connect to a server and ask what it is. The result is [`Event::Role`] or [`Event::Unreachable`]. One that is asked for
    /// while another is under way replaces it.
    Verify {
        /// The server.
        address: A,
        /// How to ask.
        proof: Proof,
    },
    /// Subscribe to `+switch-master`, and to what tells of replicas, on a connection of its own.
    Subscribe {
        /// The Sentinel.
        sentinel: usize,
    },
    /// Send PING on the subscribed connection.
    Ping {
        /// The Sentinel.
        sentinel: usize,
    },
    /// Close the subscribed connection.
    Unsubscribe {
        /// The Sentinel.
        sentinel: usize,
    },
    /// This is the master from now on. Connections to another, or to the same of an older epoch, are closed.
    Announce(Master<A>),
    /// These replicas of the announced master serve lookups from now on, and no others. A master that is announced has none
    /// until this says so.
    Replicas(Vec<A>),
}
