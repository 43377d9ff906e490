//! What a fill has come to, for those who wait for it.

use crate::use_stale::Failure;

/// What a lock's release tells those who waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The record is in the store.
    Stored,
    /// This response may not be stored: those who wait for it go to the backend themselves.
    NotStorable,
    /// Nor may the next one, as the response itself says: for a while nobody waits for this key.
    Uncacheable,
    /// The fill ended without a whole response, or its owner vanished: somebody else shall try.
    Failed,
    /// The backend failed, and the record that it was asked about stays in use.
    Failing(Failure),
    /// The response was whole, but it isn't in the store: that did not take it, or it was invalidated meanwhile.
    Unavailable,
    /// The store keeps no record so large: for a while nobody waits for a fill of another worker.
    DoesNotFit,
}
