//! One connection to Redis: commands go out together at the end of a loop iteration, replies come back in the same
//! order. What it learns it tells its owner.

mod coalescing;
mod counted;
pub mod end;
mod moving;
mod progress;
mod receiving;
mod sending;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::attempts::Next;
use cache_core::resp::{self, Limits, Reply};

use self::coalescing::CoalescedLookups;
use self::end::End;
use super::call::{Failure, LookupPromise, Promise, WaitingLookup, stopped};
use super::change::{Change, ChangeReply};
use super::config::{SocketAddress, StoreConfig};
use super::error::{StoreError, reason};
use super::pace::Pace;
use super::protocol::command;
use super::protocol::input::Input;
use super::protocol::kind::Kind;
use super::protocol::output::Output;
use super::protocol::pending::{Heard, Pending, Replied};
use super::turn::{LARGE, Turn};
use crate::ngx::event::Posted;
use crate::ngx::peer::{Event, Owner, Peer};
use crate::ngx::shutdown::{self, ShutdownGuard};
use crate::ngx::tls::Client;
use counted::Counted;

/// What a connection tells the one that has opened it.
pub trait ConnectionOwner {
    /// The server has agreed to the greeting at this address: the connection can be used.
    fn established(self: Rc<Self>, address: &SocketAddress);

    /// What the memory tier calls the server at this address.
    fn heard_as(&self, address: &SocketAddress) -> u64;

    /// A command has its reply.
    fn replied(&self, replied: Replied);

    /// The record under this key has so many bytes.
    fn learn(&self, key: &Bytes, size: usize);

    /// Lookups that have waited since before this time, in milliseconds, have waited long enough.
    fn expire(&self, time: u64);

    /// The connection has ended, which was in state `before`. Whether its commands may try others: it never served,
    /// and they do.
    fn ended(self: Rc<Self>, ended: &Connection, before: State, end: &End) -> bool;
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The socket is being connected.
    Connecting,
    /// It says who we are; commands wait until the server has agreed, or they might run in another
    /// database or as another user.
    Greeting,
    /// Commands flow.
    Established,
    /// Done with.
    Closed,
}

/// A connection, open or on its way.
pub struct Connection {
    config: Rc<StoreConfig>,
    owner: Weak<dyn ConnectionOwner>,
    peer: Peer,
    /// The address that it is connected to, or being connected to, and those to try after it.
    addresses: RefCell<VecDeque<SocketAddress>>,
    state: Cell<State>,
    /// What the memory tier calls the server at the address where it is established.
    heard_as: Cell<u64>,
    input: RefCell<Input>,
    /// The handshake: it goes alone.
    greeting: RefCell<Output>,
    output: RefCell<Output>,
    pending: RefCell<VecDeque<Pending>>,
    lookups: RefCell<CoalescedLookups>,
    /// Commands among the pending.
    owed: Cell<usize>,
    /// Counts it while it is there.
    counted: Cell<Option<Counted>>,
    /// Lookups among them whose records were large before.
    large: Cell<usize>,
    /// Whether it is kept for large replies.
    for_large: Cell<bool>,
    /// Keeps the worker while commands are owed a reply.
    guard: RefCell<Option<ShutdownGuard>>,
    /// The last write didn't take all; the rest goes when there is room again.
    blocked: Cell<bool>,
    /// When waiting for the next read has lasted too long.
    deadline: Cell<u64>,
    /// The reply under way, or the greeting.
    reading: Pace,
    /// What is being sent since the server took no more at once.
    writing: Pace,
    flush: Posted,
    /// It leads to a former address of the server.
    retiring: Cell<bool>,
}

impl Connection {
    /// One that takes commands, and connects when it is told where: see [`Connection::dial`]. `tls`: how it is encrypted, if
    /// it is.
    pub fn new(
        config: &Rc<StoreConfig>,
        tls: Option<Rc<Client>>,
        owner: Weak<dyn ConnectionOwner>,
    ) -> Rc<Connection> {
        let connection = Rc::new_cyclic(|this: &Weak<Connection>| {
            let flush = this.clone();
            Connection {
                config: Rc::clone(config),
                owner,
                peer: Peer::new(this.clone(), tls),
                addresses: RefCell::default(),
                state: Cell::new(State::Connecting),
                heard_as: Cell::new(0),
                input: RefCell::new(Input::new()),
                greeting: RefCell::default(),
                output: RefCell::default(),
                pending: RefCell::default(),
                lookups: RefCell::default(),
                owed: Cell::new(0),
                counted: Cell::new(Counted::new(config)),
                large: Cell::new(0),
                for_large: Cell::new(false),
                guard: RefCell::default(),
                blocked: Cell::new(false),
                deadline: Cell::new(0),
                reading: Pace::default(),
                writing: Pace::default(),
                flush: Posted::new(move || {
                    if let Some(connection) = flush.upgrade() {
                        connection.flush();
                    }
                }),
                retiring: Cell::new(false),
            }
        });
        let steps = command::handshake(connection.greeting.borrow_mut().tail(), config);
        connection
            .pending
            .borrow_mut()
            .extend(steps.into_iter().map(Pending::Step));
        connection
    }

