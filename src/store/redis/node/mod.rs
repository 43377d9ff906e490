//! One server as this worker uses it: its connections, which of them takes a command, when another is opened, and how a
//! server that went down is found again.

pub mod health;
mod large;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::resp::Reply;
use ngx::ffi::NGX_LOG_INFO;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use self::health::Health;
use self::large::Large;
use super::call::{Waiting, WaitingLookup, call};
use super::change::{Change, ChangeReply};
use super::config::{Server, SocketAddress, StoreConfig};
use super::connection::end::End;
use super::connection::{Connection, ConnectionOwner, State};
use super::error::StoreError;
use super::protocol::command::Kind;
use super::protocol::pending::Replied;
use super::turn::{LARGE, Turn};
use crate::ngx::event::{Posted, Timer, now_msec};
use crate::ngx::shutdown;
use crate::ngx::tls::Client;

/// A connection with less than this ahead of a new command is as good as an idle one: about 0.1 ms
/// of a fast network. While there is such a connection the first of them takes the command, because
/// a system call that carries many commands is cheaper than many that carry one.
const QUIET: usize = 128 << 10;

/// How often in a row an established connection may be closed while it owes replies: enough for an
/// operator who kills all of them. A server that closes more accepts connections but serves nobody.
const LOSSES: usize = 4;

/// If a further connection can't be opened, no other is tried for so many milliseconds.
const PATIENCE: u64 = 1000;

/// A server and its connections.
pub struct Node {
    config: Rc<StoreConfig>,
    /// How its connections are encrypted, and their session.
    tls: Option<Rc<Client>>,
    /// What the log calls it.
    text: String,
    /// Its addresses: the one that served last, then the others.
    addresses: RefCell<Vec<SocketAddress>>,
    connections: RefCell<Vec<Rc<Connection>>>,
    health: Health,
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
}

impl Node {
    /// A server without a connection: the first command opens one.
    pub fn new(config: Rc<StoreConfig>, server: &Server) -> Rc<Node> {
        Rc::new(Node {
            health: Health::new(&config.shown, &server.text),
            tls: config.tls.as_ref().map(|tls| Rc::new(tls.client(server))),
            config,
            text: server.text.clone(),
            addresses: RefCell::new(server.addresses.clone()),
            connections: RefCell::default(),
            average: Cell::new(0),
            losses: Cell::new(0),
            patience: Cell::new(0),
            reconnect: OnceCell::new(),
            large: RefCell::default(),
            next_turn: OnceCell::new(),
        })
    }

    /// Whether the store is known to be down.
    pub fn is_down(&self) -> bool {
        self.health.is_down()
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
        let connection = self.choose(false)?;
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
        if self.health.is_down() {
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
            match self.choose(true) {
                Ok(connection) => connection.lookup(&key, promise, lookup, Some(turn)),
                Err(error) => large::fail(vec![promise], &error),
            }
        }
    }

    /// Sends a lookup that an ASK has redirected here.
    pub fn lookup_asking(self: &Rc<Self>, key: &Bytes) -> Result<WaitingLookup, StoreError> {
        let connection = self.choose(false)?;
        let (promise, waiting) = call();
        connection.lookup_asking(key, promise, waiting.another());
        Ok(waiting)
    }

    /// Sends a change. `asking`: an ASK has redirected it here.
    pub fn change(
        self: &Rc<Self>,
        change: Change,
        asking: bool,
    ) -> Result<Waiting<ChangeReply>, StoreError> {
        let connection = self.choose(false)?;
        let (promise, waiting) = call();
        connection.change(change, promise, asking);
        Ok(waiting)
    }

    /// Asks the server about itself. The reply is given as it is, errors too.
    pub fn ask(self: &Rc<Self>, question: &[&[u8]]) -> Result<Waiting<Reply>, StoreError> {
        let connection = self.choose(false)?;
        let (promise, waiting) = call();
        connection.ask(question, promise);
        Ok(waiting)
    }

    /// The connection for a new command: the first that is quiet, else the one with the least ahead
    /// of the command. If none is quiet another is opened, for later commands: until a connection is
    /// established the others serve.
    ///
    /// What is known to be large goes to connections of its own, if there may be two: nobody else waits behind it, nor
    /// loses its connection with it.
    fn choose(self: &Rc<Self>, large: bool) -> Result<Rc<Connection>, StoreError> {
        if self.health.is_down() {
            return Err(StoreError::Unavailable);
        }
        if shutdown::has_timed_out() {
            return Err(StoreError::Leaving);
        }
        self.admit()?;
        let (best, grow) = self.survey(large);
        if let Some(connection) = best {
            if grow {
                self.grow();
            }
            return Ok(connection);
        }
        match self.open() {
            Ok(connection) => {
                connection.set_for_large(large && self.config.connections > 1);
                Ok(connection)
            }
            Err(reason) if self.serves() => {
                self.cannot_grow(&reason);
                self.choose(large)
            }
            Err(reason) => {
                self.fell(&StoreError::Unavailable, &reason);
                Err(StoreError::Unavailable)
            }
        }
    }

    /// Whether one command more may wait for a reply.
    fn admit(&self) -> Result<(), StoreError> {
        let connections = self.connections.borrow();
        let waiting =
            connections.iter().map(|c| c.owed()).sum::<usize>() + self.large.borrow().len();
        if self.health.admits(waiting, self.config.queue) {
            Ok(())
        } else {
            Err(StoreError::Crowded)
        }
    }

