//! What a server's connections tell it.

use std::rc::Rc;

use bytes::Bytes;
use cache_core::breaker::Blame;

use super::{Node, advice, large};
use crate::store::redis::config::SocketAddress;
use crate::store::redis::connection::end::End;
use crate::store::redis::connection::{Connection, ConnectionOwner, State};
use crate::store::redis::error::StoreError;
use crate::store::redis::protocol::kind::Kind;
use crate::store::redis::protocol::pending::Replied;
use crate::store::redis::turn::LARGE;

/// How often in a row an established connection may be closed while it owes replies: enough for an
/// operator who kills all of them. A server that closes more accepts connections but serves nobody.
const LOSSES: usize = 4;

impl ConnectionOwner for Node {
    fn established(self: Rc<Self>, address: &SocketAddress) {
        let mut addresses = self.addresses.borrow_mut();
        if let Some(place) = addresses.iter().position(|known| known == address) {
            addresses.swap(0, place);
        } else if let Some(names) = &self.names {
            names.follow_later();
        }
        drop(addresses);
        self.name_anew();
        self.end_probe(None);
        if !self.is_known.replace(true) && self.breaker.is_first() {
            advice::warn_of_no_eviction(&self);
        }
    }

    fn heard_as(&self, address: &SocketAddress) -> u64 {
        self.server.heard_as(Some(address))
    }

    fn replied(&self, replied: Replied) {
        self.losses.set(0);
        match replied {
            Replied::Found(size) => {
                let average = self.average.get();
                self.average.set(average - average / 8 + size / 8);
                self.health.accepted(Kind::Lookup);
            }
            Replied::Changed(kind) => {
                self.written(kind, Blame::Nobody);
                self.health.accepted(kind);
            }
            Replied::Refused(kind, words) => {
                self.written(kind, Blame::of_reply(words.as_bytes()));
                self.health.refused(kind, words);
            }
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
        let owed = ended.owed();
        self.freed();
        let (error, reason) = match end {
            End::Down(error, reason) => (error, reason.as_str()),
            End::Paused => {
                self.written(Kind::Write, Blame::Writes);
                self.health
                    .refused(Kind::Write, String::from("no reply within read_timeout"));
                return true;
            }
            End::Closed if owed > 0 => {
                self.losses.set(self.losses.get() + 1);
                if self.losses.get() < LOSSES {
                    return false;
                }
                (
                    &StoreError::Unavailable,
                    "the server keeps closing connections",
                )
            }
            End::Closed
            | End::TooLarge
            | End::NoMemory
            | End::Unwanted
            | End::Moved
            | End::Leaving => return false,
        };
        if before != State::Established && self.serves() {
            self.cannot_grow(reason);
            return true;
        }
        if self.probe.get().is_some() && before != State::Established {
            self.end_probe(Some(reason));
        } else if *error == StoreError::Timeout {
            self.time_out(ended.owed_alone(), reason);
        } else {
            self.trip(error, reason);
        }
        false
    }
}
