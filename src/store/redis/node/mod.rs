//! One server as this worker uses it: its connections, which of them takes a command, when another is opened, and how a
//! server that went down is found again.

mod advice;
mod breaker;
mod choosing;
pub mod health;
mod large;
mod names;
mod refusing;
mod told;
mod trouble;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use cache_core::breaker::{Access, Pass};
use cache_core::counters::{NODE_DURATION, node_failures};
use cache_core::resp::{Limits, Reply};

use self::breaker::{NodeBreaker, Probe};
use self::health::Health;
use self::large::Large;
use self::names::Names;
use self::refusing::Refused;
use super::call::{Waiting, WaitingLookup, call};
use super::change::{Change, ChangeReply};
use super::config::{Server, SocketAddress, StoreConfig};
use super::connection::Connection;
use super::connection::end::End;
use super::counted;
use super::error::StoreError;
use super::protocol::kind::Kind;
use super::turn::Turn;
use crate::ngx::event::{Posted, Timer};
use crate::ngx::tls::Client;

/// A server and its connections.
pub struct Node {
    config: Rc<StoreConfig>,
    /// Whether it is used as a replica, which has a master.
    is_replica: bool,
    /// How its connections are encrypted, and their session.
    tls: Option<Rc<Client>>,
    server: Server,
    /// What the memory tier calls it at the address that served last.
    heard_as: Cell<u64>,
    /// Its addresses: the one that served last, then the others.
    addresses: RefCell<Vec<SocketAddress>>,
    /// Its name, unless it is known by its address.
    names: Option<Names>,
    connections: RefCell<Vec<Rc<Connection>>>,
    health: Health,
    breaker: NodeBreaker,
    /// The probe of the server that is under way in this worker.
    probe: Cell<Option<Probe>>,
    /// The write that is under way as the probe of writes.
    write_probe: Cell<Option<Pass>>,
    /// Bytes of a reply to a lookup, averaged over the last ones.
    average: Cell<usize>,
    /// How often connections were closed on their commands since one had its reply.
    losses: Cell<usize>,
    /// No further connection before this time.
    patience: Cell<u64>,
    reconnect: OnceCell<Timer>,
    large: RefCell<Large>,
    /// Gives turns to those who wait for large records.
    next_turn: OnceCell<Posted>,
    /// It has served before.
    is_known: Cell<bool>,
    /// What this worker looks after while the cluster of the server is down.
    refused: RefCell<Option<Refused>>,
    /// When it asks the server again.
    ask_again: OnceCell<Timer>,
    /// Told when the server can't be reached, or doesn't reply.
    on_trouble: OnceCell<Box<dyn Fn()>>,
}

impl Node {
    /// A server without a connection: the first command opens one.
    pub fn new(config: Rc<StoreConfig>, server: &Server) -> Rc<Node> {
        Self::with(config, server, false)
    }

    /// The same for a replica: others serve its lookups while it is down.
    pub fn of_replica(config: Rc<StoreConfig>, server: &Server) -> Rc<Node> {
        Self::with(config, server, true)
    }

    fn with(config: Rc<StoreConfig>, server: &Server, is_replica: bool) -> Rc<Node> {
        let addresses = config.in_order(server.addresses.clone());
        Rc::new(Node {
            is_replica,
            health: if is_replica {
                Health::of_replica(&config.shown, &server.text)
            } else if config.tier.as_ref().is_some_and(|tier| tier.alone > 0) {
                Health::of_memory(&config.shown, &server.text)
            } else {
                Health::new(&config.shown, &server.text)
            },
            breaker: NodeBreaker::new(&config, &server.text),
            probe: Cell::new(None),
            write_probe: Cell::new(None),
            names: Names::of(&config, server),
            tls: config.tls.as_ref().map(|tls| Rc::new(tls.client(server))),
            config,
            heard_as: Cell::new(server.heard_as(addresses.first())),
            server: server.clone(),
            addresses: RefCell::new(addresses),
            connections: RefCell::default(),
            average: Cell::new(0),
            losses: Cell::new(0),
            patience: Cell::new(0),
            reconnect: OnceCell::new(),
            large: RefCell::default(),
            next_turn: OnceCell::new(),
            is_known: Cell::new(false),
            on_trouble: OnceCell::new(),
            refused: RefCell::default(),
            ask_again: OnceCell::new(),
        })
    }

    /// Counts a lookup or a change that was sent at this time (microseconds), or couldn't be.
    pub fn count(&self, began: u64, error: Option<&StoreError>) {
        if let Some(counters) = self.breaker.counters() {
            counted::count(counters, (NODE_DURATION, node_failures), began, error);
        }
    }

    /// Where it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// What the memory tier calls it at the address where a lookup is likely to go: that of the connection which is used first,
    /// or the one that served last. A name may have another server behind it later, and connections to several at a time: what
    /// these have found says where it is from.
    pub fn heard_as(&self) -> u64 {
        let connections = self.connections.borrow();
        let mut serving = connections.iter().filter(|c| c.serves());
        let first = serving.find(|c| !c.is_for_large());
        first.map_or(self.heard_as.get(), |c| c.heard_as())
    }

    /// Another address may be the first by now.
    fn name_anew(&self) {
        let addresses = self.addresses.borrow();
        self.heard_as.set(self.server.heard_as(addresses.first()));
    }

