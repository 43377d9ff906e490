//! A port at which connections are neither made nor refused.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::wait::{PATIENCE, eventually};

/// How long a connection on loopback takes at most where the port takes it.
const MADE: Duration = Duration::from_millis(100);

/// More than the kernel lets wait at a port whose program said none.
const MOST: usize = 8;

/// It swallows as long as this lives.
#[derive(Debug)]
pub(super) struct Swallowing {
    _listener: Socket,
    // They fill the queue of the port.
    _waiting: Vec<TcpStream>,
}

impl Swallowing {
    /// Swallows at `address`.
    pub(super) fn at(address: SocketAddr) -> Swallowing {
        let listener = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let listener = listener.expect("a socket");
        listener.set_reuse_address(true).expect("an option");
        let bound = eventually(PATIENCE, || listener.bind(&address.into()).ok());
        bound.expect("the proxy's port");
        listener.listen(0).expect("a listener");
        let connect = |_| TcpStream::connect_timeout(&address, MADE).ok();
        let waiting: Vec<_> = (0..MOST).map_while(connect).collect();
        assert!(waiting.len() < MOST, "{address} doesn't swallow");
        Swallowing {
            _listener: listener,
            _waiting: waiting,
        }
    }
}
