//! nginx's memory: each file or folder holds one subject, and what reads and writes nginx's structures for it. Rooms
//! above get safe calls where nginx's contract allows it.

// The header and the body of a response, and the upstreams of a request.
pub mod filter;
pub mod headers;
pub mod hints;
pub mod output;
pub mod upstream;

// A request, and the values of variables for it.
pub mod request;
pub mod slice;
pub mod values;

// The event loop: timers, connections to servers, and how long a shutdown waits.
pub mod event;
pub mod peer;
pub mod resolver;
pub mod shutdown;
pub mod sockaddr;

// Encrypted connections to servers.
pub mod tls;

// Memory and strings.
pub mod chain;
pub mod memory;
pub mod pool;
pub mod random;
pub mod text;

// The border to C, and to the modules of nginx.
mod bit_fields;
pub mod fit;
pub mod guard;
pub mod makers;
pub mod module;
pub mod shim;
