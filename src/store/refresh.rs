//! A stored record that the backend has confirmed, or has described anew by HEAD, or that is to go: the change that does so.

use bytes::Bytes;
use cache_core::record::{Meta, Record, encode_meta};
use cache_core::renewal::{self, Renewed};
use ngx::ffi::ngx_random;

use super::redis::{Change, RecordRefresh, ValidatedRecord};

/// A name for one write of a record.
pub fn new_generation() -> Bytes {
    Bytes::from(format!("{:x}", ngx_random()))
}

/// The change that takes a record away, and no other that is under the key by then. `None` for a record whose write has no
/// name.
pub fn removal(key: Bytes, record: &Record) -> Option<Change> {
    Some(Change::Refresh(RecordRefresh {
        key,
        validated: validated(record)?,
        headers: Bytes::new(),
        meta: Bytes::new(),
        labels: Bytes::new(),
        expiry: 0,
        lease: None,
    }))
}

/// The change that has a record expire in so many seconds, sooner or later than it would, if nothing has changed it since. It stays the same record: a fill that
/// validates it may confirm it. `None` for a record whose write has no
/// name.
pub fn shortening(key: Bytes, record: &Record, seconds: u32) -> Option<Change> {
    let meta = Meta {
        age: record.age,
        expiry: seconds,
        ..Meta::clone(record.meta.as_ref()?)
    };
    Some(Change::Refresh(RecordRefresh {
        key,
        validated: validated(record)?,
        headers: record.stored_headers.clone(),
        meta: Bytes::from(encode_meta(&meta)),
        labels: Bytes::new(),
        expiry: seconds,
        lease: None,
    }))
}

fn validated(record: &Record) -> Option<ValidatedRecord> {
    Some(ValidatedRecord {
        generation: record.meta.as_ref()?.generation.clone(),
        status: record.stored_status(),
        headers: record.stored_headers.clone(),
        length: record.body.len(),
    })
}

/// What is known of the purges of a record that was validated.
pub struct PurgeFacts {
    /// The last number of the store's log of purges that was known when the backend was asked.
    pub log: u64,
    /// The record's field `labels`. Empty: it stays as it is.
    pub labels: Bytes,
}

/// The change that stores what has become of the record under a key, or takes it away if it must not be kept. `None`
/// for a record whose write has no name. `facts`: what is known of its purges from now on; `None`: what was known before.
pub fn refresh(key: Bytes, renewed: &Renewed, facts: Option<PurgeFacts>) -> Option<Change> {
    let record = &renewed.record;
    let mut meta = Meta::clone(record.meta.as_ref()?);
    let mut labels = Bytes::new();
    if let Some(facts) = facts {
        (meta.log, labels) = (facts.log, facts.labels);
    }
    let mut refresh = RecordRefresh {
        key,
        validated: validated(record)?,
        headers: Bytes::new(),
        meta: Bytes::new(),
        labels,
        expiry: 0,
        lease: None,
    };
    if let Ok(plan) = &renewed.plan {
        let fields = renewal::encode(renewed, &meta, plan, new_generation());
        refresh.headers = Bytes::from(fields.headers);
        refresh.meta = Bytes::from(fields.meta);
        refresh.expiry = plan.expiry;
    }
    Some(Change::Refresh(refresh))
}
