//! What a change puts into the store's log of purges: groups that its response names (RFC 9875), and paths whose records
//! may have keys that aren't known here.

use std::cell::RefCell;
use std::rc::Rc;

use cache_core::complex_value::names_variable;
use cache_core::headers::Headers;
use cache_core::purge::{Entry, Mode, Purged, Scope, Selector, group_invalidation, target_of};
use cache_core::uri::{Origin, Target};
use ngx::ffi::*;
use ngx::log::ngx_cycle_log;
use ngx::ngx_log_error;

use crate::detached::Times;
use crate::ngx::request::Request;
use crate::store::Store;
use crate::store::redis::{StoreError, is_unpermitted};

/// Of so many stores it is remembered that they take no purges.
const MOST_STORES: usize = 64;

thread_local! {
    /// The names of stores that take no purges, which the log has said.
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Purges by a request that has changed something.
pub struct Logged {
    /// By groups.
    pub groups: Vec<Entry>,
    /// By paths.
    pub paths: Vec<Entry>,
    /// Those of a response that is to be stored itself.
    pub times: Option<Rc<Times>>,
}

impl Logged {
    /// Puts them into the log of the store. What becomes of it is logged.
    pub async fn carry_out(self, store: &Store, method: &str) {
        if !self.groups.is_empty() {
            self.survives(purge_groups(store, &self.groups, method).await);
        }
        if !self.paths.is_empty() {
            self.survives(purge_paths(store, &self.paths, method).await);
        }
    }

    /// The response is what has come of the change: what it purges itself is older. It is written when this has ended.
    fn survives(&self, purged: Option<Purged>) {
        if let (Some(times), Some(purged)) = (&self.times, purged) {
            times.set_own_purges(purged.number, purged.before);
        }
    }
}

/// The groups of responses that the response to an unsafe request invalidates (RFC 9875 3).
pub fn groups(r: Request, said: &Headers) -> Vec<Entry> {
    let Some(origin) = Origin::new(r.is_https(), r.authority()) else {
        return Vec::new();
    };
    let lines = said.get_all("Cache-Group-Invalidation");
    group_invalidation(r.method(), &origin, lines)
        .into_iter()
        .map(|selector| Entry {
            mode: Mode::Soft,
            selector,
        })
        .collect()
}

/// The records of the paths of these URIs whose responses have a rule of No-Vary-Search. `template`: the text that makes
/// their keys, if it is known.
pub fn paths(r: Request, template: Option<&[u8]>, targets: &[Target]) -> Vec<Entry> {
    let origin = Origin::new(r.is_https(), r.authority());
    let scope = origin
        .filter(|_| template.is_some_and(tells_hosts_apart))
        .and_then(|origin| Scope::host(origin.host()))
        .unwrap_or(Scope::Any);
    let mut selectors: Vec<Selector> = targets
        .iter()
        .flat_map(|target| {
            // Records of the same `$uri` may have it in another spelling.
            let plain = target.decoded_path(r.merges_slashes());
            let plain = plain.map(|path| target_of(&path, b""));
            [Some(target.path.clone()), plain]
        })
        .flatten()
        .filter_map(|path| Selector::of_path(scope.clone(), &path))
        .collect();
    selectors.sort_unstable();
    selectors.dedup();
    let entry = |selector| Entry {
        mode: Mode::Hard,
        selector,
    };
    selectors.into_iter().map(entry).collect()
}

/// Whether a key says for which host it is.
fn tells_hosts_apart(template: &[u8]) -> bool {
    const HOSTS: [&[u8]; 3] = [b"redis_cache_authority", b"host", b"http_host"];
    HOSTS.iter().any(|name| names_variable(template, name))
}

/// Gives what is known of the purge, if the store has taken it.
async fn purge_groups(store: &Store, groups: &[Entry], method: &str) -> Option<Purged> {
    let purged = store.purge(groups).await;
    let (name, count) = (store.name(), groups.len());
    match &purged {
        Ok(_) => {
            ngx_log_error!(
                NGX_LOG_INFO,
                ngx_cycle_log().as_ptr(),
                "redis_cache: {count} groups in store \"{name}\" were invalidated by {method}"
            );
        }
        Err(error) => {
            ngx_log_error!(
                error.level(),
                ngx_cycle_log().as_ptr(),
                "redis_cache: {count} groups in store \"{name}\" could not be invalidated by {method}: {error}"
            );
        }
    }
    purged.ok()
}

/// As [`purge_groups`].
async fn purge_paths(store: &Store, paths: &[Entry], method: &str) -> Option<Purged> {
    let purged = store.purge(paths).await;
    let (name, count) = (store.name(), paths.len());
    match &purged {
        Ok(_) => {
            ngx_log_error!(
                NGX_LOG_INFO,
                ngx_cycle_log().as_ptr(),
                "redis_cache: {count} paths in store \"{name}\" were invalidated by {method}"
            );
        }
        Err(error) if takes_none(store, error) => {
            if is_first(name) {
                ngx_log_error!(
                    NGX_LOG_WARN,
                    ngx_cycle_log().as_ptr(),
                    "redis_cache: store \"{name}\" takes no purges: changes may leave records that were stored by a rule of \
                     No-Vary-Search: {error}"
                );
            }
        }
        Err(error) => {
            ngx_log_error!(
                error.level(),
                ngx_cycle_log().as_ptr(),
                "redis_cache: {count} paths in store \"{name}\" could not be invalidated by {method}: {error}"
            );
        }
    }
    purged.ok()
}

/// Whether a store takes no purges at all: it has no log, or its user may not write it.
fn takes_none(store: &Store, error: &StoreError) -> bool {
    // Of what a script may not do Redis says it in other words.
    let is_refusal = |words: &str| {
        is_unpermitted(words) || words.contains("The user executing the script can't")
    };
    matches!(store, Store::Location(_))
        || matches!(error, StoreError::Refused(words) if is_refusal(words))
}

/// Whether the log hasn't said it yet in this worker.
fn is_first(store: &str) -> bool {
    TOLD.with_borrow_mut(|told| {
        let is_first = told.len() < MOST_STORES && !told.iter().any(|known| known == store);
        if is_first {
            told.push(store.to_owned());
        }
        is_first
    })
}
