//! Purges that are entries of the store's log (see [`cache_core::purge`]).

use cache_core::purge::Entry;

use crate::store::Store;
use crate::store::redis::StoreError;

impl Store {
    /// Puts purges into the log of the store. They hold on this machine once this has returned, and on others within 50 ms, or
    /// 1 s where the store's messages don't come.
    ///
    /// # Errors
    ///
    /// Why it isn't known that they hold everywhere: the store has not taken them, or has not said so.
    pub async fn purge(&self, entries: &[Entry]) -> Result<(), StoreError> {
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

    /// The last number of the log, if nothing else was purged since another one than by these entries, which have been put into
    /// it.
    pub fn has_only_purged(&self, entries: &[Entry], since: u64) -> Option<u64> {
        match self {
            Store::Redis(client) => client.purges()?.has_only(entries, since),
            Store::Memory(local) => local.has_only_purged(entries, since),
            Store::Location(_) => None,
        }
    }
}
