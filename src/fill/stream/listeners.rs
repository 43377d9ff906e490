//! The tasks that wait for a change of a stream.

use std::collections::BTreeMap;
use std::mem;
use std::task::Waker;

/// The number of the fill's own task. Readers have higher ones.
pub(super) const TASK: u64 = 0;

/// The tasks that wait, by their numbers: so they are woken in the order in which they came.
#[derive(Default)]
pub(super) struct Listeners {
    wakers: BTreeMap<u64, Waker>,
    last: u64,
    version: u64,
}

impl Listeners {
    /// The number of a new reader.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Has a task woken at the next change, in place of an earlier one of this number.
    pub(super) fn listen(&mut self, number: u64, waker: &Waker) {
        self.wakers
            .entry(number)
            .and_modify(|known| known.clone_from(waker))
            .or_insert_with(|| waker.clone());
    }

    /// The reader of this number waits no more.
    pub(super) fn leave(&mut self, number: u64) -> Option<Waker> {
        self.wakers.remove(&number)
    }

    /// There is a change: the tasks to wake.
    pub(super) fn take(&mut self) -> BTreeMap<u64, Waker> {
        self.version += 1;
        mem::take(&mut self.wakers)
    }

    /// How many changes there were.
    pub(super) fn version(&self) -> u64 {
        self.version
    }
}
