//! What becomes of a server that can't serve: when it counts as down, and how it is found again.

use std::rc::Rc;

use cache_core::breaker::{Access, Blame, Pass};
use cache_core::counters::NODE_DOWN;

use super::breaker::{Allowed, Probe};
use super::{Node, large};
use crate::ngx::event::Timer;
use crate::store::redis::connection::end::End;
use crate::store::redis::error::StoreError;
use crate::store::redis::protocol::kind::Kind;

/// While a server is down a worker looks after so many milliseconds whether the next probe is due. That costs no system
/// call.
const LOOK: u64 = 100;

impl Node {
    /// The server can't serve: it is down at once.
    pub(super) fn trip(self: &Rc<Self>, error: &StoreError, reason: &str) {
        self.losses.set(0);
        if self.breaker.trip() {
            self.fell(error, reason);
        }
        self.say_trouble();
    }

    /// The server hasn't replied to so many commands. Enough of them take it down.
    pub(super) fn time_out(self: &Rc<Self>, commands: usize, reason: &str) {
        if (0..commands.max(1)).any(|_| self.breaker.timed_out()) {
            self.fell(&StoreError::Timeout, reason);
        }
        self.say_trouble();
    }

    pub(super) fn say_trouble(&self) {
        self.suspect();
        if let Some(told) = self.on_trouble.get() {
            told();
        }
    }

    /// The server has gone down: what is in flight fails at once, and it is looked for until it is back.
    pub(super) fn fell(self: &Rc<Self>, error: &StoreError, reason: &str) {
        self.health.down(reason);
        if let Some(counters) = self.breaker.counters() {
            counters.add(NODE_DOWN, 1);
        }
        let connections = self.connections.take();
        for connection in connections {
            connection.end(End::Down(error.clone(), reason.to_owned()));
        }
        let waiting = self.large.borrow_mut().expired(u64::MAX);
        large::fail(waiting, error);
        self.look_again(self.config.fail_timeout);
    }

    /// A write has had its reply, or none. If it was the probe of writes, it has told enough.
    pub(super) fn written(&self, kind: Kind, blame: Blame) {
        let pass = match kind {
            Kind::Write => self.write_probe.take(),
            // It is no probe, but tells as much where it is refused.
            Kind::Claim => None,
            _ => return,
        };
        match (pass, blame) {
            (None, Blame::Nobody) => {}
            (pass, blame) => self.breaker.written(pass.unwrap_or(Pass::Go), blame),
        }
    }

    /// Looks whether a probe is due in so many milliseconds, though nobody asks for the server.
    pub(super) fn look_again(self: &Rc<Self>, millis: u64) {
        // Cancelable: a worker that shuts down doesn't wait for a store that is away.
        let timer = self
            .reconnect
            .get_or_init(|| Timer::of(Rc::downgrade(self), probe));
        if !timer.is_armed() {
            timer.arm(millis);
        }
    }

    /// Whether commands may be sent to a server that others can replace. While it is down nobody sends it any, so this
    /// sees to it that it is probed.
    pub fn is_usable(self: &Rc<Self>) -> bool {
        let usable = !self.is_down();
        if !usable {
            self.look_again(LOOK);
        }
        usable
    }

    /// Gives up what it does for all workers, for this worker's exit: another may do it.
    pub fn leave(&self) {
        self.leave_refusal();
        self.leave_probe();
    }

    /// Gives up the probe under way, for this worker's exit or the end of its connection: another may probe.
    pub(super) fn leave_probe(&self) {
        if let Some(probe) = self.probe.take() {
            self.breaker.probed(probe, false);
        }
        if let Some(pass) = self.write_probe.take() {
            self.breaker.unused(pass);
        }
    }

    /// Tries to reach the server, as the only one of this nginx.
    pub(super) fn begin_probe(self: &Rc<Self>, probe: Probe) {
        if let Some(unfinished) = self.probe.replace(Some(probe)) {
            self.breaker.probed(unfinished, false);
        }
        // What is left of the time before it went down tells nothing.
        self.close_all();
        if let Err(reason) = self.open() {
            self.end_probe(Some(&reason));
        }
    }

    /// The probe under way has ended: well, or for this reason.
    pub(super) fn end_probe(self: &Rc<Self>, fault: Option<&str>) {
        let Some(probe) = self.probe.take() else {
            return;
        };
        let is_up = self.breaker.probed(probe, fault.is_none());
        match fault {
            Some(reason) => {
                self.health.still_down(reason);
                self.look_again(LOOK);
            }
            None if is_up => self.health.up(),
            None => {}
        }
    }
}

/// Looks whether a server that is down is to be probed, by this worker.
pub(super) fn probe(node: &Rc<Node>) {
    if !node.breaker.is_down() {
        return node.health.forget();
    }
    if let Allowed::Probe(probe) = node.breaker.may(Access::Read) {
        node.begin_probe(probe);
    } else if node.probe.get().is_none() {
        node.look_again(LOOK);
    }
}