    /// Has somebody told when the server can't be reached, or doesn't reply.
    pub fn on_trouble(&self, told: impl Fn() + 'static) {
        // Set once, by whoever has made the node.
        let _ = self.on_trouble.set(Box::new(told));
    }

    /// Whether commands wait for a reply.
    pub fn is_owing(&self) -> bool {
        let connections = self.connections.borrow();
        connections.iter().any(|c| c.is_owing()) || self.large.borrow().is_waiting()
    }

    /// Closes all connections: another server has this address by now, or is to be used. Commands that may be
    /// sent again are.
    pub fn hang_up(&self) {
        // A probe ends with its connection.
        self.leave_probe();
        self.close_all();
    }

    fn close_all(&self) {
        let connections = self.connections.take();
        for connection in connections {
            connection.end(End::Unwanted);
        }
    }

    /// Whether it is used as a replica.
    pub fn is_replica(&self) -> bool {
        self.is_replica
    }

    /// Whether commands for keys are sent to the server.
    pub fn is_available(&self) -> bool {
        !self.is_down() && !self.is_refusing()
    }

    /// Whether the store is known to be down.
    pub fn is_down(&self) -> bool {
        self.breaker.is_down()
    }

    /// Sends a lookup, or shares one of the same key that is to be sent.
    pub fn lookup(self: &Rc<Self>, key: &Bytes) -> Result<WaitingLookup, StoreError> {
        let shared = self.connections.borrow().iter().find_map(|c| c.join(key));
        if let Some(waiting) = shared {
            return Ok(waiting);
        }
        if self.large.borrow().is_known(key) {
            return self.lookup_large(key);
        }
        let connection = self.choose(Access::Read, false)?;
        let (promise, waiting) = call();
        connection.lookup(key, promise, waiting.another(), None);
        Ok(waiting)
    }

    /// The same for a record that was large: it waits for its turn, and shares it.
    fn lookup_large(self: &Rc<Self>, key: &Bytes) -> Result<WaitingLookup, StoreError> {
        let shared = self.large.borrow().join(key);
        if let Some(waiting) = shared {
            return Ok(waiting);
        }
        if self.breaker.is_down() {
            return Err(StoreError::Unavailable);
        }
        self.admit()?;
        let (promise, waiting) = call();
        let lookup = waiting.another();
        self.large.borrow_mut().wait(key.clone(), promise, lookup);
        self.give_turns();
        Ok(waiting)
    }

    /// How many large records are read at once: one connection is for others.
    fn turns(&self) -> usize {
        self.config.connections.saturating_sub(1).max(1)
    }

    /// A large record was read, or nobody wants it any more. The next lookup is sent later in this turn of the loop: a
    /// connection may be in the middle of its end.
    fn end_turn(self: &Rc<Self>) {
        self.large.borrow_mut().end();
        let node = Rc::downgrade(self);
        let next = self.next_turn.get_or_init(|| {
            Posted::new(move || {
                if let Some(node) = node.upgrade() {
                    node.give_turns();
                }
            })
        });
        next.post();
    }

    fn give_turns(self: &Rc<Self>) {
        loop {
            let next = self.large.borrow_mut().next(self.turns());
            let Some((key, promise, lookup)) = next else {
                return;
            };
            let node = Rc::downgrade(self);
            let turn = Turn::new(move || {
                if let Some(node) = node.upgrade() {
                    node.end_turn();
                }
            });
            match self.choose(Access::Read, true) {
                Ok(connection) => connection.lookup(&key, promise, lookup, Some(turn)),
                Err(error) => large::fail(vec![promise], &error),
            }
        }
    }

    /// Sends a lookup that an ASK has redirected here.
    pub fn lookup_asking(self: &Rc<Self>, key: &Bytes) -> Result<WaitingLookup, StoreError> {
        let connection = self.choose(Access::Read, false)?;
        let (promise, waiting) = call();
        connection.lookup_asking(key, promise, waiting.another());
        Ok(waiting)
    }

    /// Sends a change, which is told on a channel if there is one. `asking`: an ASK has redirected it here.
    pub fn change(
        self: &Rc<Self>,
        change: Change,
        channel: Option<&Bytes>,
        asking: bool,
    ) -> Result<Waiting<ChangeReply>, StoreError> {
        // A server that is full or a replica refuses writes, and still deletes or says where to.
        let access = match Kind::of(&change) {
            Kind::Write => Access::Write,
            // A client waits for it: it isn't for claims to find out when the server takes writes again.
            Kind::Claim if self.breaker.holds_writes() => return Err(StoreError::Unavailable),
            _ => Access::Read,
        };
        let connection = self.choose(access, false)?;
        let (promise, waiting) = call();
        connection.change(change, channel, promise, asking);
        Ok(waiting)
    }

    /// Asks the server about itself. The reply is given as it is, errors too.
    pub fn ask(
        self: &Rc<Self>,
        question: &[&[u8]],
        limits: Limits,
    ) -> Result<Waiting<Reply>, StoreError> {
        let connection = self.choose_for_question(Access::Read, false)?;
        let (promise, waiting) = call();
        connection.ask(question, limits, promise);
        Ok(waiting)
    }
}
