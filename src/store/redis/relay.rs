//! A store that is reached through a location: commands and replies as bytes, and the store's state as a worker learns
//! it from their success or failure.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::resp::{ProtocolError, Reply};

use super::call::{Waiting, call, stopped};
use super::change::{Change, ChangeReply};
use super::error::StoreError;
use super::found::Found;
use super::node::health::Health;
use super::protocol::command;
use super::protocol::input::Input;
use super::protocol::kind::Kind;
use super::protocol::output::Output;
use super::protocol::pending::{Pending, Replied};
use crate::ngx::event::now_msec;
use crate::ngx::shutdown;

/// One store behind somebody else, as one worker sees it.
pub struct Relay {
    name: String,
    id: Vec<u8>,
    health: Health,
    /// Whether somebody asks a store that is down.
    trying: Cell<bool>,
    /// A store that is down is left alone until then.
    patience: Cell<u64>,
}

impl Relay {
    /// A store that nobody has tried to reach yet. `id` tells it from other stores of the same name. `name` and
    /// `server` are for the log.
    pub fn new(name: &str, server: &str, id: Vec<u8>) -> Rc<Relay> {
        Rc::new(Relay {
            name: name.to_owned(),
            id,
            health: Health::new(name, server),
            trying: Cell::new(false),
            patience: Cell::new(0),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells it from other stores of the same name.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// False while the store is known to be down.
    pub fn available(&self) -> bool {
        !self.health.is_down()
    }

    /// The question for a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] while the store is known to be down.
    pub fn lookup(self: &Rc<Self>, key: &[u8]) -> Result<Dialog<Rc<Found>>, StoreError> {
        let attempt = self.attempt()?;
        let mut question = Vec::new();
        command::lookup(&mut question, key);
        let (promise, waiting) = call();
        Ok(Dialog {
            question: vec![Bytes::from(question)],
            replies: 2,
            input: Input::new(),
            pending: Some(Pending::lookup(promise, None)),
            waiting,
            attempt,
        })
    }

    /// The command that changes what is stored.
    ///
    /// # Errors
    ///
    /// As [`Relay::lookup`].
    pub fn change(self: &Rc<Self>, change: Change) -> Result<Dialog<ChangeReply>, StoreError> {
        let attempt = self.attempt()?;
        let kind = Kind::of(&change);
        let mut question = Output::default();
        command::change(&mut question, change, None);
        let (promise, waiting) = call();
        Ok(Dialog {
            question: question.into_pieces(),
            replies: 1,
            input: Input::new(),
            pending: Some(Pending::Change(kind, promise)),
            waiting,
            attempt,
        })
    }

    /// Lets a command go. While the store is down one goes at a time, and not at once: the others fail.
    fn attempt(self: &Rc<Self>) -> Result<Attempt, StoreError> {
        if shutdown::has_timed_out() {
            return Err(StoreError::Leaving);
        }
        let first = self.health.is_down();
        if first && (self.trying.get() || now_msec() < self.patience.get()) {
            return Err(StoreError::Unavailable);
        }
        if first {
            self.trying.set(true);
        }
        Ok(Attempt {
            relay: Rc::clone(self),
            first,
        })
    }
}

/// The right to send a command. `first`: it goes to a store that was down.
struct Attempt {
    relay: Rc<Relay>,
    first: bool,
}

impl Attempt {
    fn down(&self, reason: &str) {
        if shutdown::has_timed_out() {
            // The worker has ended the exchange: that says nothing of the store.
            return;
        }
        let relay = &self.relay;
        // Those that were under way when it went down say nothing new.
        let news = self.first || !relay.health.is_down();
        relay.health.down(reason);
        if news {
            let until = now_msec().saturating_add(relay.health.delay());
            relay.patience.set(until);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.first {
            self.relay.trying.set(false);
        }
    }
}

/// One command on its way, and its replies as they come.
pub struct Dialog<T> {
    question: Vec<Bytes>,
    replies: usize,
    input: Input,
    /// Absent once all replies have come, or none is wanted any more.
    pending: Option<Pending>,
    waiting: Waiting<T>,
    attempt: Attempt,
}

impl<T: Clone> Dialog<T> {
    /// What to send, in pieces.
    pub fn question(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.question)
    }

    /// How many replies it has.
    pub fn replies(&self) -> usize {
        self.replies
    }

    /// Takes a piece of the replies. False if what follows doesn't matter.
    pub fn take(&mut self, piece: &[u8]) -> bool {
        if !self.input.push(piece) {
            if let Some(pending) = self.pending.take() {
                pending.fail(stopped(StoreError::NoMemory));
            }
            return false;
        }
        while let Some(pending) = self.pending.take() {
            match self.input.reply() {
                Ok(Some(reply)) => self.reply(pending, reply),
                Ok(None) => {
                    self.pending = Some(pending);
                    return true;
                }
                Err(ProtocolError::BulkTooLong) => {
                    pending.fail(stopped(StoreError::TooLarge));
                    return false;
                }
                Err(error) => {
                    self.nonsense(pending, &error.to_string());
                    return false;
                }
            }
        }
        // The end may follow; anything else is none of our replies.
        self.input.is_empty()
    }

    /// What came of it, now that no more will come. `missing`: why not, should replies be missing.
    ///
    /// # Errors
    ///
    /// As those of a store with a connection of ours.
    pub async fn outcome(mut self, missing: &str) -> Result<T, StoreError> {
        if let Some(pending) = self.pending.take() {
            self.attempt.down(missing);
            let error = if shutdown::has_timed_out() {
                StoreError::Leaving
            } else {
                StoreError::Unavailable
            };
            pending.fail(stopped(error));
        }
        self.waiting.await.map_err(|failure| failure.error)
    }

    /// What came of it, now that nothing has come for too long.
    ///
    /// # Errors
    ///
    /// As [`Dialog::outcome`].
    pub async fn too_late(mut self) -> Result<T, StoreError> {
        if let Some(pending) = self.pending.take() {
            self.attempt.down("reading a reply timed out");
            pending.fail(stopped(StoreError::Timeout));
        }
        self.waiting.await.map_err(|failure| failure.error)
    }

    fn reply(&mut self, pending: Pending, reply: Reply) {
        let health = &self.attempt.relay.health;
        match pending.take(reply, 0) {
            Replied::More(pending) => self.pending = Some(pending),
            Replied::Down(pending, words) => {
                self.attempt.down(&words);
                pending.fail(stopped(StoreError::Unavailable));
            }
            Replied::Nonsense(pending) => {
                self.nonsense(pending, "a reply that doesn't fit its command");
            }
            told => {
                if health.is_down() {
                    health.up();
                }
                match told {
                    Replied::Found(_) => health.accepted(Kind::Lookup),
                    Replied::Changed(kind) => health.accepted(kind),
                    Replied::Refused(kind, words) => health.refused(kind, words),
                    _ => {}
                }
            }
        }
    }

    fn nonsense(&self, pending: Pending, what: &str) {
        self.attempt.down(&format!("invalid reply: {what}"));
        pending.fail(stopped(StoreError::Protocol));
    }
}
