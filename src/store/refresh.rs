//! A stored record that the backend has confirmed, or has described anew by HEAD: the change that writes it.

use bytes::Bytes;
use cache_core::renewal::{self, Renewed};
use ngx::ffi::ngx_random;

use super::redis::{Change, RecordRefresh, ValidatedRecord};

/// A name for one write of a record.
pub fn new_generation() -> Bytes {
    Bytes::from(format!("{:x}", ngx_random()))
}

/// The change that stores what has become of the record under a key, or takes it away if it must not be kept. `None`
/// for a record whose write has no name.
pub fn refresh(key: Bytes, renewed: &Renewed) -> Option<Change> {
    let record = &renewed.record;
    let meta = record.meta.as_ref()?;
    let mut refresh = RecordRefresh {
        key,
        validated: ValidatedRecord {
            generation: meta.generation.clone(),
            status: record.status,
            headers: record.stored_headers.clone(),
            length: record.body.len(),
        },
        headers: Bytes::new(),
        meta: Bytes::new(),
        expiry: 0,
        lease: None,
    };
    if let Ok(plan) = &renewed.plan {
        let fields = renewal::encode(renewed, meta, plan, new_generation());
        refresh.headers = Bytes::from(fields.headers);
        refresh.meta = Bytes::from(fields.meta);
        refresh.expiry = plan.expiry;
    }
    Some(Change::Refresh(refresh))
}
