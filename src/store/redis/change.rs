//! Commands that change what is stored, and their replies.

use bytes::Bytes;
use cache_core::record::Base;

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
    /// Seconds until it expires.
    pub expiry: u32,
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
    /// Seconds until it expires; 0 takes it away.
    pub expiry: u32,
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
}

impl Change {
    /// The key whose record it changes.
    pub fn key(&self) -> &Bytes {
        match self {
            Change::Write(record) => &record.key,
            Change::Refresh(refresh) => &refresh.key,
            Change::Delete(key) => key,
        }
    }

    /// Whether it does no harm a second time, where nobody knows whether the first was carried out.
    pub fn is_repeatable(&self) -> bool {
        matches!(self, Change::Delete(_))
    }
}

/// The reply to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeReply {
    /// It is done.
    Done,
    /// There was nothing to change, or to delete.
    Nothing,
    /// Nothing was written: the key's field `variants` isn't the one that was seen. This is what the
    /// key says now.
    Variants(Base),
}
