//! Connections of feeds: what is sent arrives in order, late, or not at all.

use bytes::Bytes;
use cache_core::resp::{Push, Reply};

use crate::server::{Conn, Id, Telling};
use crate::worker::Input;
use crate::world::{Happening, World};

/// What comes to a feed.
#[derive(Clone, Debug)]
pub enum Item {
    Connected,
    Closed,
    Reply(Reply),
    Push(Push),
    Published(Reply),
}

pub struct Wire {
    pub worker: usize,
    pub server: Id,
    /// Nothing comes through any more, and nobody is told.
    pub is_half_open: bool,
    /// Nothing comes to the feed before this time.
    pub stalled: u64,
    /// When the last of what was sent arrives there, and here.
    up: u64,
    down: u64,
}

impl Wire {
    /// Nothing comes before this time, and all in order.
    pub fn stall(&mut self, until: u64) {
        self.stalled = until;
        self.down = self.down.max(until) + 1;
    }
}

impl World {
    /// A worker opens a connection.
    pub fn open(&mut self, worker: usize, server: Id) -> Conn {
        self.connections += 1;
        let conn = self.connections;
        let wire = Wire {
            worker,
            server,
            is_half_open: false,
            stalled: 0,
            up: self.now,
            down: self.now,
        };
        self.wires.insert(conn, wire);
        let it = &mut self.servers[server];
        if !it.up {
            self.send_down(conn, Item::Closed);
        } else if it.serves(self.now) {
            it.tellings.insert(conn, Telling::default());
            self.send_down(conn, Item::Connected);
        }
        conn
    }

    pub fn send_up(&mut self, conn: Conn, words: Vec<Bytes>) {
        let delay = self.delay();
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&conn).filter(|it| !it.is_half_open) else {
            return;
        };
        wire.up = wire.up.max(now + delay);
        let at = wire.up;
        self.at_in_order(at, Happening::Command(conn, words));
    }

    pub fn send_down(&mut self, conn: Conn, item: Item) {
        let delay = self.delay();
        let now = self.now;
        let Some(wire) = self.wires.get_mut(&conn).filter(|it| !it.is_half_open) else {
            return;
        };
        wire.down = wire.down.max(now + delay).max(wire.stalled);
        let at = wire.down;
        self.at_in_order(at, Happening::Delivered(conn, item));
    }

    /// The connection breaks, and the feed is told, unless it is open at one end only.
    pub fn cut(&mut self, conn: Conn) {
        if let Some(wire) = self.wires.get(&conn) {
            let server = wire.server;
            self.servers[server].tellings.remove(&conn);
            self.send_down(conn, Item::Closed);
        }
    }

    /// The feed closes it, or its worker is gone.
    pub fn close(&mut self, conn: Conn) {
        if let Some(wire) = self.wires.remove(&conn) {
            self.servers[wire.server].tellings.remove(&conn);
        }
    }

    pub fn delivered(&mut self, conn: Conn, item: Item) {
        let Some(wire) = self.wires.get(&conn) else {
            return;
        };
        // It was stalled after this had been sent.
        if wire.stalled > self.now {
            let at = wire.stalled;
            return self.at_in_order(at, Happening::Delivered(conn, item));
        }
        let worker = wire.worker;
        self.tell(worker, Input::Feed(conn, item));
    }
}
