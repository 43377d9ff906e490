//! Records of which the memory has the truth: those of a store without servers, and those of a server that is down.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::record::Kept;
use tier::{Facts, Node, Ticket, Tier};

use super::{Entry, Memory};
use crate::ngx::event::exact_msec;

/// The records, as those see them who change them.
pub struct Own<'a> {
    memory: &'a Memory,
    /// The server that is down, and its name.
    server: Option<(Node, u64)>,
}

/// A key as it was when a change of it began.
pub struct Expected {
    hash: u128,
    ticket: Ticket,
    /// Until when what is written may be served, in milliseconds.
    until: u64,
}

/// What came of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is done.
    Done,
    /// The key has changed since.
    Late,
    /// The record is larger than is kept.
    TooLarge,
    /// No room is to be had now.
    NoRoom,
}

impl<'a> Own<'a> {
    /// Those of a store without servers.
    pub fn without_servers(memory: &'a Memory) -> Own<'a> {
        Own {
            memory,
            server: None,
        }
    }

    /// Those of the server of this name in shared memory, which is down. `None` if there is no place left for it: then nothing
    /// could make them void when it is back.
    pub fn of_server(memory: &'a Memory, name: u64) -> Option<Own<'a>> {
        let node = memory.records.index().node_at(name, exact_msec());
        (node != Node::NONE).then_some(Own {
            memory,
            server: Some((node, name)),
        })
    }

    /// The record of a key.
    pub fn look(&self, key: &Bytes) -> Option<Rc<Entry>> {
        self.memory
            .look(key, exact_msec(), || self.server.is_some())
    }

    /// Asked before a change reads what it is to replace.
    pub fn expect(&self, key: &[u8]) -> Expected {
        let hash = self.memory.hash(key);
        let node = self.server.map_or(Node::NONE, |(node, _)| node);
        let ticket = self.memory.records.index().ticket(hash, node);
        let until = match self.server {
            Some(_) => exact_msec().saturating_add(self.memory.config.alone),
            None => u64::MAX,
        };
        Expected {
            hash,
            ticket,
            until,
        }
    }

    /// The same for a copy of what there is: it is served no longer than that.
    pub fn expect_copy(&self, expected: Expected, of: &Entry) -> Expected {
        if self.server.is_none() {
            return expected;
        }
        let alone = self.memory.config.alone;
        let until = self.memory.records.index().alone_until(of.handle(), alone);
        Expected {
            until: until.min(expected.until),
            ..expected
        }
    }

    /// Writes a record that is good until then (milliseconds), if its key is as it was expected.
    pub fn write(&self, expected: Expected, expiry: u64, record: &Kept, body: &[Bytes]) -> Written {
        let (memory, config) = (self.memory, &self.memory.config);
        let length: usize = body.iter().map(Bytes::len).sum();
        let head = record.encode();
        let Some(head) = head.filter(|head| head.len() + length <= config.max_object) else {
            return Written::TooLarge;
        };
        let Expected {
            hash,
            ticket,
            until,
        } = expected;
        let index = memory.records.index();
        if self
            .server
            .is_some_and(|(node, name)| !index.is_node_of(node, name))
        {
            // Another server has its place.
            return Written::Late;
        }
        let facts = Facts {
            expiry: expiry.min(until),
            free: self.server.is_none(),
            alone: self.server.is_some(),
            meta: expiry,
        };
        let mut pieces = vec![head.as_slice()];
        pieces.extend(body.iter().map(|piece| &piece[..]));
        let kept = memory
            .records
            .keep(hash, ticket, facts, &pieces, Tier::replace);
        match kept {
            Some(true) => Written::Done,
            Some(false) => Written::Late,
            None => Written::NoRoom,
        }
    }

    /// What there is of a key is worthless.
    pub fn invalidate(&self, key: &[u8]) {
        self.memory.invalidate(key);
    }
}
