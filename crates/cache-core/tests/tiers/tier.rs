//! A model of the memory tier that the workers of a machine share.

use std::collections::HashMap;

use cache_core::feed::Known;
use cache_core::lease::Lease;

use crate::server::Id;
use crate::worker::Draft;

/// A record, by the number of the write that it comes from.
pub type Value = u64;

/// What a worker notes before it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub node: Id,
    generation: u64,
    epoch: u64,
    store_epoch: u64,
}

/// How far an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be found by those who invalidate, and not yet by readers.
    Linked,
    Live,
    Dead,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub serial: u64,
    pub value: Value,
    pub expires: u64,
    pub ticket: Ticket,
    pub state: State,
    /// When its making began, and when it was put here.
    pub since: u64,
    pub put: u64,
    /// It was filled while its server was down.
    pub alone: bool,
}

#[derive(Clone, Copy, Default)]
struct Node {
    epoch: u64,
    ok_until: u64,
    /// The epoch and the end of the lease that was revoked last.
    heard: (u64, u64),
}

/// The shared memory of a machine.
#[derive(Default)]
pub struct Tier {
    entries: HashMap<String, Entry>,
    generations: HashMap<String, u64>,
    nodes: HashMap<Id, Node>,
    store_epoch: u64,
    serial: u64,
    /// Who runs the feeds.
    pub watch: Lease,
    /// Who is to run them next.
    pub successor: Lease,
}

impl Tier {
    fn node(&self, node: Id) -> Node {
        self.nodes.get(&node).copied().unwrap_or_default()
    }

    fn generation(&self, key: &str) -> u64 {
        self.generations.get(key).copied().unwrap_or_default()
    }

    /// What may be given, but for the lease.
    fn live(&self, key: &str, now: u64) -> Option<&Entry> {
        let live = |entry: &&Entry| entry.state == State::Live && entry.expires > now;
        self.entries.get(key).filter(live)
    }

    /// What a reader finds. `any`: also what was filled while a server was down.
    pub fn read(&self, key: &str, now: u64, any: bool) -> Option<&Entry> {
        let entry = self.live(key, now)?;
        let is_ours = match entry.alone {
            true => any,
            false => self.is_of_epoch(&entry.ticket),
        };
        (is_ours && self.node(entry.ticket.node).ok_until > now).then_some(entry)
    }

    /// What a reader finds who knows that the server is down.
    pub fn read_alone(&self, key: &str, now: u64, alone: u64) -> Option<&Entry> {
        let entry = self.live(key, now)?;
        let node = self.node(entry.ticket.node);
        let revoked = match node.heard {
            (epoch, until) if epoch == node.epoch => until,
            _ => 0,
        };
        let heard = node.ok_until.max(revoked);
        let is_held = heard > 0 && heard.saturating_add(alone) > now;
        (self.is_of_epoch(&entry.ticket) && (entry.alone || is_held)).then_some(entry)
    }

    pub fn ticket(&self, key: &str, node: Id) -> Ticket {
        Ticket {
            node,
            generation: self.generation(key),
            epoch: self.node(node).epoch,
            store_epoch: self.store_epoch,
        }
    }

    pub fn holds(&self, key: &str, ticket: &Ticket) -> bool {
        *ticket == self.ticket(key, ticket.node)
    }

    pub fn is_of_epoch(&self, ticket: &Ticket) -> bool {
        ticket.epoch == self.node(ticket.node).epoch && ticket.store_epoch == self.store_epoch
    }

    /// Puts an entry where those who invalidate find it. Its number is given back.
    pub fn link(&mut self, draft: &Draft, now: u64) -> u64 {
        self.serial += 1;
        let entry = Entry {
            serial: self.serial,
            value: draft.value,
            expires: draft.expires,
            ticket: draft.ticket,
            state: State::Linked,
            since: draft.since,
            put: now,
            alone: draft.alone,
        };
        self.entries.insert(draft.key.clone(), entry);
        self.serial
    }

    /// Lets readers find an entry, unless it was invalidated.
    pub fn enliven(&mut self, key: &str, serial: u64) {
        if let Some(entry) = self.entries.get_mut(key)
            && (entry.serial, entry.state) == (serial, State::Linked)
        {
            entry.state = State::Live;
        }
    }

    pub fn raise_generation(&mut self, key: &str) {
        *self.generations.entry(key.to_owned()).or_default() += 1;
    }

    pub fn kill(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.state = State::Dead;
        }
    }

    /// Voids what there is of a node, and its lease.
    pub fn raise_epoch(&mut self, node: Id) {
        let node = self.nodes.entry(node).or_default();
        node.epoch += 1;
        node.ok_until = 0;
    }

    pub fn epoch(&self, node: Id) -> u64 {
        self.node(node).epoch
    }

    pub fn known(&self, node: Id) -> Known {
        let Node {
            epoch, ok_until, ..
        } = self.node(node);
        Known {
            epoch,
            leased_until: ok_until,
        }
    }

    pub fn raise_all(&mut self) {
        self.store_epoch += 1;
    }

    pub fn lease(&mut self, node: Id, until: u64) {
        let node = self.nodes.entry(node).or_default();
        node.ok_until = node.ok_until.max(until);
    }

    pub fn revoke(&mut self, node: Id) {
        let node = self.nodes.entry(node).or_default();
        if node.ok_until > 0 {
            node.heard = (node.epoch, node.ok_until);
        }
        node.ok_until = 0;
    }
}
