//! Every touch of nginx's memory, one idea a file. Above this layer nobody follows a raw pointer.

pub mod accel;
pub mod authority;
pub mod bits;
pub mod busy;
pub mod captured;
pub mod chain;
pub mod conditions;
pub mod event;
pub mod guard;
pub mod headers;
pub mod kept;
pub mod memory;
pub mod modules;
pub mod output;
pub mod peer;
pub mod pool;
pub mod request;
pub mod shim;
pub mod slice;
pub mod stand_in;
pub mod text;
pub mod unread;
pub mod upstream;
pub mod validators;
pub mod values;
pub mod veil;
