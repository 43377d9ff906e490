//! Servers for tests and the demonstration, all real and on loopback: nginx with the module, Redis, a scriptable
//! backend, and a client that sees every byte.
//!
//! Each server has a temporary folder and a free port of its own, is stopped by its own process id and cleans up when
//! dropped, so that tests may run side by side.
//!
//! * [`Site`] is where most tests begin: one nginx, one Redis, one backend, wired together.
//! * [`Nginx`], [`Redis`], [`Backend`] are the servers alone.
//! * [`RedisCluster`] and [`Sentinels`] are fleets of redis-servers; a [`Net`] parts their servers from each other or from
//!   the module.
//! * [`Dns`] is a name server, whose names move while it runs.
//! * [`Proxy`] stands before a Redis and mistreats what passes; [`Faucet`] is a backend of bodies too large to keep.
//! * [`Authority`] signs certificates for servers and clients; [`TlsFront`] gives a server TLS.
//! * [`Vitals`] and [`Zone`] are read from a running nginx: its memory and descriptors, its locks and waiters.
//! * [`Client`] speaks HTTP/1.1 on a plain socket; [`crowd()`] runs many at once. [`Http2`] speaks HTTP/2, over TLS too, and
//!   [`Http3`] HTTP/3; [`Protocol`] lets one test run over all; [`TlsTunnel`] gives any other client TLS.
//! * [`Browser`] is a Chromium without a screen, for what only a browser sees.
//! * [`wait_for`] and [`eventually`] await a condition; nothing here sleeps where something can be awaited.

mod conf;
mod site;

// Servers.
mod backend;
mod dns;
mod faucet;
mod fleet;
mod nginx;
mod redis_server;

// What stands between two of them and mistreats what passes.
mod bridge;
mod proxy;
mod tls_front;
mod tunnel;

// Clients.
mod browser;
mod client;
mod coding;
mod crowd;
mod exchange;
mod http2;
mod http3;

// What is read from running servers and from what they keep.
mod log;
mod record;
mod vitals;
mod zone;

// What all of these are made of: protocol, waiting, places, ports, processes.
mod authority;
mod documentation;
mod http;
mod places;
mod ports;
mod process;
mod wait;

pub use authority::{Authority, Pair};
pub use backend::{Answer, Backend, Gate, Received};
pub use bridge::Bridge;
pub use browser::Browser;
pub use client::{Client, Request, Response};
pub use coding::{decoded, unzipped};
pub use conf::{Conf, example};
pub use crowd::{Crowd, crowd};
pub use dns::Dns;
pub use documentation::{Fence, fences, page, readme_example, redis_users};
pub use exchange::{Exchange, Protocol};
pub use faucet::Faucet;
pub use fleet::{
    ClusterOptions, Failover, KnownNode, Login, Moved, Net, RedisCluster, SLOTS, SentinelOptions,
    Sentinels, Server, Side, SlotMove, TlsFiles, slot_of,
};
pub use http2::{Certificate, Failure, Http2, Http2Options, Stream};
pub use http3::{Http3, Http3Stream};
pub use log::{Log, Position};
pub use nginx::Nginx;
pub use places::{module, nginx_binary, nginx_is_at_least, nginx_version, workspace};
pub use ports::Port;
pub use process::{Frozen, Process, keep_ctrl_c_from_servers};
pub use proxy::{Peers, Piece, Proxy, Rule, Step, Way};
pub use record::{Record, md5_hex};
pub use redis_server::Redis;
pub use site::{Running, Site};
pub use tls_front::TlsFront;
pub use tunnel::TlsTunnel;
pub use vitals::Vitals;
pub use wait::{Ending, PATIENCE, eventually, holds_for, wait_for};
pub use zone::Zone;

/// So many milliseconds.
#[must_use]
pub const fn ms(milliseconds: u64) -> std::time::Duration {
    std::time::Duration::from_millis(milliseconds)
}

/// A body of `size` bytes that no two offsets or seeds share: a piece lost, doubled or mixed up shows.
#[must_use]
pub fn pattern(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
