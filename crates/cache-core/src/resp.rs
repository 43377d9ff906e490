//! RESP2 and RESP3, the protocol of Redis, over byte slices: replies and pushes without copying their bodies, commands.

mod command;
mod decoder;
mod error;
mod header;
mod limits;
mod number;
mod reply;
mod room;

pub use self::command::{array_header, bulk_header, command};
pub use self::decoder::Decoder;
pub use self::error::ProtocolError;
pub use self::limits::Limits;
pub use self::reply::{Push, Received, Reply};
pub use self::room::Room;
