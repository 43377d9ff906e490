//! nginx's memory: every touch of it, one subject a file or folder. Above this room nobody follows a raw pointer.

// What a request gets: the header and the body of its response, and the upstreams that it asks.
pub mod filter;
pub mod headers;
pub mod output;
pub mod upstream;

// A request, and what values say for it.
pub mod request;
pub mod slice;
pub mod values;

// The event loop: timers, connections to servers, and how long a shutdown waits.
pub mod event;
pub mod peer;
pub mod shutdown;
pub mod sockaddr;

// Memory and strings.
pub mod chain;
pub mod memory;
pub mod pool;
pub mod text;

// The border to C, and to the modules of nginx.
pub mod bit_fields;
pub mod guard;
pub mod module;
pub mod shim;
