//! Why a connection has ended.

use std::io;

use crate::store::redis::error::{StoreError, reason};

/// Why a connection ended.
#[derive(Clone, Debug)]
pub enum End {
    /// The server closed an established connection. That is its right when nothing is owed; when
    /// something is, another attempt tells whether the server is there.
    Closed,
    /// A reply was larger than allowed: closing is cheaper than reading it to its end.
    TooLarge,
    /// A write had no reply in time: the server pauses writes, or it is too busy with this one. Lookups behind it may fare
    /// better on another connection.
    Paused,
    /// The worker may wait no longer. It is no fault of the server's.
    Leaving,
    /// There was no memory for a reply.
    NoMemory,
    /// A large reply that nobody wants any more is under way: closing is cheaper than reading it, and others don't
    /// wait for it. Or nobody wants the connection: the server isn't used any more, or in another part.
    Unwanted,
    /// The server's name leads elsewhere.
    Moved,
    /// The store is down: the error for those who wait, the reason for the log.
    Down(StoreError, String),
}

impl End {
    /// What an error of the socket means: the connection is gone, and whether the server is too
    /// will be seen when connecting again.
    pub fn of(error: &io::Error) -> End {
        match error.kind() {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => End::Closed,
            _ => End::Down(StoreError::Unavailable, reason(error)),
        }
    }

    /// What the end of a connection means that has never served: the store can't be used, whatever the cause. Only a
    /// worker that leaves, or that wants the connection no more, says nothing of the store. `encrypted`: through TLS.
    pub fn of_greeting(self, encrypted: bool) -> End {
        let (error, reason) = match self {
            End::Closed if encrypted => {
                (StoreError::Unavailable, "the server closed the connection")
            }
            End::Closed => (
                StoreError::Unavailable,
                "the server closed the connection; if it speaks TLS at this port, add \"tls on\"",
            ),
            End::TooLarge => (
                StoreError::Protocol,
                "invalid reply: too large for a greeting",
            ),
            End::NoMemory | End::Paused => (StoreError::Unavailable, "no memory for a reply"),
            end @ (End::Leaving | End::Moved | End::Unwanted | End::Down(..)) => return end,
        };
        End::Down(error, reason.to_owned())
    }
}
