//! How long a connection waits: for the next part of a reply, for the whole, for the beginning of a lookup's.

use super::end::End;
use super::{Connection, State};
use crate::ngx::event::now_msec;
use crate::store::redis::error::StoreError;
use crate::store::redis::pace::patience;
use crate::store::redis::protocol::pending::Pending;

/// A reply that nobody wants any more is read to its end if less than this is missing. Beyond it a new connection costs
/// less.
const UNWANTED: usize = 256 << 10;

impl Connection {
    /// A reply is owed from now on, or a part of it has come: the next is due within read_timeout, and the whole in
    /// its own time. The timer that is armed may stay: when it expires the deadline decides.
    pub fn await_reply(&self) {
        let timeout = self.config.read_timeout;
        let next = now_msec().saturating_add(timeout);
        self.deadline.set(next.min(self.reading.end(timeout)));
        if self.state.get() != State::Connecting && !self.peer.is_read_armed() {
            self.peer.arm_read(self.config.read_timeout);
        }
    }

    /// Ends the connection if the reply under way takes too long, or is large and nobody wants it any more.
    pub fn check_progress(&self) {
        if self.state.get() == State::Closed {
            return;
        }
        let missing = self.input.borrow().missing();
        if missing > UNWANTED {
            let (lookup, unwanted) = {
                let pending = self.pending.borrow();
                let first = pending.front();
                (
                    first.is_some_and(Pending::is_lookup),
                    first.is_some_and(Pending::is_unwanted),
                )
            };
            if lookup {
                self.learn(missing);
            }
            if unwanted {
                return self.end(End::Unwanted);
            }
        }
        if self.is_waiting() && self.reading.is_over(self.config.read_timeout) {
            self.too_slow("reading a reply took too long");
        }
    }

    /// Whether something is to come.
    pub fn is_waiting(&self) -> bool {
        self.owed.get() > 0 || self.state.get() == State::Greeting
    }

    /// Lookups whose replies haven't begun in time are given up. Their replies may still come: the connection delivers,
    /// and the store isn't down.
    pub fn expire(&self) {
        let time = now_msec().saturating_sub(patience(self.config.read_timeout));
        for pending in self.pending.borrow_mut().iter_mut() {
            pending.expire(time);
        }
        self.lookups.borrow_mut().expire(time);
        if let Some(owner) = self.owner.upgrade() {
            owner.expire(time);
        }
    }

    pub fn on_read_timer(&self) {
        // What is there to be read counts, even if this worker was too slow to read it in time.
        self.on_readable();
        if self.state.get() == State::Closed || !self.is_waiting() {
            return;
        }
        self.expire();
        let left = self.deadline.get().saturating_sub(now_msec());
        if left > 0 {
            self.peer.arm_read(left);
        } else if self.blocked.get() {
            // The reply can't come before the command has gone: that is send_timeout's business.
            self.peer.arm_read(self.config.read_timeout);
        } else {
            self.too_slow(if self.reading.is_over(self.config.read_timeout) {
                "reading a reply took too long"
            } else {
                "reading a reply timed out"
            });
        }
    }

    /// Ends the connection, because something took too long. Where that is the reply to a write, the server may pause
    /// writes, and serve lookups.
    pub fn too_slow(&self, what: &str) {
        let writes = self.pending.borrow().front().is_some_and(Pending::is_write);
        // A server that takes no bytes serves nobody.
        let taken = !self.blocked.get();
        if writes && taken && self.state.get() == State::Established {
            return self.end(End::Paused);
        }
        self.end(End::Down(StoreError::Timeout, what.to_owned()));
    }
}
