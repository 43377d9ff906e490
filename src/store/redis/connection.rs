//! One connection to Redis: commands go out together at the end of a loop iteration, replies come
//! back in the same order.

mod progress;
mod sending;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use bytes::Bytes;
use cache_core::resp::{ProtocolError, Reply};

use super::asked::{Asked, Lookup};
use super::client::{Change, Changed, Found, StoreConfig};
use super::command::{self, Step};
use super::error::{End, StoreError, reason};
use super::input::Input;
use super::large::{LARGE, Turn};
use super::output::Output;
use super::pace::Pace;
use super::pending::{Answer, Failure, Kind, Pending, Promise, Retry};
use super::pool::Pool;
use crate::ngx::event::{Posted, now_msec};
use crate::ngx::peer::{Event, Owner, Peer, Received};
use crate::ngx::shutdown::{self, ShutdownGuard};

/// After so many bytes others have their turn.
const TURN: usize = 256 << 10;

/// A reply that nobody wants any more is read to its end if less than this is missing. Beyond it a new connection costs
/// less.
const UNWANTED: usize = 256 << 10;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
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
pub(super) struct Connection {
    config: Rc<StoreConfig>,
    pool: Weak<Pool>,
    peer: Peer,
    state: Cell<State>,
    input: RefCell<Input>,
    /// The handshake: it goes alone.
    greeting: RefCell<Output>,
    output: RefCell<Output>,
    pending: RefCell<VecDeque<Pending>>,
    /// What is asked meanwhile, for who asks for the same.
    asked: RefCell<Asked>,
    /// Commands among the pending.
    owed: Cell<usize>,
    /// Those of them whose replies were large before.
    large: Cell<usize>,
    /// Whether it is kept for such.
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
}

impl Connection {
    /// Begins to connect.
    ///
    /// # Errors
    ///
    /// The reason why the server can't be reached.
    pub(super) fn open(
        config: &Rc<StoreConfig>,
        pool: Weak<Pool>,
    ) -> Result<Rc<Connection>, String> {
        let connection = Rc::new_cyclic(|this: &Weak<Connection>| {
            let flush = this.clone();
            Connection {
                config: Rc::clone(config),
                pool,
                peer: Peer::new(this.clone()),
                state: Cell::new(State::Connecting),
                input: RefCell::new(Input::new()),
                greeting: RefCell::default(),
                output: RefCell::default(),
                pending: RefCell::default(),
                asked: RefCell::default(),
                owed: Cell::new(0),
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
            }
        });
        let steps = command::handshake(connection.greeting.borrow_mut().tail(), config);
        connection
            .pending
            .borrow_mut()
            .extend(steps.into_iter().map(Pending::Step));
        let server = &config.server;
        let connected = connection
            .peer
            .connect(&server.sockaddr, &server.text)
            .map_err(|e| reason(&e))?;
        if connected {
            connection.greet();
        } else {
            connection.peer.arm_write(config.connect_timeout);
        }
        Ok(connection)
    }

    /// Its state.
    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// Whether commands wait for a reply.
    pub(super) fn is_owing(&self) -> bool {
        self.owed.get() > 0
    }

    /// Keeps it for large replies.
    pub(super) fn set_for_large(&self, large: bool) {
        self.for_large.set(large);
    }

    /// Whether it is kept for large replies.
    pub(super) fn is_for_large(&self) -> bool {
        self.for_large.get()
    }

    /// How many bytes are ahead of a new command, if replies to lookups have `average` bytes.
    pub(super) fn load(&self, average: usize) -> usize {
        let large = self.large.get().saturating_mul(LARGE);
        let replies = self.owed.get().saturating_mul(average) + large;
        self.output.borrow().len() + self.input.borrow().missing() + replies
    }

    /// A lookup of this key to share: what Redis answers is as new as the answer to another would be.
    pub(super) fn join(&self, key: &Bytes) -> Option<Lookup> {
        // One that goes slowly is no good company.
        if self.blocked.get() {
            return None;
        }
        self.asked.borrow_mut().join(key)
    }

    /// Takes a lookup, which others may share for a while.
    pub(super) fn lookup(
        &self,
        key: &Bytes,
        promise: Promise<Rc<Found>>,
        lookup: Lookup,
        turn: Option<Turn>,
    ) {
        self.large
            .set(self.large.get() + usize::from(turn.is_some()));
        command::lookup(self.output.borrow_mut().tail(), key);
        self.asked.borrow_mut().add(key.clone(), lookup);
        self.queue(Pending::lookup(promise, turn));
    }

    /// Takes a change.
    pub(super) fn change(&self, change: Change, promise: Promise<Changed>) {
        let kind = Kind::of(&change);
        // Who asks from now on sees the change, so it isn't to share what was asked before.
        self.asked.borrow_mut().close();
        command::change(&mut self.output.borrow_mut(), change);
        self.queue(Pending::Change(kind, promise));
    }

