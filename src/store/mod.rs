//! The store as the cache sees it: Redis itself, a location that leads to it, or shared memory alone.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::claim::Channel;
use cache_core::record::Base;
use cache_core::report::StoreReport;

use crate::detached::Detached;
use crate::ngx::event::exact_usec;
use crate::shm::StoreState;
use crate::shm::counters::StoreCounters;
use crate::shm::process::is_alive;
use crate::store::memory::Memory;
use crate::store::redis::{
    Change, ChangeReply, Client, Found, Hearer, Mode, Purges, RecordWrite, StoreError,
};

/// The key of a record, in Redis and in the lock table.
pub mod key;

/// Reading a record: what a request looks for, and what it makes of what is found.
pub mod lookup;

/// Variants of a key, as requests select them.
pub mod variants;

/// The change that writes what the backend has said anew of a stored record.
pub mod refresh;

/// Redis over connections of our own.
pub mod redis;

/// Hot records in shared memory, before Redis.
pub mod memory;

/// A store in shared memory alone.
mod local;

/// A location of the same server as the store.
mod location;

/// Purges in the store's log.
mod purges;

/// Tasks that no request waits for.
mod background;

/// The stores that this worker knows.
pub mod registry;

pub use key::Key;
pub use local::Local;
pub use location::Location;

/// A command that is on its way already.
pub type Sent<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>>>>;

/// Where records live, for one request.
#[derive(Clone)]
pub enum Store {
    /// Over connections of our own.
    Redis(Client),
    /// By requests to a location of the same server.
    Location(Location),
    /// In shared memory alone.
    Memory(Local),
}

impl Store {
    /// Its name in the configuration, for the log.
    pub fn name(&self) -> &str {
        match self {
            Store::Redis(client) => &client.config().shown,
            Store::Location(location) => location.relay().name(),
            Store::Memory(local) => &local.config().shown,
        }
    }

    /// A name that tells it from other stores, the same in all workers.
    pub fn id(&self) -> &[u8] {
        match self {
            Store::Redis(client) => client.config().name.as_bytes(),
            Store::Location(location) => location.relay().id(),
            Store::Memory(local) => local.config().name.as_bytes(),
        }
    }

