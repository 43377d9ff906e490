//! Free TCP ports of 127.0.0.1.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::wait::{PATIENCE, eventually};

/// Below the range from which kernels take ports for outgoing connections (32768 and up), so that a server that stops
/// for a while finds its port free again.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A TCP port of 127.0.0.1 that nobody else in this or another test process is given while this value lives.
///
/// The lease is the UDP socket of the same number: bound as long as the value lives, released by the kernel however the
/// process ends.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lease: UdpSocket,
}

impl Port {
    /// Takes a free port.
    ///
    /// # Panics
    ///
    /// If none is free.
    #[must_use]
    pub fn take() -> Port {
        // Processes begin at different places, so that they seldom try each other's.
        let start = (std::process::id() % 199) as u16 * 100;
        for _ in 0..COUNT {
            let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let number = FIRST + offset;
            let Ok(lease) = UdpSocket::bind(("127.0.0.1", number)) else {
                continue;
            };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Port {
                    number,
                    _lease: lease,
                };
            }
        }
        panic!("no free port on 127.0.0.1");
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.2 and its number, for UDP: the lease has the port of 127.0.0.1.
    #[must_use]
    pub fn udp_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 2], self.number))
    }

    /// 127.0.0.1 and its number.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }

    /// Listens on it. A program that another thread starts has all sockets of this process for a moment, also the one by
    /// which [`Port::take`] has seen that the port is free; and a connection that somebody else is just closing may hold it.
    ///
    /// # Panics
    ///
    /// If it can't be had.
    #[must_use]
    #[track_caller]
    pub fn listen(&self) -> TcpListener {
        let listener = eventually(PATIENCE, || TcpListener::bind(self.address()).ok());
        listener.expect("a port to listen on")
    }
}