    fn queue(&self, pending: Pending) {
        self.pending.borrow_mut().push_back(pending);
        if self.owed.replace(self.owed.get() + 1) == 0 {
            self.guard.replace(Some(shutdown::delay()));
            self.peer.set_idle(false);
            self.reading.restart();
            self.await_reply();
        }
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
                Err(error) => self.end(End::Down(StoreError::Unavailable, reason(&error))),
            }
        } else if self.blocked.get() {
            self.flush();
        }
    }

    fn on_readable(&self) {
        if self.state.get() == State::Connecting {
            return;
        }
        let mut turn = 0;
        loop {
            let received = match self.input.borrow_mut().room() {
                Some(room) => self.peer.receive(room),
                None => return self.end(End::NoMemory),
            };
            match received {
                Ok(Received::Bytes(n)) => {
                    turn += n;
                    self.reading.moved(n);
                    self.await_reply();
                }
                Ok(Received::Nothing) => return,
                Ok(Received::End) => return self.end(End::Closed),
                Err(error) => return self.end(End::of(&error)),
            }
            self.decode();
            self.check_progress();
            if self.state.get() == State::Closed || !self.peer.is_readable() {
                return;
            }
            if turn >= TURN {
                return self.peer.read_later();
            }
        }
    }

    fn decode(&self) {
        while self.state.get() != State::Closed {
            let reply = self.input.borrow_mut().reply();
            match reply {
                Ok(Some(reply)) => self.on_reply(reply),
                Ok(None) => return,
                Err(ProtocolError::BulkTooLong) => return self.end(End::TooLarge),
                Err(error) => return self.nonsense(&error.to_string()),
            }
        }
    }

    fn on_reply(&self, reply: Reply) {
        let pending = self.pending.borrow_mut().pop_front();
        let Some(pending) = pending else {
            return self.nonsense("a reply to no command");
        };
        let (command, lookup) = (pending.is_command(), pending.is_lookup());
        let large = pending.is_large();
        let answer = pending.answer(reply);
        if command
            && !matches!(
                answer,
                Answer::More(_) | Answer::Down(..) | Answer::Nonsense(_)
            )
        {
            self.settle();
            self.large
                .set(self.large.get().saturating_sub(usize::from(large)));
            if lookup {
                let size = match answer {
                    Answer::Found(size) => size,
                    _ => 0,
                };
                self.learn(size);
                self.go_on();
            }
        }
        match answer {
            Answer::Step(Step::Ping) => self.establish(),
            Answer::Step(_) => {}
            Answer::More(pending) => self.pending.borrow_mut().push_front(pending),
            Answer::Down(pending, words) => {
                self.pending.borrow_mut().push_front(pending);
                self.end(End::Down(StoreError::Unavailable, words));
            }
            Answer::Nonsense(pending) => {
                self.pending.borrow_mut().push_front(pending);
                self.nonsense("a reply that doesn't fit its command");
            }
            told => {
                if let Some(pool) = self.pool.upgrade() {
                    pool.answered(told);
                }
            }
        }
    }

    /// The oldest lookup has a reply of so many bytes.
    fn learn(&self, size: usize) {
        if let (Some(pool), Some(key)) = (self.pool.upgrade(), self.asked.borrow().oldest()) {
            pool.learn(key, size);
        }
    }

    /// A lookup was answered: the next of its key may go.
    fn go_on(&self) {
        let held = self.asked.borrow_mut().answered(now_msec());
        if let Some((key, promise, lookup)) = held {
            self.lookup(&key, promise, lookup, None);
        }
    }

    /// One command less is owed a reply.
    fn settle(&self) {
        let owed = self.owed.get().saturating_sub(1);
        self.owed.set(owed);
        self.reading.restart();
        if owed == 0 {
            self.peer.set_idle(true);
            self.guard.replace(None);
        }
    }

    /// The server has agreed to all steps.
    fn establish(&self) {
        self.state.set(State::Established);
        self.flush.post();
        if let Some(pool) = self.pool.upgrade() {
            pool.established();
        }
    }

    fn nonsense(&self, what: &str) {
        self.end(End::Down(
            StoreError::Protocol,
            format!("invalid reply: {what}"),
        ));
    }

    /// Closes the connection; all that waits for a reply fails at once.
    pub(super) fn end(&self, end: End) {
        let before = self.state.replace(State::Closed);
        if before == State::Closed {
            return;
        }
        self.peer.close();
        let end = match end {
            // One that never served tells that the store is in trouble, as does one that fails.
            end if before != State::Established => end.of_greeting(),
            end => end,
        };
        let pool = self.pool.upgrade();
        let others = pool.is_some_and(|pool| pool.ended(self, before, &end));
        let mut pending = self.pending.take();
        self.owed.set(0);
        self.large.set(0);
        let lost = match end {
            End::TooLarge => Some(StoreError::TooLarge),
            End::NoMemory => Some(StoreError::NoMemory),
            _ => None,
        };
        // Closing is cheaper than reading that one reply to its end; the others are asked for again.
        if let Some(error) = lost
            && let Some(first) = pending.pop_front()
        {
            first.fail(error, Retry::No);
        }
        let (error, retry) = match end {
            End::Closed | End::TooLarge | End::NoMemory => (StoreError::Closed, Retry::Counted),
            End::Unwanted => (StoreError::Closed, Retry::Free),
            End::Leaving => (StoreError::Leaving, Retry::No),
            End::Down(..) if others => (StoreError::Closed, Retry::Counted),
            End::Down(error, _) => (error, Retry::No),
        };
        for command in pending {
            command.fail(error.clone(), retry);
        }
        self.asked.borrow_mut().fail(&Failure { error, retry });
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
