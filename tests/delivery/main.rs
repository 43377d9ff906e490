//! What a client gets sent, however slowly it takes it, and what that costs the worker: each compared with plain
//! `proxy_pass` and `proxy_cache`.

mod dynamic_filters;
mod half_closed;
mod held;
mod http2;
mod memory;
mod not_modified;
mod slow_header;
