//! Purges that are entries of the store's log (see [`cache_core::purge`]).

use cache_core::purge::{Entry, Purged};

use crate::store::Store;
use crate::store::redis::StoreError;

impl Store {
    /// Puts purges into the log of the store. They hold on this machine once this has returned, and on others within 50 ms, or
    /// 1 s where the store's messages don't come.
    ///
    /// # Errors
    ///
    /// Why it isn't known that they hold everywhere: the store has not taken them, or has not said so.
    pub async fn purge(&self, entries: &[Entry]) -> Result<Purged, StoreError> {
        match self {
            Store::Redis(client) => match client.purges() {
                Some(purges) => purges.add(entries).await,
                None => Err(StoreError::Unavailable),
            },
            Store::Memory(local) => local.purge(entries),
            Store::Location(_) => Err(StoreError::Refused(
                "this kind of store has no log of purges: it takes those by key alone".into(),
            )),
        }
    }
}
