//! What commands are for.

use cache_core::counters::Operation;

use crate::store::redis::change::Change;

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To read a record.
    Lookup,
    /// To write a record, or to refresh it.
    Write,
    /// To delete a record.
    Delete,
    /// To delete a record and to set its fence.
    Invalidate,
    /// To set a fence.
    SetFence,
    /// To read a fence.
    Fence,
    /// For the log of purges.
    Purges,
    /// To claim a fill.
    Claim,
    /// To extend a lease, or to give it back.
    Lease,
}

impl Kind {
    /// What a change is for.
    pub fn of(change: &Change) -> Kind {
        match change {
            Change::Write(_) | Change::Refresh(_) => Kind::Write,
            Change::Delete(_) => Kind::Delete,
            Change::Invalidate(..) => Kind::Invalidate,
            Change::SetFence(..) => Kind::SetFence,
            Change::ReadFence(_) => Kind::Fence,
            Change::Purges(_) => Kind::Purges,
            Change::Claim(_) => Kind::Claim,
            Change::Extend(..) | Change::Release(_) | Change::Forget(..) => Kind::Lease,
        }
    }

    /// Whether it is for a fill, and changes something: where it gets no reply, lookups may still get theirs. A server that
    /// doesn't reply to deletions counts as one that replies to nobody.
    pub fn is_write(self) -> bool {
        match self {
            Kind::Write | Kind::Claim | Kind::Lease => true,
            Kind::Lookup
            | Kind::Delete
            | Kind::Invalidate
            | Kind::SetFence
            | Kind::Fence
            | Kind::Purges => false,
        }
    }
}

impl Kind {
    /// As what it is counted.
    pub fn operation(self) -> Operation {
        match self {
            Kind::Lookup => Operation::Lookup,
            Kind::Write => Operation::Write,
            Kind::Delete | Kind::Invalidate => Operation::Delete,
            Kind::SetFence | Kind::Fence | Kind::Purges | Kind::Claim | Kind::Lease => {
                Operation::Other
            }
        }
    }
}
