//! Counting connections, for operators.

use crate::shm::StoreState;
use crate::shm::process::pid;
use crate::store::redis::config::StoreConfig;

/// A connection that counts among those of its store.
pub(super) struct Counted(&'static StoreState);

impl Counted {
    /// Counts it until this is dropped. `None` where the workers share nothing of the store.
    pub(super) fn new(config: &StoreConfig) -> Option<Counted> {
        let state = config.memory?.state()?;
        state.connections.change(pid(), true);
        Some(Counted(state))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.change(pid(), false);
    }
}
