//! A record whose body can't be decompressed is no record: it is taken away, and the request is served anew.

use std::cell::Cell;
use std::pin::pin;

use cache_core::shown::shown;
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::ngx::event::within;
use crate::request::context::Context;
use crate::request::settings::CacheableRequest;
use crate::request::state::State;
use crate::store::lookup::Lookup;
use crate::store::redis::Change;

/// How long a request waits until such a record is gone, in milliseconds.
const TIMEOUT: u64 = 1000;

/// Whether the request has met such a record.
#[derive(Default)]
struct Met(Cell<bool>);

impl State for Met {}

/// Whether it is the first one that the request has met: then it may look for the record again. If it finds another one, or the
/// same because that couldn't be deleted, the backend is asked.
pub fn is_first(context: &'static Context) -> bool {
    let met = context.state::<Met>();
    met.is_some_and(|met| !met.0.replace(true))
}

/// Deletes the record of the request's key, and its variants.
pub fn discard(cacheable: &CacheableRequest) -> impl Future<Output = ()> + 'static {
    let Lookup { store, key, .. } = &cacheable.settings.lookup;
    let (name, shown) = (store.name(), shown(&key.redis));
    ngx_log_error!(
        NGX_LOG_ERR,
        ngx_cycle_log().as_ptr(),
        "redis_cache: \"{shown}\" in store \"{name}\" can't be decompressed; it is deleted"
    );
    let deleted = store.change(Change::Delete(key.redis.clone()));
    async move {
        // What fails is logged as any trouble of the store.
        let _ = within(TIMEOUT, pin!(deleted)).await;
    }
}
