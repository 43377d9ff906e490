//! What a feed is told, and what it asks for.

use std::ops::RangeInclusive;

use bytes::Bytes;

use crate::cluster::Slot;
use crate::resp::{Push, Reply};

/// How long a record is used from the tier at most where the module's own messages alone tell of changes
/// ([`Source::Messages`]), in milliseconds: they miss evictions, FLUSHALL, and what others do. The feed sees to it itself: its
/// leases are as long, and each is of an epoch of its own.
pub const MESSAGES_VALID: u64 = 1000;

/// How long a machine tells of its own changes once there is a reason to ([`Effect::Tell`]), in milliseconds. One that lives on
/// messages publishes a canary each 30 s: three of them may get lost.
pub const HEED: u64 = 120_000;

/// What a feed is about. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the keys begin that are in the tier. Empty: all keys of the server.
    pub prefix: Vec<u8>,
    /// The channel on which the module's own changes are told. All machines that share the store use the same.
    pub channel: Vec<u8>,
    /// The slots of the server, if it belongs to a Redis Cluster. See [`Feed::set_slots`](super::Feed::set_slots).
    pub slots: Option<Vec<RangeInclusive<Slot>>>,
    /// How long connecting may take, with all addresses of the server and the greeting of the connection, in milliseconds.
    pub connect_timeout: u64,
    /// How long a reply may take, and the push of the first canary.
    pub read_timeout: u64,
}

/// What has happened. What comes from a connection that [`Effect::Close`] has closed isn't told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Time has passed.
    Tick,
    /// The connection can be used: it has logged in and chosen its database.
    Connected,
    /// The connection couldn't be had, or has ended.
    Closed,
    /// A reply has come.
    Reply(&'a Reply),
    /// A push has come.
    Push(&'a Push),
    /// The reply to [`Effect::Publish`].
    Published(&'a Reply),
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Connect to the server, and log in. The result is [`Event::Connected`] or [`Event::Closed`].
    Connect,
    /// Close the connection. Its end isn't told.
    Close,
    /// Send this command, in words.
    Send(Vec<Bytes>),
    /// Publish this on another connection of the same user: this one takes no such command. The reply, if there is one, is
    /// [`Event::Published`].
    Publish {
        /// The channel.
        channel: Bytes,
        /// The message.
        message: Bytes,
    },
    /// What the tier has of this key is void, and so is what was asked of it before.
    Invalidate(Bytes),
    /// All that the tier has of this server is void.
    RaiseEpoch,
    /// All that the tier has of the store is void.
    RaiseAll,
    /// The tier may be read until then, in milliseconds. A worker that was stopped meanwhile says a time that is over: only a
    /// later time than the one that is known counts.
    Lease {
        /// Until when.
        until: u64,
    },
    /// The tier may not be read for now, unless the server is known to be down. The epoch is raised before the next lease.
    Revoke,
    /// Changes that this machine makes are to be published until then, in milliseconds: one that shares the store lives on
    /// messages, or may do so. Only a later time than the one that is known counts.
    Tell {
        /// Until when.
        until: u64,
    },
    /// The slot map, or the master, may have changed.
    Refresh,
    /// A line for the log.
    Say(Level, String),
}

/// What the tier can rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing: it isn't used.
    Nothing,
    /// The server pushes each change.
    Tracking,
    /// The module's own changes are told: see [`MESSAGES_VALID`].
    Messages,
}

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Worth to know, and no trouble.
    Info,
    /// All is well, again.
    Notice,
    /// Something is to be put right.
    Warn,
}
