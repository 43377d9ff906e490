//! Commands and replies as bytes, however they travel: over a connection or through somebody else.

/// What is to be sent.
pub mod output;

/// What commands are for.
pub mod kind;

/// The commands, packed into an output.
pub mod command;

/// Those by which fills are claimed.
mod leases;

/// What has been received.
pub mod input;

/// What is owed a reply, and what replies mean.
pub mod pending;

/// The commands for the log of purges.
pub mod purges;
