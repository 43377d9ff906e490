//! Reading a record from the store.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use cache_core::flow::Trouble;
use cache_core::policy::Rules;
use cache_core::record::{self, RawRecord, Record};
use cache_core::shown::shown;
use ngx::ffi::*;
use ngx::ngx_log_error;

use crate::redis::{Found, StoreError};
use crate::store::Store;
use crate::worker;

/// How many keys are remembered as complained about.
const COMPLAINTS: usize = 1024;

/// What a request looks for, and where.
#[derive(Clone)]
pub struct Lookup {
    /// The store.
    pub store: Store,
    /// The key, as it is in Redis.
    pub key: Bytes,
    /// The operator's rules: what of a record counts.
    pub rules: Rc<Rules>,
}

thread_local! {
    static COMPLAINED: RefCell<HashSet<Bytes>> = RefCell::default();
}

/// Reads the record. A broken one is none.
pub async fn lookup(lookup: &Lookup) -> Result<Option<Record>, Trouble> {
    let found = lookup.store.lookup(&lookup.key).await;
    understand(lookup, found)
}

/// The same for somebody who may be gone when it comes.
pub fn lookup_detached(lookup: Lookup) -> impl Future<Output = Result<Option<Record>, Trouble>> {
    let found = lookup.store.lookup_detached(&lookup.key);
    async move { understand(&lookup, found.await) }
}

fn understand(
    lookup: &Lookup,
    found: Result<Found, StoreError>,
) -> Result<Option<Record>, Trouble> {
    let found = match found {
        Ok(found) => found,
        Err(StoreError::WrongType) => {
            complain(lookup, NGX_LOG_ERR, "is no hash; it is left alone");
            return Err(Trouble::WrongType);
        }
        Err(error) => {
            if !error.is_down() {
                let level = u32::try_from(error.level()).unwrap_or(NGX_LOG_INFO);
                complain(lookup, level, &format!("can't be read: {error}"));
            }
            return Err(Trouble::Unavailable);
        }
    };
    let raw = RawRecord {
        pttl: found.pttl,
        status: found.status,
        headers: found.headers,
        body: found.body,
        meta: found.meta,
    };
    match record::decode(raw, &lookup.rules) {
        Ok(record) => Ok(record),
        Err(broken) => {
            let level = if broken.is_refused() {
                NGX_LOG_INFO
            } else {
                NGX_LOG_WARN
            };
            complain(
                lookup,
                level,
                &format!("is no usable record: {broken}; it counts as a miss"),
            );
            Ok(None)
        }
    }
}

/// Says it once per key and worker.
fn complain(lookup: &Lookup, level: u32, what: &str) {
    let new = COMPLAINED.with_borrow_mut(|known| {
        if known.len() >= COMPLAINTS {
            known.clear();
        }
        known.insert(lookup.key.clone())
    });
    if new {
        let (key, store) = (shown(&lookup.key), lookup.store.name());
        ngx_log_error!(
            level,
            worker::log(),
            "redis_cache: \"{key}\" in store \"{store}\" {what}"
        );
    }
}
