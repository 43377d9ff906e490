//! Counting commands: those of a store, and those of each of its servers.

use cache_core::counters::{Failure, Times, Word};

use super::error::StoreError;
use crate::ngx::event::exact_usec;
use crate::shm::counters::Counters;

/// Counts a command as failed, or how long it has taken since then (microseconds): if the server has replied, which it does
/// where it refuses, too.
pub fn count<const WORDS: usize, const COPIES: usize>(
    counters: &Counters<WORDS, COPIES>,
    (times, failures): (Times, fn(Failure) -> Word),
    began: u64,
    error: Option<&StoreError>,
) {
    let failure = error.and_then(StoreError::failure);
    if let Some(failure) = failure {
        counters.add(failures(failure), 1);
    }
    if failure.is_none_or(|failure| failure == Failure::Refused) {
        counters.add_time(times, exact_usec().saturating_sub(began));
    }
}
