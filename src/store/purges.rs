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
    #[allow(clippy::unused_async, reason = "the log comes next")]
    pub async fn purge(&self, _entries: &[Entry]) -> Result<(), StoreError> {
        Err(StoreError::Unavailable)
    }
}
