//! A store as one worker sees it: to look records up in, and to change them.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::attempts::{self, Access, Command, Next, Route};
use cache_core::claim::Channel;
use cache_core::counters::{Operation, failures, store_duration};
use cache_core::record::log_of;

use super::call::{Failure, Waiting, stopped};
use super::change::{Change, ChangeReply};
use super::config::StoreConfig;
use super::counted;
use super::error::{StoreError, is_unpermitted};
use super::feed::Listener;
use super::found::Found;
use super::hearing;
use super::node::Node;
use super::outcomes::{self, Hearer};
use super::pace::patience;
use super::protocol::kind::Kind;
use super::purges::Purges;
use super::topology::Topology;
use crate::ngx::event::{exact_usec, now_msec};
use crate::shm::counters::StoreCounters;
use crate::store::memory::{Memory, Offer, Own};

mod nodes;
mod parts;
mod worthless;

pub use parts::invalidate_in_parts;
use parts::{Whole, stop_if_apart};
use worthless::Worthless;

/// A store, as one worker sees it. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    config: Rc<StoreConfig>,
    memory: Option<Rc<Memory>>,
    listener: Option<Rc<Listener>>,
    topology: Rc<Topology>,
    /// What is known of its purges. `None`: it is asked for those itself.
    purges: Option<Rc<Purges>>,
    /// What is counted of it. `None`: its address comes from a variable, and the workers share nothing of it.
    counters: Option<&'static StoreCounters>,
    /// `redis_cache_memory off`: its memory has no part in what is asked of it.
    is_without_memory: bool,
}

impl Client {
    /// A store that nobody has tried to reach yet.
    pub fn new(config: Rc<StoreConfig>) -> Client {
        let topology = Rc::new(Topology::of(&config));
        let memory = config.tier.as_ref().and_then(Memory::of);
        let state = config.memory.and_then(|memory| memory.state());
        let counters = state.map(|state| &state.counters);
        let listener = memory.as_ref().filter(|memory| memory.config().feed);
        let listener = listener.map(|memory| Listener::new(&config, &topology, memory));
        let bare = Client {
            memory: None,
            listener: None,
            topology: Rc::clone(&topology),
            config: Rc::clone(&config),
            purges: None,
            counters,
            is_without_memory: false,
        };
        let client = Client {
            purges: Some(Purges::new(bare, memory.clone())),
            memory,
            listener,
            topology,
            config,
            counters,
            is_without_memory: false,
        };
        if client.memory.is_some() {
            client.hear();
        }
        client
    }

    /// What is known of its purges.
    pub fn purges(&self) -> Option<&Rc<Purges>> {
        self.purges.as_ref()
    }

