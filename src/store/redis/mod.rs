//! Redis over nginx's own event loop.
//!
//! A [`Client`] is a store. Its topology says which `Node` has a key. A node gives each command to one of its `Connection`s. A connection
//! sends commands in the order in which they come and keeps those that are owed a reply in that order. A [`Relay`] is a
//! store that others bring the same commands to. Arrows point down this list:

/// A store as the cache uses it.
mod client;

/// Counting commands.
mod counted;

/// A store that is reached through somebody else.
mod relay;

/// Which server has a key.
mod topology;

/// Who listens to a server for the memory tier.
mod feed;

/// What other machines invalidate.
mod hearing;

/// What becomes of fills on other machines.
mod outcomes;

/// What is known of its log of purges.
mod purges;

/// A line that is subscribed.
mod subscription;

/// A line to one server to ask it questions.
mod line;

/// One server: its connections, its health, and large records.
mod node;

/// One connection: sending, receiving, and lookup coalescing.
mod connection;

/// Commands and replies as bytes.
mod protocol;

/// A call, and the futures that wait for its result.
mod call;

/// The right to read a large record.
mod turn;

/// What a lookup finds.
mod found;

/// Commands that change what is stored.
mod change;

/// Stores named by their addresses.
mod address;

/// What a store is told by its configuration.
mod config;

/// What a store is told of encrypted connections.
mod tls;

/// How long the whole of something may take.
mod pace;

/// What can go wrong.
mod error;

pub use address::{WITHOUT_TLS, from_address, is_address, is_encrypted, parse, without_password};
pub use change::{
    Change, ChangeReply, Claim, Fence, LastLook, Lease, RecordRefresh, RecordWrite, Release,
    ValidatedRecord, VariantWrite,
};
pub use client::{Client, invalidate_in_parts};
pub use config::{HostName, Login, Mode, ReadFrom, Server, SocketAddress, StoreConfig};
pub use error::{StoreError, is_unpermitted};
pub use found::{Found, Reading};
pub use outcomes::Hearer;
pub use pace::Pace;
pub use protocol::purges::KEY as PURGES;
pub use purges::Purges;
pub use relay::{Dialog, Relay};
pub use tls::TlsConfig;
