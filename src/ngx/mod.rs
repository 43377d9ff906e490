//! Every touch of nginx's memory, one idea a file. Above this layer nobody follows a raw pointer.

pub mod bits;
pub mod chain;
pub mod event;
pub mod guard;
pub mod headers;
pub mod memory;
pub mod module;
pub mod output;
pub mod peer;
pub mod pool;
pub mod request;
pub mod shim;
pub mod shutdown;
pub mod slice;
pub mod sockaddr;
pub mod text;
pub mod upstream;
pub mod values;
