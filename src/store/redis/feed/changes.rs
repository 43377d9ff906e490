//! Changes that a server has told of: so many are carried out in a turn of the worker, the rest in the next ones.
//!
//! Their order stays. So no lease is lengthened before the changes are carried out that were told before it, and whatever
//! waits is served for no longer than the lease that was given last.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use cache_core::feed::Effect;
use tier::Node;

use super::Right;
use crate::ngx::event::Timer;

/// Changes of one turn: about 1 ms.
const TURN: usize = 2000;

/// The pause between two turns, in milliseconds.
const PAUSE: u64 = 1;

/// Where more wait all that the server has given is made void instead.
const MOST: usize = 100_000;

/// A server in the tier.
#[derive(Clone, Copy)]
pub struct Heard {
    pub node: Node,
    /// Its name there: the node is another server's once the name differs.
    pub name: u64,
}

/// What is to be done with the tier for one server.
pub struct Changes {
    right: Rc<Right>,
    /// Whether the server is the only one of the store: then all that is kept came from it, under whatever address.
    is_sole: bool,
    waiting: RefCell<VecDeque<(Heard, Effect)>>,
    timer: OnceCell<Timer>,
}

impl Changes {
    /// None yet.
    pub fn new(right: &Rc<Right>, is_sole: bool) -> Rc<Changes> {
        let changes = Rc::new(Changes {
            right: Rc::clone(right),
            is_sole,
            waiting: RefCell::default(),
            timer: OnceCell::new(),
        });
        let timer = Timer::of(Rc::downgrade(&changes), |changes| changes.work());
        let _ = changes.timer.set(timer);
        changes
    }

    /// Takes what is to be done for a server.
    pub fn take(&self, server: Heard, effect: Effect) {
        let node = server.node;
        let index = self.right.memory.records().index();
        let mut waiting = self.waiting.borrow_mut();
        match effect {
            // All is void at once: changes that wait have nothing left to do, and leases are over.
            Effect::RaiseEpoch => {
                waiting.clear();
                self.void(node);
            }
            // Leases go on.
            Effect::RaiseAll => {
                waiting.retain(|(_, waits)| matches!(waits, Effect::Lease { .. }));
                index.wipe();
            }
            Effect::Revoke => {
                waiting.retain(|(_, waits)| !matches!(waits, Effect::Lease { .. }));
                if self.right.is_held() {
                    index.revoke(node);
                }
            }
            _ if waiting.len() >= MOST => {
                waiting.clear();
                self.void(node);
            }
            effect => waiting.push_back((server, effect)),
        }
    }

    /// All that came from the server is void.
    fn void(&self, node: Node) {
        let index = self.right.memory.records().index();
        index.raise_epoch(node);
        if self.is_sole {
            index.wipe();
        }
    }

    /// Does what is taken, as far as a turn allows. Nothing that waits for its turn is overtaken.
    pub fn go_on(&self) {
        if !self.timer.get().is_some_and(Timer::is_armed) {
            self.work();
        }
    }

    /// Another worker listens from now on.
    pub fn forget(&self) {
        self.waiting.borrow_mut().clear();
    }

    fn work(&self) {
        for _ in 0..TURN {
            let next = self.waiting.borrow_mut().pop_front();
            let Some((server, effect)) = next else { return };
            self.carry_out(server, &effect);
        }
        if !self.waiting.borrow().is_empty()
            && let Some(timer) = self.timer.get()
        {
            timer.arm(PAUSE);
        }
    }

    fn carry_out(&self, server: Heard, effect: &Effect) {
        let memory = &self.right.memory;
        match effect {
            Effect::Invalidate(key) => memory.invalidate(key),
            // Another worker may have raised the epoch since: one that listened before, and was stopped. Changes are heard
            // nevertheless. Should this worker be stopped here, the time will be over when it goes on.
            Effect::Lease { until } if self.right.is_held() => {
                let index = memory.records().index();
                // Where the place is another server's by now, its epoch is another one, too.
                let epoch = index.epoch(server.node);
                if index.is_node_of(server.node, server.name) {
                    index.lease_in(server.node, epoch, *until);
                }
            }
            _ => {}
        }
    }
}