    /// Whether a connection is established.
    fn serves(&self) -> bool {
        let connections = self.connections.borrow();
        connections.iter().any(|c| c.state() == State::Established)
    }

    /// The best connection there is, and whether another would help. `None` if a new one is to be had.
    fn survey(&self, large: bool) -> (Option<Rc<Connection>>, bool) {
        let connections = self.connections.borrow();
        let room = connections.len() < self.config.connections
            && (connections.is_empty() || now_msec() >= self.patience.get());
        let average = self.average.get();
        // Beside its own kind a command finds connections that do nothing, and if no more may be opened, any.
        let fits = |c: &Rc<Connection>| {
            c.is_for_large() == large
                || (!large && !c.is_owing() && c.state() == State::Established)
        };
        let any = !room && !connections.iter().any(fits);
        let mut best: Option<(&Rc<Connection>, usize)> = None;
        let own = connections.iter().filter(|c| any || fits(c));
        for connection in own.clone().filter(|c| c.state() == State::Established) {
            let load = connection.load(average);
            if load < QUIET {
                return (Some(Rc::clone(connection)), false);
            }
            if best.is_none_or(|(_, least)| load < least) {
                best = Some((connection, load));
            }
        }
        let opening = own.clone().find(|c| c.state() != State::Established);
        let grow = opening.is_none() && best.is_some() && !large && room;
        (
            best.map(|(connection, _)| connection)
                .or(opening)
                .map(Rc::clone),
            grow,
        )
    }

    fn open(self: &Rc<Self>) -> Result<Rc<Connection>, String> {
        let owner: Weak<dyn ConnectionOwner> = Rc::<Node>::downgrade(self);
        let addresses = self.addresses.borrow().clone();
        let connection = Connection::open(&self.config, &addresses, self.tls.clone(), owner)?;
        self.connections.borrow_mut().push(Rc::clone(&connection));
        Ok(connection)
    }

    fn grow(self: &Rc<Self>) {
        if let Err(reason) = self.open() {
            self.cannot_grow(&reason);
        }
    }

    fn cannot_grow(&self, reason: &str) {
        self.patience.set(now_msec().saturating_add(PATIENCE));
        let (name, server) = (&self.config.shown, &self.text);
        ngx_log_error!(
            NGX_LOG_INFO,
            ngx_cycle_log().as_ptr(),
            "redis store \"{name}\" ({server}): no further connection: {reason}"
        );
    }

    /// The store is down: what is in flight fails at once, and it is looked for until it is back.
    fn fell(self: &Rc<Self>, error: &StoreError, reason: &str) {
        self.losses.set(0);
        self.health.down(reason);
        let connections = self.connections.take();
        for connection in connections {
            connection.end(End::Down(error.clone(), reason.to_owned()));
        }
        let waiting = self.large.borrow_mut().expired(u64::MAX);
        large::fail(waiting, error);
        let node = Rc::downgrade(self);
        // Cancelable: a worker that shuts down doesn't wait for a store that is away.
        let timer = self
            .reconnect
            .get_or_init(|| Timer::new(true, move || probe(&node)));
        if !timer.is_armed() {
            timer.arm(self.health.delay());
        }
    }
}

impl ConnectionOwner for Node {
    fn established(&self, address: &SocketAddress) {
        let mut addresses = self.addresses.borrow_mut();
        if let Some(place) = addresses.iter().position(|known| known == address) {
            addresses.swap(0, place);
        }
        self.health.up();
    }

    fn replied(&self, replied: Replied) {
        self.losses.set(0);
        match replied {
            Replied::Found(size) => {
                let average = self.average.get();
                self.average.set(average - average / 8 + size / 8);
                self.health.accepted(Kind::Lookup);
            }
            Replied::Changed(kind) => self.health.accepted(kind),
            Replied::Refused(kind, words) => self.health.refused(kind, words),
            _ => {}
        }
    }

    fn learn(&self, key: &Bytes, size: usize) {
        let mut large = self.large.borrow_mut();
        if size > LARGE || !large.is_empty() {
            large.learn(key, size > LARGE);
        }
    }

    fn expire(&self, time: u64) {
        let expired = self.large.borrow_mut().expired(time);
        large::fail(expired, &StoreError::Timeout);
    }

    fn ended(self: Rc<Self>, ended: &Connection, before: State, end: &End) -> bool {
        self.connections
            .borrow_mut()
            .retain(|c| !std::ptr::eq(Rc::as_ptr(c), ended));
        let (error, reason) = match end {
            End::Down(error, reason) => (error, reason.as_str()),
            End::Closed if ended.is_owing() => {
                self.losses.set(self.losses.get() + 1);
                if self.losses.get() < LOSSES {
                    return false;
                }
                (
                    &StoreError::Unavailable,
                    "the server keeps closing connections",
                )
            }
            End::Closed | End::TooLarge | End::NoMemory | End::Unwanted | End::Leaving => {
                return false;
            }
        };
        if before != State::Established && self.serves() {
            self.cannot_grow(reason);
            return true;
        }
        self.fell(error, reason);
        false
    }
}

/// Tries to reach a store that is down.
fn probe(node: &Weak<Node>) {
    let Some(node) = node.upgrade() else { return };
    if !node.health.is_down() || !node.connections.borrow().is_empty() {
        return;
    }
    if let Err(reason) = node.open() {
        node.fell(&StoreError::Unavailable, &reason);
    }
}