    /// Begins to connect to the first address that lets it begin.
    fn connect(&self) -> Result<(), String> {
        let mut fault = String::from("no address");
        loop {
            let address = self.addresses.borrow().front().cloned();
            let Some(address) = address else {
                return Err(fault);
            };
            match self.peer.connect(&address.sockaddr, &address.text) {
                Ok(connected) => {
                    self.peer.set_idle(self.owed.get() == 0);
                    if connected {
                        self.greet();
                    } else {
                        self.peer.arm_write(self.config.connect_timeout);
                    }
                    return Ok(());
                }
                Err(error) => fault = reason(&error),
            }
            self.addresses.borrow_mut().pop_front();
        }
    }

    /// The address under way has failed for this reason: the next is tried.
    fn connect_elsewhere(&self, fault: &str) {
        self.addresses.borrow_mut().pop_front();
        if self.addresses.borrow().is_empty() {
            self.end(End::Down(StoreError::Unavailable, fault.to_owned()));
        } else if let Err(fault) = self.connect() {
            self.end(End::Down(StoreError::Unavailable, fault));
        }
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Whether commands wait for a reply.
    pub fn is_owing(&self) -> bool {
        self.owed.get() > 0
    }

    /// The same without those for the log of purges, which go beside others; one at least if there is any.
    pub fn owed_alone(&self) -> usize {
        let pending = self.pending.borrow();
        let alone = pending
            .iter()
            .filter(|it| it.is_command() && !it.is_of_purges());
        alone.count().max(self.owed().min(1))
    }

    /// How many commands wait for a reply.
    pub fn owed(&self) -> usize {
        self.owed.get()
    }

    /// Keeps it for large replies.
    pub fn set_for_large(&self, large: bool) {
        self.for_large.set(large);
    }

    /// Whether it is kept for large replies.
    pub fn is_for_large(&self) -> bool {
        self.for_large.get()
    }

    /// How many bytes are ahead of a new command, if replies to lookups have `average` bytes.
    pub fn load(&self, average: usize) -> usize {
        let large = self.large.get().saturating_mul(LARGE);
        let replies = self.owed.get().saturating_mul(average) + large;
        self.output.borrow().len() + self.input.borrow().missing() + replies
    }

    /// A lookup of this key to share: its reply is as new as the reply to another would be.
    pub fn join(&self, key: &Bytes) -> Option<WaitingLookup> {
        // A connection that can't send at once would have callers wait longer.
        if self.blocked.get() || self.retiring.get() {
            return None;
        }
        self.lookups.borrow_mut().join(key)
    }

    /// Takes a lookup, which others may share for a while.
    pub fn lookup(
        &self,
        key: &Bytes,
        promise: LookupPromise,
        lookup: WaitingLookup,
        turn: Option<Turn>,
    ) {
        self.large
            .set(self.large.get() + usize::from(turn.is_some()));
        command::lookup(self.output.borrow_mut().tail(), key);
        self.lookups.borrow_mut().add(key.clone(), lookup);
        self.queue(Pending::lookup(promise, turn));
    }

    /// Takes a lookup that an ASK has redirected to this server. Later callers don't share it: the redirection is
    /// for one command.
    pub fn lookup_asking(&self, key: &Bytes, promise: LookupPromise, lookup: WaitingLookup) {
        command::lookup_asking(self.output.borrow_mut().tail(), key);
        let mut lookups = self.lookups.borrow_mut();
        lookups.add(key.clone(), lookup);
        lookups.close();
        drop(lookups);
        self.queue(Pending::lookup_asking(promise));
    }

    /// Takes a change, which is told on a channel if there is one. `asking`: an ASK has redirected it to this server.
    pub fn change(
        &self,
        change: Change,
        channel: Option<&Bytes>,
        promise: Promise<ChangeReply>,
        asking: bool,
    ) {
        let kind = Kind::of(&change);
        if change.concerns_record() {
            // A later request must see the change, so it can't share an earlier lookup.
            self.lookups.borrow_mut().close();
        }
        let mut output = self.output.borrow_mut();
        if asking {
            command::asking(output.tail());
            self.pending.borrow_mut().push_back(Pending::Asking);
        }
        command::change(&mut output, change, channel);
        drop(output);
        self.queue(Pending::Change(kind, promise));
    }

    /// Takes a question about the server itself.
    pub fn ask(&self, question: &[&[u8]], limits: Limits, promise: Promise<Reply>) {
        resp::command(self.output.borrow_mut().tail(), question);
        self.queue(Pending::Question(limits, promise));
    }

    /// Subscribes to channels, to each alone: a user may lack the right to one of them. From now on each reply is for
    /// `heard`, and no command is taken but by [`Connection::say`].
    pub fn subscribe(&self, channels: &[&[u8]], limits: Limits, heard: Heard) {
        for channel in channels {
            resp::command(self.output.borrow_mut().tail(), &[b"SUBSCRIBE", channel]);
        }
        self.feed(limits, heard);
    }

    /// Keeps the connection for what comes on it: each reply and each push is for `heard`, and no command is taken but by
    /// [`Connection::say`].
    pub fn feed(&self, limits: Limits, heard: Heard) {
        // Nothing is owed: what comes comes when there is news.
        self.pending
            .borrow_mut()
            .push_back(Pending::Feed(limits, heard));
        self.send_soon();
    }

    /// Sends a command on a connection that is kept as a feed. What comes of it is heard.
    pub fn say(&self, words: &[&[u8]]) {
        resp::command(self.output.borrow_mut().tail(), words);
        self.send_soon();
    }

    fn queue(&self, pending: Pending) {
        self.pending.borrow_mut().push_back(pending);
        if self.owed.replace(self.owed.get() + 1) == 0 {
            self.guard.replace(Some(shutdown::delay()));
            self.peer.set_idle(false);
            self.reading.restart();
            self.await_reply();
        }
        self.send_soon();
    }

    fn send_soon(&self) {
        if self.state.get() == State::Established && !self.blocked.get() {
            self.flush.post();
        }
    }

    /// The socket is connected.
    fn greet(&self) {
        self.state.set(State::Greeting);
        self.peer.disarm_write();
        self.reading.restart();
        self.await_reply();
        self.flush.post();
    }

    fn on_writable(&self) {
        if self.state.get() == State::Connecting {
            match self.peer.outcome() {
                Ok(()) => self.greet(),
                Err(error) => self.connect_elsewhere(&reason(&error)),
            }
        } else if self.blocked.get() {
            self.flush();
        }
    }

    /// The server has agreed to all steps.
    fn establish(&self) {
        self.state.set(State::Established);
        self.flush.post();
        let address = self.addresses.borrow().front().cloned();
        if let (Some(owner), Some(address)) = (self.owner.upgrade(), address) {
            self.heard_as.set(owner.heard_as(&address));
            owner.established(&address);
        }
    }

    /// Closes the connection; all that waits for a reply fails at once.
    pub fn end(&self, end: End) {
        let before = self.state.replace(State::Closed);
        if before == State::Closed {
            return;
        }
        self.peer.close();
        drop(self.counted.take());
        let end = match end {
            // One that never served tells that the store is in trouble, as does one that fails.
            end if before != State::Established => end.of_greeting(self.peer.is_encrypted()),
            end => end,
        };
        let owner = self.owner.upgrade();
        let others = owner.is_some_and(|owner| owner.ended(self, before, &end));
        let mut pending = self.pending.take();
        self.owed.set(0);
        self.large.set(0);
        let lost = match end {
            End::TooLarge => Some(StoreError::TooLarge),
            End::NoMemory => Some(StoreError::NoMemory),
            End::Paused => Some(StoreError::Timeout),
            _ => None,
        };
        // Closing is cheaper than reading that one reply to its end; the other commands are sent again.
        if let Some(error) = lost
            && let Some(first) = pending.pop_front()
        {
            first.fail(stopped(error));
        }
        let (error, next) = match end {
            End::Closed | End::TooLarge | End::NoMemory | End::Paused => {
                (StoreError::Closed, Next::Again)
            }
            End::Unwanted | End::Moved => (StoreError::Closed, Next::AgainFree),
            End::Leaving => (StoreError::Leaving, Next::Stop),
            End::Down(..) if others => (StoreError::Closed, Next::Again),
            End::Down(error, _) => (error, Next::Refresh),
        };
        let failure = Failure {
            error,
            next,
            // Before that it was never sent.
            unsure: before == State::Established,
        };
        for command in pending {
            command.fail(failure.clone());
        }
        self.lookups.borrow_mut().fail(&failure);
        self.guard.replace(None);
    }
}

impl Owner for Connection {
    fn on_event(&self, event: Event) {
        match event {
            Event::Readable => self.on_readable(),
            Event::Writable => self.on_writable(),
            Event::ReadTimer => self.on_read_timer(),
            Event::WriteTimer => self.on_write_timer(),
            Event::Closing => {
                shutdown::time_out();
                self.end(End::Leaving);
            }
        }
    }
}
