//! How a connection receives: what is there is read, and each whole reply goes to the command that is owed it.

use cache_core::resp::{self, ProtocolError, Push, Reply};

use super::end::End;
use super::{Connection, State};
use crate::ngx::event::now_msec;
use crate::ngx::peer::Received;
use crate::store::redis::error::StoreError;
use crate::store::redis::protocol::command::Step;
use crate::store::redis::protocol::pending::{Pending, Replied};

/// How many bytes are read before other connections have their turn.
const BUDGET: usize = 256 << 10;

impl Connection {
    /// Reads what there is, and hands each whole reply to its command.
    pub fn on_readable(&self) {
        if self.state.get() == State::Connecting {
            return;
        }
        let mut taken = 0;
        loop {
            let received = match self.input.borrow_mut().room() {
                Some(room) => self.peer.receive(room),
                None => return self.end(End::NoMemory),
            };
            match received {
                Ok(Received::Bytes(n)) => {
                    taken += n;
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
            if taken >= BUDGET {
                return self.peer.read_later();
            }
        }
    }

    fn decode(&self) {
        if self.is_greeted_by_tls() {
            let what =
                "the server speaks TLS at this port; add \"tls on\", or use a port without TLS";
            return self.end(End::Down(StoreError::Unavailable, what.to_owned()));
        }
        while self.state.get() != State::Closed {
            let received = {
                let mut input = self.input.borrow_mut();
                if input.is_empty() {
                    return;
                }
                if let Some(first) = self.pending.borrow().front() {
                    input.set_limits(first.limits());
                }
                input.receive()
            };
            match received {
                Ok(Some(resp::Received::Reply(reply))) => self.on_reply(reply),
                Ok(Some(resp::Received::Push(push))) => self.on_push(push),
                Ok(None) => return,
                Err(ProtocolError::BulkTooLong) => return self.end(End::TooLarge),
                Err(error) => return self.nonsense(&error.to_string()),
            }
        }
    }

    /// Whether a server answers the greeting as one does that expects TLS.
    fn is_greeted_by_tls(&self) -> bool {
        self.state.get() == State::Greeting && self.input.borrow().is_tls_alert()
    }

    /// What a server sends unasked is skipped where nobody has asked for such.
    fn on_push(&self, push: Push) {
        // Taken out: who hears it may close the connection.
        let feed = {
            let mut pending = self.pending.borrow_mut();
            match pending.front() {
                Some(Pending::Feed(..)) => pending.pop_front(),
                _ => None,
            }
        };
        let Some(Pending::Feed(limits, heard)) = feed else {
            return;
        };
        heard(Some(resp::Received::Push(push)));
        if self.state.get() != State::Closed {
            let feed = Pending::Feed(limits, heard);
            self.pending.borrow_mut().push_front(feed);
        }
    }

    fn on_reply(&self, reply: Reply) {
        let (pending, reply) = {
            let mut all = self.pending.borrow_mut();
            let reply = match all.front_mut() {
                Some(first) => first.take_first(reply),
                None => Some(reply),
            };
            match reply {
                Some(reply) => (all.pop_front(), reply),
                None => return,
            }
        };
        let Some(pending) = pending else {
            return self.nonsense("a reply to no command");
        };
        let (command, lookup) = (pending.is_command(), pending.is_lookup());
        let large = pending.is_large();
        let replied = pending.take(reply, self.heard_as.get());
        if command
            && !matches!(
                replied,
                Replied::More(_) | Replied::Down(..) | Replied::Nonsense(_)
            )
        {
            self.settle();
            self.large
                .set(self.large.get().saturating_sub(usize::from(large)));
            if lookup {
                let size = match replied {
                    Replied::Found(size) => size,
                    _ => 0,
                };
                self.learn(size);
                self.go_on();
            }
        }
        match replied {
            Replied::Step(Step::Ping) => self.establish(),
            Replied::Step(_) => {}
            // Who hears a feed may have closed the connection.
            Replied::More(_) if self.state.get() == State::Closed => {}
            Replied::More(pending) => self.pending.borrow_mut().push_front(pending),
            Replied::Down(pending, words) => {
                self.pending.borrow_mut().push_front(pending);
                self.end(End::Down(StoreError::Unavailable, words));
            }
            Replied::Nonsense(pending) => {
                self.pending.borrow_mut().push_front(pending);
                self.nonsense("a reply that doesn't fit its command");
            }
            told => {
                if let Some(owner) = self.owner.upgrade() {
                    owner.replied(told);
                }
            }
        }
        self.leave_if_done();
    }

    /// The oldest lookup has a reply of so many bytes.
    pub fn learn(&self, size: usize) {
        if let (Some(owner), Some(key)) = (self.owner.upgrade(), self.lookups.borrow().oldest()) {
            owner.learn(key, size);
        }
    }

    /// A lookup has its reply: the next of its key may go.
    fn go_on(&self) {
        let next = self.lookups.borrow_mut().replied(now_msec());
        if let Some((key, promise, lookup)) = next {
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

    /// Ends the connection: the server doesn't keep to the protocol.
    fn nonsense(&self, what: &str) {
        self.end(End::Down(
            StoreError::Protocol,
            format!("invalid reply: {what}"),
        ));
    }
}
