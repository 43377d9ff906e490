//! Commands that change what is stored, and their replies.

use bytes::Bytes;
use cache_core::claim::{self, Claimed};
use cache_core::fence::{self, Token};
use cache_core::flow::Verdict;
use cache_core::purge::Purged;
use cache_core::record::{Base, Record};
use cache_core::vary::VariantId;

use super::protocol::purges;

/// A record to be written.
#[derive(Clone, Debug)]
pub struct RecordWrite {
    /// Its key.
    pub key: Bytes,
    /// Field `status`.
    pub status: u16,
    /// Field `headers`.
    pub headers: Bytes,
    /// Field `body`, in pieces, which aren't joined.
    pub body: Vec<Bytes>,
    /// Field `meta`.
    pub meta: Bytes,
    /// Field `labels`.
    pub labels: Bytes,
    /// Seconds until it expires.
    pub expiry: u32,
    /// Nothing is written if the key's fence was set meanwhile. `None`: it isn't looked at.
    pub fence: Option<Fence>,
    /// Nothing is written if the key has a record: that is newer.
    pub is_older: bool,
    /// What more there is to it if it is a variant of its key. Else the key has no variants afterwards.
    pub variant: Option<VariantWrite>,
}

/// What a record that is a variant of its key writes besides: where it goes, and what the key says of its variants.
#[derive(Clone, Debug)]
pub struct VariantWrite {
    /// The Redis key that it goes to, if not the cache key itself.
    pub slot: Option<Bytes>,
    /// The key's field `variants` as it was seen, empty if there was none.
    pub seen: Bytes,
    /// The same as it is to be.
    pub variants: Bytes,
}

/// The fence of a key (see [`cache_core::fence`]) as a fill has seen it.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Its name in Redis.
    pub name: Bytes,
    /// The token that it held before the backend was asked. Empty: none, or nobody knows.
    pub seen: Bytes,
    /// The lease of the fill, which must have its token still. `None`: the fill has none.
    pub lease: Option<Lease>,
}

impl Fence {
    /// The fence of a key that held this token.
    pub fn of(key: &[u8], seen: Bytes) -> Fence {
        Fence {
            name: Bytes::from(fence::name(key)),
            seen,
            lease: None,
        }
    }
}

/// The lease of a key, or of a variant of it, as one fill claims it (see [`cache_core::claim`]).
#[derive(Clone, Debug)]
pub struct Lease {
    /// The key.
    pub key: Bytes,
    /// Its name in Redis.
    pub name: Bytes,
    /// The token that it has while the fill has it.
    pub token: Token,
}

impl Lease {
    /// The lease of a key, or of a variant of it.
    pub fn new(key: &Bytes, variant: Option<VariantId>, token: Token) -> Lease {
        Lease {
            key: key.clone(),
            name: Bytes::from(claim::name(key, variant)),
            token,
        }
    }
}

/// What a claimer has seen in the store.
#[derive(Clone, Debug)]
pub struct LastLook {
    /// The key's field `variants`, empty if there was none. `None`: it doesn't matter.
    pub variants: Option<Bytes>,
    /// The Redis key that the record is under, if not the key itself.
    pub place: Option<Bytes>,
    /// The part of the record's meta that names it; nothing if there was no record, `+` if it had no meta. `-`: it doesn't
    /// matter.
    pub record: Bytes,
}

impl LastLook {
    /// What matters of the record for a request. `place`: as above.
    pub fn of(record: Option<&Record>, variants: Option<Bytes>, place: Option<Bytes>) -> LastLook {
        let record = match record.map(|record| &record.meta) {
            None => Bytes::new(),
            Some(None) => Bytes::from_static(b"+"),
            Some(Some(meta)) => Bytes::from(generation(&meta.generation)),
        };
        LastLook {
            variants,
            place,
            record,
        }
    }

    /// The same for a key that has no place for the request's variant.
    pub fn without_place(variants: Option<Bytes>) -> LastLook {
        LastLook {
            variants,
            place: None,
            record: Bytes::from_static(b"-"),
        }
    }
}

/// The part of a record's meta that names its write, between blanks.
pub fn generation(name: &[u8]) -> Vec<u8> {
    [b" gen=", name, b" "].concat()
}

/// A claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed.
    pub lease: Lease,
    /// What the claimer has seen.
    pub seen: LastLook,
    /// How long the lease lasts, in milliseconds.
    pub length: u64,
    /// The lease was granted before, with this fence of the key, and the store has lost it.
    pub again: Option<Bytes>,
}

/// A lease that is given back.
#[derive(Clone, Debug)]
pub struct Release {
    /// The lease.
    pub lease: Lease,
    /// What came of the fill.
    pub verdict: Verdict,
    /// How long that is remembered, in milliseconds. 0: it is only told.
    pub remembered: u64,
}

/// A record as it was when it was validated.
#[derive(Clone, Debug)]
pub struct ValidatedRecord {
    /// Its generation.
    pub generation: Bytes,
    /// Its status.
    pub status: u16,
    /// Its field `headers`.
    pub headers: Bytes,
    /// The length of its body.
    pub length: usize,
}