    /// What the workers share of it.
    fn state(&self) -> Option<&'static StoreState> {
        let config = match self {
            Store::Redis(client) => client.config(),
            Store::Memory(local) => local.config(),
            Store::Location(_) => return None,
        };
        config.memory?.state()
    }

    /// What is counted of it, if the workers share something of it.
    pub fn counters(&self) -> Option<&'static StoreCounters> {
        Some(&self.state()?.counters)
    }

    /// The server that has a key, if there is one and it is known.
    pub fn server_of(&self, key: &[u8]) -> Option<String> {
        match self {
            Store::Redis(client) => client.server_of(key),
            Store::Memory(_) | Store::Location(_) => None,
        }
    }

    /// What operators see of it.
    pub fn report(&self) -> StoreReport {
        let names = match self {
            Store::Redis(client) => client.names_in_memory(),
            Store::Memory(_) | Store::Location(_) => Vec::new(),
        };
        let (mode, nodes) = match self {
            Store::Redis(client) => {
                let mode = match client.config().mode {
                    Mode::Standalone => "standalone",
                    Mode::Sentinel(_) => "sentinel",
                    Mode::Cluster => "cluster",
                };
                (mode, client.nodes())
            }
            Store::Memory(_) => (StoreReport::MEMORY, Vec::new()),
            Store::Location(_) => ("location", Vec::new()),
        };
        StoreReport {
            name: self.name().to_owned(),
            mode,
            counts: self.counters().map(|it| it.read()).unwrap_or_default(),
            connections: self.state().map_or(0, |it| it.connections.total(is_alive)),
            nodes,
            memory: self.memory().map(|memory| memory.report(&names)),
        }
    }

    /// False while the store, or the server that has this key, is known to be down and no memory carries on alone: every
    /// command fails at once.
    pub fn available(&self, key: &[u8]) -> bool {
        match self {
            Store::Redis(client) => client.available(key) || self.is_alone(key),
            Store::Location(location) => location.relay().available(),
            Store::Memory(local) => local.memory().is_some(),
        }
    }

    /// Whether the server of this key is known to be down, and the memory tier carries on alone with it.
    pub fn is_alone(&self, key: &[u8]) -> bool {
        matches!(self, Store::Redis(client) if client.alone(key).is_some())
    }

    /// The same store for requests that its memory tier has no part in.
    pub fn without_memory(self) -> Store {
        match self {
            Store::Redis(client) => Store::Redis(client.without_memory()),
            store => store,
        }
    }

    /// The same store for a fill, which may outlive its client.
    pub fn of_fill(&self, fill: &Rc<Detached>) -> Store {
        match self {
            Store::Redis(client) => Store::Redis(client.clone()),
            Store::Location(location) => Store::Location(location.of_fill(fill)),
            Store::Memory(local) => Store::Memory(local.clone()),
        }
    }

    /// Its memory tier, if it has one; of a store in shared memory alone that is all of it.
    pub fn memory(&self) -> Option<&Rc<Memory>> {
        match self {
            Store::Redis(client) => client.memory(),
            Store::Location(_) => None,
            Store::Memory(local) => local.memory(),
        }
    }

    /// What is known of its purges. `None`: it has no log of them that this nginx could read.
    pub fn purges(&self) -> Option<&Rc<Purges>> {
        match self {
            Store::Redis(client) => client.purges(),
            Store::Location(_) | Store::Memory(_) => None,
        }
    }

    /// The last number of its log of purges that is known. 0: none.
    pub fn purged(&self) -> u64 {
        match self {
            Store::Redis(client) => client.purges().map_or(0, |purges| purges.last()),
            Store::Memory(local) => local.purged(),
            Store::Location(_) => 0,
        }
    }

    /// Whether its memory is all there is of it.
    pub fn is_memory_alone(&self) -> bool {
        matches!(self, Store::Memory(_))
    }

    /// Reads a record, in one round trip. `keep`: a memory tier may keep it; `began`: the time now, in microseconds.
    ///
    /// # Errors
    ///
    /// Why there is no telling whether there is a record.
    pub async fn lookup(
        &self,
        key: &Bytes,
        (keep, began): (bool, u64),
    ) -> Result<Rc<Found>, StoreError> {
        match self {
            Store::Redis(client) => {
                let found = match keep.then(|| client.offer(key)).flatten() {
                    None => client.lookup(key, began).await,
                    // Boxed to keep the future of other lookups small.
                    Some(offer) => Box::pin(client.lookup_to_keep(key, offer)).await,
                };
                found.or_else(|error| found_alone(client, key, error))
            }
            // Boxed to keep the future of a lookup in Redis small.
            Store::Location(location) => Box::pin(location.lookup(key)).await,
            Store::Memory(local) => local.lookup(key),
        }
    }

    /// Writes a record together with its expiry, or nothing. Gives the key as it is if nothing was written because its
    /// variants have changed.
    ///
    /// # Errors
    ///
    /// Why it isn't known to be written.
    pub async fn store(&self, record: RecordWrite) -> Result<Option<Base>, StoreError> {
        if record.expiry == 0 {
            return Err(StoreError::Refused("a record that expires at once".into()));
        }
        match self.change(Change::Write(record)).await {
            Ok(ChangeReply::Done) => Ok(None),
            Ok(ChangeReply::Variants(base)) => Ok(Some(base)),
            // There is no key without expiry, but no record either.
            Ok(ChangeReply::Nothing) => Err(StoreError::Refused("EXPIRE found no key".into())),
            Ok(ChangeReply::Invalidated) => Err(StoreError::Invalidated),
            Ok(ChangeReply::ClaimLost) => Err(StoreError::ClaimLost),
            Ok(_) => Err(StoreError::Protocol),
            Err(error) => Err(error),
        }
    }

    /// Reads the token of a key's fence, for a fill that is about to ask the backend. `None`: there is none, or it isn't
    /// known.
    pub async fn read_fence(&self, key: &Bytes) -> Option<Bytes> {
        if self.is_memory_alone() || !self.available(key) || self.is_alone(key) {
            return None;
        }
        self.hear();
        match self.change(Change::ReadFence(key.clone())).await {
            Ok(ChangeReply::Fence(token)) => token,
            _ => None,
        }
    }

    /// Has somebody of this nginx hear from now on of what other machines invalidate.
    pub fn hear(&self) {
        if let Store::Redis(client) = self {
            client.hear();
        }
    }

    /// Hears what becomes of the fills of the lease of this name. A location tells nothing: those who wait ask by themselves.
    pub fn hear_outcomes(&self, lease: &[u8]) -> Option<Hearer> {
        match self {
            Store::Redis(client) => Some(client.hear_outcomes(Channel::of(lease))),
            Store::Location(_) | Store::Memory(_) => None,
        }
    }

    /// Whether fills are claimed here: other machines may share the store, and it isn't known to be in trouble.
    pub fn takes_claims(&self, key: &[u8]) -> bool {
        !self.is_memory_alone() && self.available(key) && !self.is_alone(key)
    }

    /// Changes what is stored. The caller may be gone when it is done. The command is on its way when this
    /// returns.
    pub fn change(&self, change: Change) -> Sent<ChangeReply> {
        match self {
            Store::Redis(client) => match client.alone(change.key()) {
                Some(own) if leaves_a_record(&change) => {
                    Box::pin(ready(local::apply(&own, &change)))
                }
                // What is deleted in memory is there still in the server, and its caller is to know.
                _ => Box::pin(client.change(change)),
            },
            Store::Location(location) => Box::pin(location.change(change)),
            // Done when this returns, as others are on their way.
            Store::Memory(local) => Box::pin(ready(local.change(&change))),
        }
    }

    /// Reads a record. The caller may be gone when it comes.
    pub fn lookup_detached(&self, key: &Bytes) -> Sent<Rc<Found>> {
        match self {
            Store::Redis(client) => {
                let (client, key) = (client.clone(), key.clone());
                Box::pin(async move {
                    let found = client.lookup(&key, exact_usec()).await;
                    found.or_else(|error| found_alone(&client, &key, error))
                })
            }
            Store::Location(location) => Box::pin(location.lookup(key)),
            Store::Memory(local) => Box::pin(ready(local.lookup(key))),
        }
    }
}

/// What the memory tier has of a key, if the lookup has failed because the server is down, or its cluster.
fn found_alone(client: &Client, key: &Bytes, error: StoreError) -> Result<Rc<Found>, StoreError> {
    client.heed(key, &error);
    match client.alone(key) {
        Some(own) if error.is_down() || error.is_cluster_down() => Ok(local::lookup(&own, key)),
        _ => Err(error),
    }
}

/// Whether there is a record behind a change. If not, it takes one away.
fn leaves_a_record(change: &Change) -> bool {
    match change {
        Change::Write(_) => true,
        Change::Refresh(refresh) => refresh.expiry > 0,
        Change::Delete(_)
        | Change::Invalidate(..)
        | Change::SetFence(..)
        | Change::ReadFence(_)
        | Change::Purges(_)
        | Change::Claim(_)
        | Change::Extend(..)
        | Change::Release(_)
        | Change::Forget(..) => false,
    }
}
