//! Carries a purge out: records are deleted by their keys, and all else is an entry of the store's log.

use std::future::Future;

use bytes::Bytes;
use cache_core::counters::purges;
use cache_core::purge::request::{Purge, done};
use cache_core::purge::{Entry, Kind, Mode};
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use super::answer::{self, Answer};
use super::keys::Keys;
use crate::ngx::event::{now_msec, sleep};
use crate::ngx::request::Request;
use crate::request::deletion::Deletion;
use crate::shm::Zone;
use crate::store::redis::{PURGES as LOG, StoreError};
use crate::store::{Key, Store};

/// How long a purge waits for a server that isn't available, and how often it looks, in milliseconds.
const MOMENT: u64 = 1000;
const LOOK: u64 = 20;

/// Purges in these stores; keys are deleted where there is a zone that knows of fills. Commands for keys are on their way when
/// this returns. Gives what the sender is told.
pub fn out(
    r: Request,
    stores: Vec<(Option<Zone>, Store)>,
    purge: &Purge,
    keys: Keys,
) -> impl Future<Output = Answer> + use<> {
    let (kind, mode) = (purge.kind, purge.mode);
    let method = String::from_utf8_lossy(r.method()).into_owned();
    let Keys { keys, selectors } = keys;
    let deletions: Vec<Begun> = stores
        .iter()
        .filter_map(|(zone, store)| zone.map(|zone| (zone, store)))
        .flat_map(|(zone, store)| {
            // A location is asked by the sender's request, which may be gone later.
            let is_location = matches!(store, Store::Location(_));
            keys.iter().map(move |key| {
                if is_location || store.available(key) {
                    Begun::Now(begin(zone, store, key))
                } else {
                    Begun::Later(zone, store.clone(), key.clone())
                }
            })
        })
        .collect();
    let entries: Vec<Entry> = selectors
        .into_iter()
        .map(|selector| Entry { mode, selector })
        .collect();
    async move {
        let (mut purged, mut failure) = (entries.len() as u64, None);
        for (_, store) in stores.iter().filter(|_| !entries.is_empty()) {
            be_available(store, &LOG).await;
            let added = store.purge(&entries).await;
            log(store, &entries, (kind, mode), &method, added.as_ref().err());
            if let Some(counters) = store.counters() {
                counters.add(purges(kind, mode, added.is_ok()), entries.len() as u64);
            }
            if let Err(error) = added {
                failure = failure.or(Some(said(store, &error)));
            }
        }
        let what = format!("purged by {method}");
        for begun in deletions {
            let deletion = match begun {
                Begun::Now(deletion) => deletion,
                Begun::Later(zone, store, key) => {
                    be_available(&store, &key).await;
                    begin(zone, &store, &key)
                }
            };
            let (store, counters) = (deletion.store().to_owned(), deletion.counters());
            let ended = deletion.end(&what).await;
            if let Some(counters) = counters {
                counters.add(purges(kind, mode, ended.is_ok()), 1);
            }
            match ended {
                Ok(was_there) => purged += u64::from(was_there),
                Err(error) => {
                    failure =
                        failure.or_else(|| Some(format!("the store \"{store}\" says: {error}")));
                }
            }
        }
        match failure {
            None => answer::json(NGX_HTTP_OK, done(purged, kind, mode)),
            Some(failure) => answer::unavailable(&failure),
        }
    }
}

/// A record that is deleted,
enum Begun {
    /// for which the command is on its way,
    Now(Deletion),
    /// or one whose server isn't available yet.
    Later(Zone, Store, Bytes),
}

fn begin(zone: Zone, store: &Store, key: &Bytes) -> Deletion {
    Deletion::begin(zone, store, Key::new(key.clone()))
}

/// Waits a moment for the server of a key: nginx may have just started, and not know yet which server is the master. Those who
/// purge don't try again by themselves.
async fn be_available(store: &Store, key: &[u8]) {
    let end = now_msec().saturating_add(MOMENT);
    while !store.available(key) && now_msec() < end {
        sleep(LOOK).await;
    }
}

fn said(store: &Store, error: &StoreError) -> String {
    format!("the store \"{}\" says: {error}", store.name())
}

/// Logs what has become of entries of the log.
fn log(
    store: &Store,
    entries: &[Entry],
    (kind, mode): (Kind, Mode),
    method: &str,
    failure: Option<&StoreError>,
) {
    let (name, count) = (store.name(), entries.len());
    let (kind, mode) = (kind.as_str(), mode.as_str());
    let what = format!("{mode} purge by {method}: {kind}, {count} in all");
    let (level, line) = match failure {
        None => (
            NGX_LOG_INFO as usize,
            format!("{what}, holds in store \"{name}\""),
        ),
        Some(error) => (
            error.level(),
            format!("{what}, isn't known to hold in store \"{name}\": {error}"),
        ),
    };
    ngx_log_error!(level, ngx_cycle_log().as_ptr(), "redis_cache: {line}");
}