    /// The same store for requests that its memory has no part in.
    pub fn without_memory(self) -> Client {
        Client {
            is_without_memory: true,
            ..self
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Its memory tier, if it has one.
    pub fn memory(&self) -> Option<&Rc<Memory>> {
        self.memory.as_ref()
    }

    /// False while the server of a key is known to be down: every command fails at once.
    pub fn available(&self, key: &[u8]) -> bool {
        self.topology.is_available(key)
    }

    /// The memory tier, if it carries on alone with a key because the server of that is down, or its cluster.
    pub fn alone(&self, key: &[u8]) -> Option<Own<'_>> {
        let memory = self.memory_for_alone(key)?;
        let slot = self.topology.slot_of(key);
        let node = self.topology.node(slot, Access::Write).ok()?;
        // Hits send nothing that would find it up again, so a look is taken now and then.
        if node.is_usable() && !node.is_refusing() {
            return None;
        }
        Own::of_server(memory, node.heard_as())
    }

    /// A lookup of a key has failed. If that is because the whole cluster is down the memory tier carries on alone from now on.
    pub fn heed(&self, key: &Bytes, error: &StoreError) {
        if !error.is_cluster_down() {
            return;
        }
        let Some(memory) = self.memory_for_alone(key) else {
            return;
        };
        let slot = self.topology.slot_of(key);
        let Ok(node) = self.topology.node(slot, Access::Write) else {
            return;
        };
        let (memory, name) = (Rc::clone(memory), node.heard_as());
        node.refuses(key, move || memory.void(name));
    }

    /// The memory tier, if it may carry on alone with a key.
    fn memory_for_alone(&self, key: &[u8]) -> Option<&Rc<Memory>> {
        let memory = self.memory.as_ref().filter(|_| !self.is_without_memory)?;
        (memory.config().alone > 0 && memory.is_of_prefix(key)).then_some(memory)
    }

    /// Gives up, for this worker's exit, what it does for all workers.
    pub fn leave(&self) {
        self.topology.leave();
        hearing::leave(&self.config);
        if let Some(purges) = &self.purges {
            purges.leave();
        }
        outcomes::leave(&self.config);
        if let Some(listener) = &self.listener {
            listener.leave();
        }
        if let Some(memory) = &self.memory {
            memory.leave();
        }
    }

    /// Reads a record, in one round trip. Requests that look for a key at the same time share a reply, which is
    /// as new as one of their own would be. `began`: when this was asked for, in microseconds.
    ///
    /// # Errors
    ///
    /// Why there is no telling whether there is a record.
    pub async fn lookup(&self, key: &Bytes, began: u64) -> Result<Rc<Found>, StoreError> {
        let topology = &*self.topology;
        let command = self.command(key, Access::Read, true);
        // No future in a future, where that can be: each costs a hit a copy.
        let found = attempts::attempt(topology, command, move |node: &Rc<Node>, asking| {
            let sent = if asking {
                node.lookup_asking(key)
            } else {
                node.lookup(key)
            };
            found(topology, Rc::clone(node), sent)
        })
        .await;
        count(self.counters, (Operation::Lookup, began), &found);
        found
    }

    /// Asked before a key is looked up by [`Client::lookup_to_keep`]: whether what that gives may be kept in memory. Counts
    /// the use.
    pub fn offer(&self, key: &[u8]) -> Option<Offer> {
        let memory = self.memory.as_ref()?;
        if !memory.is_of_prefix(key) {
            return None;
        }
        let slot = self.topology.slot_of(key);
        let node = self.topology.node(slot, Access::Write).ok()?;
        memory.offer(key, node.heard_as())
    }

    /// Reads a record from its master, and keeps it in memory.
    ///
    /// # Errors
    ///
    /// As [`Client::lookup`].
    pub async fn lookup_to_keep(&self, key: &Bytes, offer: Offer) -> Result<Rc<Found>, StoreError> {
        let topology = &*self.topology;
        let (began, command) = (exact_usec(), self.command(key, Access::ReadMaster, true));
        let looked_up = attempts::attempt(topology, command, async |node: &Rc<Node>, asking| {
            let sent = if asking {
                node.lookup_asking(key)
            } else {
                node.lookup(key)
            };
            let record = found(topology, Rc::clone(node), sent).await?;
            // Of a slot that is on its way nobody knows who pushes its changes.
            let from = (!asking).then_some(record.from);
            Ok((record, from))
        })
        .await;
        count(self.counters, (Operation::Lookup, began), &looked_up);
        let (record, from) = looked_up?;
        if let (Some(memory), Some(from)) = (&self.memory, from) {
            let last = self.purges.as_ref().map_or(0, |purges| purges.last());
            let meta = record.record.meta.as_ref();
            if last == 0 || meta.is_some_and(|meta| log_of(meta) >= last) {
                let fields = (record.variants.clone(), record.labels.clone());
                let log = meta.map_or(0, |meta| log_of(meta)).max(last);
                memory.keep(offer, (from, log), key, &record.record, fields);
            } else {
                record.offer.replace(Some(offer));
            }
        }
        Ok(record)
    }

    /// Keeps in memory what was found, now that it is known that no purge up to this number concerns it.
    pub fn keep_judged(&self, key: &Bytes, found: &Found, log: u64) {
        if let (Some(memory), Some(offer)) = (&self.memory, found.offer.take()) {
            let fields = (found.variants.clone(), found.labels.clone());
            memory.keep(offer, (found.from, log), key, &found.record, fields);
        }
    }

    /// Has somebody of this nginx listen from now on to what other machines invalidate and purge.
    pub fn hear(&self) {
        if let Some(purges) = &self.purges {
            purges.begin();
            hearing::begin(&self.config, &self.topology, purges);
        }
    }

    /// Hears what becomes of the fills of one lease.
    pub fn hear_outcomes(&self, channel: Channel) -> Hearer {
        outcomes::hear(&self.config, &self.topology, channel)
    }

    /// Listens no more: another configuration of the store has taken its place.
    pub fn hear_no_more(&self) {
        hearing::leave(&self.config);
        if let Some(purges) = &self.purges {
            purges.leave();
        }
        outcomes::leave(&self.config);
    }

    /// Changes what is stored. The command is on its way when this returns.
    ///
    /// # Errors
    ///
    /// Why it isn't known to be done. After `Timeout` and `Closed` it may be, whole.
    pub fn change(
        &self,
        change: Change,
    ) -> impl Future<Output = Result<ChangeReply, StoreError>> + use<> {
        let parted = change.needs_fence().then(|| (self.clone(), change.clone()));
        let counted = (Kind::of(&change).operation(), exact_usec());
        let (whole, counters) = (self.once(change), self.counters);
        async move {
            let result = match (whole.await, parted) {
                // Boxed to keep the future of other changes small.
                (Whole::Apart, Some((client, change))) => Box::pin(client.in_parts(change)).await,
                (Whole::Apart, None) => Err(StoreError::Unavailable),
                (Whole::Done(result), _) => result,
            };
            count(counters, counted, &result);
            result
        }
    }

    /// The same by one command.
    fn once(&self, change: Change) -> impl Future<Output = Whole> + use<> {
        let topology = Rc::clone(&self.topology);
        let worthless = Worthless::of(self.memory.as_ref(), &change);
        let memory = self.memory.as_ref().filter(|_| change.concerns_record());
        let channel = memory.and_then(|memory| memory.tells(change.key()).cloned());
        let command = self.command(change.key(), Access::Write, change.is_repeatable());
        let first = topology.node(command.slot, command.access).map(|node| {
            let sent = node.change(change.clone(), channel.as_ref(), false);
            (node, sent)
        });
        let (apart, needs_fence) = (Cell::new(false), change.needs_fence());
        async move {
            // Whatever comes of it: nobody knows what is there now.
            let worthless = worthless.as_ref();
            let result = async {
                let (node, sent) = first?;
                let sent = outcome(&topology, &node, sent);
                let failure = match Worthless::watch(worthless, sent).await {
                    Ok(changed) => return Ok(changed),
                    Err(failure) => stop_if_apart(failure, needs_fence, &apart),
                };
                attempts::recover(&*topology, command, node, failure, async |node, asking| {
                    let sent = node.change(change.clone(), channel.as_ref(), asking);
                    let sent = outcome(&topology, node, sent);
                    let changed = Worthless::watch(worthless, sent).await;
                    changed.map_err(|failure| stop_if_apart(failure, needs_fence, &apart))
                })
                .await
            };
            let result = result.await;
            match result {
                Err(_) if apart.get() => Whole::Apart,
                Err(StoreError::Refused(words))
                    if matches!(change, Change::Invalidate(..)) && is_unpermitted(&words) =>
                {
                    Whole::Apart
                }
                result => Whole::Done(result),
            }
        }
    }

    fn command(&self, key: &[u8], access: Access, repeatable: bool) -> Command {
        Command {
            slot: self.topology.slot_of(key),
            access,
            repeatable,
            deadline: now_msec().saturating_add(patience(self.config.read_timeout)),
        }
    }
}

/// Counts a command of the store.
fn count<T>(
    counters: Option<&StoreCounters>,
    (operation, began): (Operation, u64),
    result: &Result<T, StoreError>,
) {
    if let Some(counters) = counters {
        let words = (store_duration(operation), failures as fn(_) -> _);
        counted::count(counters, words, began, result.as_ref().err());
    }
}

/// What a lookup has found, or what may be tried where it has failed.
async fn found(
    topology: &Topology,
    node: Rc<Node>,
    sent: Result<Waiting<Rc<Found>>, StoreError>,
) -> Result<Rc<Found>, Failure> {
    let began = exact_usec();
    let result = match sent {
        Ok(waiting) => waiting.await,
        Err(error) => Err(stopped(error)),
    };
    node.count(began, result.as_ref().err().map(|failure| &failure.error));
    match result {
        // The master may have it: the replica may be late, or the key's slot on its way elsewhere.
        Ok(found) if found.is_nothing() && node.is_replica() => Err(Failure {
            error: StoreError::Unavailable,
            next: Next::Master,
            unsure: false,
        }),
        Ok(found) => Ok(found),
        Err(failure) => Err(topology.judge(&node, failure)),
    }
}

/// What came of a command that was sent, and what may be tried if it has failed.
async fn outcome<T: Clone>(
    topology: &Topology,
    node: &Rc<Node>,
    sent: Result<Waiting<T>, StoreError>,
) -> Result<T, Failure> {
    let began = exact_usec();
    let result = match sent {
        Ok(waiting) => waiting.await,
        Err(error) => Err(stopped(error)),
    };
    node.count(began, result.as_ref().err().map(|failure| &failure.error));
    result.map_err(|failure| topology.judge(node, failure))
}
