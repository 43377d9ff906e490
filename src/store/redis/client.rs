//! A store as one worker sees it: to look records up in, and to change them.

use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;

use super::call::Retry;
use super::change::{Change, ChangeReply};
use super::config::StoreConfig;
use super::error::StoreError;
use super::found::Found;
use super::pace::patience;
use super::topology::Topology;
use crate::ngx::event::now_msec;

/// How often a command that may be sent twice is sent again after its connection was closed.
const RETRIES: usize = 2;

/// A store, as one worker sees it. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    config: Rc<StoreConfig>,
    topology: Rc<Topology>,
}

impl Client {
    /// A store that nobody has tried to reach yet.
    pub fn new(config: Rc<StoreConfig>) -> Client {
        Client {
            topology: Rc::new(Topology::of(&config)),
            config,
        }
    }

    /// Its configuration.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// False while the store is known to be down: every command fails at once.
    pub fn available(&self) -> bool {
        self.topology.is_available()
    }

    /// Reads a record, in one round trip. Requests that look for a key at the same time share a reply, which is
    /// as new as one of their own would be.
    ///
    /// # Errors
    ///
    /// Why there is no telling whether there is a record.
    pub async fn lookup(&self, key: &Bytes) -> Result<Rc<Found>, StoreError> {
        let mut retries = RETRIES;
        let end = now_msec().saturating_add(patience(self.config.read_timeout));
        loop {
            let failure = match self.topology.node(key).lookup(key)?.await {
                Ok(found) => return Ok(found),
                Err(failure) => failure,
            };
            match failure.retry {
                Retry::Counted if retries > 0 => retries -= 1,
                Retry::Free if now_msec() < end => {}
                Retry::No | Retry::Counted | Retry::Free => return Err(failure.error),
            }
        }
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
        let node = Rc::clone(self.topology.node(change.key()));
        let mut again = change.again();
        let mut attempt = node.change(change);
        async move {
            let mut retries = RETRIES;
            loop {
                let failure = match attempt?.await {
                    Ok(changed) => return Ok(changed),
                    Err(failure) => failure,
                };
                match again.take() {
                    Some(change) if failure.retry != Retry::No && retries > 0 => {
                        retries -= 1;
                        again = change.again();
                        attempt = node.change(change);
                    }
                    _ => return Err(failure.error),
                }
            }
        }
    }
}
