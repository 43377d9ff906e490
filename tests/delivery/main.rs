//! What a client gets sent, however slowly it takes it, and what that costs the worker: each compared with plain
//! `proxy_pass` and `proxy_cache`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod dynamic_filters;
mod half_closed;
mod held;
mod http2;
mod memory;
mod not_modified;
mod slow_header;