/// What a 304 changes of a record (RFC 9111 4.3.4). Its body stays.
#[derive(Clone, Debug)]
pub struct RecordRefresh {
    /// Its key.
    pub key: Bytes,
    /// The record that was validated: of any other nothing is changed.
    pub validated: ValidatedRecord,
    /// Field `headers`.
    pub headers: Bytes,
    /// Field `meta`.
    pub meta: Bytes,
    /// Field `labels`; empty: it stays as it is.
    pub labels: Bytes,
    /// Seconds until it expires; 0 takes it away.
    pub expiry: u32,
    /// The lease of the fill, which must have its token still. `None`: the fill has none.
    pub lease: Option<Lease>,
}

/// A command for the store's log of purges.
#[derive(Clone, Debug)]
pub enum PurgeCommand {
    /// Puts members into it, by a number higher than this one.
    Add(Vec<Bytes>, u64),
    /// Puts members back that the server has lost, by a number higher than this one.
    Restore(Vec<(Bytes, u64)>, u64),
    /// Reads a part of it, from this number on.
    Read(u64),
}

/// A change of what is stored: a single command, carried out as a whole or not at all.
#[derive(Clone, Debug)]
pub enum Change {
    /// Writes a record.
    Write(RecordWrite),
    /// Gives a record that was validated another header and expiry.
    Refresh(RecordRefresh),
    /// Deletes the record of a key, and all its variants with it.
    Delete(Bytes),
    /// The same, and makes worthless what fills of any machine are about to write: sets the fence first. The token, if one is
    /// given, is that of the last invalidation that the caller knows, empty if it knows of none: the reply says whether there
    /// was another one since.
    Invalidate(Bytes, Token, Option<Bytes>),
    /// Sets the fence of a key alone.
    SetFence(Bytes, Token),
    /// Reads the fence of a key: it changes nothing, but is asked of the master as changes are.
    ReadFence(Bytes),
    /// Concerns the store's log of purges.
    Purges(PurgeCommand),
    /// Claims a fill.
    Claim(Box<Claim>),
    /// Has a lease last for so many milliseconds from now.
    Extend(Lease, u64),
    /// Gives a lease back.
    Release(Release),
    /// Forgets that responses of a key, or of a variant of it, aren't storable: one was. Names the key, and its lease.
    Forget(Bytes, Bytes),
}

impl Change {
    /// The key whose record it changes.
    pub fn key(&self) -> &Bytes {
        match self {
            Change::Write(record) => &record.key,
            Change::Refresh(refresh) => &refresh.key,
            Change::Delete(key)
            | Change::Invalidate(key, ..)
            | Change::SetFence(key, _)
            | Change::ReadFence(key)
            | Change::Forget(key, _) => key,
            Change::Purges(_) => &purges::KEY,
            Change::Claim(claim) => &claim.lease.key,
            Change::Extend(lease, _) => &lease.key,
            Change::Release(release) => &release.lease.key,
        }
    }

    /// Whether it does no harm a second time, where nobody knows whether the first was carried out.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Change::Write(_) | Change::Refresh(_) => false,
            Change::Delete(_)
            | Change::Invalidate(..)
            | Change::SetFence(..)
            | Change::ReadFence(_)
            | Change::Purges(_)
            | Change::Claim(_)
            | Change::Extend(..)
            | Change::Release(_)
            | Change::Forget(..) => true,
        }
    }

    /// Whether it needs the key and what goes with it at one server.
    pub fn needs_fence(&self) -> bool {
        match self {
            Change::Write(record) => record.fence.is_some(),
            Change::Refresh(refresh) => refresh.lease.is_some(),
            Change::Invalidate(..) | Change::Claim(_) => true,
            Change::Delete(_)
            | Change::SetFence(..)
            | Change::ReadFence(_)
            | Change::Purges(_)
            | Change::Extend(..)
            | Change::Release(_)
            | Change::Forget(..) => false,
        }
    }

    /// Whether what is there of the key may be another one afterwards.
    pub fn concerns_record(&self) -> bool {
        match self {
            Change::Write(_) | Change::Refresh(_) | Change::Delete(_) | Change::Invalidate(..) => {
                true
            }
            Change::SetFence(..)
            | Change::ReadFence(_)
            | Change::Purges(_)
            | Change::Claim(_)
            | Change::Extend(..)
            | Change::Release(_)
            | Change::Forget(..) => false,
        }
    }
}

/// The reply to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeReply {
    /// It is done.
    Done,
    /// There was nothing to change, or to delete.
    Nothing,
    /// Nothing was written: the key was invalidated meanwhile, or has a newer record.
    Invalidated,
    /// What the fence holds.
    Fence(Option<Bytes>),
    /// The number of a purge, the last one that there is or the one that was given; 0: none.
    Number(u64),
    /// The number that purges were given.
    Purged(Purged),
    /// Members of the log of purges, with their numbers.
    Members(Vec<(Bytes, u64)>),
    /// What came of the claim.
    Claimed(Claimed),
    /// Nothing was written: the fill has lost its lease.
    ClaimLost,
    /// The record is deleted, but the fence couldn't be set; these are the server's words.
    Unfenced(String),
    /// The record is deleted, and the key was invalidated, or may have been, since the caller has last known of that.
    Overtaken,
    /// Nothing was written: the key's field `variants` isn't the one that was seen. This is what the
    /// key says now.
    Variants(Base),
}
